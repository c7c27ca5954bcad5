//! The dynamic payload of pipeline files: a record is a JSON object that stays the text it came as.
//!
//! A batch of records is a [`RecordColumn`]: one text arena, and per record the spans of its
//! fields, found in the one pass that also checks it. Reading a field is a look at its span;
//! passing a record on copies its text once, filtering copies nothing. [`Editor`] applies field
//! operations and [`Filter`] comparisons, `Jq` (feature `jq`) whole programs; [`Template`] makes
//! keys and variable names; [`NdjsonDecoder`] and [`CsvDecoder`] turn blocks of bytes into records,
//! whatever the blocks' borders.
#![forbid(unsafe_code)]

mod column;
mod csv;
mod decode;
mod draft;
mod filter;
#[cfg(feature = "jq")]
mod jq;
mod limits;
mod ndjson;
mod ops;
mod path;
mod record;
mod scan;
mod template;
mod time;
mod value;
mod write;

pub use column::{RecordColumn, RecordRef};
pub use csv::{CsvDecoder, CsvFault, CsvHeader, CsvOptions, CsvOptionsError};
pub use decode::{Decode, Place, Rejected};
pub use draft::RowDraft;
pub use filter::{Compare, Filter, FilterError, Literal};
#[cfg(feature = "jq")]
pub use jq::{Jq, JqError, JqLimits};
pub use limits::Limits;
pub use ndjson::NdjsonDecoder;
pub use ops::{CastTo, Editor, FieldOp, SetTo};
pub use path::{Path, PathError};
pub use record::Record;
pub use scan::{JsonError, JsonFault};
pub use template::{Template, TemplateError};
pub use time::{TimeError, parse_time};
pub use value::{Kind, ValueRef};
