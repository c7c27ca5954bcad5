//! Files found by patterns and in directories.

use crate::host::{block_on, bytes, inline, read_all, scratch};
use crate::positions::resume_everywhere;
use flux_io_connect::frames::{self, Files, Inputs, LineFraming, Reader};
use flux_io_connect::lines::{self, Found};
use flux_io_core::{Batch, ErrorClass, Source};
use flux_io_testkit::conformance;
use std::fs;
use std::path::{Path, PathBuf};

/// Files whose one line is their own path below the directory.
fn tree(test: &str, files: &[&str]) -> PathBuf {
    let dir = scratch(test);
    for file in files {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{file}\n")).unwrap();
    }
    dir
}

fn rows_of<I: Inputs>(inputs: I) -> Vec<String> {
    let mut source = frames::read(inputs, LineFraming);
    let read = read_all(&mut source, &inline(100), |r| String::from_utf8_lossy(r).into_owned());
    assert!(read.error.is_none(), "{:?}", read.error);
    read.rows
}

fn glob(dir: &Path, pattern: &str) -> Found {
    Found::glob(dir.join(pattern).to_str().unwrap())
}

const FILES: [&str; 9] = [
    "b.json",
    "a.json",
    "a.json.gz",
    ".hidden.json",
    "x/1.json",
    "x/y/2.json",
    "x/.z/3.json",
    "X.txt",
    "part-10",
];

/// Row 33. Files that fit a pattern are read in order of their paths; hidden ones are left out.
#[test]
fn patterns_find_files_in_order() {
    let dir = tree("globs", &FILES);
    for (pattern, found) in [
        ("*.json", &["a.json", "b.json"][..]),
        ("a.json", &["a.json"]),
        ("[!b].json", &["a.json"]),
        ("?.json", &["a.json", "b.json"]),
        ("*/*.json", &["x/1.json"]),
        ("**/*.json", &["a.json", "b.json", "x/1.json", "x/y/2.json"]),
        ("**/**/*.json", &["a.json", "b.json", "x/1.json", "x/y/2.json"]),
        ("x/**/[12].json", &["x/1.json", "x/y/2.json"]),
        ("x/.z/*", &["x/.z/3.json"]),
        (".*", &[".hidden.json"]),
        ("part-[0-9][0-9]", &["part-10"]),
        ("*", &["X.txt", "a.json", "a.json.gz", "b.json", "part-10"]),
        ("**", &[]),
    ] {
        assert_eq!(rows_of(glob(&dir, pattern).allow_none(true)), found, "{pattern}");
    }
    assert_eq!(rows_of(Found::directory(&dir)).len(), 5);
    assert_eq!(rows_of(Found::directory(&dir).recursive(true)).len(), 7);
    assert_eq!(rows_of(Found::directory(&dir).recursive(true).recursive(false)).len(), 5);
}

/// Links to files are followed, links to directories are not: no walk goes in circles.
#[cfg(unix)]
#[test]
fn links_make_no_circles() {
    let dir = tree("links", &["a", "d/b"]);
    std::os::unix::fs::symlink(&dir, dir.join("d/up")).unwrap();
    std::os::unix::fs::symlink(dir.join("a"), dir.join("d/c")).unwrap();
    assert_eq!(rows_of(Found::directory(&dir).recursive(true)), ["a", "d/b", "a"]);
}

/// Finding nothing is told, unless it is allowed; so is a directory that is not there.
#[test]
fn finding_nothing_is_an_error() {
    let dir = tree("nothing", &["a"]);
    let fails = |found: Found| {
        let read = read_all(&mut frames::read(found, LineFraming), &inline(1), bytes);
        let e = read.error.unwrap();
        assert_eq!(e.class, ErrorClass::Permanent);
        flux_io_core::chain(&e)
    };
    let e = fails(glob(&dir, "*.csv"));
    assert!(e.starts_with("no file fits ") && e.contains("*.csv; look at"), "{e}");
    let e = fails(glob(&dir.join("absent"), "*"));
    assert!(e.starts_with("cannot list ") && e.contains("absent"), "{e}");
    assert!(rows_of(glob(&dir, "*.csv").allow_none(true)).is_empty());
}

fn numbers(dir: &Path) {
    for (file, n) in [("a", 3), ("b", 0), ("c", 5), ("d", 1)] {
        let text: String = (0..n).map(|i| format!("{file}{i}\n")).collect();
        fs::write(dir.join(file), text).unwrap();
    }
}

/// Row 37. Found files resume behind every row, and keep the laws of sources.
#[test]
fn found_files_resume_behind_every_row() {
    let dir = scratch("found_resume");
    numbers(&dir);
    for block in [1, 4, 1000] {
        resume_everywhere(|| frames::read(glob(&dir, "*"), LineFraming).block_bytes(block), bytes);
    }
    conformance::source::laws(|| lines::glob(dir.join("*").to_str().unwrap()), bytes);
}

/// A checkpoint names the file it stands in: files added behind it are read, a list that changed
/// before it is refused.
#[test]
fn a_changed_list_is_refused() {
    let stop = |dir: &Path, rows: usize| {
        let mut source = frames::read(glob(dir, "*"), LineFraming);
        for _ in 0..rows {
            block_on(source.fill(&mut Batch::default(), &inline(1))).unwrap();
        }
        source.position().unwrap()
    };
    let resumed = |dir: &Path, rows: usize, change: &dyn Fn()| {
        numbers(dir);
        let token = stop(dir, rows);
        change();
        let mut source = frames::read(glob(dir, "*"), LineFraming);
        source.seek(&token).map(|()| read_all(&mut source, &inline(100), bytes).rows.len())
    };
    for rows in [2, 5] {
        let dir = scratch("found_changed");
        let left = resumed(&dir, rows, &|| fs::write(dir.join("e"), "1\n2\n").unwrap()).unwrap();
        assert_eq!(left, 9 - rows + 2);
        let dir = scratch("found_changed");
        let e = resumed(&dir, rows, &|| fs::write(dir.join("0"), "0\n").unwrap()).unwrap_err();
        assert_eq!(e.class, ErrorClass::Catastrophic);
        assert!(e.what.contains("bring the files before it back"), "{}", e.what);
        let dir = scratch("found_changed");
        assert!(resumed(&dir, rows, &|| fs::remove_file(dir.join("a")).unwrap()).is_err());
    }
    let dir = scratch("found_changed");
    let gone = resumed(&dir, 9, &|| {
        ["a", "b", "c"].iter().for_each(|f| fs::remove_file(dir.join(f)).unwrap())
    });
    assert!(gone.unwrap_err().what.contains("give the same files in the same order"));
}

/// Which inputs there are may be known late.
#[test]
fn inputs_may_be_boxed() {
    let dir = tree("boxed", &["a", "b"]);
    let inputs: [Box<dyn Inputs>; 3] = [
        Box::new(Files::one(dir.join("a"))),
        Box::new(glob(&dir, "*")),
        Box::new(Reader::new("r", &b"x\n"[..])),
    ];
    let rows: Vec<_> = inputs.into_iter().map(rows_of).collect();
    assert_eq!(rows, [vec!["a"], vec!["a", "b"], vec!["x"]]);
    let inputs: Box<dyn Inputs> = Box::new(glob(&dir, "*"));
    let boxed = frames::read(inputs, LineFraming).called("box");
    let d = boxed.descriptor();
    assert!(d.seekable && d.kind == "box" && d.target.ends_with('*'));
}
