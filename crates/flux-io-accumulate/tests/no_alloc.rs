//! A fragment of an open key, a copy, and a copy of a departed key cost no allocation. A binary of
//! its own, because the allocator that counts is the whole program's.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use flux_io_accumulate::{After, Assembly, Keep, Require};
use flux_io_core::{AlwaysStr, Batch, ByHand, Stage, Timestamp, Uniform, Var};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Row {
    key: String,
    var: Var,
    lines: Option<u32>,
}

const KEYS: u32 = 500;

fn key(r: &Row) -> &str {
    &r.key
}

/// One row of each key, with hashes and times.
fn round(h: &ByHand<impl Stage>, var: Var, lines: Option<u32>) -> Batch<Vec<Row>> {
    let rows: Vec<Row> = (0..KEYS).map(|k| Row { key: format!("key {k}"), var, lines }).collect();
    let mut b = Batch::of(rows);
    b.meta.hash = b.col.iter().map(|r| h.hash(r.key.as_str())).collect();
    b.meta.time = Uniform::Rows(vec![Timestamp(5); b.len()]);
    b
}

/// Allocations of one call.
fn allocations<S: Stage<In = Vec<Row>>>(h: &mut ByHand<S>, b: Batch<Vec<Row>>) -> u64 {
    let before = ALLOCATIONS.load(Relaxed);
    let out = h.feed(b).unwrap();
    let after = ALLOCATIONS.load(Relaxed);
    drop(out);
    after - before
}

/// The driver's own: an output batch (a box, its rows) and what `feed` gathers them in.
fn of_the_driver<S: Stage<In = Vec<Row>>>(h: &mut ByHand<S>) -> u64 {
    allocations(h, Batch::default())
}

/// Feeds a row of each variable to every key, and then its copy.
fn check<S: Stage<In = Vec<Row>>>(mut h: ByHand<S>, vars: &[(Var, Option<u32>)]) {
    let own = of_the_driver(&mut h);
    for (i, (var, lines)) in vars.iter().enumerate() {
        let b = round(&h, *var, *lines);
        let n = allocations(&mut h, b);
        assert!(i == 0 || n <= own + 4, "{n} allocations for {KEYS} fragments ({own} without)");
        let b = round(&h, *var, *lines);
        let n = allocations(&mut h, b);
        assert!(n <= own + 4, "{n} allocations for {KEYS} copies ({own} without)");
    }
    let l = h.stage.ledger().unwrap();
    let rounds = vars.len() as u64;
    assert_eq!(l.get(flux_io_core::Class::Duplicate), u64::from(KEYS) * rounds);
    assert_eq!(l.get(flux_io_core::Class::Open), u64::from(KEYS) * rounds);
}

/// Row 116.
#[test]
fn a_fragment_of_an_open_key_costs_no_allocation() {
    let all = Require::all(["a", "b", "c", "d"]);
    let vars = [0, 1, 2].map(|g| (Var::one(g), None));
    // The lean path.
    let lean = Assembly::<Vec<Row>, String>::new()
        .require(all.clone())
        .on_complete(After::Remove)
        .var(|r| r.var)
        .merge(|n: &mut u64, _| *n += 1)
        .accumulator(AlwaysStr(key))
        .unwrap();
    check(ByHand::new(lean.make()), &vars);
    // Every feature that touches each fragment.
    let full = Assembly::<Vec<Row>, String>::new()
        .require(all)
        .expire_after(Duration::from_secs(1))
        .inactive_after(Duration::from_secs(1))
        .timeout(Duration::from_secs(1))
        .idle_timeout(Duration::from_secs(1))
        .max_keys(10_000)
        .max_items(10_000)
        .max_bytes(1 << 30)
        .max_key_items(100)
        .var(|r| r.var)
        .merge(|n: &mut u64, _| *n += 1)
        .weigh(|_| 8)
        .accumulator(AlwaysStr(key))
        .unwrap();
    check(ByHand::new(full.make()), &vars);
    // A bound that comes from the data.
    let order = Assembly::<Vec<Row>, String>::new()
        .require(Require::new().one("header").each("line", "lines"))
        .var(|r| r.var)
        .bound("lines", |r| r.lines)
        .merge(|n: &mut u64, _| *n += 1)
        .accumulator(AlwaysStr(key))
        .unwrap();
    let vars = [(Var::nth(1, 3), None), (Var::nth(1, 1), None), (Var::one(0), Some(3))];
    check(ByHand::new(order.make()), &vars);
    departed();
}

/// Copies of keys that have left are found by the borrowed key.
fn departed() {
    let plan = Assembly::<Vec<Row>, String>::new()
        .require(Require::all(["a"]))
        .on_complete(After::Tombstone(Keep::ToEnd))
        .var(|r| r.var)
        .merge(|n: &mut u64, _| *n += 1)
        .accumulator(AlwaysStr(key))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let b = round(&h, Var::one(0), None);
    allocations(&mut h, b);
    let own = of_the_driver(&mut h);
    let b = round(&h, Var::one(0), None);
    let n = allocations(&mut h, b);
    assert!(n <= own + 4, "{n} allocations for {KEYS} copies of departed keys ({own} without)");
    let l = h.stage.ledger().unwrap();
    assert_eq!(l.get(flux_io_core::Class::Duplicate), u64::from(KEYS));
}
