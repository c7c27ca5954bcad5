//! Kernels: the monomorphised loop of a segment.
//!
//! A kernel iterates inside: the head owns the loop, and every operator is a closure around the
//! next one, so that a segment of closures compiles to one loop without a call per row.
//!
//! # Laws
//! - K1: a panic loses no other row. Rows not yet taken stay in the input, items of a half-poured
//!   iterator stay in the kernel.
//! - K2: a caught panic costs exactly its row (behind `flat_map`: its item), and is blamed on the
//!   operator in which it began.
//! - K3: the original of a failed row is kept by operators that read by reference (`try_map`,
//!   `validate`, row views of bytes); a by-value closure has consumed it.
//! - K4: rows out of an operator are the rows into the next one; rows in are rows out plus failed
//!   plus, where the operator drops, dropped.
//! - K5: only closures known at compile time are fused.
//! - K6: under policy Fail the loop stops at the first failing row.

mod attempt;
mod filter;
mod flat;
pub(crate) mod guard;
mod inspect;
mod map;
mod raw;
mod room;
mod rows;
mod scan;
mod trouble;

pub use attempt::{Attempt, AttemptK, Check, TryK, TryMap, ValidateK};
pub use filter::{FilterK, FilterMapK};
pub use flat::FlatK;
pub use inspect::InspectK;
pub use map::MapK;
pub use raw::Raw;
pub use room::{FullRoom, Next, NoRoom, Room, SEGMENT_OPERATORS};
pub use rows::{RowK, TryRowK};
pub use scan::ScanK;

use flux_io_core::{Column, Counts, ErrorClass, OnError, Original, RowError, StageError};

/// `save` and `load` of an operator that keeps nothing between rows.
macro_rules! stateless {
    () => {
        fn save(&self, to: &mut Vec<u8>) -> Result<(), flux_io_core::StageError> {
            self.a.save(to)
        }
        fn load(&mut self, from: &mut &[u8]) -> Result<(), flux_io_core::StageError> {
            self.a.load(from)
        }
    };
    (head) => {
        fn save(&self, _to: &mut Vec<u8>) -> Result<(), flux_io_core::StageError> {
            Ok(())
        }
        fn load(&mut self, _from: &mut &[u8]) -> Result<(), flux_io_core::StageError> {
            Ok(())
        }
    };
}
use stateless;

/// A row that an operator gave up.
#[derive(Debug)]
pub struct RowFault {
    /// Its number in the input batch.
    pub row: u32,
    /// What is wrong with it.
    pub error: RowError,
    /// The row as the operator saw it, if it was kept.
    pub original: Original,
    /// Attempts made.
    pub attempts: u32,
}

/// A row that waits for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The operator it waits in, counted from the head.
    pub operator: usize,
    /// Attempts made.
    pub attempts: u32,
    /// How bad the last failure was.
    pub class: ErrorClass,
}

/// The loop of a segment over column `C`. See the module for the laws.
///
/// Operators are numbered from the head, from 0; methods that take `n` count on from it and leave
/// the number of the next operator there.
#[diagnostic::on_unimplemented(
    message = "the rows of this flow are views into a `{C}`, not values",
    label = "needs rows by value",
    note = "start with `.map_rows(name, |row| ..)` or `.try_map_rows(name, |row| ..)`"
)]
pub trait Kernel<C: Column>: Send {
    /// What a row becomes.
    type Out: Send + 'static;
    /// Operators that may still be fused behind this one.
    type Room: Room;
    /// Whether a row may become several.
    const EXPANDS: bool;
    /// Whether every row that does not fail becomes exactly one.
    const KEEPS: bool;

    /// Takes rows from the front of `input` and gives each result with the number of its row, until
    /// the input is used up (`true`), or until `sink` answers `false` or an operator stops at a row
    /// that failed (`false`). What was given to `sink` is accepted in either case; calling again
    /// goes on exactly behind it.
    ///
    /// `at` counts rows taken from this input batch, also on unwinding.
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, Self::Out) -> bool,
    ) -> bool;

    /// Hands each operator its error policy.
    fn policies(&mut self, on: &[OnError], n: &mut usize);

    /// Reports the counters of each operator, given the rows taken by the head; answers rows out.
    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64;

    /// Moves out the rows that were given up since the last call, with their operator.
    fn faults(&mut self, n: &mut usize, each: &mut dyn FnMut(usize, RowFault));

    /// The operator in which a panic began, and the row as it saw it; counts the row as failed
    /// there and clears the mark.
    fn blame(&mut self, n: &mut usize) -> Option<(usize, Original)>;

    /// The row that stopped the loop to be tried again later.
    fn waiting(&self, n: &mut usize) -> Option<Waiting>;

    /// Appends the states that operators keep between rows, from the head.
    ///
    /// # Errors
    /// When one of them has no codec.
    fn save(&self, to: &mut Vec<u8>) -> Result<(), StageError>;

    /// Takes from the front of `from` what `save` wrote.
    ///
    /// # Errors
    /// When the bytes are of other operators.
    fn load(&mut self, from: &mut &[u8]) -> Result<(), StageError>;
}
