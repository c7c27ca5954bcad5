//! The faults of the original documents that concern accumulation, each with its right behaviour.

use crate::kit::{at, blueprint, hand, ns, of, pair, required};
use flux_io_accumulate::{
    After, Assembly, EvictTo, Keep, OnEnd, OnExpire, OnLate, OnLimit, OnUnkeyed, Policy,
    PolicyFault, Require, Then,
};
use flux_io_core::{
    Accumulate, Always, At, Batch, ByHand, Class, Completeness, DeadCause, DropCause, ErrorClass,
    ErrorKind, Outcome, Reason, RowError, Seq, Stage, StageHome, Timestamp, Var, Why, hash_of,
    shard_of,
};

/// Rows 118, 119. A key that falls silent expires: by the watermark, and by the engine's clock.
#[test]
fn b028_a_silent_key_expires() {
    let mut h = pair(|p| p.expire_after(ns(10)));
    assert!(h.feed(&[at("k", "a", 5)]).is_empty());
    assert!(h.mark(14).is_empty());
    assert_eq!(h.mark(15), ["k partial ttl: a -b"]);

    let mut h = pair(|p| p.timeout(ns(10)));
    assert!(h.clock(3).is_empty());
    assert!(h.feed(&[of("k", "a")]).is_empty());
    assert!(h.clock(12).is_empty());
    assert_eq!(h.clock(13), ["k partial ttl: a -b"]);
}

/// Row 122. What makes room is emitted or becomes a dead letter, and is counted.
#[test]
fn b032_eviction_is_never_silent() {
    let rows = [of("x", "a"), of("y", "a"), of("z", "a")];
    let mut h = pair(|p| p.max_keys(2));
    assert_eq!(h.feed(&rows), ["x partial evicted: a -b"]);
    assert_eq!(h.count(Class::Partial(Reason::Evicted)), 1);

    let mut h = pair(|p| p.max_keys(2).on_limit(OnLimit::Evict(EvictTo::DeadLetter)));
    assert!(h.feed(&rows).is_empty());
    let letters = h.by_hand.take_dead();
    assert_eq!(letters[0].what, "left incomplete, reason evicted; 1 missing: b");
    assert_eq!((letters[0].cause, letters[0].items), (DeadCause::Evicted, 1));
    let letter = letters.into_iter().next().unwrap().into_dead_letter::<Vec<String>>().unwrap();
    assert_eq!(letter.original, ["a"], "what was assembled is the original");

    let mut h = pair(|p| p.max_keys(2).on_limit(OnLimit::Refuse));
    assert!(h.feed(&rows).is_empty());
    assert_eq!(h.dead(), ["refused_key z x1"]);
}

/// Row 115. Each answer to a deadline is explicit.
#[test]
fn b033_on_expire_says_what_happens() {
    let run = |on| {
        let mut h = pair(|p| p.expire_after(ns(10)).on_expire(on));
        h.feed(&[of("k", "a")]);
        let outs = [h.mark(10), h.mark(20), h.mark(30)];
        (outs.map(|o| o.len()), h.dead(), h.by_hand.take_dropped(), h.ledger().to_string())
    };
    let none = Vec::new;
    let partial = run(OnExpire::Partial);
    assert_eq!(partial, ([1, 0, 0], none(), vec![], "1 fragments, partial.ttl 1".into()));
    let dead = run(OnExpire::DeadLetter);
    let letter = vec!["expired k x1".to_owned()];
    assert_eq!(dead, ([0, 0, 0], letter, vec![], "1 fragments, dead_letter.expired 1".into()));
    let drop = run(OnExpire::Drop);
    let dropped = vec![("expire_drop", 1)];
    assert_eq!(drop, ([0, 0, 0], none(), dropped, "1 fragments, dropped.expire_drop 1".into()));
    let extend = run(OnExpire::Extend { times: 2, then: Then::Partial });
    assert_eq!(extend, ([0, 0, 1], none(), vec![], "1 fragments, partial.ttl 1".into()));
}

/// Row 115.
#[test]
fn b033_abort_fails_the_run_and_keeps_the_key() {
    let mut h = pair(|p| p.expire_after(ns(10)).on_expire(OnExpire::Abort));
    h.feed(&[of("k", "a")]);
    let e = h.by_hand.watermark(Timestamp(10)).unwrap_err();
    assert_eq!((e.class, e.kind), (ErrorClass::Catastrophic, ErrorKind::CompletenessDeadlock));
    let text = "key [6b] was not complete at its deadline and the policy aborts; 1 missing: b";
    assert_eq!(e.to_string(), text);
    assert_eq!(h.dead(), ["abort k x1"]);
    assert!(h.ledger().balanced());
}

/// Row 121. Without partial results, an expired key still leaves.
#[test]
fn b068_a_key_that_expires_without_a_result_is_gone() {
    for on in [OnExpire::DeadLetter, OnExpire::Drop, OnExpire::Partial] {
        let mut h = pair(|p| p.expire_after(ns(10)).on_expire(on));
        h.feed(&[of("k", "a"), of("l", "a")]);
        assert_eq!(h.open(), 2);
        h.mark(10);
        assert_eq!((h.open(), h.count(Class::Open)), (0, 0));
    }
}

/// Row 124. After leaving: gone, begun anew, or remembered.
#[test]
fn b069_what_stays_of_a_key_is_the_policys() {
    let rows = [of("k", "a"), of("k", "b"), of("k", "a"), of("k", "b")];
    let mut h = pair(|p| p.on_complete(After::Remove));
    assert_eq!(h.feed(&rows), ["k complete: a b", "k complete: a b"]);
    let mut h = pair(|p| p.on_complete(After::Reset));
    assert_eq!(h.feed(&rows), ["k complete: a b", "k#1 complete: a b"]);
    let mut h = pair(|p| p.on_complete(After::Tombstone(Keep::ToEnd)));
    assert_eq!(h.feed(&rows), ["k complete: a b"]);
    assert_eq!((h.count(Class::Duplicate), h.open()), (2, 0));
}

/// Row 124.
#[test]
fn b069_late_fragments_go_where_the_policy_says() {
    let rows = [at("k", "a", 0), at("k", "b", 0), at("k", "b", 0), at("k", "a", 0)];
    let run = |late| {
        let mut h = pair(|p| p.expire_after(ns(5)).on_late(late));
        let mut told = h.feed(&rows[..1]);
        told.extend(h.mark(5));
        told.extend(h.feed(&rows[1..]));
        assert_eq!((h.count(Class::Partial(Reason::Ttl)), h.ledger().fragments), (1, 4));
        (told[1..].to_vec(), h.count(Class::Late), h.count(Class::Duplicate))
    };
    let first = |rest: &[&str]| rest.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(run(OnLate::SideOutput), (first(&["k late: b"]), 1, 2));
    assert_eq!(run(OnLate::Drop), (vec![], 1, 2));
    assert_eq!(run(OnLate::Correct), (first(&["k corrected: a b"]), 1, 2));
}

/// Row 124. A new generation is a life of its own: what comes too late for it, too, leaves at once.
#[test]
fn b069_a_new_generation_opens_the_key_again() {
    let mut h = pair(|p| p.expire_after(ns(5)).on_late(OnLate::NewGeneration));
    h.feed(&[at("k", "a", 0)]);
    assert_eq!(h.mark(5), ["k partial ttl: a -b"]);
    assert!(h.feed(&[at("k", "b", 9)]).is_empty());
    assert_eq!(h.feed(&[at("k", "a", 9)]), ["k#1 complete: b a"]);
    assert_eq!((h.count(Class::Duplicate), h.count(Class::Late)), (0, 0));
}

/// Rows 106, 107, 112 and 114. A verdict of one's own sees the state, event time, watermark, clock.
#[test]
fn b070_the_verdict_may_depend_on_the_time() {
    let plan = Assembly::<Vec<i64>, u64>::new()
        .require(Require::checked::<&str>([]))
        .on_complete(After::Remove)
        .merge(|sum: &mut i64, x| *sum += *x)
        .check(|sum, at: At| {
            let late = at.time.0 >= 100 || at.now.0 >= 100;
            Some(match *sum {
                s if s >= 10 => Completeness::Complete,
                _ if late => Completeness::Expired,
                s => Completeness::Incomplete { score: s as f32 / 10.0 },
            })
        })
        .accumulator(Always(|_: &i64| 1_u64))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let mut seq = 0;
    let mut feed = |h: &mut ByHand<_>, ts, x| {
        let mut b = Batch::of(vec![x]);
        seq += 1;
        b.meta.seq = Seq::Run(seq);
        b.meta.time = flux_io_core::Uniform::All(Timestamp(ts));
        h.feed_keyed(b, &Always(|_: &i64| 1_u64)).unwrap()
    };
    assert!(feed(&mut h, 0, 4).is_empty());
    assert!(matches!(&feed(&mut h, 0, 6)[..], [Outcome::Complete { value: 10, .. }]));
    assert!(feed(&mut h, 0, 3).is_empty());
    let out = feed(&mut h, 100, 2);
    assert!(matches!(&out[..], [Outcome::Partial { value: 5, .. }]));
    assert_eq!(out[0].headers().reason, Reason::Ttl);
    assert!(feed(&mut h, 0, 5).is_empty());
    let out = h.end().unwrap();
    assert_eq!(out[0].headers().completeness.to_bits(), 0.5_f32.to_bits());
}

/// Rows 109, 111. Items, bytes, first flush and expiry together, each with its reason.
#[test]
fn b071_each_limit_has_its_reason() {
    let three = || Require::all(["a", "b", "c"]);
    let mut h = required(three(), |p| p.max_key_items(2));
    assert_eq!(h.feed(&[of("k", "a"), of("k", "b")]), ["k partial capacity: a b -c"]);
    assert_eq!(h.count(Class::Partial(Reason::Capacity)), 2);

    // Three words of state and one byte of text for each variable.
    let mut h = required(three(), |p| p.max_key_bytes(24 + 1 + 2));
    assert_eq!(h.feed(&[of("k", "a"), of("k", "b")]), ["k partial capacity: a b -c"]);

    let mut h = pair(|p| p.flush_after(ns(5)).timeout(ns(10)).on_expire(OnExpire::Drop));
    h.feed(&[of("k", "a")]);
    assert_eq!(
        h.clock(5),
        ["k partial latency: a -b"],
        "the flush is a partial whatever expiry is"
    );
    let mut h = pair(|p| p.flush_after(ns(10)).timeout(ns(5)));
    h.feed(&[of("k", "a")]);
    assert_eq!(h.clock(20), ["k partial ttl: a -b"]);
}

/// Row 111. Count accumulators are complete when they reach their count.
#[test]
fn b071_reaching_a_count_is_complete() {
    let plan = Assembly::<Vec<u64>, u64>::new()
        .require(Require::count(3))
        .max_key_items(3)
        .on_complete(After::Reset)
        .merge(|sum: &mut u64, x| *sum += *x)
        .accumulator(Always(|x: &u64| *x % 2))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let out = h.feed_keyed(Batch::of((0..12).collect()), &Always(|x: &u64| *x % 2)).unwrap();
    let sums: Vec<u64> = out.iter().map(|o| *o.value()).collect();
    assert!(out.iter().all(Outcome::is_complete));
    assert_eq!(sums, [6, 9, 24, 27]);
}

/// Row 121. At the end every key leaves, in the order of its bytes.
#[test]
fn b072_the_end_flushes_every_key_in_order() {
    let rows = [of("m", "a"), of("b", "b"), of("z", "a"), of("ab", "a")];
    let mut h = pair(|p| p);
    h.feed(&rows);
    let partials = ["ab", "b", "m", "z"].map(|k| format!("{k} partial end"));
    let ended = h.end();
    assert!(ended.iter().zip(partials).all(|(e, p)| e.starts_with(&p)), "{ended:?}");
    let mut h = pair(|p| p.on_end(OnEnd::DeadLetter));
    h.feed(&rows);
    assert!(h.end().is_empty());
    assert_eq!(h.dead(), ["expired ab x1", "expired b x1", "expired m x1", "expired z x1"]);
    let mut h = pair(|p| p.on_end(OnEnd::Drop));
    h.feed(&rows);
    assert!(h.end().is_empty());
    assert_eq!(h.count(Class::Dropped(DropCause::ExpireDrop)), 4);
    assert_eq!(h.by_hand.take_dropped(), [("expire_drop", 4)]);
    let mut h = pair(|p| p.on_end(OnEnd::Keep).max_keys(9));
    h.feed(&rows);
    assert!(h.end().is_empty());
    assert_eq!((h.open(), h.count(Class::Open)), (4, 4));
}

/// Row 117. The score is 1 exactly for complete keys, however weights round.
#[test]
fn b073_the_score_is_informative_only() {
    let tenths = || Require::all(["a", "b"]).weight("a", 1e30).weight("b", 1e-30);
    let mut h = required(tenths(), |p| p);
    h.feed(&[of("k", "a")]);
    let Why::Open { score, .. } = h.why("k") else { panic!("not open") };
    assert!(score < 1.0 && score > 0.999);
    let out = h.by_hand.end().unwrap();
    assert!(!out[0].is_complete() && out[0].headers().completeness < 1.0);
}

/// Row 110. Beyond 64 variables nothing changes.
#[test]
fn b074_seventy_variables() {
    let names: Vec<&'static str> =
        (0..70).map(|i| &*Box::leak(format!("v{i}").into_boxed_str())).collect();
    let mut h = required(Require::all(names.clone()), |p| p);
    let rows: Vec<_> = names.iter().rev().map(|n| of("k", n)).collect();
    assert!(h.feed(&rows[..69]).is_empty());
    assert!(h.feed(&rows[..5]).is_empty());
    let Why::Open { fragments: 69, missing, .. } = h.why("k") else { panic!("not open") };
    assert_eq!(missing[0].to_string(), "v0");
    assert_eq!(h.feed(&rows[69..]).len(), 1);
    assert_eq!((h.count(Class::Complete), h.count(Class::Duplicate)), (70, 5));
}

/// Row 120.
#[test]
fn b075_weights_feed_the_score() {
    let r = Require::all(["photo", "text"]).weight("photo", 3.0);
    let mut h = required(r, |p| p);
    h.feed(&[of("k", "photo"), of("l", "text")]);
    let scores: Vec<f32> =
        h.by_hand.end().unwrap().iter().map(|o| o.headers().completeness).collect();
    assert_eq!(scores.iter().map(|s| (s * 100.0) as u32).collect::<Vec<_>>(), [75, 25]);
}

/// A row without a key is a dead letter, or counts as of the default key.
#[test]
fn b076_rows_without_a_key() {
    let nobody = |var| crate::kit::Piece { key: None, var, ts: 0 };
    let mut h = pair(|p| p);
    assert!(h.feed(&[nobody("a")]).is_empty());
    assert_eq!(h.dead(), ["no_key ? x1"]);
    let default = OnUnkeyed::Default(b"nobody".to_vec());
    let mut h = pair(|p| p.on_unkeyed(default));
    assert!(h.feed(&[nobody("a"), nobody("a")]).is_empty());
    assert_eq!(h.feed(&[nobody("b")]), ["nobody complete: a b"]);
    assert!(h.feed(&[nobody("b")]).is_empty());
    assert_eq!(h.count(Class::Duplicate), 2);

    let bad = Policy::new(Require::all(["a"])).on_unkeyed(OnUnkeyed::Default(vec![1, 2]));
    let fault = Assembly::<Vec<u64>, u64>::new()
        .policy(bad)
        .merge(|_: &mut u64, _| ())
        .accumulator(Always(|x: &u64| *x))
        .unwrap_err();
    assert_eq!(fault, [PolicyFault::DefaultKey(vec![1, 2])]);
}

/// Row 124. Key and generation identify an emission; identities tell copies from fragments.
#[test]
fn b077_fragments_are_told_apart_by_their_identity() {
    let plan = Assembly::<Vec<(u64, u64)>, u64>::new()
        .require(Require::count(2))
        .identity_by(|r| r.1)
        .merge(|sum: &mut u64, r| *sum += r.1)
        .accumulator(Always(|r: &(u64, u64)| r.0))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let rows = vec![(1, 5), (1, 5), (2, 7), (1, 6), (1, 6), (1, 5), (1, 9)];
    let out = h.feed_keyed(Batch::of(rows), &Always(|r: &(u64, u64)| r.0)).unwrap();
    let told: Vec<(u64, u64, bool)> =
        out.iter().map(|o| (*o.key(), *o.value(), o.is_complete())).collect();
    assert_eq!(told, [(1, 11, true), (1, 9, false)]);
    let l = h.stage.ledger().unwrap();
    let counts = (l.get(Class::Duplicate), l.get(Class::Late), l.get(Class::Open));
    assert_eq!(counts, (3, 1, 1));
}

/// Rows 116, 125. One key has one owner: instances that share a stream by hash each see whole keys, and
/// together they tell what one instance tells.
#[test]
fn b080_shards_own_their_keys() {
    let rows: Vec<_> = (0..200_u64).map(|i| (i * 7 % 50, (i / 50) as u16)).collect();
    let plan = Assembly::<Vec<(u64, u16)>, u64>::new()
        .require(Require::all(["a", "b", "c", "d"]))
        .var(|r| Var::one(r.1))
        .merge(|n: &mut u32, _| *n += 1)
        .accumulator(Always(|r: &(u64, u16)| r.0))
        .unwrap();
    let key = Always(|r: &(u64, u16)| r.0);
    let run = |shards: u32| {
        let mut keys = Vec::new();
        let mut ledger = flux_io_core::Ledger::default();
        for shard in 0..shards {
            let home = StageHome { shard, shards, ..StageHome::alone("assemble") };
            let mut h = ByHand::at_home(plan.make(), home);
            let own = |r: &&(u64, u16)| shard_of(hash_of(&r.0, 0), shards) == shard;
            let part: Vec<_> = rows.iter().filter(own).copied().collect();
            let mut out = h.feed_keyed(Batch::of(part), &key).unwrap();
            out.extend(h.end().unwrap());
            keys.extend(out.iter().map(|o| (*o.key(), o.is_complete(), *o.value())));
            ledger.merge(&h.stage.ledger().unwrap());
        }
        keys.sort_unstable();
        (keys, ledger)
    };
    let one = run(1);
    assert_eq!(one.0.len(), 50);
    assert_eq!(run(3), one);
}

/// Rows 105, 128. An accumulator written by hand; a row that fails to merge leaves nothing behind,
/// not even its key.
#[test]
fn a_failing_first_row_opens_no_key() {
    #[derive(Clone)]
    struct Picky;
    impl Accumulate<Vec<u64>> for Picky {
        type Key = u64;
        type State = u64;
        type Out = u64;
        fn init(&self) -> u64 {
            0
        }
        fn var(&self, row: &u64) -> Result<Var, RowError> {
            Ok(Var::one((*row / 10) as u16))
        }
        fn update(&self, state: &mut u64, row: &mut u64, _: At) -> Result<(), RowError> {
            if *row % 10 == 3 {
                return Err(RowError::new(DeadCause::Invalid, "threes are not taken"));
            }
            *state += *row;
            Ok(())
        }
        fn finish(&self, _: &u64, state: &mut u64) -> u64 {
            std::mem::take(state)
        }
    }
    let key = Always(|_: &u64| 1_u64);
    let policy = Policy::new(Require::all(["a", "b"]));
    let plan = flux_io_accumulate::Blueprint::new(policy, key, Picky).unwrap();
    let mut h = ByHand::new(plan.make());
    assert!(h.feed_keyed(Batch::of(vec![3]), &key).unwrap().is_empty());
    assert_eq!(h.stage.gauge().unwrap().keys, 0);
    let out = h.feed_keyed(Batch::of(vec![1, 13, 12]), &key).unwrap();
    assert!(matches!(&out[..], [Outcome::Complete { value: 13, .. }]));
    let letters = h.take_dead();
    let originals: Vec<Vec<u64>> =
        letters.into_iter().map(|l| l.into_dead_letter().unwrap().original).collect();
    assert_eq!(originals, [[3], [13]], "each failed row, as a column of its own");
    let l = h.stage.ledger().unwrap();
    assert_eq!((l.keys_opened, l.get(Class::DeadLetter(DeadCause::Invalid))), (1, 2));
}

/// Row 127. The flagship of the documents: a template is filled when its data, its schema and all its
/// parts are there, in any order; the number of parts comes with the schema.
#[test]
fn a_template_is_filled_when_everything_is_there() {
    #[derive(Clone)]
    struct Input {
        document: &'static str,
        part: &'static str,
        text: &'static str,
    }
    let plan = Assembly::<Vec<Input>, String>::new()
        .require(Require::parse(["schema", "data", "part:1..{parts}"]).unwrap())
        .var_name(|i| i.part)
        .bound("parts", |i| i.text.strip_prefix("parts=").and_then(|n| n.parse().ok()))
        .merge(|t: &mut std::collections::BTreeMap<&str, &str>, i| _ = t.insert(i.part, i.text))
        .finish(|key: &String, t| {
            format!("{key}: {}", t.values().copied().collect::<Vec<_>>().join("|"))
        })
        .accumulator(flux_io_core::AlwaysStr(document))
        .unwrap();
    const fn document(i: &Input) -> &str {
        i.document
    }
    let key = flux_io_core::AlwaysStr(document);
    let input = |part, text| Input { document: "invoice", part, text };
    let rows = [
        input("part:2", "total"),
        input("data", "Ada"),
        input("schema", "parts=2"),
        input("part:1", "lines"),
    ];
    for turn in 0..4 {
        let mut rows = rows.to_vec();
        rows.rotate_left(turn);
        let mut h = ByHand::new(plan.make());
        let out = h.feed_keyed(Batch::of(rows), &key).unwrap();
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].value(), "invoice: Ada|lines|total|parts=2");
    }
}

/// Row 265. The gate lets so many new keys in a second; known keys pass.
#[test]
fn new_keys_are_gated_by_rate() {
    let mut h = hand(
        blueprint(Require::all(["a", "b"]), |p| p.new_keys(1, 2)),
        StageHome::alone("assemble"),
    );
    let rows = [of("x", "a"), of("y", "a"), of("z", "a"), of("x", "b")];
    assert_eq!(h.feed(&rows), ["x complete: a b"]);
    assert_eq!(h.dead(), ["refused_key z x1"]);
    h.clock(1_000_000_000);
    assert!(h.feed(&[of("z", "a")]).is_empty());
    assert_eq!(h.open(), 2);
}
