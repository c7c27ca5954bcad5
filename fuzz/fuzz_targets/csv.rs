//! CSV: the same records and rejections however the input is cut.
#![no_main]

use flux_io_core::Column;
use flux_io_record::{CsvDecoder, CsvOptions, Decode, Limits, RecordColumn};
use libfuzzer_sys::fuzz_target;

fn read(input: &[u8], block: usize) -> (Vec<String>, Vec<String>) {
    let limits = Limits { bytes: 200, fields: 8, ..Limits::default() };
    let options = CsvOptions { limits, ..CsvOptions::default() };
    let Ok(mut decoder) = CsvDecoder::new(options) else { return Default::default() };
    let (mut out, mut bad) = (RecordColumn::default(), Vec::new());
    for piece in input.chunks(block) {
        let mut at = 0;
        while at < piece.len() {
            at += decoder.decode(&piece[at..], &mut out, usize::MAX, &mut |r| bad.push(r.error.what));
        }
    }
    decoder.finish(&mut out, &mut |r| bad.push(r.error.what));
    ((0..out.rows()).map(|i| out.row(i).text().to_owned()).collect(), bad)
}

fuzz_target!(|input: &[u8]| {
    let whole = read(input, usize::MAX);
    assert_eq!(read(input, 1), whole);
    assert_eq!(read(input, 5), whole);
});
