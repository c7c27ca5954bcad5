//! Calls for rows: slow, failing, lost, hedged, poisoned and panicking ones, tried again by policy,
//! in the order of the rows or of the results, through barriers, drains, aborts, crashes and
//! restarts. Each row is exactly one of a result, a dead letter or a skip, after as many calls as
//! the policy allows; no watermark and no barrier passes a call.

use super::data::{Feed, Log, units};
use super::tape::{Notes, Tape, all_passed, cuts_hold, equal, read, shown_before};
use super::{Oracle, Scenario, Size, ended_well, lock, retried};
use flux_io::core::{
    Ended, ErrorRecord, ExecutionPlan, GiveUp, OnError, Retry, RowError, Timestamp,
};
use flux_io::flow::{Calls, Hedge, Pipeline, effect};
use flux_io_sim::{Answer, Fault, Faults, SimRun, Swarm};
use flux_io_testkit::doubles::{Books, TransactionalVec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const SCENARIO: Scenario = Scenario { name: "called", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::SlowCall)
        .with(Fault::FailCall)
        .with(Fault::LostCall)
        .with(Fault::Drain)
        .with(Fault::Abort)
        .with(Fault::Disk)
        .with(Fault::Crash)
}

/// What a call said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Failed,
    Poison,
    Value,
}

/// The other side: what it was asked in this life, and what it said.
#[derive(Debug, Default)]
struct Service {
    calls: Mutex<BTreeMap<u64, Vec<Said>>>,
    /// Calls under way, and the most that ever were.
    now: AtomicU64,
    most: AtomicU64,
}

/// A call under way.
struct Call(Arc<Service>, u64, usize);

impl Call {
    fn begin(service: &Arc<Service>, row: u64) -> Self {
        let now = service.now.fetch_add(1, Ordering::Relaxed) + 1;
        service.most.fetch_max(now, Ordering::Relaxed);
        let mut calls = lock(&service.calls);
        let said = calls.entry(row).or_default();
        said.push(Said::Nothing);
        Self(Arc::clone(service), row, said.len() - 1)
    }

    fn say(&self, what: Said) {
        if let Some(said) = lock(&self.0.calls).get_mut(&self.1) {
            said[self.2] = what;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How the calls are made, and what becomes of those that fail.
#[derive(Clone, Copy, Debug)]
struct Rules {
    limit: u64,
    ordered: bool,
    hedged: bool,
    attempts: u32,
    then: GiveUp,
}

impl Rules {
    fn draw(swarm: &mut Swarm) -> Self {
        Self {
            limit: u64::from(swarm.pick(1, 12)),
            ordered: swarm.pick(0, 2) < 2,
            hedged: swarm.pick(0, 3) == 3,
            attempts: swarm.pick(1, 4),
            then: [GiveUp::DeadLetter, GiveUp::Skip, GiveUp::DeadLetter, GiveUp::Fail]
                [swarm.pick(0, 3) as usize],
        }
    }

    fn calls(self) -> Calls {
        let calls = Calls::limit(self.limit as usize).timeout(Duration::from_millis(40));
        let calls = if self.ordered { calls } else { calls.unordered() };
        let hedge = Hedge { after: Duration::from_millis(2), extra: 1 };
        if self.hedged { calls.hedge(hedge) } else { calls }
    }

    const fn at_once(self) -> u64 {
        self.limit * (1 + self.hedged as u64)
    }
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let rules = Rules::draw(swarm);
    let poison = swarm.pick(0, 1) == 1;
    _ = swarm.store();
    let begun = Arc::new(AtomicU64::new(0));
    let dead: Log<ErrorRecord> = swarm.keep("dead", Log::default);
    let books: Books<u64> = swarm.keep("books", Books::default);
    let (input, out) = (Notes::default(), Notes::<u64>::default());
    let service = Arc::<Service>::default();

    let (answers, asked) = (swarm.calls("service"), Arc::clone(&service));
    let retry = Retry { attempts: rules.attempts, ..Retry::default() };
    let on_error = OnError::Retry { retry, then: rules.then };
    let source = Feed::new((0..n).collect()).slow(swarm.delays()).telling(&begun);
    let source = swarm.source("rows", source).fresh(vec![n, n + 1]);
    let sink = swarm.sink("out", TransactionalVec::new(&books)).traced(|x: &u64| *x);
    let mut plan = Pipeline::new()
        .dead_letters("dead", swarm.sink("dead", dead.clone()))
        .source("rows", source)
        .event_time("time", |x: &u64| Timestamp(*x as i64 * 10 - (*x % 4) as i64 * 7))
        .lag(units(21))
        .stage("in", Tape(input.clone()))
        .async_map("calls", rules.calls(), move |row| {
            let (row, service, answers) = (*row, Arc::clone(&asked), answers.clone());
            effect::of(move |env| async move {
                let call = Call::begin(&service, row);
                if poison && row % 23 == 7 {
                    call.say(Said::Poison);
                    return Err(RowError::poison("no such thing"));
                }
                if poison && row % 23 == 11 {
                    call.say(Said::Poison);
                    // Past the hook that would print it.
                    std::panic::resume_unwind(Box::new("a call panics on poison"));
                }
                match answers.draw() {
                    Answer::Never => std::future::pending().await,
                    Answer::Error => {
                        call.say(Said::Failed);
                        return Err(RowError::transient("not now"));
                    }
                    Answer::After(Duration::ZERO) => {}
                    Answer::After(time) => env.sleep(time).await,
                }
                call.say(Said::Value);
                Ok(row)
            })
        })
        .on_error(on_error)
        .stage("tape", Tape(out.clone()))
        .sink("out", sink)
        .plan()
        .expect("a plan without faults");
    retried(&mut plan);
    if let Some(node) = plan.graph.nodes.iter_mut().find(|n| n.name == "calls") {
        node.on_error = on_error;
    }
    let oracle: Oracle = Box::new(move |run| {
        let (now, most) = (&service.now, &service.most);
        let (now, most) = (now.load(Ordering::Relaxed), most.load(Ordering::Relaxed));
        if now != 0 || most > rules.at_once() {
            return Err(format!("{now} calls are left, {most} were under way with {rules:?}"));
        }
        out.promises_hold("calls")?;
        order_holds(&rules, &input, &out)?;
        let calls = std::mem::take(&mut *lock(&service.calls));
        let failed: BTreeSet<u64> =
            calls.iter().filter(|c| !c.1.contains(&Said::Value)).map(|c| *c.0).collect();
        match run.report.ended {
            Ended::Aborted => return Ok(()),
            Ended::Failed if rules.then == GiveUp::Fail && !failed.is_empty() => return Ok(()),
            _ => ended_well(run)?,
        }
        each_is_one(run, &rules, &calls)?;
        let read = read(run, "rows", &begun);
        let letters: Vec<ErrorRecord> = dead.rows();
        if run.lives == 1 {
            let kept = |x: &u64| !failed.contains(x);
            equal("rows", &input.rows(), &(0..read).collect::<Vec<_>>())?;
            if rules.ordered {
                let before = |n: usize| input.rows()[..n].iter().filter(|x| kept(x)).count();
                all_passed("calls", &input, &out, before)?;
            }
            let mut got = books.visible();
            got.sort_unstable();
            equal("the sink", &got, &(0..read).filter(kept).collect::<Vec<_>>())?;
            cuts_hold("calls", &out, rules.ordered, |epoch| {
                let rows = input.rows().into_iter().take(input.before(epoch));
                rows.filter(kept).collect()
            })?;
            lost_are_told(run, &rules, &calls, &failed, &letters)
        } else {
            after_a_crash(run, &rules, (0..read).collect(), &books.visible(), &letters)
        }
    });
    (plan, oracle)
}

/// Results in the order of the rows, where that was promised.
fn order_holds(rules: &Rules, input: &Notes<u64>, out: &Notes<u64>) -> Result<(), String> {
    let (rows, times) = (out.timed(), input.timed().into_iter().collect::<BTreeMap<_, _>>());
    if let Some((x, t)) = rows.iter().find(|(x, t)| times.get(x) != Some(t)) {
        return Err(format!("row {x} has time {t} instead of {:?}", times.get(x)));
    }
    match rows.windows(2).find(|w| w[0].0 >= w[1].0) {
        Some(w) if rules.ordered => Err(format!("{} came before {}", w[0].0, w[1].0)),
        _ => Ok(()),
    }
}

/// As many calls as the policy says: one more only behind one that failed in a way that passes, none
/// behind a value or poison, and no fewer than allowed before a row is given up.
fn each_is_one(
    run: &SimRun,
    rules: &Rules,
    calls: &BTreeMap<u64, Vec<Said>>,
) -> Result<(), String> {
    let attempts = rules.attempts as usize;
    for (row, said) in calls {
        let told = |what| Err(format!("row {row}: {what} after {said:?} with {rules:?}"));
        let values = said.iter().filter(|s| **s == Said::Value).count();
        let poisoned = said.contains(&Said::Poison);
        if rules.hedged {
            if said.len() > attempts * 2 || values > 1 {
                return told("too many calls");
            }
            continue;
        }
        let over = values == 1 && said.last() == Some(&Said::Value);
        if said.len() > attempts || values > usize::from(over) || poisoned && said.len() > 1 {
            return told("too many calls");
        }
        let all = run.report.ended == Ended::Completed || run.report.ended == Ended::Drained;
        if all && !over && !poisoned && said.len() < attempts {
            return told("too few calls");
        }
    }
    Ok(())
}

/// Rows without a result are dead letters with their attempts, or skipped and counted.
fn lost_are_told(
    run: &SimRun,
    rules: &Rules,
    calls: &BTreeMap<u64, Vec<Said>>,
    failed: &BTreeSet<u64>,
    letters: &[ErrorRecord],
) -> Result<(), String> {
    let mut told: Vec<(u64, usize)> =
        letters.iter().map(|d| (d.seq, d.attempts as usize)).collect();
    told.sort_unstable();
    let attempts = |row: &u64| if rules.hedged { 0 } else { calls[row].len() };
    let (want, skipped): (Vec<(u64, usize)>, u64) = match rules.then {
        GiveUp::Skip => (Vec::new(), failed.len() as u64),
        _ => (failed.iter().map(|row| (*row, attempts(row))).collect(), 0),
    };
    if rules.hedged {
        told.iter_mut().for_each(|t| t.1 = 0);
    }
    equal("dead letters", &told, &want)?;
    let counted =
        run.report.stage("calls").map_or(0, |s| s.dropped.get("skip").copied().unwrap_or(0));
    if counted != skipped {
        return Err(format!("{counted} rows are counted as skipped instead of {skipped}"));
    }
    Ok(())
}

/// Each row is shown at most once and in order; one that is not shown was told in some life.
fn after_a_crash(
    run: &SimRun,
    rules: &Rules,
    rows: Vec<u64>,
    shown: &[u64],
    letters: &[ErrorRecord],
) -> Result<(), String> {
    let mut once = shown.to_vec();
    once.sort_unstable();
    if !shown_before(run)
        && (once.windows(2).any(|w| w[0] == w[1]) || rules.ordered && once != shown)
    {
        return Err("after a crash rows are shown twice or out of order".to_owned());
    }
    let letters: BTreeSet<u64> = letters.iter().map(|d| d.seq).collect();
    let told = |x: &u64| once.binary_search(x).is_ok() || letters.contains(x);
    match rows.iter().find(|x| !told(x)) {
        Some(x) if rules.then == GiveUp::DeadLetter => {
            Err(format!("after a crash row {x} is neither shown nor a dead letter"))
        }
        _ => Ok(()),
    }
}
