//! Two crates cut CSV: the connectors find where records end, the record's decoder what their
//! fields are. They never disagree.

use flux_io::connect::frames::{self, CsvFraming, Decode, Place, Reader};
use flux_io::prelude::*;
use flux_io_record::{CsvDecoder, CsvHeader, CsvOptions, Decode as _, RecordColumn};
use std::io::Cursor;

/// A record's bytes without its end, and where it began.
type Found = (u64, Vec<u8>);

/// Frames with their places.
struct Placed;

impl Decode for Placed {
    type Col = Vec<Found>;

    fn decode(&mut self, frame: &[u8], at: Place, out: &mut Vec<Found>) -> Result<(), RowError> {
        out.push((at.offset, frame.to_vec()));
        Ok(())
    }
}

/// What the connectors find, what the end cut off included.
fn framed(text: &[u8]) -> Vec<Found> {
    let (collect, frames) = sink::collect();
    let (dead, faults) = sink::collect::<ErrorRecord>();
    let pipeline = Pipeline::new().dead_letters("dead", dead);
    let source =
        frames::read(Reader::new("csv", Cursor::new(text.to_vec())), CsvFraming::default());
    let end = pipeline
        .source("csv", source.decode(Placed).block_bytes(3))
        .on_error(OnError::DeadLetter)
        .sink("out", collect);
    engine::Sync::new().run(end).unwrap();
    let mut found: Vec<Found> = frames.take();
    for fault in faults.take() {
        let at = fault.what.split("(byte ").nth(1).and_then(|s| s.split(')').next()).unwrap();
        let flux_io::core::Original::Bytes(bytes) = fault.original else { panic!() };
        found.push((at.parse().unwrap(), bytes));
    }
    found
}

/// What the decoder finds: its header names so many columns that every record is refused, with its
/// place and bytes.
fn decoded(text: &[u8]) -> Vec<Found> {
    let names = (0..60).map(|i| i.to_string()).collect();
    let options = CsvOptions { header: CsvHeader::Names(names), ..CsvOptions::default() };
    let mut decoder = CsvDecoder::new(options).unwrap();
    let (mut found, mut rows) = (Vec::new(), RecordColumn::default());
    let mut bad = |r: flux_io_record::Rejected<'_>| {
        found.push((r.place.offset, r.original.to_vec()));
    };
    for block in text.chunks(5) {
        decoder.decode(block, &mut rows, usize::MAX, &mut bad);
    }
    decoder.finish(&mut rows, &mut bad);
    found
}

/// Rows 31, 32. Random texts of the characters that matter have the same records, at the same
/// places, for both.
#[test]
fn csv_records_end_where_the_decoder_says() {
    let mut draw = flux_io::core::Draws(5);
    for _ in 0..1500 {
        let mut text = Vec::new();
        if draw.below(5) == 0 {
            text.extend_from_slice("\u{FEFF}".as_bytes());
        }
        for _ in 0..draw.below(24) {
            text.push(b"\"\",,\n\n\ra"[draw.below(8) as usize]);
        }
        assert_eq!(framed(&text), decoded(&text), "{:?}", String::from_utf8_lossy(&text));
    }
}

/// Row 70. Connectors chosen by name stand in a pipeline as others do, on every engine: CSV from
/// files that fit a pattern, as frames with their length in front into a compressed file.
#[test]
fn connectors_by_name_run_on_every_engine() {
    use flux_io::connect::output::Compression;
    use flux_io::connect::registry::{Registry, Settings};

    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("by_name");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    for (name, from) in [("a.csv", 0), ("b.csv", 500)] {
        let text: String = (from..from + 500).map(|i| format!("{i},\"x\n{i}\"\n")).collect();
        std::fs::write(dir.join(name), text).unwrap();
    }
    let registry = Registry::standard();
    let run = |engine: &dyn Fn(flux_io::flow::Ended<'static>), out: &str| {
        let orders = format!("{}/*.csv", dir.display());
        let to = format!("file:{}/{out}", dir.display());
        let gzip = Settings { compression: Compression::Gzip, ..Settings::of("length-varint") };
        let end = Pipeline::new()
            .source("in", registry.source(&orders, &Settings::of("csv")).unwrap())
            .sink("out", registry.sink(&to, &gzip).unwrap());
        engine(end);
        let (collect, rows) = sink::collect();
        let back = Pipeline::new()
            .source("back", registry.source(&to, &Settings::of("length-varint")).unwrap())
            .map_rows("text", |row: &[u8]| String::from_utf8_lossy(row).into_owned())
            .sink("rows", collect);
        engine::Sync::new().run(back).unwrap();
        let rows = rows.take();
        assert!(rows.iter().cloned().eq((0..1000).map(|i| format!("{i},\"x\n{i}\""))), "{out}");
    };
    run(&|end| drop(engine::Sync::new().run(end).unwrap()), "sync");
    run(&|end| drop(engine::Tokio::new().run_blocking(end).unwrap()), "tokio");
    run(&|end| drop(engine::Rayon::new().run(end).unwrap()), "rayon");
}
