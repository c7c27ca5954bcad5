//! The workloads that read text files. renoir's lines keep their LF, so they are trimmed.

use bench_common::{BATCH_ITEMS, BenchError, Spread, input_file, row_of, timed, word_sum};
use hashbrown::HashMap;
use renoir::prelude::*;
use serde::{Deserialize, Serialize};

use crate::context;

fn no_result() -> BenchError {
    BenchError::Failed { what: "renoir", detail: "it gave no result".to_owned() }
}

/// W3 as one writes it.
pub(crate) fn group_by_count(items: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let lines = context.stream_file(input_file("w3", items));
    let words = lines
        .batch_mode(BatchMode::fixed(BATCH_ITEMS))
        .flat_map(|line: String| line.trim_end().split(' ').map(str::to_owned).collect::<Vec<_>>());
    let counts = words.group_by_count(|word: &String| word.clone()).collect_vec();
    let seconds = timed(|| context.execute_blocking()).1;
    let counts = counts.get().ok_or_else(no_result)?;
    let sum = |sum: u64, (word, n): &(String, usize)| {
        sum.wrapping_add(word_sum(word.as_bytes(), *n as u64))
    };
    Ok((counts.iter().fold(0, sum), seconds))
}

/// W3 as renoir's authors write it for speed: a whole map is folded.
pub(crate) fn fold_of_a_map(items: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let lines = context.stream_file(input_file("w3", items));
    let maps = lines.batch_mode(BatchMode::fixed(BATCH_ITEMS)).fold_assoc(
        std::collections::HashMap::<String, u64>::new(),
        |counts, line: String| {
            for word in line.trim_end().split(' ') {
                match counts.get_mut(word) {
                    Some(n) => *n += 1,
                    None => {
                        counts.insert(word.to_owned(), 1);
                    }
                }
            }
        },
        |all, part| {
            for (word, n) in part {
                *all.entry(word).or_default() += n;
            }
        },
    );
    let counts = maps.collect_vec();
    let seconds = timed(|| context.execute_blocking()).1;
    let counts = counts.get().and_then(|mut all| all.pop()).ok_or_else(no_result)?;
    let sum = counts.iter().map(|(word, n)| word_sum(word.as_bytes(), *n));
    Ok((sum.fold(0, u64::wrapping_add), seconds))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    min: i32,
    max: i32,
    sum: i64,
    count: u32,
}

impl From<Seen> for Spread {
    fn from(s: Seen) -> Self {
        Self { min: s.min, max: s.max, sum: s.sum, count: s.count }
    }
}

/// W4 with a fold of each key that is merged across replicas.
pub(crate) fn spreads(workload: &str, items: u64, replicas: u64) -> Result<(u64, f64), BenchError> {
    let context = context(replicas)?;
    let lines = context.stream_file(input_file(workload, items));
    let rows = lines.batch_mode(BatchMode::fixed(BATCH_ITEMS)).map(|line: String| {
        let (key, value) = row_of(line.trim_end().as_bytes()).unwrap_or_default();
        (String::from_utf8_lossy(key).into_owned(), value)
    });
    let spreads = rows.group_by_fold(
        |row: &(String, i32)| row.0.clone(),
        Seen { min: i32::MAX, max: i32::MIN, sum: 0, count: 0 },
        |seen, (_, value)| {
            seen.min = seen.min.min(value);
            seen.max = seen.max.max(value);
            seen.sum += i64::from(value);
            seen.count += 1;
        },
        |all, part| {
            all.min = all.min.min(part.min);
            all.max = all.max.max(part.max);
            all.sum += part.sum;
            all.count += part.count;
        },
    );
    let spreads = spreads.collect_vec();
    let seconds = timed(|| context.execute_blocking()).1;
    let spreads = spreads.get().ok_or_else(no_result)?;
    // A map, since a key must be there once whatever the number of replicas.
    let mut all: HashMap<String, Spread> = HashMap::new();
    for (key, seen) in spreads {
        all.entry(key).or_default().merge(&seen.into());
    }
    let sums = all.iter().map(|(key, spread)| spread.check(key.as_bytes()));
    Ok((sums.fold(0, u64::wrapping_add), seconds))
}
