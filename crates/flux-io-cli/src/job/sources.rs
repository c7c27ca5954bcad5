//! Sources: bytes from files and standard input, records by the file's stages.

use super::fragment::Fragments;
use super::read::{Operator, Parse, Read, Work};
use super::shape::Shape;
use crate::config::{CastTo, Format, OnBad, Op, Pipeline as File, SetValue, Source, SourceKind};
use flux_io::connect::lines;
use flux_io::core::{
    self, Body, ByteColumn, ChannelDescriptor, ColumnType, Erased, OnError, StageKind, StageNode,
};
use flux_io::flow::{Flow, Pipeline, Raw};
use flux_io::record::{self, Editor, FieldOp, Filter, Limits, SetTo, Template};

/// The stage that reads the records of a source.
pub(super) fn reader_name(source: &Source) -> String {
    format!("{}.read", source.name.value)
}

/// The records of a source, as fragments.
pub(super) fn records(
    pipeline: &Pipeline<'static>,
    file: &File,
    source: &Source,
    shape: &Shape,
) -> Result<Flow<'static, Fragments, Raw>, String> {
    let name = source.name.value.as_str();
    let limit = usize::try_from(source.record_limit).unwrap_or(usize::MAX);
    let bytes = match (source.kind, &source.path) {
        (SourceKind::File, Some(path)) => {
            pipeline.source(name, lines::file(&path.value).record_limit(limit))
        }
        _ => pipeline.source(name, lines::stdin().record_limit(limit)),
    };
    let bytes = bytes.on_error(on_error(source.on_bad));
    let (mut works, mut operators) = (Vec::new(), vec![operator(name, "parse", source.on_bad)]);
    let mine = |s: &&crate::config::Stage| {
        s.of.is_empty() || s.of.iter().any(|of| of.value == source.name.value)
    };
    for stage in file.stages.iter().filter(mine) {
        works.push(work(&stage.op)?);
        operators.push(operator(name, &stage.name.value, stage.on_bad));
    }
    operators.push(operator(name, "fragment", source.on_bad));
    let parse = match source.format {
        Format::Lines => Parse::Line,
        Format::Ndjson | Format::Csv | Format::Frames => Parse::Json,
    };
    let limits = Limits { bytes: limit, ..Limits::default() };
    let mut node = StageNode::new(
        reader_name(source),
        StageKind::Transform,
        vec![ColumnType::of::<ByteColumn>()],
        vec![ColumnType::of::<Fragments>()],
    );
    node.operators = operators
        .iter()
        .zip(words(&works))
        .map(|(op, word)| core::Operator {
            name: op.name.clone(),
            word,
            on_error: on_error(op.on_bad),
        })
        .collect();
    let read = Read::new(parse, limits, works, shape.clone(), operators);
    let body = Body::One(Box::new(Erased(read)));
    let ends = pipeline.attach(node, body, vec![bytes.into_port()], ChannelDescriptor::default());
    super::typed(ends.into_iter().next()).map_err(|e| e.to_string())
}

fn operator(source: &str, name: &str, on_bad: OnBad) -> Operator {
    Operator::new(&format!("{source}.{name}"), on_bad)
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
    });
    std::iter::once("parse").chain(works).chain(std::iter::once("fragment"))
}

fn work(op: &Op) -> Result<Work, String> {
    let all = |ops: Vec<FieldOp>| Ok(Work::Edit(Editor::new(ops)));
    match op {
        Op::Filter(text) => {
            Ok(Work::Filter(Filter::parse(&text.value).map_err(|e| e.to_string())?))
        }
        Op::Select(names) => all(vec![FieldOp::Select(names.clone())]),
        Op::Drop(names) => all(vec![FieldOp::Drop(names.clone())]),
        Op::Rename(pairs) => {
            let op = |(from, to): &(String, String)| FieldOp::Rename {
                from: from.clone(),
                to: to.clone(),
            };
            all(pairs.iter().map(op).collect())
        }
        Op::Cast(pairs) => {
            let op = |(field, to): &(String, CastTo)| FieldOp::Cast {
                field: field.clone(),
                to: cast(*to),
            };
            all(pairs.iter().map(op).collect())
        }
        Op::Set(pairs) => {
            let op = |(field, to): &(String, SetValue)| {
                Ok::<_, String>(FieldOp::Set { field: field.clone(), to: set(to)? })
            };
            all(pairs.iter().map(op).collect::<Result<_, _>>()?)
        }
        Op::ParseTime(fields) => {
            let op = |field: &String| FieldOp::ParseTime { field: field.clone(), into: None };
            all(fields.iter().map(op).collect())
        }
        Op::Jq(_) => Err("jq programs are refused by the check".to_owned()),
    }
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
