//! `scan`: a running state through all rows, its faults and its snapshots.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use crate::kit::{Flow, Probe, hole, nothing, rows, segment};
use flux_io_core::{ByHand, ErrorKind, Moment, OnError};
use flux_io_flow::{Explain, Pipeline};
use proptest::prelude::*;

/// The row, and the sum of all rows seen up to it; 13 panics after it was added.
fn sums(f: Flow<Vec<u64>>) -> Flow<Vec<(u64, u64)>> {
    f.scan("sum", 0, |sum: &mut u64, x| {
        *sum += x;
        assert_ne!(x, 13, "unlucky");
        (x, *sum)
    })
    .durable(
        |sum, to| to.extend_from_slice(&sum.to_le_bytes()),
        |from| Some(u64::from_le_bytes(from.try_into().ok()?)),
    )
    .on_error(OnError::Skip)
    .filter("even rows", |r| r.0 % 2 == 0)
    .scan("count", 0_u32, |n, r| {
        *n += 1;
        (r.0, r.1 + u64::from(*n))
    })
    .durable(
        |n, to| to.extend_from_slice(&n.to_le_bytes()),
        |from| Some(u32::from_le_bytes(from.try_into().ok()?)),
    )
    .fusion_barrier()
}

fn model(input: &[u64]) -> Vec<(u64, u64)> {
    let (mut sum, mut count) = (0, 0);
    let mut out = Vec::new();
    for x in input {
        sum += x;
        if *x != 13 && x % 2 == 0 {
            count += 1;
            out.push((*x, sum + count));
        }
    }
    out
}

fn feed(s: &mut ByHand<Probe<Vec<u64>, (u64, u64)>>, from: usize, input: &[u64], cut: usize) {
    for (k, part) in input.chunks(cut).enumerate() {
        s.feed(rows((from + k * cut) as u64, part.to_vec())).expect("skipped rows are no errors");
    }
    s.end().expect("no fault");
}

proptest! {
    #![proptest_config(crate::kit::cases(60))]

    /// The state runs through all rows in order, at every cut; a row that panics costs itself and
    /// leaves in the state what it had changed.
    #[test]
    fn a_scan_equals_its_loop(input in proptest::collection::vec(0..20_u64, 0..60), cut in 1..10_usize) {
        let mut s = segment(1024, sums);
        feed(&mut s, 0, &input, cut);
        prop_assert_eq!(s.stage.values(), model(&input));
        let unlucky = input.iter().filter(|x| **x == 13).count() as u64;
        let dropped: u64 = s.take_dropped().iter().map(|d| d.1).sum();
        prop_assert_eq!(dropped, unlucky);
        let counts = s.stage.counts();
        prop_assert_eq!(counts[0].rows_in, input.len() as u64);
        prop_assert_eq!(counts[0].failed, unlucky);
        prop_assert_eq!(counts[2].rows_out, s.stage.values().len() as u64);
    }

    /// Both states of a segment are in its snapshot: a run restored at any row goes on as if it
    /// had not stopped.
    #[test]
    fn a_restored_scan_goes_on(input in proptest::collection::vec(0..20_u64, 0..60), at in 0..60_usize) {
        let at = at.min(input.len());
        let mut before = segment(1024, sums);
        feed(&mut before, 0, &input[..at], 7);
        let bytes = before.stage.snapshot().expect("durable");
        let mut after = segment(1024, sums);
        after.advance(Moment::START).expect("started");
        flux_io_core::Stage::restore(&mut after.stage, &bytes).expect("its own bytes");
        feed(&mut after, at, &input[at..], 7);
        let mut all = before.stage.values();
        all.extend(after.stage.values());
        prop_assert_eq!(all, model(&input));
        // Cut or stretched bytes are refused, not read as another state.
        for bad in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
            let e = flux_io_core::Stage::restore(&mut after.stage, bad).expect_err("damaged");
            prop_assert_eq!(e.kind, ErrorKind::Serialization);
        }
    }
}

/// Without a codec the plan says so before anything runs, and the snapshot says what to do.
#[test]
fn a_scan_without_a_codec_cannot_be_checkpointed() {
    let scan = |f: Flow<Vec<u64>>| f.scan("last", 0, std::mem::replace);
    let plan = scan(Pipeline::new().source("in", nothing())).sink("out", hole()).plan();
    let text = plan.expect("valid").explain();
    assert!(text.contains("    state of last = no codec\n"), "{text}");
    let decision = "  checkpoint at last: cannot be checkpointed: a run gives up every checkpoint \
                    here, since `scan` keeps a state without a codec; say `.durable(save, load)` \
                    behind it\n";
    assert!(text.contains(decision), "{text}");
    let mut s = segment(1024, |f| scan(f).fusion_barrier());
    s.feed(rows(0, vec![4, 5])).expect("no fault");
    let e = s.stage.snapshot().expect_err("no codec");
    assert!(e.what.ends_with("say `.durable(save, load)` behind it"), "{e}");
    let durable = sums(Pipeline::new().source("in", nothing())).sink("out", hole()).plan();
    assert!(!durable.expect("valid").explain().contains("cannot be checkpointed"));
}
