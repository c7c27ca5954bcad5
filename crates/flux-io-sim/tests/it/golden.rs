//! Recorded runs, replayed and compared event by event with what is in the repository.

use crate::parts::{Recipe, assembly, nothing_lost};
use flux_io_core::{GiveUp, OnError, Retry};
use flux_io_sim::{Fault, Faults, simulate};

/// A stream and the run that it gave when it was recorded, line by line. A change of the driver
/// that polls, wakes or retries otherwise shows here; after a look at the difference, the test
/// prints what to put in place of the file. Row 278.
#[test]
fn a_recorded_run_is_replayed_event_by_event() {
    let golden = include_str!("golden/assembly.jsonl");
    let (stream, events) = golden.split_once('\n').unwrap_or((golden, ""));
    let on_error = OnError::Retry { retry: Retry::default(), then: GiveUp::Fail };
    let recipe = Recipe { wait: true, on_error, ..Recipe::plain(40) };
    let faults = Faults::harmless().with(Fault::TransientWrite).with(Fault::PartialWrite);
    let (run, job) = simulate(|s| assembly(s, recipe)).faults(faults).replay(stream).record();
    nothing_lost(&run, job.expect("no rule was broken")).expect("nothing is lost");
    let now: Vec<String> = run.timeline.iter().map(flux_io_sim::Event::to_json).collect();
    let then: Vec<&str> = events.lines().collect();
    let differs = (0..now.len().max(then.len()))
        .find(|i| now.get(*i).map(String::as_str) != then.get(*i).copied());
    if let Some(i) = differs {
        println!("{stream}\n{}", now.join("\n"));
        panic!("event {i} is {:?}, it was {:?}", now.get(i), then.get(i));
    }
}
