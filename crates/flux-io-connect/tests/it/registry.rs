//! Connectors and formats by name.

use crate::host::{block_on, bytes, inline, read_all, scratch};
use flux_io_connect::frames::{Cut, Framing, Reader};
use flux_io_connect::output::WriterSink;
use flux_io_connect::registry::{AnySink, AnySource, Registry, RegistryError, Settings};
use flux_io_connect::{sink, source};
use flux_io_core::{Batch, ByteColumn, Column, Sink, Source, StageError};
use flux_io_testkit::conformance;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn column(rows: &[&str]) -> ByteColumn {
    let mut col = ByteColumn::default();
    rows.iter().for_each(|r| col.push(r.as_bytes()));
    col
}

fn write(registry: &Registry, address: &str, settings: &Settings, rows: &[&str]) {
    let (mut sink, cx) = (registry.sink(address, settings).unwrap(), inline(10));
    block_on(sink.write(&mut Batch::of(column(rows)), &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
}

fn read(registry: &Registry, address: &str, settings: &Settings) -> Vec<String> {
    let mut source = registry.source(address, settings).unwrap();
    let read = read_all(&mut source, &inline(10), |r| String::from_utf8_lossy(r).into_owned());
    assert!(read.error.is_none(), "{:?}", read.error);
    read.rows
}

/// Rows 36, 70. Every format of the standard registry is written and read back by name, and the
/// registry lists what it has.
#[test]
fn names_make_connectors() {
    let registry = Registry::standard();
    let dir = scratch("registry");
    let names: Vec<_> = registry.formats().map(|f| f.name.clone()).collect();
    assert_eq!(names.len(), 9);
    for name in &names {
        let mut settings = Settings::of(name);
        if name == "delimited" {
            settings = settings.option("delimiter", "--");
        }
        let path = dir.join(name);
        let address = path.to_str().unwrap();
        write(&registry, address, &settings, &["one", "two words", "three"]);
        assert_eq!(read(&registry, &format!("file:{address}"), &settings).len(), 3, "{name}");
    }
    let settings = Settings { overwrite: true, ..Settings::of("csv").option("delimiter", "\\t") };
    let address = dir.join("csv").display().to_string();
    write(&registry, &address, &settings, &["a\t\"b\nc\""]);
    assert_eq!(read(&registry, &address, &settings), ["a\t\"b\nc\""]);
    let found = |address: String| read(&registry, &address, &Settings::default()).len();
    assert_eq!(found(format!("{}/lin*", dir.display())), 3);
    assert!(found(format!("{}/", dir.display())) > 9);

    let schemes: Vec<_> = registry.schemes().map(|s| (s.name.as_str(), s.source, s.sink)).collect();
    assert_eq!(schemes, [("file", true, true), ("stdin", true, false), ("stdout", false, true)]);
    let d = registry.source("-", &Settings::default()).unwrap().descriptor();
    assert_eq!((d.kind, d.target.as_str()), ("lines", "stdin"));
    let d = registry.sink("-", &Settings::of("csv")).unwrap().descriptor();
    assert_eq!((d.kind, d.target.as_str()), ("csv", "stdout"));
}

/// Row 70. Errors name what is wrong and the nearest that is right.
#[test]
fn wrong_names_have_golden_texts() {
    let registry = Registry::standard();
    let source = |address: &str, s: Settings| registry.source(address, &s).unwrap_err().to_string();
    let lines = Settings::default;
    for (told, golden) in [
        (source("fle:a", lines()), "no source scheme is called `fle`; did you mean `file`?"),
        (
            source("s3:bucket", lines()),
            "no source scheme is called `s3`; known are file, stdin; a file of that name is written \
             `./s3:...`",
        ),
        (
            source("stdout:", lines()),
            "no source scheme is called `stdout`; known are file, stdin; a file of that name is \
             written `./stdout:...`",
        ),
        (
            source("a", Settings::of("ndjosn")),
            "no format is called `ndjosn`; did you mean `ndjson`?",
        ),
        (
            source("a", Settings::of("csv").option("delimeter", ";")),
            "no option of this format is called `delimeter`; did you mean `delimiter`?",
        ),
        (
            source("a", lines().option("quote", "'")),
            "no option of this format is called `quote`; there are none",
        ),
        (
            source("a", Settings::of("csv").option("quote", "''")),
            "format `csv`: option `quote` is one ASCII character, not `''`",
        ),
        (
            source("a", Settings::of("csv").option("quote", ",")),
            "format `csv`: delimiter and quote are the same; choose another one",
        ),
        (
            source("a", Settings::of("delimited")),
            "format `delimited`: option `delimiter`: a delimiter has 1 to 256 bytes, this one 0",
        ),
        (source("file:", lines()), "no path is given; name a file"),
        (
            registry.sink("stdot:", &lines()).unwrap_err().to_string(),
            "no sink scheme is called `stdot`; did you mean `stdout`?",
        ),
    ] {
        assert_eq!(told, golden);
    }
    let e = Registry::default().source("a", &lines()).unwrap_err();
    assert_eq!(e.to_string(), "no source scheme is called `file`; there are none");
}

/// Frames that end with a semicolon.
#[derive(Debug)]
struct Semicolons;

impl Framing for Semicolons {
    fn kind(&self) -> &'static str {
        "semicolons"
    }
    fn overhead(&self) -> usize {
        1
    }
    fn reset(&mut self, _first: bool) {}
    fn find(&mut self, bytes: &[u8]) -> Cut {
        bytes.iter().position(|b| *b == b';').map_or(Cut::More, |n| Cut::End(n + 1))
    }
    fn trim(&self, frame: &[u8], _first: bool) -> (usize, usize) {
        (0, usize::from(frame.last() == Some(&b';')))
    }
    fn end(&mut self, _len: u64) -> Result<(), String> {
        Ok(())
    }
    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        to.extend_from_slice(content);
        to.push(b';');
        Ok(())
    }
}

/// A writer that keeps what it gets.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Row 70. A plug-in adds a scheme and a format; both work with all others. Names have one owner.
#[test]
fn plug_ins_add_schemes_and_formats() {
    let mut registry = Registry::standard();
    let shelf = Shelf::default();
    let (to, from) = (shelf.clone(), shelf.clone());
    registry
        .add_source("shelf", "bytes in memory", move |request| {
            if request.rest != "a" {
                return Err(StageError::permanent(format!("there is no shelf {}", request.rest)));
            }
            let bytes = from.0.lock().map_err(|_| StageError::permanent("poisoned"))?.clone();
            Ok(request.read(Reader::new("shelf", std::io::Cursor::new(bytes))))
        })
        .unwrap();
    registry
        .add_sink("shelf", "bytes in memory", move |request| {
            Ok(AnySink::new(WriterSink::new("shelf", to.clone(), request.rows())))
        })
        .unwrap();
    registry
        .add_format("semicolons", "frames that end with `;`", &[], |_| Ok(Box::new(Semicolons)))
        .unwrap();
    for format in ["semicolons", "lines", "length-varint"] {
        shelf.0.lock().unwrap().clear();
        write(&registry, "shelf:a", &Settings::of(format), &["x", "y z"]);
        assert_eq!(read(&registry, "shelf:a", &Settings::of(format)), ["x", "y z"]);
    }
    let about = registry.schemes().find(|s| s.name == "shelf").unwrap();
    assert!(about.source && about.sink && about.what == "bytes in memory");
    let refused = registry.source("shelf:b", &Settings::default()).unwrap_err();
    assert_eq!(refused.to_string(), "there is no shelf b");

    // A scheme may give rows that are not cut from bytes at all.
    registry
        .add_source("count", "numbers", |request| {
            let n: u32 = request
                .rest
                .parse()
                .map_err(|e| StageError::permanent("count:N wants a number").because(e))?;
            Ok(AnySource::new(Numbers(0, n)))
        })
        .unwrap();
    assert_eq!(read(&registry, "count:3", &Settings::default()), ["0", "1", "2"]);
    let e = registry.source("count:x", &Settings::default()).unwrap_err();
    assert_eq!(flux_io_core::chain(&e), "count:N wants a number: invalid digit found in string");

    let again = registry.add_source("shelf", "", |_| Err(StageError::permanent("")));
    assert!(matches!(again, Err(RegistryError::Taken { .. })));
    assert_eq!(
        registry.add_format("csv", "", &[], |_| Ok(Box::new(Semicolons))).unwrap_err().to_string(),
        "there is a format called `csv` already; choose another name"
    );
    for bad in ["", "x", "Up", "a b", "1a", "a:b"] {
        let e = registry.add_sink(bad, "", |_| Err(StageError::permanent("")));
        assert!(matches!(e, Err(RegistryError::Name { .. })), "{bad}");
    }
}

/// The numbers from `.0` to below `.1`, as text.
struct Numbers(u32, u32);

impl Source for Numbers {
    type Col = ByteColumn;

    async fn fill(
        &mut self,
        out: &mut Batch<ByteColumn>,
        cx: &flux_io_core::IoCx,
    ) -> Result<flux_io_core::Filled, StageError> {
        while self.0 < self.1 && out.col.rows() < cx.max_rows() {
            out.col.push(self.0.to_string().as_bytes());
            self.0 += 1;
        }
        Ok(if self.0 < self.1 { flux_io_core::Filled::More } else { flux_io_core::Filled::End })
    }
}

/// A path with a colon or a drive is a path.
#[test]
fn paths_are_no_schemes() {
    let registry = Registry::standard();
    for (address, target) in [
        ("./fle:a", "./fle:a"),
        ("C:\\data\\a.csv", "C:\\data\\a.csv"),
        ("file:x:y", "x:y"),
        ("Ab:c", "Ab:c"),
    ] {
        let d = registry.source(address, &Settings::default()).unwrap().descriptor();
        assert_eq!(d.target, target);
    }
}

/// Sources and sinks keep their laws without their types.
#[test]
fn erased_connectors_keep_the_laws() {
    let registry = Registry::standard();
    let dir = scratch("registry_laws");
    let path = dir.join("in.csv");
    fs::write(&path, "a,b\n\"c\nd\",e\nf\ng\nh\ni").unwrap();
    let address = path.display().to_string();
    conformance::source::laws(|| registry.source(&address, &Settings::of("csv")).unwrap(), bytes);
    conformance::source::laws(|| AnySource::new(source::iter(0..20)), |n| *n);
    let next = AtomicU32::new(0);
    conformance::sink::laws(
        || dir.join(next.fetch_add(1, Ordering::SeqCst).to_string()).display().to_string(),
        |address| registry.sink(address, &Settings::of("length-u16be")).unwrap(),
        |address| read(&registry, address, &Settings::of("length-u16be")),
        || column(&["a", "bb", "", "c\n"]),
    );
    let (collect, rows) = sink::collect::<u32>();
    let mut any = AnySink::new(collect);
    block_on(any.write(&mut Batch::of(vec![1, 2]), &inline(1))).unwrap();
    block_on(any.close(&inline(1))).unwrap();
    assert_eq!(rows.take(), [1, 2]);
}
