//! Files that are there whole or not at all, and writers.

use crate::disk::MemDisk;
use crate::host::{Hand, block_on, bytes, deferred, inline, read_all, scratch};
use flux_io_connect::lines;
use flux_io_connect::output::{FileSink, RawLines, is_closed_pipe};
use flux_io_core::{Batch, ByteColumn, Epoch, ErrorClass, ErrorKind, IoCx, Seq, Sink, StageError};
use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex};

type Rows = Vec<String>;
type File = FileSink<RawLines<Rows>>;

const TARGET: &str = "out/rows.txt";

fn on(disk: &MemDisk) -> File {
    lines::create(TARGET).on_disk(Arc::new(disk.clone())).write_bytes(8)
}

fn batches() -> Vec<Rows> {
    let row = |i: usize| format!("row {i}");
    vec![vec![row(0)], vec![], (1..6).map(row).collect(), vec![row(6)], vec![row(7), row(8)]]
}

fn whole() -> String {
    batches().concat().iter().map(|r| format!("{r}\n")).collect()
}

/// Writes everything; in the middle it flushes and prepares.
fn run(sink: &mut File, cx: &IoCx) -> Result<(), StageError> {
    for (i, rows) in batches().into_iter().enumerate() {
        let mut batch = Batch::of(rows);
        block_on(sink.write(&mut batch, cx))?;
        assert!(batch.is_empty());
        if i == 2 {
            block_on(sink.flush(cx))?;
            block_on(sink.prepare(Epoch(1), cx))?;
        }
    }
    block_on(sink.close(cx))
}

/// A flush hands every row to the file system and waits for no disk, however few there are; a
/// `prepare` waits for it, also when nothing is left to write.
#[test]
fn a_flush_hands_over_and_does_not_sync() {
    let (disk, cx) = (MemDisk::default(), inline(1));
    let mut sink = on(&disk).write_bytes(1 << 20);
    for written in ["a\n", "a\nb\n"] {
        let row = written.lines().last().unwrap().to_owned();
        block_on(sink.write(&mut Batch::of(vec![row]), &cx)).unwrap();
        block_on(sink.flush(&cx)).unwrap();
        assert_eq!((disk.written(), disk.syncs()), (written.to_owned(), 0));
        let calls = disk.calls();
        block_on(sink.flush(&cx)).unwrap();
        assert_eq!(disk.calls(), calls, "nothing is left to hand over");
    }
    block_on(sink.prepare(Epoch(1), &cx)).unwrap();
    assert_eq!(disk.syncs(), 1);
    block_on(sink.prepare(Epoch(2), &cx)).unwrap();
    assert_eq!(disk.syncs(), 1, "what is durable is not synced again");

    let disk = MemDisk::default();
    let mut parts = lines::parts("out", "rows.txt").on_disk(Arc::new(disk.clone()));
    block_on(parts.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap();
    block_on(parts.flush(&cx)).unwrap();
    assert_eq!((disk.written(), disk.syncs()), ("a\n".to_owned(), 0));
    block_on(parts.prepare(Epoch(1), &cx)).unwrap();
    assert_eq!(disk.syncs(), 2, "the file, and the directory that names it");
}

/// Row 26. Nothing is visible before the end, everything afterwards, durably.
#[test]
fn b096_close_flushes_and_reports() {
    let disk = MemDisk::default();
    let mut sink = on(&disk);
    let cx = inline(1);
    run(&mut sink, &cx).unwrap();
    block_on(sink.close(&cx)).unwrap();
    let e = block_on(sink.write(&mut Batch::of(vec!["late".to_owned()]), &cx)).unwrap_err();
    assert_eq!(e.what, "out/rows.txt is closed; nothing more can be written");
    drop(sink);
    disk.crash();
    assert_eq!(disk.names(), [TARGET]);
    assert_eq!(disk.read(TARGET).unwrap(), whole());
    let empty = MemDisk::default();
    block_on(on(&empty).close(&cx)).unwrap();
    assert_eq!(empty.read(TARGET).unwrap(), "");
}

/// Whichever call fails: an error, no visible file, nothing left behind, and it stays failed.
#[test]
fn b096_failing_at_every_call_leaves_no_file() {
    let cx = inline(1);
    for n in 0.. {
        let disk = MemDisk::default();
        disk.fail_at(n, false);
        let mut sink = on(&disk);
        let ran = run(&mut sink, &cx);
        if !disk.failed() {
            assert!(n > 7, "only {n} calls");
            assert_eq!(disk.read(TARGET).unwrap(), whole());
            break;
        }
        let e = ran.unwrap_err();
        assert_eq!((e.class, e.kind), (ErrorClass::Permanent, ErrorKind::Io), "{}", e.what);
        assert!(flux_io_core::chain(&e).contains("injected"));
        assert_eq!(disk.names(), [""; 0], "call {n}");
        disk.heal();
        let again = block_on(sink.close(&cx)).unwrap_err();
        assert!(again.what.contains("it failed before"), "{}", again.what);
        drop(sink);
        assert_eq!(disk.names(), [""; 0], "call {n}");
    }
}

/// A power cut at any call leaves the whole file or none; with `overwrite`, the old or the new.
#[test]
fn power_cuts_leave_all_or_nothing() {
    let cx = inline(1);
    for old in [None, Some("old\n")] {
        let mut seen = [0; 2];
        for n in 0.. {
            let disk = MemDisk::default();
            if let Some(old) = old {
                disk.put(TARGET, old);
            }
            disk.fail_at(n, true);
            let mut sink = on(&disk).overwrite(old.is_some());
            let ran = run(&mut sink, &cx);
            drop(sink);
            let done = !disk.failed();
            disk.crash();
            let now = disk.read(TARGET);
            let is_new = now.as_deref() == Some(whole().as_str());
            assert!(is_new || now.as_deref() == old, "call {n}: {now:?}");
            assert!(is_new || ran.is_err(), "call {n}: reported and lost");
            seen[usize::from(is_new)] += 1;
            if done {
                break;
            }
        }
        assert!(seen[0] > 5 && seen[1] >= 1);
    }
}

/// With `overwrite`, one failing call leaves the old file or the new one, whole.
#[test]
fn overwriting_is_one_step() {
    let cx = inline(1);
    for n in 0.. {
        let disk = MemDisk::default();
        disk.put(TARGET, "old\n");
        disk.fail_at(n, false);
        let mut sink = on(&disk).overwrite(true);
        let ran = run(&mut sink, &cx);
        drop(sink);
        let now = disk.read(TARGET).unwrap();
        assert!(now == whole() || (ran.is_err() && now == "old\n"));
        assert_eq!(disk.names().len(), 1);
        if !disk.failed() {
            break;
        }
    }
}

/// A file that is there is refused at the first row, one that appears later at the end.
#[test]
fn existing_files_are_not_replaced() {
    let cx = inline(1);
    let disk = MemDisk::default();
    disk.put(TARGET, "old\n");
    let e = run(&mut on(&disk), &cx).unwrap_err();
    assert_eq!(e.what, "out/rows.txt exists; choose another name, remove it, or allow overwriting");
    assert_eq!(disk.names(), [TARGET]);

    let disk = MemDisk::default();
    let (mut a, mut b) = (on(&disk), on(&disk));
    block_on(a.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap();
    block_on(b.write(&mut Batch::of(vec!["b".to_owned()]), &cx)).unwrap();
    assert_eq!(disk.names(), ["out/.rows.txt.tmp-0", "out/.rows.txt.tmp-1"]);
    block_on(b.close(&cx)).unwrap();
    assert!(block_on(a.close(&cx)).is_err());
    drop((a, b));
    assert_eq!((disk.names(), disk.read(TARGET).unwrap().as_str()), (vec![TARGET.into()], "b\n"));
}

/// Giving up, or dropping it, removes the temporary file; also while a job is under way.
#[test]
fn giving_up_leaves_nothing() {
    for abort in [true, false] {
        for jobs in 0..4 {
            let disk = MemDisk::default();
            let (host, cx) = deferred(1);
            let mut sink = on(&disk);
            let mut batch = Batch::of(vec!["some text".to_owned()]);
            for _ in 0..jobs {
                let polled = pin!(sink.write(&mut batch, &cx)).poll(&mut Hand::new().cx());
                if polled.is_ready() {
                    batch = Batch::of(vec!["more text".to_owned()]);
                    let _ = pin!(sink.close(&cx)).poll(&mut Hand::new().cx());
                } else {
                    host.work();
                }
            }
            if abort {
                sink.abort();
                let e = block_on(sink.close(&cx)).unwrap_err();
                assert!(e.what.contains("was given up"), "{}", e.what);
            }
            drop(sink);
            while host.work() {}
            assert_eq!(disk.names(), [""; 0], "abort {abort}, jobs {jobs}");
        }
    }
}

/// Giving up while the last job waits to run: the file does not appear.
#[test]
fn giving_up_during_close_leaves_nothing() {
    for abort in [true, false] {
        let disk = MemDisk::default();
        let (host, cx) = deferred(1);
        let mut sink = on(&disk);
        let mut batch = Batch::of(vec!["a".to_owned()]);
        while pin!(sink.write(&mut batch, &cx)).poll(&mut Hand::new().cx()).is_pending() {
            assert!(host.work());
        }
        assert!(pin!(sink.close(&cx)).poll(&mut Hand::new().cx()).is_pending());
        assert_eq!(disk.names(), ["out/.rows.txt.tmp-0"]);
        if abort {
            sink.abort();
        } else {
            drop(sink);
        }
        assert!(host.work() && !host.work());
        assert_eq!(disk.read(TARGET), None);
        assert_eq!(disk.names(), [""; 0], "abort {abort}");
    }
}

/// Law I5: every call may be dropped at every poll; each row is written once, in order.
#[test]
fn dropping_calls_at_every_poll_writes_each_row_once() {
    let disk = MemDisk::default();
    let (host, cx) = deferred(1);
    let mut sink = on(&disk);
    let mut dropped = 0;
    let mut poll = |f: &mut dyn FnMut() -> bool| {
        while !f() {
            dropped += 1;
            assert!(dropped < 1000, "it never ends");
            if dropped % 2 == 0 {
                assert!(host.work());
            }
        }
    };
    for (i, rows) in batches().into_iter().enumerate() {
        let mut batch = Batch::of(rows);
        // What is still in the batch is offered again.
        poll(&mut || {
            let polled = pin!(sink.write(&mut batch, &cx)).poll(&mut Hand::new().cx());
            polled.map(Result::unwrap).is_ready() || batch.is_empty()
        });
        if i == 2 {
            poll(&mut || {
                pin!(sink.flush(&cx)).poll(&mut Hand::new().cx()).map(Result::unwrap).is_ready()
            });
        }
    }
    poll(&mut || pin!(sink.close(&cx)).poll(&mut Hand::new().cx()).map(Result::unwrap).is_ready());
    assert!(dropped >= 8, "{dropped}");
    assert_eq!(disk.read(TARGET).unwrap(), whole());
}

/// Rows 20, 33. Real files: written, read back; a directory that is not there is named.
#[test]
fn files_are_read_back() {
    let dir = scratch("read_back");
    let path = dir.join("rows.txt");
    let cx = inline(100);
    let mut sink = lines::create::<ByteColumn>(&path);
    let mut col = ByteColumn::default();
    (0..50_000).for_each(|i| col.push(format!("line number {i}").as_bytes()));
    let rows: Vec<_> = col.iter().map(bytes).collect();
    block_on(sink.write(&mut Batch::of(col), &cx)).unwrap();
    assert!(!path.exists());
    block_on(sink.flush(&cx)).unwrap();
    assert!(!path.exists());
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(read_all(&mut lines::file(&path), &cx, bytes).rows, rows);

    let e = block_on(lines::create::<Rows>(&path).write(&mut Batch::default(), &cx)).unwrap_err();
    assert!(e.what.contains("exists; choose another name"), "{}", e.what);
    let mut sink = lines::create::<Rows>(&path).overwrite(true);
    block_on(sink.write(&mut Batch::of(vec!["new".to_owned()]), &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");

    let mut sink = lines::create::<Rows>(dir.join("absent/rows.txt"));
    let e = block_on(sink.write(&mut Batch::default(), &cx)).unwrap_err();
    assert!(e.what.starts_with("cannot create a file beside"), "{}", e.what);
    let mut dropped = lines::create::<Rows>(dir.join("gone.txt"));
    block_on(dropped.write(&mut Batch::of(vec!["x".to_owned()]), &cx)).unwrap();
    drop(dropped);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    // Two that are finished at once: the second is refused by the file system itself.
    let (mut a, mut b) = (lines::create::<Rows>(dir.join("two")), lines::create(dir.join("two")));
    for s in [&mut a, &mut b] {
        block_on(s.write(&mut Batch::of(vec!["x".to_owned()]), &cx)).unwrap();
    }
    block_on(a.close(&cx)).unwrap();
    assert!(block_on(b.close(&cx)).unwrap_err().what.contains("cannot give"));
}

/// Records have their end: a row that holds one is refused, with its number, and nothing of its
/// batch is written.
#[test]
fn b096_rows_with_line_feeds_are_refused() {
    let disk = MemDisk::default();
    let mut sink = on(&disk);
    let cx = inline(1);
    let mut batch = Batch::of(vec!["good".to_owned(), "two\nlines".to_owned()]);
    batch.meta.seq = Seq::Run(40);
    let e = block_on(sink.write(&mut batch, &cx)).unwrap_err();
    assert_eq!(
        flux_io_core::chain(&e),
        "row with number 41 cannot be written: row 1 of the batch cannot be written: it holds a \
         line feed; escape it or write another format"
    );
    assert_eq!(batch.len(), 2);
    batch.col.truncate(1);
    block_on(sink.write(&mut batch, &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(disk.read(TARGET).unwrap(), "good\n");
}

/// A writer that keeps what it gets and fails when its script says so.
#[derive(Clone, Default)]
struct Pipe {
    got: Arc<Mutex<(Vec<u8>, Vec<usize>)>>,
    fails: Option<(usize, io::ErrorKind)>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut got = self.got.lock().unwrap();
        match self.fails {
            Some((after, kind)) if got.1.len() >= after => Err(kind.into()),
            _ => {
                got.0.extend_from_slice(bytes);
                got.1.push(bytes.len());
                Ok(bytes.len())
            }
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that went away is recognised, at once, and nothing more is written.
#[test]
fn b096_closed_pipe_is_recognised() {
    let pipe = Pipe { fails: Some((1, io::ErrorKind::BrokenPipe)), ..Pipe::default() };
    let mut sink = lines::writer("stdout", pipe.clone());
    let cx = inline(1);
    block_on(sink.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap();
    let e = block_on(sink.write(&mut Batch::of(vec!["b".to_owned()]), &cx)).unwrap_err();
    assert_eq!(e.what, "stdout is closed");
    assert_eq!((e.class, e.kind, is_closed_pipe(&e)), (ErrorClass::Permanent, ErrorKind::Io, true));
    assert!(block_on(sink.close(&cx)).is_err());
    assert_eq!(pipe.got.lock().unwrap().0, b"a\n");

    let pipe = Pipe { fails: Some((0, io::ErrorKind::StorageFull)), ..Pipe::default() };
    let mut sink = lines::writer("pipe", pipe);
    let e = block_on(sink.write(&mut Batch::of(vec!["a".to_owned()]), &cx)).unwrap_err();
    assert_eq!((e.what.as_str(), is_closed_pipe(&e)), ("cannot write to pipe", false));
}

/// Row 26. An idle writer gets each batch at once; a busy one gets what gathered meanwhile, and
/// `close` waits for all of it.
#[test]
fn writers_get_what_is_there() {
    let pipe = Pipe::default();
    let (host, cx) = deferred(1);
    let mut sink = lines::writer("pipe", pipe.clone());
    for i in 0..10 {
        block_on(sink.write(&mut Batch::of(vec![i.to_string()]), &cx)).unwrap();
        if i == 3 || i == 6 {
            assert!(host.work());
        }
    }
    let hand = Hand::new();
    while pin!(sink.close(&cx)).poll(&mut hand.cx()).map(Result::unwrap).is_pending() {
        assert!(host.work());
    }
    let (text, pieces) = pipe.got.lock().unwrap().clone();
    assert_eq!(text, b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_eq!(pieces, [2, 8, 6, 4]);
    let e = block_on(sink.write(&mut Batch::of(vec!["x".to_owned()]), &cx)).unwrap_err();
    assert!(e.what.contains("was closed by this flow"), "{}", e.what);
}

#[cfg(feature = "ndjson")]
mod json {
    use super::*;
    use flux_io_connect::ndjson;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Order {
        order: u64,
        clerk: String,
    }

    fn orders() -> Vec<Order> {
        let clerk = |i: u64| format!("line\nfeed \u{2028} \0 \"{i}\" \u{1F600}");
        (0..1000).map(|i| Order { order: i, clerk: clerk(i) }).collect()
    }

    /// Rows 33, 34. What is written is read back, value for value.
    #[test]
    fn values_are_read_back() {
        let path = scratch("json_back").join("orders.ndjson");
        let cx = inline(100);
        let mut sink: ndjson::Writer<Order> = ndjson::create(&path);
        block_on(sink.write(&mut Batch::of(orders()), &cx)).unwrap();
        block_on(sink.close(&cx)).unwrap();
        let read = read_all(&mut ndjson::file(&path), &cx, |r| ndjson::parse::<Order>(r).unwrap());
        assert_eq!(read.rows, orders());
    }

    /// A value that is no JSON is refused with its number; its batch stays as it is.
    #[test]
    fn values_that_are_no_json_are_refused() {
        let pipe = Pipe::default();
        let mut sink = ndjson::writer("pipe", pipe.clone());
        let cx = inline(1);
        let good = BTreeMap::from([(vec![0_u8; 0], 1)]);
        let mut batch = Batch::of(vec![BTreeMap::new(), good]);
        let e = block_on(sink.write(&mut batch, &cx)).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Serialization);
        assert!(flux_io_core::chain(&e).ends_with("key must be a string"), "{e:?}");
        assert_eq!(batch.len(), 2);
        batch.col.truncate(1);
        block_on(sink.write(&mut batch, &cx)).unwrap();
        assert_eq!(pipe.got.lock().unwrap().0, b"{}\n");
    }
}
