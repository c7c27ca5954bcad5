//! Reservations against one budget, and the figures of pools.

use crate::kit::check;
use flux_io_core::{
    Budget, BufferPool, ConsumerId, MemoryPool, PoolStats, Pressure, Reservation, ReserveError,
    SpillError,
};
use proptest::collection::vec;
use proptest::prelude::any;
use std::sync::{Arc, Mutex};

/// A pool with a limit.
struct Bounded {
    limit: u64,
    held: Mutex<u64>,
}

impl Bounded {
    fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::new(0) })
    }
}

impl MemoryPool for Bounded {
    fn register(&self, name: &str) -> ConsumerId {
        ConsumerId(name.len() as u32)
    }
    fn try_grow(&self, consumer: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
        let mut held = self.held.lock().unwrap();
        let available_bytes = self.limit - *held;
        if bytes > available_bytes {
            return Err(ReserveError {
                consumer: format!("consumer {}", consumer.0),
                requested_bytes: bytes,
                available_bytes,
                limit_bytes: self.limit,
            });
        }
        *held += bytes;
        Ok(())
    }
    fn shrink(&self, _consumer: ConsumerId, bytes: u64) {
        let mut held = self.held.lock().unwrap();
        *held = held.checked_sub(bytes).unwrap();
    }
    fn reserved(&self) -> u64 {
        *self.held.lock().unwrap()
    }
    fn pressure(&self) -> Pressure {
        match (self.reserved(), self.limit) {
            (h, l) if h >= l => Pressure::Hard,
            (h, l) if h * 2 >= l => Pressure::Soft,
            _ => Pressure::Normal,
        }
    }
}

/// Rows 136, 153. Under any growing, shrinking, splitting, taking and dropping, the pool holds
/// exactly the sum of the reservations, never beyond its limit; at the end nothing is held.
#[test]
fn reservations_add_up() {
    check(153, &vec((0..5u8, any::<u8>(), 0..400u64), 0..60), |ops| {
        let pool = Bounded::new(1_000);
        let mut all = vec![Reservation::new(Arc::clone(&pool) as Arc<dyn MemoryPool>, "table")];
        for (op, which, bytes) in ops {
            let i = usize::from(which) % all.len();
            let before = all[i].bytes();
            match op {
                0 | 1 => {
                    let free = 1_000 - pool.reserved();
                    let granted = all[i].try_grow(bytes).is_ok();
                    assert_eq!(granted, bytes <= free);
                    assert_eq!(all[i].bytes(), before + if granted { bytes } else { 0 });
                }
                2 => {
                    all[i].shrink(bytes);
                    assert_eq!(all[i].bytes(), before.saturating_sub(bytes));
                }
                3 => {
                    let part = all[i].split(bytes);
                    assert_eq!(part.bytes(), before.min(bytes));
                    all.push(part);
                }
                _ => {
                    let whole = all[i].take();
                    assert_eq!((whole.bytes(), all[i].bytes()), (before, 0));
                    drop(whole);
                }
            }
            assert_eq!(pool.reserved(), all.iter().map(Reservation::bytes).sum::<u64>());
        }
        drop(all);
        assert_eq!(pool.reserved(), 0, "dropping gives everything back");
    });
}

/// Row 151. A reservation says how full its pool is; without a pool it counts and never refuses.
#[test]
fn reservations_say_the_pressure() {
    let mut r = Reservation::new(Bounded::new(10), "x");
    let mut seen = vec![r.pressure()];
    for _ in 0..2 {
        r.try_grow(5).unwrap();
        seen.push(r.pressure());
    }
    assert_eq!(seen, [Pressure::Normal, Pressure::Soft, Pressure::Hard]);
    assert!(Pressure::Normal < Pressure::Soft && Pressure::Soft < Pressure::Hard);
    let mut free = Reservation::default();
    free.try_grow(u64::MAX).unwrap();
    free.try_grow(1).unwrap();
    assert_eq!((free.bytes(), free.pressure()), (u64::MAX, Pressure::Normal));
}

/// Row 153. A refusal says who asked for what, what there was, and what to do.
#[test]
fn a_refusal_says_what_to_do() {
    let mut r = Reservation::new(Bounded::new(10), "four");
    let e = r.try_grow(11).unwrap_err();
    assert_eq!(
        e.to_string(),
        "cannot reserve 11 bytes for consumer 4: 10 of 10 are free; raise the budget, or let the \
         stage spill or evict"
    );
    assert_eq!(r.bytes(), 0);
}

/// Lends vectors, rounded up to 64 bytes.
#[derive(Default)]
struct Lender(Mutex<(PoolStats, Vec<(u64, u64)>)>);

impl BufferPool for Lender {
    fn rent(&self, capacity: usize) -> Result<Vec<u8>, ReserveError> {
        let given = capacity.next_multiple_of(64);
        let mut g = self.0.lock().unwrap();
        g.1.push((capacity as u64, given as u64));
        g.0.rented += 1;
        Ok(Vec::with_capacity(given))
    }
    fn give_back(&self, buffer: Vec<u8>) {
        let mut g = self.0.lock().unwrap();
        let i = g.1.iter().position(|l| l.1 == buffer.capacity() as u64).unwrap();
        g.1.remove(i);
        g.0.returned += 1;
    }
    fn stats(&self) -> PoolStats {
        let g = self.0.lock().unwrap();
        let sum = |f: fn(&(u64, u64)) -> u64| g.1.iter().map(f).sum::<u64>() as f64;
        let (asked, given) = (sum(|l| l.0), sum(|l| l.1));
        let ratio = if g.1.is_empty() { 0.0 } else { 1.0 - asked / given };
        PoolStats { currently_rented: g.1.len() as u64, fragmentation_ratio: ratio, ..g.0 }
    }
}

/// Rows 129, 130, 136. Fragmentation is 1 - requested / reserved of what is lent now, 0 when nothing
/// is; at the end what was rented has been returned.
#[test]
fn b105_fragmentation_is_defined() {
    let pool = Lender::default();
    let none = PoolStats::default();
    assert!(none.fragmentation_ratio.abs() < f64::EPSILON && pool.stats() == none);
    let (a, b) = (pool.rent(48).unwrap(), pool.rent(80).unwrap());
    assert!(a.capacity() >= 48 && a.is_empty());
    let s = pool.stats();
    assert_eq!((s.currently_rented, s.rented, s.returned), (2, 2, 0));
    assert!((s.fragmentation_ratio - (1.0 - 128.0 / 192.0)).abs() < 1e-12);
    pool.give_back(b);
    assert!((pool.stats().fragmentation_ratio - 0.25).abs() < 1e-12);
    pool.give_back(a);
    let s = pool.stats();
    assert!(s.fragmentation_ratio.abs() < f64::EPSILON);
    assert_eq!((s.rented, s.returned), (2, 2));
}

/// Row 150. A spill error names the operation, the partition and the place.
#[test]
fn spill_errors_name_their_place() {
    let e = |offset| SpillError {
        operation: "verify",
        partition: 3,
        offset,
        source: std::io::Error::other("bad sum"),
    };
    assert_eq!(e(Some(64)).to_string(), "spill verify of partition 3 failed at byte 64");
    assert_eq!(e(None).to_string(), "spill verify of partition 3 failed");
}

/// Row 77. A budget is bytes, and never zero.
#[test]
fn budgets_are_bytes() {
    assert_eq!(Budget::bytes(5_000_000_000).0.get(), 5_000_000_000);
    assert_eq!(Budget::bytes(0).0.get(), 1);
}
