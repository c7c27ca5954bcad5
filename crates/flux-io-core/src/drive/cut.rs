//! Cuts a plan into tasks: which stages share one, which edges become queues.

use super::chain::Chain;
use super::head::{EdgesHead, Head, SourceHead};
use super::link::Link;
use super::tail::{OutEdge, SinkEnd, Tail, io_of};
use super::task::TaskBody;
use super::watch::{Dog, FAILED_ROWS};
use super::{Collector, EdgeRun, ROUTING, Shared, Task};
use crate::edge::{Edge, EdgeQueue};
use crate::graph::{ChannelOrdering, Graph, GraphEdge, Route, StageKind, StageNode};
use crate::host::{BoxFuture, ChoiceKind, Host};
use crate::id::{Epoch, StageId};
use crate::plan::{Body, ExecutionPlan, MakeNode};
use crate::run::{RunOptions, RunReport, StageState, TaskReport};
use crate::stage::{Draws, Node, Outbox, StageHome};
use crate::sync::Arc;

/// Cuts a plan into tasks. The engine polls every task until it is ready, hands each report to
/// the collector, and asks that for the run's report.
///
/// Stages joined by a plain edge of one consumer share a task when `options.chain` is set and
/// nobody asked for a buffer between them; results do not depend on it.
pub fn tasks<'env>(
    plan: ExecutionPlan<'env>,
    host: &Arc<dyn Host>,
    options: &RunOptions,
) -> (Vec<Task<'env>>, Collector) {
    Cutter::new(plan, host, options).cut()
}

/// The seed by which the run that `o` restores from found the owners of keys.
fn restored_seed(o: &RunOptions) -> Option<u64> {
    let store = o.snapshots.as_ref().filter(|_| o.restore)?;
    Some(u64::from_le_bytes(store.get(ROUTING, 0)?.try_into().ok()?))
}

/// A stage's name, then those of its operators.
fn names(stage: &StageNode) -> impl Iterator<Item = String> {
    std::iter::once(&stage.name).chain(stage.operators.iter().map(|o| &o.name)).cloned()
}

/// Instances that are dealt rows in order by other instances are as many as those: dealt out twice,
/// an order could not be restored. Stages are described from the sources on.
fn in_step(graph: &Graph, mut instances: Vec<u32>) -> Vec<u32> {
    for e in &graph.edges {
        let dealt = e.channel.route == Route::RoundRobin
            && e.channel.ordering != ChannelOrdering::Unordered;
        if dealt && instances[e.from.0] > 1 && instances[e.to.0] > 1 {
            instances[e.to.0] = instances[e.from.0];
        }
    }
    instances
}

/// The queues of an edge that was not chained away.
struct Queues {
    route: Route,
    /// Whether what comes out of parallel instances is put back in order.
    in_turn: bool,
    /// By sending instance, then by receiving instance: present where the two talk.
    matrix: Vec<Vec<Option<Edge>>>,
}

struct Cutter<'env> {
    graph: Graph,
    bodies: Vec<Option<Body<'env>>>,
    dead_sink: Option<usize>,
    run: Arc<Shared>,
    seed: u64,
    hash_seed: u64,
    memory: Option<Arc<dyn crate::MemoryPool>>,
    instances: Vec<u32>,
    next: Vec<Option<usize>>,
    queues: Vec<Option<Queues>>,
    dead_edges: Vec<Edge>,
    edges: Vec<EdgeRun>,
    makers: Vec<Option<MakeNode<'env>>>,
}

impl<'env> Cutter<'env> {
    fn new(plan: ExecutionPlan<'env>, host: &Arc<dyn Host>, o: &RunOptions) -> Self {
        let ExecutionPlan { graph, bodies, dead_letters } = plan;
        let max_rows = o.max_rows.unwrap_or(graph.max_rows).max(1);
        let drawn = || u64::from(host.choose(ChoiceKind::HashSeed, u32::MAX)) ^ o.seed;
        // A restored key must come to the instance that has its state.
        let hash_seed = restored_seed(o).or(o.hash_seed).unwrap_or_else(drawn);
        let instances: Vec<u32> = bodies
            .iter()
            .zip(&graph.nodes)
            .map(|(b, n)| match b {
                Body::Many(_) => n.parallelism.resolve(o.workers),
                _ => 1,
            })
            .collect();
        let instances = in_step(&graph, instances);
        let n = graph.nodes.len();
        let mut cutter = Self {
            run: Arc::new(Shared::new(host, o, max_rows, hash_seed)),
            bodies: bodies.into_iter().map(Some).collect(),
            dead_sink: dead_letters,
            seed: o.seed,
            hash_seed,
            memory: o.memory.as_ref().map(Arc::clone),
            instances,
            next: vec![None; n],
            queues: Vec::new(),
            dead_edges: Vec::new(),
            edges: Vec::new(),
            makers: vec![None; n],
            graph,
        };
        if o.chain {
            cutter.next = (0..n).map(|i| cutter.chained(i)).collect();
        }
        cutter
    }

    /// The stage that shares a task behind `i`.
    fn chained(&self, i: usize) -> Option<usize> {
        let mut out = self.graph.edges.iter().filter(|e| e.from.0 == i);
        let e = out.next()?;
        let (from, to) = (self.graph.nodes.get(i)?, self.graph.nodes.get(e.to.0)?);
        let one_consumer = out.next().is_none() && from.outs.len() == 1;
        let one_input =
            to.ins.len() == 1 && self.graph.edges.iter().filter(|x| x.to.0 == e.to.0).count() == 1;
        let (a, b) = (self.instances[i], self.instances[e.to.0]);
        let straight = a == b && (a == 1 || self.effective_route(e) == Route::Forward);
        let unbuffered = e.channel.buffer.is_none() && to.buffer.is_none();
        (one_consumer && one_input && straight && unbuffered).then_some(e.to.0)
    }

    fn effective_route(&self, e: &GraphEdge) -> Route {
        let (a, b) = (self.instances[e.from.0], self.instances[e.to.0]);
        match e.channel.route {
            Route::Hash => Route::Hash,
            Route::RoundRobin if a == b && e.channel.ordering != ChannelOrdering::Unordered => {
                Route::Forward
            }
            Route::Forward if a == b || b == 1 => Route::Forward,
            _ if b == 1 => Route::Forward,
            _ => Route::RoundRobin,
        }
    }

    /// Whether the instances of stage `i` work on one stream dealt out in turn.
    fn dealt(&self, i: usize) -> bool {
        let mut at = i;
        for _ in 0..self.graph.nodes.len() {
            if self.instances[at] == 1 {
                return false;
            }
            let mut ins = self.graph.edges.iter().filter(|e| e.to.0 == at);
            let (Some(e), None) = (ins.next(), ins.next()) else { return false };
            match self.effective_route(e) {
                Route::RoundRobin => {
                    return self.instances[e.from.0] == 1
                        && e.channel.ordering == ChannelOrdering::Ordered;
                }
                Route::Forward => at = e.from.0,
                Route::Hash => return false,
            }
        }
        false
    }

    fn cut(mut self) -> (Vec<Task<'env>>, Collector) {
        self.build_queues();
        let n = self.graph.nodes.len();
        let heads: Vec<usize> = (0..n)
            .filter(|i| !self.next.contains(&Some(*i)) && Some(*i) != self.dead_sink)
            .collect();
        let mut out = Vec::new();
        for h in heads {
            for shard in 0..self.instances[h] {
                if let Some(t) = self.task(h, shard) {
                    out.push(t);
                }
            }
        }
        if let Some(t) = self.dead_task() {
            out.push(t);
        }
        let edges = Arc::new(std::mem::take(&mut self.edges));
        out.extend(self.watchdog(&edges));
        let collector = Collector {
            handle: self.run.handle.clone(),
            started: self.run.host.now(),
            host: Arc::clone(&self.run.host),
            edges,
            samples: self.run.samples,
            order: self.graph.nodes.iter().flat_map(names).collect(),
            report: RunReport::default(),
        };
        (out, collector)
    }

    fn build_queues(&mut self) {
        for e in self.graph.edges.clone() {
            if self.next[e.from.0] == Some(e.to.0) {
                self.queues.push(None);
                continue;
            }
            let buffer = self.graph.effective_buffer(&e);
            let route = self.effective_route(&e);
            let (a, b) = (self.instances[e.from.0], self.instances[e.to.0]);
            let matrix: Vec<Vec<Option<Edge>>> = (0..a)
                .map(|i| {
                    let talk = |j: u32| !(route == Route::Forward && a == b && i != j);
                    let make = |j| {
                        let q = EdgeQueue::new(buffer.capacity, buffer.when_full, None);
                        talk(j).then(|| Edge::new(q))
                    };
                    (0..b).map(make).collect()
                })
                .collect();
            self.edges.push(EdgeRun {
                from: self.graph.nodes[e.from.0].name.clone(),
                to: self.graph.nodes[e.to.0].name.clone(),
                capacity: buffer.capacity,
                pairs: (0..a)
                    .flat_map(|i| (0..b).map(move |j| (i, j)))
                    .filter(|(i, j)| matrix[*i as usize][*j as usize].is_some())
                    .collect(),
                queues: matrix.iter().flatten().flatten().cloned().collect(),
            });
            let in_turn = self.dealt(e.from.0) && self.instances[e.from.0] > 1;
            self.queues.push(Some(Queues { route, in_turn, matrix }));
        }
    }

    fn home(&self, stage: usize, shard: u32) -> StageHome {
        StageHome {
            name: self.graph.nodes[stage].name.clone(),
            id: StageId(stage as u32),
            shard,
            shards: self.instances[stage],
            hash_seed: self.hash_seed,
            memory: self.memory.as_ref().map(Arc::clone),
            on_error: self.graph.nodes[stage].on_error,
        }
    }

    fn head(&self, stage: usize, shard: u32) -> EdgesHead {
        let into = self.graph.edges.iter().zip(&self.queues).filter(|(e, _)| e.to.0 == stage);
        let groups = into.filter_map(|(e, q)| {
            let q = q.as_ref()?;
            let column = q.matrix.iter().filter_map(|row| row.get(shard as usize)?.clone());
            Some((e.to.1, q.in_turn, column.collect()))
        });
        EdgesHead::new(groups.collect())
    }

    fn out_edges(&self, stage: usize, shard: u32) -> Vec<Vec<OutEdge>> {
        let ports = self.graph.nodes[stage].outs.len();
        let mut out: Vec<Vec<OutEdge>> = (0..ports).map(|_| Vec::new()).collect();
        for (e, q) in self.graph.edges.iter().zip(&self.queues) {
            let (true, Some(q)) = (e.from.0 == stage, q) else { continue };
            let to = q.matrix[shard as usize].iter().flatten().cloned().collect();
            let ordered = e.channel.ordering == ChannelOrdering::Ordered;
            if let Some(port) = out.get_mut(e.from.1) {
                port.push(OutEdge::new(q.route, ordered, to));
            }
        }
        out
    }

    fn link(&self, stage: usize, shard: u32, node: Box<dyn Node + 'env>) -> Link<'env> {
        let n = &self.graph.nodes[stage];
        let outs = n.outs.iter().map(|t| Outbox::new(*t, self.run.max_rows)).collect();
        let operators = n.operators.iter().map(|o| o.name.clone()).collect();
        Link::new(node, self.home(stage, shard), operators, n.on_error, outs, self.seed, &self.run)
    }

    fn sink(&self, stage: usize, sink: Box<dyn crate::DynSink + 'env>) -> Tail<'env> {
        let n = &self.graph.nodes[stage];
        let io = io_of(&self.run);
        Tail::Sink(Box::new(SinkEnd::new(sink, n.name.clone(), n.on_error, io, self.seed)))
    }

    /// The instance `shard` of a stage's node.
    fn node(&mut self, stage: usize, shard: u32) -> Option<Box<dyn Node + 'env>> {
        if let Some(make) = &self.makers[stage] {
            return Some(make(shard));
        }
        match self.bodies[stage].take()? {
            Body::One(node) => Some(node),
            Body::Many(make) => {
                let node = make(shard);
                self.makers[stage] = Some(make);
                Some(node)
            }
            other => {
                self.bodies[stage] = Some(other);
                None
            }
        }
    }

    fn task(&mut self, first: usize, shard: u32) -> Option<Task<'env>> {
        let name = format!("{}#{shard}", self.graph.nodes[first].name);
        let mut stages = Vec::new();
        let mut head = None;
        let mut links = Vec::new();
        let mut tail = None;
        let mut at = Some(first);
        let mut last = first;
        while let Some(i) = at {
            last = i;
            stages.push(self.graph.nodes[i].name.clone());
            if let Some(node) = self.node(i, shard) {
                links.push(self.link(i, shard, node));
            } else {
                match self.bodies[i].take()? {
                    Body::Source(s) => head = Some(self.source(i, s)),
                    Body::Sink(s) => tail = Some(self.sink(i, s)),
                    Body::One(_) | Body::Many(_) => return None,
                }
            }
            at = self.next[i];
        }
        let head = head.unwrap_or_else(|| Head::Edges(self.head(first, shard)));
        let tail = tail.unwrap_or_else(|| Tail::Edges(self.out_edges(last, shard)));
        let dead = self.dead_sink.map(|_| {
            let edge =
                Edge::new(EdgeQueue::new(self.graph.buffer.capacity, crate::WhenFull::Block, None));
            self.dead_edges.push(edge.clone());
            edge
        });
        let chain = Chain::new(&self.run, links, tail, dead);
        Some(self.wrap(name, stages, head, chain))
    }

    fn wrap(
        &self,
        name: String,
        stages: Vec<String>,
        head: Head<'env>,
        chain: Chain<'env>,
    ) -> Task<'env> {
        if let Some(w) = &self.run.watched {
            w.name(chain.slot, &name, &stages);
        }
        let future = Some(Box::pin(TaskBody { head, chain }.run()) as BoxFuture<'env, TaskReport>);
        Task { name, stages, future, handle: self.run.handle.clone() }
    }

    fn source(&self, stage: usize, source: Box<dyn crate::DynSource + 'env>) -> Head<'env> {
        let n = &self.graph.nodes[stage];
        let seed = crate::key::hash_of(n.name.as_str(), self.seed);
        Head::Source(Box::new(SourceHead {
            source,
            state: StageState { name: n.name.clone(), ..StageState::default() },
            on_error: n.on_error,
            attempt: 0,
            draws: Draws(seed),
            spare: None,
            watermark: None,
            barrier: self.run.restored,
            policy: Epoch(0),
        }))
    }

    /// The task that looks whether the others make progress, in a run that is watched.
    fn watchdog(&self, edges: &Arc<Vec<EdgeRun>>) -> Option<Task<'env>> {
        let watched = self.run.watched.as_ref()?;
        let holds = |n: &&StageNode| n.kind == StageKind::Accumulator;
        let dog = Dog {
            run: Arc::clone(&self.run),
            watched: Arc::clone(watched),
            edges: Arc::clone(edges),
            accumulators: self.graph.nodes.iter().filter(holds).map(|n| n.name.clone()).collect(),
        };
        Some(Task {
            name: "(watchdog)".into(),
            stages: Vec::new(),
            future: Some(Box::pin(dog.watch())),
            handle: self.run.handle.clone(),
        })
    }

    /// The task that writes dead letters: an ordinary sink behind one edge from every other task.
    fn dead_task(&mut self) -> Option<Task<'env>> {
        let stage = self.dead_sink?;
        let Body::Sink(sink) = self.bodies.get_mut(stage)?.take()? else { return None };
        let groups = self.dead_edges.iter().map(|e| (0, false, vec![e.clone()])).collect();
        let name = format!("{}#0", self.graph.nodes[stage].name);
        self.edges.push(EdgeRun {
            from: FAILED_ROWS.into(),
            to: self.graph.nodes[stage].name.clone(),
            capacity: self.graph.buffer.capacity,
            pairs: (0..self.dead_edges.len() as u32).map(|i| (i, 0)).collect(),
            queues: self.dead_edges.clone(),
        });
        let tail = self.sink(stage, sink);
        let head = Head::Edges(EdgesHead::new(groups));
        let chain = Chain::new(&self.run, Vec::new(), tail, None);
        let stages = vec![self.graph.nodes[stage].name.clone()];
        Some(self.wrap(name, stages, head, chain))
    }
}
