//! Options, handles and reports of runs.

use flux_io_core::{
    Class, Counts, DeadCause, EdgeReport, EdgeStats, Ended, Epoch, ErrorRecord, Gauge, Ledger,
    Observer, Phase, RunFailure, RunHandle, RunOptions, RunReport, SnapshotStore, StageError,
    StageState, StopMode, chain,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

struct Eye;
impl Observer for Eye {}

#[derive(Default)]
struct Store(Mutex<BTreeMap<(String, u32), Vec<u8>>>);

impl SnapshotStore for Store {
    fn put(&self, _: Epoch, stage: &str, shard: u32, bytes: Vec<u8>) -> Result<(), StageError> {
        self.0.lock().unwrap().insert((stage.into(), shard), bytes);
        Ok(())
    }
    fn complete(&self, _: Epoch) -> Result<(), StageError> {
        Ok(())
    }
    fn get(&self, stage: &str, shard: u32) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(&(stage.to_owned(), shard)).cloned()
    }
}

/// Row 202. A run's options carry cancellation, observer, snapshots and seeds; the defaults are one
/// worker, no jitter of seeds, no budget.
#[test]
fn options_carry_what_a_run_needs() {
    let d = RunOptions::default();
    assert_eq!((d.max_rows, d.workers, d.seed, d.hash_seed, d.chain), (None, 1, 0, None, true));
    assert!(d.observer.is_none() && d.memory.is_none() && d.snapshots.is_none() && !d.restore);
    assert_eq!(d.error_samples, 64);
    let handle = RunHandle::new();
    let store = Arc::new(Store::default());
    let o = RunOptions::default()
        .batch(7)
        .workers(3)
        .seed(9)
        .chain(false)
        .handle(&handle)
        .observer(Arc::new(Eye))
        .snapshots(Arc::clone(&store) as Arc<dyn SnapshotStore>)
        .restore(true);
    assert_eq!((o.max_rows, o.workers, o.seed, o.chain, o.restore), (Some(7), 3, 9, false, true));
    assert!(o.observer.is_some());
    let snapshots = o.snapshots.as_ref().unwrap();
    snapshots.put(Epoch(1), "s", 0, vec![1]).unwrap();
    assert_eq!((snapshots.get("s", 0), snapshots.get("s", 1)), (Some(vec![1]), None));
    assert_eq!(snapshots.newest(), None);
    handle.stop(StopMode::Abort);
    assert!(o.handle.is_stopping(), "the options hold the handle itself");
}

/// Rows 197, 221. A handle stops once for all its clones, numbers checkpoints and policies rising,
/// and knows no stage before one has started.
#[test]
fn a_handle_is_one_for_its_clones() {
    let a = RunHandle::new();
    let b = a.clone();
    assert!(!a.is_stopping());
    assert_eq!([a.checkpoint(), b.checkpoint(), a.checkpoint()], [Epoch(1), Epoch(2), Epoch(2)]);
    assert_eq!([a.policy(), b.policy()], [Epoch(1), Epoch(2)]);
    assert_eq!(a.completed_epoch(), None, "asked for is not complete");
    assert!(a.inspect("nothing").is_none());
    b.stop(StopMode::Graceful { deadline: None });
    assert!(a.is_stopping());
}

fn state(shard: u32, rows: u64) -> StageState {
    let mut ledger = Ledger::default();
    ledger.fragments = rows;
    ledger.add(Class::Complete, rows - 1);
    ledger.add(Class::Open, 1);
    StageState {
        name: "acc".into(),
        shard,
        phase: Phase::Done,
        counts: Counts { rows_in: rows, rows_out: rows / 2, failed: 1 },
        dead_letters: 1,
        dropped: [("skip", u64::from(shard) + 1)].into(),
        busy: std::time::Duration::from_nanos(rows),
        errors: 2,
        retries: 3,
        last_error: (shard == 1).then(|| "late".into()),
        in_depth_max: shard as usize + 4,
        gauge: Some(Gauge { keys: 1, items: 2, bytes: 3, tombstones: 4, spilled_keys: 5 }),
        ledger: Some(ledger),
    }
}

/// Row 204. A stage's state is its phase, depth, rows, errors, last error and gauges, by type; the
/// instances add up, depths by the greatest.
#[test]
fn b101_states_are_typed_and_add_up() {
    let sum = state(0, 10).plus(&state(1, 20)).plus(&StageState::default());
    assert_eq!((sum.name.as_str(), sum.shard, sum.phase), ("acc", 0, Phase::Done));
    assert_eq!(sum.counts, Counts { rows_in: 30, rows_out: 15, failed: 2 });
    assert_eq!((sum.dead_letters, sum.errors, sum.retries, sum.in_depth_max), (2, 4, 6, 5));
    assert_eq!(sum.busy.as_nanos(), 30);
    assert_eq!((sum.dropped["skip"], sum.last_error.as_deref()), (3, Some("late")));
    let gauge = Gauge { keys: 2, items: 4, bytes: 6, tombstones: 8, spilled_keys: 10 };
    assert_eq!(sum.gauge, Some(gauge));
    let ledger = sum.ledger.unwrap();
    assert!(ledger.balanced());
    assert_eq!((ledger.get(Class::Complete), ledger.get(Class::Open)), (28, 2));
    let phases = [
        Phase::Waiting,
        Phase::Running,
        Phase::Retrying,
        Phase::Quarantined,
        Phase::Done,
        Phase::Failed,
    ];
    assert_eq!(phases[0], Phase::default());
}

/// Rows 203, 204. A report sums a stage over its instances and leaves the instances as they are.
#[test]
fn reports_sum_stages() {
    let r = RunReport { stages: vec![state(0, 10), state(1, 20)], ..RunReport::default() };
    assert_eq!(r.stage("acc").unwrap().counts.rows_in, 30);
    assert_eq!(r.ledger("acc").unwrap().total(), 30);
    assert!(r.stage("other").is_none() && r.ledger("other").is_none());
    assert_eq!(r.stages.len(), 2);
}

/// Row 203. A result says how the run ended, dead letters by cause, drops by edge and what does not
/// add up, not only whether it went well.
#[test]
fn b100_the_result_is_rich() {
    for (ended, good) in [
        (Ended::Completed, true),
        (Ended::Drained, true),
        (Ended::DrainTimedOut, false),
        (Ended::Aborted, false),
        (Ended::Failed, false),
    ] {
        assert_eq!(RunReport { ended, ..RunReport::default() }.is_success(), good, "{ended:?}");
    }
    let stats = EdgeStats { sent: 9, taken: 5, dropped: 3, shed: 1, ..EdgeStats::default() };
    let mut r = RunReport {
        dead_letters: [(DeadCause::Poison, 2)].into(),
        samples: vec![ErrorRecord::new(DeadCause::Poison, "torn")],
        edges: vec![EdgeReport { from: "a".into(), to: "b".into(), capacity: 8, stats }],
        ..RunReport::default()
    };
    assert_eq!(r.dead_letters[&DeadCause::Poison], 2);
    assert_eq!(r.edges[0].stats.sent, 9);
    assert_eq!(r.check(), Ok(()));
    r.imbalances = vec!["edge a -> b".into(), "stage c".into()];
    assert_eq!(r.check(), Err("edge a -> b; stage c".into()));
}

/// Row 203. As a result, a failed run is its failure with its cause; any other is the report.
#[test]
fn a_failed_run_is_an_error() {
    let failure = |error| Some(RunFailure { stage: "parse".into(), shard: 1, error });
    let r = RunReport {
        failure: failure(StageError::transient("disk busy")),
        ended: Ended::Failed,
        ..RunReport::default()
    };
    let e = r.into_result().unwrap_err();
    assert_eq!(chain(&*e), "stage `parse` failed: disk busy");
    assert!(e.is_transient() && e.shard == 1);
    assert!(!failure(StageError::permanent("x")).unwrap().is_transient());
    assert!(RunReport { ended: Ended::Aborted, ..RunReport::default() }.into_result().is_ok());
}
