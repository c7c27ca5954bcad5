//! A deterministic simulator of pipelines, for the tests of those who build them.
//!
//! One thread, a virtual clock, and one recorded stream of choices: which task runs next, how rows
//! are split into batches, which timer fires first, which fault strikes and when. A seed gives a
//! stream, a stream gives a run, the same run every time, so a failure found at night can be seen
//! again in the morning, made short, and kept as a test. Start at [`simulate`].
//!
//! What is simulated is everything that core's driver and the stages, sources and sinks of the
//! plan do. Threads, sockets and files of user code are not: a pipeline whose source waits for
//! another thread looks like one that waits for ever.

mod check;
mod choice;
pub mod disk;
mod engine;
mod explore;
mod failure;
mod fault;
mod panics;
mod shrink;
mod sink;
mod source;
mod stats;
mod store;
mod strategy;
mod stuck;
mod swarm;
mod trace;
mod world;

pub use check::{Simulation, simulate};
pub use choice::{Choice, Kind, StreamError, stream_from_text, stream_to_text};
pub use engine::SimRun;
pub use explore::Exhaustive;
pub use failure::{Failure, FailureKind};
pub use fault::{Effects, Fault, Faults};
pub use sink::SimSink;
pub use source::SimSource;
pub use stats::SimStats;
pub use store::SimStore;
pub use strategy::{Ready, ScheduleController, Strategy};
pub use swarm::{Answer, SimCalls, SimDelays, Swarm};
pub use trace::Event;
