//! The program as a process: what it prints, how it ends, and what it leaves behind.

#[path = "../program/mod.rs"]
mod process;

use crate::golden::golden;
pub(crate) use process::{events, flux_io, fresh};
use process::{results, root, said, summary, wrote};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Two variables by key, into files.
const PAIRS: &str = r#"version = 1
name = "pairs"
[run]
engine = "sync"
workers = 2
[source.in]
path = "IN"
format = "ndjson"
[accumulate]
key = "k"
variable = "v"
required = ["a", "b"]
[sink.out]
path = "OUT/results.ndjson"
takes = ["complete", "partial", "late"]
[sink.bad]
path = "OUT/dead.ndjson"
takes = ["dead_letters"]
"#;

fn run_in(dir: &Path, file: &str, input: &str, args: &[&str]) -> Output {
    std::fs::write(dir.join("in.ndjson"), input).unwrap();
    std::fs::write(dir.join("pipeline.toml"), placed(dir, file)).unwrap();
    flux_io().arg("run").args(args).arg(dir.join("pipeline.toml")).output().unwrap()
}

/// The pipeline with its paths in a directory.
pub(crate) fn placed(dir: &Path, file: &str) -> String {
    let dir = dir.display().to_string();
    file.replace("\"IN\"", &format!("\"{dir}/in.ndjson\"")).replace("OUT", &dir)
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const INPUT: &str = concat!(
    "{\"k\":1,\"v\":\"a\",\"x\":1}\n",
    "{\"k\":2,\"v\":\"b\"}\n",
    "\n",
    "{\"k\":1,\"v\":\"b\",\"y\":\"z, \\\"q\\\"\"}\n",
    "{\"k\":1,\"v\":\"b\"}\n",
    "{\"k\":3,\"v\":\"c\"}\n",
    "{\"v\":\"a\"}\n",
    "{\"k\":4,\"v\n",
);

#[test]
fn results_and_dead_letters_say_what_became_of_each() {
    let dir = fresh("pairs");
    let output = run_in(&dir, PAIRS, INPUT, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    golden("program/results.txt", &read(dir.join("results.ndjson")));
    let dead = read(dir.join("dead.ndjson")).replace(&dir.display().to_string(), "DIR");
    golden("program/dead_letters.txt", &dead);
    let summary = summary(&wrote(&output));
    assert_eq!(summary["records"], 7);
    assert_eq!(summary["complete"], 1);
    assert_eq!(summary["partial"], serde_json::json!({ "end": 1 }));
    assert_eq!(summary["missing"], serde_json::json!({ "a": 1 }));
    assert_eq!(summary["duplicates"], 1);
    assert_eq!(summary["dead_letters"], serde_json::json!({ "poison": 1, "type": 1, "no_key": 1 }));
    assert_eq!(summary["ended"], "done");
    assert!(summary["peak_memory_bytes"].as_u64().unwrap() > 0);
}

/// Time and memory differ from run to run; everything else of the summary is fixed.
#[test]
fn the_summary_for_people() {
    let dir = fresh("summary");
    let output = run_in(&dir, PAIRS, INPUT, &[]);
    let text = wrote(&output).replace(&dir.display().to_string(), "DIR");
    let steady: Vec<&str> =
        text.lines().filter(|l| !l.contains("/s") && !l.starts_with("peak memory")).collect();
    let first = steady[0].split(" in ").next().unwrap();
    golden("program/summary.txt", &format!("{first}\n{}\n", steady[1..].join("\n")));
    let quiet = run_in(&dir, PAIRS, INPUT, &["--quiet"]);
    assert_eq!((wrote(&quiet).as_str(), said(&quiet).as_str()), ("", ""));
}

#[test]
fn merged_results_routes_and_csv() {
    let dir = fresh("merged");
    let file = PAIRS
        .replace("required", "emit = \"merged\"\nrequired")
        .replace("OUT/results.ndjson\"", "OUT/results.csv\"\nformat = \"csv\"\ncolumns = [\"key\", \"status\", \"x\", \"y\", \"missing\"]")
        + "[[route]]\nname = \"second\"\nof = [\"partial\"]\nwhen = \"key == \\\"2\\\"\"\nto = \"two\"\n\
           [sink.two]\npath = \"OUT/two.ndjson\"\n";
    let output = run_in(&dir, &file, INPUT, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        read(dir.join("results.csv")),
        "key,status,x,y,missing\n1,complete,1,\"z, \"\"q\"\"\",\n"
    );
    assert_eq!(results(&dir.join("two.ndjson"))[0]["record"]["v"], "b");
    // Without chosen columns the header is the first result's, and a field beside it is told.
    let file = file.replace("columns = [\"key\", \"status\", \"x\", \"y\", \"missing\"]", "");
    let file = file.replace("of = [\"partial\"]", "of = [\"late\"]");
    let output = run_in(&dir, &file, INPUT, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("FLX-R002"), "{}", said(&output));
    assert!(said(&output).contains("name the columns"), "{}", said(&output));
}

/// Row 306. From several inputs into one output: files by pattern, CSV and NDJSON joined by one key,
/// stages that cast, set, filter and rebuild, and what cannot be used with its place.
#[test]
fn csv_by_pattern_joins_ndjson() {
    let dir = fresh("join");
    std::fs::write(dir.join("a-1.csv"), "id,name\n7,\"Ada, L.\"\n8,Bob\n").unwrap();
    std::fs::write(dir.join("a-2.csv"), "id,name\n9,\"two\nlines\"\n10\n").unwrap();
    std::fs::write(
        dir.join("b.ndjson"),
        "{\"ref\":{\"id\":7},\"n\":1}\n{\"ref\":{\"id\":9},\"n\":5}\n",
    )
    .unwrap();
    let file = r#"version = 1
[run]
engine = "tokio"
workers = 2
[source.people]
path = "OUT/a-*.csv"
format = "csv"
[source.visits]
path = "OUT/b.ndjson"
format = "ndjson"
[[stage]]
name = "number"
of = ["people"]
cast = { id = "integer" }
[[stage]]
name = "kind"
of = ["people"]
set = { kind = "person" }
[[stage]]
name = "flat"
of = ["visits"]
jq = "{id: .ref.id, n, kind: \"visit\"}"
[[stage]]
name = "few"
filter = "not has n or n < 9"
[accumulate]
key = "id"
variable = "kind"
required = ["person", "visit"]
emit = "merged"
[sink.out]
path = "OUT/out.ndjson"
takes = ["complete", "partial"]
[sink.bad]
path = "OUT/bad.ndjson"
takes = ["dead_letters"]
"#;
    let output = run_in(&dir, file, "", &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut lines: Vec<String> = read(dir.join("out.ndjson")).lines().map(str::to_owned).collect();
    lines.sort();
    let nine = r#"{"key":"9","status":"complete","record":{"id":9,"name":"two\nlines","kind":"visit","n":5}}"#;
    assert!(lines.contains(&nine.to_owned()), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("\"missing\":[\"visit\"]")), "{lines:?}");
    let bad = results(&dir.join("bad.ndjson"));
    assert_eq!(
        (bad[0]["source"].as_str(), bad[0]["original"].as_str()),
        (Some("people"), Some("10"))
    );
    let what = bad[0]["what"].as_str().unwrap();
    assert!(what.contains("a-2.csv record 2, line 4"), "{what}");
}

#[test]
fn the_ledger_names_every_key() {
    let dir = fresh("ledger");
    let file = PAIRS.replace("required", "on_end = \"dead_letter\"\nrequired");
    let ledger = dir.join("ledger.ndjson");
    let output = run_in(&dir, &file, INPUT, &["--ledger", ledger.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut fates: Vec<String> = read(ledger).lines().map(str::to_owned).collect();
    fates.sort();
    assert_eq!(
        fates,
        [
            r#"{"key":"1","status":"complete","fragments":2}"#,
            r#"{"key":"2","status":"dead_letter","reason":"expired","fragments":1}"#,
        ]
    );
    let dead = results(&dir.join("dead.ndjson"));
    let key = dead.iter().find(|d| d["key"] == "2").unwrap();
    assert_eq!(key["originals"], serde_json::json!(["{\"k\":2,\"v\":\"b\"}"]));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 5, "a temporary file is left");
}

#[test]
fn bad_records_are_skipped_or_stop_the_run() {
    let dir = fresh("on-bad");
    let skip = PAIRS.replace("format = \"ndjson\"", "format = \"ndjson\"\non_bad = \"skip\"");
    let output = run_in(&dir, &skip, INPUT, &["--json"]);
    let told = summary(&wrote(&output));
    assert_eq!(told["dropped"], serde_json::json!({ "skip": 2 }));
    assert_eq!(told["dead_letters"], serde_json::json!({ "no_key": 1 }));
    let dir = fresh("on-bad-fail");
    let fail = PAIRS.replace("format = \"ndjson\"", "format = \"ndjson\"\non_bad = \"fail\"");
    let output = run_in(&dir, &fail, INPUT, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = events(&said(&output)).into_iter().find(|e| e["event"] == "error").unwrap();
    assert_eq!(error["code"], "FLX-R003", "{error}");
    assert!(!dir.join("results.ndjson").exists());
}

/// Everything is told wrong usage by what it is, and how the program ends says which kind it was.
#[test]
fn wrong_usage() {
    let dir = fresh("usage");
    std::fs::write(dir.join("empty.toml"), "").unwrap();
    // Carets are as long as what they stand under, so paths here are relative.
    let ok = PAIRS.replace("\"IN\"", "\"in.ndjson\"").replace("OUT/", "");
    std::fs::write(dir.join("ok.toml"), ok).unwrap();
    let faulty = PAIRS.replace("takes = [\"dead", "taks = [\"dead").replace("\"sync\"", "\"snyc\"");
    std::fs::write(dir.join("faulty.toml"), faulty).unwrap();
    let odd = r#"version = 1
[source.in]
path = "IN"
format = "ndjson"
[[stage]]
name = "many"
jq = ".all[]"
[accumulate]
key = "k"
variable = "v"
required = ["a"]
identity = "source_seq"
completion = "prompt"
[[route]]
name = "dead"
of = ["dead_letters"]
when = "has k"
to = "out"
[sink.out]
path = "OUT/out.csv"
format = "csv"
takes = ["complete", "dead_letters"]
"#;
    std::fs::write(dir.join("odd.toml"), odd).unwrap();
    let cases: &[&[&str]] = &[
        &[],
        &["rnu"],
        &["run"],
        &["run", "--worker", "2", "x.toml"],
        &["run", "--workers", "0", "x.toml"],
        &["run", "--workers", "99999999999999999999", "x.toml"],
        &["run", "--engine", "threads", "x.toml"],
        &["run", "--budget", "5 sec", "x.toml"],
        &["run", "--budget", "0B", "x.toml"],
        &["run", "--batch", "16385", "x.toml"],
        &["run", "--quiet", "--json", "x.toml"],
        &["run", "x.toml", "y.toml"],
        &["run", "missing.toml"],
        &["run", "."],
        &["run", ""],
        &["check", "empty.toml"],
        &["check", "faulty.toml"],
        &["check", "odd.toml"],
        &["check", "--json", "faulty.toml"],
        &["check", "ok.toml"],
        &["check", "--json", "ok.toml"],
        &["run", "ok.toml"],
        &["run", "--json", "ok.toml"],
        &["run", "--ledger", ".", "ok.toml"],
        &["graph", "--as", "png", "ok.toml"],
        &["graph", "ok.toml"],
        &["graph", "--as", "dot", "ok.toml"],
        &["graph", "--as", "ascii", "ok.toml"],
        &["plan", "ok.toml"],
        &["plan", "--budget", "1GiB", "--workers", "3", "--engine", "rayon", "ok.toml"],
        &["completions", "tcsh"],
        &["schema", "x"],
        &["--help"],
        &["run", "--help"],
        &["check", "--help"],
        &["plan", "--help"],
        &["graph", "--help"],
        &["schema", "--help"],
        &["completions", "--help"],
    ];
    let mut log = String::new();
    for case in cases {
        let output = flux_io().args(*case).current_dir(&dir).output().unwrap();
        writeln!(log, "== flux-io {} -> {}", case.join(" "), output.status.code().unwrap())
            .unwrap();
        log.push_str(&wrote(&output));
        log.push_str(&said(&output));
    }
    golden("program/cli.txt", &log);
}

#[test]
fn the_schema_and_completions_are_printed() {
    let output = flux_io().arg("schema").output().unwrap();
    assert_eq!(wrote(&output).trim_end(), flux_io_cli::config::json_schema().trim_end());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = flux_io().args(["completions", shell]).output().unwrap();
        assert!(output.status.success() && wrote(&output).contains("flux-io"), "{shell}");
    }
}

/// `-` is standard input: as the pipeline file it works, as both it is told.
#[test]
fn the_pipeline_file_may_come_from_standard_input() {
    use std::io::Write as _;
    use std::process::Stdio;
    let dir = fresh("stdin");
    std::fs::write(dir.join("in.ndjson"), INPUT).unwrap();
    let both = PAIRS.replace("path = \"IN\"", "kind = \"stdin\"");
    for (file, code, text) in [(PAIRS, 0, "is a pipeline"), (both.as_str(), 2, "FLX-C023")] {
        let mut child = flux_io()
            .args(["check", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(placed(&dir, file).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!((wrote(&output) + &said(&output)).contains(text), "{}", said(&output));
    }
}

/// The first thing a new user does, from the root of the repository.
#[test]
fn the_examples_are_pipelines() {
    for job in ["flights", "orders"] {
        let file = format!("examples/{job}/pipeline.toml");
        let output = flux_io().args(["check", &file]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        // Row 290. A plan and a drawing of every pipeline.
        let drawing = flux_io().args(["graph", &file]).output().unwrap();
        assert!(wrote(&drawing).starts_with("flowchart LR"));
    }
}

/// What the program is made of stays small: at most 200 packages.
#[test]
fn few_packages() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "-p", "flux-io-cli", "-e", "normal", "--prefix", "none", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = wrote(&output);
    let packages: std::collections::BTreeSet<&str> =
        text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!((10..=200).contains(&packages.len()), "{} packages", packages.len());
}
