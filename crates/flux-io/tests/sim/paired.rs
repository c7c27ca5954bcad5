//! Two flows of different lengths and speeds, zipped: the i-th row with the i-th, whatever the
//! schedule, through drains, crashes and restarts with rows held; what the longer one has over is
//! counted, a dead letter, or given alone.

use super::data::{Feed, Log, units};
use super::tape::{Notes, Tape, equal, read, shown_before};
use super::{Oracle, Scenario, Size, ended_well, retried};
use flux_io::core::{ErrorRecord, ExecutionPlan, Timestamp};
use flux_io::flow::{Flow, Hold, Leftover, Pipeline, Raw};
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use flux_io_testkit::doubles::{Books, TransactionalVec};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) const SCENARIO: Scenario = Scenario { name: "paired", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Drain)
        .with(Fault::Disk)
        .with(Fault::Crash)
}

const SIDES: [&str; 2] = ["left", "right"];

/// What a row of the right side is called.
const RIGHT: u64 = 1 << 32;

/// The event time of the n-th row of a side: the sides advance at different speeds.
const fn time(side: usize, n: u64) -> i64 {
    [n as i64 * 10, n as i64 * 14 - 3 - (n % 3) as i64 * 9][side]
}

const LAG: u32 = 18;

/// What a zip gives: with one missing where the other has gone on alone.
type Pair = (Option<u64>, Option<u64>);

/// The i-th pair of sides of these lengths.
fn pair(i: u64, lengths: [u64; 2]) -> Pair {
    ((i < lengths[0]).then_some(i), (i < lengths[1]).then_some(RIGHT + i))
}

pub(crate) fn durable(rows: usize) -> Hold<u64> {
    let load = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
    Hold::rows(rows).durable(|x, to| to.extend_from_slice(&x.to_le_bytes()), load)
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let m = [n, n + 1, n * 3 / 4, n.saturating_sub(3)][swarm.pick(0, 3) as usize];
    let lengths = if swarm.pick(0, 1) == 1 { [m, n] } else { [n, m] };
    let rest = match swarm.pick(0, 2) {
        0 => Some(Leftover::Drop),
        1 => Some(Leftover::DeadLetter),
        _ => None,
    };
    let holds = [swarm.pick(1, 20) as usize, swarm.pick(1, 20) as usize];
    _ = swarm.store();
    let begun: [Arc<AtomicU64>; 2] = std::array::from_fn(|_| Arc::default());
    let dead: Log<ErrorRecord> = swarm.keep("dead", Log::default);
    let books: Books<Pair> = swarm.keep("books", Books::default);
    let (sides, out) = ([Notes::default(), Notes::default()], Notes::<Pair>::default());

    let pipeline = Pipeline::new().dead_letters("dead", swarm.sink("dead", dead.clone()));
    let mut flow = |side: usize| {
        let name = SIDES[side];
        let base = [0, RIGHT][side];
        let rows = (base..base + lengths[side]).collect();
        let source = Feed::new(rows).slow(swarm.delays()).telling(&begun[side]);
        pipeline
            .source(name, swarm.source(name, source).fresh(vec![base + lengths[side]]))
            .event_time(&format!("{name} time"), move |x: &u64| Timestamp(time(side, *x - base)))
            .lag(units(LAG))
            .stage(&format!("{name} tape"), Tape(sides[side].clone()))
    };
    let (left, right) = (flow(0), flow(1));
    let [a, b] = holds.map(durable);
    let pairs: Flow<'static, Vec<Pair>, Raw> = match rest {
        Some(rest) => {
            let pairs = left.zip_with("zip", right, rest, a, b);
            pairs.map("both", |(x, y)| (Some(x), Some(y))).stage("tape", Tape(out.clone()))
        }
        None => left.zip_longest("zip", right, a, b).stage("tape", Tape(out.clone())),
    };
    let sink = swarm.sink("out", TransactionalVec::new(&books));
    let sink = sink.traced(|p: &Pair| p.0.unwrap_or(7) ^ p.1.unwrap_or(7) << 16);
    let mut plan = pairs.sink("out", sink).plan().expect("a plan without faults");
    retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        if shown_before(run) {
            // Rows shown by the life that was drained are shown again, and what one side had over
            // then finds its partner now; but no row is ever paired with another one's partner.
            let wrong = |p: &Pair| p.0.zip(p.1).is_some_and(|(x, y)| y != RIGHT + x);
            return match books.visible().into_iter().find(wrong) {
                Some(p) => Err(format!("{p:?} are no pair")),
                None => Ok(()),
            };
        }
        let read = [0, 1].map(|side| read(run, SIDES[side], &begun[side]));
        let of = |lengths, pairs| -> Vec<Pair> { (0..pairs).map(|i| pair(i, lengths)).collect() };
        let least = read[0].min(read[1]);
        let pairs = if rest.is_none() { read[0].max(read[1]) } else { least };
        equal("the sink", &books.visible(), &of(read, pairs))?;
        out.promises_hold("pairs")?;
        for (row, t) in out.timed() {
            let times = (row.0.map(|n| time(0, n)), row.1.map(|n| time(1, n - RIGHT)));
            if t < times.0.max(times.1).unwrap_or(i64::MIN)
                || (times.0.is_some() && times.1.is_some() && Some(t) != times.0.max(times.1))
            {
                return Err(format!("{row:?} has time {t} of {times:?}"));
            }
        }
        if run.lives == 1 {
            equal("pairs", &out.rows(), &of(read, pairs))?;
            for (epoch, at) in out.cuts() {
                let came = [0, 1].map(|side: usize| sides[side].before(epoch) as u64);
                // Whoever has ended by then leaves the other side alone.
                let over = |side: usize| rest.is_none() && came[side] == read[side];
                let least = came[0].min(came[1]);
                let most = if over(0) || over(1) { came[0].max(came[1]) } else { least };
                let at = at as u64;
                if at < least || at > most {
                    return Err(format!("{at} pairs before the barrier of {epoch:?}, of {came:?}"));
                }
            }
        }
        leftover(run, rest, read, least, &dead)
    });
    (plan, oracle)
}

/// What one side has over is accounted for, once in the one life of a run.
fn leftover(
    run: &SimRun,
    rest: Option<Leftover>,
    read: [u64; 2],
    least: u64,
    dead: &Log<ErrorRecord>,
) -> Result<(), String> {
    let over: Vec<u64> = (least..read[0].max(read[1])).collect();
    let stage = run.report.stage("zip");
    let dropped = stage.and_then(|s| s.dropped.get("unpaired").copied()).unwrap_or(0);
    let mut letters: Vec<u64> = dead.rows().iter().map(|d| d.seq).collect();
    letters.sort_unstable();
    if run.lives > 1 {
        letters.dedup();
    }
    let counted = if rest == Some(Leftover::Drop) { over.len() as u64 } else { 0 };
    if dropped > counted || (run.lives == 1 && dropped < counted) {
        return Err(format!("{dropped} rows are counted as unpaired instead of {counted}"));
    }
    let due: &[u64] = if rest == Some(Leftover::DeadLetter) { &over } else { &[] };
    equal("dead letters", &letters, due)
}
