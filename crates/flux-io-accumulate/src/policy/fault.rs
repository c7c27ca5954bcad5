//! What can be wrong with a policy.

use crate::require::RequireError;

/// What makes a policy unusable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyFault {
    /// The requirement.
    #[error(transparent)]
    Require(#[from] RequireError),
    /// A number that must be at least 1.
    #[error("`{word}` is 0, so nothing could pass; leave it out or give at least 1")]
    Zero {
        /// The word.
        word: &'static str,
    },
    /// Keys that are never completed would never leave (B78).
    #[error(
        "no deadline, no flush at the end and no limit: incomplete keys would never leave; give \
         `.expire_after(..)`, another `.on_end(..)` or `.max_keys(..)`"
    )]
    NeverLeaves,
    /// Corrections without a codec.
    #[error("`on_late` corrects results, so states must outlive them; give `.durable(save, load)`")]
    CorrectNeedsCodec,
    /// The default key's bytes are of no key.
    #[error("the default key {0:02x?} is no key of this type; give the bytes of one")]
    DefaultKey(Vec<u8>),
    /// A bound that the requirement does not name.
    #[error("a bound `{name}` is declared, but the requirement uses none of that name")]
    UnknownBound {
        /// Its name.
        name: String,
    },
}
