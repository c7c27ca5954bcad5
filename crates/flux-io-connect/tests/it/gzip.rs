//! Gzip input: recognised by content, several members, broken data.

use crate::host::{bytes, inline, read_all, scratch};
use crate::lines::{Drip, awkward, model};
use flate2::Compression;
use flate2::write::GzEncoder;
use flux_io_connect::lines;
use flux_io_core::{ErrorClass, ErrorKind};
use std::io::{Cursor, Write};

/// One gzip member.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

/// The name does not matter, the first two bytes do.
#[test]
fn gzip_is_recognised_by_content() {
    let dir = scratch("gzip_content");
    let input = awkward();
    let rows = model(&input, 1 << 20).0;
    for (name, bytes_of) in [("packed.ndjson", pack(&input)), ("plain.gz", input.clone())] {
        let path = dir.join(name);
        std::fs::write(&path, bytes_of).unwrap();
        assert_eq!(read_all(&mut lines::file(&path), &inline(100), bytes).rows, rows, "{name}");
    }
}

/// Members follow each other as one stream, however the bytes come in.
#[test]
fn members_are_one_stream_at_every_split() {
    let input = awkward();
    let (rows, over, _) = model(&input, 20);
    let (a, rest) = input.split_at(33);
    let (b, c) = rest.split_at(90);
    let packed = [pack(a), pack(b), pack(b""), pack(c)].concat();
    for k in 1..=17 {
        for block in [1, 64, 4096] {
            let mut s =
                lines::reader("r", Drip::new(&packed, k)).record_limit(20).block_bytes(block);
            let read = read_all(&mut s, &inline(100), bytes);
            assert!(read.error.is_none(), "{:?}", read.error);
            assert_eq!(read.rows, rows, "k {k}, block {block}");
            assert_eq!(read.faults.len(), over.len());
        }
    }
}

/// Every way of cutting a gzip file off is an error that names the file and the place, never a
/// clean end; the rows before it are right.
#[test]
fn every_truncation_is_an_error() {
    let input: Vec<u8> = (0..200).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let rows = model(&input, 1 << 20).0;
    let packed = pack(&input);
    for n in 2..packed.len() {
        let mut s = lines::reader("cut.gz", Cursor::new(packed[..n].to_vec())).block_bytes(100);
        let read = read_all(&mut s, &inline(100), bytes);
        let e = read.error.unwrap_or_else(|| panic!("cut at {n} went unnoticed"));
        assert_eq!((e.class, e.kind), (ErrorClass::Permanent, ErrorKind::Serialization));
        assert!(e.what.contains("gzip data of cut.gz are cut off"), "{}", e.what);
        assert!(e.what.contains(&format!("compressed byte {n},")), "cut at {n}: {}", e.what);
        assert_eq!(read.rows, rows[..read.rows.len()]);
    }
}

/// Flipped bits are found by the checksum, garbage behind the last member by its header.
#[test]
fn broken_gzip_is_an_error() {
    let input: Vec<u8> = (0..200).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let rows = model(&input, 1 << 20).0;
    let packed = pack(&input);
    let mut found = 0;
    // Behind the 10 bytes of the header, whose time and flags carry no checksum.
    for i in 10..packed.len() {
        let mut flipped = packed.clone();
        flipped[i] ^= 0x10;
        let read = read_all(&mut lines::reader("f", Cursor::new(flipped)), &inline(500), bytes);
        // Padding bits behind the last block carry nothing and are no error.
        assert!(read.error.is_some() || read.rows == rows, "flip at {i} went unnoticed");
        found += usize::from(read.error.is_some());
    }
    assert!(found >= packed.len() - 11, "{found} of {}", packed.len());
    let tail = [packed, b"garbage behind".to_vec()].concat();
    let read = read_all(&mut lines::reader("f", Cursor::new(tail)), &inline(500), bytes);
    assert_eq!(read.rows.len(), 200);
    assert!(read.error.unwrap().what.contains("gzip data of f are broken near"));
}

/// A small file that unpacks into one enormous line costs the limit and a block, not its size.
#[test]
fn gzip_bomb_stays_within_bounds() {
    let bomb = pack(&vec![b'0'; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let mut s = lines::reader("bomb", Cursor::new(bomb));
    let read = read_all(&mut s, &inline(100), bytes);
    assert!(read.rows.is_empty() && read.error.is_none());
    assert!(read.faults[0].what.contains("67108864 bytes"), "{}", read.faults[0].what);
    assert!(s.held_bytes() <= (1 << 20) + (256 << 10) + 4, "{}", s.held_bytes());
}
