//! Slots, their order of use, and the memory of an empty table.

use super::*;

fn table(keys: u32) -> Table<u32, ()> {
    let beside = Beside { tails: true, uses: true, ..Beside::default() };
    let mut t = Table::new(beside, 5);
    let mut purse = Purse::default();
    for k in 0..keys {
        assert!(t.make_room(&mut purse));
        let tag = t.tag(u64::from(k));
        let s = t.open(tag, k, || ());
        t.touch(s);
    }
    assert_eq!(purse.used(), t.fixed_bytes() - 16, "the first cells are free");
    t
}

/// Row 116.
#[test]
fn slots_are_recycled() {
    let mut t = table(100);
    for k in 0..50 {
        let slot = t.find(t.tag(u64::from(k)), |_, x| *x == k);
        assert_eq!(t.close(slot), Some(k));
        assert!(t.take_beside(slot).is_some());
    }
    let made = t.rows.len();
    for k in 100..150 {
        let tag = t.tag(k.into());
        let slot = t.open(tag, k, || ());
        t.touch(slot);
    }
    assert_eq!((t.rows.len(), t.len(), t.slots().count()), (made, 100, 100));
    assert_eq!(t.find(t.tag(3), |_, k| *k == 3), NONE);
}

#[test]
fn an_empty_table_gives_its_memory_back() {
    let mut t = table(WORTH as u32);
    let mut purse = Purse::default();
    assert!(purse.charge(t.fixed_bytes()));
    assert!(!t.shrink(&mut purse) && !t.rest(&mut purse));
    for s in 0..WORTH as u32 {
        _ = t.close(s);
        _ = t.take_beside(s);
    }
    assert!(!t.shrink(&mut purse), "the next wave may need it");
    let rests = (0..=KEPT).position(|_| t.rest(&mut purse));
    assert_eq!((rests, purse.used(), t.len()), (Some(KEPT as usize), 0, 0));
    assert_eq!(t.rows.capacity(), 0);
}

#[test]
fn a_table_that_has_become_too_large_gives_its_memory_back_at_once() {
    let mut t = table(WORTH as u32);
    let mut purse = Purse::default();
    assert!(purse.charge(t.fixed_bytes()));
    for s in 0..WORTH as u32 {
        _ = t.close(s);
        _ = t.take_beside(s);
    }
    assert!(!t.shrink(&mut purse));
    let slot = t.open(t.tag(1), 1, || ());
    _ = t.close(slot);
    assert!(t.shrink(&mut purse));
    assert_eq!((purse.used(), t.rows.capacity()), (0, 0));
}

fn leave(t: &mut Table<u32, ()>, slot: u32) {
    assert!(t.close(slot).is_some() && t.take_beside(slot).is_some());
}

/// Row 122.
#[test]
fn order_of_use_is_exact() {
    let mut t = table(5);
    t.touch(0);
    t.touch(2);
    t.touch(2);
    assert_eq!(t.by_use().collect::<Vec<_>>(), [1, 3, 4, 0, 2]);
    assert_eq!((t.least_used(NONE), t.least_used(1)), (1, 3));
    leave(&mut t, 3);
    leave(&mut t, 1);
    leave(&mut t, 2);
    assert_eq!(t.by_use().collect::<Vec<_>>(), [4, 0]);
    leave(&mut t, 0);
    leave(&mut t, 4);
    assert_eq!((t.by_use().count(), t.least_used(NONE)), (0, NONE));
}

/// Row 122. Against a plain list, over far more uses than entries are kept.
#[test]
fn order_of_use_equals_that_of_a_list() {
    let mut draws = flux_io_core::Draws(11);
    let mut t = table(20);
    let mut list: Vec<u32> = (0..20).collect();
    for _ in 0..5_000 {
        let slot = draws.below(20);
        t.touch(slot);
        list.retain(|s| *s != slot);
        list.push(slot);
        assert_eq!(t.least_used(NONE), list[0]);
        assert_eq!(t.least_used(list[0]), list[1]);
    }
    assert_eq!(t.by_use().collect::<Vec<_>>(), list);
    assert!(t.uses.len() <= 20 * USES + FEW + 1);
}
