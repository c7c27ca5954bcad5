//! The circuit breaker.

use crate::model::{End, Event, explore, small};
use flux_io_backpressure::{
    Answer, Breaker, BreakerPolicy, BreakerState, Permit, PolicyError, Why,
};
use flux_io_core::Moment;
use std::time::Duration;

fn breaker(policy: BreakerPolicy) -> Breaker {
    Breaker::new(policy).expect("a policy that can be")
}

fn call(b: &mut Breaker, at: u64) -> Permit {
    match b.ask(Moment(at)) {
        Answer::Call(permit) => permit,
        other => panic!("no call at {at}: {other:?}"),
    }
}

/// Calls that begin at `at` and end `took` later: `g` well, `f` not.
fn calls(b: &mut Breaker, at: u64, took: u64, ends: &str) {
    for end in ends.chars() {
        let (permit, now) = (call(b, at), Moment(at + took));
        if end == 'g' { b.succeeded(permit, now, 0) } else { b.failed(permit, now, 0) }
    }
}

const SLOW: u64 = 1_000;

fn four() -> BreakerPolicy {
    BreakerPolicy {
        window: 4,
        min_calls: 4,
        slow: Some(Duration::from_nanos(SLOW)),
        slow_percent: 50,
        trials: 3,
        successes: 2,
        cooldown: Duration::from_nanos(100),
        longest: Duration::from_nanos(350),
        ..BreakerPolicy::default()
    }
}

/// All eight combinations of "enough calls", "too many failed", "too many slow": it opens when
/// there are enough and either is so. Row 189.
#[test]
fn b047_enough_calls_and_failed_or_slow() {
    for (enough, failed, slow) in (0..8).map(|i| (i & 1 != 0, i & 2 != 0, i & 4 != 0)) {
        let mut b = breaker(four());
        let n = if enough { 4 } else { 3 };
        for i in 0..n {
            // Half of the calls, when the share is to be reached; else one in four.
            let bad = |is: bool| i < if is { 2 } else { 1 };
            let permit = call(&mut b, 0);
            let now = Moment(if bad(slow) { SLOW } else { SLOW - 1 });
            if bad(failed) { b.failed(permit, now, 0) } else { b.succeeded(permit, now, 0) }
        }
        let want =
            if enough && (failed || slow) { BreakerState::Open } else { BreakerState::Closed };
        assert_eq!(b.state(), want, "enough {enough}, failed {failed}, slow {slow}");
        let why = b.take_change().map(|c| c.why);
        let told = match (enough, failed, slow) {
            (true, true, _) => Some(Why::Failures),
            (true, false, true) => Some(Why::Slow),
            _ => None,
        };
        assert_eq!(why, told);
    }
}

/// No calls, or fewer than the minimum, never open it, whatever their share of failures.
#[test]
fn b048_few_calls_say_nothing() {
    let mut b = breaker(BreakerPolicy::default());
    assert_eq!(b.state(), BreakerState::Closed);
    calls(&mut b, 0, 0, &"f".repeat(99));
    assert_eq!(b.state(), BreakerState::Closed, "99 of 99 failed, and 100 are to be seen");
    calls(&mut b, 0, 0, "f");
    assert_eq!(b.state(), BreakerState::Open);
}

/// Trials are bounded, their failure opens again for longer, results of an earlier state change
/// nothing, and no open time is longer than said.
#[test]
fn b049_recovery_is_ruled() {
    let mut b = breaker(four());
    let early = call(&mut b, 0);
    let also = call(&mut b, 0);
    calls(&mut b, 0, 0, "ggff");
    assert_eq!(b.state(), BreakerState::Open);

    assert_eq!(b.ask(Moment(99)), Answer::Open { until: Moment(100) });
    let (one, two, three) = (call(&mut b, 100), call(&mut b, 100), call(&mut b, 100));
    assert_eq!(b.state(), BreakerState::HalfOpen);
    assert_eq!(b.ask(Moment(100)), Answer::Busy, "three trials, no more");
    b.succeeded(early, Moment(101), 0);
    b.succeeded(one, Moment(101), 0);
    assert_eq!(b.state(), BreakerState::HalfOpen, "the early call is no evidence");
    assert_eq!(b.ask(Moment(101)), Answer::Busy, "a trial that ended is not made again");
    b.dropped(three, Moment(101), 0);
    let again = call(&mut b, 101);
    b.failed(two, Moment(102), 0);
    assert_eq!(b.state(), BreakerState::Open);
    b.succeeded(again, Moment(102), 0);
    b.failed(also, Moment(102), 0);
    assert_eq!(b.ask(Moment(301)), Answer::Open { until: Moment(302) }, "twice as long");

    for (at, until) in [(302, 652), (652, 1_002)] {
        calls(&mut b, at, 0, "f");
        assert_eq!(b.ask(Moment(at)), Answer::Open { until: Moment(until) }, "350 at most");
    }
    calls(&mut b, 1_002, 0, "gg");
    assert_eq!(b.state(), BreakerState::Closed);
    calls(&mut b, 1_003, 0, "ffff");
    assert_eq!(b.ask(Moment(1_003)), Answer::Open { until: Moment(1_103) }, "and 100 again");
    let counts = b.counts();
    assert_eq!((counts.opened, counts.closed, counts.late, counts.dropped), (5, 1, 3, 1));
}

/// An open breaker loses nothing: who asks is told when to ask again, and it is counted.
#[test]
fn b050_a_refusal_says_until_when() {
    let mut b = breaker(four());
    calls(&mut b, 0, 0, "ffff");
    for at in [0, 50, 99] {
        assert_eq!(b.ask(Moment(at)), Answer::Open { until: Moment(100) });
    }
    assert_eq!(b.counts().refused, 3);
    let at_last = call(&mut b, 100);
    b.succeeded(at_last, Moment(100), 0);
}

/// One gauge, in the order of how bad it is.
#[test]
fn b051_the_gauge_is_one_number() {
    use BreakerState::{Closed, HalfOpen, Open};
    assert_eq!([Closed, HalfOpen, Open].map(BreakerState::gauge), [0, 1, 2]);
    assert_eq!([Closed, HalfOpen, Open].map(BreakerState::as_str), ["closed", "half_open", "open"]);
}

/// Only the last calls count.
#[test]
fn old_calls_leave_the_window() {
    let mut b = breaker(four());
    calls(&mut b, 0, 0, "fggggfggggfggg");
    assert_eq!(b.state(), BreakerState::Closed, "one of four at most");
    calls(&mut b, 0, 0, "f");
    assert_eq!(b.state(), BreakerState::Closed, "the failure before it has left");
    calls(&mut b, 0, 0, "f");
    assert_eq!(b.state(), BreakerState::Open);
}

/// A trial that is slow or was dropped when it was slow has failed; one dropped before has not.
#[test]
fn slow_trials_are_no_evidence() {
    for (took, dropped, state) in [
        (SLOW - 1, true, BreakerState::HalfOpen),
        (SLOW, true, BreakerState::Open),
        (SLOW, false, BreakerState::Open),
    ] {
        let mut b = breaker(four());
        calls(&mut b, 0, 0, "ffff");
        let (permit, now) = (call(&mut b, 100), Moment(100 + took));
        if dropped {
            b.dropped(permit, now, 0)
        } else {
            b.succeeded(permit, now, 0)
        }
        assert_eq!(b.state(), state, "took {took}, dropped {dropped}");
    }
}

/// Chance makes a cooldown longer, by at most the share said, and never shorter.
#[test]
fn chance_only_adds() {
    for (unit, until) in [(0, 1_000), (u32::MAX / 2, 1_124), (u32::MAX, 1_250)] {
        let mut b = breaker(BreakerPolicy {
            cooldown: Duration::from_nanos(1_000),
            longest: Duration::from_nanos(1_000),
            jitter_percent: 25,
            ..small()
        });
        for _ in 0..2 {
            let permit = call(&mut b, 0);
            b.failed(permit, Moment(0), unit);
        }
        assert_eq!(b.ask(Moment(0)), Answer::Open { until: Moment(until) });
    }
}

/// The defaults are those written in the documentation.
#[test]
fn the_defaults_are_as_said() {
    let d = BreakerPolicy::default();
    assert_eq!((d.failed_percent, d.window, d.min_calls, d.trials), (50, 100, 100, 10));
    assert_eq!((d.cooldown, d.slow), (Duration::from_secs(60), None));
    assert_eq!(d.check(), Ok(()));
}

/// What cannot be is refused with the field's name: one failure never opens, one success never
/// closes.
#[test]
fn policies_that_cannot_be_are_refused() {
    let d = BreakerPolicy::default();
    let faults = [
        (
            BreakerPolicy { window: 0, ..d },
            "`window` of a circuit breaker is 0; it can be 2 to 4294967295",
        ),
        (
            BreakerPolicy { min_calls: 1, ..d },
            "`min_calls` of a circuit breaker is 1; it can be 2 to 100",
        ),
        (
            BreakerPolicy { min_calls: 101, ..d },
            "`min_calls` of a circuit breaker is 101; it can be 2 to 100",
        ),
        (
            BreakerPolicy { failed_percent: 0, ..d },
            "`failed_percent` of a circuit breaker is 0; it can be 1 to 100",
        ),
        (
            BreakerPolicy { slow_percent: 101, ..d },
            "`slow_percent` of a circuit breaker is 101; it can be 1 to 100",
        ),
        (
            BreakerPolicy { trials: 1, ..d },
            "`trials` of a circuit breaker is 1; it can be 2 to 4294967295",
        ),
        (
            BreakerPolicy { successes: 1, ..d },
            "`successes` of a circuit breaker is 1; it can be 2 to 10",
        ),
        (
            BreakerPolicy { factor: 0, ..d },
            "`factor` of a circuit breaker is 0; it can be 1 to 4294967295",
        ),
        (
            BreakerPolicy { jitter_percent: 101, ..d },
            "`jitter_percent` of a circuit breaker is 101; it can be 0 to 100",
        ),
        (
            BreakerPolicy { cooldown: Duration::ZERO, ..d },
            "`cooldown` of a circuit breaker is zero; say how long it stays open at least",
        ),
        (
            BreakerPolicy { longest: Duration::from_secs(1), ..d },
            "`longest` of a circuit breaker is 1s, less than its `cooldown` 60s",
        ),
        (
            BreakerPolicy { slow: Some(Duration::ZERO), ..d },
            "`slow` of a circuit breaker is zero; give a time, or `None` when no call is slow",
        ),
    ];
    for (policy, text) in faults {
        let fault: PolicyError = Breaker::new(policy).expect_err(text);
        assert_eq!(fault.to_string(), text);
    }
}

/// Every sequence of eight events; `heavy_breaker` takes twelve.
#[test]
fn all_short_sequences_equal_the_model() {
    let ends = [End::Good, End::Bad, End::Dropped];
    let alphabet: Vec<Event> = [Event::Tick, Event::Ask]
        .into_iter()
        .chain(ends.map(Event::First))
        .chain(ends.map(Event::Last))
        .collect();
    let seen = explore(small(), &alphabet, 8);
    assert!(seen.events > 10_000 && seen.opened > 0 && seen.busy > 0, "{seen:?}");
}
