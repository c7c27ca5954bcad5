//! A breaker written the slow way, from the whole history, and the comparison of the real one with
//! it over every sequence of events.

use flux_io_backpressure::{Answer, Breaker, BreakerPolicy, BreakerState, Permit, Why};
use flux_io_core::Moment;
use std::rc::Rc;
use std::time::Duration;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A nanosecond goes by.
    Tick,
    Ask,
    /// The call that began first, or last, ends.
    First(End),
    Last(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    Bad,
    Dropped,
}

/// An entry of the history.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// The state begins here.
    Is(BreakerState, u64),
    /// A call of this state began, or was dropped.
    Began,
    Dropped,
    /// One ended: failed, slow.
    Ended(bool, bool),
}

/// The history, and nothing derived from it.
#[derive(Clone, Debug)]
struct Model {
    policy: BreakerPolicy,
    history: Vec<Entry>,
}

impl Model {
    fn new(policy: BreakerPolicy) -> Self {
        Self { policy, history: vec![Entry::Is(BreakerState::Closed, 0)] }
    }

    /// How many states there were.
    fn generation(&self) -> usize {
        self.history.iter().filter(|e| matches!(e, Entry::Is(..))).count()
    }

    /// The state, since when, and what happened in it.
    fn now(&self) -> (BreakerState, u64, &[Entry]) {
        let mut last = (BreakerState::Closed, 0, 0);
        for (i, e) in self.history.iter().enumerate() {
            if let Entry::Is(state, at) = e {
                last = (*state, *at, i + 1);
            }
        }
        (last.0, last.1, &self.history[last.2..])
    }

    /// The cooldown by the failed recoveries since it was last closed; without chance.
    fn cooldown(&self) -> u64 {
        use BreakerState::{Closed, HalfOpen, Open};
        let states = self.history.iter().filter_map(|e| match e {
            Entry::Is(state, _) => Some(*state),
            _ => None,
        });
        let mut relapses = 0;
        let mut before = Closed;
        for s in states {
            match (before, s) {
                (_, Closed) => relapses = 0,
                (HalfOpen, Open) => relapses += 1,
                _ => {}
            }
            before = s;
        }
        let times = (self.policy.factor as u64).pow(relapses);
        (self.policy.cooldown.as_nanos() as u64 * times).min(self.policy.longest.as_nanos() as u64)
    }

    /// The generation of the permit, or why there is none: until when.
    fn ask(&mut self, now: u64) -> Result<usize, Option<u64>> {
        if let (BreakerState::Open, since, _) = self.now() {
            let until = since + self.cooldown();
            if now < until {
                return Err(Some(until));
            }
            self.history.push(Entry::Is(BreakerState::HalfOpen, now));
        }
        let (state, _, entries) = self.now();
        let count = |f: fn(&Entry) -> bool| entries.iter().filter(|e| f(e)).count();
        let began = count(|e| matches!(e, Entry::Began));
        let dropped = count(|e| matches!(e, Entry::Dropped));
        if state == BreakerState::HalfOpen && began - dropped >= self.policy.trials as usize {
            return Err(None);
        }
        self.history.push(Entry::Began);
        Ok(self.generation())
    }

    fn end(&mut self, (generation, began): (usize, u64), end: End, now: u64) {
        if generation != self.generation() {
            return;
        }
        let slow = self.policy.slow.is_some_and(|s| u128::from(now - began) >= s.as_nanos());
        let failed = match end {
            End::Good => false,
            End::Bad => true,
            End::Dropped if slow => true,
            End::Dropped => return self.history.push(Entry::Dropped),
        };
        self.history.push(Entry::Ended(failed, slow));
        let (state, _, entries) = self.now();
        let ends: Vec<(bool, bool)> = entries
            .iter()
            .filter_map(|e| match e {
                Entry::Ended(failed, slow) => Some((*failed, *slow)),
                _ => None,
            })
            .collect();
        let next = match state {
            BreakerState::Closed => {
                let seen = &ends[ends.len().saturating_sub(self.policy.window as usize)..];
                let share = |n: usize| n as f64 / seen.len() as f64 * 100.0;
                let failed = share(seen.iter().filter(|e| e.0).count());
                let slow = share(seen.iter().filter(|e| e.1).count());
                let enough = seen.len() >= self.policy.min_calls as usize;
                let bad = failed >= f64::from(self.policy.failed_percent)
                    || slow >= f64::from(self.policy.slow_percent);
                (enough && bad).then_some(BreakerState::Open)
            }
            BreakerState::HalfOpen if failed || slow => Some(BreakerState::Open),
            BreakerState::HalfOpen => {
                (ends.len() >= self.policy.successes as usize).then_some(BreakerState::Closed)
            }
            BreakerState::Open => None,
        };
        if let Some(next) = next {
            self.history.push(Entry::Is(next, now));
        }
    }
}

/// A call under way. Its permit cannot be copied: an equal one is given by a copy of the breaker as
/// it was.
#[derive(Clone)]
struct Call {
    before: Rc<Breaker>,
    began: u64,
    generation: usize,
}

impl Call {
    fn permit(&self) -> Permit {
        match (*self.before).clone().ask(Moment(self.began)) {
            Answer::Call(permit) => permit,
            other => panic!("a permit was given, now {other:?}"),
        }
    }
}

/// Both at one point of the tree of sequences.
#[derive(Clone)]
struct Point {
    real: Breaker,
    now: u64,
    flying: Vec<Call>,
    opened: Option<u64>,
}

/// What an exploration has seen, so that a test can say that it saw anything.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    pub(crate) opened: u64,
    pub(crate) relapsed: u64,
    pub(crate) closed: u64,
    pub(crate) busy: u64,
    pub(crate) late: u64,
}

/// Small numbers with which everything happens within a few events; a call of 2 ns or more is slow.
pub(crate) fn small() -> BreakerPolicy {
    BreakerPolicy {
        window: 3,
        min_calls: 2,
        failed_percent: 50,
        slow: None,
        slow_percent: 100,
        trials: 2,
        successes: 2,
        cooldown: Duration::from_nanos(1),
        factor: 2,
        longest: Duration::from_nanos(3),
        jitter_percent: 0,
    }
}

/// Every sequence of `depth` events out of `alphabet`, with events that cannot happen left out: at
/// each step the breaker does what the model does, and keeps its laws.
pub(crate) fn explore(policy: BreakerPolicy, alphabet: &[Event], depth: u32) -> Seen {
    let real = Breaker::new(policy).expect("a policy that can be");
    let start = Point { real, now: 5, flying: Vec::new(), opened: None };
    let mut seen = Seen::default();
    descend(&start, &mut Model::new(policy), alphabet, depth, &mut seen);
    seen
}

fn descend(at: &Point, model: &mut Model, alphabet: &[Event], depth: u32, seen: &mut Seen) {
    if depth == 0 {
        return;
    }
    let len = model.history.len();
    for event in alphabet {
        let (end, which) = match event {
            Event::First(end) if !at.flying.is_empty() => (Some(*end), 0),
            // With one call under way the last is the first.
            Event::Last(end) if at.flying.len() > 1 => (Some(*end), at.flying.len() - 1),
            Event::First(_) | Event::Last(_) => continue,
            Event::Tick | Event::Ask => (None, 0),
        };
        let mut next = at.clone();
        seen.events += 1;
        match end {
            Some(end) => {
                let call = next.flying.remove(which);
                let (permit, now) = (call.permit(), Moment(next.now));
                match end {
                    End::Good => next.real.succeeded(permit, now, 0),
                    End::Bad => next.real.failed(permit, now, 0),
                    End::Dropped => next.real.dropped(permit, now, 0),
                }
                model.end((call.generation, call.began), end, next.now);
            }
            None if *event == Event::Tick => next.now += 1,
            None => ask(at, &mut next, model, seen),
        }
        laws(at, &mut next, model, seen);
        descend(&next, model, alphabet, depth - 1, seen);
        model.history.truncate(len);
    }
}

fn ask(at: &Point, next: &mut Point, model: &mut Model, seen: &mut Seen) {
    let answer = next.real.ask(Moment(next.now));
    match (model.ask(next.now), answer) {
        (Ok(generation), Answer::Call(permit)) => {
            assert_eq!(permit.began(), Moment(next.now));
            let before = Rc::new(at.real.clone());
            next.flying.push(Call { before, began: next.now, generation });
        }
        (Err(Some(until)), Answer::Open { until: real }) => assert_eq!(real, Moment(until)),
        (Err(None), Answer::Busy) => seen.busy += 1,
        (model, real) => panic!("the model says {model:?}, the breaker {real:?}"),
    }
}

/// The laws, asked of the breaker alone; and that the model is in the same state.
fn laws(at: &Point, next: &mut Point, model: &Model, seen: &mut Seen) {
    let (state, since, entries) = model.now();
    assert_eq!(next.real.state(), state);
    let policy = &model.policy;
    let in_half: Vec<&Call> =
        next.flying.iter().filter(|c| c.generation == model.generation()).collect();
    if state == BreakerState::HalfOpen {
        assert!(in_half.len() <= policy.trials as usize, "too many trials at once");
        let began = entries.iter().filter(|e| matches!(e, Entry::Began)).count();
        let dropped = entries.iter().filter(|e| matches!(e, Entry::Dropped)).count();
        assert!(began - dropped <= policy.trials as usize, "too many trials");
    }
    seen.late = seen.late.max(next.real.counts().late);
    let Some(change) = next.real.take_change() else {
        assert_eq!(at.real.state(), next.real.state(), "a change is told");
        return;
    };
    assert_eq!((change.from, change.to), (at.real.state(), next.real.state()));
    assert_eq!(change.at, Moment(next.now));
    assert_eq!(since, next.now);
    let cooldown = policy.cooldown.as_nanos() as u64;
    match change.to {
        BreakerState::Open => {
            let earlier = next.opened.replace(next.now);
            assert!(earlier.is_none_or(|e| e + cooldown <= next.now), "opened again too early");
            seen.opened += 1;
            seen.relapsed += u64::from(change.why == Why::Trial);
        }
        BreakerState::HalfOpen => {
            let opened = next.opened.expect("it was open");
            assert!(opened + cooldown <= next.now, "no trial before the wait is over");
        }
        BreakerState::Closed => seen.closed += 1,
    }
}
