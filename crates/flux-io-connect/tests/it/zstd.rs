//! Zstd input: recognised by content, several frames, broken data, windows that lie.

use crate::host::{bytes, inline, read_all, scratch};
use crate::lines::{Drip, awkward, model};
use crate::positions::resume_everywhere;
use flux_io_connect::lines;
use flux_io_core::{ErrorClass, ErrorKind};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Cursor;

fn pack(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// A frame that decoders skip.
fn skipped(n: u32) -> Vec<u8> {
    [&[0x53, 0x2A, 0x4D, 0x18][..], &n.to_le_bytes(), &vec![7; n as usize]].concat()
}

/// Frames follow each other as one stream, skipped ones are skipped, however the bytes come in.
#[test]
fn frames_are_one_stream_at_every_split() {
    let input = awkward();
    let (rows, over, _) = model(&input, 20);
    let (a, rest) = input.split_at(33);
    let (b, c) = rest.split_at(90);
    let packed =
        [skipped(9), pack(a), pack(b), skipped(0), pack(b""), pack(c), skipped(3)].concat();
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

/// Text that begins like a frame is text.
#[test]
fn what_only_begins_so_is_text() {
    for text in ["(", "P", "P*", "P*M", "P*MX", "S*M\u{19}", "(\u{B5}"] {
        let input = format!("{text}\n").into_bytes();
        let read = read_all(&mut lines::reader("r", Drip::new(&input, 1)), &inline(9), bytes);
        assert_eq!((read.rows, read.error.is_none()), (vec![text.as_bytes().to_vec()], true));
        let read =
            read_all(&mut lines::reader("r", Drip::new(text.as_bytes(), 1)), &inline(9), bytes);
        assert_eq!(read.rows, [text.as_bytes()]);
    }
}

/// Row 37. Positions count uncompressed bytes, so a run goes on behind every line.
#[test]
fn resuming_zstd_behind_every_line_equals_the_whole() {
    let dir = scratch("resume_zstd");
    let path = dir.join("a");
    let input = awkward();
    let (one, two) = input.split_at(100);
    std::fs::write(&path, [pack(one), pack(two)].concat()).unwrap();
    for block in [1, 64, 300_000] {
        resume_everywhere(|| lines::file(&path).record_limit(20).block_bytes(block), bytes);
    }
}

fn numbered() -> Vec<u8> {
    (0..200).flat_map(|i| format!("line {i}\n").into_bytes()).collect()
}

/// Every way of cutting a file off is an error that names it and the place, never a clean end.
#[test]
fn every_truncation_is_an_error() {
    let input = numbered();
    let rows = model(&input, 1 << 20).0;
    let packed = pack(&input);
    for n in 4..packed.len() {
        let mut s = lines::reader("cut.zst", Cursor::new(packed[..n].to_vec())).block_bytes(100);
        let read = read_all(&mut s, &inline(100), bytes);
        let e = read.error.unwrap_or_else(|| panic!("cut at {n} went unnoticed"));
        assert_eq!((e.class, e.kind), (ErrorClass::Permanent, ErrorKind::Serialization));
        assert!(e.what.starts_with("zstd data of cut.zst are cut off at compressed"), "{}", e.what);
        assert!(e.what.ends_with("copy the file again"), "{}", e.what);
        assert_eq!(read.rows, rows[..read.rows.len()]);
        assert!(read_all(&mut s, &inline(100), bytes).error.is_some(), "it stays an error");
    }
}

/// Flipped bits are found by the checksum or before it, what is no frame behind a frame too.
#[test]
fn broken_zstd_is_an_error() {
    let input = numbered();
    let rows = model(&input, 1 << 20).0;
    let packed = pack(&input);
    for i in 4..packed.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut flipped = packed.clone();
            flipped[i] ^= bit;
            let read = read_all(&mut lines::reader("f", Cursor::new(flipped)), &inline(500), bytes);
            assert!(read.error.is_some() || read.rows == rows, "flip at {i} went unnoticed");
        }
    }
    let tail = [packed, b"garbage behind".to_vec()].concat();
    let read = read_all(&mut lines::reader("f", Cursor::new(tail)), &inline(500), bytes);
    assert_eq!(read.rows.len(), 200);
    assert!(read.error.unwrap().what.contains("zstd data of f are broken near"));
}

/// A header that asks for a window of more than 8 MiB is refused before anything is allocated.
#[test]
fn windows_that_lie_are_refused() {
    for (exponent, fits) in [(13, true), (14, false), (20, false), (31, false)] {
        // A window of 2 to the 10 plus the exponent, one raw block of three bytes, the last.
        let frame =
            [&[0x28, 0xB5, 0x2F, 0xFD, 0x00, exponent << 3, 0x19, 0, 0][..], b"abc"].concat();
        let read = read_all(&mut lines::reader("f", Cursor::new(frame)), &inline(500), bytes);
        assert_eq!(read.rows.len(), usize::from(fits), "{exponent}");
        if let Some(e) = read.error {
            let told = flux_io_core::chain(&e);
            assert!(told.starts_with("zstd data of f are broken near") && !fits, "{told}");
        }
    }
}

/// A small file that unpacks into one enormous line costs the limit and a block, not its size.
#[test]
fn zstd_bomb_stays_within_bounds() {
    let bomb = pack(&vec![b'0'; 16 << 20]);
    assert!(bomb.len() < 1 << 16);
    let mut s = lines::reader("bomb", Cursor::new(bomb));
    let read = read_all(&mut s, &inline(100), bytes);
    assert!(read.rows.is_empty() && read.error.is_none());
    assert!(read.faults[0].what.contains("16777216 bytes"), "{}", read.faults[0].what);
    assert!(s.held_bytes() <= (1 << 20) + (256 << 10) + 4, "{}", s.held_bytes());
}
