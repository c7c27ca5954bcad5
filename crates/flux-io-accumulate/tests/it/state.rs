//! Snapshots, limits in bytes, the memory budget, and descriptions.

use crate::kit::{Hand, Piece, at, blueprint, hand, key_of, ns, of, pair, required};
use flux_io_accumulate::{After, Assembly, OnLimit, Policy, Require};
use flux_io_core::{
    Always, Batch, ByHand, Class, ConsumerId, MemoryPool, Moment, Outcome, Reason, ReserveError,
    Stage, StageHome, Timestamp, Var,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn snapshot(
    h: &mut Hand<impl flux_io_core::KeyOf<Vec<Piece>, Key = String>, impl crate::kit::Acc>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    h.by_hand.stage.snapshot(&mut bytes).unwrap();
    bytes
}

/// Row 105. What is restored goes on: states, sets, deadlines of both clocks, tombstones, ledger.
#[test]
fn a_restored_accumulator_goes_on() {
    let words = |p: Policy| p.expire_after(ns(100)).timeout(ns(50)).max_keys(3);
    let mut h = pair(words);
    h.clock(20);
    h.feed(&[at("x", "a", 0), at("y", "a", 7), at("z", "a", 0), at("z", "b", 0)]);
    let bytes = snapshot(&mut h);
    assert_eq!(&bytes[..6], b"FXAC\x02\x00");

    let mut h = pair(words);
    h.by_hand.stage.restore(&bytes).unwrap();
    assert!(h.mark(99).is_empty());
    assert_eq!(h.by_hand.deadline(), Some(Moment(50)), "what is left of the timeout");
    assert_eq!(h.mark(100), ["x partial ttl: a -b"]);
    assert_eq!(h.feed(&[at("z", "a", 0), at("y", "b", 0)]), ["y complete: a b"]);
    assert_eq!((h.count(Class::Complete), h.count(Class::Duplicate)), (4, 1));
    assert_eq!(h.ledger().fragments, 6);
}

/// Row 105. Bytes of something else are refused, and it is said why.
#[test]
fn foreign_snapshots_are_refused() {
    let mut h = pair(|p| p);
    h.feed(&[of("x", "a")]);
    let bytes = snapshot(&mut h);
    let refused = |bytes: &[u8]| {
        let mut h = pair(|p| p);
        h.mark(0);
        h.by_hand.stage.restore(bytes).unwrap_err().to_string()
    };
    assert_eq!(refused(b"FXAC\x01\x00rest"), "these bytes are no accumulator state of version 2");
    assert_eq!(refused(b"FX"), "the accumulator's state ends early");
    for cut in 6..bytes.len() {
        assert_eq!(refused(&bytes[..cut]), "the accumulator's state ends early", "cut at {cut}");
    }
    let mut long = bytes.clone();
    long.push(0);
    assert_eq!(refused(&long), "bytes follow the accumulator's state");
    let mut other = required(Require::all(["a", "c"]), |p| p);
    other.mark(0);
    let e = other.by_hand.stage.restore(&bytes).unwrap_err();
    let text =
        "the state is of `all(a, b)` by Variable, the accumulator of `all(a, c)` by Variable";
    assert_eq!(e.to_string(), text);
}

#[test]
fn without_a_codec_there_is_no_snapshot() {
    let plan = Assembly::<Vec<u64>, u64>::new()
        .require(Require::count(2))
        .merge(|_: &mut u64, _| ())
        .accumulator(Always(|x: &u64| *x))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    assert!(h.stage.snapshot(&mut Vec::new()).is_ok(), "nothing is held");
    h.feed_keyed(Batch::of(vec![1]), &Always(|x: &u64| *x)).unwrap();
    let e = h.stage.snapshot(&mut Vec::new()).unwrap_err();
    let text = "this accumulator has no state codec; give it `.durable(save, load)`";
    assert_eq!(e.to_string(), text);
}

/// Row 109. Bytes of all open keys: others make room, the key just touched stays.
#[test]
fn over_the_byte_limit_the_least_used_key_leaves() {
    let three_keys = [of("x", "a"), of("y", "a"), of("z", "a")];
    let limited = |n: u64| required(Require::all(["a", "b", "c"]), move |p| p.max_bytes(n));
    let enough = (1..10_000).find(|n| limited(*n).feed(&three_keys).is_empty()).unwrap();
    let mut h = limited(enough);
    h.feed(&three_keys);
    // One byte of text more is one too many.
    assert_eq!(h.feed(&[of("x", "b")]), ["y partial evicted: a -b,c"]);
    assert_eq!(h.open(), 2);
    // A key that is too large even alone leaves itself.
    let mut h = limited(3);
    assert_eq!(h.feed(&[of("x", "a")]), ["x partial evicted: a -b,c"]);
}

/// Row 109. Refusing: no new keys at the limit; an open key that outgrows it leaves.
#[test]
fn at_a_refusing_limit_new_keys_are_dead_letters() {
    let three = || Require::all(["a", "b", "c"]);
    let mut h = required(three(), |p| p.max_items(2).on_limit(OnLimit::Refuse));
    assert!(h.feed(&[of("x", "a"), of("y", "a"), of("z", "a")]).is_empty());
    assert_eq!(h.dead(), ["refused_key z x1"]);
    assert_eq!(h.feed(&[of("x", "b")]), ["x partial capacity: a b -c"]);
    assert!(h.feed(&[of("z", "a")]).is_empty());
    assert_eq!(h.open(), 2);
}

struct Pool {
    granted: AtomicU64,
    peak: AtomicU64,
    limit: u64,
}

impl MemoryPool for Pool {
    fn register(&self, _: &str) -> ConsumerId {
        ConsumerId(0)
    }
    fn try_grow(&self, _: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
        let now = self.granted.load(Relaxed) + bytes;
        if now > self.limit {
            return Err(ReserveError {
                consumer: "assemble".into(),
                requested_bytes: bytes,
                available_bytes: self.limit - self.granted.load(Relaxed),
                limit_bytes: self.limit,
            });
        }
        self.granted.store(now, Relaxed);
        self.peak.fetch_max(now, Relaxed);
        Ok(())
    }
    fn shrink(&self, _: ConsumerId, bytes: u64) {
        self.granted.fetch_sub(bytes, Relaxed);
    }
    fn reserved(&self) -> u64 {
        self.granted.load(Relaxed)
    }
}

/// Row 109. Under a budget: nothing is granted over it, every fragment is accounted for, keys leave
/// as evicted instead, and all is given back.
#[test]
fn under_a_budget_keys_make_room() {
    for limit in [2_000, 20_000, 60_000, 1_000_000] {
        let pool = Arc::new(Pool { granted: 0.into(), peak: 0.into(), limit });
        let home =
            StageHome { memory: Some(Arc::clone(&pool) as _), ..StageHome::alone("assemble") };
        let plan = Assembly::<Vec<(u32, u16)>, u32>::new()
            .require(Require::all(["a", "b"]))
            .var(|r| Var::one(r.1))
            .merge(|s: &mut Vec<u8>, _| s.resize(s.len() + 32, 0))
            .weigh(Vec::capacity)
            .on_complete(After::Remove)
            .accumulator(Always(|r: &(u32, u16)| r.0))
            .unwrap();
        let mut h = ByHand::at_home(plan.make(), home);
        let mut complete = 0;
        for round in 0..2 {
            let rows: Vec<_> = (0..1_000).map(|k| (k, round)).collect();
            let out = h.feed_keyed(Batch::of(rows), &Always(|r: &(u32, u16)| r.0)).unwrap();
            complete += out.iter().filter(|o| o.is_complete()).count();
            let evicted = |o: &Outcome<u32, Vec<u8>>| o.headers().reason == Reason::Evicted;
            assert!(out.iter().all(|o| o.is_complete() || evicted(o)));
        }
        assert_eq!(complete == 1_000, limit == 1_000_000, "{limit}: {complete}");
        let ledger = h.stage.ledger().unwrap();
        assert!(ledger.balanced() && pool.peak.load(Relaxed) <= limit, "{ledger}");
        drop(h);
        assert_eq!(pool.reserved(), 0);
    }
}

/// Row 109. A stage without a single byte refuses, and says so.
#[test]
fn without_any_budget_every_key_is_refused() {
    let pool = Arc::new(Pool { granted: 0.into(), peak: 0.into(), limit: 10 });
    let home = StageHome { memory: Some(pool), ..StageHome::alone("assemble") };
    let mut h = hand(blueprint(Require::all(["a", "b"]), |p| p), home);
    assert!(h.feed(&[of("x", "a"), of("y", "a")]).is_empty());
    assert_eq!(h.dead(), ["refused_key x x1", "refused_key y x1"]);
}

/// Tombstones are bounded; one that is forced out is counted, and its key may open again.
#[test]
fn tombstones_are_bounded_and_counted() {
    let mut h = pair(|p| p.max_tombstones(2));
    for k in ["x", "y", "z"] {
        h.feed(&[of(k, "a"), of(k, "b")]);
    }
    assert_eq!(
        (h.ledger().tombstones_evicted, h.by_hand.stage.gauge().unwrap().tombstones),
        (1, 2)
    );
    h.feed(&[of("x", "a"), of("y", "a")]);
    assert_eq!((h.count(Class::Duplicate), h.count(Class::Open)), (1, 1));
}

/// Row 109. Deadlines beyond time never fire early.
#[test]
fn endless_deadlines_do_not_wrap() {
    let forever = std::time::Duration::MAX;
    let mut h = pair(|p| p.expire_after(forever).timeout(forever).inactive_after(forever));
    h.feed(&[at("x", "a", i64::MAX - 5), at("y", "a", i64::MIN)]);
    assert!(h.mark(i64::MAX - 1).len() <= 1);
    assert!(h.clock(u64::MAX - 1).is_empty());
    assert!(h.by_hand.watermark(Timestamp::MAX).unwrap().len() <= 2);
}

/// The blueprint describes itself for the plan.
#[test]
fn the_policy_is_described_word_by_word() {
    let plan = blueprint(Require::all(["a", "b"]), |p| p.expire_after(ns(10)).max_keys(7));
    let words = plan.describe().policy;
    assert_eq!((words["expire_after"].as_str(), words["max_keys"].as_str()), ("10ns", "7"));
    assert!(plan.policy().to_string().contains("require = all(a, b)"));
    let _ = key_of();
}
