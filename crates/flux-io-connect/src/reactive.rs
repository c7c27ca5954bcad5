//! Reactive Streams: a publisher as a source, a subscriber as a sink, `request(n)` as credits.
//!
//! The three roles are those of the Reactive Streams specification 1.0.4; numbers like 1.01 in the
//! docs are its rules. A library of reactive operators is joined by these traits alone.
//!
//! | a pipeline that | is | made with |
//! |---|---|---|
//! | ends in a subscriber | its publisher | [`to_subscriber`] |
//! | starts from a publisher | its subscriber | [`from_publisher`] |

mod credits;
mod inlet;
mod outlet;

pub use inlet::{Inlet, PublisherSource, from_publisher};
pub use outlet::{SubscriberSink, to_subscriber};

use flux_io_core::StageError;

/// Who takes items, at its own pace.
pub trait Subscriber<T>: Send {
    /// Comes first, once; nothing else comes before demand is signalled (1.01, 1.09).
    fn on_subscribe(&mut self, subscription: Box<dyn Subscription>);
    /// An item that was requested.
    fn on_next(&mut self, item: T);
    /// The end by a failure; nothing follows (1.07).
    fn on_error(&mut self, error: StageError);
    /// The end; nothing follows (1.07).
    fn on_complete(&mut self);
}

/// The line from a subscriber back to its publisher.
pub trait Subscription: Send {
    /// Asks for `n` more items. `n` = 0 is a fault that the subscriber is told (3.09); sums beyond
    /// `u64::MAX` stay there (3.17).
    fn request(&mut self, n: u64);
    /// Asks for nothing more, for good (3.05, 3.07).
    fn cancel(&mut self);
}

/// Who gives items, as they are requested.
pub trait Publisher<T> {
    /// Begins to give items to `subscriber`.
    fn subscribe(self, subscriber: Box<dyn Subscriber<T>>);
}
