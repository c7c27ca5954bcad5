//! `schema`: the JSON Schema of pipeline files.

use crate::config::json_schema;
use crate::console::{Exit, Outcome, print};

pub(super) fn schema() -> Outcome {
    print(&json_schema())?;
    Ok(Exit::Done)
}
