//! Words with one input and several outputs: `split`, `route`, `broadcast`, `errors`.

mod broadcast;
mod errors;
mod route;

pub use broadcast::SharedRows;
pub use route::Unrouted;

use crate::draft::{Draft, Place, Shared};
use crate::flow::{Chain, Flow, insert};
use crate::kernel::Raw;
use crate::stages::Discard;
use crate::sync::Arc;
use broadcast::Broadcast;
use errors::Diverted;
use flux_io_core::{
    Body, Column, ColumnType, ErrorRecord, GiveUp, Node, OnError, Operator, Route, StageKind,
    StageNode,
};
use route::RouteRows;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The data of a branch with `n` outputs of one column.
fn branch(name: &str, word: &'static str, c: ColumnType, out: ColumnType, n: usize) -> StageNode {
    let mut node = StageNode::new(name, StageKind::Branch, vec![c], vec![out; n]);
    node.operators = vec![Operator { name: name.to_owned(), word, on_error: node.on_error }];
    node
}

/// The flows behind the first `n` ports of a stage.
fn outputs<'env, C: Column>(
    draft: &Shared<'env>,
    stage: usize,
    n: usize,
) -> Vec<Flow<'env, C, Raw>> {
    (0..n).map(|port| Flow::behind(Rc::clone(draft), (stage, port))).collect()
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    fn branch_into<N: Node + 'env>(
        self,
        node: impl FnOnce(ColumnType) -> StageNode,
        make: impl FnOnce(&Place<'_>) -> N + 'env,
    ) -> (Shared<'env>, usize) {
        let flow = self.close();
        let body = Box::new(|p: &Place<'_>| Body::One(Box::new(make(p))));
        let node = node(ColumnType::of::<K::Col>());
        let n = insert(&flow.draft, node, body, flow.at, Route::Forward);
        (flow.draft, n)
    }

    /// Two flows of one: rows for which `f` holds, and the others. Each keeps its order, its times
    /// and its watermarks. A row on which `f` panics goes the way of `on_error`.
    ///
    /// Shape: each row in, one row out of one of the two. What arrived together leaves together, so
    /// that neither side waits for a full batch of its own.
    pub fn split<F>(
        self,
        name: &str,
        mut f: F,
    ) -> (Flow<'env, K::Col, Raw>, Flow<'env, K::Col, Raw>)
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> bool + Send + 'env,
    {
        let (draft, n) = self.branch_into(
            |c| branch(name, "split", c, c, 2),
            |p| {
                let side = move |row: <K::Col as Column>::Ref<'_>| Some(usize::from(!f(row)));
                RouteRows::<K::Col, _>::new(side, 2, Unrouted::Fail, p)
            },
        );
        let flow = |port| Flow::behind(Rc::clone(&draft), (n, port));
        (flow(0), flow(1))
    }

    /// `n` flows of one: `f` says to which of them, from 0, a row goes. A row for which it says
    /// `None`, or a number that is not one of them, is unrouted, and `unrouted` says what becomes
    /// of it: none vanishes uncounted. A row on which `f` panics goes the way of `on_error`.
    ///
    /// Order, times and watermarks are kept in each flow.
    pub fn route<F>(
        self,
        name: &str,
        n: usize,
        unrouted: Unrouted,
        f: F,
    ) -> Vec<Flow<'env, K::Col, Raw>>
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> Option<usize> + Send + 'env,
    {
        let (draft, stage) = self.routes(name, n, n, unrouted, f);
        outputs(&draft, stage, n)
    }

    /// Like [`Flow::route`]; unrouted rows are a flow of their own, the second of the answer.
    pub fn route_or<F>(
        self,
        name: &str,
        n: usize,
        mut f: F,
    ) -> (Vec<Flow<'env, K::Col, Raw>>, Flow<'env, K::Col, Raw>)
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> Option<usize> + Send + 'env,
    {
        let or_last = move |row: <K::Col as Column>::Ref<'_>| {
            let to = f(row).filter(|to| *to < n);
            Some(to.unwrap_or(n))
        };
        let (draft, stage) = self.routes(name, n, n + 1, Unrouted::Fail, or_last);
        let rest = Flow::behind(Rc::clone(&draft), (stage, n));
        (outputs(&draft, stage, n), rest)
    }

    /// A flow for each of `keys`, in their order: `f` says which key a row has. Rows without a key,
    /// or with one that is not listed, are unrouted; of a key listed twice the first flow gets all.
    pub fn route_by_key<Q, F>(
        self,
        name: &str,
        keys: impl IntoIterator<Item = Q>,
        unrouted: Unrouted,
        mut f: F,
    ) -> Vec<Flow<'env, K::Col, Raw>>
    where
        Q: Ord + Send + 'env,
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> Option<Q> + Send + 'env,
    {
        let mut places: BTreeMap<Q, usize> = BTreeMap::new();
        let mut n = 0;
        for key in keys {
            places.entry(key).or_insert(n);
            n += 1;
        }
        self.route(name, n, unrouted, move |row| f(row).and_then(|key| places.get(&key).copied()))
    }

    fn routes<F>(
        self,
        name: &str,
        routes: usize,
        ports: usize,
        unrouted: Unrouted,
        f: F,
    ) -> (Shared<'env>, usize)
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> Option<usize> + Send + 'env,
    {
        self.branch_into(
            |c| {
                let mut node = branch(name, "route", c, c, ports);
                node.params.insert("routes".to_owned(), routes.to_string());
                let rest = if ports > routes { "flow" } else { unrouted.as_str() };
                node.params.insert("unrouted".to_owned(), rest.to_owned());
                node
            },
            move |p| RouteRows::<K::Col, _>::new(f, ports, unrouted, p),
        )
    }

    /// `n` flows that all see the same rows, in the same order, with the same times and watermarks.
    /// The rows are shared, never copied: a batch is counted, not cloned, so each flow sees them as
    /// views (`map_rows`, `filter_rows`); `map_rows(name, |row| row.clone())` makes them its own.
    ///
    /// The slowest of them sets the pace. The fastest is ahead of it by at most the batches of the
    /// slowest one's edge, and three more on their way.
    pub fn broadcast(self, name: &str, n: usize) -> Vec<Flow<'env, SharedRows<K::Col>, Raw>>
    where
        K::Col: Sync,
    {
        let (draft, stage) = self.broadcasts(name, n);
        outputs(&draft, stage, n)
    }

    /// [`Flow::broadcast`] to two.
    pub(crate) fn broadcast_two(
        self,
        name: &str,
    ) -> (Flow<'env, SharedRows<K::Col>, Raw>, Flow<'env, SharedRows<K::Col>, Raw>)
    where
        K::Col: Sync,
    {
        let (draft, stage) = self.broadcasts(name, 2);
        let flow = |port| Flow::behind(Rc::clone(&draft), (stage, port));
        (flow(0), flow(1))
    }

    fn broadcasts(self, name: &str, n: usize) -> (Shared<'env>, usize)
    where
        K::Col: Sync,
    {
        self.branch_into(
            |c| branch(name, "broadcast", c, ColumnType::of::<SharedRows<K::Col>>(), n),
            |p| Broadcast::<K::Col>::new(p.tell),
        )
    }

    /// The rows, and what fails in the open segment or the stage before as a flow of its own,
    /// beside the sink of dead letters: an error route. Where a policy says that the run fails, rows
    /// become [`ErrorRecord`]s of this flow instead, after their attempts; rows that a policy skips
    /// stay skipped. Errors of the stage itself, not of a row, still go the way of its policy.
    ///
    /// The error flow has the watermarks of the stage's input, and its records have times behind
    /// them.
    pub fn errors(mut self) -> (Flow<'env, K::Col, Raw>, Flow<'env, Vec<ErrorRecord>, Raw>) {
        self.ops.iter_mut().for_each(|op| op.on_error = diverted(op.on_error));
        let flow = self.close();
        let (draft, stage) = (Rc::clone(&flow.draft), flow.at.0);
        let port = divert(&mut draft.borrow_mut(), stage);
        (flow, Flow::behind(draft, (stage, port)))
    }
}

/// Gives a stage a port for its errors; gives the port.
fn divert(d: &mut Draft<'_>, stage: usize) -> usize {
    let Some(node) = d.graph.nodes.get_mut(stage) else { return 0 };
    if node.operators.len() <= 1 {
        node.on_error = diverted(node.on_error);
    }
    node.operators.iter_mut().for_each(|o| o.on_error = diverted(o.on_error));
    let port = node.outs.len();
    node.outs.push(ColumnType::of::<Vec<ErrorRecord>>());
    if node.kind == StageKind::Transform {
        node.kind = StageKind::Branch;
    }
    if node.kind == StageKind::Source {
        let what = format!("source `{}` has no error flow", node.name);
        let fix = "what a source cannot read goes to `.dead_letters(name, sink)`";
        d.fault("P013", stage, what, fix);
    }
    if let Some(body) = d.bodies.get_mut(stage) {
        let inner = std::mem::replace(body, Box::new(|_| Body::One(Box::new(Discard))));
        *body = Box::new(move |place| around(inner(place)));
    }
    port
}

/// The policy of a stage whose failures have a flow of their own.
const fn diverted(on: OnError) -> OnError {
    match on {
        OnError::Fail => OnError::DeadLetter,
        OnError::Retry { retry, then: GiveUp::Fail } => {
            OnError::Retry { retry, then: GiveUp::DeadLetter }
        }
        other => other,
    }
}

fn around(body: Body<'_>) -> Body<'_> {
    match body {
        Body::One(node) => Body::One(Box::new(Diverted::new(node))),
        Body::Many(make) => Body::Many(Arc::new(move |n| Box::new(Diverted::new(make(n))))),
        other => other,
    }
}
