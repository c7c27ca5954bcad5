//! Words with several inputs and one output: `merge`, in any order, by time or by number; `zip`;
//! `join` by place, sequence number or id. And `resequence`, which restores an order.
//!
//! Joins here find rows that belong together by their place or by a number that comes once in each
//! flow. What comes many times under a key belongs to keyed accumulation.

mod by_seq;
mod by_time;
mod correlate;
mod guard;
mod held;
mod leftover;
mod merge;
mod strategy;
mod zip;

pub use by_seq::{Gap, InOrder};
pub(crate) use correlate::STALL;
pub use held::{HELD_ROWS, Hold};
pub use leftover::Leftover;
pub use strategy::{Join, JoinStrategy, Joined};

use crate::draft::{MakeBody, Place};
use crate::flow::{Chain, Flow, NO_CODEC, insert};
use crate::kernel::Raw;
use crate::pipeline::{Pipeline, attach};
use crate::port::Port;
use by_seq::BySeq;
use by_time::ByTime;
use correlate::{Standing, correlate};
use flux_io_core::{
    Body, ChannelDescriptor, Column, ColumnType, Node, Operator, Route, StageKind, StageNode,
};
use merge::Merge;
use zip::{Give, Longest, Whole, Zip};

/// Flows that give rows of one column: a flow, a vector or array of flows behind closed segments,
/// or a tuple of these. In the order they are written they are the inputs of a join.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a flow, or flows, of column `{C}`",
    note = "all inputs of a merge give rows of one column: `.map(..)` them to it first"
)]
pub trait Inputs<'env, C: Column> {
    /// Their ends.
    fn ports(self) -> Vec<Port<'env>>;
}

impl<'env, C, C0, K> Inputs<'env, C> for Flow<'env, C0, K>
where
    C: Column,
    C0: Column,
    K: Chain<C0, Col = C> + 'env,
{
    fn ports(self) -> Vec<Port<'env>> {
        vec![self.into_port()]
    }
}

impl<'env, C: Column> Inputs<'env, C> for Vec<Flow<'env, C, Raw>> {
    fn ports(self) -> Vec<Port<'env>> {
        self.into_iter().map(Flow::into_port).collect()
    }
}

impl<'env, C: Column, const N: usize> Inputs<'env, C> for [Flow<'env, C, Raw>; N] {
    fn ports(self) -> Vec<Port<'env>> {
        self.into_iter().map(Flow::into_port).collect()
    }
}

macro_rules! tuples {
    ($(($($t:ident),*)),* $(,)?) => { $(
        impl<'env, C: Column, $($t: Inputs<'env, C>),*> Inputs<'env, C> for ($($t,)*) {
            fn ports(self) -> Vec<Port<'env>> {
                #[expect(non_snake_case, reason = "a flow is named as its type")]
                let ($($t,)*) = self;
                let mut all = Vec::new();
                $(all.extend($t.ports());)*
                all
            }
        }
    )* };
}
tuples!((A, B), (A, B, D), (A, B, D, E));

/// The data of a join.
fn join_node<Out: Column>(name: &str, word: &'static str, ports: &[Port<'_>]) -> StageNode {
    let ins = ports.iter().map(Port::column).collect();
    let mut node = StageNode::new(name, StageKind::Merge, ins, vec![ColumnType::of::<Out>()]);
    node.operators = vec![Operator { name: name.to_owned(), word, on_error: node.on_error }];
    node
}

impl<'env> Pipeline<'env> {
    /// A stage behind `ports`, and the flow behind it; `make` is told their number.
    fn join_ports<Out: Column>(
        &self,
        node: StageNode,
        ports: Vec<Port<'env>>,
        make: impl FnOnce(&Place<'_>, usize) -> Box<dyn Node + 'env> + 'env,
    ) -> Flow<'env, Out, Raw> {
        let n = ports.len();
        let body: MakeBody<'env> = Box::new(move |p: &Place<'_>| Body::One(make(p, n)));
        let stage = attach(self.draft(), node, body, ports, ChannelDescriptor::default());
        Flow::behind(std::rc::Rc::clone(self.draft()), (stage, 0))
    }

    /// One flow of several, in any order; see [`Flow::merge`].
    pub fn merge<C: Column>(&self, name: &str, inputs: impl Inputs<'env, C>) -> Flow<'env, C, Raw> {
        let ports = inputs.ports();
        self.join_ports(join_node::<C>(name, "merge", &ports), ports, |_, _| Box::new(Merge))
    }
}

/// The parameter of a stage that says whether the rows it holds can be written.
pub(crate) const HELD_ROWS_PARAM: &str = "held rows";

/// What a stage that holds rows says of itself.
fn holds<T>(node: &mut StageNode, hold: &Hold<T>) {
    node.hints.stateful = true;
    node.params.insert("hold".to_owned(), hold.rows.to_string());
    if hold.bytes < usize::MAX {
        node.params.insert("hold bytes".to_owned(), hold.bytes.to_string());
    }
    let codec = if hold.has_codec() { "codec" } else { NO_CODEC };
    node.params.insert(HELD_ROWS_PARAM.to_owned(), codec.to_owned());
    if let Some(patience) = hold.patience {
        node.hints.schedule_dependent.push("patience".to_owned());
        node.params.insert("patience_ns".to_owned(), patience.as_nanos().to_string());
    }
}

impl<'env, C, K, T> Flow<'env, C, K>
where
    C: Column,
    T: Send + 'static,
    K: Chain<C, Col = Vec<T>> + 'env,
{
    /// This flow and others as one, in the order of event times; rows of one time in the order of
    /// the inputs, then in that of each input. A row goes out when the watermark has reached its
    /// time, so the inputs need watermarks; idle and ended inputs hold nothing up. Rows that the
    /// watermark had passed when they came go out at once, out of order.
    ///
    /// An input that is ahead of the others is left waiting when `hold` is full; the one that holds
    /// the watermark back is always taken, so that what lies within its own lag is held besides.
    pub fn merge_by_time(
        self,
        name: &str,
        others: impl Inputs<'env, Vec<T>>,
        hold: Hold<T>,
    ) -> Flow<'env, Vec<T>, Raw> {
        let (pipeline, ports) = self.with(others.ports());
        let mut node = join_node::<Vec<T>>(name, "merge_by_time", &ports);
        holds(&mut node, &hold);
        pipeline.join_ports(node, ports, |place, n| Box::new(ByTime::new(n, hold, place.track)))
    }

    /// This flow and others, which branched from one source, as one again, in the order of sequence
    /// numbers. Each input is in order, and each number comes once; numbers that no input has left
    /// are known by the numbers behind them, and are no fault.
    ///
    /// Watermarks that rows still held have not reached wait for them.
    ///
    /// A branch says how far it has come also where it gives nothing, and stages that keep numbers
    /// pass it on. Behind one that does not (`stage`, `node`, `flat_map`, an accumulator), a branch
    /// that gives nothing while the others fill what is held and all edges stops the plan, which
    /// notes it: hold more rows than the others give meanwhile, or say how long is waited:
    /// [`Hold::patience`].
    pub fn merge_by_seq(
        self,
        name: &str,
        others: impl Inputs<'env, Vec<T>>,
        how: InOrder<T>,
    ) -> Flow<'env, Vec<T>, Raw> {
        let (pipeline, ports) = self.with(others.ports());
        let mut node = join_node::<Vec<T>>(name, "merge_by_seq", &ports);
        node.hints.exact_seq = true;
        in_order(&mut node, &how);
        pipeline.join_ports(node, ports, |place, n| {
            let own = |_: &T, seq| seq;
            Box::new(BySeq::new(n, own, how, place.node.on_error, place.track, place.tell))
        })
    }

    /// Rows in the order of `number`, which counts from 0. A row waits until the one before it came,
    /// until as many rows wait as `how` holds, or until its patience is over; then what is missing
    /// is skipped and counted. A row on which `number` panics goes the way of `on_error`.
    pub fn resequence<F>(
        self,
        name: &str,
        how: InOrder<T>,
        mut number: F,
    ) -> Flow<'env, Vec<T>, Raw>
    where
        F: FnMut(&T) -> u64 + Send + 'env,
    {
        self.sequenced(name, how, false, move |row, _| number(row))
    }

    /// [`Flow::resequence`] by the rows' own sequence numbers: behind what gave them out of order.
    pub fn resequence_by_seq(self, name: &str, how: InOrder<T>) -> Flow<'env, Vec<T>, Raw> {
        self.sequenced(name, how, true, |_, seq| seq)
    }

    fn sequenced<F>(
        self,
        name: &str,
        how: InOrder<T>,
        exact: bool,
        number: F,
    ) -> Flow<'env, Vec<T>, Raw>
    where
        F: FnMut(&T, u64) -> u64 + Send + 'env,
    {
        let describe = |c| {
            let mut node = crate::words::transform(name, "resequence", c, c);
            node.hints.exact_seq = exact;
            if exact {
                node.params.insert("by".to_owned(), "sequence number".to_owned());
            }
            in_order(&mut node, &how);
            node.params.insert("gap".to_owned(), how.gap.as_str().to_owned());
            node
        };
        let flow = self.close();
        let node = describe(ColumnType::of::<Vec<T>>());
        let body: MakeBody<'env> = Box::new(move |p: &Place<'_>| {
            let tells = exact && p.tell;
            Body::One(Box::new(BySeq::new(1, number, how, p.node.on_error, p.track, tells)))
        });
        let n = insert(&flow.draft, node, body, flow.at, Route::Forward);
        Flow::behind(flow.draft, (n, 0))
    }

    /// The n-th row of this flow with the n-th of another. A pair is called after its first row
    /// (source, sequence number, context) and has the later of the two times. What the longer side
    /// has over goes the way of `rest`, counted under "unpaired".
    ///
    /// A side that is ahead is left waiting: see [`Hold`]. Rows that belong together by number, not
    /// by place, are for [`Flow::join`].
    pub fn zip<C2, K2, U>(
        self,
        name: &str,
        other: Flow<'env, C2, K2>,
        rest: Leftover,
    ) -> Flow<'env, Vec<(T, U)>, Raw>
    where
        C2: Column,
        U: Send + 'static,
        K2: Chain<C2, Col = Vec<U>> + 'env,
    {
        self.zip_with(name, other, rest, Hold::default(), Hold::default())
    }

    /// [`Flow::zip`] with what each side may hold.
    pub fn zip_with<C2, K2, U>(
        self,
        name: &str,
        other: Flow<'env, C2, K2>,
        rest: Leftover,
        left: Hold<T>,
        right: Hold<U>,
    ) -> Flow<'env, Vec<(T, U)>, Raw>
    where
        C2: Column,
        U: Send + 'static,
        K2: Chain<C2, Col = Vec<U>> + 'env,
    {
        self.zipped(name, "zip", other, (left, right), rest.as_str(), Whole(rest))
    }

    /// [`Flow::zip`], where the longer side goes on alone. What goes out alone has an event time
    /// behind the watermark of that moment.
    pub fn zip_longest<C2, K2, U>(
        self,
        name: &str,
        other: Flow<'env, C2, K2>,
        left: Hold<T>,
        right: Hold<U>,
    ) -> Flow<'env, Vec<(Option<T>, Option<U>)>, Raw>
    where
        C2: Column,
        U: Send + 'static,
        K2: Chain<C2, Col = Vec<U>> + 'env,
    {
        self.zipped(name, "zip_longest", other, (left, right), "given alone", Longest)
    }

    fn zipped<C2, K2, U, G>(
        self,
        name: &str,
        word: &'static str,
        other: Flow<'env, C2, K2>,
        (left, right): (Hold<T>, Hold<U>),
        rest: &str,
        give: G,
    ) -> Flow<'env, Vec<G::Row>, Raw>
    where
        C2: Column,
        U: Send + 'static,
        K2: Chain<C2, Col = Vec<U>> + 'env,
        G: Give<T, U> + 'static,
    {
        let (pipeline, ports) = self.with(vec![other.into_port()]);
        let mut node = join_node::<Vec<G::Row>>(name, word, &ports);
        node.hints.stateful = true;
        // Dead letters name the numbers of their rows.
        node.hints.exact_seq |= rest == Leftover::DeadLetter.as_str();
        node.params.insert("rest".to_owned(), rest.to_owned());
        node.params.insert("hold".to_owned(), left.rows.min(right.rows).to_string());
        let codec = if left.has_codec() && right.has_codec() { "codec" } else { NO_CODEC };
        node.params.insert(HELD_ROWS_PARAM.to_owned(), codec.to_owned());
        pipeline
            .join_ports(node, ports, |place, _| Box::new(Zip::new(left, right, give, place.track)))
    }

    /// One row of this flow and one of each other flow, as [`Join`] says: found by place, sequence
    /// number or id; given when its strategy is content.
    ///
    /// Joined rows are called after the first flow that gave a part, and have the latest time of
    /// their parts; what was given up has an event time behind the watermark of that moment. The
    /// order is that in which they became complete. What is held, and which flows are taken then, says
    /// [`Join::hold`].
    pub fn join(
        self,
        name: &str,
        others: impl Inputs<'env, Vec<T>>,
        join: Join<T>,
    ) -> Flow<'env, Vec<Joined<T>>, Raw> {
        let (pipeline, ports) = self.with(others.ports());
        let mut node = join_node::<Vec<Joined<T>>>(name, "join", &ports);
        node.hints.exact_seq = join.exact_seq() || join.rest == Leftover::DeadLetter;
        holds(&mut node, &join.hold);
        if matches!(join.strategy, JoinStrategy::Timeout(_)) {
            node.hints.schedule_dependent.push("timeout".to_owned());
        }
        node.params.extend(join.params().map(|(k, v)| (k.to_owned(), v)));
        pipeline.join_ports(node, ports, |place, n| {
            let standing = Standing {
                on: place.node.on_error,
                exact: place.track,
                tells: place.tell,
                in_step: place.in_step,
                entangled: place.entangled,
            };
            correlate(n, join, standing)
        })
    }
}

fn in_order<T>(node: &mut StageNode, how: &InOrder<T>) {
    holds(node, &how.hold);
    node.hints.exact_seq |= how.late == Leftover::DeadLetter;
    node.params.insert("late".to_owned(), how.late.as_str().to_owned());
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// This flow and others as one: batches pass as they come, the inputs in turn where several
    /// have some, so that none starves. Nothing is held: a full output leaves the inputs waiting.
    ///
    /// Order: that of each input is kept, between inputs there is none. The watermark is the
    /// minimum over the inputs that are not idle, set aside or ended.
    pub fn merge(self, name: &str, others: impl Inputs<'env, K::Col>) -> Flow<'env, K::Col, Raw> {
        let (pipeline, ports) = self.with(others.ports());
        pipeline
            .join_ports(join_node::<K::Col>(name, "merge", &ports), ports, |_, _| Box::new(Merge))
    }

    /// The pipeline, and the ends of this flow and of others.
    fn with(self, others: Vec<Port<'env>>) -> (Pipeline<'env>, Vec<Port<'env>>) {
        let first = self.into_port();
        let pipeline = Pipeline::of(&first.draft);
        let mut ports = vec![first];
        ports.extend(others);
        (pipeline, ports)
    }
}
