//! Schedules chosen by the test itself, and conditions that must come true.

use crate::parts::{Recipe, assembly, nothing_lost};
use flux_io_sim::{FailureKind, Faults, Ready, simulate};
use std::cell::Cell;
use std::rc::Rc;

/// A controller of one's own drives another interleaving: here what is most downstream always goes
/// first. Rows 218, 321.
#[test]
fn a_controller_chooses_what_runs() {
    let asked = Rc::new(Cell::new(0_u64));
    let counter = Rc::clone(&asked);
    let downstream = move |ready: &[Ready<'_>]| {
        counter.set(counter.get() + 1);
        let rank = |r: &Ready<'_>| match r {
            Ready::Task(name) if name.starts_with("seen") => 0,
            Ready::Task(name) if name.starts_with("assemble") => 1,
            Ready::Task(_) => 2,
            _ => 3,
        };
        (0..ready.len()).min_by_key(|i| rank(&ready[*i])).unwrap_or(0)
    };
    let plan = |s: &mut flux_io_sim::Swarm| {
        s.chain = false;
        assembly(s, Recipe::plain(200))
    };
    let (run, job) = simulate(plan).seed(3).controller(downstream).record();
    nothing_lost(&run, job.expect("no rule was broken")).expect("nothing is lost");
    assert!(asked.get() > 0);

    // What it chose is recorded: the stream gives the same run without it.
    let stream = flux_io_sim::stream_to_text(&run.stream());
    let (again, _) = simulate(plan).replay(&stream).record();
    assert_eq!(again.trace_hash, run.trace_hash);
}

/// Every line of a timeline is a JSON object of its own.
#[test]
fn a_timeline_is_json_lines() {
    let (run, _) = simulate(|s| assembly(s, Recipe::plain(50))).seed(1).record();
    assert!(run.timeline.len() > 5);
    let first = run.timeline[0].to_json();
    assert!(first.starts_with(r#"{"step":1,"at_ns":0,"what":"poll "#), "{first}");
    assert!(first.ends_with(r#""}"#), "{first}");
}

/// A condition that never comes true is a broken rule, with its name.
#[test]
fn what_must_come_true_is_asked_after_each_step() {
    let run = |most: u64| {
        simulate(move |s| {
            let (plan, job) = assembly(s, Recipe::plain(80));
            let seen = job.seen.clone();
            s.eventually("something is delivered", move || seen.rows().len() as u64 >= most);
            (plan, job)
        })
        .faults(Faults::none())
        .seeds(20)
        .try_check(nothing_lost)
    };
    run(1).expect("something is delivered in every run");
    let failure = run(1_000_000).expect_err("so much never is");
    assert_eq!(failure.kind, FailureKind::Broken);
    assert_eq!(failure.message, "`something is delivered` was never so");
}
