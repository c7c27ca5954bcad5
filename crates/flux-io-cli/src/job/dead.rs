//! Dead letters as lines of JSON: reason, stage, place, key and the original.

use super::fragment::Fragments;
use super::held::{Held, RuledOut};
use super::render::json_text;
use flux_io::connect::output::{Encode, EncodeError};
use flux_io::core::{Column, ErrorRecord, Original};
use std::io::Write as _;

/// Writes dead letters.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetters {
    /// Names of the sources, by number.
    pub(crate) sources: Vec<String>,
}

impl Encode for DeadLetters {
    type Col = Vec<ErrorRecord>;
    const KIND: &'static str = "dead letters";

    fn encode(&mut self, col: &Vec<ErrorRecord>, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        for record in col {
            self.line(record, to);
            to.push(b'\n');
        }
        Ok(())
    }
}

impl DeadLetters {
    fn line(&self, r: &ErrorRecord, to: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(to, "{{\"reason\":\"{}\",\"what\":", r.cause);
        json_text(r.what.as_bytes(), to);
        to.extend_from_slice(b",\"stage\":");
        json_text(r.stage_name.as_bytes(), to);
        let whole_key = matches!(&r.original, Original::Value(v) if v.is::<Held>());
        // What a key gives back has no place any more.
        let ruled_out = matches!(&r.original, Original::Value(v) if v.is::<RuledOut>());
        if !whole_key && !ruled_out {
            to.extend_from_slice(b",\"source\":");
            let name = self.sources.get(r.source.0 as usize).map_or("", String::as_str);
            json_text(name.as_bytes(), to);
            let line = match &r.original {
                Original::Value(v) => v.downcast_ref::<Fragments>().and_then(line_of),
                _ => Some(r.seq),
            };
            if let Some(line) = line {
                let _ = write!(to, ",\"line\":{}", line + 1);
            }
        }
        if let Some(key) = &r.key {
            to.extend_from_slice(b",\"key\":");
            json_text(key, to);
        }
        if r.items != 1 || whole_key {
            let _ = write!(to, ",\"fragments\":{}", r.items);
        }
        original(&r.original, to);
        to.push(b'}');
    }
}

/// The line of a fragment that failed in the accumulator.
fn line_of(rows: &Fragments) -> Option<u64> {
    (rows.rows() == 1).then(|| rows.row(0).traits.line)
}

/// The original as a text; of a whole key, the list of its fragments.
fn original(original: &Original, to: &mut Vec<u8>) {
    match original {
        Original::None => {}
        Original::Bytes(bytes) => {
            to.extend_from_slice(b",\"original\":");
            json_text(bytes, to);
        }
        Original::Value(value) => {
            if let Some(rows) = value.downcast_ref::<Fragments>()
                && rows.rows() == 1
            {
                to.extend_from_slice(b",\"original\":");
                json_text(rows.row(0).text, to);
            } else if let Some(RuledOut(text)) = value.downcast_ref() {
                to.extend_from_slice(b",\"original\":");
                json_text(text, to);
            } else if let Some(held) = value.downcast_ref::<Held>() {
                to.extend_from_slice(b",\"originals\":[");
                for (n, (_, text)) in held.iter().enumerate() {
                    if n > 0 {
                        to.push(b',');
                    }
                    json_text(text, to);
                }
                to.push(b']');
            }
        }
    }
}
