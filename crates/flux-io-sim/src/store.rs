//! A snapshot store on a simulated disk: parts as files of their own, an epoch as a manifest that
//! names them, made durable in the one order that survives a power cut.

use crate::disk::{DiskError, FileId, SimDisk};
use flux_io_core::{Epoch, SnapshotStore, StageError, hash_of, mutant};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tries of an operation that a fault cut off, while a store is opened.
const TRIES: u32 = 64;

type Parts = BTreeMap<(String, u32), Vec<u8>>;

/// Keeps snapshots on a [`SimDisk`], across power cuts.
///
/// A part is written and synced; when all parts are there, a manifest that names each with its
/// checksum is written under another name, synced, renamed, and the directory synced. Only then is
/// the epoch complete. An operation that fails costs its epoch, and those whose parts were put
/// meanwhile; never an older one.
pub struct SimStore(Mutex<State>);

struct State {
    disk: SimDisk,
    /// Files put, by epoch: name, place, checksum.
    put: BTreeMap<u64, Vec<Entry>>,
    parts: BTreeMap<u64, Parts>,
    newest: Option<Epoch>,
    /// The newest epoch of which a part's name was lost when the directory could not be synced.
    torn: Option<u64>,
    next: u64,
}

struct Entry {
    file: String,
    stage: String,
    shard: u32,
    sum: u64,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.state();
        write!(f, "SimStore({:?}, newest {:?})", s.disk, s.newest)
    }
}

impl SimStore {
    /// An empty store on `disk`.
    #[must_use]
    pub fn new(disk: SimDisk) -> Self {
        let (put, parts) = (BTreeMap::new(), BTreeMap::new());
        Self(Mutex::new(State { disk, put, parts, newest: None, torn: None, next: 0 }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the disk's power and reads what is left: the newest epoch whose manifest and parts are
    /// all there.
    pub fn power_cut(&self) {
        let mut s = self.state();
        s.disk.power_cut();
        s.reload();
    }
}

fn refused(e: DiskError) -> StageError {
    StageError::transient("the snapshot could not be kept").because(e)
}

impl State {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<FileId, DiskError> {
        let file = again(|| self.disk.create(name))?;
        let mut at = 0;
        while at < bytes.len() {
            at += again(|| self.disk.write_at(file, at as u64, &bytes[at..]))?;
        }
        Ok(file)
    }

    fn put(&mut self, e: Epoch, stage: &str, shard: u32, bytes: Vec<u8>) -> Result<(), DiskError> {
        self.next += 1;
        let name = format!("part-{}-{}", e.0, self.next);
        let file = self.write(&name, &bytes)?;
        if !mutant!(PartNotSynced) {
            again(|| self.disk.sync(file))?;
        }
        let sum = hash_of(bytes.as_slice(), 0);
        let place = (stage.to_owned(), shard);
        let entries = self.put.entry(e.0).or_default();
        entries.retain(|x| (&x.stage, x.shard) != (&place.0, place.1));
        entries.push(Entry { file: name, stage: place.0.clone(), shard, sum });
        self.parts.entry(e.0).or_default().insert(place, bytes);
        Ok(())
    }

    fn complete(&mut self, e: Epoch) -> Result<(), DiskError> {
        if self.newest > Some(e) {
            return Ok(());
        }
        if self.torn >= Some(e.0) {
            return Err(DiskError::Failed { what: "sync the directory" });
        }
        let mut text = String::new();
        for x in self.put.get(&e.0).into_iter().flatten() {
            text.push_str(&format!("{} {} {} {}\n", x.file, x.shard, x.sum, x.stage));
        }
        text.push_str(&format!("end {}\n", hash_of(text.as_str(), 0)));
        self.next += 1;
        let fresh = format!("new-{}-{}", e.0, self.next);
        let file = self.write(&fresh, text.as_bytes())?;
        again(|| self.disk.sync(file))?;
        again(|| self.disk.rename(&fresh, &format!("epoch-{}", e.0)))?;
        if !mutant!(DirectoryNotSynced) {
            let synced = again(|| self.disk.sync_dir());
            if synced.is_err() {
                // Names of parts that were put meanwhile are lost with those of this epoch.
                self.torn = self.put.keys().next_back().copied();
            }
            synced?;
        }
        self.newest = Some(e);
        self.forget_before(e);
        Ok(())
    }

    /// Older epochs are not needed any more; a file that cannot be removed stays.
    fn forget_before(&mut self, e: Epoch) {
        self.parts.retain(|x, _| *x >= e.0);
        self.put.retain(|x, _| *x >= e.0);
        for name in self.disk.names() {
            let epoch = name.split('-').nth(1).and_then(|x| x.parse().ok());
            if epoch.is_some_and(|x: u64| x < e.0) {
                _ = self.disk.remove(&name);
            }
        }
    }

    fn reload(&mut self) {
        self.put.clear();
        self.parts.clear();
        (self.newest, self.torn) = (None, None);
        let names = self.disk.names();
        let epoch = |n: &String| n.strip_prefix("epoch-").and_then(|x| x.parse::<u64>().ok());
        let mut epochs: Vec<u64> = names.iter().filter_map(epoch).collect();
        epochs.sort_unstable();
        while let Some(e) = epochs.pop() {
            if let Some(parts) = self.read_epoch(e) {
                self.parts.insert(e, parts);
                self.newest = Some(Epoch(e));
                return;
            }
        }
    }

    fn read_epoch(&mut self, e: u64) -> Option<Parts> {
        let text = String::from_utf8(self.read(&format!("epoch-{e}"))?).ok()?;
        let (lines, end) = text.trim_end().rsplit_once("end ")?;
        if end.parse() != Ok(hash_of(lines, 0)) {
            return None;
        }
        let mut parts = Parts::new();
        for line in lines.lines() {
            let mut words = line.splitn(4, ' ');
            let (file, shard, sum) = (words.next()?, words.next()?, words.next()?);
            let bytes = self.read(file)?;
            if sum.parse() != Ok(hash_of(bytes.as_slice(), 0)) {
                return None;
            }
            parts.insert((words.next()?.to_owned(), shard.parse().ok()?), bytes);
        }
        Some(parts)
    }

    fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        let file = stubborn(|| self.disk.open(name))?;
        let len = self.disk.len(file).ok()? as usize;
        let mut bytes = vec![0; len];
        let mut at = 0;
        while at < len {
            let n = stubborn(|| self.disk.read_at(file, at as u64, &mut bytes[at..]))?;
            at += n;
            if n == 0 {
                return None;
            }
        }
        Some(bytes)
    }
}

/// An interrupted call is made again.
fn again<T>(mut call: impl FnMut() -> Result<T, DiskError>) -> Result<T, DiskError> {
    loop {
        match call() {
            Err(DiskError::Interrupted) => {}
            other => return other,
        }
    }
}

/// Reading has no other way than to try again.
fn stubborn<T>(mut call: impl FnMut() -> Result<T, DiskError>) -> Option<T> {
    (0..TRIES).find_map(|_| call().ok())
}

impl SnapshotStore for SimStore {
    fn put(&self, epoch: Epoch, stage: &str, shard: u32, bytes: Vec<u8>) -> Result<(), StageError> {
        self.state().put(epoch, stage, shard, bytes).map_err(refused)
    }

    fn complete(&self, epoch: Epoch) -> Result<(), StageError> {
        self.state().complete(epoch).map_err(refused)
    }

    fn get(&self, stage: &str, shard: u32) -> Option<Vec<u8>> {
        let s = self.state();
        s.parts.get(&s.newest?.0)?.get(&(stage.to_owned(), shard)).cloned()
    }

    fn newest(&self) -> Option<Epoch> {
        self.state().newest
    }
}
