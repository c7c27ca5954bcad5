//! Black-box tests of records: JSON against serde_json, the decoders under every split, the bad
//! inputs with their exact errors, and the operations.

#![expect(clippy::unwrap_used, clippy::float_cmp, reason = "helpers of tests; exact numbers")]

mod column;
mod csv;
mod edit;
mod golden;
mod jobs;
#[cfg(feature = "jq")]
mod jq;
mod json;
mod mutate;
mod ndjson;
mod split;
