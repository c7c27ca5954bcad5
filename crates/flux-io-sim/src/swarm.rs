//! What differs from run to run besides the schedule: sizes, switches, and which faults are on.
//!
//! Source of the idea: Groce, Zhang, Eide, Chen, Regehr, "Swarm testing", ISSTA 2012: leaving
//! features out at random finds what a run with everything on hides.

use crate::choice::Kind;
use crate::disk::SimDisk;
use crate::fault::{Class, Fault, Faults};
use crate::sink::SimSink;
use crate::source::SimSource;
use crate::store::SimStore;
use crate::world::{World, WorldChoices};
use flux_io_core::{Command, Draws, Host, IoCx, MemoryPool, Sink, SnapshotStore, Source};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rates a fault that is on may have, in thousandths.
const RATES: [u16; 5] = [10, 40, 120, 250, 400];
/// Shifts of 64 steps after which faults end.
const HEALS: u32 = 8;

/// The options of one run, and the door to its stream of choices while the plan is made.
pub struct Swarm {
    /// Batches that an edge holds unless the plan sets it for that edge: 1 to 8.
    pub capacity: usize,
    /// Rows of a full batch: 1 to 64.
    pub rows: usize,
    /// Whether stages joined by a plain edge share a task.
    pub chain: bool,
    /// Instances a parallel stage should have: 1 to 4. Also the run's number of workers.
    pub shards: u32,
    /// Where snapshots of this run go ([`Fault::Barrier`] asks for them) and come from.
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Whether to restore every stage and source from `snapshots` at the start.
    pub restore: bool,
    /// The memory budget of this run.
    pub memory: Option<Arc<dyn MemoryPool>>,
    pub(crate) world: Arc<World>,
    pub(crate) commands: Vec<(String, Command)>,
    pub(crate) on: Faults,
    pub(crate) heal_at: u64,
    pub(crate) panic_at: Option<u32>,
    /// Which process of the run this is, from 0.
    life: u32,
    /// What the first life drew while its plan was made, and how much of it this one has taken.
    drawn: Vec<u32>,
    taken: usize,
    kept: BTreeMap<String, Box<dyn Any>>,
    /// What must be so at some step, until it was.
    pending: RefCell<Vec<Eventuality>>,
}

/// A name, and what it asks.
type Eventuality = (String, Box<dyn FnMut() -> bool>);

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<_> =
            Fault::ALL.iter().filter(|x| self.on.has(**x)).map(|x| x.as_str()).collect();
        write!(
            f,
            "capacity {}, rows {}, chain {}, shards {}, faults {on:?} until step {}",
            self.capacity, self.rows, self.chain, self.shards, self.heal_at
        )
    }
}

impl Swarm {
    pub(crate) fn draw(world: Arc<World>, allowed: Faults) -> Self {
        // 0 is the plain way: the greatest capacity and batch, chained, one shard, nothing on.
        let capacity = 8 - world.choose(Kind::Swarm, 8) as usize;
        let rows = [64, 32, 16, 7, 3, 2, 1][world.choose(Kind::Swarm, 7) as usize];
        let chain = world.choose(Kind::Swarm, 2) == 0;
        let shards = 1 + world.choose(Kind::Swarm, 4);
        let mut on = Faults::none();
        for f in Fault::ALL.iter().copied() {
            if f.class() == Class::Effect || !allowed.has(f) || world.choose(Kind::Swarm, 2) == 0 {
                continue;
            }
            on = on.with(f);
            let rate = world.choose(Kind::Swarm, RATES.len() as u32) as usize;
            world.set_rate(f, RATES[rate]);
        }
        let heal_at = 64 << world.choose(Kind::Swarm, HEALS);
        let panic_at = on.has(Fault::Panic).then(|| world.choose(Kind::Swarm, 200));
        Self {
            capacity,
            rows,
            chain,
            shards,
            snapshots: None,
            restore: false,
            memory: None,
            world,
            commands: Vec::new(),
            on,
            heal_at,
            panic_at,
            life: 0,
            drawn: Vec::new(),
            taken: 0,
            kept: BTreeMap::new(),
            pending: RefCell::default(),
        }
    }

    /// The process died: the next plan is made with the same choices.
    pub(crate) fn next_life(&mut self) {
        self.life += 1;
        self.taken = 0;
        self.commands.clear();
        self.pending.borrow_mut().clear();
        (self.snapshots, self.restore, self.memory) = (None, false, None);
        self.panic_at = None;
    }

    /// How often the process has died before ([`Fault::Crash`]); 0 in the first life. A plan that
    /// is made in a later life gets the same answers from [`Swarm::pick`] and [`Swarm::draws`].
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Something outside of the process, which survives a crash: made in the first life, given
    /// again, cloned, in later ones. For what a sink writes to and what the test collects.
    ///
    /// # Panics
    /// When one name is used for two types.
    #[expect(clippy::panic, reason = "a mistake in the test that asks")]
    pub fn keep<T: Clone + 'static>(&mut self, name: &str, make: impl FnOnce() -> T) -> T {
        let kept = self.kept.entry(name.to_owned()).or_insert_with(|| Box::new(make()));
        match kept.downcast_ref::<T>() {
            Some(t) => t.clone(),
            None => panic!("`{name}` was kept as another type"),
        }
    }

    /// Snapshots of this run go to a simulated disk of its own, with its faults, and come from
    /// there after a crash.
    pub fn store(&mut self) -> Arc<SimStore> {
        let choices = WorldChoices(Arc::clone(&self.world));
        let store = self.keep("(store)", || Arc::new(SimStore::new(SimDisk::new(choices))));
        if self.life > 0 {
            store.power_cut();
        }
        self.snapshots = Some(Arc::<SimStore>::clone(&store));
        self.restore = self.life > 0;
        store
    }

    /// Asks `so` after each step until it says yes; a run that ends before has broken the rule
    /// called `name`. Runs that end early (an abort, a failure, a drain) are asked too: register it
    /// only where it must hold then.
    pub fn eventually(&mut self, name: &str, so: impl FnMut() -> bool + 'static) {
        self.pending.borrow_mut().push((name.to_owned(), Box::new(so)));
    }

    /// A step was taken.
    pub(crate) fn look(&self) {
        let mut pending = self.pending.borrow_mut();
        if !pending.is_empty() {
            pending.retain_mut(|p| !(p.1)());
        }
    }

    /// What was never so.
    pub(crate) fn never(&self) -> impl Iterator<Item = String> {
        self.pending.borrow_mut().drain(..).map(|p| p.0).collect::<Vec<_>>().into_iter()
    }

    /// A choice while the plan is made, the same in every life.
    fn draw_once(&mut self, n: u32) -> u32 {
        if let Some(x) = self.drawn.get(self.taken) {
            self.taken += 1;
            return *x;
        }
        let x = self.world.choose(Kind::Swarm, n);
        self.drawn.push(x);
        self.taken += 1;
        x
    }

    /// A number from `low` to `high`, both included. Shrinking moves it towards `low`.
    pub fn pick(&mut self, low: u32, high: u32) -> u32 {
        low + self.draw_once(high.saturating_sub(low).saturating_add(1))
    }

    /// A seed for data that a test makes up.
    pub fn draws(&mut self) -> Draws {
        Draws(u64::from(self.draw_once(u32::MAX)))
    }

    /// Puts the faults of this run around a source; `name` stands in timelines.
    pub fn source<S: Source>(&mut self, name: &str, source: S) -> SimSource<S> {
        SimSource::new(Arc::clone(&self.world), name, source)
    }

    /// Puts the faults of this run around a sink; `name` stands in timelines.
    pub fn sink<S: Sink>(&mut self, name: &str, sink: S) -> SimSink<S> {
        SimSink::new(Arc::clone(&self.world), name, sink)
    }

    /// An empty disk that draws its faults from this run's stream.
    pub fn disk(&mut self) -> SimDisk {
        SimDisk::new(WorldChoices(Arc::clone(&self.world)))
    }

    /// Time, timers and blocking work of this run, for futures that a stage drives itself.
    #[must_use]
    pub fn io(&self) -> IoCx {
        let host: Arc<dyn Host> = Arc::<World>::clone(&self.world);
        IoCx::new(host, self.rows)
    }

    /// How long a call to somewhere else takes this time: drawn, often nothing, at most a minute.
    #[must_use]
    pub fn delays(&self) -> SimDelays {
        SimDelays(Arc::clone(&self.world))
    }

    /// What becomes of calls to somewhere else, under the name that stands in timelines.
    #[must_use]
    pub fn calls(&self, name: &str) -> SimCalls {
        SimCalls { world: Arc::clone(&self.world), name: name.to_owned() }
    }

    /// A command that may be sent to `stage` at drawn steps ([`Fault::Command`]).
    pub fn command(&mut self, stage: &str, command: Command) {
        self.commands.push((stage.to_owned(), command));
    }

    /// Whether a fault can strike in this run.
    #[must_use]
    pub const fn has(&self, f: Fault) -> bool {
        self.on.has(f)
    }
}

/// What becomes of one call to somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered after this long; often at once.
    After(Duration),
    /// It fails in a way that passes ([`Fault::FailCall`]).
    Error,
    /// It is never answered ([`Fault::LostCall`]): allow this fault where calls have a time limit.
    Never,
}

/// Draws answers of calls while a run goes on; see [`Swarm::calls`].
#[derive(Clone)]
pub struct SimCalls {
    world: Arc<World>,
    name: String,
}

impl fmt::Debug for SimCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimCalls({})", self.name)
    }
}

impl SimCalls {
    /// What becomes of the next call; it is answered at once when the faults of the run have ended.
    #[must_use]
    pub fn draw(&self) -> Answer {
        let strikes = |f: Fault| {
            let yes = self.world.strikes(f);
            if yes {
                self.world.took(f, &self.name);
            }
            yes
        };
        if strikes(Fault::LostCall) {
            Answer::Never
        } else if strikes(Fault::FailCall) {
            Answer::Error
        } else if strikes(Fault::SlowCall) {
            Answer::After(self.world.delay())
        } else {
            Answer::After(Duration::ZERO)
        }
    }
}

/// Draws delays while a run goes on; see [`Swarm::delays`].
#[derive(Clone)]
pub struct SimDelays(Arc<World>);

impl fmt::Debug for SimDelays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDelays")
    }
}

impl SimDelays {
    /// The next delay; none once the faults of the run have ended.
    #[must_use]
    pub fn draw(&self) -> Duration {
        if self.0.healed() { Duration::ZERO } else { self.0.delay() }
    }
}
