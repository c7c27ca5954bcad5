//! A budget that bounds, and spilled frames in memory, with faults.

use super::lock;
use super::{Fault, Faults};
use flux_io_core::{
    ConsumerId, MemoryPool, Pressure, ReserveError, SpillError, SpillPlace, SpillStore,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

/// A budget of a fixed number of bytes; soft pressure from 75 % on.
#[derive(Debug)]
pub struct BoundedPool {
    limit: u64,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    names: Vec<String>,
    held: Vec<u64>,
    total: u64,
    peak: u64,
}

impl BoundedPool {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Most bytes granted at once.
    #[must_use]
    pub fn peak(&self) -> u64 {
        lock(&self.state).peak
    }

    /// Bytes held by each consumer, by name, summed.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        let s = lock(&self.state);
        let mut all = BTreeMap::new();
        for (name, held) in s.names.iter().zip(&s.held) {
            *all.entry(name.clone()).or_default() += held;
        }
        all
    }
}

impl MemoryPool for BoundedPool {
    fn register(&self, name: &str) -> ConsumerId {
        let mut s = lock(&self.state);
        s.names.push(name.to_owned());
        s.held.push(0);
        ConsumerId(s.names.len() as u32 - 1)
    }

    fn try_grow(&self, consumer: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
        let mut s = lock(&self.state);
        let available = self.limit - s.total;
        let i = consumer.0 as usize;
        let Some(held) = s.held.get(i).copied().filter(|_| bytes <= available) else {
            return Err(ReserveError {
                consumer: s.names.get(i).cloned().unwrap_or_else(|| "unknown".into()),
                requested_bytes: bytes,
                available_bytes: available,
                limit_bytes: self.limit,
            });
        };
        s.held[i] = held + bytes;
        s.total += bytes;
        s.peak = s.peak.max(s.total);
        Ok(())
    }

    fn shrink(&self, consumer: ConsumerId, bytes: u64) {
        let mut s = lock(&self.state);
        let Some(held) = s.held.get_mut(consumer.0 as usize) else { return };
        let b = bytes.min(*held);
        *held -= b;
        s.total -= b;
    }

    fn reserved(&self) -> u64 {
        lock(&self.state).total
    }

    fn pressure(&self) -> Pressure {
        let total = self.reserved();
        if total >= self.limit {
            Pressure::Hard
        } else if total >= self.limit / 4 * 3 {
            Pressure::Soft
        } else {
            Pressure::Normal
        }
    }
}

/// Spilled frames kept in memory, one segment a partition.
#[derive(Debug, Default)]
pub struct MemorySpill {
    partitions: BTreeMap<u32, Vec<Vec<u8>>>,
    written: u64,
    /// Writes left before the "disk" is full; `None` = never full.
    room: Option<u64>,
}

impl MemorySpill {
    /// A store without a bound.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that takes `bytes` bytes and then refuses, as a full disk does.
    #[must_use]
    pub fn with_room(bytes: u64) -> Self {
        Self { room: Some(bytes), ..Self::default() }
    }
}

fn failed(
    operation: &'static str,
    partition: u32,
    offset: Option<u64>,
    kind: io::ErrorKind,
) -> SpillError {
    SpillError { operation, partition, offset, source: kind.into() }
}

impl SpillStore for MemorySpill {
    fn append(&mut self, partition: u32, frame: &[u8]) -> Result<SpillPlace, SpillError> {
        let bytes = frame.len() as u64;
        if let Some(room) = &mut self.room {
            let left = room.checked_sub(bytes);
            *room =
                left.ok_or_else(|| failed("write", partition, None, io::ErrorKind::StorageFull))?;
        }
        let frames = self.partitions.entry(partition).or_default();
        frames.push(frame.to_vec());
        self.written += bytes;
        let offset = frames.len() as u64 - 1;
        Ok(SpillPlace { segment: partition, offset, len: frame.len() as u32 })
    }

    fn read(
        &mut self,
        partition: u32,
        place: SpillPlace,
        out: &mut Vec<u8>,
    ) -> Result<(), SpillError> {
        out.clear();
        let frames = self.partitions.get(&partition).filter(|_| place.segment == partition);
        let frame = frames.and_then(|f| f.get(usize::try_from(place.offset).ok()?));
        let Some(frame) = frame else {
            return Err(failed("read", partition, Some(place.offset), io::ErrorKind::NotFound));
        };
        out.extend_from_slice(frame);
        Ok(())
    }

    fn replay(&mut self, partition: u32, each: &mut dyn FnMut(&[u8])) -> Result<(), SpillError> {
        self.partitions.get(&partition).into_iter().flatten().for_each(|f| each(f));
        Ok(())
    }

    fn free(&mut self, partition: u32) -> Result<(), SpillError> {
        self.partitions.remove(&partition);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }
}

/// A spill store with faults by call: appends, reads, replays and frees, counted together from 0.
/// Every fault is an I/O error; [`Fault::After`] lets a replay hand out so many frames first. A
/// failed append or read did nothing, a failed free has freed.
#[derive(Debug)]
pub struct FlakySpill<S> {
    inner: S,
    faults: Faults,
}

impl<S> FlakySpill<S> {
    /// `inner` with these faults.
    pub const fn new(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }

    fn begin(&mut self, operation: &'static str, partition: u32) -> Result<(), SpillError> {
        match self.faults.begin().1 {
            None => Ok(()),
            Some(_) => Err(failed(operation, partition, None, io::ErrorKind::Other)),
        }
    }
}

impl<S: SpillStore> SpillStore for FlakySpill<S> {
    fn append(&mut self, partition: u32, frame: &[u8]) -> Result<SpillPlace, SpillError> {
        self.begin("write", partition)?;
        self.inner.append(partition, frame)
    }

    fn read(
        &mut self,
        partition: u32,
        place: SpillPlace,
        out: &mut Vec<u8>,
    ) -> Result<(), SpillError> {
        self.begin("read", partition)?;
        self.inner.read(partition, place, out)
    }

    fn replay(&mut self, partition: u32, each: &mut dyn FnMut(&[u8])) -> Result<(), SpillError> {
        let Some(fault) = self.faults.begin().1 else { return self.inner.replay(partition, each) };
        let mut left = if let Fault::After(n) = fault { n } else { 0 };
        self.inner.replay(partition, &mut |frame| {
            if left > 0 {
                left -= 1;
                each(frame);
            }
        })?;
        Err(failed("read", partition, None, io::ErrorKind::Other))
    }

    fn free(&mut self, partition: u32) -> Result<(), SpillError> {
        let begun = self.begin("free", partition);
        self.inner.free(partition)?;
        begun
    }

    fn written(&self) -> u64 {
        self.inner.written()
    }
}
