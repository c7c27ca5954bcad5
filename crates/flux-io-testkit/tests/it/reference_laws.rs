//! Laws that hold for every policy and every stream, tried on thousands of small random ones.

use std::collections::{BTreeMap, BTreeSet};

use flux_io_testkit::jobs::reference::random::{Shape, events, policy};
use flux_io_testkit::jobs::reference::{
    After, Class, Event, Fragment, Identity, Kind, Model, Out, Policy, Required, Tombstone,
    WatermarkGenerator, run,
};
use flux_io_testkit::jobs::rng::SplitMix64;

const SEEDS: u64 = 2_000;

fn shape(rng: &mut SplitMix64) -> Shape {
    Shape {
        rows: 1 + rng.below(120),
        keys: 1 + rng.below(12),
        vars: 1 + rng.below(5),
        disorder: rng.below(12),
        lag: (rng.below(5) > 0).then(|| rng.below(8) as i64),
    }
}

/// Rows 113, 119, 121: the ledger balances at every step; what it counts is what was emitted;
/// nothing is open at the end.
#[test]
fn the_ledger_balances_and_agrees_with_what_is_emitted() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut rng = SplitMix64::new(seed);
        let mut model = Model::new(policy(&mut rng));
        let shape = shape(&mut rng);
        let mut emitted: BTreeMap<Class, u64> = BTreeMap::new();
        let stream = events(&mut rng, shape).into_iter().chain([Event::End]);
        for event in stream {
            for out in model.step(event) {
                let late = matches!(out.kind, Kind::Late | Kind::Corrected { .. });
                let fragments = if late { 1 } else { out.fragments.len() as u64 };
                *emitted.entry(class(&out)).or_default() += fragments;
            }
            assert!(model.ledger().balanced(), "seed {seed}: {:?}", model.ledger());
        }
        let ledger = model.ledger();
        assert_eq!((ledger.entered, model.open_keys()), (shape.rows, 0), "seed {seed}");
        for (&class, &count) in &ledger.classes {
            let silent = matches!(class, Class::Duplicate | Class::Dropped(_) | Class::Late);
            let told = emitted.get(&class).copied().unwrap_or(0);
            assert!(told == count || silent && told < count, "seed {seed}: {class}");
            seen.insert(class);
        }
    }
    assert!(seen.len() >= 12, "the streams reach too few classes: {seen:?}");
}

fn class(out: &Out) -> Class {
    match &out.kind {
        Kind::Complete => Class::Complete,
        Kind::Partial { cause, .. } => Class::Partial(*cause),
        Kind::Late | Kind::Corrected { .. } => Class::Late,
        Kind::DeadLetter(cause) => Class::DeadLetter(*cause),
    }
}

/// Row 124: with tombstones to the end, no key and generation has two results.
#[test]
fn no_result_is_emitted_twice() {
    for seed in 0..SEEDS {
        let mut rng = SplitMix64::new(seed);
        let to_end = After::Tombstone(Tombstone::ToEnd);
        let policy = Policy { after: to_end, ..policy(&mut rng) };
        let shape = shape(&mut rng);
        let (outs, _) = run(policy, events(&mut rng, shape).into_iter().chain([Event::End]));
        let results =
            outs.iter().filter(|out| matches!(class(out), Class::Complete | Class::Partial(_)));
        let mut results: Vec<_> = results.map(|out| (out.key, out.generation)).collect();
        let all = results.len();
        results.sort_unstable();
        results.dedup();
        assert_eq!(results.len(), all, "seed {seed}");
    }
}

/// Rows 110, 118: without deadlines and limits, order and repetition of fragments change nothing.
#[test]
fn order_and_repetition_do_not_change_the_outcome() {
    for seed in 0..SEEDS {
        let mut rng = SplitMix64::new(seed);
        let required = match rng.below(2) {
            0 => Required::Static(3),
            _ => Required::Declared { header: 0, bases: vec![0, 2] },
        };
        let policy = Policy { identity: Identity::Variable, ..Policy::new(required) };
        let mut rows = distinct_rows(&mut rng, policy.required == Required::Static(3));
        let outcome = |rows: &[Event]| {
            let (outs, ledger) = run(policy.clone(), rows.iter().copied().chain([Event::End]));
            let results = outs.into_iter().filter(|out| !matches!(out.kind, Kind::Late));
            let results: BTreeSet<_> = results.map(|out| out.to_string()).collect();
            (results, ledger.count(Class::Duplicate))
        };
        let (plain, none) = outcome(&rows);
        assert_eq!(none, 0, "seed {seed}");
        let copies: Vec<Event> = rows.iter().step_by(3).copied().collect();
        rows.extend(&copies);
        rng.shuffle(&mut rows);
        assert_eq!(outcome(&rows), (plain, copies.len() as u64), "seed {seed}");
    }
}

/// Fragments of ten keys, each required variable there with three chances of four, none besides.
fn distinct_rows(rng: &mut SplitMix64, static_set: bool) -> Vec<Event> {
    let mut rows = Vec::new();
    for key in 0..10 {
        let lines = 1 + rng.below(2);
        let vars: &[u32] = match (static_set, lines) {
            (true, _) => &[0, 1, 2],
            (false, 1) => &[0, 1, 3],
            (false, _) => &[0, 1, 2, 3, 4],
        };
        for &var in vars {
            if rng.below(4) > 0 {
                let ts = rng.below(50) as i64;
                let part = Fragment { key, var, ts, ident: 0, payload: lines, bytes: 1 };
                rows.push(Event::Fragment(part));
            }
        }
    }
    rows
}

/// Row 113: where the disorder stays within the lag and a key's fragments lie within the deadline,
/// to the unit, each key has the same result in every order that a feed of that lag may have. (Its
/// cause may be the deadline or the end, as the watermark gets there or not.)
#[test]
fn disorder_within_the_lag_does_not_change_the_outcome() {
    const LAG: i64 = 6;
    const TTL: i64 = 9;
    for seed in 0..SEEDS {
        let mut rng = SplitMix64::new(seed);
        let policy = Policy { ttl: Some(TTL), ..Policy::new(Required::Static(3)) };
        let mut rows = Vec::new();
        for key in 0..30 {
            for var in (0..3).filter(|_| rng.below(5) > 0).collect::<Vec<u32>>() {
                let ts = 5 * key as i64 + rng.below(TTL as u64 + 1) as i64;
                rows.push(Fragment { key, var, ts, ident: 0, payload: 0, bytes: 1 });
            }
        }
        let mut wanted = None;
        for _ in 0..3 {
            rng.shuffle(&mut rows);
            rows.sort_by_cached_key(|row| row.ts + rng.below(LAG as u64 + 1) as i64);
            let got = results(&policy, LAG, &rows);
            assert_eq!(*wanted.get_or_insert_with(|| got.clone()), got, "seed {seed}");
        }
    }
}

/// Key, generation, and what is missing of each result; anything else that is emitted is a row too.
fn results(policy: &Policy, lag: i64, rows: &[Fragment]) -> BTreeSet<(u64, u32, Option<Vec<u32>>)> {
    let mut marks = WatermarkGenerator::new(lag);
    let mut events = Vec::new();
    for row in rows {
        events.extend(marks.before(row.ts).map(Event::Watermark));
        events.push(Event::Fragment(*row));
    }
    let (outs, _) = run(policy.clone(), events.into_iter().chain([Event::End]));
    let told = outs.into_iter().map(|out| match out.kind {
        Kind::Complete => (out.key, out.generation, Some(Vec::new())),
        Kind::Partial { missing, .. } => (out.key, out.generation, Some(missing)),
        _ => (out.key, out.generation, None),
    });
    told.collect()
}
