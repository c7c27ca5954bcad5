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
