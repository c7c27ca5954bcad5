//! One plan, every engine, one result.

use flux_io::core::{Choices, Ended, Engine, Outcome, RunOptions, RunReport};
use flux_io::flow::Ended as End;
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::{Recorder, SyncEngine};
use flux_io_engine_tokio::TokioEngine;

type Sums = Vec<(u64, u64, bool)>;

/// 3,000 numbers, three of each key, every 50th key one short.
fn pipeline(shards: u32) -> (End<'static>, sink::Collected<Outcome<u64, u64>>) {
    let (collect, got) = sink::collect();
    let feed = (0..3_000_u64).map(|i| i * 7919 % 3_000).filter(|i| i % 150 != 0);
    let end = Pipeline::new()
        .source("numbers", source::iter(feed))
        .map("shift", |i| (i / 3, i % 3, i))
        .key_by("thing", |r: &(u64, u64, u64)| r.0)
        .accumulate("assemble", |p| {
            p.require(Require::all(["a", "b", "c"]))
                .var(|r| Var::one(r.1 as u16))
                .merge(|sum: &mut u64, r| *sum += r.2)
        })
        .parallel(shards)
        .sink("out", collect);
    (end, got)
}

fn sums(got: &sink::Collected<Outcome<u64, u64>>) -> Sums {
    let mut all: Sums =
        got.take().iter().map(|o| (*o.key(), *o.value(), o.is_complete())).collect();
    all.sort_unstable();
    all
}

fn on(engine: &dyn Engine, shards: u32, options: RunOptions) -> (RunReport, Sums) {
    let (end, got) = pipeline(shards);
    let report = engine.run_plan(end.plan().unwrap(), options);
    report.check().unwrap();
    (report, sums(&got))
}

/// The same outcomes, ledgers and edge sums on every engine, chained and not, at several batch
/// sizes and numbers of shards, also where no policy is active. Rows 125, 201, 206, 219, 350.
#[test]
fn every_engine_gives_the_same_result() {
    let (first, expected) = on(&SyncEngine::new(), 1, RunOptions::default());
    assert_eq!(expected.len(), 1_000);
    assert_eq!(expected.iter().filter(|s| !s.2).count(), 20);
    let hybrid = engine::Hybrid::new();
    let engines: [&dyn Engine; 4] =
        [&SyncEngine::seeded(3), &TokioEngine, &RayonEngine, hybrid.engine()];
    for engine in engines {
        for (shards, chain, batch) in [(1, true, 1), (1, false, 1024), (2, false, 7), (3, true, 64)]
        {
            let options = RunOptions::default().workers(2).chain(chain).batch(batch);
            let (report, got) = on(engine, shards, options);
            let at = format!("{} {shards} {chain} {batch}", engine.name());
            assert_eq!(got, expected, "{at}");
            assert_eq!(report.ended, Ended::Completed, "{at}");
            assert_eq!(report.ledger("assemble"), first.ledger("assemble"), "{at}");
            let rows = |r: &RunReport| r.stage("assemble").map(|s| s.counts.rows_in);
            assert_eq!(rows(&report), rows(&first), "{at}");
            for e in &report.edges {
                assert_eq!(e.stats.sent, e.stats.taken, "{at}: {e:?}");
                assert!(e.stats.high <= e.capacity, "{at}: {e:?}");
            }
        }
    }
}

/// Every choice of a seeded run is recorded (next task, batch split, timer tie), and a replay of the
/// record gives the same order of outcomes. Rows 214, 217.
#[test]
fn a_recorded_run_is_replayed() {
    let run = |engine: SyncEngine| {
        let (end, got) = pipeline(3);
        let options = RunOptions::default().chain(false).batch(16);
        let (report, choices) = engine.run_recorded(end.plan().unwrap(), &options);
        report.check().unwrap();
        let keys: Vec<u64> = got.take().iter().map(|o| *o.key()).collect();
        (keys, choices)
    };
    let (keys, choices) = run(SyncEngine::seeded(99));
    assert!(choices.len() > 100);
    let taken = choices.iter().map(|c| c.taken).collect();
    let (again, same) = run(SyncEngine::replay(taken));
    assert_eq!(keys, again);
    assert_eq!(choices, same);
    let mut draws = Recorder::seeded(1);
    assert!(draws.choose(flux_io::core::ChoiceKind::NextTask, 4) < 4);
}

/// A stateless segment in three instances gives its rows in the order of the input. Rows 52, 220.
#[test]
fn parallel_segments_restore_order() {
    for batch in [1, 8, 1024] {
        let (collect, got) = sink::collect();
        let end = Pipeline::new()
            .source("numbers", source::iter(0..10_000_u64))
            .map("square", |x| x * x)
            .filter("odd", |x| x % 2 == 1)
            .parallel(3)
            .sink("out", collect);
        let options = RunOptions::default().workers(2).batch(batch);
        engine::Tokio::new().with(options).run_blocking(end).unwrap();
        let expected: Vec<u64> = (0..10_000).map(|x| x * x).filter(|x| x % 2 == 1).collect();
        assert_eq!(got.take(), expected, "batch {batch}");
    }
}
