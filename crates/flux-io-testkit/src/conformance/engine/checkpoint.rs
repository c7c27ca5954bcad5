//! Laws of checkpoints: one cut through the whole flow, all parts or none, exactly once.

use super::kit::{BATCHES, Split, Tape, Zip, balanced, completed, every_way, fresh};
use crate::doubles::{
    Books, CollectSink, Fault, Faults, FlakySink, Gate, Line, MemorySnapshots, ScriptSource,
    TransactionalVec,
};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, Ended, Engine, Epoch, Node, Out, Outbox, RunHandle, RunOptions, SnapshotStore,
    Stage, StageCx, StageError, Step,
};
use std::sync::Arc;

/// Counts rows by source; its snapshot is the two counts. Gives running sums.
#[derive(Default)]
struct Fence {
    rows: [u64; 2],
    sum: u64,
}

impl Stage for Fence {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.rows[input.meta.source.0 as usize % 2] += input.col.len() as u64;
        for row in input.col.drain(..) {
            self.sum += row;
            out.batch().col.push(self.sum);
        }
        out.seal_if_full();
        Ok(Step::Done)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        for n in [self.rows[0], self.rows[1], self.sum] {
            to.extend_from_slice(&n.to_le_bytes());
        }
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let n = numbers(from);
        match n[..] {
            [a, b, sum] => (self.rows, self.sum) = ([a, b], sum),
            _ => return Err(StageError::permanent("a fence keeps three numbers")),
        }
        Ok(())
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default())).collect()
}

fn ask(handle: &RunHandle) -> Line<u64> {
    let handle = handle.clone();
    Line::call(move || {
        _ = handle.checkpoint();
    })
}

/// Two sources, a fence, a sink.
fn fenced(scripts: [Vec<Line<u64>>; 2]) -> HandPlan {
    let [a, b] = scripts;
    let mut p = HandPlan::new();
    let a = p.source("a", ScriptSource::<u64>::new(a));
    let b = p.source("b", ScriptSource::<u64>::new(b));
    let fence = p.stage("fence", Fence::default());
    let (sink, _) = CollectSink::<u64>::new();
    let out = p.sink("out", sink);
    for (x, y) in [(a, fence), (b, fence), (fence, out)] {
        p.join(x, y);
    }
    p
}

/// For every epoch with all three parts, the fence has seen the rows before the sources' places
/// and no others.
fn cuts_agree(store: &MemorySnapshots) -> usize {
    let mut whole = 0;
    for e in store.epochs() {
        let part = |stage| store.part(e, stage, 0).map(|b| numbers(&b));
        let (Some(a), Some(b), Some(fence)) = (part("a"), part("b"), part("fence")) else {
            continue;
        };
        assert_eq!((a[0], b[0]), (fence[0], fence[1]), "{e:?} is cut at different places");
        whole += 1;
    }
    whole
}

/// With two inputs, no row behind a barrier is handled before the snapshot, and none before it is
/// missing: the rows a stage has counted are the rows before the places of the sources.
pub fn a_snapshot_holds_what_came_before_the_barrier(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let script = |every: u64, shift: u64| -> Vec<Line<u64>> {
            (0..300)
                .flat_map(|r| {
                    let more = match r % every {
                        k if k == shift => vec![ask(&options.handle), Line::Cut],
                        k if k == shift + 3 => vec![Line::Yield],
                        _ => vec![],
                    };
                    [Line::Row(r)].into_iter().chain(more)
                })
                .collect()
        };
        let plan = fenced([script(50, 7), script(70, 20)]).plan();
        completed(
            &engine
                .run_plan(plan, options.clone().snapshots(Arc::<MemorySnapshots>::clone(&store))),
        );
        assert!(cuts_agree(&store) > 0, "at least one checkpoint went through: {store:?}");
    }
}

/// A checkpoint that is asked for while another one is under way is the next one: it does not mix
/// with that, and nobody waits for ever.
pub fn checkpoints_asked_for_at_once_do_not_mix(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let done = store.first_complete();
        let rows = |n: u64| (0..n).map(Line::Row).collect::<Vec<Line<u64>>>();
        let hasty = [
            rows(10),
            vec![ask(&options.handle), Line::Cut],
            rows(10),
            vec![ask(&options.handle), Line::Cut],
            rows(10),
            vec![Line::Gate(done.clone())],
        ];
        let steady = [rows(20), vec![Line::Gate(done)], rows(5)];
        let plan = fenced([hasty.concat(), steady.concat()]).plan();
        completed(
            &engine
                .run_plan(plan, options.clone().snapshots(Arc::<MemorySnapshots>::clone(&store))),
        );
        assert!(cuts_agree(&store) > 0);
        let completions = store.completions();
        assert!(completions.is_sorted(), "{completions:?}");
        assert!(completions.windows(2).all(|w| w[0] < w[1]), "each once: {completions:?}");
    }
}

/// Checkpoints asked for again and again by two sources whose rows meet in a zip and then in a
/// merge, over edges of two batches: one cut is under way at a time, so no part of the flow gives up
/// a cut for which another part waits.
pub fn checkpoints_that_overlap_stall_nobody(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let lines = |every: u64| -> Vec<Line<u64>> {
            let asks =
                |r: u64| if r.is_multiple_of(every) { ask(&options.handle) } else { Line::Yield };
            (0..200)
                .flat_map(|r| [Line::Row(2 * r), Line::Row(2 * r + 1), asks(r), Line::Cut])
                .collect()
        };
        let mut p = HandPlan::new().capacity(2);
        let a = p.source("a", ScriptSource::<u64>::new(lines(1)));
        let b = p.source("b", ScriptSource::<u64>::new(lines(3)));
        let two = [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
        let split = p.node("split", column::<Vec<u64>>(), two.clone(), Split);
        let zip = p.node("zip", two, column::<Vec<u64>>(), Zip::default());
        let (tape, _) = Tape::new();
        let merge = p.stage("merge", tape);
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(a, split);
        p.edge((split, 0), (zip, 0), Default::default());
        p.edge((split, 1), (merge, 0), Default::default());
        p.edge((b, 0), (zip, 1), Default::default());
        p.join(zip, merge);
        p.join(merge, out);
        let kept: Arc<MemorySnapshots> = Arc::clone(&store);
        completed(&engine.run_plan(p.plan(), options.snapshots(kept)));
        assert_eq!(shelf.len(), 400, "200 odd rows of `a`, 200 pairs");
        let completions = store.completions();
        assert!(completions.windows(2).all(|w| w[0] < w[1]), "each once: {completions:?}");
    }
}

/// An epoch is not complete before every task has acknowledged it: a sink that could not prepare
/// gives the checkpoint up, also when the tasks before it have ended meanwhile.
pub fn an_epoch_needs_every_task(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::none()).preparing(Faults::always(Fault::Permanent));
        let lines = [Line::Row(1), ask(&options.handle), Line::Cut, Line::Row(2)];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("fence", Fence::default())
            .into("out", sink);
        let report = engine.run_plan(
            plan.plan(),
            options.clone().snapshots(Arc::<MemorySnapshots>::clone(&store)),
        );
        completed(&report);
        assert_eq!(shelf.take(), [1, 3]);
        assert_eq!(store.completions(), [], "the sink did not prepare");
        assert_eq!(options.handle.completed_epoch(), None);
        assert!(report.stage("out").is_some_and(|s| s.errors == 1 && s.last_error.is_some()));
    }
}

/// A part that cannot be kept gives the checkpoint up, not the run; the next one may succeed.
pub fn a_refused_part_gives_the_checkpoint_up(engine: &dyn Engine) {
    for options in every_way() {
        for stage in ["in", "fence"] {
            let store = Arc::new(MemorySnapshots::new());
            store.refuse(stage);
            let (sink, shelf) = CollectSink::<u64>::new();
            let options = RunOptions { handle: RunHandle::new(), ..options.clone() };
            let handle = options.handle.clone();
            let lines = [Line::Row(1), ask(&handle), Line::Cut, Line::Row(2)];
            let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
                .then("fence", Fence::default())
                .into("out", sink);
            let report = engine
                .run_plan(plan.plan(), options.snapshots(Arc::<MemorySnapshots>::clone(&store)));
            completed(&report);
            assert_eq!(shelf.take(), [1, 3]);
            assert_eq!(store.completions(), [], "{stage} kept nothing");
            assert_eq!(handle.completed_epoch(), None);
            assert_eq!(report.stage(stage).map(|s| s.errors), Some(1), "{stage}");
        }
    }
}

/// A stage that takes its inputs in lockstep does not stall when one input waits at a barrier
/// while the other still has rows before it (L-3).
pub fn a_zip_does_not_stall_at_a_barrier(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let (done, asked) = (store.first_complete(), Gate::new());
        let cut = |r: u64| [Line::Row(r), Line::Cut];
        let opens = asked.clone();
        let mut behind: Vec<Line<u64>> = (0..3).flat_map(cut).collect();
        behind.extend([ask(&options.handle), Line::call(move || opens.open()), Line::Cut]);
        behind.push(Line::Gate(done));
        behind.extend((3..10).flat_map(cut));
        let mut ahead: Vec<Line<u64>> = (0..6).flat_map(cut).collect();
        ahead.push(Line::Gate(asked));
        ahead.extend((6..10).flat_map(cut));
        let mut p = HandPlan::new().capacity(2);
        let a = p.source("a", ScriptSource::<u64>::new(behind));
        let b = p.source("b", ScriptSource::<u64>::new(ahead));
        let ports = [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
        let zip = p.node("zip", ports, column::<Vec<u64>>(), Zip::default());
        p.edge((a, 0), (zip, 0), Default::default());
        p.edge((b, 0), (zip, 1), Default::default());
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(zip, out);
        completed(
            &engine.run_plan(p.plan(), options.snapshots(Arc::<MemorySnapshots>::clone(&store))),
        );
        assert_eq!(shelf.take(), (0..10).map(|r| r * 1_001).collect::<Vec<u64>>());
        assert_eq!(store.completions(), [Epoch(1)]);
    }
}

/// What a transactional sink took becomes visible with the commit of its epoch, or at the close,
/// and not before.
pub fn nothing_is_visible_before_its_commit(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let books: Books<u64> = Books::default();
        let early = crate::doubles::Shelf::default();
        let look = |books: &Books<u64>| {
            let (books, early) = (books.clone(), early.clone());
            Line::call(move || early.put(books.visible().len()))
        };
        let mut lines: Vec<Line<u64>> = (0..20).map(Line::Row).collect();
        lines.extend([Line::Cut, Line::Yield, look(&books), ask(&options.handle), Line::Cut]);
        lines.push(Line::Gate(store.first_complete()));
        lines.extend((20..30).map(Line::Row));
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("fence", Fence::default())
            .into("out", TransactionalVec::new(&books));
        completed(&engine.run_plan(plan.plan(), options.snapshots(store)));
        assert_eq!(early.take(), [0], "nothing before the commit");
        assert_eq!(books.visible(), sums(30));
        assert!(books.committed().len() <= 1, "{books:?}");
        assert_eq!(books.prepared(), []);
    }
}

fn sums(rows: u64) -> Vec<u64> {
    (0..rows).map(|r| r * (r + 1) / 2).collect()
}

/// A run that fails somewhere behind a checkpoint and a restored run together show every row once,
/// in the order and with the sums of a run that was never interrupted.
pub fn a_restored_run_goes_on_where_the_cut_was(engine: &dyn Engine) {
    const ROWS: u64 = 60;
    for batch in BATCHES {
        for chain in [true, false] {
            for (asked, waits, fails) in
                [(20, true, 45), (20, false, 21), (0, true, 1), (30, false, 59)]
            {
                let store = Arc::new(MemorySnapshots::new());
                let books: Books<u64> = Books::default();
                let script = |handle: &RunHandle, fail: bool| -> Vec<Line<u64>> {
                    (0..ROWS)
                        .flat_map(|r| {
                            let mut lines = Vec::new();
                            if r == asked {
                                lines.extend([ask(handle), Line::Cut]);
                                lines.extend(waits.then(|| Line::Gate(store.first_complete())));
                            }
                            if r == fails {
                                // The same number of lines in both runs: positions count lines.
                                let fault = if fail { Fault::Permanent } else { Fault::Late };
                                lines.push(Line::Fail(fault));
                            }
                            lines.push(Line::Row(r));
                            lines
                        })
                        .collect()
                };
                let mut ended = Vec::new();
                for restore in [false, true] {
                    let options = RunOptions::default().batch(batch).chain(chain).restore(restore);
                    let options = options.snapshots(Arc::<MemorySnapshots>::clone(&store));
                    let lines = script(&options.handle, !restore);
                    let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
                        .then("fence", Fence::default())
                        .into("out", TransactionalVec::new(&books));
                    let report = engine.run_plan(plan.plan(), options);
                    balanced(&report);
                    ended.push(report.ended);
                }
                assert_eq!(ended, [Ended::Failed, Ended::Completed]);
                assert_eq!(books.visible(), sums(ROWS), "batches of {batch}, chain {chain}");
            }
        }
    }
}

/// A source that had ended before the checkpoint stays ended in the restored run.
pub fn an_ended_source_is_not_read_again(engine: &dyn Engine) {
    for chain in [true, false] {
        let store = Arc::new(MemorySnapshots::new());
        let books: Books<u64> = Books::default();
        for restore in [false, true] {
            let options = RunOptions::default().chain(chain).restore(restore);
            let options = options.snapshots(Arc::<MemorySnapshots>::clone(&store));
            let mut long: Vec<Line<u64>> = (0..20).flat_map(|_| [Line::Yield, Line::Cut]).collect();
            long.extend([Line::Row(100), ask(&options.handle), Line::Cut]);
            long.push(Line::Gate(store.first_complete()));
            long.push(Line::Fail(if restore { Fault::Late } else { Fault::Permanent }));
            long.push(Line::Row(200));
            let mut p = HandPlan::new();
            // In this order the short one runs first where the order of description decides.
            let b = p.source("long", ScriptSource::<u64>::new(long));
            let a = p.source("short", ScriptSource::<u64>::new((1..6).map(Line::Row)));
            let pass = p.stage("pass", super::by_row(|r, out| out.push(r)));
            let out = p.sink("out", TransactionalVec::new(&books));
            for (x, y) in [(a, pass), (b, pass), (pass, out)] {
                p.join(x, y);
            }
            balanced(&engine.run_plan(p.plan(), options));
        }
        let mut rows = books.visible();
        rows.sort_unstable();
        assert_eq!(rows, [1, 2, 3, 4, 5, 100, 200]);
    }
}

/// Holds the last row; forgets it at row 0. Gives what it holds with every row.
#[derive(Default)]
struct Last(Option<u64>);

impl Stage for Last {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for row in input.col.drain(..) {
            out.batch().col.push(self.0.unwrap_or(0));
            self.0 = Some(row).filter(|r| *r > 0);
        }
        Ok(Step::Done)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend(self.0.into_iter().flat_map(u64::to_le_bytes));
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.0 = numbers(from).first().copied();
        Ok(())
    }
}

/// A state that was empty at the cut is empty after the restore, whatever earlier cuts held; and a
/// restored run numbers its epochs behind those it was restored from.
pub fn a_run_restored_twice_goes_on(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let books: Books<u64> = Books::default();
        // Each run gets one checkpoint further and fails behind it; the last one ends.
        let rows: [&[u64]; 4] = [&[7], &[0, 8, 0], &[9], &[1, 2]];
        for round in 0..rows.len() {
            let options = fresh(&options);
            let mut lines = Vec::new();
            for (part, rows) in rows.iter().enumerate() {
                let fails = part == round && round + 1 < 4;
                lines.extend(rows.iter().map(|r| Line::Row(*r)));
                // In every run the same number of lines: positions count them.
                let reached = store.reached(Epoch(part as u64 + 1));
                lines.extend([ask(&options.handle), Line::Cut, Line::Gate(reached)]);
                lines.push(Line::Fail(if fails { Fault::Permanent } else { Fault::Late }));
            }
            let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
                .then("last", Last::default())
                .into("out", TransactionalVec::new(&books));
            let kept: Arc<MemorySnapshots> = Arc::clone(&store);
            let report = engine.run_plan(plan.plan(), options.snapshots(kept).restore(round > 0));
            balanced(&report);
        }
        // Each row gives the one before it, or 0 behind an emptied state.
        assert_eq!(books.visible(), [0, 7, 0, 8, 0, 9, 1]);
        assert_eq!(store.completions(), (1..=4).map(Epoch).collect::<Vec<_>>());
        assert!(books.committed().is_sorted());
    }
}

/// A last stage without outputs takes part in checkpoints and ends the run like a sink.
pub fn a_stage_without_outputs_takes_part(engine: &dyn Engine) {
    struct Drain(u64);
    impl Node for Drain {
        fn on_batch(
            &mut self,
            _port: usize,
            input: &mut AnyBatch,
            _outs: &mut [Outbox],
            _cx: &mut StageCx<'_>,
        ) -> Result<Step, StageError> {
            self.0 += input.len() as u64;
            Ok(Step::Done)
        }
        fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
            to.extend_from_slice(&self.0.to_le_bytes());
            Ok(())
        }
    }
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let lines = vec![
            Line::Row(1),
            Line::Row(2),
            ask(&options.handle),
            Line::Cut,
            Line::Gate(store.first_complete()),
            Line::Row(3),
        ];
        let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines));
        let drain = p.node("drain", column::<Vec<u64>>(), Vec::new(), Drain(0));
        p.join(0, drain);
        let kept: Arc<MemorySnapshots> = Arc::clone(&store);
        let report = engine.run_plan(p.plan(), options.snapshots(kept));
        completed(&report);
        assert_eq!(report.stage("drain").map(|s| s.counts.rows_in), Some(3));
        assert_eq!(store.get("drain", 0).map(|b| numbers(&b)), Some(vec![2]));
    }
}
