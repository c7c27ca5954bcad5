//! W4: smallest, mean and largest value of each key, over rows `key;value` of a file.

use std::{path::Path, thread};

use bench_common::{
    BenchError, Measured, Spread, Task, for_each_block, input_file, parts, row_of, timed,
};
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

type Seeded = foldhash::fast::RandomState;

/// Runs one case of W4.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let path = input_file(&task.workload, task.items);
    let (sum, seconds) = match task.case.as_str() {
        "dense-256" => timed(|| on_threads::<Dense>(&path, 1)),
        "dense-256-2t" => timed(|| on_threads::<Dense>(&path, 2)),
        "map" => timed(|| on_threads::<Map>(&path, 1)),
        _ => return Err(task.unknown()),
    };
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

trait Table: Default + Send {
    /// Takes rows; `block` holds whole lines.
    fn take(&mut self, block: &[u8]);
    /// Key and values of all.
    fn each(&self, see: &mut dyn FnMut(&[u8], &Spread));
    /// Takes the values of a key over.
    fn merge(&mut self, key: &[u8], spread: &Spread);
}

fn on_threads<T: Table>(path: &Path, threads: u64) -> Result<u64, BenchError> {
    let failed = |source| BenchError::File { path: path.to_owned(), source };
    let parts = parts(path, threads).map_err(failed)?;
    let tables = thread::scope(|scope| {
        let fill = |part| {
            let mut table = T::default();
            for_each_block(path, part, |block| table.take(block)).map(|()| table)
        };
        let running: Vec<_> = parts.into_iter().map(|p| scope.spawn(move || fill(p))).collect();
        running
            .into_iter()
            .map(|t| t.join().map_err(|_| BenchError::panicked("a table")))
            .collect::<Vec<_>>()
    });
    let mut tables = tables.into_iter();
    let mut all = match tables.next() {
        Some(first) => first?.map_err(failed)?,
        None => T::default(),
    };
    for table in tables {
        table?.map_err(failed)?.each(&mut |key, spread| all.merge(key, spread));
    }
    let mut sum = 0u64;
    all.each(&mut |key, spread| sum = sum.wrapping_add(spread.check(key)));
    Ok(sum)
}

/// A map from owned keys to values.
#[derive(Default)]
struct Map(HashMap<Box<[u8]>, Spread, Seeded>);

impl Table for Map {
    fn take(&mut self, block: &[u8]) {
        for (key, value) in block.split(|&b| b == b'\n').filter_map(row_of) {
            match self.0.get_mut(key) {
                Some(spread) => spread.add(value),
                None => self.0.entry(key.into()).or_default().add(value),
            }
        }
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &Spread)) {
        self.0.iter().for_each(|(key, spread)| see(key, spread));
    }

    fn merge(&mut self, key: &[u8], spread: &Spread) {
        self.0.entry(key.into()).or_default().merge(spread);
    }
}

/// An index beside dense rows with their keys; 256 rows are hashed before they are looked up, so
/// that lookups overlap.
#[derive(Default)]
struct Dense {
    index: HashTable<(u64, u32)>,
    rows: Vec<(Box<[u8]>, Spread)>,
    hasher: Seeded,
}

const BLOCK: usize = 256;

impl Dense {
    fn row(&mut self, hash: u64, key: &[u8]) -> &mut Spread {
        let Self { index, rows, .. } = self;
        let found = index.find(hash, |&(h, at)| h == hash && *rows[at as usize].0 == *key);
        let at = match found {
            Some(&(_, at)) => at,
            None => {
                let at = rows.len() as u32;
                rows.push((key.into(), Spread::default()));
                index.insert_unique(hash, (hash, at), |&(h, _)| h);
                at
            }
        };
        &mut rows[at as usize].1
    }
}

impl Table for Dense {
    fn take(&mut self, block: &[u8]) {
        let mut lines = block.split(|&b| b == b'\n').filter_map(row_of);
        let mut batch: Vec<(u64, &[u8], i32)> = Vec::with_capacity(BLOCK);
        loop {
            batch.clear();
            let hasher = &self.hasher;
            batch.extend(lines.by_ref().take(BLOCK).map(|(key, v)| (hasher.hash_one(key), key, v)));
            if batch.is_empty() {
                return;
            }
            for &(hash, key, value) in &batch {
                self.row(hash, key).add(value);
            }
        }
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &Spread)) {
        self.rows.iter().for_each(|(key, spread)| see(key, spread));
    }

    fn merge(&mut self, key: &[u8], spread: &Spread) {
        let hash = self.hasher.hash_one(key);
        self.row(hash, key).merge(spread);
    }
}
