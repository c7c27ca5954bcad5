//! Sinks: files that are there whole or not at all, standard output, nowhere.

use super::csv::CsvRows;
use super::dead::DeadLetters;
use super::deliver::{Ports, RouteTo};
use super::fates::{LedgerFile, WithFates};
use super::kept::Bytes;
use super::{Settings, is_result};
use crate::config::{self, OutFormat, Pipeline as File, Sink, SinkKind, Takes};
use flux_io::connect::lines;
use flux_io::connect::output::{Compression, Encode, FileSink, WriterSink};
use flux_io::core::{Batch, ByteColumn, ErrorRecord, IoCx, StageError};
use flux_io::flow::{Flow, Pipeline, Raw};
use flux_io::record::Filter;
use std::path::PathBuf;

/// Where a port's lines go.
#[derive(Clone, Debug)]
pub(super) struct End {
    name: String,
    to: To,
    packed: Compression,
    csv: Option<CsvRows>,
}

#[derive(Clone, Debug)]
enum To {
    File(PathBuf),
    Stdout,
    Ledger(LedgerFile),
    Null,
    /// Lines kept in memory.
    Kept(Bytes),
}

impl To {
    fn of(sink: &Sink) -> Self {
        match (sink.kind, &sink.path) {
            (SinkKind::File, Some(path)) => Self::File(path.value.clone().into()),
            (SinkKind::Stdout, _) => Self::Stdout,
            (SinkKind::File | SinkKind::Null, _) => Self::Null,
        }
    }
}

/// How a sink's output is compressed; `auto` goes by the name's end.
fn packed(sink: &Sink) -> Compression {
    let ends = |end: &str| sink.path.as_ref().is_some_and(|path| path.value.ends_with(end));
    match sink.compression {
        config::Compression::Gzip => Compression::Gzip,
        config::Compression::Zstd => Compression::Zstd,
        config::Compression::Auto if ends(".gz") => Compression::Gzip,
        config::Compression::Auto if ends(".zst") => Compression::Zstd,
        config::Compression::Auto | config::Compression::None => Compression::None,
    }
}

/// The stage of a sink; sources and sinks may share a name.
fn stage_name(sink: &str) -> String {
    format!("sink.{sink}")
}

impl End {
    pub(super) fn end(self, flow: Flow<'static, ByteColumn, Raw>) {
        let Self { name, to, packed, csv } = self;
        let name = stage_name(&name);
        // The draft remembers the end; nothing is done with the value.
        drop(match (to, csv) {
            (To::File(path), None) => {
                flow.sink(&name, lines::create(path).overwrite(true).compression(packed))
            }
            (To::File(path), Some(csv)) => {
                flow.sink(&name, FileSink::new(path, csv).overwrite(true).compression(packed))
            }
            (To::Stdout, None) => flow.sink(&name, lines::stdout().compression(packed)),
            (To::Stdout, Some(csv)) => flow.sink(&name, stdout(csv).compression(packed)),
            (To::Ledger(file), _) => flow.sink(&name, lines::writer("the ledger file", file)),
            (To::Null, _) => flow.discard(&name),
            (To::Kept(bytes), _) => flow.sink(&name, lines::writer("memory", bytes)),
        });
    }
}

fn stdout<E: Encode>(encode: E) -> WriterSink<E> {
    WriterSink::new("stdout", std::io::stdout(), encode)
}

/// Which port takes what, and where each port ends.
pub(super) fn ports(file: &File, settings: &Settings) -> Result<(Ports, Vec<End>), String> {
    let mut ports = Ports::default();
    let mut ends: Vec<End> = Vec::new();
    let mut port_of = |sink: &Sink| {
        let known = ends.iter().position(|end| end.name == sink.name.value);
        known.unwrap_or_else(|| {
            ends.push(End {
                name: sink.name.value.clone(),
                to: if settings.kept.is_some() { To::Null } else { To::of(sink) },
                packed: packed(sink),
                csv: (sink.format == OutFormat::Csv).then(|| CsvRows::new(sink.columns.clone())),
            });
            ends.len() - 1
        })
    };
    for route in &file.routes {
        let sink = file.sinks.iter().find(|s| s.name.value == route.to.value);
        let sink = sink.ok_or_else(|| format!("there is no sink `{}`", route.to.value))?;
        let when = Filter::parse(&route.when.value).map_err(|e| e.to_string())?;
        let (name, of) = (route.name.value.clone(), route.of.clone());
        ports.routes.push(RouteTo { name, of, when, port: port_of(sink) });
    }
    for sink in &file.sinks {
        for class in sink.takes.iter().filter(|class| is_result(**class)) {
            ports.takes.push((*class, port_of(sink)));
        }
    }
    let ledger = match (&settings.kept, &settings.ledger) {
        (Some(kept), _) => Some(To::Kept(kept.fates.clone())),
        (None, file) => file.clone().map(To::Ledger),
    };
    if let Some(to) = ledger {
        ends.push(End { name: "--ledger".to_owned(), to, packed: Compression::None, csv: None });
        ports.ledger = Some(ends.len() - 1);
    }
    Ok((ports, ends))
}

/// Adds the sink of dead letters, if the file has one or the ledger wants keys that became some.
pub(super) fn dead_letters(
    pipeline: Pipeline<'static>,
    file: &File,
    settings: &Settings,
) -> Pipeline<'static> {
    let sink = file.sinks.iter().find(|s| s.takes.contains(&Takes::DeadLetters));
    let name = sink.map_or_else(|| "dead_letters".to_owned(), |s| stage_name(&s.name.value));
    let sources = file.sources.iter().map(|s| s.name.value.clone()).collect();
    let encode = DeadLetters { sources };
    if let Some(kept) = &settings.kept {
        let sink = WriterSink::new("memory", kept.letters.clone(), encode);
        return pipeline.dead_letters("kept.dead_letters", sink);
    }
    let fates = settings.ledger.clone();
    match sink.map(|s| (To::of(s), packed(s))) {
        Some((To::File(path), packed)) => {
            let sink = FileSink::new(path, encode).overwrite(true).compression(packed);
            pipeline.dead_letters(&name, WithFates::new(sink, fates))
        }
        Some((To::Stdout, packed)) => {
            let sink = stdout(encode).compression(packed);
            pipeline.dead_letters(&name, WithFates::new(sink, fates))
        }
        None if fates.is_none() => pipeline,
        _ => pipeline.dead_letters(&name, WithFates::new(Nowhere, fates)),
    }
}

/// Takes dead letters and forgets them; the run has counted them.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl flux_io::core::Sink for Nowhere {
    type Col = Vec<ErrorRecord>;

    async fn write(
        &mut self,
        batch: &mut Batch<Vec<ErrorRecord>>,
        _cx: &IoCx,
    ) -> Result<(), StageError> {
        batch.clear();
        Ok(())
    }
}
