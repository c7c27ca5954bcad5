//! Orders that are restored: `merge_by_time`, `merge_by_seq` behind a route, and `resequence`. A
//! plain model says which rows come in which order, before the end and before each barrier, with
//! drains, crashes and restarts while rows are held.

use super::data::{Feed, units};
use super::paired::durable;
use super::tape::{Notes, Tape, cuts_hold, read, shown, shown_before};
use super::{Oracle, Scenario, Size, ended_well, retried};
use flux_io::core::{Draws, Epoch, ExecutionPlan, Timestamp};
use flux_io::flow::{Flow, InOrder, Pipeline, Raw, Unrouted};
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use flux_io_testkit::doubles::{Books, TransactionalVec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub(crate) const SCENARIO: Scenario = Scenario { name: "sequenced", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Drain)
        .with(Fault::Disk)
        .with(Fault::Crash)
}

type Numbers = Flow<'static, Vec<u64>, Raw>;

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    match swarm.pick(0, 3) {
        0 => by_time(swarm, size),
        1 => by_seq(swarm, size),
        2 => resequenced(swarm, size, None),
        _ => resequenced(swarm, size, Some(PATIENCE)),
    }
}

/// A source that tells where it began, its last row held back until all faults are over, and a tape
/// behind it.
fn source(
    swarm: &mut Swarm,
    pipeline: &Pipeline<'static>,
    name: &str,
    mut rows: Vec<u64>,
    time: impl Fn(u64) -> i64 + Send + 'static,
    lag: u32,
) -> (Numbers, Notes<u64>, Arc<AtomicU64>) {
    let (begun, notes) = (Arc::default(), Notes::default());
    let fresh = rows.pop().into_iter().collect();
    let feed = Feed::new(rows).slow(swarm.delays()).telling(&begun);
    let flow = pipeline
        .source(name, swarm.source(name, feed).fresh(fresh))
        .event_time(&format!("{name} time"), move |x: &u64| Timestamp(time(*x)))
        .lag(units(lag))
        .stage(&format!("{name} tape"), Tape(notes.clone()));
    (flow, notes, begun)
}

/// The end of a plan: a tape and a sink whose rows are each seen once, whatever dies.
fn end(swarm: &mut Swarm, flow: Numbers) -> (ExecutionPlan<'static>, Notes<u64>, Books<u64>) {
    let (out, books) = (Notes::default(), swarm.keep("books", Books::default));
    let sink = swarm.sink("out", TransactionalVec::new(&books)).traced(|x: &u64| *x);
    let end = flow.stage("tape", Tape(out.clone())).sink("out", sink);
    let mut plan = end.plan().expect("a plan without faults");
    retried(&mut plan);
    (plan, out, books)
}

/// What a row of input `i` of a merge by time is called.
const INPUT: u64 = 1 << 32;

/// Its time: rising, out of order within the lag, with ties between the inputs.
const fn time_of(x: u64) -> i64 {
    let (input, n) = (x / INPUT, x % INPUT);
    (n * (10 + input) / 3 * 3) as i64 - (n % 3) as i64 * 5
}

fn by_time(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    _ = swarm.store();
    let (inputs, rows) = (u64::from(swarm.pick(2, 4)), u64::from(swarm.pick(size.0, size.1)));
    let hold = swarm.pick(1, 40) as usize;
    let pipeline = Pipeline::new();
    let mut flows = Vec::new();
    let (mut notes, mut begun) = (Vec::new(), Vec::new());
    for i in 0..inputs {
        let n = rows / inputs * [1, 2, 1, 0][((i + rows) % 4) as usize] + 1;
        let own = (0..n).map(|k| i * INPUT + k).collect();
        let (flow, tape, at) = source(swarm, &pipeline, &format!("in {i}"), own, time_of, 40);
        flows.push(flow);
        notes.push(tape);
        begun.push(at);
    }
    let first = flows.remove(0);
    let (plan, out, books) = end(swarm, first.merge_by_time("merge", flows, durable(hold)));
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let mut want: Vec<u64> = (0..)
            .zip(&begun)
            .flat_map(|(i, begun)| {
                let read = read(run, &format!("in {i}"), begun);
                (0..read).map(move |k| i * INPUT + k)
            })
            .collect();
        want.sort_by_key(|x| (time_of(*x), *x));
        shown(run, "the merge", &books.visible(), &want)?;
        out.promises_hold("the merge")?;
        held_is_behind(run, &out, |epoch| {
            let came = notes.iter().map(|n| n.rows().into_iter().take(n.before(epoch)));
            came.flatten().collect()
        })
    });
    (plan, oracle)
}

/// Before a barrier comes nothing that had not come in before it.
fn held_is_behind(
    run: &SimRun,
    out: &Notes<u64>,
    came: impl Fn(Epoch) -> Vec<u64>,
) -> Result<(), String> {
    if run.lives > 1 {
        return Ok(());
    }
    let rows = out.rows();
    for (epoch, at) in out.cuts() {
        let came: std::collections::BTreeSet<u64> = came(epoch).into_iter().collect();
        if let Some(x) = rows[..at].iter().find(|x| !came.contains(x)) {
            return Err(format!("row {x} came before the barrier of {epoch:?} behind it"));
        }
    }
    Ok(())
}

/// Whether a branch of the merge by number leaves a row out.
const fn left_out(x: u64) -> bool {
    x.is_multiple_of(6) || x % 21 == 10
}

/// Whether a row comes to the merge by number.
const fn given(x: u64, silent: bool) -> bool {
    if x % 3 == 2 { !silent } else { !left_out(x) }
}

/// How long a stage waits for a number.
const PATIENCE: Duration = Duration::from_millis(5);

/// What comes too late depends on the clock; that the rest is in order and nothing is lost does not.
fn in_order(run: &SimRun, stage: &str, got: &[u64], sent: &[u64]) -> Result<(), String> {
    if shown_before(run) {
        return Ok(());
    }
    if let Some(w) = got.windows(2).find(|w| w[0] > w[1]) {
        return Err(format!("{} came before {}", w[0], w[1]));
    }
    let (lost, late) = (sent.len() as u64 - got.len() as u64, counted(run, stage, "late"));
    if late > lost || (run.lives == 1 && late < lost) {
        return Err(format!("{late} rows are counted as late instead of {lost}"));
    }
    let mut sent = sent.to_vec();
    sent.sort_unstable();
    let mut sent = sent.into_iter();
    match got.iter().find(|x| !sent.any(|s| s == **x)) {
        Some(x) => Err(format!("row {x} came out once more than in")),
        None => Ok(()),
    }
}

/// Rows that a stage of the last life dropped for a cause.
fn counted(run: &SimRun, stage: &str, cause: &str) -> u64 {
    let stage = run.report.stage(stage);
    stage.and_then(|s| s.dropped.get(cause).copied()).unwrap_or(0)
}

fn by_seq(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    _ = swarm.store();
    let n = u64::from(swarm.pick(size.0, size.1));
    // Enough for what the others give between two rows of one branch.
    let hold = durable(swarm.pick(8, 40) as usize);
    let impatient = swarm.pick(0, 1) == 1;
    let hold = if impatient { hold.patience(PATIENCE) } else { hold };
    let copies = swarm.pick(1, 3);
    let time = |x: u64| x as i64 * 10 - (x % 4) as i64 * 7;
    let pipeline = Pipeline::new();
    let rows = (0..n).collect();
    let (flow, input, begun) = source(swarm, &pipeline, "rows", rows, time, 21);
    let mut flows = flow.route("route", 3, Unrouted::Fail, |x| Some((*x % 3) as usize));
    let (c, b, a) = (flows.remove(2), flows.remove(1), flows.remove(0));
    let a = a.filter("few", |x| !left_out(*x));
    let b = b.filter("some", |x| !left_out(*x)).parallel(copies);
    // A branch that gives nothing at all says how far it has come.
    let silent = swarm.pick(0, 1) == 1;
    let c = c.filter("none", move |_| !silent);
    let merged = a.merge_by_seq("merge", (b, c), InOrder::within(hold));
    let (plan, out, books) = end(swarm, merged);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let read = read(run, "rows", &begun);
        let want: Vec<u64> = (0..read).filter(|x| given(*x, silent)).collect();
        if impatient {
            in_order(run, "merge", &books.visible(), &want)?;
        } else {
            shown(run, "the merge", &books.visible(), &want)?;
        }
        out.promises_hold("the merge")?;
        if run.lives == 1 && out.promised() != input.promised() {
            let (got, want) = (out.promised(), input.promised());
            return Err(format!("the last watermark is {got:?} instead of {want:?}"));
        }
        held_is_behind(run, &out, |epoch| {
            input.rows().into_iter().take(input.before(epoch)).collect()
        })
    });
    (plan, oracle)
}

/// What a resequencer without patience does with numbers in a known order, written down plainly.
#[derive(Default)]
struct Resequenced {
    out: Vec<u64>,
    gaps: u64,
    late: u64,
    next: u64,
}

impl Resequenced {
    fn of(numbers: &[u64], hold: usize, ended: bool) -> Self {
        let mut it = Self::default();
        let mut waiting: BTreeMap<u64, usize> = BTreeMap::new();
        for &x in numbers {
            if x < it.next {
                it.late += 1;
                continue;
            }
            *waiting.entry(x).or_default() += 1;
            while waiting.keys().next().is_some_and(|x| *x <= it.next)
                || waiting.values().sum::<usize>() >= hold
            {
                it.give(&mut waiting);
            }
        }
        while ended && !waiting.is_empty() {
            it.give(&mut waiting);
        }
        it
    }

    fn give(&mut self, waiting: &mut BTreeMap<u64, usize>) {
        let Some(mut first) = waiting.first_entry() else { return };
        let x = *first.key();
        *first.get_mut() -= 1;
        if *first.get() == 0 {
            first.remove();
        }
        self.gaps += x.saturating_sub(self.next);
        self.next = self.next.max(x + 1);
        self.out.push(x);
    }
}

/// Numbers out of order by at most `disorder`, some missing and some twice.
fn shuffled(draws: &mut Draws, n: u64, disorder: u32) -> Vec<u64> {
    let mut placed: Vec<(u64, u64)> = Vec::new();
    for x in (0..n + n / 8).filter(|x| x % 9 != 4) {
        placed.push((x + u64::from(draws.below(disorder + 1)), x));
        if x % 13 == 7 {
            placed.push((x + u64::from(draws.below(3 * disorder + 2)), x));
        }
    }
    placed.sort_by_key(|p| p.0);
    placed.into_iter().map(|p| p.1).collect()
}

fn resequenced(
    swarm: &mut Swarm,
    size: Size,
    patience: Option<Duration>,
) -> (ExecutionPlan<'static>, Oracle) {
    _ = swarm.store();
    let n = u64::from(swarm.pick(size.0, size.1));
    let (disorder, hold) = (swarm.pick(0, 12), swarm.pick(1, 16) as usize);
    let numbers = shuffled(&mut swarm.draws(), n, disorder);
    let sent = numbers.clone();
    let pipeline = Pipeline::new();
    let lag = (3 * disorder + 2) * 10;
    let (flow, input, begun) = source(swarm, &pipeline, "rows", numbers, |x| x as i64 * 10, lag);
    let held = durable(hold);
    let held = if let Some(patience) = patience { held.patience(patience) } else { held };
    let flow = flow.resequence("order", InOrder::within(held), |x| *x);
    let (plan, out, books) = end(swarm, flow);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        out.promises_hold("the resequencer")?;
        let sent = &sent[..read(run, "rows", &begun) as usize];
        let want = Resequenced::of(sent, hold, true);
        let got = books.visible();
        let (gaps, late) = (counted(run, "order", "gap"), counted(run, "order", "late"));
        if patience.is_none() {
            shown(run, "the resequencer", &got, &want.out)?;
            if run.lives == 1 {
                cuts_hold("the resequencer", &out, true, |epoch| {
                    Resequenced::of(&sent[..input.before(epoch)], hold, false).out
                })?;
                if (gaps, late) != (want.gaps, want.late) {
                    let (want_gaps, want_late) = (want.gaps, want.late);
                    return Err(format!(
                        "gaps and late rows {gaps}, {late}, not {want_gaps}, {want_late}"
                    ));
                }
            }
            return Ok(());
        }
        in_order(run, "order", &got, sent)?;
        let mut numbers = got;
        numbers.dedup();
        let missing = numbers.last().map_or(0, |x| x + 1) - numbers.len() as u64;
        if run.lives == 1 && gaps != missing {
            return Err(format!("{gaps} gaps are counted instead of {missing}"));
        }
        held_is_behind(run, &out, |epoch| sent[..input.before(epoch)].to_vec())
    });
    (plan, oracle)
}
