//! Random policies and random events, from plain numbers so that proptest shrinks them towards the
//! simple: all zeros is the default policy and one key.

use crate::model::{Bomb, Event, Model, Row, Shape};
use crate::subject::{Case, How, KEYS, Told, require, run};
use flux_io_accumulate::{
    After, EvictTo, Identity, Keep, NewKeys, OnDuplicate, OnEnd, OnExpire, OnLate, OnLimit,
    OnUnkeyed, Policy, Then,
};
use flux_io_core::Var;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::time::Duration;

/// Numbers a policy is made of.
const KNOBS: usize = 22;

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let knobs = prop::collection::vec(any::<u8>(), KNOBS);
    let events = prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..60);
    (knobs, events).prop_map(|(k, e)| {
        let shape = shape(k[0]);
        let (take_back, bombs) = (k[20] % 2 == 0, often(k[21], 2));
        let events = events_of(shape, bombs, &e);
        Case { policy: policy(&k, shape), shape, take_back, events }
    })
}

fn shape(n: u8) -> Shape {
    match n % 12 {
        0..=3 => Shape::Four,
        4..=7 => Shape::Order,
        8 => Shape::TwoOfThree,
        9 => Shape::Nested,
        10 => Shape::Three,
        _ => Shape::Seventy,
    }
}

/// One in `n` chances; 0 is never.
const fn often(knob: u8, n: u8) -> bool {
    knob % n == n - 1
}

fn nanos(knob: u8) -> Duration {
    Duration::from_nanos(u64::from(knob / 8))
}

pub(crate) fn policy(k: &[u8], shape: Shape) -> Policy {
    let mut p = Policy::new(require(shape));
    p.expire_after = often(k[1], 2).then(|| nanos(k[1]));
    p.inactive_after = often(k[2], 4).then(|| nanos(k[2]));
    p.timeout = often(k[3], 5).then(|| nanos(k[3]));
    p.idle_timeout = often(k[4], 5).then(|| nanos(k[4]));
    p.flush_after = often(k[5], 6).then(|| nanos(k[5]));
    let then = [Then::Partial, Then::DeadLetter, Then::Drop][usize::from(k[6] / 16 % 3)];
    let times = u32::from(k[6] % 3) + 1;
    p.on_expire = match k[6] % 6 {
        0..=2 => OnExpire::Partial,
        3 => OnExpire::DeadLetter,
        4 => OnExpire::Drop,
        _ => OnExpire::Extend { times, then },
    };
    p.after = match k[7] % 6 {
        0 | 1 => After::Tombstone(Keep::ToEnd),
        2 | 3 => After::Remove,
        4 => After::Tombstone(Keep::For(nanos(k[7]))),
        _ => After::Reset,
    };
    p.on_late = [OnLate::SideOutput, OnLate::Drop, OnLate::NewGeneration, OnLate::Correct]
        [usize::from(k[8] % 4)];
    p.on_duplicate = if often(k[9], 5) { OnDuplicate::DeadLetter } else { OnDuplicate::Count };
    p.on_end =
        [OnEnd::Partial, OnEnd::Partial, OnEnd::DeadLetter, OnEnd::Drop][usize::from(k[10] % 4)];
    p.on_unkeyed = if often(k[11], 3) {
        OnUnkeyed::Default(3_u64.to_be_bytes().to_vec())
    } else {
        OnUnkeyed::DeadLetter
    };
    p.max_keys = often(k[12], 4).then(|| u64::from(k[12] % 3) + 1);
    p.max_items = often(k[13], 5).then(|| u64::from(k[13] / 8 % 5) + 1);
    p.max_key_items = often(k[14], 5).then(|| u64::from(k[14] / 8 % 4) + 1);
    p.on_limit = match k[15] % 4 {
        0 | 1 => OnLimit::Evict(EvictTo::Partial),
        2 => OnLimit::Evict(EvictTo::DeadLetter),
        _ => OnLimit::Refuse,
    };
    p.new_keys = often(k[16], 8).then(|| NewKeys {
        per_second: u32::from(k[16]) * 3_000_000,
        burst: u32::from(k[16] / 8 % 3) + 1,
    });
    if often(k[17], 4) {
        p.max_tombstones = u64::from(k[17] / 8 % 4);
    }
    p.identity = match k[18] % 7 {
        4 => Identity::SourceSeq,
        5 => Identity::Id,
        6 => Identity::Each,
        _ => Identity::Variable,
    };
    p.max_index = 9;
    // Byte limits where the model knows the bytes: its sets fit one word.
    let plain = shape == Shape::Four && p.identity == Identity::Variable;
    p.max_key_bytes = (plain && often(k[19], 4)).then(|| 30 + u64::from(k[19] / 4));
    p.weighed = p.max_key_bytes.is_some() || often(k[19], 3);
    p
}

fn events_of(shape: Shape, bombs: bool, draws: &[(u8, u8, u8, u8)]) -> Vec<Event> {
    let (mut ts, mut now, mut mark) = (0_i64, 0_u64, 0_i64);
    let mut events: Vec<Event> = draws
        .iter()
        .map(|&(what, a, b, c)| match what % 16 {
            13 => {
                mark += i64::from(a % 16);
                Event::Mark(mark)
            }
            14 => {
                now += u64::from(a % 16);
                Event::Clock(now)
            }
            _ => {
                ts += i64::from(c % 4);
                let late = i64::from(b / 16) - 8;
                let row = row(shape, what, a, b, ts + late);
                Event::Row(if bombs { Row { bomb: bomb(c), ..row } } else { row })
            }
        })
        .collect();
    events.push(Event::End);
    // Two marks at one place are the later one.
    events.reverse();
    events.dedup_by(|e, later| matches!((e, later), (Event::Mark(_), Event::Mark(_))));
    events.reverse();
    events
}

/// A bomb in about one of six rows.
const fn bomb(c: u8) -> Bomb {
    match c / 4 % 40 {
        34 => Bomb::Var,
        35 => Bomb::Bound,
        36 => Bomb::Merge,
        37 => Bomb::Check,
        38 => Bomb::Weigh,
        39 => Bomb::Finish,
        _ => Bomb::None,
    }
}

fn row(shape: Shape, what: u8, a: u8, b: u8, ts: i64) -> Row {
    let strange = often(a, 40);
    let var = match shape {
        Shape::Four => Var::one(u16::from(b % 4)),
        Shape::Order => match b % 7 {
            0 => Var::one(0),
            n => Var::nth(u16::from(n % 2) + 1, u32::from(n.div_ceil(2))),
        },
        Shape::TwoOfThree | Shape::Nested => Var::one(u16::from(b % 3)),
        Shape::Three => Var::one(u16::from(b % 2)),
        Shape::Seventy => Var::one([0, 1, 68, 69][usize::from(b % 4)]),
    };
    let var = if strange { Var::nth(u16::from(b % 5), 11) } else { var };
    let header = shape == Shape::Order && var == Var::one(0);
    Row {
        key: (what % 16 != 15).then(|| u64::from(a) % KEYS),
        var,
        ts,
        bound: (header || (shape == Shape::Order && often(what, 11)))
            .then(|| if often(a, 30) { 12 } else { u32::from(a / 8 % 4) }),
        id: u64::from(a / 8 % 4),
        val: u32::from(what / 4),
        bad: often(what, 23),
        bomb: Bomb::None,
    }
}

/// What the model gives.
pub(crate) fn expected(case: &Case) -> Told {
    let mut model = Model::new(case.policy.clone(), case.shape, case.take_back);
    case.events.iter().for_each(|e| model.step(*e));
    Told {
        classes: model.classes(),
        fragments: model.fragments(),
        tombstones_evicted: model.tombstones_evicted,
        held: model.held(),
        why: (0..KEYS).map(|k| model.why(k)).collect(),
        outs: model.outs,
        dead: model.dead,
    }
}

/// The operator equals the model at every batch size, and with a new instance after each batch.
pub(crate) fn agrees(case: &Case) -> Result<(), TestCaseError> {
    let want = expected(case);
    let how = |split, restart, out_rows| How { split, restart, out_rows };
    for how in [how(1, false, 9), how(7, false, 1), how(1024, false, 2), how(3, true, 1024)] {
        let got = run(case, how);
        prop_assert_eq!(&got, &want, "{:?}", how);
    }
    Ok(())
}

/// Runs a property on `cases` cases of a fixed seed.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    seed: u64,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 200_000,
        ..Config::default()
    };
    if let Err(e) = TestRunner::new(config).run(strategy, test) {
        panic!("{e}");
    }
}

/// Cases of the ordinary run: `FLUX_IO_CASES`, else 256.
pub(crate) fn cases() -> u32 {
    std::env::var("FLUX_IO_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256)
}
