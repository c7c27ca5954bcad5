//! Bad inputs and broken surroundings of sources and sinks, each with the exact words it is told
//! in: what, where, why, and what to do. `{dir}` stands for the test's directory.

use crate::disk::MemDisk;
use crate::host::{block_on, bytes, inline, read_all, scratch};
use flux_io_connect::frames::{
    self, CsvFraming, Files, Found, Framed, Framing, Inputs, LengthKind, LengthPrefix, LineFraming,
    Reader,
};
use flux_io_connect::lines;
use flux_io_core::{
    Batch, CheckpointToken, Epoch, ErrorClass, RecoverableSource, Sink, Source, StageError,
};
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;

use ErrorClass::{Catastrophic, Permanent, Transient};

/// One entry: what was done, how bad it is, and the words.
type Entry = (&'static str, Option<ErrorClass>, String, &'static str);

fn check(dir: &Path, entries: &[Entry], expected: &[Option<ErrorClass>]) {
    for ((name, class, told, golden), expected) in entries.iter().zip(expected) {
        let told = told.replace(&dir.display().to_string(), "{dir}");
        assert_eq!(&told, golden, "{name}");
        assert_eq!(class, expected, "{name}");
    }
    assert_eq!(entries.len(), expected.len());
}

/// The one error or fault of reading a source.
fn reading<I: Inputs, F: Framing>(
    mut source: Framed<I, F, frames::AsBytes>,
) -> (Option<ErrorClass>, String) {
    let mut read = read_all(&mut source, &inline(100), bytes);
    let fault = read.faults.pop();
    assert!(read.faults.is_empty() && (read.error.is_none() || fault.is_none()), "one of them");
    match read.error {
        Some(e) => (Some(e.class), e.what),
        None => (None, fault.unwrap().what),
    }
}

fn failed(e: StageError) -> (Option<ErrorClass>, String) {
    (Some(e.class), e.what)
}

fn entry(
    name: &'static str,
    (class, told): (Option<ErrorClass>, String),
    golden: &'static str,
) -> Entry {
    (name, class, told, golden)
}

/// Fails once some bytes are read.
struct Breaks(Cursor<Vec<u8>>, io::ErrorKind);

impl Read for Breaks {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to)? {
            0 => Err(self.1.into()),
            n => Ok(n),
        }
    }
}

fn breaks(kind: io::ErrorKind) -> Framed<Reader, LineFraming, frames::AsBytes> {
    lines::reader("peer", Breaks(Cursor::new(b"one\ntwo".to_vec()), kind))
}

/// What cannot be opened, found or read on.
#[test]
fn inputs_that_cannot_be_read() {
    let dir = scratch("catalogue_inputs");
    fs::write(dir.join("a"), "a\n").unwrap();
    let file = |name: &str| lines::file(dir.join(name));
    let glob =
        |pattern: &str| frames::read(Found::glob(dir.join(pattern).to_str().unwrap()), LineFraming);
    let entries = [
        entry("missing file", reading(file("absent")), "cannot open {dir}/absent"),
        entry("no name", reading(lines::file("")), "cannot open "),
        entry("directory", reading(lines::file(&dir)), "{dir} is a directory; name its files"),
        entry("a file for a directory", reading(file("a/b")), "cannot open {dir}/a/b"),
        entry(
            "nothing fits",
            reading(glob("*.csv")),
            "no file fits {dir}/*.csv; look at the directory and the pattern, names with a dot in \
             front are left out",
        ),
        entry("directory of a pattern is missing", reading(glob("x/*")), "cannot list {dir}/x"),
        entry("a pattern below a file", reading(glob("a/*")), "cannot list {dir}/a"),
        entry(
            "half-closed",
            reading(breaks(io::ErrorKind::ConnectionReset)),
            "cannot read peer at byte 7",
        ),
        entry("timed out", reading(breaks(io::ErrorKind::TimedOut)), "cannot read peer at byte 7"),
        entry("no bytes", reading(breaks(io::ErrorKind::Other)), "cannot read peer at byte 7"),
    ];
    let p = Some(Permanent);
    check(&dir, &entries, &[p, p, p, p, p, p, p, p, Some(Transient), p]);
}

/// What is read and cannot be made rows of.
#[test]
fn bytes_that_are_no_frames() {
    let dir = scratch("catalogue_frames");
    let of = |bytes: &[u8]| Reader::new("in", Cursor::new(bytes.to_vec()));
    let entries = [
        entry(
            "a line over the limit",
            reading(lines::reader("in", &b"ok\n12345678\nok\n"[..]).record_limit(5)),
            "in line 2 (byte 3): the record has 8 bytes and the limit is 5; raise the limit or \
             split the record",
        ),
        entry(
            "carriage returns alone are one line",
            reading(lines::reader("in", &b"abc\rdef\rghi\r"[..]).record_limit(5)),
            "in line 1 (byte 0): the record has 11 bytes and the limit is 5; raise the limit or \
             split the record",
        ),
        entry(
            "a csv quote that is not closed",
            reading(frames::read(of(b"a,b\n\"c,d\ne,f\n"), CsvFraming::default())),
            "in record 2, line 2 (byte 4): a quote is opened and never closed, and the input ends; \
             copy it again or mend its end",
        ),
        entry(
            "a csv record over the limit",
            reading(frames::read(of(b"a\n\"b\nc\nd\ne\n"), CsvFraming::default()).record_limit(4)),
            "in record 2, line 2 (byte 2): the record has 8 bytes and the limit is 4; raise the \
             limit or split the record",
        ),
        entry(
            "a length cut off",
            reading(frames::read(of(b"\0\0\0"), LengthPrefix::new(LengthKind::U32Be))),
            "in frame 1 (byte 0): the frame has 3 bytes of its length, and the input ends; copy it \
             again or mend its end",
        ),
        entry(
            "a frame cut off",
            reading(frames::read(of(b"\x01a\x05bcd"), LengthPrefix::new(LengthKind::Varint))),
            "in frame 2 (byte 2): the frame has 3 of 5 bytes, and the input ends; copy it again or \
             mend its end",
        ),
        entry(
            "a length that lies",
            reading(frames::read(of(b"\xFF\xFF\xFF\xFFabc"), LengthPrefix::new(LengthKind::U32Be))),
            "in frame 1 (byte 0): the frame has 3 of 4294967295 bytes, and the input ends; copy it \
             again or mend its end",
        ),
        entry(
            "a frame over the limit",
            reading(
                frames::read(of(b"\0\x06abcdef\0\x01x"), LengthPrefix::new(LengthKind::U16Be))
                    .record_limit(5),
            ),
            "in frame 1 (byte 0): the record has 6 bytes and the limit is 5; raise the limit or \
             split the record",
        ),
        entry(
            "no varint",
            reading(frames::read(of(&[0x80; 11]), LengthPrefix::new(LengthKind::Varint))),
            "in frame 1 (byte 0): the length is no varint of 64 bits; is this another format?",
        ),
    ];
    let n = None;
    check(&dir, &entries, &[n, n, n, n, n, n, n, n, Some(Permanent)]);
}

/// Compressed inputs that are not whole.
#[cfg(feature = "gzip")]
#[test]
fn archives_that_are_broken() {
    let dir = scratch("catalogue_archives");
    let packed = crate::gzip::pack(b"one\ntwo\n");
    let of = |bytes: &[u8]| reading(lines::reader("a.gz", Cursor::new(bytes.to_vec())));
    let mut flipped = packed.clone();
    let crc = packed.len() - 8;
    flipped[crc] ^= 1;
    let entries = [
        entry(
            "the header alone",
            of(&packed[..2]),
            "gzip data of a.gz are cut off at compressed byte 2, uncompressed byte 0; copy the file \
             again",
        ),
        entry(
            "without its last byte",
            of(&packed[..packed.len() - 1]),
            "gzip data of a.gz are cut off at compressed byte 27, uncompressed byte 8; copy the \
             file again",
        ),
        entry(
            "a checksum that differs",
            of(&flipped),
            "gzip data of a.gz are broken near compressed byte 28, uncompressed byte 8; copy the \
             file again",
        ),
        entry(
            "garbage behind it",
            of(&[packed, b"garbage behind".to_vec()].concat()),
            "gzip data of a.gz are broken near compressed byte 38, uncompressed byte 8; copy the \
             file again",
        ),
    ];
    check(&dir, &entries, &[Some(Permanent); 4]);
}

fn place(mut source: impl RecoverableSource, rows: usize) -> CheckpointToken {
    block_on(source.fill(&mut Batch::default(), &inline(rows))).unwrap();
    source.position().unwrap()
}

/// Checkpoints that the inputs do not fit any more.
#[test]
fn places_that_are_gone() {
    let dir = scratch("catalogue_places");
    let put = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    put("a", "1\n2\n3\n");
    put("b", "4\n5\n");
    let files = || lines::files([dir.join("a"), dir.join("b")]);
    let found = || frames::read(Found::glob(dir.join("[a-z]").to_str().unwrap()), LineFraming);
    let (in_files, in_found) = (place(files(), 2), place(found(), 2));
    let at_end = {
        let mut source = files();
        let _ = read_all(&mut source, &inline(9), bytes);
        source.position().unwrap()
    };
    let sought = |mut source: Framed<Files, LineFraming, frames::AsBytes>, at: &CheckpointToken| {
        failed(source.seek(at).unwrap_err())
    };
    let foreign = sought(files(), &CheckpointToken(b"something else".to_vec()));
    let empty = sought(files(), &CheckpointToken::default());
    let fewer = sought(lines::file(dir.join("a")), &at_end);
    let pipe = failed(lines::reader("pipe", io::empty()).seek(&in_files).unwrap_err());
    put("a", "one\n2\n3\n");
    let changed = sought(files(), &in_files);
    put("a", "");
    let emptied = sought(files(), &in_files);
    fs::remove_file(dir.join("a")).unwrap();
    let gone = sought(files(), &in_files);
    let moved = failed(found().seek(&in_found).unwrap_err());
    let begins = "{dir}/a does not begin as it did when the checkpoint was made; bring the file back \
                  as it was or start without the checkpoint";
    let version = "the checkpoint's position is not one of a file source of this version; start \
                   without the checkpoint or run the version that wrote it";
    let entries = [
        entry("foreign bytes", foreign, version),
        entry("no bytes", empty, version),
        entry(
            "a list that is shorter",
            fewer,
            "the checkpoint stands in file 3 of a list that now has 1; give the same files in the \
             same order",
        ),
        entry("a pipe", pipe, "pipe cannot be read again; start the run without a checkpoint"),
        entry("a file that changed", changed, begins),
        entry("a file that was emptied", emptied, begins),
        entry("a file that is gone", gone, "cannot open {dir}/a"),
        entry(
            "found files that changed before the place",
            moved,
            "the checkpoint stands in {dir}/a, which was file 1 of those that fit, and that is now \
             {dir}/b; bring the files before it back as they were or start without the checkpoint",
        ),
    ];
    let c = Some(Catastrophic);
    check(&dir, &entries, &[c, c, c, Some(Permanent), c, c, Some(Permanent), c]);
}

struct Full(io::ErrorKind);

impl Write for Full {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Outputs that cannot be written.
#[test]
fn outputs_that_cannot_be_written() {
    let dir = scratch("catalogue_outputs");
    let cx = inline(9);
    let row = || Batch::of(vec!["row".to_owned()]);
    let file = |name: &str| lines::create::<Vec<String>>(dir.join(name));
    let write = |mut sink: flux_io_connect::output::FileSink<lines::RawLines<Vec<String>>>| {
        failed(
            block_on(sink.write(&mut row(), &cx))
                .and_then(|()| block_on(sink.close(&cx)))
                .unwrap_err(),
        )
    };
    fs::write(dir.join("there"), "").unwrap();
    fs::create_dir(dir.join("folder")).unwrap();
    let parts = || lines::parts::<Vec<String>>(dir.join("folder"), "rows.txt");
    let mut first = parts();
    block_on(first.write(&mut row(), &cx)).unwrap();
    block_on(first.close(&cx)).unwrap();
    let late = failed(block_on(first.write(&mut row(), &cx)).unwrap_err());
    let used = failed(block_on(parts().write(&mut row(), &cx)).unwrap_err());
    let mut resumed = parts();
    let behind = failed(block_on(resumed.recover(Some(Epoch(0)), &cx)).unwrap_err());
    let writer = |kind| {
        let mut sink = lines::writer::<Vec<String>>("stdout", Full(kind));
        let wrote = block_on(sink.write(&mut row(), &cx));
        failed(wrote.and_then(|()| block_on(sink.close(&cx))).unwrap_err())
    };
    let full = {
        let disk = MemDisk::default();
        disk.fail_at(2, false);
        let sink = lines::create("out/rows.txt").on_disk(Arc::new(disk));
        write(sink)
    };
    let mut two_lines = lines::writer::<Vec<String>>("stdout", io::sink());
    let two_lines = block_on(two_lines.write(&mut Batch::of(vec!["a\nb".to_owned()]), &cx));
    let entries = [
        entry("an absent directory", write(file("x/y")), "cannot create a file beside {dir}/x/y"),
        entry(
            "a file that is there",
            write(file("there")),
            "{dir}/there exists; choose another name, remove it, or allow overwriting",
        ),
        entry(
            "a directory of that name",
            write(file("folder").overwrite(true)),
            "cannot give {dir}/folder its name",
        ),
        entry(
            "the directory of an earlier run",
            used,
            "{dir}/folder holds the output of an earlier run; resume that run, or name an empty \
             directory",
        ),
        entry(
            "parts that are closed",
            late,
            "the part files in {dir}/folder are closed; nothing more can be written",
        ),
        entry(
            "parts ahead of the checkpoint",
            behind,
            "{dir}/folder shows epoch 1 and the checkpoint stands at epoch 0; use a newer checkpoint \
             or start anew in an empty directory",
        ),
        entry("a closed pipe", writer(io::ErrorKind::BrokenPipe), "stdout is closed"),
        entry("a full disk", writer(io::ErrorKind::StorageFull), "cannot write to stdout"),
        entry("a disk that fails", full, "cannot write out/.rows.txt.tmp-0"),
        entry(
            "a row that is two lines",
            failed(two_lines.unwrap_err()),
            "row with number 0 cannot be written",
        ),
    ];
    let (p, c) = (Some(Permanent), Some(Catastrophic));
    check(&dir, &entries, &[p, p, p, p, p, c, p, p, p, p]);
}
