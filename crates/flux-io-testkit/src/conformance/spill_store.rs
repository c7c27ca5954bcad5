//! Laws of a [`SpillStore`].

use flux_io_core::{Draws, SpillPlace, SpillStore};
use std::collections::BTreeMap;

/// Checks the laws of a spill store. `make` makes an empty one.
pub fn laws<S: SpillStore>(make: impl Fn() -> S) {
    what_was_appended_is_read_back(&make);
    partitions_are_replayed_in_order(&make);
    a_freed_partition_is_gone(&make);
    unknown_places_are_errors(&make);
}

fn frame(draws: &mut Draws, n: usize) -> Vec<u8> {
    (0..n).map(|_| draws.next_u32() as u8).collect()
}

fn append(store: &mut impl SpillStore, partition: u32, frame: &[u8]) -> SpillPlace {
    let place = store.append(partition, frame);
    place.unwrap_or_else(|e| super::broken(&flux_io_core::chain(&e)))
}

fn replay(store: &mut impl SpillStore, partition: u32) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let went = store.replay(partition, &mut |f| frames.push(f.to_vec()));
    assert!(went.is_ok(), "{went:?}");
    frames
}

/// Exactly the bytes appended come back, in any order of reading, as often as they are read; the
/// bytes written are counted.
pub fn what_was_appended_is_read_back<S: SpillStore>(make: &impl Fn() -> S) {
    let (mut store, mut draws) = (make(), Draws(3));
    let mut kept = Vec::new();
    let mut bytes = 0;
    for i in 0..200 {
        let n = [0, 1, 7, 100, 5_000][i % 5];
        let (partition, frame) = (draws.below(4), frame(&mut draws, n));
        let place = append(&mut store, partition, &frame);
        bytes += frame.len() as u64;
        assert!(store.written() >= bytes, "what was written is counted");
        kept.push((partition, place, frame));
    }
    let mut out = vec![1, 2, 3];
    for (partition, place, frame) in kept.iter().rev().chain(&kept) {
        let read = store.read(*partition, *place, &mut out);
        assert!(read.is_ok(), "{read:?}");
        assert_eq!(&out, frame, "and nothing of what was in the buffer");
    }
}

/// Frames of a partition are replayed in the order of their append, and no others with them.
pub fn partitions_are_replayed_in_order<S: SpillStore>(make: &impl Fn() -> S) {
    let (mut store, mut draws) = (make(), Draws(5));
    let mut kept: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for _ in 0..300 {
        let (partition, n) = (draws.below(5), draws.below(90) as usize);
        let frame = frame(&mut draws, n);
        append(&mut store, partition, &frame);
        kept.entry(partition).or_default().push(frame);
    }
    for (partition, frames) in &kept {
        assert_eq!(&replay(&mut store, *partition), frames);
        assert_eq!(&replay(&mut store, *partition), frames, "as often as asked");
    }
    assert_eq!(replay(&mut store, 99), Vec::<Vec<u8>>::new(), "nothing was written there");
}

/// `free` gives one partition back and leaves the others.
pub fn a_freed_partition_is_gone<S: SpillStore>(make: &impl Fn() -> S) {
    let mut store = make();
    let gone = append(&mut store, 1, b"gone");
    append(&mut store, 2, b"stays");
    assert!(store.free(1).is_ok());
    assert_eq!(replay(&mut store, 1), Vec::<Vec<u8>>::new());
    assert!(store.read(1, gone, &mut Vec::new()).is_err(), "its frames are gone");
    assert_eq!(replay(&mut store, 2), [b"stays"]);
    append(&mut store, 1, b"new");
    assert_eq!(replay(&mut store, 1), [b"new"], "and it can be used again");
    assert!(store.free(42).is_ok(), "nothing to free is no error");
}

/// A place that was never given is an error that names operation and partition.
pub fn unknown_places_are_errors<S: SpillStore>(make: &impl Fn() -> S) {
    let mut store = make();
    let place = append(&mut store, 1, b"here");
    let nowhere = SpillPlace { offset: place.offset + 1_000_000, ..place };
    let mut out = Vec::new();
    match store.read(1, nowhere, &mut out) {
        Err(e) => {
            assert_eq!(e.partition, 1);
            assert!(["read", "verify"].contains(&e.operation), "{}", e.operation);
        }
        Ok(()) => super::broken("bytes from a place that was never written"),
    }
}
