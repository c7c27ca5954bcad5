//! W5: assembly of records from four fragments of 64 bytes each, emitted when complete; about
//! 2^18 keys are open at once. The limit works in batches of 256 in three passes with prefetch.

mod maps;
mod table;

use bench_common::{
    BATCH_ITEMS, BenchError, Measured, Task, fragment_at, key_and_variable, record_sum, timed,
    value64,
};

pub(crate) use table::{Table, TableFragment};

/// Runs one case of W5.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = task.items;
    let measured = match task.case.as_str() {
        "source" => timed(|| source_only(n)),
        "slab" => timed(|| slab(n)),
        "owned" => timed(|| owned(n)),
        "nested-maps" => timed(|| maps::nested(n)),
        "owned-2t" => {
            let (sum, seconds) = timed(|| owned_two_threads(n));
            (sum?, seconds)
        }
        case => {
            let batch = case.strip_prefix("prefetch-").and_then(|size| size.parse().ok());
            let batch: u64 = batch.filter(|&size| size > 0).ok_or_else(|| task.unknown())?;
            timed(|| prefetch(n, batch))
        }
    };
    let mut measured = Measured::with_sum(n, measured);
    if task.case == "source" {
        measured.check = None;
    }
    Ok(measured)
}

/// What making the fragments costs, which every case pays.
fn source_only(n: u64) -> u64 {
    (0..n).fold(0u64, |sum, index| {
        let (key, variable) = key_and_variable(index);
        sum.wrapping_add(u64::from(std::hint::black_box(value64(key, variable))[5]))
    })
}

/// The limit, for batches of `batch_items`.
fn prefetch(n: u64, batch_items: u64) -> u64 {
    let mut table = Table::with_buckets(1 << 16);
    let mut batch = Vec::with_capacity(batch_items as usize);
    let mut sum = 0u64;
    for start in (0..n).step_by(batch_items as usize) {
        batch.clear();
        batch.extend((start..n.min(start + batch_items)).map(TableFragment::at));
        table.apply(&batch, |_, record| sum = sum.wrapping_add(record));
    }
    sum
}

/// hashbrown index and dense rows, item by item, without prefetch.
fn slab(n: u64) -> u64 {
    let mut state = maps::Slab::default();
    let mut sum = 0u64;
    for index in 0..n {
        let (key, variable) = key_and_variable(index);
        if let Some(record) = state.apply(key, variable, &value64(key, variable)) {
            sum = sum.wrapping_add(record);
        }
    }
    sum
}

/// A map of owned values: what most people would write.
fn owned(n: u64) -> u64 {
    let mut state = maps::Owned::default();
    (0..n).fold(0u64, |sum, index| {
        sum.wrapping_add(state.apply(fragment_at(index)).unwrap_or_default())
    })
}

/// The same with the source on a thread of its own, which hands over batches of owned fragments.
fn owned_two_threads(n: u64) -> Result<u64, BenchError> {
    let (to, from) = crossbeam_channel::bounded::<Vec<_>>(16);
    std::thread::scope(|scope| {
        let source = scope.spawn(move || {
            for start in (0..n).step_by(BATCH_ITEMS) {
                let end = n.min(start + BATCH_ITEMS as u64);
                if to.send((start..end).map(fragment_at).collect()).is_err() {
                    return;
                }
            }
        });
        let mut state = maps::Owned::default();
        let mut sum = 0u64;
        for fragment in from.iter().flatten() {
            sum = sum.wrapping_add(state.apply(fragment).unwrap_or_default());
        }
        source.join().map_err(|_| BenchError::panicked("w5 owned-2t"))?;
        Ok(sum)
    })
}

/// Checksum of a complete row of four values.
#[inline(always)]
fn row_sum(key: u64, row: &[u8]) -> u64 {
    record_sum(key, [&row[..64], &row[64..128], &row[128..192], &row[192..256]])
}
