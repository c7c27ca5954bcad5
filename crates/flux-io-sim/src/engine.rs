//! The engine: polls core's tasks one at a time, and draws what runs next.
//!
//! What can run in a step: a task that was woken, a blocking job, a timer that is due. When none
//! can, the clock jumps to the next deadline. When there is none either and tasks are left, nothing
//! will ever run again: that is a deadlock, and the run ends with a dump.

mod outside;
mod walk;

use crate::choice::{Choice, Kind};
use crate::explore::Explorer;
use crate::fault::{Effects, Fault};
use crate::panics::PanicAt;
use crate::strategy::{Ready, ScheduleController, Scheduler, Strategy};
use crate::stuck::{Waiting, dump};
use crate::swarm::Swarm;
use crate::trace::Event;
use crate::world::World;
use flux_io_core::{
    Collector, ExecutionPlan, Host, Moment, Observer, RunHandle, RunOptions, RunReport, StageKind,
    StopMode, Task, tasks,
};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls that a run which is given up gets to unwind.
const LAST_POLLS: u64 = 10_000;
/// Armed timers a task may account for: its deadline, and waits of what it drives (H1).
const TIMERS_PER_TASK: usize = 8;

/// One simulated run: what it did, and everything needed to do it again.
#[derive(Debug)]
pub struct SimRun {
    /// The run's report, as of any engine.
    pub report: RunReport,
    /// Why nothing could run any more, or that the step bound was passed; with a wait-for dump.
    pub stuck: Option<String>,
    /// The run ended early since an exhaustive walk had been in its state before; nothing can be
    /// asked of its outcome, and the oracle is not.
    pub left: bool,
    /// What broke a rule that holds for every pipeline, whatever it computes.
    pub broken: Vec<String>,
    /// Steps taken: polls, jobs and timers.
    pub steps: u64,
    /// Processes that the run took: one, and one more for each [`Fault::Crash`].
    pub lives: u32,
    /// After a crash, the sinks without transactions: they may have been given rows again that
    /// they had accepted since the last complete checkpoint.
    pub at_least_once: Vec<String>,
    /// Rows that the sources gave, in the last life.
    pub items: u64,
    /// Hash of the order of polls, choices and batches.
    pub trace_hash: u64,
    /// Every choice that was made.
    pub choices: Vec<Choice>,
    /// The faults that took effect.
    pub effects: Effects,
    /// The options of the run as text.
    pub swarm: String,
    /// What happened, line by line; empty unless a failure is told.
    pub timeline: Vec<Event>,
}

impl SimRun {
    /// The choices as a stream to replay.
    #[must_use]
    pub fn stream(&self) -> Vec<u32> {
        self.choices.iter().map(|c| c.taken).collect()
    }
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Steps until faults end at the latest.
    pub(crate) faulty: u64,
    /// Steps after that, within which the run must end.
    pub(crate) heal: u64,
}

/// What goes on when the process of a run dies and the next one starts.
pub(crate) struct Session<'c> {
    scheduler: Scheduler,
    controller: Option<&'c mut (dyn ScheduleController + 'static)>,
    steps: u64,
    event_at: Option<u64>,
    crashes: u32,
    begun: bool,
}

impl<'c> Session<'c> {
    pub(crate) fn new(
        strategy: Strategy,
        seed: u64,
        controller: Option<&'c mut (dyn ScheduleController + 'static)>,
    ) -> Self {
        let scheduler = Scheduler::new(strategy, seed);
        Self { scheduler, controller, steps: 0, event_at: None, crashes: 0, begun: false }
    }
}

/// Polls a plan to its end in the world of `swarm`; `None` when the process died before.
pub(crate) fn run(
    plan: ExecutionPlan<'_>,
    swarm: &Swarm,
    session: &mut Session<'_>,
    bounds: Bounds,
    explorer: Option<&mut Explorer>,
) -> Option<SimRun> {
    let world = Arc::clone(&swarm.world);
    let mut plan = plan;
    plan.graph.buffer.capacity = swarm.capacity;
    if let Some(call) = swarm.panic_at {
        plan = plan.decorated(PanicAt::new(call, &world));
    }
    let sources = plan.graph.nodes.iter().filter(|n| n.kind == StageKind::Source);
    let sources = sources.map(|n| n.name.clone()).collect();
    let handle = RunHandle::new();
    let mut options = RunOptions::default()
        .batch(swarm.rows)
        .workers(swarm.shards)
        .seed(u64::from(world.choose(Kind::HashSeed, u32::MAX)))
        .chain(swarm.chain)
        .handle(&handle);
    options.snapshots = swarm.snapshots.as_ref().map(Arc::clone);
    options.memory = swarm.memory.as_ref().map(Arc::clone);
    options.restore = swarm.restore;
    options.observer = Some(Arc::new(Watch(Arc::clone(&world))));
    let host: Arc<dyn Host> = Arc::<World>::clone(&world);
    let (tasks, collector) = tasks(plan, &host, &options);
    let mut pool = Pool {
        cells: tasks.into_iter().rev().map(Cell::new).collect(),
        world,
        handle,
        session,
        collector,
        can: Vec::new(),
        last: None,
        broken: Vec::new(),
        sources,
        explorer,
        yielded: false,
        left: false,
        died: false,
    };
    if !std::mem::replace(&mut pool.session.begun, true) {
        pool.next_event(swarm);
    }
    pool.begin_exploring();
    let stuck = pool.run(swarm, bounds);
    if pool.died {
        pool.die();
        return None;
    }
    Some(pool.finish(stuck, swarm))
}

/// Writes what the stages did into the trace.
struct Watch(Arc<World>);

impl Observer for Watch {
    fn on_batch(&self, stage: &str, shard: u32, rows: usize, now: Moment) {
        self.0.trace(|t, at| {
            t.mix(rows as u64 ^ now.0.rotate_left(32) ^ u64::from(shard) << 20);
            t.line(at, || format!("{stage}#{shard} handled {rows} rows"));
        });
    }
}

/// Whether a task was woken since it was polled last.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Cell<'env> {
    task: Option<Task<'env>>,
    flag: Arc<Flag>,
    waker: Waker,
}

impl<'env> Cell<'env> {
    fn new(task: Task<'env>) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { task: Some(task), waker: Waker::from(Arc::clone(&flag)), flag }
    }

    fn ready(&self) -> bool {
        self.task.is_some() && self.flag.0.load(Ordering::Acquire)
    }
}

struct Pool<'env, 'e, 'c> {
    /// Most downstream first, as the sync engine prefers it.
    cells: Vec<Cell<'env>>,
    world: Arc<World>,
    handle: RunHandle,
    session: &'e mut Session<'c>,
    collector: Collector,
    /// What can run now, the fair one first. Tasks, then jobs, then timers.
    can: Vec<usize>,
    last: Option<usize>,
    broken: Vec<String>,
    sources: Vec<String>,
    explorer: Option<&'e mut Explorer>,
    /// What ran last gave way of its own accord.
    yielded: bool,
    /// The run ended early: its state is known.
    left: bool,
    /// The process is to die now.
    died: bool,
}

impl Pool<'_, '_, '_> {
    fn live(&self) -> usize {
        self.cells.iter().filter(|c| c.task.is_some()).count()
    }

    const fn jobs(&self) -> usize {
        self.cells.len()
    }

    const fn timers(&self) -> usize {
        self.cells.len() + 1
    }

    /// Runs until every task has ended; says why when that will not be.
    fn run(&mut self, swarm: &Swarm, bounds: Bounds) -> Option<String> {
        let heal_at = swarm.heal_at.min(bounds.faulty);
        let mut most_timers = false;
        while self.live() > 0 {
            self.session.steps += 1;
            let steps = self.session.steps;
            if steps == heal_at || self.world.only_fresh_left() {
                self.heal();
            }
            if steps > heal_at.saturating_add(bounds.heal) {
                let head = format!(
                    "livelock: {} steps after the faults ended the run is not over",
                    bounds.heal
                );
                return Some(self.dump(&head));
            }
            if self.session.event_at == Some(steps) && !self.world.healed() {
                self.event(swarm);
                if self.died {
                    return None;
                }
            }
            // A spurious poll may have been the last one.
            if self.live() > 0 && !self.step() {
                if self.world.fresh_waits() {
                    // What all others wait for comes when the faults have ended.
                    self.heal();
                    continue;
                }
                return Some(self.dump("deadlock: nothing can run and no timer is armed"));
            }
            swarm.look();
            if self.left {
                return None;
            }
            most_timers |= self.world.timers().1 > TIMERS_PER_TASK * self.cells.len();
        }
        self.broken.extend(swarm.never().map(|n| format!("`{n}` was never so")));
        if most_timers {
            let most = self.world.timers().1;
            let n = self.cells.len();
            self.broken.push(format!("{most} timers were armed at once by {n} tasks"));
        }
        None
    }

    fn heal(&mut self) {
        self.world.heal();
        self.session.scheduler = Scheduler::new(Strategy::RoundRobin, 0);
    }

    /// The process dies: its tasks are dropped where they stand.
    fn die(self) {
        self.world.dying();
        drop(self.cells);
        self.world.crash();
    }

    /// Lists what can run, the next in turn first.
    fn collect(&mut self) {
        let n = self.cells.len() + 2;
        let from = self.last.map_or(0, |l| l + 1);
        self.can.clear();
        for k in 0..n {
            let i = (from + k) % n;
            let can = match self.cells.get(i) {
                Some(c) => c.ready(),
                None if i == self.jobs() => self.world.has_jobs(),
                None => self.world.next_deadline().is_some_and(|t| t <= self.world.now()),
            };
            if can {
                self.can.push(i);
            }
        }
    }

    /// One step; `false` when there is none.
    fn step(&mut self) -> bool {
        self.collect();
        let n = self.can.len() as u32;
        let at = match n {
            0 => {
                if self.world.next_deadline().is_none() {
                    return false;
                }
                self.fire();
                return true;
            }
            1 => 0,
            _ if self.world.healed() => 0,
            _ if self.explorer.is_some() => match self.explore() {
                Some(at) => at,
                None => return true,
            },
            _ if self.session.controller.is_some() => self.controlled(n),
            _ => {
                let (scheduler, can) = (&mut self.session.scheduler, &self.can);
                self.world.choose_by(Kind::Next, n, || scheduler.pick(can)) as usize
            }
        };
        let thing = self.can[at.min(self.can.len() - 1)];
        self.last = Some(thing);
        self.yielded = false;
        if thing == self.timers() {
            self.fire();
        } else if thing == self.jobs() {
            self.job(n > 1);
        } else {
            self.poll(thing);
        }
        true
    }

    /// What the user's controller chooses.
    fn controlled(&mut self, n: u32) -> usize {
        let Self { cells, can, session, world, .. } = self;
        let Some(controller) = session.controller.as_deref_mut() else { return 0 };
        let named = |i: &usize| match cells.get(*i) {
            Some(c) => Ready::Task(c.task.as_ref().map_or("", |t| t.name())),
            None if *i == cells.len() => Ready::Job,
            None => Ready::Timer,
        };
        let pick = || {
            let ready: Vec<Ready<'_>> = can.iter().map(named).collect();
            u32::try_from(controller.choose(&ready)).unwrap_or(u32::MAX)
        };
        world.choose_by(Kind::Next, n, pick) as usize
    }

    fn fire(&mut self) {
        self.world.fire();
        if let Some(e) = &mut self.explorer {
            e.touched_all(self.world.now().0);
        }
    }

    fn job(&mut self, late: bool) {
        let Some(job) = self.world.take_job() else { return };
        if late {
            self.world.took(Fault::LateJob, "a blocking job");
        }
        let thing = self.jobs();
        self.world.trace(|t, now| {
            t.step(thing, now);
            t.line(now, || "a blocking job runs".into());
        });
        // A job that panics wakes who waits for it when its result's place is dropped.
        drop(catch_unwind(AssertUnwindSafe(job)));
        if let Some(e) = &mut self.explorer {
            e.touched_all(u64::MAX);
        }
    }

    fn poll(&mut self, i: usize) {
        let cell = &mut self.cells[i];
        let Some(task) = cell.task.as_mut() else { return };
        self.world.trace(|t, now| {
            t.step(i, now);
            t.line(now, || format!("poll {}", task.name()));
        });
        cell.flag.0.store(false, Ordering::Release);
        let mut cx = Context::from_waker(&cell.waker);
        let before = self.world.made();
        self.world.count_reads();
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(task).poll(&mut cx)));
        // What the engine reads between two polls is no fault of the last one.
        self.world.count_reads();
        match polled {
            Ok(Poll::Pending) => {
                if cell.ready() {
                    self.session.scheduler.yielded(i);
                    self.yielded = true;
                }
            }
            Ok(Poll::Ready(report)) => {
                cell.task = None;
                self.collector.add(report);
            }
            Err(p) => {
                let name = cell.task.take().map(|t| t.name().to_owned()).unwrap_or_default();
                let text = p.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let text = text.or_else(|| p.downcast_ref::<String>().cloned());
                let text = format!("a panic left task {name}: {}", text.unwrap_or_default());
                self.broken.push(text.clone());
                self.collector.lost(&name, text);
            }
        }
        if let Some(e) = &mut self.explorer {
            self.world.made_since(before, |made| e.polled(i, made));
        }
    }

    fn dump(&self, head: &str) -> String {
        let left: Vec<Waiting<'_>> = self
            .cells
            .iter()
            .filter_map(|c| {
                let t = c.task.as_ref()?;
                Some(Waiting { name: t.name(), stages: t.stages(), ready: c.ready() })
            })
            .collect();
        let (timer, jobs) = (self.world.next_deadline(), self.world.has_jobs());
        dump(head, &left, &self.collector, timer, jobs)
    }

    fn finish(mut self, stuck: Option<String>, swarm: &Swarm) -> SimRun {
        if stuck.is_some() {
            self.world.heal();
            self.handle.stop(StopMode::Abort);
            for _ in 0..LAST_POLLS {
                if self.live() == 0 || !self.step() {
                    break;
                }
            }
        }
        for c in &mut self.cells {
            if let Some(t) = c.task.take() {
                self.collector.lost(t.name(), "the task did not end".to_owned());
            }
        }
        let armed = self.world.timers().0;
        if self.left {
            self.broken.clear();
        } else if armed > 0 {
            self.broken.push(format!("{armed} timers are still armed although every task ended"));
        }
        let report = self.collector.finish("sim");
        if let Err(e) = report.check()
            && !self.left
        {
            self.broken.push(format!("the report does not add up: {e}"));
        }
        let given = |s: &String| report.stage(s).map_or(0, |s| s.counts.rows_out);
        let items = self.sources.iter().map(given).sum();
        let (choices, effects, trace) = self.world.finish();
        SimRun {
            report,
            stuck,
            left: self.left,
            broken: self.broken,
            steps: self.session.steps,
            lives: 1 + self.session.crashes,
            at_least_once: if self.session.crashes > 0 {
                self.world.plain_sinks()
            } else {
                Vec::new()
            },
            items,
            trace_hash: trace.hash(),
            choices,
            effects,
            swarm: format!("{swarm:?}"),
            timeline: trace.into_lines(),
        }
    }
}
