//! The nouns and contracts of flux-io: batches, stages, sources, sinks, edges, the driver and the
//! execution plan.
//!
//! This crate is runtime-free: it has no thread, reads no clock and touches no file. Whoever
//! implements a connector, an engine or an accumulator depends on it alone; whoever builds
//! pipelines takes the facade `flux-io`.
//!
//! Where to start reading: [`Batch`] (what moves), [`Stage`] (what handles it), [`tasks`] (what
//! drives the stages), [`Engine`] (what polls the tasks).

mod accumulate;
mod batch;
mod by_hand;
mod column;
mod context;
mod drive;
mod edge;
mod error;
mod executor;
mod flow_control;
mod graph;
pub mod hint;
mod host;
mod id;
mod io;
mod key;
mod memory;
#[doc(hidden)]
pub mod mutant;
mod observe;
mod plan;
pub mod raw;
mod run;
mod scheduler;
#[doc(hidden)]
pub mod skip;
mod stage;
mod sync;
mod time;
mod wait_for;
mod watchdog;
mod weigh;

pub use accumulate::{
    Accumulate, At, Class, Command, Completeness, DropCause, Gauge, Headers, Ledger, Missing,
    Outcome, Reason, Reply, Var, Why,
};
pub use batch::{
    AnyBatch, Batch, ColumnType, Mark, Meta, Seq, Uniform, WindowBounds, WrongColumn, push_mark,
};
pub use by_hand::ByHand;
pub use column::{ByteColumn, Column, RangeColumn};
pub use context::{
    Attribute, Context, Cost, Envelope, EnvelopeMeta, TraceContext, TraceParentError,
};
pub use drive::{Collector, Task, tasks};
pub use edge::{Controls, EdgeQueue, EdgeStats, Pushed, QueueView, Slot};
pub use error::{
    DeadCause, DeadLetter, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError, Original, Retry,
    RowError, StageError, chain,
};
pub use executor::{Executor, Lane, Tally};
pub use flow_control::{Admission, FlowControl, WhenFull};
pub use graph::{
    AccumulationDescriptor, BufferPolicy, ChannelDescriptor, ChannelOrdering, DEFAULT_CAPACITY,
    DEFAULT_ROWS, Decision, Graph, GraphEdge, Hints, Operator, Parallelism, PlanFault, PlannerPass,
    Route, StageKind, StageNode,
};
pub use host::{
    Blocking, BoxFuture, ChoiceKind, Choices, Deadlines, Host, Job, Outside, Sleep, TimerId,
    VirtualTime,
};
pub use id::{Epoch, SourceId, StageId};
pub use io::{
    CheckpointToken, ConnectorDescriptor, DynSink, DynSource, ErasedSink, ErasedSource, Filled,
    IoCx, RecoverableSource, Sink, Source, TransactionalSink,
};
pub use key::{
    Always, AlwaysBytes, AlwaysStr, ByBytes, ByStr, ByValue, Key, KeyOf, UNKEYED, hash_of, shard_of,
};
pub use memory::{
    Budget, BufferPool, ConsumerId, MemoryPool, PoolStats, Pressure, Reservation, ReserveError,
    SpillError, SpillPlace, SpillStore,
};
pub use observe::Observer;
pub use plan::{Body, ExecutionPlan, MakeNode, StageDecorator, Validator};
pub use run::{
    BatchBalance, EdgeReport, Ended, Engine, Phase, RunFailure, RunHandle, RunOptions, RunReport,
    SnapshotStore, StageState, StopMode, TaskReport,
};
pub use scheduler::{MakeScheduler, Picker, Scheduler, TaskView, Tiers};
pub use stage::{
    BATCH_BYTES, Control, Counts, Draws, Erased, Node, Out, Outbox, Parcel, Removed, Stage,
    StageCx, StageHome, Step,
};
pub use time::{Moment, Timestamp, nanos_i64};
pub use wait_for::{WaitFor, Waits};
pub use watchdog::{Doing, OnStuck, Silence, Stuck, StuckTask, Watchdog};
pub use weigh::HeapSize;
