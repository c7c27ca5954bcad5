//! Measured costs: from reports, added up, written down and read again.

use flux_io_core::{Counts, RunReport, StageState};
use flux_io_engine_hybrid::{Cost, Costs};
use std::time::Duration;

fn report(stages: &[(&str, u32, u64, u64)]) -> RunReport {
    let state = |(name, shard, rows_in, ns): &(&str, u32, u64, u64)| StageState {
        name: (*name).into(),
        shard: *shard,
        counts: Counts { rows_in: *rows_in, ..Counts::default() },
        busy: Duration::from_nanos(*ns),
        ..StageState::default()
    };
    RunReport { stages: stages.iter().map(state).collect(), ..RunReport::default() }
}

/// Row 211. Instances and runs add up; what was not measured is not there; the record survives
/// being written and read.
#[test]
fn costs_add_up_and_are_written_down() {
    let mut costs = Costs::of(&report(&[("a", 0, 10, 500), ("a", 1, 30, 700), ("b", 0, 5, 0)]));
    assert_eq!(costs.get("a"), Some(Cost { rows: 40, busy_ns: 1_200 }));
    assert_eq!(costs.get("b"), None);
    costs.learn(&report(&[("a", 0, 60, 800), ("c", 0, 0, 9)]));
    assert_eq!(costs.get("a").and_then(|c| c.of_batch(50)), Some(1_000));
    assert_eq!(costs.get("c").and_then(|c| c.of_batch(50)), None, "no row, no cost of a row");
    let text = serde_json::to_string(&costs).unwrap();
    assert_eq!(text, r#"{"stages":{"a":{"rows":100,"busy_ns":2000},"c":{"rows":0,"busy_ns":9}}}"#);
    assert_eq!(serde_json::from_str::<Costs>(&text).unwrap(), costs);
    let most = Cost { rows: 1, busy_ns: u64::MAX };
    assert_eq!(most.of_batch(usize::MAX), Some(u64::MAX));
}
