//! Circuits around calls: nothing is lost whatever an open one does, it opens in bursts of failures
//! and recovers after them.

use flux_io::backpressure::{BreakerPolicy, BreakerState, Change, Circuit, WhenOpen};
use flux_io::core::{Draws, Engine, ExecutionPlan, Moment};
use flux_io::flow::{Calls, effect};
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_sim::{Fault, Faults, SimRun, Swarm, simulate};
use flux_io_testkit::doubles::{CollectSink, Shelf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const US: u64 = 1_000;

/// Opens on two of four, for half a millisecond at first and for two at most.
fn policy() -> BreakerPolicy {
    BreakerPolicy {
        window: 8,
        min_calls: 4,
        trials: 3,
        successes: 2,
        cooldown: Duration::from_micros(500),
        longest: Duration::from_millis(2),
        slow: Some(LIMIT),
        ..BreakerPolicy::default()
    }
}

/// How long a call may take; one that is answered takes less than two thirds of it.
const LIMIT: Duration = Duration::from_micros(300);
const HOUR: Duration = Duration::from_secs(3_600);

fn patient(then: GiveUp) -> OnError {
    let wait = Duration::from_micros(100);
    let retry =
        Retry { attempts: 100_000, first: wait, factor: 1, longest: wait, jitter_percent: 0 };
    OnError::Retry { retry, then }
}

/// Something outside that is down in bursts, and what was seen of it.
struct Outside {
    /// From, until.
    bursts: Vec<(Moment, Moment)>,
    /// Whether calls hang when it is down.
    hangs: bool,
    draws: Mutex<Draws>,
    /// When calls ended, and whether well.
    ends: Mutex<Vec<(Moment, bool)>>,
}

impl Outside {
    async fn answer(&self, env: effect::Env, row: u64) -> Result<u64, RowError> {
        let takes = u64::from(self.draws.lock().unwrap().below(200)) * US;
        env.sleep(Duration::from_nanos(takes)).await;
        let now = env.now();
        let down = self.bursts.iter().any(|b| b.0 <= now && now < b.1);
        self.ends.lock().unwrap().push((now, !down));
        if down && self.hangs {
            std::future::pending::<()>().await;
        }
        if down { Err(RowError::transient("it is down")) } else { Ok(row) }
    }
}

/// What a run through a circuit is judged by.
struct Job {
    rows: u64,
    out: Shelf<u64>,
    outside: Arc<Outside>,
    circuit: Circuit,
    changes: Arc<Mutex<Vec<Change>>>,
}

fn plan(swarm: &mut Swarm) -> (ExecutionPlan<'static>, Job) {
    let rows = u64::from(swarm.pick(50, 300));
    let mut bursts = Vec::new();
    let mut at = 0;
    for _ in 0..swarm.pick(1, 3) {
        let until = at + u64::from(swarm.pick(2_000, 6_000)) * US;
        bursts.push((Moment(at), Moment(until)));
        at = until + u64::from(swarm.pick(100, 4_000)) * US;
    }
    let hangs = swarm.pick(0, 1) == 1;
    let draws = Mutex::new(swarm.draws());
    let outside = Arc::new(Outside { bursts, hangs, draws, ends: Mutex::default() });
    let changes: Arc<Mutex<Vec<Change>>> = Arc::default();
    let log = Arc::clone(&changes);
    let when_open = [WhenOpen::Wait, WhenOpen::Retry][swarm.pick(0, 1) as usize];
    let circuit = Circuit::new("outside", policy())
        .unwrap()
        .when_open(when_open)
        .on_change(move |_, c| log.lock().unwrap().push(c));
    let (sink, out) = CollectSink::<u64>::new();
    let (guard, asked) = (circuit.clone(), Arc::clone(&outside));
    // Outside of the circuit the limit drops calls, which had been slow by then, and calls that
    // wait for it.
    let outer = swarm.pick(0, 1) == 1;
    let calls = Calls::limit(swarm.pick(1, 8) as usize);
    let calls = if outer { calls.timeout(LIMIT) } else { calls };
    let source = swarm.source("rows", source::iter(0..rows));
    let plan = Pipeline::new()
        .source("rows", source)
        .async_map("calls", calls, move |row| {
            let (row, outside) = (*row, Arc::clone(&asked));
            let call = effect::of(move |env| async move { outside.answer(env, row).await });
            guard.call(call.timeout(if outer { HOUR } else { LIMIT }))
        })
        .on_error(patient(GiveUp::Fail))
        .sink("out", swarm.sink("out", sink))
        .plan()
        .unwrap();
    (plan, Job { rows, out, outside, circuit, changes })
}

/// All rows came, in order; it opened in the burst, not too often, and closed after it.
fn judge(run: &SimRun, job: Job) -> Result<(), String> {
    if !run.report.is_success() {
        return Err(format!("ended {:?}: {:?}", run.report.ended, run.report.failure));
    }
    run.report.check()?;
    if job.out.rows() != (0..job.rows).collect::<Vec<u64>>() {
        return Err(format!("{} rows of {}", job.out.rows().len(), job.rows));
    }
    let changes = job.changes.lock().unwrap();
    let opened: Vec<Moment> =
        changes.iter().filter(|c| c.to == BreakerState::Open).map(|c| c.at).collect();
    if opened.len() as u64 != job.circuit.counts().opened {
        return Err("an opening was not told".to_owned());
    }
    let ends = job.outside.ends.lock().unwrap();
    if ends.iter().take(4).filter(|e| !e.1).count() == 4 && opened.is_empty() {
        return Err("four failures of four calls did not open it".to_owned());
    }
    if let Some(w) = opened.windows(2).find(|w| w[1].since(w[0]) < policy().cooldown) {
        return Err(format!("opened at {:?} and again at {:?}", w[0], w[1]));
    }
    if let Some(early) = changes
        .windows(2)
        .find(|w| w[0].to == BreakerState::Open && w[1].at.since(w[0].at) < policy().cooldown)
    {
        return Err(format!("half-open before the wait is over: {early:?}"));
    }
    // A hanging call of the last burst is known as failed when its time is over.
    let well = job.outside.bursts.last().unwrap().1.plus(LIMIT);
    let relapses = opened.iter().filter(|at| well < **at).count();
    // Time that passes while calls are under way and their stage is not polled (it waits for the
    // sink behind it, or the machine sleeps) makes them slow: the other side looks ill.
    let held = [Fault::SlowStep, Fault::Suspend, Fault::SlowWrite];
    let jumps: u64 = held.into_iter().map(|f| run.effects.of(f)).sum();
    if relapses as u64 > 1 + jumps {
        return Err(format!("opened {relapses} times although nothing failed any more"));
    }
    let rested = well.plus(Duration::from_millis(3));
    let after = ends.iter().filter(|e| rested < e.0).count();
    if jumps == 0 && after > 11 && job.circuit.state() != BreakerState::Closed {
        return Err(format!("{:?} after {after} calls that succeeded", job.circuit.state()));
    }
    Ok(())
}

/// Bursts of failures, or of calls that hang until their time limit, open the circuit; it lets
/// trials through after its cooldown, closes on their evidence, and once nothing fails any more it
/// opens at most once, from what it had seen before. Rows 173, 188, 276, 284.
#[test]
fn bursts_open_it_and_it_recovers() {
    let (mut opened, mut closed, mut waited) = (0, 0, 0);
    let stats = simulate(plan).faults(Faults::harmless()).seeds(300).check(|run, job| {
        let counts = job.circuit.counts();
        opened += u64::from(counts.opened > 0);
        closed += u64::from(counts.closed > 0);
        waited += u64::from(counts.refused > 0);
        judge(run, job)
    });
    println!("{} runs: opened in {opened}, closed in {closed}, held back in {waited}", stats.runs);
    assert!(opened > 250 && closed > 250 && waited > 250, "{opened} {closed} {waited}");
}

/// Where the other side is down for good: rows that are refused become dead letters, each with the
/// row, and each counted; on every engine.
#[test]
fn b050_refused_rows_are_dead_letters() {
    let engines: [Box<dyn Engine>; 3] =
        [Box::new(SyncEngine::seeded(5)), Box::new(TokioEngine), Box::new(RayonEngine)];
    for engine in engines {
        let circuit =
            Circuit::new("outside", BreakerPolicy { cooldown: HOUR, longest: HOUR, ..policy() });
        let circuit = circuit.unwrap().when_open(WhenOpen::Refuse);
        let (sink, out) = CollectSink::<u64>::new();
        let (letters, dead) = CollectSink::<ErrorRecord>::new();
        let guard = circuit.clone();
        let end = Pipeline::new()
            .dead_letters("dead", letters)
            .source("rows", source::iter(0..200_u64))
            .async_map("calls", 3, move |row| {
                let row = *row;
                guard.call(std::future::ready(if row < 20 {
                    Ok(row)
                } else {
                    Err(RowError::transient("it is down"))
                }))
            })
            .on_error(OnError::DeadLetter)
            .sink("out", sink);
        let report = engine.run_plan(end.plan().unwrap(), RunOptions::default());
        assert!(report.is_success(), "{:?}", report.failure);
        report.check().unwrap();
        assert_eq!(out.rows(), (0..20).collect::<Vec<u64>>());
        let dead = dead.take();
        let refused =
            |d: &&ErrorRecord| d.what.starts_with("circuit `outside` is open for another ");
        assert_eq!(dead.iter().filter(refused).count() as u64, circuit.counts().refused);
        assert!(circuit.counts().refused >= 170, "{:?}", circuit.counts());
        let mut rows: Vec<u64> =
            dead.into_iter().map(|d| d.original.downcast::<u64>().unwrap()).collect();
        rows.sort_unstable();
        assert_eq!(rows, (20..200).collect::<Vec<u64>>());
        assert_eq!(circuit.state(), BreakerState::Open);
    }
}

/// With `transient_only`, rows that are no good say nothing about the other side.
#[test]
fn bad_rows_do_not_open_it() {
    for (transient_only, state) in [(false, BreakerState::Open), (true, BreakerState::Closed)] {
        let circuit = Circuit::new("outside", policy()).unwrap().when_open(WhenOpen::Refuse);
        let circuit = if transient_only { circuit.transient_only() } else { circuit };
        let guard = circuit.clone();
        let end = Pipeline::new()
            .source("rows", source::iter(0..20_u64))
            .async_map("calls", 1, move |_| {
                guard.call(std::future::ready(Err::<u64, _>(RowError::poison("bad row"))))
            })
            .on_error(OnError::Skip)
            .discard("end");
        let report = SyncEngine::seeded(1).run_plan(end.plan().unwrap(), RunOptions::default());
        assert!(report.is_success());
        assert_eq!(circuit.state(), state);
    }
}

/// A run that is aborted while calls wait for the circuit, and while trials are under way, leaves
/// no trial taken.
#[test]
fn dropped_calls_give_their_trials_back() {
    use flux_io::flow::effect::{Cancel, Env};
    use std::task::{Context, Poll, Waker};
    let circuit = Circuit::new("outside", policy()).unwrap();
    let host = flux_io_testkit::doubles::ManualHost::new();
    let env = Env::new(host.io(1), Cancel::new(), 1);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..4 {
        let call = circuit.call(std::future::ready(Err::<u64, _>(RowError::transient("down"))));
        assert!(matches!(
            std::pin::pin!(call.run(&env)).as_mut().poll(&mut cx),
            Poll::Ready(Err(_))
        ));
    }
    assert_eq!(circuit.state(), BreakerState::Open);
    host.advance_to(Moment(1_000_000));
    let begin = || {
        let hanging = circuit.call(std::future::pending::<Result<u64, RowError>>());
        Box::pin(hanging.run(&env))
    };
    let mut trials: Vec<_> = (0..5).map(|_| begin()).collect();
    for t in &mut trials {
        assert!(t.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(circuit.counts().refused, 2, "three trials, and two wait");
    drop(trials);
    assert_eq!(circuit.counts().dropped, 3);
    let call = circuit.call(std::future::ready(Ok::<u64, RowError>(1)));
    let mut call = Box::pin(call.run(&env));
    assert!(matches!(call.as_mut().poll(&mut cx), Poll::Ready(Ok(1))), "a trial is free again");
}
