//! Words with several inputs and one output: `merge`.

mod merge;

use crate::draft::{MakeBody, Place};
use crate::flow::{Chain, Flow};
use crate::kernel::Raw;
use crate::pipeline::{Pipeline, attach};
use crate::port::Port;
use flux_io_core::{
    Body, ChannelDescriptor, Column, ColumnType, Node, Operator, StageKind, StageNode,
};
use merge::Merge;

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
fn join(name: &str, word: &'static str, ins: Vec<ColumnType>, out: ColumnType) -> StageNode {
    let mut node = StageNode::new(name, StageKind::Merge, ins, vec![out]);
    node.operators = vec![Operator { name: name.to_owned(), word, on_error: node.on_error }];
    node
}

impl<'env> Pipeline<'env> {
    /// A stage behind `ports`, and the flow behind it.
    fn join_ports<Out: Column, N: Node + 'env>(
        &self,
        name: &str,
        word: &'static str,
        ports: Vec<Port<'env>>,
        describe: impl FnOnce(&mut StageNode),
        make: impl FnOnce(&Place<'_>, usize) -> N + 'env,
    ) -> Flow<'env, Out, Raw> {
        let ins: Vec<ColumnType> = ports.iter().map(Port::column).collect();
        let n = ins.len();
        let mut node = join(name, word, ins, ColumnType::of::<Out>());
        describe(&mut node);
        let body: MakeBody<'env> = Box::new(move |p: &Place<'_>| Body::One(Box::new(make(p, n))));
        let stage = attach(self.draft(), node, body, ports, ChannelDescriptor::default());
        Flow::behind(std::rc::Rc::clone(self.draft()), (stage, 0))
    }

    /// One flow of several, in any order; see [`Flow::merge`].
    pub fn merge<C: Column>(&self, name: &str, inputs: impl Inputs<'env, C>) -> Flow<'env, C, Raw> {
        self.join_ports(name, "merge", inputs.ports(), |_| {}, |_, _| Merge)
    }
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// This flow and others as one: batches pass as they come, the inputs in turn where several
    /// have some, so that none starves. Nothing is held: a full output leaves the inputs waiting.
    ///
    /// Order: that of each input is kept, between inputs there is none. The watermark is the
    /// minimum over the inputs that are not idle, set aside or ended.
    pub fn merge(self, name: &str, others: impl Inputs<'env, K::Col>) -> Flow<'env, K::Col, Raw> {
        let (pipeline, ports) = self.with(others.ports());
        pipeline.join_ports(name, "merge", ports, |_| {}, |_, _| Merge)
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
