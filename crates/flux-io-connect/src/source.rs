//! Sources out of what a program has at hand: iterators, ranges, closures, async functions, streams.

mod from_fn;
mod generate;
mod iter;
mod range;
#[cfg(feature = "futures")]
mod stream;

pub use from_fn::{Answer, FromFn, from_fn};
pub use generate::{Generate, Resumable, generate};
pub use iter::{Iter, iter};
pub use range::{Numbers, Ranges, numbers, range};
#[cfg(feature = "futures")]
pub use stream::{FromStream, IntoStream, TryFromStream, into_stream, stream, try_stream};
