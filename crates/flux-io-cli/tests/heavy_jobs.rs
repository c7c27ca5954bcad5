//! Both standing jobs through pipeline files alone: the digest of the program's output files is the
//! published one, on every engine, for every order of arrival, clean and with chaos.
#![expect(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod program;

use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights;
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::{Arrival, Orders, Sent};
use flux_io_testkit::jobs::outcome::{OutcomeLine, Tally, canonical_json};
use program::{flux_io, fresh, results, root, said, summary, wrote};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const ON: [(&str, &str); 6] =
    [("sync", "1"), ("sync", "2"), ("tokio", "1"), ("tokio", "2"), ("rayon", "1"), ("rayon", "2")];

/// The job's pipeline file; without deadlines the end of input decides.
fn pipeline(job: &str, deadline: bool) -> String {
    let path = root().join(format!("examples/{job}/pipeline.toml"));
    let text = std::fs::read_to_string(path).unwrap();
    let timed = ["expire_after", "on_expire"];
    let keep = |line: &&str| deadline || !timed.iter().any(|key| line.starts_with(key));
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

fn outcome(result: &Value) -> OutcomeLine {
    let texts = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().map(|m| m.as_str().unwrap().to_owned()).collect()
    };
    let fragments = result["fragments"].as_array().unwrap().iter().map(canonical_json);
    let key = result["key"].as_str().unwrap();
    let line = OutcomeLine::new(key, texts(&result["missing"]), fragments);
    assert_eq!(line.complete, result["status"] == "complete", "{key}");
    line
}

/// Runs a job and gives what its files hold, and the summary.
fn run(dir: &Path, file: &str, input: &Path, on: (&str, &str), more: &[&str]) -> (Tally, Value) {
    let (engine, workers) = on;
    let out = dir.join(format!("out-{engine}-{workers}"));
    let pipeline = dir.join("pipeline.toml");
    std::fs::write(&pipeline, file).unwrap();
    let output = flux_io()
        .args(["run", "--json", "--engine", engine, "--workers", workers])
        .args(more)
        .arg(&pipeline)
        .env("FLUX_IO_INPUT", input)
        .env("FLUX_IO_OUT", &out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{on:?}: {}", said(&output));
    let mut lines: Vec<Value> = results(&out.join("complete.ndjson"));
    lines.extend(results(&out.join("partial.ndjson")));
    let outcomes: Vec<OutcomeLine> = lines.iter().map(outcome).collect();
    let dead = results(&out.join("dead_letters.ndjson"));
    let summary = summary(&wrote(&output));
    let counted: u64 =
        summary["dead_letters"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(dead.len() as u64, counted);
    for letter in &dead {
        assert!(letter["line"].as_u64().is_some() && letter["what"].is_string(), "{letter}");
        assert!(letter["original"].is_string(), "{letter}");
    }
    (Tally::of(&outcomes), summary)
}

fn orders_come(arrival: Arrival, chaos: bool, name: &str) {
    let dir = fresh(&format!("heavy-orders-{name}-{chaos}"));
    let made = Orders::generate(0.01).unwrap();
    let (lines, sent): (Lines, Sent) = made.lines(arrival, chaos);
    let input = dir.join("orders.ndjson");
    std::fs::write(&input, lines.as_ndjson()).unwrap();
    let file = pipeline("orders", arrival == Arrival::Time);
    let expected =
        Expected::named(if chaos { "orders-0.01-chaos" } else { "orders-0.01" }).unwrap();
    for (n, on) in ON.into_iter().enumerate() {
        // Batches of other sizes give the same outcome.
        let batch = ["1024", "1", "100"][n % 3];
        let (tally, summary) = run(&dir, &file, &input, on, &["--batch", batch]);
        let differs = expected.tally_differences(&tally);
        assert!(differs.is_empty(), "{name} chaos {chaos} {on:?}: {differs:?}");
        assert_eq!(summary["records"], sent.input_lines);
        assert_eq!(summary["duplicates"], sent.second_copies);
        assert_eq!(summary["complete"], expected.complete);
        assert_eq!(summary["open"], 0);
        let wanted: BTreeMap<&String, &u64> =
            expected.dead_letters.iter().flatten().filter(|(_, n)| **n > 0).collect();
        assert_eq!(summary["dead_letters"], serde_json::json!(wanted));
    }
}

/// Orders in the order of their dates, by deadlines in event time.
#[test]
fn orders_in_time_order() {
    orders_come(Arrival::Time, false, "time");
    orders_come(Arrival::Time, true, "time");
}

/// Orders in any order.
#[test]
fn orders_shuffled() {
    orders_come(Arrival::Shuffled(11), false, "shuffled");
    orders_come(Arrival::Shuffled(11), true, "shuffled");
}

/// Orders whose header, which says how many lines there are, comes last.
#[test]
fn orders_header_last() {
    orders_come(Arrival::HeaderLast, false, "header-last");
    orders_come(Arrival::HeaderLast, true, "header-last");
}

/// The month of flights as it stands in the repository, gzip, by deadlines in event time.
#[test]
fn flights_of_the_month() {
    let dir = fresh("heavy-flights-month");
    let expected = Expected::named("flights-2013-01").unwrap();
    for on in ON {
        let (tally, _) = run(&dir, &pipeline("flights", true), &flights::month_path(), on, &[]);
        let differs = expected.tally_differences(&tally);
        assert!(differs.is_empty(), "{on:?}: {differs:?}");
    }
}

/// The week of flights backwards, without deadlines.
#[test]
fn flights_of_the_week_backwards() {
    let dir = fresh("heavy-flights-week");
    let expected = Expected::named("flights-week").unwrap();
    let week = flights::arranged(&flights::week().unwrap(), flights::Arrival::Backwards);
    let input = dir.join("week.ndjson");
    std::fs::write(&input, week.as_ndjson()).unwrap();
    for on in ON {
        let (tally, _) = run(&dir, &pipeline("flights", false), &input, on, &[]);
        let differs = expected.tally_differences(&tally);
        assert!(differs.is_empty(), "{on:?}: {differs:?}");
    }
}

/// The chaos that the repository holds is the one that is made.
#[test]
fn orders_of_the_repository() {
    let dir = fresh("heavy-orders-file");
    let input = root().join("examples/data/orders-0.01-time-chaos.ndjson.gz");
    let expected = Expected::named("orders-0.01-chaos").unwrap();
    let ledger = dir.join("ledger.ndjson");
    let more = ["--ledger", ledger.to_str().unwrap()];
    let (tally, summary) = run(&dir, &pipeline("orders", true), &input, ("tokio", "2"), &more);
    assert!(expected.tally_differences(&tally).is_empty());
    // What became of every key.
    let fates = results(&ledger);
    assert_eq!(fates.len() as u64, expected.complete + expected.partial);
    let fragments: u64 = fates.iter().filter_map(|f| f["fragments"].as_u64()).sum();
    assert_eq!(fragments + summary["duplicates"].as_u64().unwrap(), summary["fragments"]);
}
