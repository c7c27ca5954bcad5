//! Several instances of one accumulator: one key has one owner, and limits are of all of them.

use crate::kit::{Acc, Hand, Piece, batch, blueprint, key_of, of};
use flux_io_accumulate::{Blueprint, EvictTo, OnLimit, OnUnkeyed, Policy, Require};
use flux_io_core::{KeyOf, Stage, StageHome, hash_of, shard_of};

fn instances<KO: KeyOf<Vec<Piece>, Key = String>, A: Acc>(
    plan: &Blueprint<Vec<Piece>, KO, A>,
    shards: u32,
) -> Vec<Hand<KO, A>> {
    let at = |shard| StageHome { shard, shards, ..StageHome::alone("assemble") };
    (0..shards)
        .map(|s| Hand { by_hand: flux_io_core::ByHand::at_home(plan.make(), at(s)) })
        .collect()
}

fn keys(n: usize) -> Vec<&'static str> {
    (0..n).map(|i| &*Box::leak(format!("key {i}").into_boxed_str())).collect()
}

/// Open keys of all instances after each of many rows, and dead letters.
fn most(words: impl Fn(Policy) -> Policy, shards: u32, keys: &[&'static str]) -> (u64, u64, u64) {
    let plan = blueprint(Require::all(["a", "b", "c"]), words);
    let mut all = instances(&plan, shards);
    let (mut most_keys, mut most_items, mut most_tombs) = (0, 0, 0);
    for (i, k) in keys.iter().enumerate() {
        let shard = shard_of(hash_of(*k, 0), shards) as usize;
        all[shard].feed(&[of(k, ["a", "b"][i % 2])]);
        let gauges = || all.iter().map(|h| h.by_hand.stage.gauge().unwrap());
        most_keys = most_keys.max(gauges().map(|g| g.keys).sum());
        most_items = most_items.max(gauges().map(|g| g.items).sum());
        most_tombs = most_tombs.max(gauges().map(|g| g.tombstones).sum());
    }
    (most_keys, most_items, most_tombs)
}

/// A limit is of all instances: never passed, and met no more than a block each early.
#[test]
fn limits_are_of_all_instances() {
    let keys = keys(1_000);
    for shards in [1, 2, 4, 7] {
        for limit in [1_u64, 3, 10, 64, 300] {
            let block = (limit / 64).max(1);
            let early = if shards == 1 { 0 } else { block * u64::from(shards) };
            for on in [OnLimit::Evict(EvictTo::Partial), OnLimit::Refuse] {
                let (open, ..) = most(|p| p.max_keys(limit).on_limit(on), shards, &keys);
                assert!(open <= limit && open + early >= limit, "{open} of {limit}, {shards}");
                let (_, items, _) = most(|p| p.max_items(limit).on_limit(on), shards, &keys);
                assert!(
                    items <= limit && items + early >= limit,
                    "{items} of {limit}, {shards} {on:?}"
                );
            }
            let tombs = |p: Policy| p.max_keys(shards.into()).max_tombstones(limit);
            let (.., tombs) = most(tombs, shards, &keys);
            assert!(tombs <= limit && tombs + early >= limit, "{tombs} of {limit}, {shards}");
        }
    }
}

/// With room for one key each, no instance is shut out by the others.
#[test]
fn each_instance_has_a_share_of_its_own() {
    let plan = blueprint(Require::all(["a", "b"]), |p| p.max_keys(64));
    let mut all = instances(&plan, 4);
    for k in keys(200) {
        all[0].feed(&[of(k, "a")]);
    }
    assert_eq!(all[0].open(), 61, "all but the first shares of the others");
    for (h, k) in all[1..].iter_mut().zip(["x", "y", "z"]) {
        h.feed(&[of(k, "a")]);
        assert_eq!((h.open(), h.dead().len()), (1, 0));
    }
    all.remove(0);
    for k in keys(30) {
        all[0].feed(&[of(k, "a")]);
    }
    assert_eq!(all[0].open(), 31, "what an instance had is there for the others when it ends");
}

/// What is restored counts.
#[test]
fn restored_keys_are_leased() {
    let plan = blueprint(Require::all(["a", "b"]), |p| p.max_keys(10));
    let mut all = instances(&plan, 2);
    for k in keys(50) {
        all[0].feed(&[of(k, "a")]);
    }
    let mut bytes = Vec::new();
    all[0].by_hand.stage.snapshot(&mut bytes).unwrap();
    let held = all[0].open();
    drop(all);
    let mut all = instances(&plan, 2);
    all[0].by_hand.stage.restore(&bytes).unwrap();
    all[0].mark(0);
    for k in keys(50) {
        all[1].feed(&[of(k, "a")]);
    }
    assert_eq!((all[0].open(), all[1].open()), (held, 10 - held));
}

/// Rows without a key and rows that carry the default one are one key, whose hash says so.
#[test]
fn rows_without_a_key_are_rows_of_the_default_one() {
    let words = |p: Policy| p.on_unkeyed(OnUnkeyed::Default(b"k".to_vec()));
    let plan = blueprint(Require::all(["a", "b"]), words);
    assert_eq!(plan.default_key().as_deref(), Some("k"));
    let nobody = |var| Piece { key: None, var, ts: 0 };
    for hash in [flux_io_core::UNKEYED, hash_of("k", 0)] {
        for rows in [[of("k", "a"), nobody("b")], [nobody("a"), of("k", "b")]] {
            let mut h = instances(&plan, 1).remove(0);
            let mut b = batch(&rows);
            let own = |p: &Piece| key_of().hash(p, 0).unwrap_or(hash);
            b.meta.hash = rows.iter().map(own).collect();
            let out = h.told(|h| h.feed(b));
            assert_eq!(out, ["k complete: a b"]);
            // A letter names the key.
            let strange = [nobody("no variable")];
            let mut b = batch(&strange);
            b.meta.hash = vec![hash];
            h.told(|h| h.feed(b));
            assert_eq!(h.dead(), ["type k x1"]);
        }
    }
}
