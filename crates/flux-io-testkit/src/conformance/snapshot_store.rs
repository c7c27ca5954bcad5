//! Laws of a [`SnapshotStore`].

use flux_io_core::{Epoch, SnapshotStore, StageError};

fn put(store: &impl SnapshotStore, epoch: u64, stage: &str, shard: u32, bytes: &[u8]) {
    let put: Result<(), StageError> = store.put(Epoch(epoch), stage, shard, bytes.to_vec());
    assert!(put.is_ok(), "{put:?}");
}

fn complete(store: &impl SnapshotStore, epoch: u64) {
    let complete = store.complete(Epoch(epoch));
    assert!(complete.is_ok(), "{complete:?}");
}

/// Checks the laws of a snapshot store. `make` makes an empty one.
pub fn laws<S: SnapshotStore>(make: impl Fn() -> S) {
    parts_come_back_whole(&make);
    only_the_newest_complete_epoch_is_read(&make);
    a_part_may_be_put_again(&make);
    threads_may_put_at_once(&make);
}

/// Parts of the complete epoch come back as they were, by stage and shard; nothing else does.
pub fn parts_come_back_whole<S: SnapshotStore>(make: &impl Fn() -> S) {
    let store = make();
    assert_eq!((store.get("a", 0), store.newest()), (None, None), "nothing yet");
    let large = vec![0xA5; 300_000];
    put(&store, 1, "a", 0, b"a0");
    put(&store, 1, "a", 1, b"a1");
    put(&store, 1, "b / x..:\u{e9}", 0, &large);
    put(&store, 1, "empty", 0, b"");
    assert_eq!(store.get("a", 0), None, "not before it is complete");
    complete(&store, 1);
    assert_eq!(store.newest(), Some(Epoch(1)));
    assert_eq!(store.get("a", 0).as_deref(), Some(&b"a0"[..]));
    assert_eq!(store.get("a", 1).as_deref(), Some(&b"a1"[..]));
    assert_eq!(store.get("b / x..:\u{e9}", 0), Some(large));
    assert_eq!(store.get("empty", 0), Some(Vec::new()));
    assert_eq!((store.get("a", 2), store.get("b", 0), store.get("", 0)), (None, None, None));
}

/// Parts of epochs that are not complete, and of older ones, are never mixed in.
pub fn only_the_newest_complete_epoch_is_read<S: SnapshotStore>(make: &impl Fn() -> S) {
    let store = make();
    put(&store, 1, "a", 0, b"one");
    put(&store, 1, "old", 0, b"one");
    complete(&store, 1);
    put(&store, 2, "a", 0, b"two");
    assert_eq!(store.get("a", 0).as_deref(), Some(&b"one"[..]), "two is not complete");
    put(&store, 3, "a", 0, b"three");
    complete(&store, 3);
    assert_eq!(store.get("a", 0).as_deref(), Some(&b"three"[..]));
    assert_eq!(store.get("old", 0), None, "it had no part in the newest epoch");
    complete(&store, 2);
    assert_eq!(store.newest(), Some(Epoch(3)), "an older epoch that comes later is older");
    assert_eq!(store.get("a", 0).as_deref(), Some(&b"three"[..]));
}

/// The last part put for a place counts.
pub fn a_part_may_be_put_again<S: SnapshotStore>(make: &impl Fn() -> S) {
    let store = make();
    put(&store, 4, "a", 0, b"a longer first part");
    put(&store, 4, "a", 0, b"second");
    complete(&store, 4);
    assert_eq!(store.get("a", 0).as_deref(), Some(&b"second"[..]));
}

/// Tasks put their parts at the same time.
pub fn threads_may_put_at_once<S: SnapshotStore>(make: &impl Fn() -> S) {
    let store = make();
    std::thread::scope(|s| {
        for shard in 0..4 {
            let store = &store;
            s.spawn(move || {
                for n in 0..50_u32 {
                    put(store, 9, &format!("stage {n}"), shard, &(n * 10 + shard).to_le_bytes());
                }
            });
        }
    });
    complete(&store, 9);
    for shard in 0..4 {
        for n in 0..50_u32 {
            let part = store.get(&format!("stage {n}"), shard);
            assert_eq!(part, Some((n * 10 + shard).to_le_bytes().to_vec()));
        }
    }
}
