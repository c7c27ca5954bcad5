//! The command-line row of the bad-input catalogue: named calls of the program, each with its exact
//! output and exit code, in a directory of their own.

use crate::golden::golden;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A small pipeline that can run.
const GOOD: &str = r#"version = 1
name = "pairs"
[run]
engine = "sync"
[source.in]
path = "in.ndjson"
format = "ndjson"
[accumulate]
key = "k"
variable = "v"
required = ["a", "b"]
[sink.out]
path = "out/complete.ndjson"
takes = ["complete", "partial"]
[sink.bad]
path = "out/bad.ndjson"
takes = ["dead_letters"]
"#;

const FIXTURE: &str = r#"
[[test]]
name = "a pair"
input = '''
{"k":1,"v":"a"}
{"k":1,"v":"b"}
{"k":2,"v":"b"}
{"k":2,"v":"b"}
nothing
'''
expect = [{ key = "1", status = "complete" }, { key = "2", status = "partial", missing = ["a"] }]
duplicates = 1
dead_letters = 1
"#;

const LETTERS: &str = r#"{"reason":"poison","what":"in.ndjson line 3, byte 1: a record is an object: expected `{`","stage":"in","source":"in","line":3,"original":"nothing"}
{"reason":"type","what":"in.ndjson line 4: the record has no field `v`","stage":"in.fragment","source":"in","line":4,"original":"{\"k\":3}"}
{"reason":"type","what":"in.ndjson line 9: the record has no field `v`","stage":"in.fragment","source":"in","line":9,"original":"{\"k\":9,\"v\":\"a\"}"}
{"reason":"expired","what":"key 7 expired","stage":"accumulate","key":"7","fragments":2,"originals":["{\"k\":7,\"v\":\"a\"}","{\"k\":7,\"v\":\"b\"}"]}
{"reason":"expired","what":"key 8 expired","stage":"accumulate","key":"8","fragments":1}
"#;

/// A directory of its own below cargo's for tests, with the files that the calls name.
fn place(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("dir")).unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    file("good.toml", GOOD);
    file("in.ndjson", "{\"k\":1,\"v\":\"a\"}\n{\"k\":1,\"v\":\"b\"}\n");
    file("tested.toml", &format!("{GOOD}{FIXTURE}"));
    let wrong = FIXTURE.replace("missing = [\"a\"]", "missing = [\"c\"]");
    let wrong = wrong.replace("duplicates = 1", "duplicates = 2");
    file("wrong.toml", &format!("{GOOD}{}", wrong.replace("dead_letters = 1", "dead_letters = 0")));
    file(
        "stops.toml",
        &format!("{GOOD}{FIXTURE}").replace("\"ndjson\"", "\"ndjson\"\non_bad = \"fail\""),
    );
    file("empty.toml", "");
    file(
        "bad.toml",
        &GOOD.replace("takes = [\"dead", "take = [\"dead").replace("\"sync\"", "\"snyc\""),
    );
    file("stdin.toml", &GOOD.replace("path = \"in.ndjson\"", "kind = \"stdin\""));
    file("absent.toml", &GOOD.replace("in.ndjson", "absent.ndjson"));
    file("folder.toml", &GOOD.replace("in.ndjson", "dir"));
    file("outdir.toml", &GOOD.replace("out/complete.ndjson", "dir"));
    file("under.toml", &GOOD.replace("out/complete.ndjson", "in.ndjson/x/out.ndjson"));
    file("unwritten.toml", &GOOD.replace("\"in.ndjson\"", "\"${NOBODY_SETS_THIS}\""));
    file("same.toml", &GOOD.replace("out/complete", "a/x").replace("out/bad", "b/x"));
    file(
        "jq.toml",
        &GOOD.replace("[sink.out]", "[[stage]]\nname = \"s\"\njq = \"{k: .k, v: .v\"\n[sink.out]"),
    );
    std::fs::write(dir.join("latin.toml"), b"version = 1 # caf\xE9\n").unwrap();
    file("letters.ndjson", LETTERS);
    file("torn.ndjson", &LETTERS[..LETTERS.len() - 30]);
    file("bad.ndjson", LETTERS);
    dir
}

/// A call: its name, its arguments and what it gets on standard input.
struct Call {
    name: &'static str,
    args: Vec<OsString>,
    stdin: &'static str,
}

fn call(name: &'static str, args: &str) -> Call {
    Call { name, args: args.split_whitespace().map(OsString::from).collect(), stdin: "" }
}

fn calls() -> Vec<Call> {
    let mut calls: Vec<Call> = [
        ("no arguments", ""),
        ("unknown command", "assemble"),
        ("misspelt command", "chekc good.toml"),
        ("a file for a command", "good.toml"),
        ("unknown flag", "--fast"),
        ("unknown flag of run", "run good.toml --fast"),
        ("misspelt flag", "run good.toml --worker 2"),
        ("no file", "run"),
        ("no file to check", "check"),
        ("two files", "check good.toml bad.toml"),
        ("missing file", "check absent"),
        ("directory for a file", "check dir"),
        ("empty file", "check empty.toml"),
        ("file that is not utf-8", "check latin.toml"),
        ("faulty file", "check bad.toml"),
        ("faulty file run", "run bad.toml"),
        ("faulty file planned", "plan bad.toml"),
        ("faulty jq", "check jq.toml"),
        ("faulty file as json", "check bad.toml --json"),
        ("missing file as json", "--json run absent"),
        ("good file", "check good.toml"),
        ("good file as json", "check good.toml --json"),
        ("variable not set", "check unwritten.toml"),
        ("quiet and json", "run good.toml --quiet --json"),
        ("workers zero", "run good.toml --workers 0"),
        ("workers too many", "run good.toml --workers 1025"),
        ("workers a word", "run good.toml --workers many"),
        ("workers negative", "run good.toml --workers -1"),
        ("workers huge", "run good.toml --workers 18446744073709551616"),
        ("workers without a value", "run good.toml --workers"),
        ("batch zero", "run good.toml --batch 0"),
        ("batch too large", "run good.toml --batch 16385"),
        ("budget zero", "run good.toml --budget 0"),
        ("budget in words", "run good.toml --budget 64mb"),
        ("budget huge", "run good.toml --budget 99999999999TiB"),
        ("engine unknown", "run good.toml --engine rayn"),
        ("engine twice", "run good.toml --engine sync --engine tokio"),
        ("drawing unknown", "graph good.toml --as svgg"),
        ("shell unknown", "completions tcsh"),
        ("shell missing", "completions"),
        ("schema with an argument", "schema good.toml"),
        ("input missing", "run absent.toml"),
        ("input missing as json", "run absent.toml --json"),
        ("input a directory", "run folder.toml"),
        ("output a directory", "run outdir.toml"),
        ("output below a file", "run under.toml"),
        ("pipeline and source on standard input", "check -"),
        ("new", "new made.toml"),
        ("new over a file", "new good.toml"),
        ("new in no directory", "new absent/made.toml"),
        ("new checked", "check made.toml"),
        ("new tested", "test made.toml"),
        ("tested", "test tested.toml"),
        ("tested as json", "test tested.toml --json"),
        ("test fails", "test wrong.toml"),
        ("test fails as json", "test wrong.toml --json"),
        ("test stops", "test stops.toml"),
        ("no tests", "test good.toml"),
        ("test of a faulty file", "test bad.toml"),
        ("dlq without a command", "dlq"),
        ("dlq ls", "dlq ls letters.ndjson"),
        ("dlq ls as json", "dlq ls letters.ndjson --json"),
        ("dlq ls of nothing", "dlq ls empty.toml"),
        ("dlq ls of a missing file", "dlq ls absent"),
        ("dlq ls of records", "dlq ls in.ndjson"),
        ("dlq ls of a torn file", "dlq ls torn.ndjson"),
        ("dlq retry without a place", "dlq retry letters.ndjson good.toml"),
        ("dlq retry with two places", "dlq retry letters.ndjson good.toml --out o --replace"),
        ("dlq retry over the letters", "dlq retry bad.ndjson good.toml --out ."),
        ("dlq retry into one file", "dlq retry letters.ndjson same.toml --out o"),
        ("dlq retry", "dlq retry letters.ndjson good.toml --out again --quiet"),
    ]
    .map(|(name, args)| call(name, args))
    .into();
    let with = |name, args: Vec<OsString>| Call { name, args, stdin: "" };
    calls.push(with("empty name", vec!["check".into(), "".into()]));
    calls.push(with("very long name", vec!["check".into(), "x".repeat(5000).into()]));
    calls.push(with("control characters", vec!["check".into(), "a\u{1b}[31m\nb".into()]));
    calls.push(Call { stdin: "version = 2\n", ..call("faulty file on standard input", "check -") });
    calls.push(Call { stdin: GOOD, ..call("good file on standard input", "check -") });
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let name = OsString::from_vec(b"caf\xE9.toml".to_vec());
        calls.push(with("name that is not utf-8", vec!["check".into(), name]));
    }
    calls
}

fn flux_io(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flux-io"));
    command.current_dir(dir).env_remove("NOBODY_SETS_THIS").env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Every call is answered with what is wrong and what to do, on standard error, with exit
/// code 2 for a wrong call or file and 1 for a run or test that failed; nothing is read or written.
#[test]
fn usage_catalogue() {
    let dir = place("usage");
    let calls = calls();
    assert!(calls.len() >= 35, "{}", calls.len());
    let mut log = String::new();
    for call in &calls {
        let stdin = if call.name.starts_with("pipeline and source") {
            std::fs::read_to_string(dir.join("stdin.toml")).unwrap()
        } else {
            call.stdin.to_owned()
        };
        let mut child = flux_io(&dir).args(&call.args).spawn().unwrap();
        // A program that does not read its standard input may have gone.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.replace(&"x".repeat(5000), "xxx...")
        };
        writeln!(log, "== {}: exit {}", call.name, output.status.code().unwrap()).unwrap();
        for (mark, bytes) in [("1", &output.stdout), ("2", &output.stderr)] {
            for line in shown(bytes).lines() {
                writeln!(log, "{mark}> {line}").unwrap();
            }
        }
        assert_ne!(output.status.code(), Some(101), "{} panicked", call.name);
    }
    golden("usage.txt", &log);
}

/// What is read again arrives, what fails again is a dead letter again, and the letters stay.
#[test]
fn retry_reads_originals_again() {
    let dir = place("retry");
    let run = |args: &[&str]| flux_io(&dir).args(args).output().unwrap();
    let told = run(&["dlq", "retry", "letters.ndjson", "good.toml", "--out", "again"]);
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.starts_with("4 of 5 dead letters are read again, 1 stay\n"), "{said}");
    assert!(said.contains("  1 without what they were"), "{said}");
    let read = |name: &str| std::fs::read_to_string(dir.join("again").join(name)).unwrap();
    let complete: Vec<String> = read("complete.ndjson").lines().map(str::to_owned).collect();
    assert_eq!(complete.len(), 2, "{complete:?}");
    assert!(complete.iter().any(|l| l.contains("\"key\":\"7\",\"status\":\"complete\"")));
    assert!(complete.iter().any(|l| l.contains("\"key\":\"9\",\"status\":\"partial\"")));
    let bad = read("bad.ndjson");
    assert_eq!(bad.lines().count(), 2, "{bad}");
    assert!(bad.contains("\"original\":\"nothing\"") && bad.contains("{\\\"k\\\":3}"), "{bad}");
    assert_eq!(std::fs::read_to_string(dir.join("letters.ndjson")).unwrap(), LETTERS);
    assert!(!dir.join("out").exists());
    // Letters of letters can be read again too.
    let told = run(&["dlq", "ls", "again/bad.ndjson"]);
    assert!(
        String::from_utf8(told.stdout)
            .unwrap()
            .ends_with("2 dead letters, 2 with what they were\n")
    );
}

/// `new` does not touch a file that is there.
#[test]
fn new_overwrites_nothing() {
    let dir = place("new");
    let run = |args: &[&str]| flux_io(&dir).args(args).output().unwrap().status.code();
    assert_eq!(run(&["new", "good.toml"]), Some(2));
    assert_eq!(std::fs::read_to_string(dir.join("good.toml")).unwrap(), GOOD);
    assert_eq!(run(&["new"]), Some(0));
    assert_eq!(run(&["test", "pipeline.toml"]), Some(0));
    assert!(!dir.join("out").exists(), "a test writes nothing");
}

/// A reader that went away is no fault: nothing is said, and the exit code is that of SIGPIPE.
#[test]
fn a_closed_standard_output_is_quiet() {
    let dir = place("closed");
    for args in [&["schema"][..], &["plan", "good.toml"], &["test", "tested.toml"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = flux_io(&dir).args(args).stdout(writer).spawn().unwrap();
        drop(child.stdin.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(141), ""), "{args:?}");
    }
}

/// Ctrl-C once ends the input and the results are written; the exit code is the signal's.
#[cfg(unix)]
#[test]
fn an_interrupted_run_drains() {
    let dir = place("interrupted");
    let mut child = flux_io(&dir).args(["run", "stdin.toml", "--json"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"{\"k\":1,\"v\":\"a\"}\n{\"k\":1,\"v\":\"b\"}\n").unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // Signals are watched before the start is told.
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"event\":\"start\""), "{line}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    // The read that waits for more ends here.
    line.clear();
    told.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"event\":\"stopping\"}\n");
    drop(input);
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("\"ended\":\"stopped\""), "{rest}");
    assert!(dir.join("out/complete.ndjson").exists());
}

/// The examples' own fixtures hold, on any machine, without their data.
#[test]
fn examples_pass_their_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let file = entry.unwrap().path().join("pipeline.toml");
        if file.exists() {
            let output = flux_io(&place("examples")).arg("test").arg(&file).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(0), "{}: {told}", file.display());
            seen += 1;
        }
    }
    assert!(seen >= 2);
}
