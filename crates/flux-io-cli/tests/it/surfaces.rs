//! One pipeline, described twice.

use crate::program::{events, flux_io, fresh};
use flux_io::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const FILE: &str = r#"version = 1
[run]
engine = "sync"
[source.scans]
path = "IN"
format = "ndjson"
[event_time]
field = "ts"
lag = "10s"
[[stage]]
name = "counted"
filter = "cents > 0"
[accumulate]
name = "order"
key = "order"
variable = "kind"
required = ["header", "paid", "shipped"]
expire_after = "1min"
[sink.out]
kind = "stdout"
takes = ["complete", "partial", "late"]
"#;

/// Fragments of 200 orders in event-time order: some lack one or two, some come twice, some come
/// after their order has left, some are not to be counted.
fn scans() -> Vec<(u64, &'static str, u64, i64)> {
    let mut scans = Vec::new();
    for order in 0..200_u64 {
        let start = order as i64 * 7;
        for (i, kind) in ["shipped", "header", "paid"].into_iter().enumerate() {
            let i = i as u64;
            let cents = (order + i) % 11 * 10;
            let late = match order {
                o if o % 9 == i => 300,
                o if o % 10 == i => 90,
                _ => 0,
            };
            scans.push((order, kind, cents, start + i as i64 * 5 + late));
            if order % 4 == i {
                scans.push((order, kind, cents, start + i as i64 * 5 + 1));
            }
        }
    }
    scans.sort_by_key(|s| s.3);
    scans
}

/// What became of an order: how it left, what was missing, and its cents.
type Fates = Vec<(String, &'static str, String, u64)>;

fn by_the_builder() -> (Fates, u64) {
    let (sink, results) = sink::collect();
    let flow = Pipeline::new()
        .source("scans", source::iter(scans()))
        .event_time("ts", |s: &(u64, &str, u64, i64)| Timestamp(s.3 * 1_000_000_000))
        .lag(std::time::Duration::from_secs(10))
        .filter("counted", |s| s.2 > 0)
        .key_by("key", |s: &(u64, &str, u64, i64)| s.0)
        .accumulate("order", |policy| {
            policy
                .require(Require::all(["header", "paid", "shipped"]))
                .expire_after(std::time::Duration::from_secs(60))
                .var_name(|s: &(u64, &'static str, u64, i64)| s.1)
                .merge(|cents: &mut u64, s: &mut (u64, &'static str, u64, i64)| *cents += s.2)
        })
        .sink("out", sink);
    let report = engine::Sync::new().run(flow).unwrap();
    let fates = results.take().into_iter().map(|o| {
        let how = match &o {
            Outcome::Complete { .. } => "complete",
            Outcome::Partial { .. } => "partial",
            _ => "late",
        };
        let cents = *o.value();
        (o.key().to_string(), how, o.headers().missing_vars(), cents)
    });
    (fates.collect(), report.ledger("order").unwrap().fragments)
}

fn by_the_file() -> (Fates, u64) {
    let dir = fresh("surfaces");
    let mut input = String::new();
    for (order, kind, cents, ts) in scans() {
        let at = format!("2026-03-01T{:02}:{:02}:{:02}Z", ts / 3600, ts / 60 % 60, ts % 60);
        let line = format!(r#"{{"order":{order},"kind":"{kind}","cents":{cents},"ts":"{at}"}}"#);
        writeln!(input, "{line}").unwrap();
    }
    let path = dir.join("in.ndjson");
    std::fs::write(&path, input).unwrap();
    std::fs::write(dir.join("p.toml"), FILE.replace("IN", path.to_str().unwrap())).unwrap();
    let output = flux_io().args(["run", "--json"]).arg(dir.join("p.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = events(&String::from_utf8(output.stderr).unwrap());
    let summary = told.iter().find(|e| e["event"] == "summary").unwrap();
    let fates = events(&String::from_utf8(output.stdout).unwrap()).into_iter().map(|e| {
        let how = ["complete", "partial", "late"].into_iter().find(|how| e["status"] == *how);
        let names = |v: &Value| v.as_str().unwrap().to_owned();
        let missing: Vec<String> =
            e["missing"].as_array().into_iter().flatten().map(names).collect();
        let cents = |v: &Value| v["cents"].as_u64().unwrap();
        let parts = e["fragments"].as_array();
        let sum = parts.into_iter().flatten().map(cents).sum();
        (names(&e["key"]), how.unwrap(), missing.join(","), sum)
    });
    (fates.collect(), summary["fragments"].as_u64().unwrap())
}

/// Row 57. The fluent builder and the pipeline file are two surfaces of one thing: what they
/// describe gives equal outcomes. The second surface is the file; there are no bindings to another
/// language.
#[test]
fn builder_and_file_give_equal_outcomes() {
    let (mut built, fragments) = by_the_builder();
    let (mut read, counted) = by_the_file();
    built.sort();
    read.sort();
    assert_eq!(built, read);
    assert_eq!(fragments, counted);
    let mut seen = BTreeMap::<&str, u32>::new();
    built.iter().for_each(|fate| *seen.entry(fate.1).or_default() += 1);
    assert!(["complete", "partial", "late"].iter().all(|how| seen[how] > 10), "{seen:?}");
}
