//! The oracles against the published numbers: a model that fails here may judge nothing.

use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights::{self, Arrival};
use flux_io_testkit::jobs::fragment::Job;
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::{self, Orders};
use flux_io_testkit::jobs::{data_dir, naive};

const NONE: [String; 0] = [];

#[test]
fn a_month_of_flights_in_file_order() {
    let month = flights::month().unwrap();
    let report = naive::run(Job::Flights, month.iter());
    let expected = Expected::named("flights-2013-01").unwrap();
    assert_eq!(expected.report_differences(&report), NONE);
    assert!(report.balanced());
    assert_eq!(report.duplicates, 0);
    assert!(report.dead_letters.is_empty());
}

#[test]
fn a_month_of_flights_with_every_97th_line_twice() {
    let month = flights::month().unwrap();
    let twice = flights::arranged(&month, Arrival::EveryNthTwice);
    let report = naive::run(Job::Flights, twice.iter());
    let expected = Expected::named("flights-2013-01").unwrap();
    assert_eq!(report.duplicates, 1_101);
    assert_eq!(report.input_lines, expected.input_lines + 1_101);
    assert_eq!(expected.tally_differences(&report.tally), NONE);
    assert!(report.balanced());
}

#[test]
fn a_week_of_flights_in_every_order_is_the_week_of_the_month() {
    let week = flights::week().unwrap();
    assert_eq!(week, flights::cut_week(&flights::month().unwrap()));
    let expected = Expected::named("flights-week").unwrap();
    for arrival in [Arrival::File, Arrival::Backwards, Arrival::Shuffled(1), Arrival::Shuffled(2)] {
        let report = naive::run(Job::Flights, flights::arranged(&week, arrival).iter());
        assert_eq!(expected.report_differences(&report), NONE, "{arrival:?}");
    }
}

#[test]
fn generated_orders_with_chaos_are_the_published_file() {
    let (lines, sent) = Orders::generate(0.01).unwrap().lines(orders::Arrival::Time, true);
    let file = Lines::read(&data_dir().join("orders-0.01-time-chaos.ndjson.gz")).unwrap();
    let first = lines.iter().zip(file.iter()).position(|(made, published)| made != published);
    assert_eq!(first, None, "first line that differs");
    assert_eq!(lines.as_ndjson().len(), file.as_ndjson().len());

    let expected = Expected::named("orders-0.01-chaos").unwrap();
    assert_eq!(Some(sent.not_sent), expected.not_sent);
    assert_eq!(Some(sent.second_copies), expected.second_copies);
    let report = naive::run(Job::Orders, lines.iter());
    assert_eq!(expected.report_differences(&report), NONE);
    assert_eq!((sent.input_lines, sent.dead_letters), (report.input_lines, report.dead_letters));
}

#[test]
fn orders_without_chaos() {
    let made = Orders::generate(0.01).unwrap();
    let (lines, sent) = made.lines(orders::Arrival::HeaderLast, false);
    let expected = Expected::named("orders-0.01").unwrap();
    assert_eq!(made.orders(), expected.keys);
    assert_eq!((lines.len(), made.fragments() as u64), (made.fragments(), sent.input_lines));
    assert_eq!(expected.report_differences(&naive::run(Job::Orders, lines.iter())), NONE);
}

#[test]
fn every_order_of_arrival_sends_the_same_lines() {
    let made = Orders::generate(0.001).unwrap();
    let sorted = |arrival| {
        let mut lines = made.lines(arrival, true).0.to_vecs();
        lines.sort();
        lines
    };
    let time = sorted(orders::Arrival::Time);
    assert_eq!(time, sorted(orders::Arrival::Shuffled(3)));
    assert_eq!(time, sorted(orders::Arrival::HeaderLast));

    let (lines, _) = made.lines(orders::Arrival::HeaderLast, true);
    let is_header = |line: &&[u8]| line.windows(15).any(|part| part == b"\"kind\":\"header\"");
    assert!(lines.iter().skip_while(|line| !is_header(line)).all(|line| is_header(&line)));
}

#[test]
fn an_impossible_scale_is_refused() {
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(Orders::generate(scale).is_err(), "{scale}");
    }
}
