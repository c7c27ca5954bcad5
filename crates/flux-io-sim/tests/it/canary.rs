//! The canary: a stage with a known fault must be found, with its own message, made short, and told
//! as a test; the same stage without the fault passes. A simulator that finds nothing proves nothing.

use crate::parts::{Bug, Recipe, assembly, nothing_lost};
use flux_io_sim::{FailureKind, simulate};

fn canary() -> Recipe {
    Recipe { bug: Bug::LostAtCheckpoint, ..Recipe::plain(200) }
}

#[test]
fn a_lost_fragment_is_found_shrunk_and_replayed() {
    let failure = simulate(|s| assembly(s, canary()))
        .seeds(2_000)
        .try_check(nothing_lost)
        .expect_err("the canary must fail");
    assert_eq!(failure.kind, FailureKind::Oracle, "{failure}");
    assert!(failure.message.starts_with("fragment "), "{failure}");
    assert!(failure.message.ends_with(" is lost"), "{failure}");
    assert!(failure.choices() <= 30, "{failure}");
    assert!(failure.shrunk_message.is_some(), "{failure}");
    assert!(!failure.timeline.is_empty(), "{failure}");

    // The one line to reproduce reproduces.
    let again = simulate(|s| assembly(s, canary()))
        .seed(failure.seed)
        .try_check(nothing_lost)
        .expect_err("the seed fails again");
    assert_eq!(again.message, failure.message);

    // So does the stream, and the text of the test holds it.
    let replayed = simulate(|s| assembly(s, canary()))
        .replay(&failure.stream_text())
        .try_check(nothing_lost)
        .expect_err("the stream fails again");
    assert_eq!(Some(&replayed.message), failure.shrunk_message.as_ref());
    assert!(failure.test_text().contains(&failure.stream_text()));
}

/// Kept as `Failure::test_text` wrote it, for the pipeline with the fault mended.
#[test]
fn the_stream_that_found_the_canary_passes_without_the_fault() {
    let failure = simulate(|s| assembly(s, canary()))
        .seeds(2_000)
        .try_check(nothing_lost)
        .expect_err("the canary must fail");
    simulate(|s| assembly(s, Recipe::plain(200)))
        .replay(&failure.stream_text())
        .check(nothing_lost);
}

#[test]
fn the_clean_stage_passes() {
    let stats = simulate(|s| assembly(s, Recipe::plain(200))).seeds(2_000).check(nothing_lost);
    assert_eq!(stats.runs, 2_000);
    assert!(stats.distinct() >= 1_980, "{stats}");
}

#[test]
fn a_thing_given_twice_at_its_deadline_is_found() {
    let recipe = Recipe { bug: Bug::TwiceAtDeadline, wait: true, ..Recipe::plain(200) };
    let failure = simulate(|s| assembly(s, recipe))
        .seeds(2_000)
        .try_check(nothing_lost)
        .expect_err("it must fail");
    assert!(failure.message.contains("came twice"), "{failure}");
    assert!(failure.choices() <= 30, "{failure}");
}

#[test]
fn a_text_that_is_no_stream_is_refused() {
    let failure = simulate(|s| assembly(s, canary()))
        .replay("z3 nonsense")
        .try_check(nothing_lost)
        .expect_err("not a stream");
    assert_eq!(
        failure.to_string(),
        "`nonsense` at word 1 of the stream is neither a number nor a run of zeros like z12; \
         paste the text as it was printed"
    );
}
