//! The flow: a place in the graph, and the operators fused behind it so far.

use crate::draft::{Draft, MakeBody, OpDraft, Place, Shared, joint_hints};
use crate::drive::Operators;
use crate::kernel::{
    AttemptK, Check, FilterK, FilterMapK, FlatK, InspectK, Kernel, MapK, Next, Raw, Room, RowK,
    ScanK, TryK, TryMap, TryRowK, ValidateK,
};
use crate::segment::Segment;
use crate::stages::Pass;
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{
    Body, BufferPolicy, ChannelDescriptor, ChannelOrdering, Column, ColumnType, Erased, Hints,
    Node, OnError, Operator, Parallelism, Route, RowError, StageKind, StageNode, Validator,
    WhenFull,
};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

/// A flow of rows: column `C` at a place in the graph, read by the open kernel `K`.
///
/// Words that take a closure per row (`map`, `filter`, …) are fused into the kernel; every other
/// word closes it and becomes a stage of its own. Options (`on_error`, `hint`, `parallel`, …)
/// concern the operator or stage before them. Nothing runs until the flow has an end and its plan
/// is run.
#[must_use = "a flow does nothing until it ends in a sink and its plan is run"]
pub struct Flow<'env, C: Column, K> {
    pub(crate) draft: Shared<'env>,
    pub(crate) at: (usize, usize),
    pub(crate) kernel: K,
    pub(crate) ops: Vec<OpDraft>,
    /// Buffer in front of the open segment.
    in_buffer: Option<BufferPolicy>,
    column: PhantomData<fn() -> C>,
}

impl<C: Column, K> fmt::Debug for Flow<'_, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ops: Vec<_> = self.ops.iter().map(|o| o.name.as_str()).collect();
        write!(f, "Flow(behind port {:?}, {ops:?})", self.at)
    }
}

/// What a flow can close: an open kernel becomes a stage, [`Raw`] is none.
#[diagnostic::on_unimplemented(
    message = "this flow's open segment cannot be closed",
    note = "start with `.map(..)` (rows by value) or `.map_rows(..)` (row views)"
)]
pub trait Chain<C: Column>: Sized {
    /// The column behind it.
    type Col: Column;
    /// The body of the segment, whose operators are called `names` and keep the policies `on`;
    /// `track` = with exact sequence numbers.
    fn body<'env>(self, names: Vec<String>, on: Vec<OnError>, track: bool) -> Body<'env>
    where
        Self: 'env;
    /// A body of any number of instances.
    fn bodies<'env>(self, names: Vec<String>, on: Vec<OnError>, track: bool) -> Body<'env>
    where
        Self: Clone + 'env;
}

impl<C: Column> Chain<C> for Raw {
    type Col = C;

    fn body<'env>(self, _names: Vec<String>, _on: Vec<OnError>, _track: bool) -> Body<'env>
    where
        Self: 'env,
    {
        Body::One(Box::new(Erased(Pass::<C>::default())))
    }
    fn bodies<'env>(self, _names: Vec<String>, _on: Vec<OnError>, _track: bool) -> Body<'env>
    where
        Self: 'env,
    {
        Body::Many(Arc::new(|_instance| Box::new(Erased(Pass::<C>::default()))))
    }
}

macro_rules! chain {
    ($($t:ident<$($g:ident),*>),* $(,)?) => { $(
        impl<C: Column, $($g),*> Chain<C> for $t<$($g),*>
        where
            Self: Kernel<C>,
        {
            type Col = Vec<<Self as Kernel<C>>::Out>;

            fn body<'env>(
                self,
                names: Vec<String>,
                on: Vec<OnError>,
                track: bool,
            ) -> Body<'env>
            where
                Self: 'env,
            {
                let ops = Operators { names, on };
                Body::One(Box::new(Erased(Segment::<C, Self>::of(self, ops, track))))
            }

            fn bodies<'env>(
                self,
                names: Vec<String>,
                on: Vec<OnError>,
                track: bool,
            ) -> Body<'env>
            where
                Self: Clone + 'env,
            {
                let ops = Operators { names, on };
                let kernel = Mutex::new(self);
                Body::Many(Arc::new(move |_instance| {
                    let twin = lock(&kernel).clone();
                    let segment = Segment::<C, Self>::of(twin, ops.clone(), track);
                    Box::new(Erased(segment)) as Box<dyn Node + 'env>
                }))
            }
        }
    )* };
}
chain!(
    MapK<A, F>,
    FilterK<A, F>,
    FilterMapK<A, F>,
    InspectK<A, F>,
    AttemptK<A, W, T>,
    FlatK<A, F, I>,
    ScanK<A, S, F>,
    RowK<F>,
    TryRowK<F>,
);

impl<'env, C: Column> Flow<'env, C, Raw> {
    /// The flow behind an output port that is of column `C`.
    pub(crate) fn behind(draft: Shared<'env>, at: (usize, usize)) -> Self {
        Self { draft, at, kernel: Raw, ops: Vec::new(), in_buffer: None, column: PhantomData }
    }
}

impl<'env, C: Column, K> Flow<'env, C, K> {
    /// Adds an operator to the open segment.
    pub(crate) fn operator<K2: Kernel<C> + Chain<C> + 'env>(
        self,
        name: &str,
        word: &'static str,
        wrap: impl FnOnce(K) -> K2,
    ) -> Next<'env, C, K2> {
        self.operator_of(OpDraft::new(name, word), wrap)
    }

    pub(crate) fn operator_of<K2: Kernel<C> + Chain<C> + 'env>(
        mut self,
        mut op: OpDraft,
        wrap: impl FnOnce(K) -> K2,
    ) -> Next<'env, C, K2> {
        op.name = self.draft.borrow().named(&op.name);
        self.ops.push(op);
        let Self { draft, at, kernel, ops, in_buffer, column } = self;
        K2::Room::settle(Flow { draft, at, kernel: wrap(kernel), ops, in_buffer, column })
    }

    /// Every row becomes `f(row)`.
    pub fn map<U, F>(self, name: &str, f: F) -> Next<'env, C, MapK<K, F>>
    where
        K: Kernel<C> + 'env,
        U: Send + 'static,
        F: FnMut(K::Out) -> U + Send + 'env,
    {
        self.operator(name, "map", |a| MapK::new(a, f))
    }

    /// Rows for which `f` holds stay.
    pub fn filter<F>(self, name: &str, f: F) -> Next<'env, C, FilterK<K, F>>
    where
        K: Kernel<C> + 'env,
        F: FnMut(&K::Out) -> bool + Send + 'env,
    {
        self.operator(name, "filter", |a| FilterK::new(a, f))
    }

    /// Rows for which `f` gives something become it, others go.
    pub fn filter_map<U, F>(self, name: &str, f: F) -> Next<'env, C, FilterMapK<K, F>>
    where
        K: Kernel<C> + 'env,
        U: Send + 'static,
        F: FnMut(K::Out) -> Option<U> + Send + 'env,
    {
        self.operator(name, "filter_map", |a| FilterMapK::new(a, f))
    }

    /// Every row becomes the items that `f` gives. The iterator may be without end: output is
    /// bounded, and the iterator goes on when there is room.
    pub fn flat_map<I, F>(self, name: &str, f: F) -> Next<'env, C, FlatK<K, F, I::IntoIter>>
    where
        K: Kernel<C> + 'env,
        I: IntoIterator<IntoIter: Send + 'env, Item: Send + 'static>,
        F: FnMut(K::Out) -> I + Send + 'env,
    {
        self.operator(name, "flat_map", |a| FlatK::new(a, f))
    }

    /// `f` sees every row.
    pub fn inspect<F>(self, name: &str, f: F) -> Next<'env, C, InspectK<K, F>>
    where
        K: Kernel<C> + 'env,
        F: FnMut(&K::Out) + Send + 'env,
    {
        self.operator(name, "inspect", |a| InspectK::new(a, f))
    }

    /// Every row becomes `f(&row)`, or fails and goes the way of `on_error`. The row is borrowed,
    /// so it is still whole when it fails: it can be tried again, and a dead letter keeps it.
    pub fn try_map<U, E, F>(self, name: &str, f: F) -> Next<'env, C, TryK<K, F, K::Out>>
    where
        K: Kernel<C> + 'env,
        U: Send + 'static,
        E: Into<RowError>,
        F: FnMut(&K::Out) -> Result<U, E> + Send + 'env,
    {
        self.operator(name, "try_map", |a| AttemptK::new(a, TryMap(f)))
    }

    /// Rows that `validator` accepts stay; others fail and go the way of `on_error`.
    pub fn validate<V>(self, name: &str, validator: V) -> Next<'env, C, ValidateK<K, V, K::Out>>
    where
        K: Kernel<C> + 'env,
        V: Validator<Vec<K::Out>> + 'env,
    {
        self.operator(name, "validate", |a| AttemptK::new(a, Check(validator)))
    }
}

/// Words over row views: they start a segment on any column.
impl<'env, C: Column> Flow<'env, C, Raw> {
    /// Every row, seen as a view, becomes `f(view)`.
    pub fn map_rows<U, F>(self, name: &str, f: F) -> Next<'env, C, RowK<F>>
    where
        U: Send + 'static,
        F: for<'a> FnMut(C::Ref<'a>) -> U + Send + 'env,
    {
        self.operator(name, "map_rows", |_| RowK::new(f))
    }

    /// Every row, seen as a view, becomes `f(view)`, or fails and goes the way of `on_error`. Of a
    /// column of bytes the dead letter keeps the row's bytes, up to
    /// [`ORIGINAL_BYTES`](crate::ORIGINAL_BYTES).
    pub fn try_map_rows<U, E, F>(self, name: &str, f: F) -> Next<'env, C, TryRowK<F>>
    where
        U: Send + 'static,
        E: Into<RowError>,
        F: for<'a> FnMut(C::Ref<'a>) -> Result<U, E> + Send + 'env,
    {
        self.operator(name, "try_map_rows", |_| TryRowK::new(f))
    }
}

/// Options: they concern the operator or stage before them.
impl<'env, C: Column, K> Flow<'env, C, K> {
    /// What happens to what fails.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        match self.ops.last_mut() {
            Some(op) => op.on_error = on_error,
            None => self.node(|n| {
                n.on_error = on_error;
                if let [own] = n.operators.as_mut_slice() {
                    own.on_error = on_error;
                }
            }),
        }
        self
    }

    /// Declares something about it.
    pub fn hint(mut self, declare: impl FnOnce(&mut Hints)) -> Self {
        match self.ops.last_mut() {
            Some(op) => declare(&mut op.hints),
            None => self.node(|n| declare(&mut n.hints)),
        }
        self
    }

    /// The buffer in front of it: batches, and what happens when they are all taken. Beats the
    /// plan's; a buffer given to the edge itself with [`Flow::buffer`] beats both (B98).
    pub fn input_buffer(mut self, capacity: usize, when_full: WhenFull) -> Self {
        let policy = BufferPolicy { capacity, when_full };
        if self.ops.is_empty() {
            self.node(|n| n.buffer = Some(policy));
        } else {
            self.in_buffer = Some(policy);
        }
        self
    }

    /// Declares it pure: same output for the same input, no side effect.
    pub fn pure(self) -> Self {
        self.hint(|h| h.pure = true)
    }

    /// Changes the data of the stage before.
    pub(crate) fn node(&self, change: impl FnOnce(&mut StageNode)) {
        if let Some(n) = self.draft.borrow_mut().graph.nodes.get_mut(self.at.0) {
            change(n);
        }
    }
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// Closes the open segment into one stage; without operators the flow is already closed.
    fn close_as(
        self,
        parallelism: Option<Parallelism>,
        body: impl FnOnce(K, &Place<'_>, Vec<String>, Vec<OnError>) -> Body<'env> + 'env,
    ) -> Flow<'env, K::Col, Raw> {
        let Self { draft, at, kernel, ops, in_buffer, .. } = self;
        if ops.is_empty() {
            // `Raw`: its column is `C`, and the type says so only to the compiler.
            return Flow::behind(draft, at);
        }
        let mut node = segment_node::<C>(&ops, vec![ColumnType::of::<K::Col>()]);
        node.buffer = in_buffer;
        node.scalable = parallelism.is_some();
        node.parallelism = parallelism.unwrap_or_default();
        let route = if node.scalable { Route::RoundRobin } else { Route::Forward };
        let make: MakeBody<'env> = Box::new(move |place| {
            let Operators { names, on } = operators(place);
            body(kernel, place, names, on)
        });
        let n = insert_named(&draft, node, make, at, route);
        Flow::behind(draft, (n, 0))
    }

    /// Closes the open segment: the words before and behind are not fused.
    pub fn fusion_barrier(self) -> Flow<'env, K::Col, Raw> {
        let this = self.hint(|h| h.fusion_barrier = true);
        this.close()
    }

    /// Closes the open segment.
    pub(crate) fn close(self) -> Flow<'env, K::Col, Raw> {
        self.close_as(None, |k, place, names, on| k.body(names, on, place.track))
    }

    /// Closes the open segment and says how many batches the edge behind it holds. Beats the
    /// buffer of the stage it leads to, and that of the plan.
    pub fn buffer(self, capacity: usize) -> Flow<'env, K::Col, Raw> {
        let this = self.close();
        this.edge_buffer(|b| b.capacity = Some(capacity))
    }

    /// Closes the open segment and says what happens when the edge behind it is full.
    pub fn when_full(self, when_full: WhenFull) -> Flow<'env, K::Col, Raw> {
        let this = self.close();
        this.edge_buffer(|b| b.when_full = Some(when_full))
    }

    /// Runs `n` instances of the open segment, or of the stage before. A segment's batches are
    /// dealt out in turn and come back in order; each instance has its own copy of the closures,
    /// and of what they captured. The planner refuses stages that cannot be copied.
    pub fn parallel(self, n: u32) -> Flow<'env, K::Col, Raw>
    where
        K: Clone,
    {
        self.parallelism(Parallelism::Fixed(n))
    }

    /// Like [`Flow::parallel`], with a number that depends on the run.
    pub fn parallelism(self, parallelism: Parallelism) -> Flow<'env, K::Col, Raw>
    where
        K: Clone,
    {
        if self.ops.is_empty() {
            self.node(|n| n.parallelism = parallelism);
            return self.close();
        }
        self.close_as(Some(parallelism), |k, place, names, on| k.bodies(names, on, place.track))
    }

    /// Closes the open segment and puts a stage behind it.
    pub(crate) fn then<C2: Column>(
        self,
        describe: impl FnOnce(ColumnType) -> StageNode,
        route: Route,
        body: MakeBody<'env>,
    ) -> Flow<'env, C2, Raw> {
        let flow = self.close();
        let node = describe(ColumnType::of::<K::Col>());
        let n = insert(&flow.draft, node, body, flow.at, route);
        Flow::behind(flow.draft, (n, 0))
    }
}

impl<'env, C: Column> Flow<'env, C, Raw> {
    fn edge_buffer(self, set: impl FnOnce(&mut crate::draft::EdgeBuffer)) -> Self {
        set(self.draft.borrow_mut().out_buffers.entry(self.at).or_default());
        self
    }
}

impl<'env, C: Column, K: 'env> Flow<'env, C, K> {
    /// Closes the open segment together with a last operator that gives no rows.
    pub(crate) fn finish(
        mut self,
        mut op: OpDraft,
        body: impl FnOnce(K, Operators) -> Box<dyn Node + 'env> + 'env,
    ) -> Shared<'env> {
        op.name = self.draft.borrow().named(&op.name);
        self.ops.push(op);
        let Self { draft, at, kernel, ops, in_buffer, .. } = self;
        let mut node = segment_node::<C>(&ops, Vec::new());
        node.kind = StageKind::Sink;
        node.buffer = in_buffer;
        let make: MakeBody<'env> = Box::new(move |p| Body::One(body(kernel, operators(p))));
        insert_named(&draft, node, make, at, Route::Forward);
        draft
    }
}

/// The parameter `state of NAME` of an operator whose state cannot be written.
pub(crate) const NO_CODEC: &str = "no codec";

/// Names and policies as they stand in the finished graph.
fn operators(place: &Place<'_>) -> Operators {
    let (names, on) = place.node.operators.iter().map(|o| (o.name.clone(), o.on_error)).unzip();
    Operators { names, on }
}

/// The data of a segment. A single operator is the stage itself.
fn segment_node<C: Column>(ops: &[OpDraft], outs: Vec<ColumnType>) -> StageNode {
    let names: Vec<_> = ops.iter().map(|o| o.name.as_str()).collect();
    let ins = vec![ColumnType::of::<C>()];
    let mut node = StageNode::new(names.join("+"), StageKind::Transform, ins, outs);
    node.hints = joint_hints(ops);
    if let [op] = ops {
        node.on_error = op.on_error;
    }
    for op in ops {
        if let Some(durable) = op.durable {
            let codec = if durable { "codec" } else { NO_CODEC };
            node.params.insert(format!("state of {}", op.name), codec.to_owned());
        }
    }
    let data = |o: &OpDraft| Operator { name: o.name.clone(), word: o.word, on_error: o.on_error };
    node.operators = ops.iter().map(data).collect();
    node
}

/// Adds a stage with one input behind a port, called as it is inside the piece being described.
pub(crate) fn insert<'env>(
    draft: &Shared<'env>,
    node: StageNode,
    body: MakeBody<'env>,
    from: (usize, usize),
    route: Route,
) -> usize {
    let node = draft.borrow().within(node);
    insert_named(draft, node, body, from, route)
}

/// Adds a stage with one input behind a port; its operators have been named before.
fn insert_named<'env>(
    draft: &Shared<'env>,
    node: StageNode,
    body: MakeBody<'env>,
    from: (usize, usize),
    route: Route,
) -> usize {
    let mut d = draft.borrow_mut();
    let n = Draft::add(&mut d, node, body);
    let ordering = match route {
        Route::Hash => ChannelOrdering::PartitionOrdered,
        _ => ChannelOrdering::Ordered,
    };
    d.link(from, (n, 0), ChannelDescriptor { buffer: None, ordering, route });
    n
}

/// Two flows of one pipeline?
pub(crate) fn same<'env>(a: &Shared<'env>, b: &Shared<'env>) -> bool {
    Rc::ptr_eq(a, b)
}
