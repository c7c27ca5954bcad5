//! The workloads that read text files: each worker reads a part of the file.

use std::{
    fs::File,
    hash::BuildHasher,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::Path,
    sync::atomic::Ordering::Relaxed,
};

use bench_common::{Spread, input_file, parts, row_of, word_sum};
use hashbrown::HashMap;
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{
        ProbeHandle,
        channels::pact::Exchange,
        operators::{Probe, generic::operator::Operator, vec::Map},
    },
    worker::Worker,
};

use crate::{
    Total,
    flows::{Seeded, source_of},
};

/// The lines of this worker's part; the file was written just before, so it is there.
fn lines(worker: &Worker, path: &Path) -> impl Iterator<Item = String> + 'static {
    let (index, peers) = (worker.index(), worker.peers());
    let part = parts(path, peers as u64).ok().and_then(|mut all| Some(all.swap_remove(index)));
    let part = part.unwrap_or(0..0);
    let mut file = File::open(path).ok();
    let mut at = part.start;
    if let Some(file) = file.as_mut().filter(|_| at > 0) {
        at -= 1;
        let _ = file.seek(SeekFrom::Start(at));
    }
    let mut reader = file.map(|file| BufReader::with_capacity(1 << 16, file));
    if part.start > 0 {
        let mut rest = Vec::new();
        let skipped = reader.as_mut().and_then(|r| r.read_until(b'\n', &mut rest).ok());
        at += skipped.unwrap_or(0) as u64;
    }
    std::iter::from_fn(move || {
        if at >= part.end {
            return None;
        }
        let mut line = String::new();
        let n = reader.as_mut()?.read_line(&mut line).ok().filter(|&n| n > 0)?;
        at += n as u64;
        line.truncate(line.trim_end().len());
        Some(line)
    })
}

/// W3: owned words, exchanged by hash.
pub(crate) fn count_words(worker: &mut Worker, items: u64, total: Total) {
    let lines = lines(worker, &input_file("w3", items));
    let hasher = foldhash::fast::FixedState::default();
    worker.dataflow::<u64, _, _>(|scope| {
        let words = source_of(scope, lines, 1024)
            .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let by_word = Exchange::new(move |word: &String| hasher.hash_one(word));
        let mut counts: HashMap<String, u64, Seeded> = HashMap::default();
        let probe = ProbeHandle::new();
        words
            .unary_frontier::<CapacityContainerBuilder<Vec<u64>>, _, _, _>(
                by_word,
                "count",
                move |_, _| {
                    let mut ended = false;
                    move |(input, frontier), _| {
                        input.for_each_time(|_, batches| {
                            for word in batches.flat_map(|batch| batch.drain(..)) {
                                *counts.entry(word).or_default() += 1;
                            }
                        });
                        if frontier.is_empty() && !ended {
                            ended = true;
                            for (word, n) in &counts {
                                total.fetch_add(word_sum(word.as_bytes(), *n), Relaxed);
                            }
                        }
                    }
                },
            )
            .probe_with(&probe);
    });
}

/// W4 with few keys.
pub(crate) fn spreads_few(worker: &mut Worker, items: u64, total: Total) {
    spreads(worker, "w4", items, total);
}

/// W4 with many keys.
pub(crate) fn spreads_many(worker: &mut Worker, items: u64, total: Total) {
    spreads(worker, "w4m", items, total);
}

fn spreads(worker: &mut Worker, workload: &str, items: u64, total: Total) {
    let lines = lines(worker, &input_file(workload, items));
    let hasher = foldhash::fast::FixedState::default();
    worker.dataflow::<u64, _, _>(|scope| {
        let rows = source_of(scope, lines, 8192).map(|line: String| {
            let (key, value) = row_of(line.as_bytes()).unwrap_or_default();
            (String::from_utf8_lossy(key).into_owned(), value)
        });
        let by_key = Exchange::new(move |row: &(String, i32)| hasher.hash_one(&row.0));
        let mut spreads: HashMap<String, Spread, Seeded> = HashMap::default();
        let probe = ProbeHandle::new();
        rows.unary_frontier::<CapacityContainerBuilder<Vec<u64>>, _, _, _>(
            by_key,
            "spread",
            move |_, _| {
                let mut ended = false;
                move |(input, frontier), _| {
                    input.for_each_time(|_, batches| {
                        for (key, value) in batches.flat_map(|batch| batch.drain(..)) {
                            spreads.entry(key).or_default().add(value);
                        }
                    });
                    if frontier.is_empty() && !ended {
                        ended = true;
                        for (key, spread) in &spreads {
                            total.fetch_add(spread.check(key.as_bytes()), Relaxed);
                        }
                    }
                }
            },
        )
        .probe_with(&probe);
    });
}
