//! Which epochs complete.

use super::*;

/// A source that is told to stop before it emitted a barrier ends its stages' input, so the epoch
/// would keep an end that a restored run does not have.
#[test]
fn an_epoch_that_a_stopped_source_missed_is_never_complete() {
    let handle = RunHandle::default();
    let task = handle.join();
    let acked = |e| handle.ack(task, Epoch(e)).map(|w| w.epoch);
    assert_eq!(acked(1), Some(Epoch(1)));
    handle.source_stopped(Epoch(3));
    handle.source_stopped(Epoch(2));
    assert_eq!(acked(3), None);
    assert_eq!(acked(2), Some(Epoch(2)));
}
