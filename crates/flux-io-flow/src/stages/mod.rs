//! Stages behind the words that are not fused: one file each.

mod discard;
mod event_time;
mod flat_map_rows;
mod key;
mod pass;
mod rebatch;
mod row_wise;

pub use event_time::{Disorder, EventTime};
pub use flat_map_rows::FlatMapRows;
pub use key::KeyRows;
pub use pass::Pass;
pub use rebatch::{Batching, Rebatch};
pub use row_wise::{FilterRows, ValidateRows};

pub(crate) use discard::Discard;
pub(crate) use event_time::SharedDisorder;
pub(crate) use key::HashUnder;
pub(crate) use row_wise::Judging;
