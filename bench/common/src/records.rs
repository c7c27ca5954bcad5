//! The answer of W9: one JSON object a record, checked whatever the order of lines.

use std::path::Path;

use serde_json::Value;

use crate::{BenchError, MEASURES, digest_of_outcomes};

/// The digest of a file of records, in hex: one line a record, `key ts source`, then value and note
/// of each measure, sorted. Objects that carry their `fragments` are read from those.
///
/// # Errors
/// When the file cannot be read, or a line is no record.
pub fn digest_of_records(path: &Path) -> Result<String, BenchError> {
    let file = |source| BenchError::File { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(file)?;
    let mut lines = Vec::new();
    for line in bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let record: Option<String> = serde_json::from_slice(line).ok().and_then(|v| canonical(&v));
        lines.push(record.ok_or_else(|| BenchError::Failed {
            what: "reading the records",
            detail: format!("no record: {}", String::from_utf8_lossy(line)),
        })?);
    }
    Ok(digest_of_outcomes(lines.join("\n").as_bytes()))
}

fn canonical(record: &Value) -> Option<String> {
    let mut parts = vec![record.get("key")?.as_str()?.to_owned()];
    let measures: Vec<(f64, &str)>;
    if let Some(fragments) = record.get("fragments").and_then(Value::as_array) {
        let of = |name: &&str| {
            let fragment = fragments.iter().find(|f| f["var"].as_str() == Some(name))?;
            Some((fragment["value"].as_f64()?, fragment["note"].as_str()?))
        };
        measures = MEASURES.iter().map(of).collect::<Option<_>>()?;
        let ts = fragments.iter().filter_map(|f| f["ts"].as_i64()).max()?;
        parts.extend([ts.to_string(), fragments.first()?["source"].as_str()?.to_owned()]);
    } else {
        let notes = record.get("notes")?.as_array()?;
        let named = MEASURES.iter().zip(notes);
        measures = named
            .map(|(name, note)| Some((record[*name].as_f64()?, note.as_str()?)))
            .collect::<Option<_>>()?;
        let (ts, source) = (record["ts"].as_i64()?, record["source"].as_str()?);
        parts.extend([ts.to_string(), source.to_owned()]);
    }
    (measures.len() == MEASURES.len()).then_some(())?;
    parts.extend(measures.into_iter().flat_map(|(v, note)| [v.to_string(), note.to_owned()]));
    Some(parts.join("\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_record_are_the_same() {
        let merged = serde_json::json!({"key": "k", "ts": 4, "source": "s", "temperature": 1.5,
            "salinity": 2.0, "pressure": 3.0, "oxygen": 4.0, "notes": ["a", "b", "c", "d"]});
        let part = |var: &str, value: f64, note: &str, ts: i64| serde_json::json!({"var": var, "value": value, "note": note, "ts": ts, "source": "s"});
        let parts = serde_json::json!({"key": "k", "status": "complete", "fragments": [
            part("oxygen", 4.0, "d", 4), part("temperature", 1.5, "a", 1),
            part("salinity", 2.0, "b", 2), part("pressure", 3.0, "c", 3)]});
        assert_eq!(canonical(&merged).unwrap(), canonical(&parts).unwrap());
        assert_eq!(canonical(&serde_json::json!({"key": "k"})), None);
    }
}
