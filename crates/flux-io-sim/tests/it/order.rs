//! The driver's promises about order, watermarks, checkpoints, calls in flight and dead letters.

use crate::line::{in_order, line};
use flux_io_sim::{Fault, Faults, simulate};

#[test]
fn order_watermarks_cuts_and_dead_letters_hold() {
    let stats = simulate(|s| line(s, (1, 300))).seeds(500).check(|run, job| {
        in_order(run, &job)?;
        if run.items == u64::from(job.n) { Ok(()) } else { Err("not all was read".to_owned()) }
    });
    assert!(stats.seeds_with(Fault::Barrier) > 20, "{stats}");
}

#[test]
fn they_hold_when_the_run_drains() {
    let faults = Faults::harmless().with(Fault::Drain);
    simulate(|s| line(s, (1, 300))).faults(faults).seeds(500).check(|run, job| in_order(run, &job));
}
