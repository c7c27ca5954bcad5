//! What the program writes, as the outcome lines that the orders job is graded by.

use std::fmt::Write as _;

use bench_common::BenchError;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `key TAB status TAB missing TAB record` of each result; the record is the first 16 hex digits of
/// the SHA-256 of its fragments as canonical JSON, joined by LF.
pub(crate) fn lines(results: &[u8]) -> Result<String, BenchError> {
    let mut out = String::new();
    for line in results.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let line = serde_json::from_slice(line).ok().and_then(|result| outcome(&result));
        out.push_str(&line.ok_or_else(|| BenchError::Failed {
            what: "reading the results",
            detail: "a line is no result".to_owned(),
        })?);
    }
    Ok(out)
}

fn outcome(result: &Value) -> Option<String> {
    let text = |name: &str| result.get(name).and_then(Value::as_str);
    let missing = result.get("missing").and_then(Value::as_array).into_iter().flatten();
    let missing: Vec<&str> = missing.filter_map(Value::as_str).collect();
    // A map of serde_json is sorted by key, and its text has no spaces.
    let fragments = result.get("fragments")?.as_array()?.iter().map(Value::to_string);
    let digest = Sha256::digest(fragments.collect::<Vec<_>>().join("\n"));
    let mut record = String::new();
    for byte in &digest[..8] {
        _ = write!(record, "{byte:02x}");
    }
    let (key, status) = (text("key")?, text("status")?);
    Some(format!("{key}\t{status}\t{}\t{record}\n", missing.join(",")))
}
