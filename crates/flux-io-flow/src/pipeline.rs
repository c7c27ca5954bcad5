//! The place where flows are described: several sources, several ends, one plan.

use crate::draft::{Draft, MakeBody, Shared};
use crate::flow::Flow;
use crate::kernel::Raw;
use crate::lower::finish;
use crate::port::Port;
use crate::validate::PlanFaults;
use flux_io_core::{
    Body, Budget, BufferPolicy, ChannelDescriptor, Column, ColumnType, ErasedSink, ErasedSource,
    ErrorRecord, ExecutionPlan, PlannerPass, Sink, Source, SourceId, StageKind, StageNode,
    WhenFull,
};
use std::fmt;
use std::rc::Rc;

/// A pipeline being described. Closures may borrow for `'env` where the engine is scoped.
///
/// Nothing has a side effect before the plan is run: describing opens no file and starts no thread.
#[derive(Default)]
pub struct Pipeline<'env> {
    draft: Shared<'env>,
}

impl fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline({:?})", self.draft.borrow())
    }
}

impl<'env> Pipeline<'env> {
    /// An empty pipeline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A source of rows. Options behind it (`on_error`, `hint`, `buffer`) concern it.
    pub fn source<S: Source + 'env>(&self, name: &str, source: S) -> Flow<'env, S::Col, Raw> {
        let mut node =
            StageNode::new(name, StageKind::Source, Vec::new(), vec![ColumnType::of::<S::Col>()]);
        node.connector = Some(source.descriptor());
        let mut d = self.draft.borrow_mut();
        let id = SourceId(d.sources);
        d.sources += 1;
        let make: MakeBody<'env> =
            Box::new(move |_| Body::Source(Box::new(ErasedSource::new(source, id))));
        let n = Draft::add(&mut d, node, make);
        Flow::behind(Rc::clone(&self.draft), (n, 0))
    }

    pub(crate) fn of(draft: &Shared<'env>) -> Self {
        Self { draft: Rc::clone(draft) }
    }

    pub(crate) const fn draft(&self) -> &Shared<'env> {
        &self.draft
    }

    /// Free text about the pipeline; part of its identity.
    #[must_use]
    pub fn metadata(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.borrow_mut().graph.metadata.insert(key.into(), value.into());
        self
    }

    /// Rows of a full batch.
    #[must_use]
    pub fn max_rows(self, rows: usize) -> Self {
        self.draft.borrow_mut().graph.max_rows = rows;
        self
    }

    /// The buffer of edges where neither edge nor stage says otherwise: batches, and what happens
    /// when they are all taken.
    #[must_use]
    pub fn default_buffer(self, capacity: usize, when_full: WhenFull) -> Self {
        self.draft.borrow_mut().graph.buffer = BufferPolicy { capacity, when_full };
        self
    }

    /// The memory cap.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        self.draft.borrow_mut().graph.budget = Some(budget);
        self
    }

    /// Where dead letters of all stages go. Without it they are counted, and samples kept in the
    /// report.
    #[must_use]
    pub fn dead_letters<S>(self, name: &str, sink: S) -> Self
    where
        S: Sink<Col = Vec<ErrorRecord>> + 'env,
    {
        let column = ColumnType::of::<Vec<ErrorRecord>>();
        let mut node = StageNode::new(name, StageKind::Sink, vec![column], Vec::new());
        node.connector = Some(sink.descriptor());
        let make: MakeBody<'env> = Box::new(|_| Body::Sink(Box::new(ErasedSink(sink))));
        let mut d = self.draft.borrow_mut();
        if let Some(first) = d.dead_letters {
            let fix = "keep one of them";
            d.fault("P015", first, format!("a second dead-letter sink `{name}`"), fix);
        }
        let n = Draft::add(&mut d, node, make);
        d.dead_letters = Some(n);
        drop(d);
        self
    }

    /// A planner pass of the user's own. Passes run in the order they were added, after the graph
    /// was found valid and before it is lowered; the graph is validated again behind them.
    #[must_use]
    pub fn pass(self, pass: impl PlannerPass + 'env) -> Self {
        self.draft.borrow_mut().passes.push(Box::new(pass));
        self
    }

    /// Puts a stage with any number of ports behind `inputs`, and gives its output ports: what
    /// branches and merges are built from. Its input ports are joined in order; each takes the
    /// route and ordering of `channel`.
    pub fn attach(
        &self,
        node: StageNode,
        body: Body<'env>,
        inputs: Vec<Port<'env>>,
        channel: ChannelDescriptor,
    ) -> Vec<Port<'env>> {
        let outs = node.outs.clone();
        let n = attach(&self.draft, node, Box::new(move |_| body), inputs, channel);
        let port = |(p, column)| Port::new(Rc::clone(&self.draft), (n, p), column);
        outs.into_iter().enumerate().map(port).collect()
    }

    /// Validates and lowers it.
    ///
    /// # Errors
    /// All faults of the description at once.
    pub fn plan(self) -> Result<ExecutionPlan<'env>, PlanFaults> {
        finish(&self.draft)
    }
}

/// Adds a stage behind these ports; gives its number.
pub(crate) fn attach<'env>(
    draft: &Shared<'env>,
    node: StageNode,
    body: MakeBody<'env>,
    inputs: Vec<Port<'env>>,
    channel: ChannelDescriptor,
) -> usize {
    let mut d = draft.borrow_mut();
    let node = d.within(node);
    let n = Draft::add(&mut d, node, body);
    for (port, input) in inputs.into_iter().enumerate() {
        if input.is_of(draft) {
            d.link(input.at, (n, port), channel);
        } else {
            let fix = "describe both flows from one `Pipeline`";
            d.fault("P014", n, "a flow of another pipeline was joined".to_owned(), fix);
        }
    }
    n
}

impl<'env, C: Column> Flow<'env, C, Raw> {
    /// The pipeline this flow belongs to.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline<'env> {
        Pipeline::of(&self.draft)
    }
}
