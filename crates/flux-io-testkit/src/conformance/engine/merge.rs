//! Laws of several inputs: the watermark is the minimum over those that count.

use super::kit::{Seen, Tape, completed, every_way};
use crate::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf, VecSource};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, Control, Engine, ExecutionPlan, Node, Out, Outbox, RunOptions, Stage, StageCx,
    StageError, Step, Timestamp,
};

const fn ts(t: u64) -> Timestamp {
    Timestamp(t as i64)
}

/// Rows that stand for controls.
const IDLE: u64 = u64::MAX;
const QUARANTINE: u64 = u64::MAX - 1;
const RESUME: u64 = u64::MAX - 2;

/// Turns the rows that stand for controls into them.
struct Speak;

impl Stage for Speak {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut marks = input.meta.marks.drain(..).peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                out.mark(m.watermark);
            }
            match *row {
                IDLE => out.control(Control::Idle),
                QUARANTINE => out.control(Control::Quarantined),
                RESUME => out.control(Control::Resumed),
                r => out.batch().col.push(r),
            }
        }
        marks.for_each(|m| out.mark(m.watermark));
        Ok(Step::Done)
    }
}

/// What opens a gate.
#[derive(Clone, Copy)]
enum Opens {
    /// A watermark of at least this.
    At(u64),
    /// This row.
    Row(u64),
}

/// Opens gates when it sees rows and watermarks, and keeps a tape.
struct Porter {
    tape: Tape,
    gates: Vec<(Opens, Gate)>,
}

impl Porter {
    fn saw(&self, w: Timestamp) {
        let due = |o: &Opens| matches!(o, Opens::At(t) if ts(*t) <= w);
        self.gates.iter().filter(|(o, _)| due(o)).for_each(|(_, g)| g.open());
    }

    fn saw_row(&self, row: u64) {
        let due = |o: &Opens| matches!(o, Opens::Row(r) if *r == row);
        self.gates.iter().filter(|(o, _)| due(o)).for_each(|(_, g)| g.open());
    }
}

impl Stage for Porter {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        input.col.iter().for_each(|r| self.saw_row(*r));
        input.meta.marks.iter().for_each(|m| self.saw(m.watermark));
        self.tape.on_batch(input, out, cx)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.saw(w);
        self.tape.on_watermark(w, out, cx)
    }
}

type Script = Vec<Line<u64>>;

/// Two scripts, each through [`Speak`], merged into a tape that opens gates.
fn merged(
    scripts: [Script; 2],
    gates: Vec<(Opens, Gate)>,
) -> (ExecutionPlan<'static>, Shelf<(u32, Seen)>) {
    let (tape, log) = Tape::new();
    let mut p = HandPlan::new();
    let speakers: Vec<usize> = scripts
        .into_iter()
        .enumerate()
        .map(|(i, lines)| {
            let from = p.source(&format!("in {i}"), ScriptSource::<u64>::new(lines));
            let to = p.stage(&format!("speak {i}"), Speak);
            p.join(from, to);
            to
        })
        .collect();
    let merge = p.stage("merge", Porter { tape, gates });
    speakers.into_iter().for_each(|s| p.join(s, merge));
    let (sink, _) = CollectSink::<u64>::new();
    let out = p.sink("out", sink);
    p.join(merge, out);
    (p.plan(), log)
}

/// A merge chooses over its inputs: it takes from whichever has rows. Each input here is silent until
/// the merge has seen rows of the other, by turns, so one that waited for a silent input would wait
/// for ever.
pub fn a_merge_takes_from_whichever_input_has_rows(engine: &dyn Engine) {
    const TURNS: u64 = 20;
    for options in every_way() {
        // Input 0 gives the even rows, input 1 the odd ones; each row but the first waits for the
        // one before it to have come out of the merge.
        let gates: Vec<Gate> = (0..TURNS).map(|_| Gate::new()).collect();
        let script = |first: u64| -> Script {
            let turns = (first..TURNS).step_by(2).flat_map(|r| {
                let gate =
                    r.checked_sub(1).map(|before| Line::Gate(gates[before as usize].clone()));
                [Some(Line::Cut), gate, Some(Line::Row(r))].into_iter().flatten()
            });
            turns.chain([Line::Cut]).collect()
        };
        let opens = gates.iter().enumerate().map(|(r, g)| (Opens::Row(r as u64), g.clone()));
        let (plan, log) = merged([script(0), script(1)], opens.collect());
        completed(&engine.run_plan(plan, options));
        let rows: Vec<u64> = log.take().into_iter().filter_map(|(_, s)| s.row()).collect();
        assert_eq!(rows, (0..TURNS).collect::<Vec<_>>());
    }
}

/// No row of an input that counts comes after a watermark that covers it, the watermarks rise,
/// and the last one is what both inputs promised.
pub fn a_merge_promises_no_more_than_its_inputs(engine: &dyn Engine) {
    let script = |step: u64, rows: u64| -> Script {
        let line = |r: u64| {
            let row = Line::At(r * step, ts(r * step));
            if r % 4 == 3 { vec![row, Line::Mark(ts(r * step)), Line::Yield] } else { vec![row] }
        };
        (0..rows).flat_map(line).collect()
    };
    for options in every_way() {
        // Multiples of 3 up to 1197 and of 5 up to 995; both end with a mark on their last row.
        let (plan, log) = merged([script(3, 400), script(5, 200)], Vec::new());
        completed(&engine.run_plan(plan, options));
        let log = log.take();
        let mut watermark = Timestamp::MIN;
        let mut rows = Vec::new();
        for (_, seen) in &log {
            match seen {
                Seen::Mark(w) => {
                    assert!(*w > watermark, "{w} after {watermark}");
                    watermark = *w;
                }
                Seen::Row(r) => {
                    assert!(ts(*r) > watermark, "row {r} came after watermark {watermark}");
                    rows.push(*r);
                }
                _ => {}
            }
        }
        // The input that ends first holds nothing back any more.
        assert!(watermark >= ts(995), "the last promise is {watermark}");
        let mut expected: Vec<u64> =
            (0..400).map(|r| r * 3).chain((0..200).map(|r| r * 5)).collect();
        expected.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows, expected);
    }
}

/// An input that says it is idle does not hold the watermark back (L-4), and counts again with
/// its next row.
pub fn an_idle_input_holds_nothing_back(engine: &dyn Engine) {
    for options in every_way() {
        let (idle_seen, later) = (Gate::new(), Gate::new());
        let quiet: Script = vec![
            Line::At(1, ts(1)),
            Line::Mark(ts(10)),
            Line::Row(IDLE),
            Line::Cut,
            Line::Gate(idle_seen.clone()),
            Line::At(60, ts(60)),
            Line::Mark(ts(60)),
            Line::Cut,
            Line::Gate(later.clone()),
        ];
        let busy: Script = vec![
            Line::At(2, ts(2)),
            Line::Mark(ts(50)),
            Line::Cut,
            Line::Gate(idle_seen.clone()),
            Line::At(55, ts(55)),
            Line::Mark(ts(100)),
        ];
        let gates = vec![(Opens::At(50), idle_seen), (Opens::At(60), later)];
        let (plan, log) = merged([quiet, busy], gates);
        completed(&engine.run_plan(plan, options));
        let marks: Vec<Seen> =
            log.take().into_iter().map(|x| x.1).filter(|s| matches!(s, Seen::Mark(_))).collect();
        assert!(marks.contains(&Seen::Mark(ts(50))), "{marks:?}");
        assert!(marks.is_sorted());
    }
}

/// Idle, rows, idle again: the second idleness holds nothing back either, also behind one more
/// merge.
pub fn an_input_may_be_idle_again(engine: &dyn Engine) {
    for options in every_way() {
        let (first, row, second) = (Gate::new(), Gate::new(), Gate::new());
        let quiet: Script = vec![
            Line::Row(IDLE),
            Line::Cut,
            Line::Gate(first.clone()),
            Line::At(60, ts(60)),
            Line::Cut,
            Line::Row(IDLE),
            Line::Cut,
            Line::Gate(second.clone()),
        ];
        let busy: Script = vec![
            Line::Mark(ts(50)),
            Line::Cut,
            Line::Gate(row.clone()),
            Line::Mark(ts(100)),
            Line::Cut,
            Line::Gate(second.clone()),
        ];
        // A relay task between the quiet source and the merge: it must pass idleness on twice.
        let (tape, log) = Tape::new();
        let mut p = HandPlan::new();
        let a = p.source("quiet", ScriptSource::<u64>::new(quiet));
        let speak = p.stage("speak", Speak);
        let (relay, _) = Tape::new();
        let relay = p.stage("relay", relay);
        let b = p.source("busy", ScriptSource::<u64>::new(busy));
        let gates = vec![(Opens::At(50), first), (Opens::Row(60), row), (Opens::At(100), second)];
        let merge = p.stage("merge", Porter { tape, gates });
        let (sink, _) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        for (x, y) in [(a, speak), (speak, relay), (relay, merge), (b, merge), (merge, out)] {
            p.join(x, y);
        }
        completed(&engine.run_plan(p.plan(), options));
        assert!(log.take().contains(&(0, Seen::Mark(ts(100)))));
    }
}

/// An input that has ended does not hold the watermark back.
pub fn an_ended_input_holds_nothing_back(engine: &dyn Engine) {
    for options in every_way() {
        let seen = Gate::new();
        let short: Script = vec![Line::At(1, ts(1)), Line::Mark(ts(5))];
        let long: Script = vec![
            Line::At(2, ts(2)),
            Line::Mark(ts(70)),
            Line::Cut,
            Line::Gate(seen.clone()),
            Line::At(90, ts(90)),
        ];
        let (plan, log) = merged([short, long], vec![(Opens::At(70), seen)]);
        completed(&engine.run_plan(plan, options));
        let log: Vec<Seen> = log.take().into_iter().map(|x| x.1).collect();
        let place = |s| log.iter().position(|x| *x == s);
        assert!(place(Seen::Mark(ts(70))) < place(Seen::Row(90)), "{log:?}");
    }
}

/// The watermark of an input that was set aside is left out, and counts again when it is back.
pub fn b058_a_quarantined_input_is_left_out(engine: &dyn Engine) {
    for options in every_way() {
        let (aside, row, back) = (Gate::new(), Gate::new(), Gate::new());
        let sick: Script = vec![
            Line::At(1, ts(1)),
            Line::Mark(ts(10)),
            Line::Row(QUARANTINE),
            Line::Cut,
            Line::Gate(aside.clone()),
            Line::Row(RESUME),
            Line::At(60, ts(60)),
            Line::Mark(ts(60)),
            Line::Cut,
            Line::Gate(back.clone()),
            Line::At(95, ts(95)),
            Line::Mark(ts(200)),
        ];
        let well: Script = vec![
            Line::Mark(ts(50)),
            Line::Cut,
            Line::Gate(row.clone()),
            Line::Mark(ts(100)),
            Line::Cut,
            Line::Gate(back.clone()),
            Line::Mark(ts(200)),
        ];
        let gates = vec![(Opens::At(50), aside), (Opens::Row(60), row), (Opens::At(60), back)];
        let (plan, log) = merged([sick, well], gates);
        completed(&engine.run_plan(plan, options));
        let log: Vec<Seen> = log.take().into_iter().map(|x| x.1).collect();
        let marks: Vec<Seen> = log.iter().filter(|s| matches!(s, Seen::Mark(_))).copied().collect();
        assert!(marks.contains(&Seen::Mark(ts(50))), "left out while aside: {log:?}");
        assert_eq!(marks.last(), Some(&Seen::Mark(ts(200))));
        // Back again: row 95 may not come behind a promise of 100, so 60 must have counted.
        let place = |s| log.iter().position(|x| *x == s);
        let late = log.iter().position(|s| matches!(s, Seen::Mark(w) if *w >= ts(95)));
        assert!(place(Seen::Row(95)) < late, "{log:?}");
    }
}

/// Idleness of a stream that is dealt out to parallel instances stands at one place of it: an
/// instance whose turn comes later does not repeat it in front of its rows.
pub fn idleness_travels_with_the_turn(engine: &dyn Engine) {
    for options in every_way() {
        let (idle_seen, row, sent) = (Gate::new(), Gate::new(), Gate::new());
        let last = Gate::new();
        let quiet: Script = vec![
            Line::At(1, ts(1)),
            Line::Mark(ts(10)),
            Line::Row(IDLE),
            Line::Cut,
            Line::Gate(idle_seen.clone()),
            Line::At(60, ts(60)),
            Line::Mark(ts(60)),
            Line::Cut,
            Line::Gate(sent.clone()),
            Line::At(70, ts(70)),
            Line::Mark(ts(70)),
            Line::Cut,
            Line::At(80, ts(80)),
            Line::Mark(ts(80)),
            Line::Cut,
        ];
        let busy: Script = vec![
            Line::Mark(ts(50)),
            Line::Cut,
            Line::Gate(row.clone()),
            Line::Mark(ts(100)),
            Line::At(101, ts(101)),
            Line::Cut,
            Line::Gate(last.clone()),
        ];
        let gates = vec![
            (Opens::At(50), idle_seen),
            (Opens::Row(60), row),
            (Opens::Row(101), sent),
            (Opens::Row(80), last),
        ];
        let (tape, log) = Tape::new();
        let mut p = HandPlan::new();
        let a = p.source("quiet", ScriptSource::<u64>::new(quiet));
        let speak = p.stage("speak", Speak);
        let passed = Shelf::default();
        let pass = p.many("pass", 3, move |_| Tape::onto(&passed));
        let b = p.source("busy", ScriptSource::<u64>::new(busy));
        let merge = p.stage("merge", Porter { tape, gates });
        let (sink, _) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(a, speak);
        p.edge((speak, 0), (pass, 0), super::parallel::IN_TURN);
        for (x, y) in [(pass, merge), (b, merge), (merge, out)] {
            p.join(x, y);
        }
        completed(&engine.run_plan(p.plan(), options));
        let log: Vec<Seen> = log.take().into_iter().map(|x| x.1).collect();
        let mut watermark = Timestamp::MIN;
        for s in &log {
            match s {
                Seen::Mark(w) => watermark = *w,
                Seen::Row(r) => assert!(ts(*r) > watermark, "row {r} behind {watermark}: {log:?}"),
                _ => {}
            }
        }
    }
}

/// Takes its inputs one after the other: a port is refused until those before it have ended.
struct InTurn {
    at: usize,
}

impl Node for InTurn {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        assert_eq!(port, self.at, "rows of a port that was refused");
        outs[0].typed::<Vec<u64>>()?.swap(input.get_mut()?);
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        port == self.at
    }

    fn on_input_end(
        &mut self,
        port: usize,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        assert_eq!(port, self.at, "the end of a port that was refused");
        self.at += 1;
        Ok(Step::Done)
    }
}

/// A node may refuse any of its inputs, however many there are.
pub fn the_seventieth_input_may_be_refused(engine: &dyn Engine) {
    const INPUTS: u64 = 70;
    for chain in [true, false] {
        let mut p = HandPlan::new().capacity(1);
        let ports = (0..INPUTS).flat_map(|_| column::<Vec<u64>>()).collect();
        let queue = p.node("queue", ports, column::<Vec<u64>>(), InTurn { at: 0 });
        for i in 0..INPUTS {
            let rows = VecSource::<u64>::new(3 * i..3 * i + 3);
            let source = p.source(&format!("in {i}"), rows);
            p.edge((source, 0), (queue, i as usize), Default::default());
        }
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(queue, out);
        completed(&engine.run_plan(p.plan(), RunOptions::default().batch(1).chain(chain)));
        assert_eq!(shelf.take(), (0..3 * INPUTS).collect::<Vec<u64>>());
    }
}
