//! The snapshot store on the simulated disk: what it says it kept is there after a power cut.

use flux_io_core::{ChoiceKind, Choices, Draws, Epoch, SnapshotStore};
use flux_io_sim::SimStore;
use flux_io_sim::disk::SimDisk;

/// Draws faults at a rate, and what a power cut leaves.
struct Faulty(Draws, u32);

impl Choices for Faulty {
    fn choose(&mut self, kind: ChoiceKind, n: u32) -> u32 {
        if kind == ChoiceKind::Fault && self.0.below(100) >= self.1 {
            return 0;
        }
        self.0.below(n)
    }
}

/// An epoch that was reported complete is restored, whole, and no older one; one that was not is
/// restored whole or not at all.
#[test]
fn a_complete_epoch_survives_power_cuts() {
    let mut kept = 0;
    for seed in 0..3_000 {
        let mut draws = Draws(seed);
        let rate = draws.below(30);
        let store = SimStore::new(SimDisk::new(Faulty(Draws(seed ^ 77), rate)));
        let (mut complete, mut tried, mut early) = (None, 0, 0);
        for e in 1..=u64::from(1 + draws.below(6)) {
            if draws.below(4) == 0 {
                store.power_cut();
                let newest = store.newest().map(|e| e.0);
                assert!(newest >= complete, "seed {seed}: {newest:?} instead of {complete:?}");
                assert!(newest <= Some(tried), "seed {seed}: {newest:?} was never asked for");
                complete = newest;
                early = 0;
            }
            let put = |e: u64, s: u32| {
                store.put(Epoch(e), "stage", s, vec![e as u8 ^ s as u8; 700]).is_ok()
            };
            let whole = (early..3).all(|s| put(e, s));
            // Epochs overlap: a part of the next one may be there before this one is complete.
            early = u32::from(draws.below(2) == 0 && put(e + 1, 0));
            if whole {
                tried = e;
                if store.complete(Epoch(e)).is_ok() {
                    complete = Some(e);
                }
            }
        }
        store.power_cut();
        let newest = store.newest().map(|e| e.0);
        assert!(newest >= complete, "seed {seed}: {newest:?} instead of {complete:?}");
        if let Some(e) = newest {
            kept += 1;
            for s in 0..3 {
                let want = vec![e as u8 ^ s as u8; 700];
                assert_eq!(store.get("stage", s), Some(want), "seed {seed}, epoch {e}");
            }
        }
    }
    assert!(kept > 1_000, "{kept} of 3,000 kept something");
}
