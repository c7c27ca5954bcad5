//! Framings: every cut of an input gives the same frames, at the same places; limits, torn ends,
//! lengths that lie, wire formats and framings of one's own.

use crate::host::{block_on, bytes, inline, read_all, scratch};
use crate::positions::resume_everywhere;
use flux_io_connect::frames::{
    self, AsBytes, CsvFraming, Cut, Decode, Delimited, Files, Framed, Framing, LengthKind,
    LengthPrefix, LineFraming, Place, Reader, Rows,
};
use flux_io_connect::output::{Encode, EncodeError, FileSink};
use flux_io_core::{
    Batch, ByteColumn, Column, DeadCause, Draws, ErrorClass, ErrorKind, Filled, Original, RowError,
    Sink, Source, StageError,
};
use flux_io_testkit::conformance;
use std::collections::VecDeque;
use std::io::{self, Read};

/// Gives one piece a call.
struct Pieces(VecDeque<Vec<u8>>);

impl Pieces {
    fn new<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(pieces.into_iter().filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect())
    }
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        to[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Rows, faults with their texts, and the error of one reading.
type Outcome = (Vec<Vec<u8>>, Vec<(DeadCause, u64, String)>, Option<String>);

fn outcome(framing: impl Framing, limit: usize, input: impl Read + Send + 'static) -> Outcome {
    let mut source =
        frames::read(Reader::new("in", input), framing).record_limit(limit).block_bytes(4096);
    let read = read_all(&mut source, &inline(1000), bytes);
    let faults = read.faults.into_iter().map(|f| (f.cause, f.seq, f.what)).collect();
    (read.rows, faults, read.error.map(|e| e.what))
}

/// Reads `input` whole, cut in two at every place, byte by byte, and in random pieces: always the
/// same. Returns what it was.
fn every_cut<F: Framing>(make: impl Fn() -> F, limit: usize, input: &[u8]) -> Outcome {
    let whole = outcome(make(), limit, Pieces::new([input]));
    for cut in 1..input.len() {
        let (a, b) = input.split_at(cut);
        assert_eq!(outcome(make(), limit, Pieces::new([a, b])), whole, "cut at {cut}");
    }
    assert_eq!(outcome(make(), limit, Pieces::new(input.chunks(1))), whole, "byte by byte");
    let mut random = Draws(7);
    for _ in 0..50 {
        let (mut pieces, mut rest) = (Vec::new(), input);
        while !rest.is_empty() {
            let (a, b) = rest.split_at(1 + random.below(rest.len().min(12) as u32) as usize);
            pieces.push(a);
            rest = b;
        }
        assert_eq!(outcome(make(), limit, Pieces::new(pieces)), whole, "random pieces");
    }
    // The same, type erased.
    let boxed: Box<dyn Framing> = Box::new(make());
    assert_eq!(outcome(boxed, limit, Pieces::new(input.chunks(3))), whole);
    whole
}

fn texts(rows: &[Vec<u8>]) -> Vec<&str> {
    rows.iter().map(|r| std::str::from_utf8(r).unwrap()).collect()
}

/// Rows 31, 32. A delimiter of several bytes, also one whose beginning repeats, is found at every
/// cut; frames may be empty.
#[test]
fn b084_delimiters_are_found_at_every_cut() {
    let naive = |input: &[u8], delimiter: &[u8]| {
        let (mut frames, mut rest) = (Vec::new(), input);
        while let Some(n) = rest.windows(delimiter.len()).position(|w| w == delimiter) {
            frames.push(rest[..n].to_vec());
            rest = &rest[n + delimiter.len()..];
        }
        if !rest.is_empty() {
            frames.push(rest.to_vec());
        }
        frames
    };
    let inputs: [&[u8]; 5] = [
        b"one\0two\0\0four",
        b"aabaaabaaaabaabaaabaab",
        b"||a|||b||||c|",
        b"--x--boundary--x---x--x--",
        b"no delimiter at all",
    ];
    for input in inputs {
        for delimiter in [&b"\0"[..], b"|", b"||", b"aab", b"aaab", b"--x--", b"aabaaab"] {
            let make = || Delimited::new(delimiter).unwrap();
            let (rows, faults, error) = every_cut(make, 100, input);
            assert_eq!(rows, naive(input, delimiter), "{input:?} by {delimiter:?}");
            assert!(faults.is_empty() && error.is_none());
        }
    }
    assert_eq!(
        Delimited::new(b"").unwrap_err().to_string(),
        "a delimiter has 1 to 256 bytes, this one 0"
    );
    assert!(Delimited::new(&[0; 257]).is_err());
    let (rows, faults, _) =
        every_cut(|| Delimited::new(b"||").unwrap(), 4, b"a||12345||1234||12345678||b");
    assert_eq!(texts(&rows), ["a", "1234", "b"]);
    assert_eq!(
        faults[0].2,
        "in frame 2 (byte 3): the record has 5 bytes and the limit is 4; raise the limit or split \
         the record"
    );
    assert_eq!((faults[0].1, faults[1].1, faults.len()), (1, 3, 2));
    assert!(faults[1].2.contains("frame 4 (byte 16): the record has 8 bytes"), "{}", faults[1].2);
}

const LENGTHS: [LengthKind; 5] = [
    LengthKind::U16Be,
    LengthKind::U16Le,
    LengthKind::U32Be,
    LengthKind::U32Le,
    LengthKind::Varint,
];

fn framed(framing: &impl Framing, contents: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    contents.iter().for_each(|c| framing.write(c, &mut out).unwrap());
    out
}

/// Rows 31, 32. Lengths of every kind are read as they were written, at every cut, and every torn
/// end is told with its place.
#[test]
fn b084_lengths_are_read_at_every_cut() {
    let long = vec![b'x'; 300];
    let contents: [&[u8]; 5] = [b"one", b"", b"\n\0\xFF", &long, b"last"];
    for kind in LENGTHS {
        let input = framed(&LengthPrefix::new(kind), &contents);
        let (rows, faults, error) = every_cut(|| LengthPrefix::new(kind), 300, &input);
        assert_eq!(rows, contents, "{kind:?}");
        assert!(faults.is_empty() && error.is_none());
        let ends: Vec<usize> = (0..=contents.len())
            .map(|n| framed(&LengthPrefix::new(kind), &contents[..n]).len())
            .collect();
        for n in 0..input.len() {
            let (rows, faults, error) =
                outcome(LengthPrefix::new(kind), 300, Pieces::new([&input[..n]]));
            let whole = ends.iter().filter(|end| **end <= n).count() - 1;
            assert_eq!(rows, &contents[..whole], "{kind:?} cut off at {n}");
            assert!(error.is_none());
            assert_eq!(faults.len(), usize::from(n != ends[whole]), "{kind:?} cut off at {n}");
            if let Some((cause, seq, what)) = faults.first() {
                assert_eq!((*cause, *seq), (DeadCause::Poison, whole as u64));
                let place = format!("in frame {} (byte {}): the frame has", whole + 1, ends[whole]);
                assert!(what.starts_with(&place), "{what}");
            }
        }
    }
    assert_eq!(
        outcome(LengthPrefix::new(LengthKind::U32Be), 9, Pieces::new([&b"\0\0\0\x05abc"[..]])).1[0]
            .2,
        "in frame 1 (byte 0): the frame has 3 of 5 bytes, and the input ends; copy it again or mend \
         its end"
    );
}

/// A length that lies costs nothing: no memory, and the frame is told.
#[test]
fn b086_lengths_that_lie_allocate_nothing() {
    let lies: [(LengthKind, &[u8]); 4] = [
        (LengthKind::U16Be, b"\xFF\xFF"),
        (LengthKind::U32Be, b"\xFF\xFF\xFF\xFF"),
        (LengthKind::U32Le, b"\xFF\xFF\xFF\x7F"),
        (LengthKind::Varint, b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
    ];
    for (kind, lie) in lies {
        let input = [lie, b"some bytes that follow"].concat();
        for limit in [10, 1 << 20] {
            let (rows, faults, error) = every_cut(|| LengthPrefix::new(kind), limit, &input);
            assert!(rows.is_empty() && error.is_none() && faults.len() == 1, "{kind:?}");
            let mut source = frames::read(
                Reader::new("in", io::Cursor::new(input.clone())),
                LengthPrefix::new(kind),
            )
            .record_limit(limit)
            .block_bytes(64);
            let _ = read_all(&mut source, &inline(10), bytes);
            assert!(source.held_bytes() < 1024, "{}", source.held_bytes());
        }
    }
    // A long frame that is there is passed over, and the next one is read.
    for kind in LENGTHS {
        let input = framed(&LengthPrefix::new(kind), &[b"a", &[b'x'; 200], b"b"]);
        let (rows, faults, _) = every_cut(|| LengthPrefix::new(kind), 100, &input);
        assert_eq!(texts(&rows), ["a", "b"]);
        assert!(faults[0].2.contains("the record has 200 bytes and the limit is 100"), "{kind:?}");
    }
}

/// Bytes that are no length are an error that says where, once and again.
#[test]
fn what_is_no_varint_is_an_error() {
    for bad in [&[0xFF; 10][..], b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", &[0x80; 30]] {
        let input = [b"\x01a".as_slice(), bad].concat();
        let (rows, faults, error) =
            every_cut(|| LengthPrefix::new(LengthKind::Varint), 100, &input);
        assert_eq!((texts(&rows), faults.len()), (vec!["a"], 0));
        assert_eq!(
            error.unwrap(),
            "in frame 2 (byte 2): the length is no varint of 64 bits; is this another format?"
        );
    }
}

/// Records of CSV as a naive reader finds them: one byte at a time.
fn csv_model(input: &[u8], delimiter: u8, quote: u8) -> (Vec<Vec<u8>>, bool) {
    let body = input.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(input);
    let (mut records, mut record, mut quoted, mut start) = (Vec::new(), Vec::new(), false, true);
    let mut finish = |record: &mut Vec<u8>, feed: bool| {
        let mut r = std::mem::take(record);
        if feed && r.last() == Some(&b'\r') {
            r.pop();
        }
        if !r.is_empty() {
            records.push(r);
        }
    };
    let mut i = 0;
    while i < body.len() {
        let c = body[i];
        if quoted && c == quote && body.get(i + 1) == Some(&quote) {
            record.extend([c, c]);
            i += 2;
            continue;
        }
        if c == quote && (quoted || start) {
            quoted = !quoted;
        } else if c == b'\n' && !quoted {
            finish(&mut record, true);
            (start, i) = (true, i + 1);
            continue;
        }
        start = !quoted && c == delimiter;
        record.push(c);
        i += 1;
    }
    if !quoted {
        finish(&mut record, false);
    }
    (records, quoted)
}

/// Row 31. CSV records end where a naive reader says, at every cut: quotes, doubled quotes, line
/// ends inside quotes, quotes inside fields, marks, blank lines.
#[test]
fn b084_csv_records_are_found_at_every_cut() {
    let inputs: [&[u8]; 13] = [
        b"a,b\n1,2\r\n3,4",
        b"a\r\r\nb\r",
        b"\xEF\xBB\xBF\"a\nb\",c\nd\n",
        b"\"x\"\"y\n\"\"\",z\r\n\r\n\n1\n",
        b"a\"b\nc\",d\n",
        b"\"a\"b\"\nc\"\n",
        b"\"\",\"\"\n\"\"\"\"\n",
        b"a,\"b\nc",
        b"\"unclosed\nand\nmore\n",
        b"a;b;\"c\n;\"\n'x\n'\n",
        b"\xEF\xBBa\n\xEF\xBB\xBF\"q\n\"\n",
        b"\"a\",\"b\"\r\n\"c\r\nd\",e\r\n",
        b"",
    ];
    for input in inputs {
        for (delimiter, quote) in [(b',', b'"'), (b';', b'"'), (b'\t', b'\'')] {
            let make = || CsvFraming::new(delimiter, quote);
            let (rows, faults, error) = every_cut(make, 100, input);
            let (records, torn) = csv_model(input, delimiter, quote);
            assert_eq!(rows, records, "{:?}", String::from_utf8_lossy(input));
            assert_eq!(faults.len(), usize::from(torn), "{faults:?}");
            assert!(error.is_none());
        }
    }
    // Random texts of the characters that matter.
    let mut random = Draws(11);
    for _ in 0..2000 {
        let input: Vec<u8> =
            (0..random.below(24)).map(|_| b"\",\n\ra"[random.below(5) as usize]).collect();
        let (records, torn) = csv_model(&input, b',', b'"');
        let chunks = Pieces::new(input.chunks(1 + random.below(4) as usize));
        let (rows, faults, _) = outcome(CsvFraming::default(), 100, chunks);
        assert_eq!((rows, faults.len()), (records, usize::from(torn)), "{input:?}");
    }
}

/// Places of CSV count records, lines and bytes, line ends inside quotes included; a quote that is
/// not closed costs the limit, or the end of the input, and is told.
#[test]
fn csv_places_are_exact() {
    let input = b"h1,h2\n\"two\nlines\",b\n\nlong long long long\n\"open\nto\nthe\nend";
    let (rows, faults, _) = every_cut(CsvFraming::default, 15, input);
    assert_eq!(texts(&rows), ["h1,h2", "\"two\nlines\",b"]);
    let told: Vec<&str> = faults.iter().map(|f| f.2.as_str()).collect();
    assert_eq!(
        told,
        [
            "in record 3, line 5 (byte 21): the record has 19 bytes and the limit is 15; raise the \
             limit or split the record",
            "in record 4, line 6 (byte 41): a quote is opened and never closed, and the input ends; \
             copy it again or mend its end"
        ]
    );
    assert_eq!((faults[0].1, faults[1].1), (4, 5));
    // Behind the limit it goes on with the next line.
    let input = b"a\n\"open 4567890123456789012 rest\nb,c\n\"d\n\"\n";
    let (rows, faults, _) = every_cut(CsvFraming::default, 10, input);
    assert_eq!(texts(&rows), ["a", "b,c", "\"d\n\""]);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].2.contains("record 2, line 2 (byte 2)"), "{}", faults[0].2);
}

/// Names of columns from the header, rows as text; a field `bad` is refused.
#[derive(Default)]
struct Table(Vec<String>);

impl Decode for Table {
    type Col = Vec<String>;

    fn begin(&mut self) {
        self.0.clear();
    }

    fn has_header(&self) -> bool {
        true
    }

    fn header(&mut self, frame: &[u8]) -> Result<(), RowError> {
        self.0 = String::from_utf8_lossy(frame).split(',').map(str::to_owned).collect();
        Ok(())
    }

    fn decode(&mut self, frame: &[u8], _at: Place, out: &mut Self::Col) -> Result<(), RowError> {
        let text = std::str::from_utf8(frame)?;
        if self.0.is_empty() {
            return Err(RowError::poison("there is no header"));
        }
        if text.contains("bad") {
            return Err(RowError::wrong_type("a bad field"));
        }
        let fields = self.0.iter().zip(text.split(','));
        out.push(fields.map(|(k, v)| format!("{k}={v} ")).collect());
        Ok(())
    }
}

fn table(dir: &std::path::Path, block: usize) -> Framed<Files, CsvFraming, Table> {
    let files = Files::list(["a.csv", "b.csv", "c.csv"].map(|f| dir.join(f)));
    frames::read(files, CsvFraming::default())
        .decode(Table::default())
        .record_limit(20)
        .block_bytes(block)
}

fn tables(test: &str) -> std::path::PathBuf {
    let dir = scratch(test);
    std::fs::write(dir.join("a.csv"), "\u{FEFF}x,y\n1,2\nbad,3\n\n\"4\n\",5\n").unwrap();
    std::fs::write(dir.join("b.csv"), "y,x\n6,7\na long record over the limit\n8,9").unwrap();
    std::fs::write(dir.join("c.csv"), "a header that is over the limit\n10,11\n\"12").unwrap();
    dir
}

/// Row 259. A wire format of one's own decodes at the source: each input has its header, what is
/// refused is told with file, record, line and byte, and keeps its bytes.
#[test]
fn decoders_plug_in() {
    let dir = tables("decoders");
    let mut source = table(&dir, 1000);
    assert_eq!(source.descriptor().kind, "csv");
    let read = read_all(&mut source, &inline(100), Clone::clone);
    assert_eq!(read.rows, ["x=1 y=2 ", "x=\"4\n\" y=5 ", "y=6 x=7 ", "y=8 x=9 "]);
    let told: Vec<String> =
        read.faults.iter().map(|f| f.what.replace(&format!("{}/", dir.display()), "")).collect();
    assert_eq!(
        told,
        [
            "a.csv record 2, line 3 (byte 11): a bad field",
            "b.csv record 2, line 3 (byte 8): the record has 28 bytes and the limit is 20; raise the \
             limit or split the record",
            "c.csv record 1, line 1 (byte 0): the record has 31 bytes and the limit is 20; raise the \
             limit or split the record",
            "c.csv record 1, line 2 (byte 32): there is no header",
            "c.csv record 2, line 3 (byte 38): a quote is opened and never closed, and the input \
             ends; copy it again or mend its end",
        ]
    );
    let Original::Bytes(original) = &read.faults[0].original else { panic!() };
    assert_eq!(original, b"bad,3");
    assert_eq!(read.faults[0].cause, DeadCause::Type);
}

/// Row 37. Positions are exact to the record, also behind a header, in every format.
#[test]
fn every_format_resumes_behind_every_frame() {
    let dir = tables("resume_frames");
    for block in [1, 7, 1000] {
        resume_everywhere(|| table(&dir, block), Clone::clone);
    }
    conformance::source::laws(|| table(&dir, 8), Clone::clone);
    let path = dir.join("frames");
    let framings: [fn() -> Box<dyn Framing>; 4] = [
        || Box::new(LengthPrefix::new(LengthKind::U16Le)),
        || Box::new(LengthPrefix::new(LengthKind::Varint)),
        || Box::new(Delimited::new(b"\r\n.\r\n").unwrap()),
        || Box::new(LineFraming),
    ];
    for make in framings {
        let long = [b'y'; 200];
        let input = framed(&make(), &[b"one", b"\r.", &long, b"\0", b"last frame"]);
        std::fs::write(&path, &input[..input.len() - 3]).unwrap();
        for block in [1, 9, 1000] {
            let source =
                || frames::read(Files::one(&path), make()).record_limit(100).block_bytes(block);
            resume_everywhere(source, bytes);
        }
        conformance::source::laws(
            || frames::read(Files::one(&path), make()).record_limit(100).block_bytes(16),
            bytes,
        );
    }
}

/// A framing of one's own: frames are numbers of the given base, each ended by anything else.
#[derive(Debug, Default)]
struct Digits {
    any: bool,
}

impl Framing for Digits {
    fn kind(&self) -> &'static str {
        "digits"
    }
    fn overhead(&self) -> usize {
        1
    }
    fn reset(&mut self, _first: bool) {
        self.any = false;
    }
    fn find(&mut self, bytes: &[u8]) -> Cut {
        bytes.iter().position(|b| !b.is_ascii_digit()).map_or(Cut::More, |n| Cut::End(n + 1))
    }
    fn trim(&self, frame: &[u8], _first: bool) -> (usize, usize) {
        (0, usize::from(frame.last().is_some_and(|b| !b.is_ascii_digit())))
    }
    fn end(&mut self, _len: u64) -> Result<(), String> {
        Ok(())
    }
    fn skips_empty(&self) -> bool {
        true
    }
    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        to.extend_from_slice(content);
        to.push(b' ');
        Ok(())
    }
}

/// Row 32. A framing of one's own plugs in beside the built-in ones.
#[test]
fn framings_plug_in() {
    let (rows, faults, error) = every_cut(Digits::default, 3, b"12, 7 and 12345 or 99");
    assert_eq!(texts(&rows), ["12", "7", "99"]);
    assert_eq!(faults.len(), 1);
    assert_eq!(error, None);
}

fn written<F: Framing>(framing: F, rows: &[&[u8]]) -> Result<Vec<u8>, EncodeError> {
    let mut col = ByteColumn::default();
    rows.iter().for_each(|r| col.push(r));
    let mut out = Vec::new();
    Rows::<ByteColumn, F>::new(framing).encode(&col, &mut out).map(|()| out)
}

/// Row 33. What a sink of a format wrote is read back by the source of it; what would not be is
/// refused with the row's number.
#[test]
fn b096_formats_are_read_back() {
    let rows: [&[u8]; 4] = [b"one", b"two words", b"\"with\nlines\",x", b"\xFF\0"];
    for kind in LENGTHS {
        let input = written(LengthPrefix::new(kind), &rows).unwrap();
        assert_eq!(outcome(LengthPrefix::new(kind), 99, Pieces::new([&input[..]])).0, rows);
    }
    let zero = || Delimited::new(b"\0\0").unwrap();
    let refused = |e: EncodeError| (e.row, e.what);
    assert_eq!(
        refused(written(zero(), &rows).unwrap_err()),
        (3, "it would be cut by the delimiter; choose another one".to_owned())
    );
    let input = written(zero(), &rows[..3]).unwrap();
    assert_eq!(outcome(zero(), 99, Pieces::new([&input[..]])).0, rows[..3]);

    let input = written(CsvFraming::default(), &rows).unwrap();
    assert_eq!(outcome(CsvFraming::default(), 99, Pieces::new([&input[..]])).0, rows);
    for bad in [&b"a\nb"[..], b"\"open", b"\"a\"\n", b"x,\"y"] {
        let e = written(CsvFraming::default(), &[b"good", bad]).unwrap_err();
        assert_eq!(e.row, 1);
        assert!(e.what.contains("not one csv record"), "{}", e.what);
    }
    let e = written(LengthPrefix::new(LengthKind::U16Be), &[&vec![0; 65_536]]).unwrap_err();
    assert_eq!(e.what, "it has 65536 bytes and its length can say 65535 at most");
    assert!(written(LineFraming, &[b"a\nb"]).unwrap_err().what.contains("a line feed"));
}

/// Laws of sinks for a framing's rows in a file, read back by its source.
#[test]
fn files_of_frames_keep_the_laws_of_sinks() {
    let dir = scratch("frames_sink");
    let next = std::sync::atomic::AtomicU32::new(0);
    let world = || {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        dir.join(format!("{n}.frames"))
    };
    let rows = || {
        let mut col = ByteColumn::default();
        (0..20).for_each(|i| col.push(format!("row {i}\n").as_bytes()));
        col
    };
    let framing = || LengthPrefix::new(LengthKind::Varint);
    conformance::sink::laws(
        world,
        |path| FileSink::new(path, Rows::<ByteColumn, _>::new(framing())).write_bytes(16),
        |path| read_all(&mut frames::read(Files::one(path), framing()), &inline(100), bytes).rows,
        rows,
    );
}

/// A source without an end of its own that fails for good says so each time, and drains first.
#[test]
fn a_lost_stream_gives_the_rows_before_it() {
    let input = [b"\x01a\x01b".as_slice(), &[0xFF; 12]].concat();
    let mut source = frames::read(
        Reader::new("in", io::Cursor::new(input)),
        LengthPrefix::new(LengthKind::Varint),
    );
    let cx = inline(10);
    let mut batch = Batch::default();
    let mut fill = |batch: &mut Batch<ByteColumn>| -> Result<Filled, StageError> {
        block_on(source.fill(batch, &cx))
    };
    assert_eq!(fill(&mut batch).unwrap(), Filled::More);
    assert_eq!(batch.col.rows(), 2);
    for _ in 0..2 {
        let e = fill(&mut batch).unwrap_err();
        assert_eq!((e.class, e.kind), (ErrorClass::Permanent, ErrorKind::Serialization));
    }
}

/// A sink and a source may be written against the traits alone.
#[test]
fn a_source_of_frames_is_its_parts() {
    let mut source = Framed::new(Reader::new("in", &b"a\nb"[..]), LineFraming, AsBytes);
    assert_eq!(read_all(&mut source, &inline(10), bytes).rows, [b"a", b"b"]);
    let mut sink =
        FileSink::new(scratch("parts_of").join("f"), Rows::<ByteColumn, _>::new(LineFraming));
    block_on(sink.close(&inline(1))).unwrap();
    assert_eq!(sink.descriptor().kind, "lines");
}
