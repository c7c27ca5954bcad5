//! What joins and merges hold is bounded, in rows and in bytes, and given back.

use crate::standing::DOG;
use flux_io::core::{Ended, Engine, MemoryPool, Moment, RunOptions, RunReport, WhenFull};
use flux_io::flow::{Hold, InOrder, Join, JoinStrategy, Leftover, Pipeline};
use flux_io::prelude::source;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::doubles::{BoundedPool, Line, ScriptSource};
use std::sync::Arc;

/// Runs on each engine with a budget; gives the most bytes that were charged at once.
fn peaks(batch: usize, make: impl Fn(&Pipeline<'static>), see: impl Fn(u64, RunReport, &str)) {
    let engines: [&dyn Engine; 3] = [&SyncEngine::seeded(3), &TokioEngine, &RayonEngine];
    for engine in engines {
        let pool = Arc::new(BoundedPool::new(u64::MAX));
        let p = Pipeline::new().default_buffer(2, WhenFull::Block);
        make(&p);
        let options = RunOptions::default().workers(2).batch(batch).watchdog(DOG);
        let options = RunOptions { memory: Some(Arc::<BoundedPool>::clone(&pool)), ..options };
        let report = engine.run_plan(p.plan().unwrap(), options);
        assert_eq!(report.ended, Ended::Completed, "{}: {:?}", engine.name(), report.failure);
        assert_eq!(pool.reserved(), 0, "{}", engine.name());
        see(pool.peak(), report, engine.name());
    }
}

/// What a join by id holds is bounded also where ids never meet, in rows and in bytes, what rows own
/// included; and all that was charged is given back.
#[test]
fn a_join_by_id_holds_what_it_may() {
    let row = |x: u64| (x, "x".repeat(1_000));
    for (hold, most) in [
        (Hold::rows as fn(usize) -> Hold<(u64, String)>, 60_000),
        (|_| Hold::rows(3_000).bytes(40_000), 75_000),
    ] {
        peaks(
            7,
            |p| {
                let x = p.source("x", source::iter((0..3_000).map(row)));
                let y = p.source("y", source::iter((3_000..6_000).map(row)));
                let join = Join::by_id(|x: &(u64, String)| x.0, JoinStrategy::AllComplete);
                let _ = x.join("j", y, join.hold(hold(40))).discard("out");
            },
            |peak, report, at| {
                assert!(peak <= most, "{at}: {peak} bytes");
                assert_eq!(crate::graphs::dropped(&report, "j", "incomplete"), 6_000, "{at}");
            },
        );
    }
}

/// A side that is ahead is left waiting by the bytes it holds, too.
#[test]
fn sides_hold_what_they_may_in_bytes() {
    let row = |x: u64| (x, "x".repeat(1_000));
    let hold = || Hold::<(u64, String)>::default().bytes(20_000);
    let slow = || [Line::Cut, Line::Until(Moment(50_000_000))].into_iter();
    let late = move |rows: u64| slow().chain((0..rows).map(move |x| Line::Row(row(x))));
    peaks(
        7,
        |p| {
            let x = p.source("x", source::iter((0..2_000).map(row)));
            let y = p.source("y", ScriptSource::new(late(2_000).collect::<Vec<_>>()));
            let _ = x.zip_with("z", y, Leftover::Fail, hold(), hold()).discard("out");
        },
        |peak, _, at| assert!((18_000..60_000).contains(&peak), "{at}: {peak} bytes"),
    );
    peaks(
        7,
        |p| {
            // Of the numbers that are missing nobody knows whether they will come.
            let x =
                p.source("x", source::iter((0..4_000).map(row))).filter("odd", |x| x.0 % 2 == 1);
            let y = p.source("y", ScriptSource::new(late(1).collect::<Vec<_>>()));
            let _ = x.merge_by_seq("m", y, InOrder::within(hold())).discard("out");
        },
        |peak, _, at| assert!((18_000..60_000).contains(&peak), "{at}: {peak} bytes"),
    );
}

/// However many inputs there are, one that is ahead of a quiet one is left waiting.
#[test]
fn many_inputs_hold_what_they_may() {
    for join in [false, true] {
        peaks(
            7,
            |p| {
                let quiet = [Line::Row(0_u64), Line::Cut, Line::Until(Moment(50_000_000))];
                let first = p.source("quiet", ScriptSource::new(Vec::from(quiet)));
                let others: Vec<_> = (0..80_u64)
                    .map(|i| {
                        let rows = if i == 79 { 20_000 } else { 2 };
                        p.source(&format!("in {i}"), source::iter(0..rows))
                            .filter(&format!("odd {i}"), |x| x % 2 == 1)
                            .closed()
                    })
                    .collect();
                let hold = Hold::rows(16);
                if join {
                    let join = Join::by_seq(JoinStrategy::Quorum(2)).hold(hold);
                    let _ = first.join("m", others, join).discard("out");
                } else {
                    let how = InOrder::within(hold);
                    let _ = first.merge_by_seq("m", others, how).discard("out");
                }
            },
            |peak, _, at| {
                // An id of 81 inputs costs some kilobytes; 20,000 of them would be 100 million.
                let most = if join { 400_000 } else { 30_000 };
                assert!(peak <= most, "{at}: {peak} bytes");
            },
        );
    }
}
