//! Laws of a [`SpillStore`]. Row 281: the only store so far is the kit's own double,
//! [`MemorySpill`](crate::doubles::MemorySpill); one on disk has to pass them too.

use flux_io_core::{Draws, SpillError, SpillPlace, SpillStore};
use std::collections::BTreeMap;

/// Checks the laws of a spill store. `make` makes an empty one.
pub fn laws<S: SpillStore>(make: impl Fn() -> S) {
    what_was_appended_is_read_back(&make);
    partitions_are_replayed_in_order(&make);
    a_freed_partition_is_gone(&make);
    unknown_places_are_errors(&make);
    any_use_equals_the_model(&make);
}

/// Checks the laws of a spill store whose calls may fail. `make` makes an empty one of which one
/// call fails, counted from 0 over all of them but `written`.
pub fn laws_of_failures<S: SpillStore>(make: impl Fn(u32) -> S) {
    a_failed_call_costs_itself_alone(&make);
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

/// The frames of a partition as they should be: with their places, in order.
type Kept = BTreeMap<u32, Vec<(SpillPlace, Vec<u8>)>>;

/// Appends, reads, replays and frees in any order, over frames of all sizes up to 64 KiB and
/// partitions that take turns: every answer is that of a map of lists.
pub fn any_use_equals_the_model<S: SpillStore>(make: &impl Fn() -> S) {
    for seed in 0..10 {
        let (mut store, mut draws) = (make(), Draws(seed));
        let (mut kept, mut bytes) = (Kept::new(), 0);
        let mut out = Vec::new();
        for _ in 0..400 {
            let partition = draws.below(6);
            let frames = kept.get(&partition).map_or(&[][..], Vec::as_slice);
            match draws.below(16) {
                0 => {
                    assert!(store.free(partition).is_ok());
                    kept.remove(&partition);
                }
                1 | 2 => assert_is(frames, &replay(&mut store, partition)),
                3..=8 if !frames.is_empty() => {
                    let (place, frame) = &frames[draws.below(frames.len() as u32) as usize];
                    let read = store.read(partition, *place, &mut out);
                    assert!(read.is_ok(), "{read:?}");
                    assert_eq!(&out, frame, "read of partition {partition}, seed {seed}");
                }
                _ => {
                    // Small ones mostly: the exponent is drawn first.
                    let most = 1 << draws.below(17);
                    let n = draws.below(most + 1) as usize;
                    let frame = frame(&mut draws, n);
                    let place = append(&mut store, partition, &frame);
                    bytes += frame.len() as u64;
                    assert!(store.written() >= bytes, "what was written is counted");
                    kept.entry(partition).or_default().push((place, frame));
                }
            }
        }
        for partition in 0..6 {
            let frames = kept.get(&partition).map_or(&[][..], Vec::as_slice);
            assert_is(frames, &replay(&mut store, partition));
        }
    }
}

fn assert_is(kept: &[(SpillPlace, Vec<u8>)], replayed: &[Vec<u8>]) {
    assert!(kept.iter().map(|k| &k.1).eq(replayed), "frames in order of append, and no others");
}

/// Whichever call fails: a frame that was not appended is not there and may be appended again, what
/// was there before is there still, a replay hands out frames from the first on, and a partition
/// that was to be freed is gone. The same call succeeds the next time.
pub fn a_failed_call_costs_itself_alone<S: SpillStore>(make: &impl Fn(u32) -> S) {
    let mut failing = 0;
    while use_once(&mut make(failing), failing) {
        failing += 1;
    }
    assert!(failing > 0, "no call failed");
}

/// One round of calls; whether one of them failed.
fn use_once<S: SpillStore>(store: &mut S, seed: u32) -> bool {
    let mut draws = Draws(u64::from(seed));
    let mut kept = Kept::new();
    let mut failed = 0;
    for i in 0..12 {
        let (partition, n) = (i % 3, draws.below(3_000) as usize);
        let frame = frame(&mut draws, n);
        let place = twice(&mut failed, partition, || store.append(partition, &frame));
        kept.entry(partition).or_default().push((place, frame));
        let (place, frame) = &kept[&partition][kept[&partition].len() / 2];
        let mut out = vec![9];
        twice(&mut failed, partition, || store.read(partition, *place, &mut out));
        assert_eq!(&out, frame);
    }
    for (partition, frames) in &kept {
        replay_twice(&mut failed, store, *partition, frames);
    }
    if let Err(e) = store.free(1) {
        told(&mut failed, 1, &e);
    }
    replay_twice(&mut failed, store, 1, &[]);
    replay_twice(&mut failed, store, 2, &kept[&2]);
    assert!(failed <= 1, "one call was to fail, and {failed} did");
    failed == 1
}

/// A replay that fails has handed out frames from the first on; the next one hands out all.
fn replay_twice<S: SpillStore>(
    failed: &mut u32,
    store: &mut S,
    partition: u32,
    frames: &[(SpillPlace, Vec<u8>)],
) {
    let mut seen = Vec::new();
    if let Err(e) = store.replay(partition, &mut |f| seen.push(f.to_vec())) {
        told(failed, partition, &e);
        assert_is(&frames[..seen.len().min(frames.len())], &seen);
        seen = replay(store, partition);
    }
    assert_is(frames, &seen);
}

/// The call, and once more when it failed.
fn twice<T>(
    failed: &mut u32,
    partition: u32,
    mut call: impl FnMut() -> Result<T, SpillError>,
) -> T {
    match call() {
        Ok(x) => return x,
        Err(e) => told(failed, partition, &e),
    }
    call().unwrap_or_else(|e| super::broken(&flux_io_core::chain(&e)))
}

/// A call failed, and says where.
fn told(failed: &mut u32, partition: u32, e: &SpillError) {
    assert_eq!(e.partition, partition, "{e}");
    *failed += 1;
}
