//! Laws of the handle and the observer.

use super::kit::{OnBatch, by_row, completed, every_way, fresh};
use crate::doubles::{
    CollectSink, Gate, Line, Noted, RecordingObserver, ScriptSource, Shelf, VecSource,
};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, Command, DeadCause, Ended, Engine, ErrorKind, ErrorRecord, IoCx, Out, Phase, RunHandle,
    RunOptions, Sink, Stage, StageCx, StageError, Step,
};
use std::sync::Arc;

/// Notes the shard each command reaches; opens a gate when all have one.
struct Listens {
    heard: Shelf<u32>,
    gate: Gate,
}

impl Stage for Listens {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_command(
        &mut self,
        command: &Command,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        let Command::FlushAll = command else { return Ok(false) };
        self.heard.put(cx.home().shard);
        out.batch().col.push(1_000_000 + u64::from(cx.home().shard));
        if self.heard.len() as u32 == cx.home().shards {
            self.gate.open();
        }
        Ok(true)
    }
}

fn listeners(lines: Vec<Line<u64>>, gate: &Gate, heard: &Shelf<u32>) -> (HandPlan, Shelf<u64>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p =
        HandPlan::from("in", ScriptSource::<u64>::new(lines)).then("key", super::KeyBy(|r| r));
    let (gate, heard) = (gate.clone(), heard.clone());
    let many = p.many("listens", 3, move |_| Listens { heard: heard.clone(), gate: gate.clone() });
    p.edge((1, 0), (many, 0), super::exchange::BY_HASH);
    let out = p.sink("out", sink);
    p.join(many, out);
    (p, shelf)
}

/// A command reaches every instance of its stage once, while the source waits, and what the
/// instances emit comes out.
pub fn a_command_reaches_every_shard(engine: &dyn Engine) {
    for options in every_way() {
        let (gate, heard) = (Gate::new(), Shelf::default());
        let handle = options.handle.clone();
        let send = move || {
            handle.command("listens", Command::FlushAll);
            handle.command("no such stage", Command::FlushAll);
        };
        let lines =
            vec![Line::Row(1), Line::Cut, Line::call(send), Line::Gate(gate.clone()), Line::Row(2)];
        let (p, shelf) = listeners(lines, &gate, &heard);
        completed(&engine.run_plan(p.plan(), options));
        let mut heard = heard.take();
        heard.sort_unstable();
        assert_eq!(heard, [0, 1, 2]);
        let mut rows = shelf.take();
        rows.sort_unstable();
        assert_eq!(rows, [1, 2, 1_000_000, 1_000_001, 1_000_002]);
    }
}

/// A command sent before the run begins is served when it has begun.
pub fn a_command_sent_before_the_run_is_served(engine: &dyn Engine) {
    for options in every_way() {
        let (gate, heard) = (Gate::new(), Shelf::default());
        options.handle.command("listens", Command::FlushAll);
        let (p, _) = listeners(vec![Line::Gate(gate.clone())], &gate, &heard);
        completed(&engine.run_plan(p.plan(), options));
        assert_eq!(heard.len(), 3);
    }
}

/// Opens a gate with the second row.
struct Opens {
    inner: CollectSink<u64>,
    gate: Gate,
    rows: usize,
}

impl Sink for Opens {
    type Col = Vec<u64>;

    async fn write(&mut self, batch: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<(), StageError> {
        self.rows += batch.len();
        if self.rows >= 2 {
            self.gate.open();
        }
        self.inner.write(batch, cx).await
    }
}

/// `inspect` knows every stage that has started, source and sink too, with what they counted, and
/// answers `None` for a name the plan does not have (B59).
pub fn b059_inspect_knows_stages_and_no_others(engine: &dyn Engine) {
    for options in every_way() {
        let handle = options.handle.clone();
        assert!(handle.inspect("pass").is_none(), "nothing has started");
        let seen = Shelf::default();
        let look = |handle: &RunHandle| {
            let (handle, seen) = (handle.clone(), seen.clone());
            Line::call(move || {
                let all = ["in", "pass", "out", "nobody"].map(|n| handle.inspect(n));
                seen.put(all.map(|s| s.map(|s| s.counts.rows_in)));
            })
        };
        let arrived = Gate::new();
        let lines: Vec<Line<u64>> = vec![
            look(&handle),
            Line::Row(1),
            Line::Row(2),
            Line::Cut,
            Line::Gate(arrived.clone()),
            // A wait: whoever is asked answers before it waits.
            Line::Yield,
            look(&handle),
        ];
        let (sink, _) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", Opens { inner: sink, gate: arrived, rows: 0 });
        completed(&engine.run_plan(plan.plan(), options));
        let looks = seen.take();
        assert_eq!(looks.len(), 2);
        assert!(looks.iter().all(|l| l[3].is_none()), "{looks:?}");
        assert_eq!(looks[1][0], Some(2), "the source is known: {looks:?}");
        assert!(looks[1][1].is_some() && looks[1][2].is_some(), "{looks:?}");
        // At the end the numbers are exact.
        for (name, rows) in [("in", 2), ("pass", 2), ("out", 2)] {
            let s = handle.inspect(name);
            assert_eq!(s.as_ref().map(|s| s.counts.rows_in), Some(rows), "{name}");
            assert_eq!(s.map(|s| s.phase), Some(Phase::Done), "{name}");
        }
        assert!(handle.inspect("nobody").is_none());
    }
}

/// A run with an observer gives the rows, counts and dead letters of a run without one; the
/// observer hears of every stage, row and dead letter.
pub fn an_observer_changes_nothing(engine: &dyn Engine) {
    for options in every_way() {
        let run = |observer: Option<Arc<RecordingObserver>>| {
            let (sink, shelf) = CollectSink::<u64>::new();
            let picky = OnBatch(
                |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
                    for (i, row) in b.col.drain(..).enumerate() {
                        if row % 9 == 0 {
                            let record = ErrorRecord::new(DeadCause::Invalid, "nine");
                            cx.dead(ErrorRecord { seq: b.meta.seq.at(i), ..record });
                        } else {
                            out.batch().col.push(row);
                        }
                    }
                    Ok(Step::Done)
                },
            );
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
                .then("picky", picky)
                .into("out", sink);
            let mut options = fresh(&options);
            if let Some(o) = observer {
                options = options.observer(o);
            }
            let report = engine.run_plan(plan.plan(), options);
            completed(&report);
            let counts: Vec<_> = report.stages.iter().map(|s| (s.name.clone(), s.counts)).collect();
            (shelf.take(), counts, report.dead_letters)
        };
        let observer = Arc::new(RecordingObserver::new());
        assert_eq!(run(Some(Arc::clone(&observer))), run(None));
        let noted = observer.noted();
        let rows = |name: &str| -> usize {
            let of = |n: &Noted| match n {
                Noted::Batch(stage, 0, rows) if stage == name => *rows,
                _ => 0,
            };
            noted.iter().map(of).sum()
        };
        assert_eq!((rows("picky"), rows("out")), (100, 88));
        assert!(noted.contains(&Noted::Start("picky".into(), 0)));
        assert!(noted.contains(&Noted::End("picky".into(), 0)));
        let errors: Vec<&Noted> = noted.iter().filter(|n| matches!(n, Noted::Error(..))).collect();
        assert_eq!(errors.len(), 12);
        assert_eq!(*errors[1], Noted::Error("picky".into(), 9, DeadCause::Invalid));
    }
}

/// A handle serves one run: a second one is refused before it reads a row, and the first one's end
/// is not its own. Options that came without a handle serve any number of runs.
pub fn a_handle_serves_one_run(engine: &dyn Engine) {
    let run = |options: &RunOptions| {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..10)).into("out", sink);
        let report = engine.run_plan(plan.plan(), options.clone());
        (report, shelf.len())
    };
    let free = RunOptions::default();
    for _ in 0..3 {
        let (report, rows) = run(&free);
        completed(&report);
        assert_eq!(rows, 10);
    }
    let handle = RunHandle::new();
    let taken = RunOptions::default();
    let theirs = taken.handle.clone();
    for options in [RunOptions::default().handle(&handle), taken] {
        completed(&run(&options).0);
        let (report, rows) = run(&options);
        assert_eq!((report.ended, rows), (Ended::Failed, 0));
        let failure = report.failure.map(|f| (f.stage, f.error.kind));
        assert_eq!(failure, Some(("engine".to_owned(), ErrorKind::Refused)));
    }
    assert!(!handle.is_stopping() && !theirs.is_stopping());
}
