//! A line of stages of which one runs in several instances, in turn, and one makes calls: what it
//! must keep is the order of rows, watermarks, checkpoints and dead letters.

use flux_io_core::{
    AnyBatch, Batch, Body, ChannelDescriptor, CheckpointToken, ColumnType, DeadCause, Epoch,
    Erased, ErasedSink, ErasedSource, ErrorRecord, ExecutionPlan, Filled, Graph, GraphEdge, IoCx,
    Node, Out, Outbox, Parallelism, Route, Sink, SnapshotStore, Source, SourceId, Stage, StageCx,
    StageError, StageKind, StageNode, Step, Timestamp,
};
use flux_io_sim::{SimDelays, SimRun, Swarm};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// A number and which of its copies it is.
type Copied = (u32, u32);

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many copies a number becomes; `None` makes it a dead letter.
const fn copies(x: u32) -> Option<u32> {
    if x % 17 == 5 { None } else { Some(x % 4) }
}

fn expected(n: u32) -> Vec<Copied> {
    (0..n).flat_map(|x| (0..copies(x).unwrap_or(0)).map(move |i| (x, i))).collect()
}

/// Gives 0, 1, 2, … and promises that none comes again.
struct Numbers {
    next: u32,
    end: u32,
}

impl Source for Numbers {
    type Col = Vec<u32>;

    async fn fill(&mut self, out: &mut Batch<Vec<u32>>, cx: &IoCx) -> Result<Filled, StageError> {
        let to = self.next.saturating_add(cx.max_rows() as u32).min(self.end);
        out.col.extend(self.next..to);
        self.next = to;
        Ok(if to == self.end { Filled::End } else { Filled::More })
    }
    fn watermark(&self) -> Option<Timestamp> {
        self.next.checked_sub(1).map(|last| Timestamp(i64::from(last)))
    }
    fn position(&self) -> Option<CheckpointToken> {
        Some(CheckpointToken(self.next.to_le_bytes().to_vec()))
    }
}

/// Gives every number as many times as `copies` says, and stops when its output is full.
#[derive(Default)]
struct Widen {
    given: u32,
}

impl Stage for Widen {
    type In = Vec<u32>;
    type Out = Vec<Copied>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u32>>,
        out: &mut Out<'_, Vec<Copied>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        while let Some(&x) = input.col.first() {
            match copies(x) {
                None => cx.dead(ErrorRecord::new(DeadCause::Poison, format!("{x}"))),
                Some(n) => {
                    while self.given < n {
                        if out.is_full() {
                            return Ok(Step::Yield);
                        }
                        out.batch().col.push((x, self.given));
                        out.seal_if_full();
                        self.given += 1;
                    }
                }
            }
            self.given = 0;
            input.col.remove(0);
        }
        Ok(Step::Done)
    }
}

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits a while for each row, some rows at a time, and gives them in order.
struct Lookup {
    io: IoCx,
    delays: SimDelays,
    calls: VecDeque<(Copied, Option<Call>)>,
    most: usize,
}

impl Node for Lookup {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        _: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = &mut input.get_mut::<Vec<Copied>>()?.col;
        let take = rows.len().min(self.most - self.calls.len());
        for row in rows.drain(..take) {
            let sleep = self.io.sleep_until(cx.now().plus(self.delays.draw()));
            self.calls.push_back((row, Some(Box::pin(sleep))));
        }
        Ok(if rows.is_empty() { Step::Done } else { Step::Pending })
    }
    fn in_flight(&self) -> usize {
        self.calls.len()
    }
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        for (_, call) in &mut self.calls {
            if call.as_mut().is_some_and(|c| c.as_mut().poll(task).is_ready()) {
                *call = None;
            }
        }
        let mut any = false;
        while self.calls.front().is_some_and(|c| c.1.is_none()) && !outs[0].is_full() {
            let Some((row, _)) = self.calls.pop_front() else { break };
            let mut out = outs[0].typed::<Vec<Copied>>()?;
            out.batch().col.push(row);
            out.seal_if_full();
            any = true;
        }
        if any { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Checks order and watermarks on the way; its snapshot is how many rows it has seen.
struct Check {
    seen: u32,
    last: Option<Copied>,
    watermark: Timestamp,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Check {
    fn row(&mut self, row: Copied) {
        if self.last.is_some_and(|l| l >= row) {
            lock(&self.faults).push(format!("{row:?} came behind {:?}", self.last));
        }
        if Timestamp(i64::from(row.0)) <= self.watermark {
            lock(&self.faults).push(format!("{row:?} came behind watermark {}", self.watermark));
        }
        self.last = Some(row);
        self.seen += 1;
    }
}

impl Stage for Check {
    type In = Vec<Copied>;
    type Out = Vec<Copied>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Copied>>,
        out: &mut Out<'_, Vec<Copied>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut marks = std::mem::take(&mut input.meta.marks).into_iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.watermark = self.watermark.max(m.watermark);
            }
            self.row(*row);
        }
        if let Some(m) = marks.last() {
            self.watermark = self.watermark.max(m.watermark);
        }
        out.swap(input);
        Ok(Step::Done)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        _: &mut Out<'_, Vec<Copied>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if w < self.watermark {
            lock(&self.faults).push(format!("watermark {w} behind {}", self.watermark));
        }
        self.watermark = self.watermark.max(w);
        Ok(Step::Done)
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend_from_slice(&self.seen.to_le_bytes());
        Ok(())
    }
}

struct Keep<T>(Arc<Mutex<Vec<T>>>);

impl<T: Send + 'static> Sink for Keep<T> {
    type Col = Vec<T>;
    async fn write(&mut self, b: &mut Batch<Vec<T>>, _: &IoCx) -> Result<(), StageError> {
        lock(&self.0).append(&mut b.col);
        Ok(())
    }
}

/// Snapshots by epoch and stage.
#[derive(Default)]
struct Store(Mutex<BTreeMap<(u64, String), Vec<u8>>>, Mutex<Vec<u64>>);

impl SnapshotStore for Store {
    fn put(&self, e: Epoch, stage: &str, _: u32, bytes: Vec<u8>) -> Result<(), StageError> {
        lock(&self.0).insert((e.0, stage.to_owned()), bytes);
        Ok(())
    }
    fn complete(&self, e: Epoch) -> Result<(), StageError> {
        lock(&self.1).push(e.0);
        Ok(())
    }
    fn get(&self, _: &str, _: u32) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) struct Line {
    pub(crate) n: u32,
    out: Arc<Mutex<Vec<Copied>>>,
    dead: Arc<Mutex<Vec<ErrorRecord>>>,
    faults: Arc<Mutex<Vec<String>>>,
    store: Arc<Store>,
}

pub(crate) fn line(swarm: &mut Swarm, rows: (u32, u32)) -> (ExecutionPlan<'static>, Line) {
    let n = swarm.pick(rows.0, rows.1);
    let most = swarm.pick(1, 9) as usize;
    let job = Line {
        n,
        out: Arc::default(),
        dead: Arc::default(),
        faults: Arc::default(),
        store: Arc::default(),
    };
    swarm.snapshots = Some(Arc::<Store>::clone(&job.store));
    let (x, c, d) = (
        ColumnType::of::<Vec<u32>>(),
        ColumnType::of::<Vec<Copied>>(),
        ColumnType::of::<Vec<ErrorRecord>>(),
    );
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("numbers", StageKind::Source, vec![], vec![x]));
    graph.nodes.push(StageNode::new("widen", StageKind::Transform, vec![x], vec![c]));
    graph.nodes.push(StageNode::new("lookup", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("check", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("out", StageKind::Sink, vec![c], vec![]));
    graph.nodes.push(StageNode::new("dead", StageKind::Sink, vec![d], vec![]));
    graph.nodes[1].parallelism = Parallelism::CpuBound;
    let in_turn = ChannelDescriptor { route: Route::RoundRobin, ..ChannelDescriptor::default() };
    for i in 0..4 {
        let channel = if i == 0 { in_turn } else { ChannelDescriptor::default() };
        graph.edges.push(GraphEdge { from: (i, 0), to: (i + 1, 0), channel });
    }
    let source = swarm.source("numbers", Numbers { next: 0, end: n });
    let lookup = Lookup { io: swarm.io(), delays: swarm.delays(), calls: VecDeque::new(), most };
    let faults = Arc::clone(&job.faults);
    let check = Check { seen: 0, last: None, watermark: Timestamp::MIN, faults };
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::Many(Arc::new(|_| Box::new(Erased(Widen::default())))),
        Body::One(Box::new(lookup)),
        Body::One(Box::new(Erased(check))),
        Body::Sink(Box::new(ErasedSink(swarm.sink("out", Keep(Arc::clone(&job.out)))))),
        Body::Sink(Box::new(ErasedSink(swarm.sink("dead", Keep(Arc::clone(&job.dead)))))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: Some(5) }, job)
}

/// What every complete checkpoint cut: the rows of the source that the check had seen copies of.
fn cuts(job: &Line) -> Result<(), String> {
    let saved = lock(&job.store.0);
    for e in lock(&job.store.1).iter() {
        let read = |stage: &str, from: usize| {
            let bytes = saved.get(&(*e, stage.to_owned()))?;
            Some(u32::from_le_bytes(bytes.get(from..from + 4)?.try_into().ok()?))
        };
        // A source's position is its sequence number, 8 bytes, then its own token.
        let (at, seen) = (read("numbers", 8), read("check", 0));
        let want = at.map(|at| expected(at).len() as u32);
        if want != seen {
            return Err(format!("epoch {e} cut {at:?} rows, {want:?} copies, but saw {seen:?}"));
        }
    }
    Ok(())
}

pub(crate) fn in_order(run: &SimRun, job: &Line) -> Result<(), String> {
    if !run.report.is_success() {
        return Err(format!("ended {:?}: {:?}", run.report.ended, run.report.failure));
    }
    if let Some(f) = lock(&job.faults).first() {
        return Err(f.clone());
    }
    let read = run.items as u32;
    if *lock(&job.out) != expected(read) {
        return Err(format!("{} of {} rows", lock(&job.out).len(), expected(read).len()));
    }
    let dead = (0..read).filter(|x| copies(*x).is_none()).count();
    if lock(&job.dead).len() != dead {
        return Err(format!("{} of {dead} dead letters", lock(&job.dead).len()));
    }
    cuts(job)
}
