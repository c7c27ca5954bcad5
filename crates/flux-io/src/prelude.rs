//! What most pipelines need, in one `use flux_io::prelude::*`.

#[cfg(feature = "accumulate")]
pub use crate::accumulate::{AccumulateExt, After, Keep, OnEnd, OnExpire, OnLate, Require};
pub use crate::engine::{self, RunError};
#[cfg(feature = "futures")]
pub use crate::stream::IntoStreamExt;
#[cfg(feature = "connect")]
pub use crate::{sink, source};
pub use flux_io_core::{
    Batch, ByteColumn, Class, Column, DeadCause, ErrorRecord, GiveUp, OnError, Outcome, Reason,
    Retry, RowError, RunHandle, RunOptions, RunReport, Sink, Source, Stage, StageError, StopMode,
    Timestamp, Var,
};
pub use flux_io_flow::{Flow, Pipeline};
