//! NDJSON: the same records and rejections however the input is cut, and none lost.
#![no_main]

use flux_io_core::Column;
use flux_io_record::{Decode, Limits, NdjsonDecoder, RecordColumn};
use libfuzzer_sys::fuzz_target;

fn read(input: &[u8], block: usize) -> (Vec<String>, Vec<(u64, String)>) {
    let limits = Limits { bytes: 200, depth: 8, fields: 8, number: 20 };
    let mut decoder = NdjsonDecoder::new(limits);
    let (mut out, mut bad) = (RecordColumn::default(), Vec::new());
    for piece in input.chunks(block) {
        let mut at = 0;
        while at < piece.len() {
            at += decoder.decode(&piece[at..], &mut out, usize::MAX, &mut |r| {
                bad.push((r.place.record, r.error.what));
            });
        }
    }
    decoder.finish(&mut out, &mut |r| bad.push((r.place.record, r.error.what)));
    ((0..out.rows()).map(|i| out.row(i).text().to_owned()).collect(), bad)
}

fuzz_target!(|input: &[u8]| {
    let whole = read(input, usize::MAX);
    assert_eq!(read(input, 1), whole);
    assert_eq!(read(input, 7), whole);
    let lines = input.split(|c| *c == b'\n').count();
    assert!(whole.0.len() + whole.1.len() <= lines);
});
