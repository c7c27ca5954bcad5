//! Words that close the open segment and put a stage of their own behind it, and the words that
//! end a flow.

use crate::draft::{OpDraft, Place};
use crate::ended::Ended;
use crate::flow::{Chain, Flow};
use crate::fold::{FoldNode, Value};
use crate::kernel::{Kernel, Raw};
use crate::port::Port;
use crate::stages::{
    Batching, Discard, EventTime, FilterRows, FlatMapRows, Rebatch, SharedDisorder, ValidateRows,
};
use flux_io_core::{
    Body, Column, ColumnType, Erased, ErasedSink, Node, Operator, Route, Sink, Stage, StageKind,
    StageNode, Timestamp, Validator,
};
use std::rc::Rc;
use std::time::Duration;

pub(crate) fn transform(
    name: &str,
    word: &'static str,
    c: ColumnType,
    out: ColumnType,
) -> StageNode {
    let mut node = StageNode::new(name, StageKind::Transform, vec![c], vec![out]);
    node.operators = vec![Operator { name: name.to_owned(), word, on_error: node.on_error }];
    node
}

fn one<'env, S: Stage + 'env>(stage: S) -> Body<'env> {
    Body::One(Box::new(Erased(stage)))
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// A stage of the user's own. One instance: it cannot be copied.
    pub fn stage<S>(self, name: &str, stage: S) -> Flow<'env, S::Out, Raw>
    where
        S: Stage<In = K::Col> + 'env,
    {
        let out = ColumnType::of::<S::Out>();
        self.then(|c| transform(name, "stage", c, out), Route::Forward, Box::new(|_| one(stage)))
    }

    /// A node of the user's own with one input and one output of column `C2`: for what
    /// [`Flow::stage`] cannot say. Nodes with more ports are attached with
    /// [`Pipeline::attach`](crate::Pipeline::attach).
    pub fn node_of<C2: Column>(self, name: &str, node: impl Node + 'env) -> Flow<'env, C2, Raw> {
        let out = ColumnType::of::<C2>();
        let body = Box::new(|_: &Place<'_>| Body::One(Box::new(node)));
        self.then(|c| transform(name, "node", c, out), Route::Forward, body)
    }

    /// Row views for which `f` holds stay. `filter` is faster where rows are values.
    pub fn filter_rows<F>(self, name: &str, f: F) -> Flow<'env, K::Col, Raw>
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> bool + Send + 'env,
    {
        let make = Box::new(|p: &Place<'_>| one(FilterRows::new(f, p.node.on_error)));
        self.then(|c| transform(name, "filter_rows", c, c), Route::Forward, make)
    }

    /// Every row, seen as a view, becomes the rows that `f` appends to the column it is given: text
    /// to words, a frame to its records, without an allocation per row. `flat_map` is for rows that
    /// are values.
    ///
    /// Order: as in the input. Rows of one input row stand in one batch; after it, the batch is sent
    /// when it is full. The rows get numbers of this stage, as those of `flat_map` do. Of a row on
    /// which `f` panics nothing stays.
    pub fn flat_map_rows<D, F>(self, name: &str, f: F) -> Flow<'env, D, Raw>
    where
        D: Column,
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>, &mut D) + Send + 'env,
    {
        let make = Box::new(|p: &Place<'_>| one(FlatMapRows::new(f, p.node.on_error)));
        let out = ColumnType::of::<D>();
        self.then(|c| transform(name, "flat_map_rows", c, out), Route::Forward, make)
    }

    /// Row views that `validator` accepts stay; others fail and go the way of `on_error`.
    pub fn validate_rows<V>(self, name: &str, validator: V) -> Flow<'env, K::Col, Raw>
    where
        V: Validator<K::Col> + 'env,
    {
        let make = Box::new(|p: &Place<'_>| one(ValidateRows::new(validator, p.node.on_error)));
        self.then(|c| transform(name, "validate_rows", c, c), Route::Forward, make)
    }

    /// Cuts and joins batches by rows and time.
    pub fn batch(self, name: &str, batching: Batching) -> Flow<'env, K::Col, Raw> {
        let describe = |c| {
            let mut n = transform(name, "batch", c, c);
            n.hints.stateful = true;
            if let Some(rows) = batching.rows() {
                n.params.insert("rows".to_owned(), rows.to_string());
            }
            if let Some(linger) = batching.linger() {
                n.params.insert("linger_ns".to_owned(), linger.as_nanos().to_string());
            }
            n
        };
        self.then(
            describe,
            Route::Forward,
            Box::new(move |_| one(Rebatch::<K::Col>::new(batching))),
        )
    }

    /// Gives rows their event time, and promises before each row that none at or below
    /// `max(times seen, its own included) - lag - 1 ns` is still to come: a row that moves time past
    /// a deadline comes behind what that deadline lets go, and one exactly `lag` late is in time.
    /// The lag is 0 until [`Flow::lag`] says otherwise.
    pub fn event_time<F>(self, name: &str, f: F) -> Flow<'env, K::Col, Raw>
    where
        F: for<'a> FnMut(<K::Col as Column>::Ref<'a>) -> Timestamp + Send + 'env,
    {
        let disorder = SharedDisorder::default();
        let set = Rc::clone(&disorder);
        let make =
            Box::new(move |p: &Place<'_>| one(EventTime::new(f, *set.borrow(), p.node.on_error)));
        let describe = |c| {
            let mut n = transform(name, "event_time", c, c);
            n.hints.stateful = true;
            n
        };
        let flow = self.then(describe, Route::Forward, make);
        flow.draft.borrow_mut().event_times.insert(flow.at.0, disorder);
        flow.lag(Duration::ZERO)
    }

    /// Ends the flow in a sink.
    pub fn sink<S>(self, name: &str, sink: S) -> Ended<'env>
    where
        S: Sink<Col = K::Col> + 'env,
    {
        let connector = sink.descriptor();
        let describe = |c| {
            let mut n = StageNode::new(name, StageKind::Sink, vec![c], Vec::new());
            n.connector = Some(connector);
            n
        };
        let make = Box::new(|_: &Place<'_>| Body::Sink(Box::new(ErasedSink(sink))));
        Ended::new(self.then::<K::Col>(describe, Route::Forward, make).draft)
    }

    /// Ends the flow; its rows are counted and dropped.
    pub fn discard(self, name: &str) -> Ended<'env> {
        let describe = |c| StageNode::new(name, StageKind::Sink, vec![c], Vec::new());
        let make = Box::new(|_: &Place<'_>| Body::One(Box::new(Discard)));
        Ended::new(self.then::<K::Col>(describe, Route::Forward, make).draft)
    }

    /// The end of the flow as an untyped port, for stages with several ports.
    pub fn into_port(self) -> Port<'env> {
        let flow = self.close();
        Port::new(flow.draft, flow.at, ColumnType::of::<K::Col>())
    }
}

impl<'env, C: Column> Flow<'env, C, Raw> {
    /// How much later, in event time, rows may come than rows with greater times. It belongs to
    /// the `event_time` before it.
    pub fn lag(self, lag: Duration) -> Self {
        self.disorder("lag_ns", lag, |d| d.lag = lag)
    }

    /// After how long without a row, by the engine's clock, the flow is idle: it no longer holds
    /// back a merge, and its watermark advances with the clock. It belongs to the `event_time`
    /// before it, and makes it schedule-dependent.
    pub fn idle_after(self, idle_after: Duration) -> Self {
        self.node(|n| n.hints.schedule_dependent.push("idle timeout".to_owned()));
        self.disorder("idle_after_ns", idle_after, |d| d.idle_after = Some(idle_after))
    }

    fn disorder(self, word: &str, value: Duration, set: impl FnOnce(&mut crate::Disorder)) -> Self {
        let found = self.draft.borrow().event_times.get(&self.at.0).map(Rc::clone);
        match found {
            Some(d) => {
                set(&mut d.borrow_mut());
                self.node(|n| {
                    n.params.insert(word.to_owned(), value.as_nanos().to_string());
                });
            }
            None => self.draft.borrow_mut().fault(
                "P013",
                self.at.0,
                format!(
                    "`{}` stands behind a stage that gives no event times",
                    &word[..word.len() - 3]
                ),
                "put it right behind `.event_time(name, |row| ..)`",
            ),
        }
        self
    }
}

impl<'env, C: Column, K> Flow<'env, C, K> {
    /// Ends the flow in a value: `f` adds every row to it. The value is there when the run has
    /// read all input. A row on which `f` panics may be half added.
    pub fn fold<A, F>(self, name: &str, init: A, f: F) -> (Ended<'env>, Value<A>)
    where
        K: Kernel<C> + 'env,
        A: Send + 'static,
        F: FnMut(&mut A, K::Out) + Send + 'env,
    {
        self.fold_as(name, "fold", init, f)
    }

    /// Ends the flow; `f` takes every row.
    pub fn for_each<F>(self, name: &str, mut f: F) -> Ended<'env>
    where
        K: Kernel<C> + 'env,
        F: FnMut(K::Out) + Send + 'env,
    {
        self.fold_as(name, "for_each", (), move |(), x| f(x)).0
    }

    fn fold_as<A, F>(self, name: &str, word: &'static str, init: A, f: F) -> (Ended<'env>, Value<A>)
    where
        K: Kernel<C> + 'env,
        A: Send + 'static,
        F: FnMut(&mut A, K::Out) + Send + 'env,
    {
        let value = Value::new();
        let place = value.clone();
        let op = OpDraft::new(name, word);
        let draft = self.finish(op, move |kernel, ops| {
            Box::new(FoldNode::<C, K, A, F>::new(kernel, f, init, place, ops))
        });
        (Ended::new(draft), value)
    }
}
