//! A user's scheduler decides what runs next.

use flux_io_core::{RunOptions, Tiers};
use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::conformance::engine::by_row;
use flux_io_testkit::doubles::{CollectSink, Shelf, VecSource};
use flux_io_testkit::plans::HandPlan;

/// Row 212. Of two pipelines that are both ready, the one in the lower tier is done first; without
/// patience the other has had its turns.
#[test]
fn tiers_decide_who_is_first() {
    let order = |urgent: u32, patience: u32| {
        let seen = Shelf::<u32>::default();
        let mut p = HandPlan::new();
        for i in 0..2 {
            let log = seen.clone();
            let from = p.source(&format!("in {i}"), VecSource::<u64>::new(0..50));
            let it = p.stage(&format!("it {i}"), by_row(move |_, _| log.put(i)));
            let out = p.sink(&format!("out {i}"), CollectSink::<u64>::new().0);
            p.join(from, it);
            p.join(it, out);
        }
        let options = RunOptions::default().batch(1).chain(false);
        let tiers = move || Tiers::new().patience(patience);
        let options = options.scheduler(move || {
            let i = urgent;
            ["in", "it", "out"].iter().fold(tiers(), |t, s| t.tier(&format!("{s} {i}"), 1))
        });
        let report = SyncEngine::new().run(p.plan(), &options);
        report.check().unwrap();
        seen.take()
    };
    for urgent in [0, 1] {
        let firsts = order(urgent, u32::MAX);
        assert_eq!(firsts[..50], [urgent; 50]);
        assert_eq!(firsts[50..], [1 - urgent; 50]);
        assert!(order(urgent, 2)[..50].contains(&(1 - urgent)));
    }
}
