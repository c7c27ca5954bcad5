//! The pages of the book are run: files that a page shows are written, commands that it shows are
//! run beside them, and what it shows of their output must come out again.
//!
//! A block whose info string has a second word is a file of that name. In a block of language
//! `console`, a line `$ ..` is a command (`flux-io`, or `cat` of files), and what follows is its
//! output, standard error behind standard output; `(exit code N)` stands behind one that fails.
//! Runs have two workers, whatever the machine has: the order of results of different keys depends
//! on it. Figures of speed and memory are not compared. `FLUX_IO_BLESS=1` writes what comes out now.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A page, line by line: text that stays, and consoles that are run.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn named(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        let text = fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// Runs everything in `dir` and gives the page as it should read.
    fn run(&self, dir: &Path) -> String {
        let mut out = String::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            _ = writeln!(out, "{line}");
            let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else {
                continue;
            };
            let block: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            match info.split_once(' ') {
                Some((_, name)) => {
                    fs::write(dir.join(name), block.join("\n") + "\n").unwrap();
                    _ = writeln!(out, "{}", block.join("\n"));
                }
                None if info == "console" => {
                    for command in block.iter().filter_map(|l| l.strip_prefix("$ ")) {
                        _ = write!(out, "$ {command}\n{}", console(dir, command));
                    }
                }
                None => _ = writeln!(out, "{}", block.join("\n")),
            }
            out.push_str("```\n");
        }
        out
    }
}

/// What a command says.
fn console(dir: &Path, command: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    let mut args: Vec<&str> = words.collect();
    if program == "cat" {
        return args.iter().map(|f| fs::read_to_string(dir.join(f)).unwrap()).collect();
    }
    assert_eq!(program, "flux-io", "a page runs nothing else: {command}");
    if args.first() == Some(&"run") {
        args.extend(["--workers", "2"]);
    }
    let run = Command::new(env!("CARGO_BIN_EXE_flux-io"))
        .args(&args)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap();
    let mut said = String::from_utf8(run.stdout).unwrap();
    said.push_str(&String::from_utf8(run.stderr).unwrap());
    if !said.is_empty() && !said.ends_with('\n') {
        said.push('\n');
    }
    match run.status.code() {
        Some(0) => {}
        code => _ = writeln!(said, "(exit code {})", code.unwrap_or(-1)),
    }
    said
}

/// A line without figures of speed and memory.
fn plain(line: &str) -> String {
    let measured = line.contains(": done in ") || line.starts_with("peak memory");
    if !measured && !line.ends_with("/s") {
        return line.trim_end().to_owned();
    }
    let kept = line.chars().filter(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',' | ' '));
    kept.collect()
}

fn check(name: &str) {
    let page = Page::named(name);
    let dir = std::env::temp_dir().join(format!(
        "flux-io-book-{}-{}",
        std::process::id(),
        name.replace(['/', '.'], "-")
    ));
    fs::create_dir_all(&dir).unwrap();
    let found = page.run(&dir);
    fs::remove_dir_all(&dir).unwrap();
    if std::env::var_os("FLUX_IO_BLESS").is_some() {
        fs::write(&page.path, &found).unwrap();
        return;
    }
    for (n, (want, got)) in page.text.lines().zip(found.lines()).enumerate() {
        assert_eq!(plain(want), plain(got), "{name}, line {}", n + 1);
    }
    assert_eq!(page.text.lines().count(), found.lines().count(), "{name}");
}

macro_rules! pages {
    ($($test:ident: $name:literal,)*) => { $(
        #[test]
        fn $test() {
            check($name);
        }
    )* };
}

pages! {
    orders_are_assembled: "cookbook/orders.md",
    csv_and_ndjson_are_joined: "cookbook/join.md",
    a_feed_is_deduplicated: "cookbook/dedupe.md",
    bad_records_are_routed: "cookbook/bad-records.md",
    a_csv_file_is_cleaned: "cookbook/etl.md",
    the_first_pipeline_is_broken_and_mended: "guide/first-pipeline.md",
}

/// The front page is run as the others are.
#[test]
fn the_front_page_is_run() {
    check("../README.md");
}

/// Row 308: streaming analytics. Sessions end by inactivity in event time.
#[test]
fn sessions_end_by_inactivity() {
    check("cookbook/sessions.md");
}

/// Row 297. There is a cookbook: every page is in the table of contents, and every entry is a page.
#[test]
fn the_contents_are_whole() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let contents = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: Vec<&str> =
        contents.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for page in &listed {
        assert!(docs.join(page).is_file(), "{page} is listed and not there");
    }
    for folder in ["guide", "cookbook"] {
        for entry in fs::read_dir(docs.join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(listed.contains(&name.as_str()), "{name} is not in SUMMARY.md");
        }
    }
}
