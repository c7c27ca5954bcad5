//! The operator against the naive model, over random policies and random input.

use crate::cases::{agrees, case, cases, check};

/// Rows 105, 106, 109, 113, 115 to 119, 121, 122, 124, 280. Results, their order, dead letters, ledger,
/// gauges and the answers of `why` equal the model's, for every policy, batch size and restart.
#[test]
fn equals_the_model() {
    check(cases(), 1, &case(), |case| agrees(&case));
}
