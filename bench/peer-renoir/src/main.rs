//! The renoir side. renoir's `local(1)` already runs source and keyed block on a thread each.
//!
//! renoir is LGPL-3.0-or-later; it is linked here for comparison only and no product crate may
//! depend on it.

use std::process::ExitCode;

mod files;

use bench_common::{
    BATCH_ITEMS, BenchError, Measured, VARIABLES, burn, fragment_at, keep, map_first, map_second,
    mix, record_sum, run_child, timed,
};
use hashbrown::{HashMap, hash_map::Entry};
use renoir::prelude::*;
use serde::{Deserialize, Serialize};

const COMPLETE: u8 = (1 << VARIABLES) - 1;

fn main() -> ExitCode {
    run_child(|task| {
        let n = task.items;
        let measured = match (task.workload.as_str(), task.case.as_str()) {
            ("w1", "renoir-1t") => map_filter_map_sum(n, 1),
            ("w1", "renoir-2t") => map_filter_map_sum(n, 2),
            ("w2", "renoir-shuffle") => shuffle(n, BATCH_ITEMS),
            ("w2", "renoir-shuffle-16384") => shuffle(n, 16_384),
            ("w3", "renoir-1t") => files::group_by_count(n, 1),
            ("w3", "renoir-2t") => files::group_by_count(n, 2),
            ("w3", "renoir-fold-1t") => files::fold_of_a_map(n, 1),
            ("w3", "renoir-fold-2t") => files::fold_of_a_map(n, 2),
            (w4 @ ("w4" | "w4m"), "renoir-1t") => files::spreads(w4, n, 1),
            (w4 @ ("w4" | "w4m"), "renoir-2t") => files::spreads(w4, n, 2),
            ("cpu", "renoir-1t") => burn_sum(n, 1),
            ("cpu", "renoir-2t") => burn_sum(n, 2),
            ("w5", "renoir-expert-1") => assemble(n, 1),
            ("w5", "renoir-expert-2") => assemble(n, 2),
            _ => return Err(task.unknown()),
        };
        Ok(Measured::with_sum(n, measured?))
    })
}

fn context(replicas: u64) -> Result<StreamContext, BenchError> {
    let config = RuntimeConfig::local(replicas)
        .map_err(|error| BenchError::Failed { what: "renoir", detail: format!("{error:?}") })?;
    Ok(StreamContext::new(config))
}

/// Runs the context to its end and gives the only element of `result` with the time.
fn execute(
    context: StreamContext,
    result: StreamOutput<Vec<u64>>,
) -> Result<(u64, f64), BenchError> {
    let seconds = timed(|| context.execute_blocking()).1;
    let sum = result.get().and_then(|sums| sums.first().copied());
    let sum = sum.ok_or_else(|| BenchError::Failed {
        what: "renoir",
        detail: "it gave no result".to_owned(),
    })?;
    Ok((sum, seconds))
}

fn add(sum: &mut u64, x: u64) {
    *sum = sum.wrapping_add(x);
}

/// W1.
fn map_filter_map_sum(n: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let source = context.stream_par_iter(move |id, of| n * id / of..n * (id + 1) / of);
    let chain = source.map(map_first).filter(keep).map(map_second);
    let result = chain.fold_assoc(0u64, add, add).collect_vec();
    execute(context, result)
}

/// The workload `cpu`.
fn burn_sum(n: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let source = context.stream_par_iter(move |id, of| n * id / of..n * (id + 1) / of);
    let result = source.map(burn).fold_assoc(0u64, add, add).collect_vec();
    execute(context, result)
}

/// W2.
fn shuffle(n: u64, batch_items: usize) -> Result<(u64, f64), BenchError> {
    let context = context(1)?;
    let source = context.stream_iter(0..n).batch_mode(BatchMode::fixed(batch_items));
    let result = source.shuffle().fold(0u64, add).collect_vec();
    execute(context, result)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OwnedFragment {
    key: u64,
    variable: u8,
    value: String,
}

#[derive(Debug, Clone, Default)]
struct Parts {
    seen: u8,
    values: [String; VARIABLES],
}

/// W5 in the form an expert would choose: a repartitioned stream with a hand-kept map, since
/// renoir's keyed operators never free a key.
fn assemble(n: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let source = context.stream_iter((0..n).map(owned_fragment));
    let by_key = source
        .batch_mode(BatchMode::fixed(BATCH_ITEMS))
        .repartition_by(Replication::Unlimited, |fragment: &OwnedFragment| mix(fragment.key));
    let mut open: HashMap<u64, Parts> = HashMap::default();
    let sums = by_key.rich_filter_map(move |fragment| apply(&mut open, fragment));
    let result = sums.fold_assoc(0u64, add, add).collect_vec();
    execute(context, result)
}

fn owned_fragment(index: u64) -> OwnedFragment {
    let fragment = fragment_at(index);
    OwnedFragment { key: fragment.key, variable: fragment.variable, value: fragment.value }
}

/// Takes one fragment and gives the checksum of the record that it completes.
fn apply(open: &mut HashMap<u64, Parts>, fragment: OwnedFragment) -> Option<u64> {
    let bit = 1u8 << fragment.variable;
    match open.entry(fragment.key) {
        Entry::Occupied(mut entry) => {
            let parts = entry.get_mut();
            parts.values[usize::from(fragment.variable)] = fragment.value;
            parts.seen |= bit;
            if parts.seen != COMPLETE {
                return None;
            }
            let parts = entry.remove();
            Some(record_sum(fragment.key, parts.values.each_ref().map(|v| v.as_bytes())))
        }
        Entry::Vacant(entry) => {
            let mut parts = Parts { seen: bit, ..Parts::default() };
            parts.values[usize::from(fragment.variable)] = fragment.value;
            entry.insert(parts);
            None
        }
    }
}
