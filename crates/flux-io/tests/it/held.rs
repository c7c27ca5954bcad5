//! Rows that joins hold are part of checkpoints: a run that fails behind one and a restored run
//! together give what one run gives.

use flux_io::core::{Ended, Engine, RunHandle, RunOptions, Timestamp};
use flux_io::flow::{Flow, Hold, InOrder, Join, JoinStrategy, Leftover, Pipeline, Raw};
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::doubles::{
    Books, Fault, Gate, Line, MemorySnapshots, ScriptSource, TransactionalVec,
};
use std::sync::Arc;

type Rows = Flow<'static, Vec<u64>, Raw>;
type Told = Flow<'static, Vec<String>, Raw>;

fn hold() -> Hold<u64> {
    holding(100)
}

fn holding(rows: usize) -> Hold<u64> {
    Hold::rows(rows).durable(
        |x: &u64, to| to.extend(x.to_le_bytes()),
        |bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)),
    )
}

/// Rows of an input with their times, each with the watermark behind it.
fn rows(of: std::ops::Range<u64>, time: fn(u64) -> u64) -> impl Iterator<Item = Line<u64>> {
    of.flat_map(move |n| {
        let t = time(n) as i64;
        [Line::At(n, Timestamp(t)), Line::Mark(Timestamp(t - 1))]
    })
}

/// Rows of one input before and behind the checkpoint, and in all.
const LEFT: (u64, u64) = (60, 90);
const RIGHT: (u64, u64) = (15, 80);

/// The scripts of both inputs. The left one asks for a checkpoint and later fails, if it is to.
fn scripts(handle: &RunHandle, done: &Gate, fault: Fault) -> [Vec<Line<u64>>; 2] {
    let asked = Gate::new();
    if matches!(fault, Fault::Late) {
        // The restored run: the left input may stand behind the line that asks.
        asked.open();
    }
    let (handle, open) = (handle.clone(), asked.clone());
    let ask = Line::call(move || {
        _ = handle.checkpoint();
        open.open();
    });
    let left = rows(0..LEFT.0, |n| 10 * n)
        .chain([Line::Cut, ask, Line::Cut, Line::Gate(done.clone())])
        .chain(rows(LEFT.0..LEFT.0 + 10, |n| 10 * n))
        .chain([Line::Cut, Line::Fail(fault)])
        .chain(rows(LEFT.0 + 10..LEFT.1, |n| 10 * n));
    let right = rows(0..RIGHT.0, |n| 13 * n)
        .chain([Line::Cut, Line::Gate(asked), Line::Cut, Line::Gate(done.clone())])
        .chain(rows(RIGHT.0..RIGHT.1, |n| 13 * n));
    [left.collect(), right.collect()]
}

fn restored(describe: impl Fn(Rows, Rows) -> Told) {
    restored_as(describe, true);
}

/// Both runs together give what one run gives, in the same order or in any.
fn restored_as(describe: impl Fn(Rows, Rows) -> Told, ordered: bool) {
    let in_order = |mut rows: Vec<String>| {
        if !ordered {
            rows.sort_unstable();
        }
        rows
    };
    let plan = |scripts: [Vec<Line<u64>>; 2], books: &Books<String>| {
        let p = Pipeline::new();
        let [a, b] = scripts.map(ScriptSource::<u64>::new);
        let (a, b) = (p.source("a", a), p.source("b", b));
        describe(a, b).sink("out", TransactionalVec::new(books)).plan().unwrap()
    };
    let whole: Books<String> = Books::default();
    let open = Gate::new();
    open.open();
    let options = RunOptions::default();
    // Nothing asks for a checkpoint in a run without a store.
    let lines = scripts(&options.handle, &open, Fault::Late);
    let report = SyncEngine::new().run_plan(plan(lines, &whole), options);
    assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
    let whole = in_order(whole.visible());
    assert!(whole.len() > 70);
    let engines: [&dyn Engine; 4] =
        [&SyncEngine::new(), &SyncEngine::seeded(5), &TokioEngine, &RayonEngine];
    for engine in engines {
        for batch in [1, 7, 1024] {
            let at = format!("{} {batch}", engine.name());
            let store = Arc::new(MemorySnapshots::new());
            let books: Books<String> = Books::default();
            for again in [false, true] {
                let options = RunOptions::default().workers(2).batch(batch).restore(again);
                let options = options.snapshots(Arc::<MemorySnapshots>::clone(&store));
                let fault = if again { Fault::Late } else { Fault::Permanent };
                let lines = scripts(&options.handle, &store.first_complete(), fault);
                let report = engine.run_plan(plan(lines, &books), options);
                let want = if again { Ended::Completed } else { Ended::Failed };
                assert_eq!(report.ended, want, "{at}: {:?}", report.failure);
            }
            assert_eq!(in_order(books.visible()), whole, "{at}");
        }
    }
}

#[test]
fn a_zip_keeps_what_it_holds() {
    restored(|a, b| {
        a.zip_longest("z", b, hold(), hold()).map("told", |p| format!("{p:?}")).closed()
    });
}

#[test]
fn a_merge_by_time_keeps_what_it_holds() {
    restored(|a, b| {
        let b = b.map("far", |x| 1_000 + x);
        a.merge_by_time("m", b, hold()).map("told", |x| x.to_string()).closed()
    });
}

/// Both inputs have brought all that the merge may hold: a restored one takes from both until it
/// knows again which of them holds the other back.
#[test]
fn a_merge_by_time_goes_on_with_all_it_may_hold() {
    restored(|a, b| {
        let b = b.map("far", |x| 1_000 + x);
        // Room for the left input's rows before the checkpoint, which wait for the right one's.
        a.buffer(100).merge_by_time("m", b, holding(1)).map("told", |x| x.to_string()).closed()
    });
}

#[test]
fn a_resequencer_keeps_what_it_holds() {
    restored(|a, b| {
        let how = InOrder::within(hold());
        // Blocks of seven, backwards; the cut is inside a block.
        let number = |x: &u64| if *x < 84 { x / 7 * 7 + 6 - x % 7 } else { *x };
        let end = a.resequence("order", how, number);
        end.zip_with("z", b, Leftover::Drop, hold(), hold())
            .map("told", |p| format!("{p:?}"))
            .closed()
    });
}

#[test]
fn a_join_keeps_what_it_holds() {
    let described = |by: fn(JoinStrategy<u64>) -> Join<u64>, rows: usize| {
        move |a: Rows, b: Rows| {
            let join = by(JoinStrategy::AllComplete).partial().hold(holding(rows));
            let b = b.filter("some", |x| x % 10 != 3);
            a.join("j", b, join).map("told", |j| format!("{j:?}")).closed()
        }
    };
    restored(described(Join::by_place, 100));
    restored(described(Join::by_seq, 100));
    // When an id that nobody can give any more leaves depends on when an input ends.
    restored_as(described(|s| Join::by_id(|x: &u64| *x, s), 100), false);
}

/// Without a codec a checkpoint that finds rows held is given up, with the stage's name; the run
/// goes on.
#[test]
fn rows_without_a_codec_give_the_checkpoint_up() {
    let engines: [&dyn Engine; 3] = [&SyncEngine::new(), &TokioEngine, &RayonEngine];
    for engine in engines {
        let store = Arc::new(MemorySnapshots::new());
        let options = RunOptions::default().workers(2);
        let options = options.snapshots(Arc::<MemorySnapshots>::clone(&store));
        let open = Gate::new();
        open.open();
        let [a, b] = scripts(&options.handle, &open, Fault::Late);
        let p = Pipeline::new();
        let (a, b) = (p.source("a", ScriptSource::new(a)), p.source("b", ScriptSource::new(b)));
        let (end, rows) =
            a.zip("z", b, Leftover::Drop).fold("rows", 0, |n: &mut u64, _: (u64, u64)| *n += 1);
        let report = engine.run_plan(end.plan().unwrap(), options);
        assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
        assert_eq!(rows.take(), Some(RIGHT.1));
        assert_eq!(store.completions(), [], "{}", engine.name());
        let told = report.stage("z").and_then(|s| s.last_error).unwrap();
        assert!(told.contains("Hold::durable(save, load)"), "{told}");
    }
}
