//! Bounded channels between a program and its pipelines, or between two pipelines.
//!
//! | function | one end | other end |
//! |---|---|---|
//! | [`channel`] | [`Sender`]: `send`, `try_send` | [`ChannelSource`] |
//! | [`outlet`] | [`ChannelSink`] | [`Receiver`]: `recv`, a stream with feature `futures` |
//! | [`bridge`] | [`ChannelSink`] | [`ChannelSource`] |
//! | [`bounded`] | [`Sender`] | [`Receiver`] |
//!
//! # Laws
//! - At most `capacity` items wait (at least 1); a full channel makes senders wait, first come
//!   first served, or drops and counts, as [`WhenFull`] says.
//! - The end is seen only when the channel is closed *and* empty. "Nothing now" is waiting.
//! - A receiver that goes away makes every `send` return the item.
//! - Items of one sender arrive in its order.

#[cfg(feature = "futures")]
mod feed;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod receive;
#[cfg(feature = "futures")]
mod run;
mod send;
mod sink;
mod source;
mod state;

#[cfg(feature = "futures")]
pub use feed::SenderSink;
pub use receive::Receiver;
#[cfg(feature = "futures")]
pub use run::{RunStream, StreamError, run_stream};
pub use send::{Closed, Send, Sender, TrySendError};
pub use sink::ChannelSink;
pub use source::ChannelSource;

use flux_io_core::WhenFull;

/// A channel into a pipeline: what is sent is its source. Senders wait when `capacity` items wait.
#[must_use]
pub fn channel<T: std::marker::Send + 'static>(capacity: usize) -> (Sender<T>, ChannelSource<T>) {
    channel_with(capacity, WhenFull::Block)
}

/// Like [`channel`], with a policy for when it is full.
#[must_use]
pub fn channel_with<T: std::marker::Send + 'static>(
    capacity: usize,
    when_full: WhenFull,
) -> (Sender<T>, ChannelSource<T>) {
    let (tx, rx) = bounded_with(capacity, when_full);
    (tx, ChannelSource::new(rx))
}

/// A channel out of a pipeline: its sink waits when `capacity` rows wait to be received.
#[must_use]
pub fn outlet<T: std::marker::Send + 'static>(capacity: usize) -> (ChannelSink<T>, Receiver<T>) {
    outlet_with(capacity, WhenFull::Block)
}

/// Like [`outlet`], with a policy for when it is full.
#[must_use]
pub fn outlet_with<T: std::marker::Send + 'static>(
    capacity: usize,
    when_full: WhenFull,
) -> (ChannelSink<T>, Receiver<T>) {
    let (tx, rx) = bounded_with(capacity, when_full);
    (ChannelSink::new(tx), rx)
}

/// A channel from one pipeline's sink to another's source.
#[must_use]
pub fn bridge<T: std::marker::Send + 'static>(
    capacity: usize,
) -> (ChannelSink<T>, ChannelSource<T>) {
    let (tx, rx) = bounded(capacity);
    (ChannelSink::new(tx), ChannelSource::new(rx))
}

/// A channel between two parts of a program.
#[must_use]
pub fn bounded<T: std::marker::Send + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    bounded_with(capacity, WhenFull::Block)
}

/// Like [`bounded`], with a policy for when it is full.
#[must_use]
pub fn bounded_with<T: std::marker::Send + 'static>(
    capacity: usize,
    when_full: WhenFull,
) -> (Sender<T>, Receiver<T>) {
    let chan = state::Chan::new(capacity, when_full);
    (Sender::new(crate::sync::Arc::clone(&chan)), Receiver::new(chan))
}
