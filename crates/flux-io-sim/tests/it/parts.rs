//! The parts that the tests build pipelines from: a source of fragments, a keyed assembler (right
//! and wrong), a router, a sink, and the plan around them.

use flux_io_core::{
    Batch, Body, BufferPolicy, ChannelDescriptor, ColumnType, Command, Erased, ErasedSink,
    ErasedSource, ExecutionPlan, Filled, Graph, GraphEdge, IoCx, Moment, Node, OnError, Out,
    Parallelism, Route, Sink, Source, SourceId, Stage, StageCx, StageError, StageKind, StageNode,
    Step, WhenFull, hash_of,
};
use flux_io_sim::{SimRun, Swarm};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Parts that make one whole.
pub(crate) const PARTS: u32 = 4;

/// A part of a thing: `(thing, part)`.
pub(crate) type Fragment = (u32, u32);
/// A thing with the parts it was put together from, ascending.
pub(crate) type Whole = (u32, Vec<u32>);

/// Gives the fragments of a list in order.
pub(crate) struct Fragments(pub(crate) std::vec::IntoIter<Fragment>);

impl Source for Fragments {
    type Col = Vec<Fragment>;

    async fn fill(
        &mut self,
        out: &mut Batch<Vec<Fragment>>,
        cx: &IoCx,
    ) -> Result<Filled, StageError> {
        let room = cx.max_rows().saturating_sub(out.len());
        out.col.extend(self.0.by_ref().take(room));
        Ok(if self.0.len() == 0 { Filled::End } else { Filled::More })
    }
}

/// Keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Seen(pub(crate) Arc<Mutex<Vec<Whole>>>);

impl Seen {
    /// What was given so far, or room for more.
    pub(crate) fn rows(&self) -> MutexGuard<'_, Vec<Whole>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fragments in it, ascending.
    pub(crate) fn fragments(&self) -> Vec<Fragment> {
        let mut all: Vec<Fragment> =
            self.rows().iter().flat_map(|(k, ps)| ps.iter().map(|p| (*k, *p))).collect();
        all.sort_unstable();
        all
    }
}

impl Sink for Seen {
    type Col = Vec<Whole>;

    async fn write(&mut self, b: &mut Batch<Vec<Whole>>, _: &IoCx) -> Result<(), StageError> {
        self.rows().append(&mut b.col);
        Ok(())
    }
}

/// Writes each row's key hash.
struct KeyBy;

impl Stage for KeyBy {
    type In = Vec<Fragment>;
    type Out = Vec<Fragment>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Fragment>>,
        out: &mut Out<'_, Vec<Fragment>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let seed = cx.home().hash_seed;
        input.meta.hash = input.col.iter().map(|f| hash_of(&f.0, seed)).collect();
        out.swap(input);
        Ok(Step::Done)
    }
}

/// What an assembler does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Moves its state into the snapshot of a checkpoint instead of copying it.
    LostAtCheckpoint,
    /// Loses the last part of a thing whose parts came in ascending order.
    LostInOrder,
    /// Flushes a thing at its deadline although a part of it came at that very moment.
    TwiceAtDeadline,
}

/// Puts parts together; gives a thing when it is whole, when it waited too long, or at the end.
pub(crate) struct Assembler {
    open: BTreeMap<u32, (Moment, Vec<u32>)>,
    wait: Option<Duration>,
    bug: Bug,
}

impl Assembler {
    pub(crate) fn new(wait: Option<Duration>, bug: Bug) -> Self {
        Self { open: BTreeMap::new(), wait, bug }
    }

    fn due(&self) -> Option<Moment> {
        self.wait.and(self.open.values().map(|o| o.0).min())
    }

    fn arm(&self, cx: &mut StageCx<'_>) {
        cx.cancel_wake();
        if let Some(at) = self.due() {
            cx.wake_at(at);
        }
    }

    fn give(out: &mut Out<'_, Vec<Whole>>, key: u32, mut parts: Vec<u32>) {
        parts.sort_unstable();
        out.batch().col.push((key, parts));
        out.seal_if_full();
    }
}

impl Stage for Assembler {
    type In = Vec<Fragment>;
    type Out = Vec<Whole>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Fragment>>,
        out: &mut Out<'_, Vec<Whole>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut used = 0;
        let mut full = false;
        for &(key, part) in &input.col {
            if out.is_full() {
                full = true;
                break;
            }
            used += 1;
            let due = cx.now().plus(self.wait.unwrap_or_default());
            let entry = self.open.entry(key).or_insert_with(|| (due, Vec::new()));
            entry.1.push(part);
            if entry.1.len() == PARTS as usize
                && let Some((_, mut parts)) = self.open.remove(&key)
            {
                if self.bug == Bug::LostInOrder && parts.is_sorted() {
                    parts.pop();
                }
                Self::give(out, key, parts);
            }
        }
        input.col.drain(..used);
        self.arm(cx);
        Ok(if full { Step::Yield } else { Step::Done })
    }

    fn on_timer(
        &mut self,
        out: &mut Out<'_, Vec<Whole>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let due: Vec<u32> = self.open.iter().filter(|o| o.1.0 <= cx.now()).map(|o| *o.0).collect();
        for key in due {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            let Some((_, parts)) = self.open.remove(&key) else { continue };
            if self.bug == Bug::TwiceAtDeadline && parts.len() + 1 == PARTS as usize {
                Self::give(out, key, parts.clone());
            }
            Self::give(out, key, parts);
        }
        self.arm(cx);
        Ok(Step::Done)
    }

    fn on_command(
        &mut self,
        command: &Command,
        out: &mut Out<'_, Vec<Whole>>,
        _: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        let all = matches!(command, Command::FlushAll);
        if all {
            for (key, (_, parts)) in std::mem::take(&mut self.open) {
                Self::give(out, key, parts);
            }
        }
        Ok(all)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        for (key, (_, parts)) in &self.open {
            to.extend(key.to_le_bytes());
            to.extend(parts.iter().flat_map(|p| p.to_le_bytes()));
        }
        if self.bug == Bug::LostAtCheckpoint {
            self.open.clear();
        }
        Ok(())
    }

    fn on_end(
        &mut self,
        out: &mut Out<'_, Vec<Whole>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        while let Some((key, (_, parts))) = self.open.pop_first() {
            Self::give(out, key, parts);
            if out.is_full() && !self.open.is_empty() {
                return Ok(Step::Yield);
            }
        }
        Ok(Step::Done)
    }
}

/// The fragments of a run, and what came out.
pub(crate) struct Job {
    pub(crate) sent: Vec<Fragment>,
    pub(crate) seen: Seen,
    /// Whether a thing can be given in several pieces (a deadline or a command may part it).
    pub(crate) pieces: bool,
}

/// How the pipeline of a run is made.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) bug: Bug,
    pub(crate) wait: bool,
    pub(crate) most: u32,
    pub(crate) on_error: OnError,
}

impl Recipe {
    pub(crate) const fn plain(most: u32) -> Self {
        Self { bug: Bug::None, wait: false, most, on_error: OnError::Fail }
    }
}

fn stage(name: &str, kind: StageKind, ins: Vec<ColumnType>, outs: Vec<ColumnType>) -> StageNode {
    StageNode::new(name, kind, ins, outs)
}

/// Two sources, a keying stage, a sharded assembler, a sink.
pub(crate) fn assembly(swarm: &mut Swarm, r: Recipe) -> (ExecutionPlan<'static>, Job) {
    let things = swarm.pick(5, r.most / PARTS);
    let mut draws = swarm.draws();
    let mut sent: Vec<Fragment> =
        (0..things).flat_map(|t| (0..PARTS).map(move |p| (t, p))).collect();
    for i in (1..sent.len()).rev() {
        sent.swap(i, draws.below(i as u32 + 1) as usize);
    }
    let wait = r.wait.then(|| Duration::from_millis(u64::from(swarm.pick(1, 50))));
    let (a, b) = sent.split_at(sent.len() / 2);
    let source = |swarm: &mut Swarm, name: &str, rows: &[Fragment], id| {
        let s = swarm.source(name, Fragments(Vec::from(rows).into_iter())).duplicating();
        Body::Source(Box::new(ErasedSource::new(s, SourceId(id))))
    };
    let seen = Seen::default();
    let sink = swarm.sink("seen", seen.clone()).traced(|w: &Whole| hash_of(w, 0));
    swarm.command("assemble", Command::FlushAll);
    let (frag, whole) = (ColumnType::of::<Vec<Fragment>>(), ColumnType::of::<Vec<Whole>>());
    let mut graph = Graph::default();
    graph.nodes.push(stage("left", StageKind::Source, vec![], vec![frag]));
    graph.nodes.push(stage("right", StageKind::Source, vec![], vec![frag]));
    graph.nodes.push(stage("key", StageKind::Transform, vec![frag], vec![frag]));
    graph.nodes.push(stage("assemble", StageKind::Accumulator, vec![frag], vec![whole]));
    graph.nodes.push(stage("seen", StageKind::Sink, vec![whole], vec![]));
    graph.nodes[3].parallelism = Parallelism::CpuBound;
    for n in &mut graph.nodes {
        n.on_error = r.on_error;
    }
    let by_key = ChannelDescriptor { route: Route::Hash, ..ChannelDescriptor::default() };
    let plain = ChannelDescriptor::default();
    for (from, to, channel) in [(0, 2, plain), (1, 2, plain), (2, 3, by_key), (3, 4, plain)] {
        graph.edges.push(GraphEdge { from: (from, 0), to: (to, 0), channel });
    }
    let bug = r.bug;
    let make = move |_| -> Box<dyn Node> { Box::new(Erased(Assembler::new(wait, bug))) };
    let bodies = vec![
        source(swarm, "left", a, 0),
        source(swarm, "right", b, 1),
        Body::One(Box::new(Erased(KeyBy))),
        Body::Many(Arc::new(make)),
        Body::Sink(Box::new(ErasedSink(sink))),
    ];
    let pieces = wait.is_some() || swarm.has(flux_io_sim::Fault::Command);
    let job = Job { sent, seen, pieces };
    (ExecutionPlan { graph, bodies, dead_letters: None }, job)
}

/// Every fragment came out once; whole things in one piece unless something may part them.
pub(crate) fn nothing_lost(run: &SimRun, job: Job) -> Result<(), String> {
    if !run.report.is_success() {
        return Err(format!("ended {:?}: {:?}", run.report.ended, run.report.failure));
    }
    let got = job.seen.fragments();
    let mut want = job.sent;
    want.sort_unstable();
    if let Some(w) = want.windows(2).find(|w| w[0] == w[1]) {
        return Err(format!("the test sent {:?} twice", w[0]));
    }
    if let Some(lost) = want.iter().find(|f| got.binary_search(f).is_err()) {
        return Err(format!("fragment {} of thing {} is lost", lost.1, lost.0));
    }
    if let Some(w) = got.windows(2).find(|w| w[0] == w[1]) {
        return Err(format!("fragment {} of thing {} came twice", w[0].1, w[0].0));
    }
    match job.seen.rows().iter().find(|w| w.1.len() != PARTS as usize) {
        Some(w) if !job.pieces => Err(format!("thing {} came in pieces", w.0)),
        _ => Ok(()),
    }
}

/// A buffer of one batch.
pub(crate) const ONE: BufferPolicy = BufferPolicy { capacity: 1, when_full: WhenFull::Block };
