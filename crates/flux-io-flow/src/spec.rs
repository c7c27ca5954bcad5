//! Stored graphs: a graph as versioned JSON, and pipelines made from one with a [`Registry`] of
//! named parts.
//!
//! What is stored is data: stages, edges, policies, buffers. What a stage does is code, which the
//! registry gives by name; a stage's part is called like the stage unless the spec says otherwise.
//!
//! The text is canonical: the same graph, described in whatever order, gives the same bytes. Stages
//! and edges are sorted by name, so the sources of a pipeline made from a spec are numbered in the
//! order of their names.
//!
//! ```
//! use flux_io_flow::{Flow, Pipeline, Raw};
//! use flux_io_flow::spec::{GraphSpec, Registry};
//! # use flux_io_core::{Batch, Filled, IoCx, Sink, Source, StageError};
//! # struct Numbers;
//! # impl Source for Numbers {
//! #     type Col = Vec<u64>;
//! #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
//! #         Ok(Filled::End)
//! #     }
//! # }
//! # struct Shelf;
//! # impl Sink for Shelf {
//! #     type Col = Vec<u64>;
//! #     async fn write(&mut self, b: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<(), StageError> {
//! #         b.clear();
//! #         Ok(())
//! #     }
//! # }
//! let mut parts = Registry::new();
//! parts.source("numbers", |_| Ok(Numbers));
//! parts.flow("double", |flow: Flow<'static, Vec<u64>, Raw>, _| {
//!     Ok(flow.map("double", |x| 2 * x).fusion_barrier())
//! });
//! parts.sink("shelf", |_| Ok(Shelf));
//!
//! let flow = Pipeline::new().source("numbers", Numbers).map("double", |x| 2 * x).fusion_barrier();
//! let stored = GraphSpec::of_plan(&flow.sink("shelf", Shelf).plan()?).to_json();
//!
//! let spec = GraphSpec::from_json(&stored)?;
//! let again = parts.pipeline(&spec)?.plan()?;
//! assert_eq!(GraphSpec::of_plan(&again), spec);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod convert;
mod data;
mod registry;
mod text;

pub use data::{
    AccumulationSpec, BufferSpec, EdgeSpec, GiveUpSpec, GraphSpec, HintsSpec, KindSpec,
    OnErrorSpec, OperatorSpec, OrderingSpec, ParallelismSpec, RouteSpec, StageSpec, VERSION,
    WhenFullSpec,
};
pub use registry::{Part, Registry};
pub use text::SpecError;
