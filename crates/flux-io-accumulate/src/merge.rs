//! Ways to bring a fragment's field into a field of the state.
//!
//! Each takes the field to change and the value that came. Those that can fail leave the field as
//! it was, as [`flux_io_core::Accumulate::update`] asks.

use flux_io_core::{DeadCause, RowError};
use std::collections::BTreeSet;
use std::fmt;

/// Keeps what came first.
pub fn first<T>(field: &mut Option<T>, value: T) {
    field.get_or_insert(value);
}

/// Keeps what came last.
pub fn last<T>(field: &mut Option<T>, value: T) {
    *field = Some(value);
}

/// Adds to a list, in the order of arrival.
pub fn list<T>(field: &mut Vec<T>, value: T) {
    field.push(value);
}

/// Adds to a set; values that are there already stay.
pub fn set<T: Ord>(field: &mut BTreeSet<T>, value: T) {
    field.insert(value);
}

/// Adds up.
///
/// # Errors
/// Cause `invalid` when the sum does not fit the type; the field is as it was.
pub fn sum<T: Sum>(field: &mut T, value: T) -> Result<(), RowError> {
    match field.add(value) {
        Some(sum) => {
            *field = sum;
            Ok(())
        }
        None => Err(RowError::new(DeadCause::Invalid, "the sum does not fit its type")),
    }
}

/// Keeps the smallest.
pub fn min<T: PartialOrd>(field: &mut Option<T>, value: T) {
    if field.as_ref().is_none_or(|f| value < *f) {
        *field = Some(value);
    }
}

/// Keeps the largest.
pub fn max<T: PartialOrd>(field: &mut Option<T>, value: T) {
    if field.as_ref().is_none_or(|f| value > *f) {
        *field = Some(value);
    }
}

/// Appends text, `between` standing between two pieces.
pub fn concat(field: &mut String, between: &str, value: &str) {
    if !field.is_empty() {
        field.push_str(between);
    }
    field.push_str(value);
}

/// Takes the first value and then only the same again.
///
/// # Errors
/// Cause `conflict` when another value came; the field is as it was.
pub fn conflict<T: PartialEq + fmt::Debug>(
    field: &mut Option<T>,
    value: T,
) -> Result<(), RowError> {
    match field {
        Some(held) if *held != value => Err(RowError::new(
            DeadCause::Conflict,
            format!("{value:?} contradicts {held:?}, which the key already holds"),
        )),
        Some(_) => Ok(()),
        None => {
            *field = Some(value);
            Ok(())
        }
    }
}

/// Numbers that [`sum`] adds.
pub trait Sum: Copy {
    /// The sum, or `None` when it does not fit.
    fn add(self, other: Self) -> Option<Self>;
}

macro_rules! whole { ($($t:ty),*) => { $(impl Sum for $t {
    fn add(self, other: Self) -> Option<Self> { self.checked_add(other) }
})* } }
whole!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

macro_rules! float { ($($t:ty),*) => { $(impl Sum for $t {
    fn add(self, other: Self) -> Option<Self> { Some(self + other) }
})* } }
float!(f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn folded<T, F: Default>(values: impl IntoIterator<Item = T>, by: impl Fn(&mut F, T)) -> F {
        let mut field = F::default();
        values.into_iter().for_each(|v| by(&mut field, v));
        field
    }

    #[test]
    fn each_keeps_what_it_says() {
        assert_eq!(folded([3, 1, 2], first), Some(3));
        assert_eq!(folded([3, 1, 2], last), Some(2));
        assert_eq!(folded([3, 1, 2], min), Some(1));
        assert_eq!(folded([3.0, 9.0, 2.0], max), Some(9.0));
        assert_eq!(folded([3, 1, 3], list), [3, 1, 3]);
        assert_eq!(folded([3, 1, 3], set), BTreeSet::from([1, 3]));
        assert_eq!(folded(["a", "b", "c"], |f, v| concat(f, ", ", v)), "a, b, c");
    }

    #[test]
    fn b073_a_sum_that_does_not_fit_is_an_error_and_changes_nothing() {
        let mut field = 250_u8;
        assert!(sum(&mut field, 5).is_ok());
        assert_eq!(sum(&mut field, 1).unwrap_err().cause, DeadCause::Invalid);
        assert_eq!(field, 255);
    }

    #[test]
    fn a_contradiction_is_an_error_and_changes_nothing() {
        let mut field = None;
        assert!(conflict(&mut field, "x").is_ok() && conflict(&mut field, "x").is_ok());
        let e = conflict(&mut field, "y").unwrap_err();
        let text = "\"y\" contradicts \"x\", which the key already holds";
        assert_eq!((e.cause, e.what.as_str(), field), (DeadCause::Conflict, text, Some("x")));
    }
}
