//! Positions of line sources: stopping behind any line and going on equals reading through.

use crate::host::{block_on, bytes, inline, read_all, scratch};
use crate::lines::awkward;
use flux_io_connect::lines::{self, Files, Lines};
use flux_io_core::{
    Batch, CheckpointToken, Column, DynSource, ErasedSource, ErrorClass, Filled, RecoverableSource,
    Seq, Source, SourceId,
};
use std::fmt::Debug;
use std::path::PathBuf;

const LIMIT: usize = 20;

fn source(paths: &[PathBuf], block: usize) -> Lines<Files> {
    lines::files(paths).record_limit(LIMIT).block_bytes(block)
}

/// Reads a source once through, stopping behind every row; each stop is resumed in a new source.
pub(crate) fn resume_everywhere<S, V>(
    make: impl Fn() -> S,
    view: impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) where
    S: RecoverableSource,
    V: Clone + PartialEq + Debug,
{
    let whole = read_all(&mut make(), &inline(1000), &view);
    assert!(whole.error.is_none(), "{:?}", whole.error);
    let whole_faults: Vec<_> = whole.faults.iter().map(|f| (f.seq, f.what.clone())).collect();

    let cx = inline(1);
    let mut walker = make();
    let (mut before, mut faults) = (Vec::new(), Vec::new());
    loop {
        let mut batch = Batch::default();
        let filled = block_on(walker.fill(&mut batch, &cx)).unwrap();
        before.extend((0..batch.len()).map(|i| view(batch.col.row(i))));
        faults.extend(walker.take_faults().into_iter().map(|f| (f.seq, f.what)));
        let token = walker.position().unwrap();

        let mut resumed = make();
        resumed.seek(&token).unwrap();
        assert_eq!(resumed.position().unwrap(), token);
        let rest = read_all(&mut resumed, &inline(1000), &view);
        assert!(rest.error.is_none(), "{:?}", rest.error);
        assert_eq!([before.clone(), rest.rows].concat(), whole.rows);
        let all: Vec<_> = faults
            .iter()
            .cloned()
            .chain(rest.faults.into_iter().map(|f| (f.seq, f.what)))
            .collect();
        assert_eq!(all, whole_faults);
        if filled == Filled::End {
            return;
        }
    }
}

/// Row 37.
#[test]
fn resuming_behind_every_line_equals_the_whole() {
    let dir = scratch("resume_plain");
    let paths = vec![dir.join("a"), dir.join("b"), dir.join("c")];
    std::fs::write(&paths[0], awkward()).unwrap();
    std::fs::write(&paths[1], "").unwrap();
    std::fs::write(&paths[2], b"x\ny\r\n\nz").unwrap();
    for block in [1, 7, 300_000] {
        resume_everywhere(|| source(&paths, block), bytes);
        resume_everywhere(|| source(&paths[..1], block), bytes);
    }
}

/// Row 37. The same for gzip, where the place is counted in uncompressed bytes.
#[cfg(feature = "gzip")]
#[test]
fn resuming_gzip_behind_every_line_equals_the_whole() {
    let dir = scratch("resume_gzip");
    let paths = vec![dir.join("a.gz"), dir.join("b")];
    let input = awkward();
    let (one, two) = input.split_at(100);
    let members = [crate::gzip::pack(one), crate::gzip::pack(two)].concat();
    std::fs::write(&paths[0], members).unwrap();
    std::fs::write(&paths[1], b"x\ny\r\n\nz").unwrap();
    for block in [1, 64, 300_000] {
        resume_everywhere(|| source(&paths, block), bytes);
    }
}

/// Row 37. Sequence numbers go on where they were.
#[test]
fn numbers_go_on_behind_a_seek() {
    let dir = scratch("resume_seq");
    let path = dir.join("a");
    std::fs::write(&path, "a\nb\nc\nd\n").unwrap();
    let cx = inline(3);
    let mut first = ErasedSource::new(lines::file(&path), SourceId(0));
    let mut batch = (first.column().new)();
    block_on(first.fill(&mut batch, &cx)).unwrap();
    let token = first.position().unwrap();
    let mut second = ErasedSource::new(lines::file(&path), SourceId(0));
    second.seek(&token).unwrap();
    batch.clear();
    block_on(second.fill(&mut batch, &cx)).unwrap();
    assert_eq!((batch.len(), &batch.meta().seq), (1, &Seq::Run(3)));
}

fn stop_after(path: &PathBuf, rows: usize) -> CheckpointToken {
    let mut s = lines::file(path);
    let mut batch = Batch::default();
    block_on(s.fill(&mut batch, &inline(rows))).unwrap();
    s.position().unwrap()
}

/// A file that grew is the same file; one that changed before the place or is shorter is not.
#[test]
fn another_file_is_refused() {
    let dir = scratch("another");
    let path = dir.join("a");
    std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
    let token = stop_after(&path, 2);

    std::fs::write(&path, "one\ntwo\nTHREE\nfour\n").unwrap();
    let mut s = lines::file(&path);
    s.seek(&token).unwrap();
    let read = read_all(&mut s, &inline(10), bytes);
    assert_eq!(read.rows, [b"THREE".to_vec(), b"four".to_vec()]);

    for changed in ["ONE\ntwo\nthree\n", "one\n", ""] {
        std::fs::write(&path, changed).unwrap();
        let e = lines::file(&path).seek(&token).unwrap_err();
        assert_eq!(e.class, ErrorClass::Catastrophic);
        assert!(e.what.contains("does not begin as it did"), "{}", e.what);
    }
    std::fs::remove_file(&path).unwrap();
    assert!(lines::file(&path).seek(&token).unwrap_err().what.contains("cannot open"));
}

/// A file cut off behind its fingerprint is noticed when it is read.
#[test]
fn a_shorter_file_is_refused() {
    let dir = scratch("shorter");
    let path = dir.join("a");
    let long: String = (0..1000).map(|i| format!("{i}\n")).collect();
    std::fs::write(&path, &long).unwrap();
    let token = stop_after(&path, 900);
    std::fs::write(&path, &long[..2000]).unwrap();
    let mut s = lines::file(&path);
    s.seek(&token).unwrap();
    let e = read_all(&mut s, &inline(10), bytes).error.unwrap();
    assert!(e.what.contains("has 2000 bytes and the checkpoint stands at byte 3490"), "{}", e.what);
    #[cfg(feature = "gzip")]
    {
        std::fs::write(&path, crate::gzip::pack(&long.as_bytes()[..2000])).unwrap();
        let mut s = lines::file(&path);
        s.seek(&token).unwrap();
        let e = read_all(&mut s, &inline(10), bytes).error.unwrap();
        assert!(e.what.contains("has 2000 bytes"), "{}", e.what);
    }
}

/// Rows 36, 37. Bytes that are no position of ours, other lists of files, readers.
#[test]
fn foreign_positions_are_refused() {
    let dir = scratch("foreign");
    let path = dir.join("a");
    std::fs::write(&path, "a\nb\n").unwrap();
    let good = stop_after(&path, 1);
    for n in 0..good.0.len() {
        let cut = CheckpointToken(good.0[..n].to_vec());
        assert!(lines::file(&path).seek(&cut).is_err(), "{n}");
    }
    let longer = CheckpointToken([good.0.as_slice(), b"x"].concat());
    assert!(lines::file(&path).seek(&longer).is_err());
    let mut newer = good.clone();
    newer.0[0] = 9;
    assert!(lines::file(&path).seek(&newer).unwrap_err().what.contains("of this version"));

    let mut second = lines::files([&path, &path]);
    let end = {
        let mut s = lines::files([&path, &path]);
        let _ = read_all(&mut s, &inline(10), bytes);
        s.position().unwrap()
    };
    second.seek(&end).unwrap();
    assert!(read_all(&mut second, &inline(10), bytes).rows.is_empty());
    let e = lines::files([""; 0]).seek(&end).unwrap_err();
    assert!(e.what.contains("give the same files in the same order"), "{}", e.what);

    let mut reader = lines::reader("pipe", &b"a\n"[..]);
    assert_eq!(reader.position(), None);
    assert!(!reader.descriptor().seekable);
    assert!(reader.seek(&good).unwrap_err().what.contains("pipe cannot be read again"));
}
