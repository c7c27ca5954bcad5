//! Sources.

use super::path;
use crate::config::model::{
    Compression, CsvShape, Format, FrameLength, Located, OnBad, Source, SourceKind,
};
use crate::config::problem::Code;
use crate::config::section::Section;

pub(super) fn source(name: Located<String>, s: &Section<'_, '_>) -> Source {
    let kind = s.choice("kind").unwrap_or(SourceKind::File);
    let format = s.choice("format").unwrap_or(Format::Ndjson);
    let known_format = s.has("format");
    for key in ["delimiter", "quote", "names"] {
        if known_format && s.has(key) && format != Format::Csv {
            foreign(s, key, "csv", format);
        }
    }
    if known_format && s.has("length") && format != Format::Frames {
        foreign(s, "length", "frames", format);
    }
    let names = s.texts("names");
    if let Some(names) = &names {
        for (i, name) in names.iter().enumerate() {
            if names[..i].iter().any(|n| n.value == name.value) {
                let what = format!("`names` in {} holds \"{}\" twice", s.title, name.value);
                let why = "a field of a record has one name";
                s.log.add(Code::Shared, name.at.clone(), what, why, "rename one of them");
            }
        }
    }
    let delimiter = character(s, "delimiter");
    let quote = character(s, "quote");
    let csv = CsvShape {
        delimiter: delimiter.unwrap_or(b','),
        quote: quote.unwrap_or(b'"'),
        names: names.map(|n| n.into_iter().map(|n| n.value).collect()),
    };
    if csv.delimiter == csv.quote {
        let what = format!("delimiter and quote in {} are the same character", s.title);
        let why = "a field could not end";
        let at = if s.has("quote") { s.place("quote") } else { s.place("delimiter") };
        s.log.add(Code::Conflict, at, what, why, "choose another one for either");
    }
    Source {
        name,
        kind,
        path: path(s),
        format,
        compression: s.choice("compression").unwrap_or(Compression::Auto),
        record_limit: s.size("record_limit").map_or(1 << 20, |n| n.value),
        on_bad: s.choice("on_bad").unwrap_or(OnBad::DeadLetter),
        csv,
        frame_length: s.choice("length").unwrap_or(FrameLength::U32Be),
    }
}

fn foreign(s: &Section<'_, '_>, key: &str, of: &str, format: Format) {
    let what = format!("`{key}` in {} belongs to {of}", s.title);
    let why = format!("the format is {}", format.word());
    let fix = format!("remove it, or write format = \"{of}\"");
    s.log.add(Code::Conflict, s.place(key), what, why, fix);
}

/// One ASCII character that may separate or quote.
fn character(s: &Section<'_, '_>, name: &str) -> Option<u8> {
    let text = s.text(name)?;
    match text.value.as_bytes() {
        [c] if c.is_ascii() && !matches!(c, 0 | b'\n' | b'\r') => Some(*c),
        _ => {
            let what = format!("`{name}` in {} is \"{}\"", s.title, text.value.escape_debug());
            let why = "it is one ASCII character, no line end";
            let fix = "write one character, for example \";\" or \"\\t\"";
            s.log.add(Code::Choice, text.at, what, why, fix);
            None
        }
    }
}
