//! What becomes of fragments, seen from outside: time, bounds, the default key, letters.

use crate::program::{events, flux_io, fresh};
use serde_json::Value;
use std::fmt::Write as _;

/// Runs `lines` through `[accumulate]` with these words; results and dead letters.
fn run(name: &str, engine: &str, words: &str, lines: &str) -> (Vec<Value>, Vec<Value>) {
    run_on(name, engine, 2, words, lines)
}

fn run_on(
    name: &str,
    engine: &str,
    workers: u32,
    words: &str,
    lines: &str,
) -> (Vec<Value>, Vec<Value>) {
    let dir = fresh(&format!("assembled-{name}-{engine}-{workers}"));
    let at = dir.display();
    std::fs::write(dir.join("in.ndjson"), lines).unwrap();
    let file = format!(
        "version = 1\n[run]\nengine = \"{engine}\"\nworkers = {workers}\n[source.s]\npath = \"{at}/in.ndjson\"\n\
         format = \"ndjson\"\n{words}\n[sink.out]\npath = \"{at}/out.ndjson\"\n\
         takes = [\"complete\", \"partial\", \"late\"]\n[sink.bad]\npath = \"{at}/bad.ndjson\"\n\
         takes = [\"dead_letters\"]\n"
    );
    std::fs::write(dir.join("pipeline.toml"), file).unwrap();
    let output =
        flux_io().args(["run", "--quiet"]).arg(dir.join("pipeline.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |file| events(&std::fs::read_to_string(dir.join(file)).unwrap());
    (read("out.ndjson"), read("bad.ndjson"))
}

const ENGINES: [&str; 3] = ["sync", "tokio", "rayon"];

/// Reason and number of fragments of each result.
fn brief(results: &[Value]) -> Vec<(String, usize)> {
    let of = |r: &Value| {
        let reason = r["reason"].as_str().unwrap_or("complete");
        (reason.to_owned(), r["fragments"].as_array().unwrap().len())
    };
    results.iter().map(of).collect()
}

/// The row that moves time past a deadline never joins the key whose deadline it passes: one exactly
/// at the deadline does.
#[test]
fn a_row_past_the_deadline_begins_anew() {
    let words = "[event_time]\nfield = \"t\"\n[accumulate]\nkey = \"k\"\nvariable = \"v\"\n\
                 required = { count = 100 }\nidentity = \"source_seq\"\nexpire_after = \"5s\"\n\
                 after = \"reset\"";
    let row =
        |s: &str| format!("{{\"k\":\"ann\",\"v\":\"buy\",\"t\":\"2026-03-01T20:02:{s}Z\"}}\n");
    for engine in ENGINES {
        let lines = [row("00"), row("01.5"), row("05"), row("05.000000001")].concat();
        let (results, _) = run("past", engine, words, &lines);
        assert_eq!(brief(&results), [("ttl".to_owned(), 3), ("end".to_owned(), 1)], "{engine}");
    }
}

/// A user who is alone: each visit after a long gap is a session of its own.
#[test]
fn sessions_of_one_user_end_by_the_next_visit() {
    let words = "[event_time]\nfield = \"t\"\nlag = \"1min\"\n[accumulate]\nkey = \"k\"\n\
                 variable = \"v\"\nrequired = { count = 1000 }\nidentity = \"source_seq\"\n\
                 inactive_after = \"30min\"\nafter = \"reset\"";
    let row = |h: u32, m: u32| {
        format!("{{\"k\":\"u\",\"v\":\"click\",\"t\":\"2026-03-01T{h:02}:{m:02}:00Z\"}}\n")
    };
    for engine in ENGINES {
        let lines = [row(9, 0), row(9, 20), row(12, 0), row(15, 30), row(15, 31)].concat();
        let (results, _) = run("sessions", engine, words, &lines);
        let latency = |n| ("latency".to_owned(), n);
        assert_eq!(brief(&results), [latency(2), latency(1), ("end".to_owned(), 2)], "{engine}");
    }
}

/// Letters of rows keep the row and its line also where one mark lets thousands of keys leave in the
/// middle of the batch, behind a line that could not be read.
#[test]
fn letters_keep_their_rows_and_lines() {
    let words = "[event_time]\nfield = \"t\"\n[accumulate]\nkey = \"k\"\nvariable = \"v\"\n\
                 required = [\"a\", \"b\"]\nexpire_after = \"10ns\"\non_duplicate = \"dead_letter\"";
    let mut lines = "{\"k\":\"torn\n".to_owned();
    for k in 0..900 {
        writeln!(lines, "{{\"k\":\"k{k}\",\"v\":\"a\",\"t\":1}}").unwrap();
    }
    let copy = "{\"k\":\"k0\",\"v\":\"a\",\"t\":100}";
    writeln!(lines, "{copy}\n{{\"v\":\"a\",\"t\":100}}\n{{\"k\":\"k9\",\"v\":\"z\",\"t\":100}}")
        .unwrap();
    for engine in ENGINES {
        let (results, letters) = run("letters", engine, words, &lines);
        assert_eq!(results.len(), 900, "{engine}");
        let told: Vec<_> =
            letters.iter().map(|l| (&l["reason"], &l["line"], &l["original"])).collect();
        assert_eq!(told.len(), 4, "{engine}");
        for (reason, line, original) in told {
            let line = line.as_u64().unwrap() as usize;
            let wanted = lines.lines().nth(line - 1).unwrap();
            assert_eq!(original.as_str(), Some(wanted), "{engine}: {reason}");
        }
    }
}

/// Records without a key and records that carry the default one are one key, with any number of
/// workers; a letter names the key.
#[test]
fn the_default_key_is_one_key() {
    for workers in [1, 2, 4, 7] {
        for key in ["K1", "none", "x"] {
            let words = format!(
                "[accumulate]\nkey = \"k\"\nvariable = \"v\"\nrequired = [\"a\", \"b\"]\n\
                 on_duplicate = \"dead_letter\"\non_unkeyed = {{ key = \"{key}\" }}"
            );
            let lines =
                format!("{{\"k\":\"{key}\",\"v\":\"a\"}}\n{{\"v\":\"b\"}}\n{{\"v\":\"b\"}}\n");
            let name = format!("default-{key}");
            let (results, letters) = run_on(&name, "tokio", workers, &words, &lines);
            assert_eq!(brief(&results), [("complete".to_owned(), 2)], "{workers} {key}");
            assert_eq!((letters.len(), letters[0]["key"].as_str()), (1, Some(key)));
        }
    }
}

/// A numbered part beyond its bound is a dead letter whichever comes first; what was assembled gives
/// it back.
#[test]
fn a_part_beyond_its_bound_is_a_dead_letter_in_any_order() {
    let words = "[accumulate]\nkey = \"k\"\nvariable = \"v\"\nrequired = [\"header\", \"p:1..{n}\"]\n\
                 bounds = { n = \"header.n\" }";
    let part = |n: u32| format!("{{\"k\":\"x\",\"v\":\"p:{n}\"}}\n");
    let header = "{\"k\":\"x\",\"v\":\"header\",\"n\":2}\n".to_owned();
    let orders = [
        [part(1), part(3), part(2), header.clone()],
        [part(1), part(2), header.clone(), part(3)],
        [header, part(3), part(1), part(2)],
    ];
    let mut all = Vec::new();
    for (i, order) in orders.iter().enumerate() {
        let (results, letters) = run(&format!("beyond-{i}"), "sync", words, &order.concat());
        assert_eq!(letters.len(), 1);
        assert_eq!((&letters[0]["reason"], &letters[0]["key"]), (&"conflict".into(), &"x".into()));
        assert_eq!(letters[0]["original"].as_str(), Some(part(3).trim()));
        all.push(results);
    }
    assert_eq!(brief(&all[0]), [("complete".to_owned(), 3)]);
    assert!(all.iter().all(|r| *r == all[0]), "{all:?}");
}
