//! The operator against the naive model, over random policies and random input.

use crate::cases::{agrees, case, cases, check};
use crate::model::{Bomb, Event, Row, Shape};
use crate::subject::{Value, blueprint, key_of, require};
use flux_io_accumulate::Policy;
use flux_io_core::{Batch, ByHand, Draws, Outcome, Var};
use proptest::prelude::*;

/// Row 280. Rows 105, 106, 109, 113, 115 to 119, 121, 122, 124. Results, their order, dead letters, ledger,
/// gauges and the answers of `why` equal the model's, for every policy, batch size and restart.
#[test]
fn equals_the_model() {
    check(cases(), 1, &case(), |case| agrees(&case));
}

/// Rows 110, 118. Without deadlines, order and repetition of fragments change nothing that is
/// assembled: which keys are complete, what is missing, and what each holds.
#[test]
fn order_and_copies_do_not_matter() {
    let strategy = (any::<bool>(), case(), any::<u64>());
    check(cases(), 3, &strategy, |(four, case, seed)| {
        let shape = if four { Shape::Four } else { Shape::Order };
        let policy = Policy::new(require(shape));
        let rows = case.events.iter().filter_map(|e| match e {
            Event::Row(r) if r.key.is_some() => Some(Row { bad: false, bomb: Bomb::None, ..*r }),
            _ => None,
        });
        let mut rows: Vec<Row> = rows.filter(|r| shape.knows(r.var, 9)).map(same_for_all).collect();
        let in_order = assembled(&policy, shape, &rows);
        let mut draws = Draws(seed);
        let copies: Vec<Row> = rows.iter().filter(|_| draws.below(2) == 0).copied().collect();
        rows.extend(copies);
        for i in (1..rows.len()).rev() {
            rows.swap(i, draws.below(i as u32 + 1) as usize);
        }
        prop_assert_eq!(assembled(&policy, shape, &rows), in_order);
        Ok(())
    });
}

/// What a row carries becomes a function of its key and variable, as copies have it.
fn same_for_all(r: Row) -> Row {
    let key = r.key.unwrap_or_default();
    let bound = (r.var == Var::one(0)).then_some(key as u32 % 3);
    Row { val: key as u32 * 100 + u32::from(r.var.group) * 10 + r.var.index, bound, ..r }
}

/// Each key's status, what is missing, and its values in order.
fn assembled(policy: &Policy, shape: Shape, rows: &[Row]) -> Vec<String> {
    let plan = blueprint(policy.clone(), shape, true);
    let mut hand = ByHand::new(plan.make());
    let mut out = hand.feed_keyed(Batch::of(rows.to_vec()), &key_of()).unwrap();
    out.extend(hand.end().unwrap());
    // More lines than the header declares are late when they come after the last needed one.
    let results = out.iter().filter(|o| !matches!(o, Outcome::Late { .. }));
    let line = |o: &Outcome<u64, Value>| {
        let needed = |v: &&(Var, u32)| shape == Shape::Four || v.0.index <= (*o.key() as u32) % 3;
        let mut values: Vec<&(Var, u32)> = o.value().iter().filter(needed).collect();
        values.sort();
        format!("{} {} [{}] {values:?}", o.key(), o.is_complete(), o.headers().missing_vars())
    };
    let mut lines: Vec<String> = results.map(line).collect();
    lines.sort();
    lines
}
