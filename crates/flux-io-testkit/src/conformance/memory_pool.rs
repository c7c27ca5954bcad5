//! Laws of a [`MemoryPool`].

use flux_io_core::{Draws, MemoryPool, Pressure, Reservation};
use std::sync::Arc;

/// Checks the laws of a pool. `make` makes one of so many bytes.
pub fn laws(make: impl Fn(u64) -> Arc<dyn MemoryPool>) {
    the_limit_is_never_exceeded(&make);
    a_refusal_changes_nothing(&make);
    reservations_give_back(&make);
    pressure_rises_with_what_is_held(&make);
    threads_share_one_limit(&make);
}

/// The sum granted is the sum held, and never above the limit, over any sequence of calls.
pub fn the_limit_is_never_exceeded(make: &impl Fn(u64) -> Arc<dyn MemoryPool>) {
    const LIMIT: u64 = 1_000;
    let pool = make(LIMIT);
    let who: Vec<_> = (0..3).map(|i| pool.register(&format!("consumer {i}"))).collect();
    let mut held = [0_u64; 3];
    let mut draws = Draws(7);
    for _ in 0..2_000 {
        let i = draws.below(3) as usize;
        let n = u64::from(draws.below(400));
        if draws.below(2) == 0 {
            let total: u64 = held.iter().sum();
            match pool.try_grow(who[i], n) {
                Ok(()) => held[i] += n,
                Err(e) => {
                    assert!(total + n > LIMIT, "{n} bytes fit beside {total}: {e}");
                    assert_eq!((e.requested_bytes, e.limit_bytes), (n, LIMIT));
                    assert_eq!(e.available_bytes, LIMIT - total);
                    assert_eq!(e.consumer, format!("consumer {i}"));
                }
            }
        } else {
            let n = n.min(held[i]);
            pool.shrink(who[i], n);
            held[i] -= n;
        }
        let total: u64 = held.iter().sum();
        assert_eq!(pool.reserved(), total);
        assert!(total <= LIMIT);
    }
}

/// A refused request changes nothing, and as much as is free is granted.
pub fn a_refusal_changes_nothing(make: &impl Fn(u64) -> Arc<dyn MemoryPool>) {
    let pool = make(100);
    let a = pool.register("a");
    assert!(pool.try_grow(a, 60).is_ok());
    assert!(pool.try_grow(a, 41).is_err());
    assert_eq!(pool.reserved(), 60);
    assert!(pool.try_grow(a, u64::MAX).is_err(), "no sum wraps around");
    assert!(pool.try_grow(a, 40).is_ok());
    assert!(pool.try_grow(a, 0).is_ok(), "nothing always fits");
    assert_eq!(pool.reserved(), 100);
}

/// What a reservation holds is given back when it shrinks, is split and dropped.
pub fn reservations_give_back(make: &impl Fn(u64) -> Arc<dyn MemoryPool>) {
    let pool = make(1_000);
    let mut r = Reservation::new(Arc::clone(&pool), "r");
    assert!(r.try_grow(700).is_ok());
    assert!(r.try_grow(301).is_err());
    assert_eq!((r.bytes(), pool.reserved()), (700, 700));
    let part = r.split(200);
    assert_eq!((r.bytes(), part.bytes(), pool.reserved()), (500, 200, 700));
    drop(part);
    assert_eq!(pool.reserved(), 500);
    r.shrink(10_000);
    assert_eq!((r.bytes(), pool.reserved()), (0, 0), "more than is held gives back all");
    assert!(r.try_grow(10).is_ok());
    let all = r.take();
    assert_eq!((r.bytes(), all.bytes()), (0, 10));
    drop((r, all));
    assert_eq!(pool.reserved(), 0);
}

/// Pressure never falls while more is held, and is back to normal when all is returned.
pub fn pressure_rises_with_what_is_held(make: &impl Fn(u64) -> Arc<dyn MemoryPool>) {
    let pool = make(1_000);
    let mut r = Reservation::new(Arc::clone(&pool), "r");
    let mut last = pool.pressure();
    assert_eq!(last, Pressure::Normal);
    for _ in 0..100 {
        assert!(r.try_grow(10).is_ok());
        let now = pool.pressure();
        assert!(now >= last, "{now:?} after {last:?}");
        last = now;
    }
    r.shrink(1_000);
    assert_eq!(pool.pressure(), Pressure::Normal);
}

/// Threads that grow and shrink at the same time never hold more than the limit together.
pub fn threads_share_one_limit(make: &impl Fn(u64) -> Arc<dyn MemoryPool>) {
    const LIMIT: u64 = 500;
    let pool = make(LIMIT);
    std::thread::scope(|s| {
        for t in 0..4 {
            let pool = Arc::clone(&pool);
            s.spawn(move || {
                let mut r = Reservation::new(Arc::clone(&pool), "thread");
                let mut draws = Draws(t);
                for _ in 0..2_000 {
                    let n = u64::from(draws.below(200));
                    if draws.below(2) == 0 {
                        drop(r.try_grow(n));
                    } else {
                        r.shrink(n);
                    }
                    assert!(pool.reserved() <= LIMIT);
                }
            });
        }
    });
    assert_eq!(pool.reserved(), 0, "everything came back");
}
