//! One flow as several and again as one: `split`, `route`, `route_or` and `broadcast` in front of
//! `merge`, with barriers, drains, crashes and restarts. Every branch gets exactly its rows in
//! order, with every barrier and watermark at its place; the merge loses and doubles nothing and
//! keeps the order of each input; what no branch takes is counted.

use super::data::{Feed, Log, units};
use super::tape::{Notes, Tape, all_passed, cuts_hold, equal, read, shown};
use super::{Oracle, Scenario, Size, ended_well, retried};
use flux_io::core::{ErrorRecord, ExecutionPlan, Timestamp};
use flux_io::flow::{Flow, Pipeline, Raw, Unrouted};
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use flux_io_testkit::doubles::{Books, TransactionalVec};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) const SCENARIO: Scenario = Scenario { name: "branched", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Drain)
        .with(Fault::Disk)
        .with(Fault::Crash)
}

/// The event time of a row: out of order by less than [`LAG`].
const fn time(x: u64) -> i64 {
    x as i64 * 10 - (x % 4) as i64 * 7
}

const LAG: u32 = 21;

/// How the flow branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Split,
    Route(Unrouted),
    RouteOr,
    Broadcast(u64),
}

impl Word {
    fn draw(swarm: &mut Swarm) -> Self {
        match swarm.pick(0, 6) {
            0 => Self::Split,
            1 => Self::Route(Unrouted::Drop),
            2 => Self::Route(Unrouted::DeadLetter),
            3 => Self::RouteOr,
            n => Self::Broadcast(u64::from(n) - 2),
        }
    }

    const fn branches(self) -> u64 {
        match self {
            Self::Split => 2,
            Self::Route(_) | Self::RouteOr => 3,
            Self::Broadcast(n) => n,
        }
    }

    /// Where a router sends a row.
    fn routed(x: u64) -> Option<usize> {
        [Some(0), Some(1), Some(0), None, Some(2)][(x * x % 5) as usize]
    }

    /// Whether a branch gets a row.
    fn takes(self, branch: u64, x: u64) -> bool {
        match self {
            Self::Split => (branch == 0) == x.is_multiple_of(3),
            Self::Route(_) => Self::routed(x) == Some(branch as usize),
            Self::RouteOr => Self::routed(x).filter(|p| *p < 2).unwrap_or(2) == branch as usize,
            Self::Broadcast(_) => true,
        }
    }

    fn attach(self, rows: Flow<'static, Vec<u64>, Raw>, tapes: &[Notes<u64>]) -> Vec<Numbers> {
        let tape = |i: usize| (format!("branch {i}"), Tape(tapes[i].clone()));
        let flows = match self {
            Self::Split => {
                let (yes, no) = rows.split("word", |x| x.is_multiple_of(3));
                vec![yes, no]
            }
            Self::Route(unrouted) => rows.route("word", 3, unrouted, |x| Self::routed(*x)),
            Self::RouteOr => {
                let (mut flows, rest) = rows.route_or("word", 2, |x| Self::routed(*x));
                flows.push(rest);
                flows
            }
            Self::Broadcast(n) => {
                let flows = rows.broadcast("word", n as usize).into_iter().enumerate();
                let own = |(i, f): (usize, Flow<'static, _, Raw>)| {
                    let (name, tape) = tape(i);
                    f.map_rows(&format!("own {i}"), |x: &u64| *x).stage(&name, tape)
                };
                return flows.map(own).collect();
            }
        };
        let flows = flows.into_iter().enumerate();
        flows
            .map(|(i, f)| {
                let (name, tape) = tape(i);
                f.stage(&name, tape)
            })
            .collect()
    }
}

type Numbers = Flow<'static, Vec<u64>, Raw>;

/// A row and the branch it came by.
type Tagged = (u64, u64);

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let word = Word::draw(swarm);
    let merged = swarm.pick(0, 2) > 0;
    let rooms: Vec<usize> = (0..word.branches()).map(|_| swarm.pick(1, 4) as usize).collect();
    _ = swarm.store();
    let begun = Arc::new(AtomicU64::new(0));
    let dead: Log<ErrorRecord> = swarm.keep("dead", Log::default);
    let outs = if merged { 1 } else { word.branches() };
    let books: Vec<Books<Tagged>> =
        (0..outs).map(|i| swarm.keep(&format!("books {i}"), Books::default)).collect();
    let (input, out) = (Notes::default(), Notes::<Tagged>::default());
    let branches: Vec<Notes<u64>> = (0..word.branches()).map(|_| Notes::default()).collect();

    let source = Feed::new((0..n).collect()).slow(swarm.delays()).telling(&begun);
    let pipeline = Pipeline::new().dead_letters("dead", swarm.sink("dead", dead.clone()));
    let rows = pipeline
        .source("rows", swarm.source("rows", source).fresh(vec![n, n + 1]))
        .event_time("time", |x: &u64| Timestamp(time(*x)))
        .lag(units(LAG))
        .stage("in", Tape(input.clone()));
    let flows = word.attach(rows, &branches).into_iter().zip(0..).zip(rooms);
    let mut flows: Vec<Flow<'static, Vec<Tagged>, Raw>> = flows
        .map(|((f, i), room)| f.map(&format!("tag {i}"), move |x| (i, x)).buffer(room))
        .collect();
    let mut sink = |i: usize| {
        let sink = swarm.sink(&format!("out {i}"), TransactionalVec::new(&books[i]));
        sink.traced(|x: &Tagged| x.0 << 32 | x.1)
    };
    let first = flows.remove(0);
    let end = if merged {
        first.merge("merge", flows).stage("merged", Tape(out.clone())).sink("out 0", sink(0))
    } else {
        let first = first.sink("out 0", sink(0));
        let rest = flows.into_iter().enumerate();
        rest.fold(first, |end, (i, f)| end.and(f.sink(&format!("out {}", i + 1), sink(i + 1))))
    };
    let mut plan = end.plan().expect("a plan without faults");
    retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let seen = input.timed();
        for (branch, notes) in (0..).zip(&branches) {
            let place = format!("branch {branch} of {word:?}");
            let mine = |x: &&(u64, i64)| word.takes(branch, x.0);
            let want: Vec<(u64, i64)> = seen.iter().filter(mine).copied().collect();
            equal(&place, &notes.timed(), &want)?;
            all_passed(&place, &input, notes, |n| seen[..n].iter().filter(mine).count())?;
        }
        if merged {
            merge_holds(&input, &branches, &out)?;
        }
        let read = read(run, "rows", &begun);
        let mut got: Vec<Tagged> = books.iter().flat_map(Books::visible).collect();
        let by_branch = |b: u64| (0..read).filter(move |x| word.takes(b, *x)).map(move |x| (b, x));
        got.sort_by_key(|x| x.0);
        let want: Vec<Tagged> = (0..word.branches()).flat_map(by_branch).collect();
        shown(run, "the sinks", &got, &want)?;
        let unrouted = (0..read).filter(|x| (0..word.branches()).all(|b| !word.takes(b, *x)));
        rest_is_counted(run, word, &unrouted.collect::<Vec<_>>(), &dead)
    });
    (plan, oracle)
}

/// A merge gives the rows of its inputs, each input in order, barriers and watermarks between them.
fn merge_holds(
    input: &Notes<u64>,
    branches: &[Notes<u64>],
    out: &Notes<Tagged>,
) -> Result<(), String> {
    let rows = out.rows();
    for (branch, notes) in (0..).zip(branches) {
        let own: Vec<u64> = rows.iter().filter(|x| x.0 == branch).map(|x| x.1).collect();
        equal(&format!("input {branch} of the merge"), &own, &notes.rows())?;
    }
    let before = |epoch| {
        let tagged = |(b, notes): (u64, &Notes<u64>)| {
            let rows = notes.rows().into_iter().take(notes.before(epoch));
            rows.map(move |x| (b, x)).collect::<Vec<_>>()
        };
        (0..).zip(branches).flat_map(tagged).collect()
    };
    cuts_hold("merge", out, false, before)?;
    out.promises_hold("merge")?;
    if out.promised() != input.promised() {
        let (got, want) = (out.promised(), input.promised());
        return Err(format!("the last watermark of the merge is {got:?} instead of {want:?}"));
    }
    Ok(())
}

/// What no branch takes is dropped and counted, or a dead letter; after a crash the count is that of
/// the last life, and dead letters may have come before.
fn rest_is_counted(
    run: &SimRun,
    word: Word,
    rest: &[u64],
    dead: &Log<ErrorRecord>,
) -> Result<(), String> {
    let stage = run.report.stage("word");
    let dropped = stage.and_then(|s| s.dropped.get("unrouted").copied()).unwrap_or(0);
    let mut letters: Vec<u64> = dead.rows().iter().map(|d| d.seq).collect();
    letters.sort_unstable();
    if run.lives > 1 {
        letters.dedup();
    }
    let (counted, lettered) = match word {
        Word::Route(Unrouted::Drop) => (rest.len() as u64, Vec::new()),
        _ => (0, rest.to_vec()),
    };
    if dropped > counted || (run.lives == 1 && dropped < counted) {
        return Err(format!("{dropped} rows are counted as unrouted instead of {counted}"));
    }
    shown(run, "dead letters", &letters, &lettered)
}
