//! The oracles at a size that wants an optimised build: `cargo test --profile ci --test heavy_jobs`.

use std::error::Error;

use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::fragment::Job;
use flux_io_testkit::jobs::naive::Naive;
use flux_io_testkit::jobs::orders::{Arrival, Orders};

type Outcome = Result<(), Box<dyn Error>>;

const NONE: [String; 0] = [];

/// Generates, judges line by line, and compares everything with the published numbers.
fn check(name: &str, arrival: Arrival, chaos: bool) -> Outcome {
    let expected = Expected::named(name)?;
    let made = Orders::generate(0.1)?;
    let mut naive = Naive::new(Job::Orders);
    let sent = made.for_each_line(arrival, chaos, |line| naive.line(line));
    let report = naive.report();
    assert_eq!(expected.report_differences(&report), NONE, "{name} {arrival:?}");
    assert_eq!(Some(sent.not_sent), expected.not_sent);
    assert_eq!(Some(sent.second_copies), expected.second_copies);
    assert_eq!(sent.dead_letters, report.dead_letters);
    assert_eq!(sent.input_lines, expected.input_lines);
    assert!(report.balanced());
    Ok(())
}

#[test]
fn orders_of_scale_a_tenth_in_time_order() -> Outcome {
    check("orders-0.1", Arrival::Time, false)
}

#[test]
fn orders_of_scale_a_tenth_with_chaos_headers_last() -> Outcome {
    check("orders-0.1-chaos", Arrival::HeaderLast, true)
}

#[test]
fn orders_of_scale_a_tenth_with_chaos_shuffled() -> Outcome {
    check("orders-0.1-chaos", Arrival::Shuffled(42), true)
}
