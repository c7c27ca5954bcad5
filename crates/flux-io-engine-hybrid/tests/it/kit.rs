//! Executors that only have a name, and a plan of typical stages.

use flux_io_core::{
    ColumnType, ErrorClass, ErrorKind, Executor, Graph, GraphEdge, Lane, StageError, StageKind,
    StageNode,
};
use flux_io_engine_hybrid::HybridEngine;

/// Can be asked for its name; has no threads to give.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) reactor: bool,
}

impl Executor for Named {
    fn name(&self) -> &'static str {
        self.name
    }
    fn has_reactor(&self) -> bool {
        self.reactor
    }
    fn open(&self, workers: u32) -> Result<Box<dyn Lane>, StageError> {
        let what = format!("no {workers} threads for {}", self.name);
        Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what))
    }
}

pub(crate) fn engine(reactor: bool) -> HybridEngine {
    HybridEngine::new(Named { name: "io", reactor }, Named { name: "cpu", reactor: false })
}

/// A line of stages that declare what `describe` says, by name.
pub(crate) fn line(stages: &[(&str, StageKind)], describe: impl Fn(&mut StageNode)) -> Graph {
    let mut g = Graph::default();
    let column = || vec![ColumnType::of::<Vec<u64>>()];
    for (i, (name, kind)) in stages.iter().enumerate() {
        let (ins, outs) = match kind {
            StageKind::Source => (Vec::new(), column()),
            StageKind::Sink => (column(), Vec::new()),
            _ => (column(), column()),
        };
        let mut n = StageNode::new(*name, *kind, ins, outs);
        describe(&mut n);
        g.nodes.push(n);
        if i > 0 {
            let channel = flux_io_core::ChannelDescriptor::default();
            g.edges.push(GraphEdge { from: (i - 1, 0), to: (i, 0), channel });
        }
    }
    g
}
