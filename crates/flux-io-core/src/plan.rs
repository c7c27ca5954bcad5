//! What engines run: the graph, and a body for each of its stages. No stage is known by name here.

use crate::graph::{Graph, StageNode};
use crate::io::{DynSink, DynSource};
use crate::stage::Node;
use crate::sync::Arc;
use std::fmt;

/// Makes the instances of a stage; the argument is the instance's number.
pub type MakeNode<'env> = Arc<dyn Fn(u32) -> Box<dyn Node + 'env> + Send + Sync + 'env>;

/// What a stage does when it runs.
#[non_exhaustive]
pub enum Body<'env> {
    /// Gives rows.
    Source(Box<dyn DynSource + 'env>),
    /// One instance: its closures cannot be copied.
    One(Box<dyn Node + 'env>),
    /// Any number of instances.
    Many(MakeNode<'env>),
    /// Takes rows.
    Sink(Box<dyn DynSink + 'env>),
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "Source",
            Self::One(_) => "One",
            Self::Many(_) => "Many",
            Self::Sink(_) => "Sink",
        })
    }
}

/// A validated, lowered plan. Closures may borrow for `'env` where the engine is scoped; payloads
/// are `'static`.
#[derive(Debug)]
pub struct ExecutionPlan<'env> {
    /// Stages, edges, parameters, decisions.
    pub graph: Graph,
    /// One body a stage, in the order of the graph's stages.
    pub bodies: Vec<Body<'env>>,
    /// Where dead letters go: the number of a sink stage whose column is `Vec<ErrorRecord>` and
    /// that has no edge. Without one they are counted, and samples kept in the report.
    pub dead_letters: Option<usize>,
}

/// Wraps stages: logging, tracing, metrics, faults, authorisation.
///
/// # Laws
/// - A decorator passes every call on once, or answers for the node; it keeps the order.
/// - Decorating with one that only looks changes no output.
pub trait StageDecorator {
    /// The node that stands in for `node`, which is (an instance of) `stage`.
    fn decorate<'env>(&self, stage: &StageNode, node: Box<dyn Node + 'env>)
    -> Box<dyn Node + 'env>;
}

impl<'env> ExecutionPlan<'env> {
    /// Wraps every stage that is not a source or a sink.
    #[must_use]
    pub fn decorated<D: StageDecorator + Send + Sync + 'env>(mut self, decorator: D) -> Self {
        let decorator = Arc::new(decorator);
        let wrapped =
            self.bodies.into_iter().zip(&self.graph.nodes).map(|(body, stage)| match body {
                Body::One(node) => Body::One(decorator.decorate(stage, node)),
                Body::Many(make) => {
                    let (decorator, stage) = (Arc::clone(&decorator), stage.clone());
                    Body::Many(Arc::new(move |shard| decorator.decorate(&stage, make(shard))))
                }
                other => other,
            });
        self.bodies = wrapped.collect();
        self
    }
}

/// Refuses rows before a stage sees them.
///
/// Law: the answer depends on the row alone.
pub trait Validator<C: crate::Column>: Send {
    /// Whether the row may pass.
    ///
    /// # Errors
    /// What is wrong with it; it then goes the way of the stage's error policy.
    fn check(&mut self, row: C::Ref<'_>) -> Result<(), crate::RowError>;
}

impl<C: crate::Column, F> Validator<C> for F
where
    F: for<'a> FnMut(C::Ref<'a>) -> Result<(), crate::RowError> + Send,
{
    fn check(&mut self, row: C::Ref<'_>) -> Result<(), crate::RowError> {
        self(row)
    }
}
