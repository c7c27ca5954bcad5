//! The two standing jobs on the reference model of event time.

use flux_io_testkit::jobs::data_dir;
use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights::{self, Arrival};
use flux_io_testkit::jobs::fragment::Job;
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::{self, Orders};
use flux_io_testkit::jobs::reference::{
    Class, DeadLetter, PartialCause, flights_policy, orders_policy, run_job,
};

const NONE: [String; 0] = [];

#[test]
fn a_month_of_flights_with_the_deadline_in_file_order() {
    a_month_with_the_deadline(&flights::month().unwrap(), 0);
}

#[test]
fn a_month_of_flights_with_the_deadline_and_every_97th_line_twice() {
    let month = flights::month().unwrap();
    a_month_with_the_deadline(&flights::arranged(&month, Arrival::EveryNthTwice), 1_101);
}

fn a_month_with_the_deadline(lines: &Lines, copies: u64) {
    let run = run_job(Job::Flights, lines.iter(), flights_policy(), Some(flights::LAG));
    let expected = Expected::named("flights-2013-01").map(|all| all.tally_differences(&run.tally));
    assert_eq!(expected.ok().as_deref(), Some(&NONE[..]));
    assert!(run.ledger.balanced());
    assert_eq!(run.ledger.entered, lines.len() as u64);
    assert_eq!(run.ledger.count(Class::Duplicate), copies);
    assert_eq!(run.ledger.count(Class::Late), 0);
    assert_eq!(run.ledger.count(Class::Open), 0);
    assert!(run.ledger.count(Class::Partial(PartialCause::Ttl)) > 0);
    assert!(run.ledger.count(Class::Partial(PartialCause::End)) > 0);
}

/// The disorder of the file stays within the lag that the data declares, and no smaller lag does:
/// otherwise the test above would not test lateness at all.
#[test]
fn the_feed_lags_by_fifteen_minutes_at_most() {
    let month = flights::month().unwrap();
    let (mut newest, mut lag) = (i64::MIN, 0);
    for line in month.iter() {
        let ts = Job::Flights.parse(line).unwrap().ts;
        newest = newest.max(ts);
        lag = lag.max(newest - ts);
    }
    assert!(lag > 0 && lag <= flights::LAG, "{lag}");
}

#[test]
fn a_shuffled_week_with_the_deadline_is_late_but_balanced() {
    let week = flights::arranged(&flights::week().unwrap(), Arrival::Shuffled(5));
    let policy = flights_policy();
    let run = run_job(Job::Flights, week.iter(), policy.clone(), Some(flights::LAG));
    assert!(run.ledger.balanced());
    assert_eq!(run.ledger.entered, week.len() as u64);
    assert!(run.ledger.count(Class::Late) > 0);
    assert_eq!(run.late.len() as u64, run.ledger.count(Class::Late));
    assert_eq!(run, run_job(Job::Flights, week.iter(), policy.clone(), Some(flights::LAG)));

    let flushed = run_job(Job::Flights, week.iter(), policy, None);
    let expected = Expected::named("flights-week").unwrap();
    assert_eq!(expected.tally_differences(&flushed.tally), NONE);
}

#[test]
fn orders_in_time_order_with_the_deadline() {
    let file = Lines::read(&data_dir().join("orders-0.01-time-chaos.ndjson.gz")).unwrap();
    let run = run_job(Job::Orders, file.iter(), orders_policy(true), Some(0));
    let expected = Expected::named("orders-0.01-chaos").unwrap();
    assert_eq!(expected.tally_differences(&run.tally), NONE);
    assert!(run.ledger.balanced());
    assert_eq!(Some(run.ledger.count(Class::Duplicate)), expected.second_copies);
    let dead = |cause| run.ledger.count(Class::DeadLetter(cause));
    let dead = [DeadLetter::Poison, DeadLetter::Type, DeadLetter::Oversize].map(dead);
    assert_eq!(dead, [14, 12, 2]);
}

#[test]
fn orders_with_headers_last_and_a_flush() {
    let (lines, sent) = Orders::generate(0.01).unwrap().lines(orders::Arrival::HeaderLast, true);
    let run = run_job(Job::Orders, lines.iter(), orders_policy(false), None);
    let expected = Expected::named("orders-0.01-chaos").unwrap();
    assert_eq!(expected.tally_differences(&run.tally), NONE);
    assert!(run.ledger.balanced());
    assert_eq!(run.ledger.count(Class::Duplicate), sent.second_copies);
}
