//! One input cut in every way gives one result.

use flux_io_core::Column;
use flux_io_record::{Decode, Place, RecordColumn, Rejected};
use std::fmt::Write as _;

/// Everything a decoder says about `input`, given to it in blocks of the lengths `cuts` yields and
/// drained when `rows` are there.
pub(crate) fn run(
    mut d: impl Decode,
    input: &[u8],
    mut cut: impl FnMut() -> usize,
    rows: usize,
) -> (String, Place) {
    let mut log = String::new();
    let mut column = RecordColumn::default();
    let mut at = 0;
    while at < input.len() {
        let end = (at + cut().max(1)).min(input.len());
        while at < end {
            let mut bad = String::new();
            at += d.decode(&input[at..end], &mut column, rows, &mut |r| reject(&mut bad, &r));
            // Order between records and rejections is shown by rejections' record numbers.
            log.push_str(&bad);
            if column.rows() == rows {
                drain(&mut log, &mut column);
            }
        }
    }
    let place = d.place();
    let mut bad = String::new();
    d.finish(&mut column, &mut |r| reject(&mut bad, &r));
    drain(&mut log, &mut column);
    log.push_str(&bad);
    (log, place)
}

fn reject(log: &mut String, r: &Rejected<'_>) {
    let Place { record, line, offset } = r.place;
    let original = String::from_utf8_lossy(r.original);
    let shown: String = original.chars().take(40).collect();
    let more = if original.chars().count() > 40 { "…" } else { "" };
    let (cause, what) = (r.error.cause, &r.error.what);
    writeln!(log, "! {cause}: {what} [{record}/{line}/{offset}] {shown:?}{more}").unwrap();
}

fn drain(log: &mut String, column: &mut RecordColumn) {
    for record in column.iter() {
        if record.text().len() > 400 {
            writeln!(log, "> {} bytes, {} fields", record.text().len(), record.fields().len())
                .unwrap();
        } else {
            writeln!(log, "> {}", record.text()).unwrap();
        }
    }
    column.clear();
}

/// The lines of a log, records and rejections apart: how they interleave depends on how often the
/// column is drained, their own orders do not.
pub(crate) fn apart(log: &str) -> (Vec<&str>, Vec<&str>) {
    log.lines().partition(|line| line.starts_with('>'))
}

/// Checks that `input` gives the same at once, byte by byte, in blocks of 2, 3, 7 and 64 bytes and
/// cut in two at every place; returns the log.
pub(crate) fn every_split<D: Decode>(make: impl Fn() -> D, input: &[u8]) -> String {
    let (whole, place) = run(make(), input, || usize::MAX / 2, usize::MAX);
    for size in [1, 2, 3, 7, 64] {
        for rows in [1, 3, usize::MAX] {
            let (log, end) = run(make(), input, || size, rows);
            assert_eq!(apart(&log), apart(&whole), "blocks of {size}, {rows} rows");
            assert_eq!(end, place);
        }
    }
    for first in 1..input.len().min(600) {
        let mut sizes = [first, usize::MAX / 2].into_iter();
        let (log, end) = run(make(), input, || sizes.next().unwrap_or(1), usize::MAX);
        assert_eq!(apart(&log), apart(&whole), "cut at {first}");
        assert_eq!(end, place);
    }
    whole_counts(make(), input, &whole);
    whole
}

/// Checks that `input` gives the same at once and in blocks of the lengths `cuts` yields, and that
/// no record of it is lost.
pub(crate) fn laws<D: Decode>(make: impl Fn() -> D, input: &[u8], cuts: impl FnMut() -> usize) {
    let (whole, place) = run(make(), input, || usize::MAX / 2, usize::MAX);
    let (log, end) = run(make(), input, cuts, 2);
    assert_eq!(apart(&log), apart(&whole), "{:?}", String::from_utf8_lossy(input));
    assert_eq!(end, place);
    whole_counts(make(), input, &whole);
}

/// Writes seeds for the fuzz target `name` below the directory that `FLUX_IO_SEEDS` names, if it
/// does.
pub(crate) fn write_seeds(name: &str, seeds: impl Iterator<Item = Vec<u8>>) {
    let mut count = 0;
    let dir = std::env::var_os("FLUX_IO_SEEDS").map(|dir| std::path::Path::new(&dir).join(name));
    for (n, seed) in seeds.enumerate() {
        count += 1;
        if let Some(dir) = &dir {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::write(dir.join(n.to_string()), seed).unwrap();
        }
    }
    assert!(count > 10);
}

/// No record is lost: the numbers of those that came through and of those that were rejected are
/// together the numbers from 1 to the last one.
fn whole_counts(mut d: impl Decode, input: &[u8], whole: &str) {
    let rejections = apart(whole).1;
    let header = rejections.iter().filter(|line| line.contains(": header, ")).count();
    let rejected: Vec<u64> = rejections
        .iter()
        .filter(|line| !line.contains(": header, "))
        .filter_map(|line| line.rsplit(" [").find_map(|part| part.split('/').next()?.parse().ok()))
        .collect();
    assert_eq!(rejected.len() + header, rejections.len());
    let mut column = RecordColumn::default();
    let mut at = 0;
    while at < input.len() {
        at += d.decode(&input[at..], &mut column, usize::MAX, &mut |_| ());
    }
    let mut records = d.place().record - 1;
    let (rows, mut late) = (column.rows(), 0);
    d.finish(&mut column, &mut |r| late += u64::from(!r.error.what.starts_with("header")));
    records += late + (column.rows() - rows) as u64;
    let shown = String::from_utf8_lossy(input);
    assert_eq!(column.rows() + rejected.len(), records as usize, "{shown:?}: {whole}");
    assert!(rejected.is_sorted_by(|a, b| a < b) && rejected.last().is_none_or(|n| *n <= records));
}
