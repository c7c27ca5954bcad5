//! The typed builder of flux-io: flows, fused segments, validation, planning, drawings.
//!
//! ```
//! use flux_io_flow::Pipeline;
//! # use flux_io_core::{Batch, Filled, IoCx, Source, StageError};
//! # struct Numbers;
//! # impl Source for Numbers {
//! #     type Col = Vec<u64>;
//! #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
//! #         Ok(Filled::End)
//! #     }
//! # }
//! let pipeline = Pipeline::new();
//! let (end, sum) = pipeline
//!     .source("numbers", Numbers)
//!     .map("double", |x| 2 * x)
//!     .filter("small", |x| *x < 100)
//!     .fold("sum", 0, |sum, x| *sum += x);
//! let plan = end.plan()?; // an engine runs it; then `sum.take()` is the value
//! # let _ = (plan, sum);
//! # Ok::<(), flux_io_flow::PlanFaults>(())
//! ```
//!
//! A flow without an end cannot run, and the compiler says so:
//!
//! ```compile_fail,E0277
//! use flux_io_flow::{Pipeline, Runnable};
//! # use flux_io_core::{Batch, Filled, IoCx, Source, StageError};
//! # struct Numbers;
//! # impl Source for Numbers {
//! #     type Col = Vec<u64>;
//! #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
//! #         Ok(Filled::End)
//! #     }
//! # }
//! fn run<'env>(_: impl Runnable<'env>) {}
//! run(Pipeline::new().source("numbers", Numbers).map("double", |x| 2 * x));
//! ```
//!
//! So does a keyed word on a flow without a key:
//!
//! ```compile_fail,E0277
//! use flux_io_flow::{Keyed, Pipeline};
//! # use flux_io_core::{Batch, Filled, IoCx, Source, StageError};
//! # struct Numbers;
//! # impl Source for Numbers {
//! #     type Col = Vec<u64>;
//! #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
//! #         Ok(Filled::End)
//! #     }
//! # }
//! fn accumulate<'env>(_: impl Keyed<'env>) {}
//! accumulate(Pipeline::new().source("numbers", Numbers).map("double", |x| 2 * x));
//! ```

mod branch;
mod calls;
mod codec;
mod compose;
mod draft;
mod draw;
mod drive;
pub mod effect;
mod ended;
mod explain;
mod flow;
mod fold;
mod join;
pub mod kernel;
mod keyed;
mod lower;
mod meta;
mod pipeline;
mod port;
mod running;
mod segment;
#[cfg(feature = "spec")]
pub mod spec;
pub mod stages;
mod sync;
mod validate;
mod words;

pub use branch::{SharedRows, Unrouted};
pub use calls::{Calls, Hedge};
pub use compose::Fan;
pub use drive::ORIGINAL_BYTES;
pub use ended::{Ended, Runnable};
pub use explain::{Explain, PlanDiagnostics};
pub use flow::{Chain, Flow};
pub use fold::Value;
pub use join::{Gap, HELD_ROWS, Hold, InOrder, Inputs, Join, JoinStrategy, Joined, Leftover};
pub use kernel::Raw;
pub use keyed::{Keyed, KeyedFlow};
pub use pipeline::Pipeline;
pub use port::Port;
pub use segment::{MADE, Segment};
pub use stages::{Batching, Disorder};
pub use validate::{PlanFaults, validate};
