//! Keyed accumulation without an engine, a builder or a runtime: `flux-io-core` and
//! `flux-io-accumulate` alone, in a loop of one's own.
//!
//! `cargo run --release --package flux-io-example-bare`
//!
//! Rows 295, 332.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use flux_io_accumulate::{Assembly, Require};
use flux_io_core::{Always, Batch, ByHand, StageError};

fn main() -> Result<(), StageError> {
    let key = Always(|(order, _): &(u64, &'static str)| *order);
    let blueprint = Assembly::<Vec<(u64, &'static str)>, u64>::new()
        .require(Require::all(["header", "payment"]))
        .var_name(|(_, kind)| kind)
        .merge(|parts: &mut Vec<&str>, (_, kind)| parts.push(*kind))
        .accumulator(key)
        .map_err(|faults| StageError::permanent(format!("{faults:?}")))?;
    let mut orders = ByHand::new(blueprint.make());
    let feed = vec![(7, "payment"), (9, "payment"), (7, "header"), (7, "header")];
    let mut outcomes = orders.feed_keyed(Batch::of(feed), &key)?;
    outcomes.extend(orders.end()?);
    for o in &outcomes {
        match o.is_complete() {
            true => println!("{} complete", o.key()),
            false => println!("{} partial without {}", o.key(), o.headers().missing_vars()),
        }
    }
    Ok(())
}
