//! Random policies and streams of events, small enough that every rule meets every other one:
//! few keys, few variables, short times, many ties.
//!
//! All of it is a function of the generator's seed.

use super::{
    After, Event, Fragment, Identity, Late, Leave, OverLimit, Policy, Required, Tombstone,
    WatermarkGenerator,
};
use crate::jobs::rng::SplitMix64;

/// The header's variable in the data-dependent policies made here.
pub const HEADER: u32 = 0;

/// Sizes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Fragments.
    pub rows: u64,
    /// Keys are `0..keys`.
    pub keys: u64,
    /// Variables are `0..vars`.
    pub vars: u64,
    /// How far event times fall behind at most.
    pub disorder: u64,
    /// The lag of the watermarks; below the disorder there are late fragments. None: no marks.
    pub lag: Option<i64>,
}

/// A random policy, drawn so that each choice of each field turns up.
pub fn policy(rng: &mut SplitMix64) -> Policy {
    let required = match rng.below(3) {
        0 => Required::Declared { header: HEADER, bases: vec![0, 2] },
        _ => Required::Static(1 + rng.below(4) as u32),
    };
    Policy {
        required,
        identity: pick(rng, &[Identity::Variable, Identity::Variable, Identity::Ident]),
        ttl: maybe(rng, 12).map(|ttl| ttl as i64),
        inactivity: maybe(rng, 8).map(|gap| gap as i64),
        clock_ttl: maybe(rng, 6).map(|ttl| ttl as i64),
        extend: rng.below(3) as u32,
        on_expire: pick(rng, &[Leave::Partial, Leave::DeadLetter, Leave::Drop]),
        after: pick(
            rng,
            &[
                After::Remove,
                After::Reset,
                After::Tombstone(Tombstone::ToEnd),
                After::Tombstone(Tombstone::EventTime(5)),
                After::Tombstone(Tombstone::Clock(3)),
            ],
        ),
        late: pick(rng, &[Late::SideOutput, Late::Drop, Late::NewGeneration, Late::Corrected]),
        on_end: pick(rng, &[Leave::Partial, Leave::DeadLetter, Leave::Drop]),
        max_keys: maybe(rng, 6),
        max_items: maybe(rng, 5),
        max_bytes: maybe(rng, 40),
        over_limit: pick(rng, &[OverLimit::Partial, OverLimit::DeadLetter, OverLimit::Refuse]),
    }
}

/// A random stream: fragments whose event times rise by 0 to 2 a row less a random disorder, one
/// in eight of them a copy of an earlier one, with a watermark before every row that raises it and
/// now and then a step of the clock. It does not end: [`Event::End`] is the caller's.
pub fn events(rng: &mut SplitMix64, shape: Shape) -> Vec<Event> {
    let mut marks = shape.lag.map(WatermarkGenerator::new);
    let mut sent: Vec<Fragment> = Vec::new();
    let mut events = Vec::new();
    let (mut time, mut clock) = (0, 0);
    for row in 0..shape.rows {
        time += rng.below(3) as i64;
        let copied = sent.get(rng.below(sent.len() as u64) as usize).copied();
        let fragment = copied.filter(|_| rng.below(8) == 0).unwrap_or_else(|| Fragment {
            key: rng.below(shape.keys),
            var: rng.below(shape.vars) as u32,
            ts: time - rng.below(shape.disorder + 1) as i64,
            ident: row,
            payload: 1 + rng.below(2),
            bytes: 1 + rng.below(20),
        });
        sent.push(fragment);
        let mark = marks.as_mut().and_then(|marks| marks.before(fragment.ts));
        events.extend(mark.map(Event::Watermark));
        events.push(Event::Fragment(fragment));
        if rng.below(4) == 0 {
            clock += 1 + rng.below(3) as i64;
            events.push(Event::Clock(clock));
        }
    }
    events
}

fn pick<T: Copy, const N: usize>(rng: &mut SplitMix64, choices: &[T; N]) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

/// Nothing half of the time, else a number in `0..bound`.
fn maybe(rng: &mut SplitMix64, bound: u64) -> Option<u64> {
    (rng.below(2) == 0).then(|| rng.below(bound))
}
