//! Accumulators of several instances, and panics in their closures, on every engine.

use flux_io::accumulate::OnLimit;
use flux_io::core::{Class, DeadCause, Engine, RunOptions, RunReport};
use flux_io::flow::Ended as End;
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Each engine with several batch sizes and numbers of instances.
fn every_way(run: impl Fn(&str, &dyn Fn(End<'static>) -> RunReport, u32)) {
    let engines: [&dyn Engine; 3] = [&SyncEngine::seeded(5), &TokioEngine, &RayonEngine];
    for engine in engines {
        for (shards, batch) in [(1, 1), (1, 1024), (4, 7), (4, 1024)] {
            let options = || RunOptions::default().workers(2).batch(batch);
            let run_one = |end: End<'static>| {
                let report = engine.run_plan(end.plan().unwrap(), options());
                report.check().unwrap();
                report
            };
            run(&format!("{} {shards} {batch}", engine.name()), &run_one, shards);
        }
    }
}

/// One panic in a merge, in the middle of a batch: the key is one letter, every other key is whole,
/// and the accounts add up.
#[test]
fn a_panic_costs_its_key_on_every_engine() {
    every_way(|at, run, shards| {
        let (collect, got) = sink::collect();
        let rows = (0..600_u64).flat_map(|i| [(i % 300, i / 300)]);
        let end = Pipeline::new()
            .source("rows", source::iter(rows))
            .key_by("k", |r: &(u64, u64)| r.0)
            .accumulate("pairs", |p| {
                p.require(Require::all(["a", "b"])).var(|r| Var::one(r.1 as u16)).merge(
                    |n: &mut u64, r: &mut (u64, u64)| {
                        if *r == (77, 1) {
                            std::panic::resume_unwind(Box::new("boom"));
                        }
                        *n += 1;
                    },
                )
            })
            .parallel(shards)
            .on_error(OnError::DeadLetter)
            .sink("out", collect);
        let report = run(end);
        let out = got.take();
        assert!(out.iter().all(|o| o.is_complete() && *o.key() != 77), "{at}");
        assert_eq!(out.len(), 299, "{at}");
        assert_eq!(report.dead_letters.get(&DeadCause::Poison), Some(&2), "{at}");
        let l = report.ledger("pairs").unwrap();
        let classes = (l.get(Class::Complete), l.get(Class::DeadLetter(DeadCause::Poison)));
        assert_eq!(classes, (598, 2), "{at}");
    });
}

/// A row without a key and a row that carries the default key meet, whoever owns it.
#[test]
fn rows_without_a_key_meet_the_rows_of_the_default_one() {
    every_way(|at, run, shards| {
        for k in 0..12_u64 {
            let (collect, got) = sink::collect();
            let end = Pipeline::new()
                .source("rows", source::iter([(Some(k), 0_u16), (None, 1)]))
                .try_key_by("k", |r: &(Option<u64>, u16)| r.0)
                .accumulate("pairs", move |p| {
                    p.require(Require::all(["a", "b"]))
                        .default_key(&k)
                        .var(|r| Var::one(r.1))
                        .merge(|n: &mut u64, _| *n += 1)
                })
                .parallel(shards)
                .sink("out", collect);
            run(end);
            let out = got.take();
            assert!(matches!(&out[..], [o] if o.is_complete() && *o.key() == k), "{at}: {out:?}");
        }
    });
}

/// A limit is that of the run, whatever the number of instances: never passed by what they hold at one
/// time, and what is refused is refused within a block an instance of it.
#[test]
fn a_limit_is_of_the_run() {
    every_way(|at, run, shards| {
        let (collect, got) = sink::collect();
        // Keys that are open, and the most there were.
        let (open, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (opened, left, peak) = (Arc::clone(&open), Arc::clone(&open), Arc::clone(&most));
        let end = Pipeline::new()
            .source("rows", source::iter(0..1_000_u64))
            .key_by("k", |k: &u64| *k)
            .accumulate("keys", move |p| {
                p.require(Require::all(["a", "b"]))
                    .max_keys(200)
                    .on_limit(OnLimit::Refuse)
                    .merge(move |_: &mut u64, _| {
                        let now = opened.fetch_add(1, Ordering::Relaxed) + 1;
                        peak.fetch_max(now, Ordering::Relaxed);
                    })
                    .finish(move |_, _| left.fetch_sub(1, Ordering::Relaxed))
            })
            .parallel(shards)
            .sink("out", collect);
        let report = run(end);
        let (most, all) = (most.load(Ordering::Relaxed), got.take().len() as u64);
        let early = if shards == 1 { 0 } else { 3 * u64::from(shards) };
        assert!(most <= 200 && most + early >= 200, "{at}: {most}");
        assert_eq!(report.dead_letters.get(&DeadCause::RefusedKey), Some(&(1_000 - all)), "{at}");
    });
}
