//! The vocabulary of memory: reservations against one budget, buffers lent by pools, bytes that
//! are spilled. Implementations live elsewhere; stages and the driver know these traits alone.

use crate::sync::Arc;
use std::fmt;
use std::num::NonZeroU64;

/// Whoever holds memory, by name, for reports ("top consumers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u32);

/// Not enough budget. Nothing was reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot reserve {requested_bytes} bytes for {consumer}: {available_bytes} of {limit_bytes} \
     are free; raise the budget, or let the stage spill or evict"
)]
pub struct ReserveError {
    /// Who asked.
    pub consumer: String,
    /// Bytes asked for.
    pub requested_bytes: u64,
    /// Bytes that were free.
    pub available_bytes: u64,
    /// The whole budget.
    pub limit_bytes: u64,
}

/// How full a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Below the soft mark.
    Normal,
    /// Over the soft mark: spill or evict, admit less.
    Soft,
    /// At the hard mark: nothing more is granted.
    Hard,
}

/// One budget in bytes, shared by named consumers.
///
/// # Laws
/// - The sum granted never exceeds the limit; a refusal changes nothing.
/// - Memory is charged before it is allocated; what is released was granted.
pub trait MemoryPool: Send + Sync {
    /// Registers a consumer under a name.
    fn register(&self, name: &str) -> ConsumerId;
    /// Grants `bytes` more, or refuses.
    ///
    /// # Errors
    /// [`ReserveError`] when the budget does not hold them.
    fn try_grow(&self, consumer: ConsumerId, bytes: u64) -> Result<(), ReserveError>;
    /// Takes `bytes` back.
    fn shrink(&self, consumer: ConsumerId, bytes: u64);
    /// Bytes granted now, over all consumers.
    fn reserved(&self) -> u64;
    /// How full it is.
    fn pressure(&self) -> Pressure {
        Pressure::Normal
    }
}

/// Bytes held against a [`MemoryPool`]; given back when dropped.
pub struct Reservation {
    pool: Option<Arc<dyn MemoryPool>>,
    consumer: ConsumerId,
    bytes: u64,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({} bytes of {:?})", self.bytes, self.consumer)
    }
}

impl Default for Reservation {
    /// Without a pool: counts, never refuses.
    fn default() -> Self {
        Self { pool: None, consumer: ConsumerId::default(), bytes: 0 }
    }
}

impl Reservation {
    /// An empty reservation of a new consumer called `name`.
    #[must_use]
    pub fn new(pool: Arc<dyn MemoryPool>, name: &str) -> Self {
        let consumer = pool.register(name);
        Self { pool: Some(pool), consumer, bytes: 0 }
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How full the pool behind it is.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pool.as_ref().map_or(Pressure::Normal, |p| p.pressure())
    }

    /// Holds `bytes` more.
    ///
    /// # Errors
    /// [`ReserveError`]; the reservation is as it was.
    pub fn try_grow(&mut self, bytes: u64) -> Result<(), ReserveError> {
        if let Some(p) = &self.pool {
            p.try_grow(self.consumer, bytes)?;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives `bytes` back; more than is held gives back all.
    pub fn shrink(&mut self, bytes: u64) {
        let b = bytes.min(self.bytes);
        if let Some(p) = &self.pool {
            p.shrink(self.consumer, b);
        }
        self.bytes -= b;
    }

    /// A reservation of its own for `bytes` of these (all, if fewer are held).
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        let b = bytes.min(self.bytes);
        self.bytes -= b;
        Self { pool: self.pool.as_ref().map(Arc::clone), consumer: self.consumer, bytes: b }
    }

    /// Takes the whole content, leaving an empty reservation of the same consumer.
    #[must_use]
    pub fn take(&mut self) -> Self {
        self.split(self.bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// What a pool lent and has now; law: at the end of a run `rented == returned`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolStats {
    /// Bytes the pool holds, lent or not.
    pub total_allocated: u64,
    /// Buffers lent now.
    pub currently_rented: u64,
    /// Most buffers lent at once.
    pub peak_usage: u64,
    /// `1 - requested / reserved` bytes of the buffers lent now (B105); 0 when none is lent.
    pub fragmentation_ratio: f64,
    /// Buffers lent so far.
    pub rented: u64,
    /// Buffers that came back so far.
    pub returned: u64,
}

/// Lends byte buffers.
///
/// Law: a buffer has at least the capacity asked for and length 0.
pub trait BufferPool: Send + Sync {
    /// Lends a buffer of at least `capacity` bytes.
    ///
    /// # Errors
    /// [`ReserveError`] when the budget behind the pool does not hold it.
    fn rent(&self, capacity: usize) -> Result<Vec<u8>, ReserveError>;
    /// Takes a buffer back; its content is forgotten.
    fn give_back(&self, buffer: Vec<u8>);
    /// What was lent.
    fn stats(&self) -> PoolStats;
}

/// Where a spilled frame lies. Opaque; meaningful to the store that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpillPlace {
    /// The segment it lies in.
    pub segment: u32,
    /// Byte offset in it.
    pub offset: u64,
    /// Bytes of the frame as stored.
    pub len: u32,
}

/// Why spilled bytes were not written or read.
#[derive(Debug, thiserror::Error)]
#[error("spill {operation} of partition {partition} failed{}", at(*.offset))]
pub struct SpillError {
    /// "write", "read", "verify" or "free".
    pub operation: &'static str,
    /// The partition.
    pub partition: u32,
    /// Byte offset in the segment, where one is known.
    pub offset: Option<u64>,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |o| format!(" at byte {o}"))
}

/// Append-only, partitioned storage for what does not fit.
///
/// # Laws
/// - A frame is written at most once; `read` gives back exactly the bytes appended, or an error.
/// - Frames of one partition are replayed in the order of their append.
/// - Nothing is ever rewritten in place; `free` gives a whole partition back.
pub trait SpillStore: Send {
    /// Appends a frame to a partition.
    ///
    /// # Errors
    /// [`SpillError`]; the frame is then not stored and the caller still has it.
    fn append(&mut self, partition: u32, frame: &[u8]) -> Result<SpillPlace, SpillError>;
    /// Reads one frame into `out` (cleared first).
    ///
    /// # Errors
    /// [`SpillError`] when it cannot be read or its checksum is wrong.
    fn read(
        &mut self,
        partition: u32,
        place: SpillPlace,
        out: &mut Vec<u8>,
    ) -> Result<(), SpillError>;
    /// Hands every frame of a partition to `each`, in order of append.
    ///
    /// # Errors
    /// [`SpillError`] at the first frame that cannot be read.
    fn replay(&mut self, partition: u32, each: &mut dyn FnMut(&[u8])) -> Result<(), SpillError>;
    /// Gives the partition's space back.
    ///
    /// # Errors
    /// [`SpillError`] when the space could not be freed; its frames are gone all the same.
    fn free(&mut self, partition: u32) -> Result<(), SpillError>;
    /// Bytes written so far.
    fn written(&self) -> u64;
}

/// A memory cap in bytes; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget(pub NonZeroU64);

impl Budget {
    /// A cap of `n` bytes; one byte when `n` is 0, which every plan then refuses by name.
    #[must_use]
    pub const fn bytes(n: u64) -> Self {
        match NonZeroU64::new(n) {
            Some(n) => Self(n),
            None => Self(NonZeroU64::MIN),
        }
    }
}
