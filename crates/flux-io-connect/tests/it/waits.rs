//! Where connectors block: what may wait for somebody is told from what answers.

use crate::host::{Hand, TestHost, block_on, bytes, read_all, scratch};
use flux_io_connect::lines::{self, Files, Reader};
use flux_io_connect::output::is_closed_pipe;
use flux_io_core::{Batch, ByteColumn, Host, IoCx, Sink, Source};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::thread;

/// Jobs that run in place, and are counted.
fn counting() -> (Arc<TestHost>, IoCx) {
    let host = Arc::new(TestHost::default());
    (Arc::clone(&host), IoCx::new(host as Arc<dyn Host>, 100))
}

fn fifo(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Rows of `source`, with how many jobs might have waited for ever and how many not.
fn jobs(mut source: impl Source<Col = ByteColumn>) -> (Vec<Vec<u8>>, (usize, usize)) {
    let (host, cx) = counting();
    let read = read_all(&mut source, &cx, bytes);
    assert!(read.error.is_none(), "{:?}", read.error);
    (read.rows, host.jobs())
}

/// A pipe between two files is opened and read where it holds up nobody, the files where files are.
#[test]
fn pipes_are_read_outside_and_files_are_not() {
    let dir = scratch("waits");
    let (a, z) = (dir.join("a"), dir.join("z"));
    std::fs::write(&a, "1\n").unwrap();
    std::fs::write(&z, "4\n").unwrap();
    let pipe = fifo(&dir, "pipe");
    let (rows, (outside, bounded)) = thread::scope(|s| {
        s.spawn(|| std::fs::write(&pipe, "2\n3\n").unwrap());
        jobs(lines::files([&a, &pipe, &z]))
    });
    assert_eq!(rows, [b"1", b"2", b"3", b"4"]);
    // Its bytes and its end outside; a look at it, and two reads a file.
    assert_eq!((outside, bounded), (2, 5));
    assert_eq!(jobs(lines::file(&a)).1.0, 0);
}

/// Nobody knows how long a reader waits; one that says that all is at hand is read in place.
#[test]
fn readers_wait_unless_they_say_otherwise() {
    assert_eq!(jobs(lines::reader("r", Cursor::new("a\n"))), (vec![b"a".to_vec()], (2, 0)));
    let at_hand = Reader::new("r", Cursor::new("a\n")).at_hand();
    let source = flux_io_connect::frames::read(at_hand, flux_io_connect::frames::LineFraming);
    assert_eq!(jobs(source), (vec![b"a".to_vec()], (0, 2)));
}

/// A writer may be a pipe that nobody reads.
#[test]
fn writers_write_outside() {
    let (host, cx) = counting();
    let mut sink = lines::writer::<Vec<String>>("w", std::io::sink());
    block_on(sink.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(host.jobs(), (1, 0));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut sink = lines::writer::<Vec<String>>("w", writer);
    let e = block_on(sink.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap_err();
    assert!(is_closed_pipe(&e), "{}", e.what);
}

/// A fill that waits for a pipe and is dropped loses nothing: the read goes on, and what it brings
/// is given by the next one.
#[test]
fn a_dropped_wait_for_a_pipe_loses_nothing() {
    let (host, cx) = crate::host::deferred(100);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = lines::reader("pipe", reader);
    let hand = Hand::new();
    let mut batch = Batch::default();
    assert!(pin!(source.fill(&mut batch, &cx)).poll(&mut hand.cx()).is_pending());
    std::io::Write::write_all(&mut writer, b"a\nb\nc").unwrap();
    assert!(host.work());
    assert!(pin!(source.fill(&mut batch, &cx)).poll(&mut hand.cx()).is_ready());
    assert_eq!(batch.col.iter().collect::<Vec<_>>(), [b"a", b"b"]);
    assert!(pin!(source.fill(&mut batch, &cx)).poll(&mut hand.cx()).is_pending());
    drop(writer);
    assert!(host.work());
    assert!(pin!(source.fill(&mut batch, &cx)).poll(&mut hand.cx()).is_ready());
    assert_eq!(batch.col.iter().last(), Some(&b"c"[..]));
}

/// A run that is restored does not wait for a pipe to be opened: it cannot be read again.
#[test]
fn a_pipe_is_not_gone_back_to() {
    let dir = scratch("waits_seek");
    let path = dir.join("in");
    std::fs::write(&path, "a\nb\n").unwrap();
    let cx = crate::host::inline(1);
    let mut source = lines::file(&path);
    block_on(source.fill(&mut Batch::default(), &cx)).unwrap();
    let token = source.position().unwrap();
    std::fs::remove_file(&path).unwrap();
    fifo(&dir, "in");
    let again =
        flux_io_connect::frames::read(Files::one(&path), flux_io_connect::frames::LineFraming);
    let e = { again }.seek(&token).unwrap_err();
    assert!(e.what.contains("is a pipe or a device and cannot be read again"), "{}", e.what);
}
