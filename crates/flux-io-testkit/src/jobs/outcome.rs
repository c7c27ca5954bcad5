//! The outcome line of a key and the digest of a run: the one number that grades both jobs.
//!
//! An outcome line is `key TAB status TAB missing TAB record`. The record is the first 16 hex
//! digits of the SHA-256 of the key's distinct fragments, in the order of their variables, each as
//! canonical JSON, joined by line feeds. The digest of a run is the SHA-256 of all outcome lines,
//! sorted bytewise and joined by line feeds, with none at the end. So it covers every field that
//! arrived and does not depend on the order of arrival, the engine, the batch size or the cap.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// How many hex digits of a record's SHA-256 stand in its outcome line.
const RECORD_DIGITS: usize = 16;

/// Appends the canonical JSON of `value`: keys sorted bytewise, no spaces, integers plain.
///
/// Keys are sorted here, whatever order the map of `serde_json` keeps. Strings are escaped as
/// `serde_json` does it: only the quote, the backslash and control characters.
pub fn write_canonical_json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&[u8], (&String, &Value)> =
                fields.iter().map(|(name, field)| (name.as_bytes(), (name, field))).collect();
            out.push(b'{');
            for (index, (name, field)) in sorted.into_values().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_scalar(&Value::String(name.clone()), out);
                out.push(b':');
                write_canonical_json(field, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical_json(item, out);
            }
            out.push(b']');
        }
        scalar => write_scalar(scalar, out),
    }
}

/// The canonical JSON of `value`; see [`write_canonical_json`].
#[must_use]
pub fn canonical_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    write_canonical_json(value, &mut out);
    out
}

/// The canonical JSON of a document given as bytes.
///
/// # Errors
/// The parser's error when `raw` is not one JSON document.
pub fn canonical_json_of(raw: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::from_slice(raw).map(|value| canonical_json(&value))
}

/// The record of a key: 16 hex digits over its fragments' canonical JSON.
///
/// `fragments` are the key's distinct fragments in the order of their variables (bit order), each
/// already canonical.
pub fn record_digest<B: AsRef<[u8]>>(fragments: impl IntoIterator<Item = B>) -> String {
    let mut text = sha256_hex(fragments);
    text.truncate(RECORD_DIGITS);
    text
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeLine {
    /// The key as text: a flight's name, an order's number in decimal.
    pub key: String,
    /// Whether the run called the key complete. Kept apart from `missing`, so that a run that
    /// contradicts itself fails the digest.
    pub complete: bool,
    /// Names of the missing variables in bit order.
    pub missing: Vec<String>,
    /// The [`record_digest`] of its fragments.
    pub record: String,
}

impl OutcomeLine {
    /// The outcome of a key that lacks `missing` (complete when that is empty) and holds
    /// `fragments` (canonical, in bit order).
    pub fn new<B: AsRef<[u8]>>(
        key: impl Into<String>,
        missing: Vec<String>,
        fragments: impl IntoIterator<Item = B>,
    ) -> Self {
        let record = record_digest(fragments);
        Self { key: key.into(), complete: missing.is_empty(), missing, record }
    }

    /// The missing variables as the line shows them, joined by commas.
    #[must_use]
    pub fn missing_text(&self) -> String {
        self.missing.join(",")
    }
}

impl fmt::Display for OutcomeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.complete { "complete" } else { "partial" };
        write!(f, "{}\t{status}\t{}\t{}", self.key, self.missing_text(), self.record)
    }
}

/// The digest of a run, `sha256_of_outcomes`: 64 hex digits, the same for every order of `lines`.
pub fn digest<'a>(lines: impl IntoIterator<Item = &'a OutcomeLine>) -> String {
    let mut texts: Vec<String> = lines.into_iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    sha256_hex(texts)
}

/// The counts of a run and its digest, in the words of the expected files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys that came out complete.
    pub complete: u64,
    /// Keys that came out partial.
    pub partial: u64,
    /// Partial keys by what they miss, as [`OutcomeLine::missing_text`] says it.
    pub missing: BTreeMap<String, u64>,
    /// Partial keys that miss more than one variable.
    pub missing_several: u64,
    /// The [`digest`].
    pub sha256: String,
}

impl Tally {
    /// Counts and digests the outcomes of a run, in any order.
    #[must_use]
    pub fn of(lines: &[OutcomeLine]) -> Self {
        let mut tally = Self { sha256: digest(lines), ..Self::default() };
        for line in lines {
            if line.complete {
                tally.complete += 1;
                continue;
            }
            tally.partial += 1;
            tally.missing_several += u64::from(line.missing.len() > 1);
            *tally.missing.entry(line.missing_text()).or_default() += 1;
        }
        tally
    }
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// SHA-256 of the parts joined by line feeds, as lower-case hex.
fn sha256_hex<B: AsRef<[u8]>>(parts: impl IntoIterator<Item = B>) -> String {
    let mut hash = Sha256::new();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            hash.update(b"\n");
        }
        hash.update(part.as_ref());
    }
    let digits = hash.finalize();
    digits.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> String {
        String::from_utf8(canonical_json_of(raw.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn canonical_json_sorts_keys_bytewise_at_every_depth() {
        let raw =
            r#" { "b" : [ 1, { "z":-2, "Z": 18446744073709551615 } ], "é":"\u00e9\n", "a":null } "#;
        assert_eq!(
            canonical(raw),
            r#"{"a":null,"b":[1,{"Z":18446744073709551615,"z":-2}],"é":"é\n"}"#
        );
        assert!(canonical_json_of(b"{\"a\":1").is_err());
    }

    /// FIPS 180-2, appendix B.1 ("abc"), and the empty message.
    #[test]
    fn sha256_of_known_messages() {
        assert_eq!(
            sha256_hex(["abc"]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(record_digest(["abc"]), "ba7816bf8f01cfea");
        assert_eq!(digest(&[])[..8], *"e3b0c442");
        assert_eq!(sha256_hex(["a", "b"]), sha256_hex(["a\nb"]));
    }

    #[test]
    fn a_line_reads_as_published() {
        let missing = vec!["departure".to_owned(), "arrival".to_owned()];
        let line = OutcomeLine::new("k", missing, ["abc"]);
        assert_eq!(line.to_string(), "k\tpartial\tdeparture,arrival\tba7816bf8f01cfea");
        let line = OutcomeLine::new("k", Vec::new(), ["abc"]);
        assert_eq!(line.to_string(), "k\tcomplete\t\tba7816bf8f01cfea");
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_but_on_every_line() {
        let a = OutcomeLine::new("a", Vec::new(), ["1"]);
        let b = OutcomeLine::new("b", vec!["x".to_owned()], ["2"]);
        assert_eq!(digest([&a, &b]), digest([&b, &a]));
        assert_ne!(digest([&a, &b]), digest([&a]));
        assert_ne!(digest([&a, &b]), digest([&a, &b, &b]));
        let tally = Tally::of(&[b, a]);
        assert_eq!((tally.complete, tally.partial, tally.missing_several), (1, 1, 0));
        assert_eq!(tally.missing, BTreeMap::from([("x".to_owned(), 1)]));
    }
}
