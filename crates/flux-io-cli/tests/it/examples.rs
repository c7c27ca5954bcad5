//! The two standing jobs as pipeline files, and a file that uses every key.

use crate::read;
use flux_io_cli::config::*;
use std::time::Duration;

pub(crate) const FLIGHTS: &str = include_str!("../../../../examples/flights/pipeline.toml");
pub(crate) const ORDERS: &str = include_str!("../../../../examples/orders/pipeline.toml");
pub(crate) const FULL: &str = include_str!("full.toml");

const HOUR: u64 = 3600;

#[test]
fn flights() {
    let p = read(FLIGHTS.as_bytes()).unwrap();
    let a = p.accumulate.unwrap();
    assert_eq!((a.key.value.as_str(), a.variable.value.as_str()), ("flight", "kind"));
    let part = |name: &str| Part { name: name.into(), each: None };
    let all = ["schedule", "aircraft", "departure", "arrival"].map(part).to_vec();
    assert_eq!(a.required.value, Rule::All(all));
    assert_eq!(a.expire_after, Some(Duration::from_secs(72 * HOUR)));
    assert_eq!(p.event_time.unwrap().lag, Duration::from_secs(15 * 60));
    assert_eq!((p.run.budget.value, p.run.engine), (64 << 20, Engine::Tokio));
    assert_eq!(p.sinks.len(), 3);
    assert_eq!(p.tests[0].expect[1].missing, ["aircraft", "departure", "arrival"]);
}

#[test]
fn orders() {
    let p = read(ORDERS.as_bytes()).unwrap();
    let a = p.accumulate.unwrap();
    let each = |name: &str| Part { name: name.into(), each: Some(UpTo::Declared("lines".into())) };
    let header = Part { name: "header".into(), each: None };
    assert_eq!(a.required.value, Rule::All(vec![header, each("shipped"), each("received")]));
    let bound = &a.bounds[0];
    assert_eq!((bound.variable.as_str(), bound.field.value.as_str()), ("header", "lines"));
    assert_eq!(
        &ORDERS[bound.field.at.start..bound.field.at.end],
        "header.lines\"".get(6..).unwrap()
    );
    assert_eq!(a.expire_after, Some(Duration::from_secs(152 * 24 * HOUR)));
    assert_eq!((a.tombstone_ttl, a.max_index), (Keep::ToEnd, Some(7)));
    assert_eq!(p.sources[0].record_limit, 1 << 20);
}

/// Row 69. A stored, versioned file makes the pipeline: every key of the language arrives.
#[test]
fn every_key_arrives() {
    let p = read(FULL.as_bytes()).unwrap();
    let a = p.accumulate.as_ref().unwrap();
    assert_eq!(a.on_expire, OnExpire::Extend { times: 2, then: Then::DeadLetter });
    assert_eq!(a.on_unkeyed, OnUnkeyed::Key("none".into()));
    assert_eq!(a.new_keys, Some(NewKeys { per_second: 100, burst: 10 }));
    assert_eq!((a.after, a.on_late, a.on_end), (After::Tombstone, OnLate::Correct, OnEnd::Keep));
    assert_eq!(a.tombstone_ttl, Keep::For(Duration::from_secs(7 * 24 * HOUR)));
    assert_eq!(
        (a.max_keys, a.max_bytes, a.max_items),
        (Some(100_000), Some(512 << 20), Some(1_000_000))
    );
    assert_eq!(
        (a.evict, a.completion, a.emit),
        (Evict::DeadLetter, Completion::Prompt, Emit::Merged)
    );
    assert!(matches!(&a.identity, Identity::Field(f) if f.value == "id"));
    let Rule::And(rules) = &a.required.value else { panic!("{:?}", a.required) };
    let Rule::Or(either) = &rules[2] else { panic!("{rules:?}") };
    assert_eq!(
        (either[2].clone(), either[3].clone()),
        (Rule::Count(5), Rule::CountFrom("n".into()))
    );
    assert_eq!(p.stages.len(), 8);
    assert_eq!(p.stages[4].op, Op::Cast(vec![("v".into(), CastTo::Float)]));
    let csv = CsvShape { delimiter: b';', quote: b'\'', names: Some(vec!["k".into(), "v".into()]) };
    assert_eq!((&p.sources[0].csv, p.sources[1].frame_length), (&csv, FrameLength::Varint));
    assert_eq!((p.run.workers, p.run.batch_rows), (Some(4), 256));
    assert_eq!(p.run.max_stall, Some(Duration::from_secs(300)));
    let off = FULL.replace("max_stall = \"5min\"", "max_stall = \"off\"");
    assert_eq!(read(off.as_bytes()).unwrap().run.max_stall, None);
    assert_eq!(read(FLIGHTS.as_bytes()).unwrap().run.max_stall, Some(Duration::from_secs(30)));
    assert_eq!((p.tests[0].dead_letters, p.tests[0].duplicates), (Some(0), Some(3)));
}

/// A byte order mark and Windows line ends change nothing, and neither do defaults written out.
#[test]
fn marks_and_line_ends_change_nothing() {
    let plain = read(FLIGHTS.as_bytes()).unwrap();
    let windows = format!("\u{feff}{}", FLIGHTS.replace('\n', "\r\n"));
    let windows = read(windows.as_bytes()).unwrap();
    assert_eq!((plain.name, plain.run.engine), (windows.name, windows.run.engine));
    assert_eq!(plain.sinks.len(), windows.sinks.len());
}
