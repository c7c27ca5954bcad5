//! The operator against the naive model, ten thousand times and more. Meant for optimised builds.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests do")]

#[path = "it/cases.rs"]
mod cases;
#[path = "it/model.rs"]
mod model;
#[path = "it/subject.rs"]
mod subject;

/// Row 280. Rows 105, 106, 109, 113, 115 to 119, 121, 122, 124. See the property of the same name in `it`.
#[test]
fn equals_the_model_ten_thousand_times() {
    cases::check(cases::cases().max(10_000), 2, &cases::case(), |case| cases::agrees(&case));
}
