//! Lines of readers and files: splitting, limits, cancellation, faults.

use crate::host::{block_on, bytes, deferred, inline, read_all, read_all_cancelled, scratch};
use flux_io_connect::lines;
use flux_io_core::{
    Batch, ByteColumn, Column, DeadCause, DynSource, ErasedSource, ErrorClass, ErrorKind, Filled,
    Original, Seq, Source, SourceId,
};
use std::io::{self, Cursor, Read};

/// Gives `k` bytes a call, with an interruption before each.
pub(crate) struct Drip {
    pub(crate) bytes: Cursor<Vec<u8>>,
    pub(crate) k: usize,
    pub(crate) interrupted: bool,
}

impl Drip {
    pub(crate) fn new(bytes: &[u8], k: usize) -> Self {
        Self { bytes: Cursor::new(bytes.to_vec()), k, interrupted: false }
    }
}

impl Read for Drip {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let n = self.k.min(to.len());
        self.bytes.read(&mut to[..n])
    }
}

/// What the lines of `input` are: the model that everything here is compared with.
pub(crate) fn model(input: &[u8], limit: usize) -> (Vec<Vec<u8>>, Vec<(u64, usize)>, u64) {
    let body = input.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(input);
    let mut lines: Vec<&[u8]> = body.split(|&b| b == b'\n').collect();
    if lines.last().is_some_and(|l| l.is_empty()) {
        lines.pop();
    }
    let (mut rows, mut over, mut empty) = (Vec::new(), Vec::new(), 0);
    for (i, line) in lines.into_iter().enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.len() {
            0 => empty += 1,
            n if n > limit => over.push((i as u64, n)),
            _ => rows.push(line.to_vec()),
        }
    }
    (rows, over, empty)
}

/// An input with everything in it that splitting can get wrong, around a limit of 20 bytes.
pub(crate) fn awkward() -> Vec<u8> {
    let mut b = b"\xEF\xBB\xBF{\"a\":1}\r\n\n\r\nsecond\nthird\r\r\n".to_vec();
    for n in 17..27 {
        b.extend(std::iter::repeat_n(b'x', n));
        b.extend_from_slice(if n % 2 == 0 { b"\n" } else { b"\r\n" });
    }
    b.extend_from_slice(b"exactly 20 bytes ...\r\n20 bytes and one more\r\n");
    b.extend(std::iter::repeat_n(b'y', 400));
    b.extend_from_slice(b"\n\xEF\xBB\xBFmark inside\n\0nul\0\n\rcr in front\n\xFF\xFE\n\n\nlast");
    b
}

const LIMIT: usize = 20;

/// Row 25. A delimiter is found however the bytes are cut into reads.
#[test]
fn b084_every_split_gives_the_same_records() {
    let input = awkward();
    let (rows, over, empty) = model(&input, LIMIT);
    assert!(rows.len() > 8 && over.len() > 5 && empty == 4);
    for k in 1..=17 {
        for block in [1, 2, 3, 7, 64, 4096] {
            for max in [1, 3, 1024] {
                let drip = Drip::new(&input, k);
                let mut source = lines::reader("drip", drip).record_limit(LIMIT).block_bytes(block);
                let read = read_all(&mut source, &inline(max), bytes);
                assert!(read.error.is_none());
                assert_eq!(read.rows, rows, "k {k}, block {block}, max {max}");
                let faults: Vec<u64> = read.faults.iter().map(|f| f.seq).collect();
                assert_eq!(faults, over.iter().map(|o| o.0).collect::<Vec<_>>());
                assert_eq!(source.empty_lines(), empty);
            }
        }
    }
}

/// The limit counts the record alone: not the mark before it, not the line end behind it.
#[test]
fn b086_limit_counts_the_record_alone() {
    for (n, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
        for end in ["", "\n", "\r\n", "\r"] {
            let input = format!("\u{FEFF}{}{end}", "r".repeat(n));
            for k in 1..30 {
                let mut source =
                    lines::reader("r", Drip::new(input.as_bytes(), k)).record_limit(LIMIT);
                let read = read_all(&mut source, &inline(10), bytes);
                assert_eq!(read.rows.len(), usize::from(fits), "{input:?}, k {k}");
                if let Some(f) = read.faults.first() {
                    assert!(f.what.contains("has 21 bytes and the limit is 20"), "{}", f.what);
                }
            }
        }
    }
}

/// The whole line is the record: not what follows it, not the delimiter.
#[test]
fn b082_record_is_what_stands_before_the_delimiter() {
    let mut source = lines::reader("r", &b"one\ntwo\n"[..]);
    let read = read_all(&mut source, &inline(10), bytes);
    assert_eq!(read.rows, [b"one".to_vec(), b"two".to_vec()]);
}

/// Bytes behind the delimiter are used up once, however many records a block holds.
#[test]
fn b083_consumed_through_the_delimiter() {
    let input: Vec<u8> = (0..1000).flat_map(|i| format!("{i}\n").into_bytes()).collect();
    let mut source = lines::reader("r", Cursor::new(input)).block_bytes(10);
    let read = read_all(&mut source, &inline(7), |r| String::from_utf8(r.to_vec()).unwrap());
    assert_eq!(read.rows, (0..1000).map(|i| i.to_string()).collect::<Vec<_>>());
}

/// An unfinished line is not given before its end, and the tail is given once.
#[test]
fn b085_tail_without_delimiter_comes_once() {
    for input in [&b"a\nb"[..], b"a\nb\n", b"a\nb\r", b"a\r\nb\r\n"] {
        let mut source = lines::reader("r", Drip::new(input, 1));
        let read = read_all(&mut source, &inline(10), bytes);
        assert_eq!(read.rows, [b"a", b"b"], "{input:?}");
    }
    for nothing in [&b""[..], b"\n", b"\r\n", b"\n\n\n", b"\xEF\xBB\xBF"] {
        let mut source = lines::reader("r", Drip::new(nothing, 1));
        assert!(read_all(&mut source, &inline(10), bytes).rows.is_empty(), "{nothing:?}");
    }
}

/// A record over the limit is a dead letter with its place, the rest goes on.
#[test]
fn b086_oversize_record_is_a_fault_with_its_place() {
    let mut input = b"before\n".to_vec();
    input.extend((0..2_000_000).map(|i| b'a' + (i % 26) as u8));
    input.extend_from_slice(b"\nafter\n");
    let mut source = lines::reader("big.ndjson", Cursor::new(input));
    let read = read_all(&mut source, &inline(10), bytes);
    assert_eq!(read.rows, [b"before".to_vec(), b"after".to_vec()]);
    let [fault] = read.faults.as_slice() else { panic!("{:?}", read.faults) };
    assert_eq!(fault.cause, DeadCause::Oversize);
    assert_eq!(fault.seq, 1);
    assert_eq!(
        fault.what,
        "big.ndjson line 2 (byte 7): the record has 2000000 bytes and the limit is 1048576; raise \
         the limit or split the record"
    );
    let Original::Bytes(sample) = &fault.original else { panic!() };
    assert_eq!(sample.len(), 256);
    assert!(sample.starts_with(b"abcdefghijklmnopqrstuvwxyzab"));
}

/// Memory stays within limit and block however long a line is.
#[test]
fn memory_is_bounded_by_limit_and_block() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = to.len().min(usize::try_from(self.0).unwrap());
            to[..n].fill(b'z');
            self.0 -= n as u64;
            Ok(n)
        }
    }
    let (limit, block) = (100_000, 4096);
    let mut source = lines::reader("r", Endless(50_000_000)).record_limit(limit).block_bytes(block);
    let cx = inline(10);
    let mut most = 0;
    loop {
        let mut batch = Batch::default();
        let filled = block_on(source.fill(&mut batch, &cx)).unwrap();
        most = most.max(source.held_bytes());
        if filled == Filled::End {
            break;
        }
    }
    let fault = source.take_faults().pop().unwrap();
    assert!(fault.what.contains("50000000 bytes"), "{}", fault.what);
    assert!(most <= limit + block + 4, "{most}");
}

/// The same with a fill that never returns before the line has ended: held bytes are looked at
/// between reads.
#[test]
fn unfinished_line_never_exceeds_the_limit() {
    let limit = 1000;
    for n in [900, 999, 1000, 1001, 1004, 1005, 5000] {
        let (host, cx) = deferred(10);
        let mut source =
            lines::reader("r", Drip::new(&vec![b'q'; n], 13)).record_limit(limit).block_bytes(64);
        loop {
            let mut batch = Batch::default();
            let polled = {
                let fill = std::pin::pin!(source.fill(&mut batch, &cx));
                Future::poll(fill, &mut crate::host::Hand::new().cx())
            };
            if let std::task::Poll::Ready(filled) = polled {
                let fits = n <= limit;
                assert_eq!(filled.unwrap(), Filled::End);
                assert_eq!(batch.len(), usize::from(fits));
                assert_eq!(source.take_faults().len(), usize::from(!fits));
                break;
            }
            assert!(host.work());
            assert!(source.held_bytes() <= limit + 64 + 4, "{}", source.held_bytes());
        }
    }
}

/// Law I1: the future may be dropped at every poll.
#[test]
fn b087_dropping_the_fill_at_every_poll_loses_nothing() {
    let input = awkward();
    let (rows, over, _) = model(&input, LIMIT);
    let dir = scratch("cancel");
    let path = dir.join("a.txt");
    std::fs::write(&path, &input).unwrap();
    for block in [1, 5, 64, 100_000] {
        for max in [1, 1000] {
            let (host, cx) = deferred(max);
            let mut reader =
                lines::reader("r", Drip::new(&input, 11)).record_limit(LIMIT).block_bytes(block);
            let (read, cancelled) = read_all_cancelled(&mut reader, &host, &cx, bytes);
            assert_eq!(read.rows, rows);
            assert_eq!(read.faults.len(), over.len());
            assert!(cancelled > 2);

            let (host, cx) = deferred(max);
            let mut file = lines::file(&path).record_limit(LIMIT).block_bytes(block);
            let (read, _) = read_all_cancelled(&mut file, &host, &cx, bytes);
            assert_eq!(read.rows, rows);
            assert_eq!(read.faults.len(), over.len());
        }
    }
}

/// A fill gives what is there and does not wait for `max_rows`.
#[test]
fn b087_partial_batches_are_given() {
    let (host, cx) = deferred(1000);
    let mut source = lines::reader("r", Drip::new(b"a\nb\nc\n", 4));
    let hand = crate::host::Hand::new();
    let mut batch = Batch::default();
    {
        let mut fill = std::pin::pin!(source.fill(&mut batch, &cx));
        assert!(Future::poll(fill.as_mut(), &mut hand.cx()).is_pending());
        assert!(host.work());
        assert!(hand.flag.take());
        let polled = Future::poll(fill.as_mut(), &mut hand.cx());
        assert!(matches!(polled, std::task::Poll::Ready(Ok(Filled::More))));
    }
    assert_eq!(batch.col.iter().collect::<Vec<_>>(), [b"a", b"b"]);
}

/// Row 337. Rows are cut out of recycled blocks into one arena a batch; a kept row pins no block.
#[test]
fn b031_rows_do_not_pin_blocks() {
    let mut input = b"small\n".to_vec();
    input.extend(std::iter::repeat_n(b'w', 200_000));
    let mut source = lines::reader("r", Cursor::new(input));
    let mut batch = Batch::<ByteColumn>::default();
    block_on(source.fill(&mut batch, &inline(1))).unwrap();
    assert_eq!(batch.len(), 1);
    assert!(batch.col.bytes() < 1000, "{}", batch.col.bytes());
}

/// A batch ends at 64 KiB.
#[test]
fn batches_are_bounded_in_bytes() {
    let input: Vec<u8> =
        (0..20).flat_map(|_| [vec![b'k'; 30_000], b"\n".to_vec()].concat()).collect();
    let mut source = lines::reader("r", Cursor::new(input));
    let mut batch = Batch::<ByteColumn>::default();
    block_on(source.fill(&mut batch, &inline(1000))).unwrap();
    assert_eq!(batch.len(), 3);
}

/// Row 21. Sequence numbers rise by one for each row given, also when fills are dropped.
#[test]
fn b089_sequence_numbers_rise_by_one() {
    let input: Vec<u8> = (0..100).flat_map(|i| format!("{i}\n").into_bytes()).collect();
    let source = lines::reader("r", Drip::new(&input, 5)).block_bytes(8);
    let mut erased = ErasedSource::new(source, SourceId(3));
    let (host, cx) = deferred(4);
    let mut next = 0;
    'run: loop {
        let mut any = (erased.column().new)();
        let polled = {
            let hand = crate::host::Hand::new();
            erased.fill(&mut any, &cx).as_mut().poll(&mut hand.cx())
        };
        let batch = any.get::<ByteColumn>().unwrap();
        if !batch.is_empty() {
            assert_eq!(batch.meta.seq, Seq::Run(next));
            assert_eq!(batch.meta.source, SourceId(3));
        }
        for row in batch.col.iter() {
            assert_eq!(row, next.to_string().as_bytes());
            next += 1;
        }
        match polled {
            std::task::Poll::Pending => assert!(host.work()),
            std::task::Poll::Ready(Ok(Filled::More)) => {}
            std::task::Poll::Ready(end) => {
                assert_eq!(end.unwrap(), Filled::End);
                break 'run;
            }
        }
    }
    assert_eq!(next, 100);
}

/// Row 33. Several files are one stream, a line never goes on in the next file, faults are
/// numbered over all.
#[test]
fn several_files_follow_each_other() {
    let dir = scratch("several");
    let texts = ["a\nb", "", "\n\u{FEFF}c\n", "toolongtoolong\nd\n"];
    let paths: Vec<_> = (0..4).map(|i| dir.join(format!("{i}.txt"))).collect();
    for (p, t) in paths.iter().zip(texts) {
        std::fs::write(p, t).unwrap();
    }
    let mut source = lines::files(&paths).record_limit(10);
    let read = read_all(&mut source, &inline(100), |r| String::from_utf8(r.to_vec()).unwrap());
    assert_eq!(read.rows, ["a", "b", "\u{FEFF}c", "d"]);
    assert_eq!(read.faults[0].seq, 4);
    assert!(read.faults[0].what.contains("3.txt line 1 (byte 0)"), "{}", read.faults[0].what);
    let d = source.descriptor();
    assert_eq!((d.kind, d.seekable), ("lines file", true));
    assert!(d.target.ends_with("0.txt and 3 more"), "{}", d.target);
    assert!(read_all(&mut lines::files([""; 0]), &inline(1), bytes).rows.is_empty());
}

/// Errors name the file and are final; nothing is taken for an end.
#[test]
fn unreadable_files_are_errors() {
    let dir = scratch("unreadable");
    let cases = [(dir.join("absent.txt"), "cannot open"), (dir.clone(), "is a directory")];
    for (path, says) in cases {
        let mut source = lines::file(&path);
        for _ in 0..2 {
            let mut batch = Batch::default();
            let e = block_on(source.fill(&mut batch, &inline(1))).unwrap_err();
            assert_eq!((e.class, e.kind), (ErrorClass::Permanent, ErrorKind::Io));
            assert!(e.what.contains(says), "{}", e.what);
            assert!(e.what.contains(path.to_str().unwrap()));
        }
    }
}

/// A transient failure may be tried again and loses nothing; a permanent one comes again.
#[test]
fn failed_reads_keep_their_place() {
    struct Flaky(Vec<Result<&'static [u8], io::ErrorKind>>);
    impl Read for Flaky {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let b = self.0.remove(0)?;
            to[..b.len()].copy_from_slice(b);
            Ok(b.len())
        }
    }
    use io::ErrorKind::{ConnectionReset, TimedOut};
    let steps = vec![
        Err(TimedOut),
        Ok(&b"o"[..]),
        Err(TimedOut),
        Ok(b"ne\ntw"),
        Err(TimedOut),
        Ok(b"o\nth"),
        Err(ConnectionReset),
    ];
    let mut source = lines::reader("peer", Flaky(steps));
    let cx = inline(10);
    let (mut rows, mut transient) = (Vec::new(), 0);
    let e = loop {
        let read = read_all(&mut source, &cx, bytes);
        rows.extend(read.rows);
        let e = read.error.unwrap();
        if e.class != ErrorClass::Transient {
            break e;
        }
        transient += 1;
    };
    assert_eq!((rows, transient), (vec![b"one".to_vec(), b"two".to_vec()], 3));
    assert_eq!(e.to_string(), "cannot read peer at byte 10");
    let again = read_all(&mut source, &cx, bytes).error.unwrap();
    assert_eq!((again.class, again.what), (e.class, e.what));
}

/// An engine that drops the work, or a reader that panics, is an error and never an end.
#[test]
fn lost_work_is_an_error() {
    let (host, cx) = deferred(10);
    let mut source = lines::reader("r", &b"a\n"[..]);
    let mut batch = Batch::default();
    let mut fill = std::pin::pin!(source.fill(&mut batch, &cx));
    let hand = crate::host::Hand::new();
    assert!(Future::poll(fill.as_mut(), &mut hand.cx()).is_pending());
    host.forget();
    assert!(hand.flag.take());
    let e = match Future::poll(fill.as_mut(), &mut hand.cx()) {
        std::task::Poll::Ready(Err(e)) => e,
        other => panic!("{other:?}"),
    };
    assert_eq!(e.class, ErrorClass::Catastrophic);
}
