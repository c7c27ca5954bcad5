//! W3: word count of a text file, reading included.

use std::{path::Path, thread};

use bench_common::{
    BenchError, Measured, Task, for_each_block, input_file, parts, timed, word_sum,
};
use hashbrown::HashMap;

type Counts<K> = HashMap<K, u64, foldhash::fast::RandomState>;

/// Runs one case of W3.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let path = input_file("w3", task.items);
    let (sum, seconds) = match task.case.as_str() {
        "hand" => timed(|| on_threads(&path, 1)),
        "hand-2t" => timed(|| on_threads(&path, 2)),
        "owned" => timed(|| owned(&path)),
        _ => return Err(task.unknown()),
    };
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.to_owned();
    move |source| BenchError::File { path, source }
}

/// A map of owned words that is asked with borrowed ones; each thread counts a part of the file.
fn on_threads(path: &Path, threads: u64) -> Result<u64, BenchError> {
    let parts = parts(path, threads).map_err(failed(path))?;
    let maps = thread::scope(|scope| {
        let count = |part| {
            let mut counts = Counts::<Box<[u8]>>::default();
            for_each_block(path, part, |block| count(block, &mut counts)).map(|()| counts)
        };
        let running: Vec<_> = parts.into_iter().map(|p| scope.spawn(move || count(p))).collect();
        running
            .into_iter()
            .map(|t| t.join().map_err(|_| BenchError::panicked("a counter")))
            .collect::<Vec<_>>()
    });
    let mut all = Counts::default();
    for map in maps {
        let map = map?.map_err(failed(path))?;
        if all.is_empty() {
            all = map;
        } else {
            for (word, n) in map {
                *all.entry(word).or_default() += n;
            }
        }
    }
    Ok(sum_of(all.iter().map(|(word, n)| (&**word, *n))))
}

/// Words are short, so a plain loop over bytes beats a search for each.
fn count(block: &[u8], counts: &mut Counts<Box<[u8]>>) {
    let mut start = 0;
    for (at, &byte) in block.iter().enumerate() {
        if byte <= b' ' {
            if at > start {
                add(counts, &block[start..at]);
            }
            start = at + 1;
        }
    }
    if start < block.len() {
        add(counts, &block[start..]);
    }
}

#[inline(always)]
fn add(counts: &mut Counts<Box<[u8]>>, word: &[u8]) {
    match counts.get_mut(word) {
        Some(n) => *n += 1,
        None => {
            counts.insert(word.into(), 1);
        }
    }
}

/// What one writes first: an owned string a line and a word.
fn owned(path: &Path) -> Result<u64, BenchError> {
    let mut counts = Counts::<String>::default();
    let parts = parts(path, 1).map_err(failed(path))?;
    for part in parts {
        for_each_block(path, part, |block| {
            for line in String::from_utf8_lossy(block).lines().map(str::to_owned) {
                for word in line.split(' ') {
                    *counts.entry(word.to_owned()).or_default() += 1;
                }
            }
        })
        .map_err(failed(path))?;
    }
    Ok(sum_of(counts.iter().map(|(word, n)| (word.as_bytes(), *n))))
}

fn sum_of<'a>(counts: impl Iterator<Item = (&'a [u8], u64)>) -> u64 {
    counts.fold(0, |sum, (word, n)| sum.wrapping_add(word_sum(word, n)))
}
