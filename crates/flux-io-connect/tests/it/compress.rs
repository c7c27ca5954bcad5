//! Compressed output, read back by the sources.

use crate::disk::MemDisk;
use crate::host::{block_on, bytes, inline, read_all, scratch};
use flux_io_connect::lines;
use flux_io_connect::output::Compression;
use flux_io_core::{Batch, ErrorKind, Sink};
use flux_io_testkit::conformance;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn kinds() -> Vec<(Compression, &'static [u8])> {
    vec![
        (Compression::Gzip, &[0x1F, 0x8B]),
        #[cfg(feature = "zstd")]
        (Compression::Zstd, &[0x28, 0xB5, 0x2F, 0xFD]),
    ]
}

fn rows(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("row number {i}")).collect()
}

fn read(path: &PathBuf) -> Vec<String> {
    let read = read_all(&mut lines::file(path), &inline(1000), bytes);
    assert!(read.error.is_none() && read.faults.is_empty(), "{:?}", read.error);
    read.rows.into_iter().map(|r| String::from_utf8(r).unwrap()).collect()
}

/// Laws of sinks hold for compressed files; what was written is read back.
#[test]
fn compressed_files_keep_the_laws_of_sinks() {
    let dir = scratch("compressed");
    let next = AtomicU32::new(0);
    for (how, magic) in kinds() {
        let world = || dir.join(next.fetch_add(1, Ordering::SeqCst).to_string());
        let make = |path: &PathBuf| lines::create::<Vec<String>>(path).compression(how);
        conformance::sink::laws(world, |p| make(p).write_bytes(20), read, || rows(30));
        for n in [0, 1, 50_000] {
            let path = world();
            let mut sink = make(&path);
            for part in rows(n).chunks(1000) {
                block_on(sink.write(&mut Batch::of(part.to_vec()), &inline(1))).unwrap();
            }
            block_on(sink.close(&inline(1))).unwrap();
            let packed = std::fs::read(&path).unwrap();
            assert!(packed.starts_with(magic), "{how:?}, {n} rows");
            assert!(n < 1000 || packed.len() < 8 * n, "{how:?}: {} bytes", packed.len());
            assert_eq!(read(&path), rows(n));
        }
    }
}

/// Part files are compressed each for itself.
#[test]
fn compressed_parts_are_read_back() {
    for (how, magic) in kinds() {
        let dir = scratch("compressed_parts");
        let mut sink = lines::parts::<Vec<String>>(&dir, "rows.txt").compression(how);
        let cx = inline(1);
        block_on(sink.write(&mut Batch::of(rows(10)), &cx)).unwrap();
        block_on(sink.prepare(flux_io_core::Epoch(1), &cx)).unwrap();
        block_on(sink.prepare(flux_io_core::Epoch(2), &cx)).unwrap();
        block_on(sink.close(&cx)).unwrap();
        let part = |n: u32| dir.join(format!("rows-{n:012}.txt"));
        assert_eq!((read(&part(1)), read(&part(2))), (rows(10), rows(0)));
        assert!(std::fs::read(part(2)).unwrap().starts_with(magic));
    }
}

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer gets large pieces, and at a flush all there is, readable by itself.
#[test]
fn compressed_writers_get_pieces() {
    let lines_in = |shelf: &Shelf| {
        let all = shelf.0.lock().unwrap().concat();
        read_all(&mut lines::reader("shelf", io::Cursor::new(all)), &inline(1000), bytes).rows.len()
    };
    for (how, _) in kinds() {
        let (shelf, cx) = (Shelf::default(), inline(1));
        let mut sink = lines::writer::<Vec<String>>("shelf", shelf.clone()).compression(how);
        for _ in 0..10 {
            block_on(sink.write(&mut Batch::of(rows(10)), &cx)).unwrap();
        }
        assert_eq!(shelf.0.lock().unwrap().len(), 0);
        block_on(sink.flush(&cx)).unwrap();
        assert_eq!((lines_in(&shelf), shelf.0.lock().unwrap().len()), (100, 1));
        block_on(sink.write(&mut Batch::of(rows(30_000)), &cx)).unwrap();
        assert_eq!(shelf.0.lock().unwrap().len(), 2);
        block_on(sink.close(&cx)).unwrap();
        assert_eq!(lines_in(&shelf), 30_100);

        let empty = Shelf::default();
        let mut sink = lines::writer::<Vec<String>>("shelf", empty.clone()).compression(how);
        block_on(sink.close(&cx)).unwrap();
        assert_eq!(lines_in(&empty), 0);
        assert_ne!(empty.0.lock().unwrap().concat(), b"");
    }
}

/// A failing disk fails compressed files as others: nothing is visible, nothing is left.
#[test]
fn b096_failing_disks_leave_no_compressed_file() {
    for (how, _) in kinds() {
        for n in 0.. {
            let disk = MemDisk::default();
            disk.fail_at(n, false);
            let sink = lines::create::<Vec<String>>("out/rows.txt").compression(how);
            let mut sink = sink.on_disk(Arc::new(disk.clone())).write_bytes(8);
            let cx = inline(1);
            let went = block_on(sink.write(&mut Batch::of(rows(3)), &cx))
                .and_then(|()| block_on(sink.close(&cx)));
            if !disk.failed() {
                assert!(n > 4 && went.is_ok(), "{n}");
                break;
            }
            assert_eq!(went.unwrap_err().kind, ErrorKind::Io);
            assert_eq!(disk.names(), [""; 0], "call {n}");
        }
    }
}

/// A meter shows the stored bytes of what was read: at the end, the sizes of the files.
#[test]
fn a_meter_reaches_the_size_of_the_files() {
    let dir = scratch("metered");
    let text = rows(50_000);
    let mut paths = vec![dir.join("plain")];
    std::fs::write(&paths[0], text.join("\n")).unwrap();
    for (how, _) in kinds() {
        let path = dir.join(format!("{how:?}"));
        let mut sink = lines::create::<Vec<String>>(&path).compression(how);
        block_on(sink.write(&mut Batch::of(text.clone()), &inline(1))).unwrap();
        block_on(sink.close(&inline(1))).unwrap();
        paths.push(path);
    }
    let meter = flux_io_connect::frames::Meter::new();
    let mut source = lines::files(&paths).block_bytes(1000).meter(&meter);
    assert_eq!(meter.bytes(), 0);
    let read = read_all(&mut source, &inline(1000), bytes);
    assert_eq!(read.rows.len(), 50_000 * paths.len());
    let sizes = paths.iter().map(|p| std::fs::metadata(p).unwrap().len());
    assert_eq!(meter.bytes(), sizes.sum::<u64>());
}
