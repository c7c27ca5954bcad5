//! Keyed accumulation until complete.
//!
//! Fragments of a thing arrive late, twice, out of order and from several places. This crate holds
//! them by key until what is required is there, or a deadline says "emit what there is", and emits
//! a typed result that says complete, partial (what is missing and why it left), late or corrected.
//! A ledger accounts for every fragment.
//!
//! | where | what |
//! |---|---|
//! | [`Require`] | what a key needs: an algebra over named variables |
//! | [`Policy`] | deadlines, leaving, tombstones, limits, as plain data |
//! | [`Assembly`], [`Assembled`] | the policy with its closures, built word by word |
//! | [`Blueprint`], [`Accumulator`] | the checked whole, and the operator it makes |
//! | [`merge`] | ways to bring a field into a state |
//!
//! ```
//! use flux_io_accumulate::{Assembly, Require};
//! use flux_io_core::{Always, Batch, ByHand, Outcome, StageError, Var};
//!
//! struct Fragment { order: u64, kind: u16, line: u32, lines: Option<u32>, cents: u64 }
//!
//! let blueprint = Assembly::<Vec<Fragment>, u64>::new()
//!     .require(Require::new().one("header").each("line", "lines"))
//!     .var(|f| Var { group: f.kind, index: f.line })
//!     .bound("lines", |f| f.lines)
//!     .merge(|total: &mut u64, f| *total += f.cents)
//!     .accumulator(Always(|f: &Fragment| f.order))
//!     .map_err(|faults| StageError::permanent(format!("{faults:?}")))?;
//!
//! let mut by_hand = ByHand::new(blueprint.make());
//! let rows = vec![
//!     Fragment { order: 7, kind: 1, line: 2, lines: None, cents: 250 },
//!     Fragment { order: 9, kind: 1, line: 1, lines: None, cents: 5 },
//!     Fragment { order: 7, kind: 1, line: 1, lines: None, cents: 100 },
//!     Fragment { order: 7, kind: 0, line: 0, lines: Some(2), cents: 0 },
//! ];
//! let out = by_hand.feed_keyed(Batch::of(rows), &Always(|f: &Fragment| f.order))?;
//! assert!(matches!(&out[..], [Outcome::Complete { key: 7, value: 350, .. }]));
//!
//! let rest = by_hand.end()?;
//! assert!(matches!(&rest[..], [Outcome::Partial { key: 9, value: 5, .. }]));
//! assert_eq!(rest[0].headers().missing_vars(), "header");
//! # Ok::<(), StageError>(())
//! ```

mod assembly;
mod closures;
mod gate;
mod index;
pub mod merge;
mod need;
mod operator;
mod policy;
mod pool;
mod purse;
mod require;
mod set;
mod spec;
mod sync;
mod table;
mod timers;
mod tombs;

pub use assembly::{Assembled, Assembly, Start};
pub use closures::{
    BoundOf, ByCheck, ByFinish, ById, ByMerge, ByName, ByTryMerge, ByTryVar, ByVar, ByWeight,
    CheckOf, Closures, CodecOf, Declares, FinishOf, IdOf, MergeOf, NoBound, NoCheck, NoCodec, NoId,
    NoWeight, OneVar, Saved, TakeState, VarOf, WeighOf,
};
pub use need::Need;
pub use operator::{Accumulator, Blueprint};
pub use policy::{
    After, DEFAULT_MAX_INDEX, DEFAULT_TOMBSTONES, EvictTo, Identity, Keep, NewKeys, OnDuplicate,
    OnEnd, OnExpire, OnLate, OnLimit, OnUnkeyed, Policy, PolicyFault, Then,
};
pub use require::{Part, Require, RequireError, Rule, UpTo};
pub use spec::Spec;
