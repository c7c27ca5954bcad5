//! W5: assembly of records from four fragments of 64 bytes each, emitted when complete.

mod arena;

use bench_common::{
    BATCH_ITEMS, BenchError, Fragment, Measured, Task, VALUE_BYTES, VARIABLES, fragment_at,
    key_and_variable, record_sum, timed, value64,
};
use flux_io::accumulate::{AccumulateExt, After, Require};
use flux_io::core::{Filled, Var};
use flux_io::flow::Pipeline;
use flux_io::source;

use crate::engines::{On, no_value, run as run_flow};
use arena::Fragments;

/// The names of the four variables.
pub(crate) const NAMES: [&str; VARIABLES] = ["first", "second", "third", "fourth"];

/// Runs one case of W5.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = task.items;
    let (sum, seconds) = match task.case.as_str() {
        "flux-tombstones" => timed(|| inline(On::Sync, tombstones(), n)),
        "flux-arena" => timed(|| arena(n)),
        "flux-owned" => timed(|| owned(n)),
        case => {
            let on = On::of(case).ok_or_else(|| task.unknown())?;
            timed(|| inline(on, After::Remove, n))
        }
    };
    Ok(Measured::with_sum(n, (sum?, seconds)))
}

/// What the policy does when it is not told otherwise: copies stay duplicates to the end.
fn tombstones() -> After {
    After::Tombstone(flux_io::accumulate::Keep::ToEnd)
}

/// A fragment with its value inline.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: u64,
    pub(crate) variable: u8,
    pub(crate) value: [u8; VALUE_BYTES],
}

impl Row {
    /// The fragment at `index` of the input.
    #[inline(always)]
    pub(crate) fn at(index: u64) -> Self {
        let (key, variable) = key_and_variable(index);
        Self { key, variable, value: value64(key, variable) }
    }
}

/// A record in the making.
pub(crate) struct Record(pub(crate) [[u8; VALUE_BYTES]; VARIABLES]);

impl Default for Record {
    fn default() -> Self {
        Self([[0; VALUE_BYTES]; VARIABLES])
    }
}

impl Record {
    /// Takes one value over.
    #[inline(always)]
    pub(crate) fn set(&mut self, variable: u8, value: &[u8]) {
        self.0[usize::from(variable)].copy_from_slice(value);
    }

    /// The checksum of a complete record. Every value is overwritten before the next one.
    #[inline(always)]
    pub(crate) fn sum(&self, key: u64) -> u64 {
        let [a, b, c, d] = &self.0;
        record_sum(key, [a, b, c, d])
    }
}

/// The numbers of the next rows of a source that has `n`.
pub(crate) fn next(seq: u64, max: usize, n: u64) -> (std::ops::Range<u64>, Filled) {
    let end = n.min(seq + max as u64);
    (seq..end, if end == n { Filled::End } else { Filled::More })
}

/// Rows with their value inline; the record's sum is made in place when it is complete.
pub(crate) fn inline(on: On, after: After, n: u64) -> Result<u64, BenchError> {
    let fragments = source::generate(move |seq, rows: &mut Vec<Row>, max| {
        let (numbers, filled) = next(seq, max, n);
        rows.extend(numbers.map(Row::at));
        filled
    });
    let (flow, sum) = Pipeline::new()
        .source("fragments", fragments)
        .key_by("record", |row| row.key)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(NAMES))
                .on_complete(after)
                .var(|row: &Row| Var::one(row.variable.into()))
                .merge(|record: &mut Record, row| record.set(row.variable, &row.value))
                .finish(|key, record| record.sum(*key))
        })
        .parallel(on.workers())
        .fold("sum", 0u64, |sum, outcome| *sum = sum.wrapping_add(*outcome.value()));
    run_flow(on, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

/// Values of all rows of a batch in one buffer.
fn arena(n: u64) -> Result<u64, BenchError> {
    let fragments = source::generate(move |seq, rows: &mut Fragments, max| {
        let (numbers, filled) = next(seq, max, n);
        numbers.for_each(|index| rows.push_at(index));
        filled
    });
    let (flow, sum) = Pipeline::new()
        .source("fragments", fragments)
        .key_by("record", |row| row.key)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(NAMES))
                .on_complete(After::Remove)
                .var(|row| Var::one(row.variable.into()))
                .merge(|record: &mut Record, row| record.set(row.variable, row.value))
                .finish(|key, record| record.sum(*key))
        })
        .fold("sum", 0u64, |sum, outcome| *sum = sum.wrapping_add(*outcome.value()));
    run_flow(On::Sync, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

/// Owned values, moved out of the rows and on into the result.
fn owned(n: u64) -> Result<u64, BenchError> {
    let fragments = source::generate(move |seq, rows: &mut Vec<Fragment>, max| {
        let (numbers, filled) = next(seq, max, n);
        rows.extend(numbers.map(fragment_at));
        filled
    });
    let (flow, sum) = Pipeline::new()
        .source("fragments", fragments)
        .key_by("record", |row| row.key)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(NAMES))
                .on_complete(After::Remove)
                .var(|row: &Fragment| Var::one(row.variable.into()))
                .merge(|record: &mut [String; VARIABLES], row| {
                    record[usize::from(row.variable)] = std::mem::take(&mut row.value);
                })
        })
        .fold("sum", 0u64, |sum, outcome| {
            let [a, b, c, d] = outcome.value();
            let parts = [a.as_bytes(), b.as_bytes(), c.as_bytes(), d.as_bytes()];
            *sum = sum.wrapping_add(record_sum(*outcome.key(), parts));
        });
    run_flow(On::Sync, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}
