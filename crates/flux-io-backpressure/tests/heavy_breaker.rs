//! Every sequence of events up to the length of 12. A plain `cargo test` takes shorter ones.
#![cfg(test)]

mod model;

use flux_io_backpressure::BreakerPolicy;
use model::{End, Event, explore, small};
use std::time::Duration;

const PLAIN: [Event; 4] =
    [Event::Tick, Event::Ask, Event::First(End::Good), Event::First(End::Bad)];

/// With calls that fail. Rows 276, 284.
#[test]
fn all_sequences_of_twelve_events() {
    let seen = explore(small(), &PLAIN, 12);
    println!("{seen:?}");
    assert!(seen.events > 1_000_000, "{seen:?}");
    assert!(seen.relapsed > 0 && seen.closed > 0 && seen.busy > 0 && seen.late > 0, "{seen:?}");
}

/// With slow calls; longer cooldowns; other shares.
#[test]
fn all_sequences_of_twelve_events_where_slow_calls_count() {
    let policy = BreakerPolicy {
        slow: Some(Duration::from_nanos(1)),
        slow_percent: 60,
        failed_percent: 100,
        cooldown: Duration::from_nanos(2),
        longest: Duration::from_nanos(2),
        ..small()
    };
    let seen = explore(policy, &PLAIN, 12);
    println!("{seen:?}");
    assert!(seen.relapsed > 0 && seen.closed > 0, "{seen:?}");
}

/// With calls that end in another order than they began, and calls that are dropped.
#[test]
fn all_sequences_of_twelve_events_in_any_order_of_ends() {
    let ends = [End::Good, End::Bad, End::Dropped];
    let alphabet: Vec<Event> = [Event::Tick, Event::Ask]
        .into_iter()
        .chain(ends.map(Event::First))
        .chain(ends.map(Event::Last))
        .collect();
    let policy = BreakerPolicy { slow: Some(Duration::from_nanos(2)), trials: 3, ..small() };
    let seen = explore(policy, &alphabet, 12);
    println!("{seen:?}");
    assert!(seen.relapsed > 0 && seen.closed > 0 && seen.late > 0, "{seen:?}");
}
