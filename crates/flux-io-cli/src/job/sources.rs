//! Sources: bytes from files and standard input, records by the file's stages.

use super::fragment::Fragments;
use super::judged::Judged;
use super::read::{Operator, Read, Work};
use super::records::{Csv, Parse};
use super::shape::Shape;
use super::{Reading, Settings};
use crate::config::{
    CastTo, CsvShape, Format, FrameLength, OnBad, Op, Pipeline as File, SetValue, Source,
    SourceKind, Stage,
};
use flux_io::connect::frames::{
    self, CsvFraming, Files, Found, Framing, Inputs, LengthKind, LengthPrefix, LineFraming, Reader,
};
use flux_io::core::{self, Body, ChannelDescriptor, ColumnType, Erased, OnError};
use flux_io::core::{StageKind, StageNode};
use flux_io::flow::{Flow, Pipeline, Raw};
use flux_io::record::{
    self, CsvHeader, CsvOptions, Editor, FieldOp, Filter, Jq, JqLimits, Limits, SetTo, Template,
};
use std::io::Cursor;
use std::sync::Arc;

/// Whether a path is a pattern of several files.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The records of a source, as fragments.
pub(super) fn records(
    pipeline: &Pipeline<'static>,
    file: &File,
    settings: &Settings,
    source: &Source,
    shape: &Shape,
    reading: &Reading,
) -> Result<Flow<'static, Fragments, Raw>, String> {
    let name = source.name.value.as_str();
    let limit = usize::try_from(source.record_limit).unwrap_or(usize::MAX);
    let framed = frames::read(inputs(source, settings), framing(source))
        .called(source.format.word())
        .record_limit(limit)
        .meter(&reading.read)
        .decode(parse(source, limit)?);
    let skipped = Arc::clone(&reading.skipped);
    let judged = Judged { source: framed, on_bad: source.on_bad, skipped };
    let read = pipeline.source(name, judged);
    let (mut works, mut operators) = (Vec::new(), Vec::new());
    let mine = |s: &&Stage| s.of.is_empty() || s.of.iter().any(|of| of.value == source.name.value);
    for stage in file.stages.iter().filter(mine) {
        works.push(work(&stage.op)?);
        operators.push(Operator::new(format!("{name}.{}", stage.name.value), stage.on_bad));
    }
    operators.push(Operator::new(format!("{name}.fragment"), source.on_bad));
    let mut node = StageNode::new(
        format!("{name}.read"),
        StageKind::Transform,
        vec![ColumnType::of::<super::records::Records>()],
        vec![ColumnType::of::<Fragments>()],
    );
    node.operators = operators
        .iter()
        .zip(words(&works))
        .map(|(op, word)| {
            let (name, on_error) = (op.name.clone(), on_error(op.on_bad));
            core::Operator { name, word, on_error }
        })
        .collect();
    let input = match &source.path {
        Some(path) if !is_pattern(&path.value) => format!("{} ", path.value),
        Some(path) => format!("{} (in one of its files) ", path.value),
        None => "stdin ".to_owned(),
    };
    let body = Body::One(Box::new(Erased(Read::new(input, works, shape.clone(), operators))));
    let ends = pipeline.attach(node, body, vec![read.into_port()], ChannelDescriptor::default());
    super::typed(ends.into_iter().next()).map_err(|e| e.to_string())
}

fn inputs(source: &Source, settings: &Settings) -> Box<dyn Inputs> {
    if let Some(inputs) = &settings.inputs {
        let name = &source.name.value;
        let bytes = inputs.get(name).cloned().unwrap_or_default();
        return Box::new(Reader::new(name, Cursor::new(bytes)).at_hand());
    }
    match (source.kind, &source.path) {
        (SourceKind::File, Some(path)) if is_pattern(&path.value) => {
            Box::new(Found::glob(&path.value))
        }
        (SourceKind::File, Some(path)) => Box::new(Files::one(&path.value)),
        _ => Box::new(Reader::stdin()),
    }
}

fn framing(source: &Source) -> Box<dyn Framing> {
    let CsvShape { delimiter, quote, .. } = source.csv;
    match source.format {
        Format::Ndjson | Format::Lines => Box::new(LineFraming),
        Format::Csv => Box::new(CsvFraming::new(delimiter, quote)),
        Format::Frames => Box::new(LengthPrefix::new(match source.frame_length {
            FrameLength::U16Be => LengthKind::U16Be,
            FrameLength::U16Le => LengthKind::U16Le,
            FrameLength::U32Be => LengthKind::U32Be,
            FrameLength::U32Le => LengthKind::U32Le,
            FrameLength::Varint => LengthKind::Varint,
        })),
    }
}

fn parse(source: &Source, bytes: usize) -> Result<Parse, String> {
    let limits = Limits { bytes, ..Limits::default() };
    Ok(match source.format {
        Format::Ndjson => Parse::Json(limits),
        Format::Frames => Parse::Object(limits),
        Format::Lines => Parse::Line,
        Format::Csv => {
            let CsvShape { delimiter, quote, names } = source.csv.clone();
            let header = names.map_or(CsvHeader::First, CsvHeader::Names);
            Parse::Csv(Box::new(Csv::new(CsvOptions { delimiter, quote, header, limits })?))
        }
    })
}

const fn on_error(on_bad: OnBad) -> OnError {
    match on_bad {
        OnBad::DeadLetter => OnError::DeadLetter,
        OnBad::Skip => OnError::Skip,
        OnBad::Fail => OnError::Fail,
    }
}

fn words(works: &[Work]) -> impl Iterator<Item = &'static str> {
    let works = works.iter().map(|work| match work {
        Work::Filter(_) => "filter",
        Work::Edit(_) => "edit",
        Work::Jq(_) => "jq",
    });
    works.chain(std::iter::once("fragment"))
}

fn work(op: &Op) -> Result<Work, String> {
    Ok(match op {
        Op::Filter(text) => Work::Filter(Filter::parse(&text.value).map_err(|e| e.to_string())?),
        Op::Jq(code) => {
            let compiled = Jq::compile(&code.value, JqLimits::default());
            Work::Jq(Box::new(compiled.map_err(|e| e.to_string())?))
        }
        other => Work::Edit(Editor::new(edits(other)?)),
    })
}

/// The operations on fields that a stage of the file is.
fn edits(op: &Op) -> Result<Vec<FieldOp>, String> {
    Ok(match op {
        Op::Select(names) => vec![FieldOp::Select(names.clone())],
        Op::Drop(names) => vec![FieldOp::Drop(names.clone())],
        Op::Rename(pairs) => {
            let op = |(from, to): &(String, String)| FieldOp::Rename {
                from: from.clone(),
                to: to.clone(),
            };
            pairs.iter().map(op).collect()
        }
        Op::Cast(pairs) => {
            let op = |(field, to): &(String, CastTo)| FieldOp::Cast {
                field: field.clone(),
                to: cast(*to),
            };
            pairs.iter().map(op).collect()
        }
        Op::Set(pairs) => {
            let op = |(field, to): &(String, SetValue)| {
                Ok(FieldOp::Set { field: field.clone(), to: set(to)? })
            };
            pairs.iter().map(op).collect::<Result<_, String>>()?
        }
        Op::ParseTime(fields) => {
            let op = |field: &String| FieldOp::ParseTime { field: field.clone(), into: None };
            fields.iter().map(op).collect()
        }
        Op::Filter(_) | Op::Jq(_) => Vec::new(),
    })
}

const fn cast(to: CastTo) -> record::CastTo {
    match to {
        CastTo::Text => record::CastTo::Text,
        CastTo::Integer => record::CastTo::Integer,
        CastTo::Float => record::CastTo::Float,
        CastTo::Bool => record::CastTo::Bool,
    }
}

fn set(to: &SetValue) -> Result<SetTo, String> {
    Ok(match to {
        SetValue::Bool(b) => SetTo::Bool(*b),
        SetValue::Integer(n) => SetTo::Integer(*n),
        SetValue::Float(x) => SetTo::Float(*x),
        SetValue::Template(text) => {
            SetTo::Text(Template::parse(&text.value).map_err(|e| e.to_string())?)
        }
    })
}
