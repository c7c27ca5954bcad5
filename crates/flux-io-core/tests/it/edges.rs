//! Edges: order, bounds and sums against a plain model, drops, credits.

use crate::kit::check;
use flux_io_core::{
    Admission, AnyBatch, Batch, Control, Controls, Cost, EdgeQueue, EdgeStats, Epoch, FlowControl,
    Mark, Moment, Pushed, Slot, Timestamp, WhenFull,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

/// Credits by rows; a batch that costs more than the limit costs the limit (B40).
struct Credits {
    limit: i64,
    balance: i64,
    shed: bool,
}

impl Credits {
    const fn new(limit: i64, shed: bool) -> Self {
        Self { limit, balance: limit, shed }
    }
    fn cost(&self, c: Cost) -> i64 {
        i64::from(c.cpu_hint).min(self.limit)
    }
}

impl FlowControl for Credits {
    fn admit(&mut self, cost: Cost, _now: Moment) -> Admission {
        let c = self.cost(cost);
        if c > self.balance {
            return if self.shed { Admission::Shed } else { Admission::Wait };
        }
        self.balance -= c;
        Admission::Admit
    }
    fn release(&mut self, cost: Cost, _now: Moment) {
        self.balance += self.cost(cost);
    }
    fn balance(&self) -> Option<i64> {
        Some(self.balance)
    }
}

/// What stands in the order of an edge.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Batch(Vec<u64>, Option<i64>),
    Control(Control),
    /// Soft controls between two of the others, joined.
    Soft(Controls),
}

/// Joins what may be joined between two batches, turns, barriers or ends.
fn normal(items: impl IntoIterator<Item = Item>) -> Vec<Item> {
    let (mut all, mut soft) = (Vec::new(), Controls::default());
    for i in items {
        match i {
            Item::Control(Control::Watermark(w)) => soft.watermark = soft.watermark.max(Some(w)),
            Item::Control(Control::Passed(n)) => soft.passed = soft.passed.max(Some(n)),
            Item::Control(Control::Idle) => soft.idle = true,
            Item::Control(Control::Policy(e)) => soft.policy = Some(e),
            Item::Control(Control::Quarantined) => soft.quarantined = Some(true),
            Item::Control(Control::Resumed) => soft.quarantined = Some(false),
            hard => {
                if soft != Controls::default() {
                    all.push(Item::Soft(std::mem::take(&mut soft)));
                }
                all.push(hard);
            }
        }
    }
    if soft != Controls::default() {
        all.push(Item::Soft(soft));
    }
    all
}

/// A slot's content, in the order that the module promises.
fn flat(s: Slot, to: &mut Vec<Item>) -> Option<AnyBatch> {
    if let Some(b) = &s.batch {
        let mark = b.meta().marks.last().map(|m| m.watermark.0);
        to.push(Item::Batch(b.get::<Vec<u64>>().unwrap().col.clone(), mark));
    }
    let c = s.controls;
    let quarantined =
        c.quarantined.map(|q| if q { Control::Quarantined } else { Control::Resumed });
    let controls = [
        c.idle.then_some(Control::Idle),
        quarantined,
        c.watermark.map(Control::Watermark),
        c.passed.map(Control::Passed),
        c.policy.map(Control::Policy),
        c.turn.then_some(Control::Turn),
        c.barrier.map(Control::Barrier),
        c.end.then_some(Control::End),
    ];
    to.extend(controls.into_iter().flatten().map(Item::Control));
    s.batch
}

/// An edge as one list: what the queue must equal.
struct Model {
    waiting: Vec<Item>,
    capacity: usize,
    when_full: WhenFull,
    limit: Option<(i64, bool)>,
    closed: bool,
    stats: EdgeStats,
}

impl Model {
    fn depth(&self) -> usize {
        self.waiting.iter().filter(|i| matches!(i, Item::Batch(..))).count()
    }
    fn rows(&self) -> impl Iterator<Item = i64> {
        let rows = |i: &Item| if let Item::Batch(r, _) = i { Some(r.len() as i64) } else { None };
        self.waiting.iter().filter_map(rows)
    }
    fn balance(&self) -> Option<i64> {
        self.limit.map(|(limit, _)| limit - self.rows().map(|r| r.min(limit)).sum::<i64>())
    }
    fn promise(&mut self, mark: Option<i64>) {
        self.waiting.extend(mark.map(|w| Item::Control(Control::Watermark(Timestamp(w)))));
    }
    /// Whether the batch is gone from the sender's hands.
    fn push(&mut self, rows: Vec<u64>, mark: Option<i64>) -> bool {
        let n = rows.len() as u64;
        if self.closed {
            self.stats.undeliverable += n;
            self.stats.sent += n;
            return true;
        }
        if self.depth() >= self.capacity {
            match self.when_full {
                WhenFull::Block => return false,
                WhenFull::DropNewest => {
                    self.promise(mark);
                    self.stats.sent += n;
                    self.stats.dropped += n;
                    return true;
                }
                WhenFull::DropOldest => self.drop_oldest(),
            }
        }
        if let (Some((limit, shed)), Some(balance)) = (self.limit, self.balance())
            && (n as i64).min(limit) > balance
        {
            if shed {
                self.promise(mark);
                self.stats.sent += n;
                self.stats.shed += n;
            }
            return shed;
        }
        self.stats.sent += n;
        self.waiting.push(Item::Batch(rows, mark));
        self.stats.high = self.stats.high.max(self.depth());
        true
    }
    fn drop_oldest(&mut self) {
        let i = self.waiting.iter().position(|i| matches!(i, Item::Batch(..))).unwrap();
        // Rows that are gone ended an idleness before them all the same.
        let before = self.waiting[..i].iter().rposition(|i| matches!(i, Item::Batch(..)));
        let first = before.map_or(0, |b| b + 1);
        let kept = |i: &Item| !matches!(i, Item::Control(Control::Idle));
        let controls: Vec<Item> = self.waiting.drain(first..i).filter(kept).collect();
        let i = first + controls.len();
        self.waiting.splice(first..first, controls);
        let Item::Batch(rows, mark) = self.waiting.remove(i) else { return };
        self.stats.dropped += rows.len() as u64;
        if let Some(w) = mark {
            self.waiting.insert(i, Item::Control(Control::Watermark(Timestamp(w))));
        }
    }
    fn close(&mut self) {
        self.closed = true;
        self.stats.undeliverable += self.rows().sum::<i64>() as u64;
        self.waiting.clear();
    }
    fn stats(&self) -> EdgeStats {
        let waiting = self.rows().sum::<i64>() as u64;
        EdgeStats { waiting, balance: self.balance(), ..self.stats }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Push(u8, Option<i64>),
    Control(Control),
    Pop(bool),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let control = prop_oneof![
        (1..40i64).prop_map(|w| Control::Watermark(Timestamp(w))),
        Just(Control::Idle),
        (1..90u64).prop_map(Control::Passed),
        (1..9u64).prop_map(|e| Control::Barrier(Epoch(e))),
        (1..9u64).prop_map(|e| Control::Policy(Epoch(e))),
        Just(Control::Quarantined),
        Just(Control::Resumed),
        Just(Control::Turn),
    ];
    let op = prop_oneof![
        40 => (0..5u8, option::of(1..40i64)).prop_map(|(n, w)| Op::Push(n, w)),
        25 => control.prop_map(Op::Control),
        30 => any::<bool>().prop_map(Op::Pop),
        1 => Just(Op::Close),
    ];
    vec(op, 0..60)
}

fn setting() -> impl Strategy<Value = (usize, WhenFull, Option<(i64, bool)>)> {
    let when =
        prop_oneof![Just(WhenFull::Block), Just(WhenFull::DropOldest), Just(WhenFull::DropNewest)];
    (1..4usize, when, option::of((1..8i64, any::<bool>())))
}

fn batch(next: &mut u64, rows: u8, mark: Option<i64>) -> AnyBatch {
    let col: Vec<u64> = (*next..*next + u64::from(rows)).collect();
    *next += u64::from(rows);
    let mut b = Batch::of(col);
    if let Some(w) = mark {
        b.meta.marks.push(Mark { at: u32::from(rows), watermark: Timestamp(w) });
    }
    AnyBatch::new(b)
}

/// Drives queue and model side by side.
fn drive(q: &mut EdgeQueue, m: &mut Model, ops: Vec<Op>) {
    let mut next = 0;
    for op in ops {
        match op {
            Op::Push(rows, mark) => {
                let b = batch(&mut next, rows, mark);
                let col = b.get::<Vec<u64>>().unwrap().col.clone();
                let taken = m.push(col.clone(), mark);
                match q.push(b, Moment::START) {
                    Pushed::Done => assert!(taken),
                    Pushed::Full(back, at) => {
                        assert!(!taken && at.is_none());
                        assert_eq!(back.get::<Vec<u64>>().unwrap().col, col, "given back whole");
                    }
                }
            }
            // Whether dropped rows end an idleness before them is the queue's own affair.
            Op::Control(Control::Idle) if m.when_full == WhenFull::DropOldest => {}
            Op::Control(c) => {
                q.control(c);
                if !m.closed {
                    m.waiting.push(Item::Control(c));
                }
            }
            Op::Pop(give) => {
                let mut slot = Vec::new();
                let used = q.pop(Moment::START).and_then(|s| flat(s, &mut slot));
                assert!(slot.iter().filter(|i| matches!(i, Item::Batch(..))).count() <= 1);
                pop_model(m, &slot);
                if let Some(b) = used.filter(|_| give) {
                    q.give_back(b);
                    assert!(q.spare().is_some_and(|b| b.is_empty() && b.meta().marks.is_empty()));
                }
            }
            Op::Close => {
                q.close(Moment::START);
                m.close();
            }
        }
        let s = q.stats();
        assert_eq!(s, m.stats());
        assert_eq!(s.sent, s.taken + s.dropped + s.shed + s.undeliverable + s.waiting);
        assert_eq!(q.depth(), m.depth());
        assert!(q.depth() <= q.capacity(), "never more than the slots");
    }
    let left_in_model = std::mem::take(&mut m.waiting);
    let mut left = Vec::new();
    while let Some(s) = q.pop(Moment::START) {
        flat(s, &mut left);
    }
    assert_eq!(normal(left), normal(left_in_model));
}

/// Takes from the model's list what a slot gave: its batch, which must be the oldest, and the
/// controls up to the next batch, turn or barrier, which must be those of the slot.
fn pop_model(m: &mut Model, slot: &[Item]) {
    let mut want = slot.to_vec();
    if let Some(Item::Batch(rows, _)) = want.first() {
        m.stats.taken += rows.len() as u64;
        assert_eq!(m.waiting.first(), want.first(), "the oldest first, nothing before it is left");
        m.waiting.remove(0);
        want.remove(0);
    }
    let mut had = Vec::new();
    let closing = |i: &Item| matches!(i, Item::Control(Control::Turn | Control::Barrier(_)));
    while let Some(Item::Control(c)) = m.waiting.first().cloned() {
        had.push(Item::Control(c));
        m.waiting.remove(0);
        if closing(&Item::Control(c)) {
            break;
        }
    }
    assert_eq!(normal(want), normal(had));
}

/// Rows 9, 155, 156, 167, 168. Under any pushes, controls, takes and a close, with any policy, the
/// queue equals one plain list: order kept, nothing lost, every row in exactly one of the sums,
/// controls at their place and never refused, never more batches than slots.
#[test]
fn the_queue_equals_a_plain_list() {
    check(155, &(setting(), ops()), |((capacity, when_full, limit), ops)| {
        let policy = limit.map(|(l, s)| Box::new(Credits::new(l, s)) as Box<dyn FlowControl>);
        let mut q = EdgeQueue::new(capacity, when_full, policy);
        let mut m = Model {
            waiting: Vec::new(),
            capacity,
            when_full,
            limit,
            closed: false,
            stats: EdgeStats::default(),
        };
        drive(&mut q, &mut m, ops);
    });
}

fn filled(when_full: WhenFull) -> (EdgeQueue, Vec<Vec<u64>>) {
    let mut q = EdgeQueue::new(2, when_full, None);
    let mut next = 0;
    for _ in 0..5 {
        let _ = q.push(batch(&mut next, 1, None), Moment::START);
    }
    let mut got = Vec::new();
    let mut copy = Vec::new();
    while let Some(b) = q.pop(Moment::START).and_then(|s| flat(s, &mut got)) {
        copy.push(b.get::<Vec<u64>>().unwrap().col.clone());
    }
    (q, copy)
}

/// Row 156. Dropping the oldest keeps the newest, dropping the newest keeps the oldest, blocking
/// drops none; drops are counted.
#[test]
fn b035_oldest_and_newest_are_opposite_ends() {
    let (q, rows) = filled(WhenFull::DropOldest);
    assert_eq!((rows, q.stats().dropped), (vec![vec![3], vec![4]], 3));
    let (q, rows) = filled(WhenFull::DropNewest);
    assert_eq!((rows, q.stats().dropped), (vec![vec![0], vec![1]], 3));
    let (q, rows) = filled(WhenFull::Block);
    assert_eq!((rows, q.stats().dropped), (vec![vec![0], vec![1]], 0));
    let words = [WhenFull::Block, WhenFull::DropOldest, WhenFull::DropNewest].map(WhenFull::as_str);
    assert_eq!(words, ["block", "drop_oldest", "drop_newest"]);
    assert_eq!(WhenFull::default(), WhenFull::Block, "the safe default loses nothing");
}

/// Row 157. One batch that costs more than all credits passes when nothing is outstanding.
#[test]
fn b040_a_batch_larger_than_the_limit_passes() {
    let mut q = EdgeQueue::new(4, WhenFull::Block, Some(Box::new(Credits::new(3, false))));
    let mut next = 0;
    assert!(matches!(q.push(batch(&mut next, 50, None), Moment::START), Pushed::Done));
    assert_eq!(q.stats().balance, Some(0));
    assert!(matches!(q.push(batch(&mut next, 1, None), Moment::START), Pushed::Full(_, None)));
    assert!(q.pop(Moment::START).is_some());
    assert!(matches!(q.push(batch(&mut next, 1, None), Moment::START), Pushed::Done));
}

/// Row 157. Credits come back with every batch taken, the last ones too: an empty edge has them all.
#[test]
fn b041_the_last_credits_come_back() {
    let mut q = EdgeQueue::new(8, WhenFull::Block, Some(Box::new(Credits::new(10, false))));
    let mut next = 0;
    for rows in [3, 1, 6] {
        assert!(matches!(q.push(batch(&mut next, rows, None), Moment::START), Pushed::Done));
    }
    assert_eq!(q.stats().balance, Some(0));
    while q.pop(Moment::START).is_some() {}
    assert_eq!(q.stats().balance, Some(10));
}

/// Rows 157, 172. Available credits and credits of waiting batches always add up to the limit,
/// through drops, sheds and a close; with enough credits the head is sent.
#[test]
fn b042_credits_are_conserved() {
    for (when_full, shed) in
        [(WhenFull::DropOldest, false), (WhenFull::DropNewest, true), (WhenFull::Block, false)]
    {
        let mut q = EdgeQueue::new(2, when_full, Some(Box::new(Credits::new(5, shed))));
        let mut next = 0;
        for rows in [2u8, 2, 2, 4, 9, 1] {
            let had = q.stats().balance.unwrap();
            let room = q.depth() < 2;
            let pushed = q.push(batch(&mut next, rows, None), Moment::START);
            if room && had >= i64::from(rows).min(5) {
                assert!(matches!(pushed, Pushed::Done), "liveness");
            }
            let s = q.stats();
            assert!(s.balance.unwrap() >= 0);
            assert!(s.balance.unwrap() + s.waiting as i64 >= 5, "{s:?}");
        }
        q.close(Moment::START);
        assert_eq!(q.stats().balance, Some(5));
        assert_eq!(q.stats().waiting, 0);
    }
}

/// A policy that names the moment of the next try.
struct Later;

impl FlowControl for Later {
    fn admit(&mut self, _cost: Cost, now: Moment) -> Admission {
        if now < Moment(7) { Admission::WaitUntil(Moment(7)) } else { Admission::Admit }
    }
    fn release(&mut self, _cost: Cost, _now: Moment) {}
}

/// Row 158. A policy's "not before" is handed to the sender with the batch; without a balance none
/// is reported.
#[test]
fn a_policy_may_name_the_moment() {
    let mut q = EdgeQueue::new(1, WhenFull::Block, Some(Box::new(Later)));
    let Pushed::Full(b, at) = q.push(batch(&mut 0, 2, None), Moment::START) else {
        panic!("admitted too early")
    };
    assert_eq!((b.len(), at, q.stats().balance), (2, Some(Moment(7)), None));
    assert!(matches!(q.push(b, Moment(7)), Pushed::Done));
}

/// Row 9. Quarantine, return and end stand apart from data: they are never rows, need no slot and
/// no credit, and are taken when no row is there.
#[test]
fn controls_are_never_rows() {
    let mut q = EdgeQueue::new(1, WhenFull::Block, Some(Box::new(Credits::new(1, false))));
    assert!(matches!(q.push(batch(&mut 0, 1, None), Moment::START), Pushed::Done));
    for c in [Control::Quarantined, Control::Barrier(Epoch(1)), Control::Resumed, Control::End] {
        q.control(c);
    }
    assert_eq!((q.depth(), q.stats().sent), (1, 1));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    assert_eq!(flat(q.pop(Moment::START).unwrap(), &mut first).map(|b| b.len()), Some(1));
    assert!(flat(q.pop(Moment::START).unwrap(), &mut second).is_none());
    let said = [Item::Control(Control::Quarantined), Item::Control(Control::Barrier(Epoch(1)))];
    assert_eq!(first[1..], said);
    assert_eq!(second, [Item::Control(Control::Resumed), Item::Control(Control::End)]);
    assert_eq!(q.stats().taken, 1);
}

/// Row 9. The end stands behind a barrier on its own, so that an input that waits there for the others
/// is not taken for one that has ended; behind a turn it needs no slot.
#[test]
fn the_end_waits_behind_a_barrier() {
    let mut q = EdgeQueue::new(1, WhenFull::Block, None);
    for c in [Control::Turn, Control::Barrier(Epoch(1)), Control::End] {
        q.control(c);
    }
    let slots: Vec<_> = std::iter::from_fn(|| q.pop(Moment::START)).map(|s| s.controls).collect();
    let said = |turn, barrier, end| Controls { turn, barrier, end, ..Controls::default() };
    let barrier = said(false, Some(Epoch(1)), false);
    assert_eq!(slots, [said(true, None, false), barrier, said(false, None, true)]);

    q.control(Control::Turn);
    q.control(Control::End);
    assert_eq!(q.pop(Moment::START).map(|s| s.controls), Some(said(true, None, true)));
}

/// Row 171. A receiver that takes nothing lets no edge grow: drops leave at most one slot of
/// controls between two barriers.
#[test]
fn a_dropping_edge_does_not_grow() {
    let mut q = EdgeQueue::new(2, WhenFull::DropOldest, None);
    for w in 0..1_000 {
        assert!(matches!(q.push(batch(&mut 0, 1, Some(w)), Moment::START), Pushed::Done));
        q.control(Control::Watermark(Timestamp(w)));
    }
    let mut slots = 0;
    while q.pop(Moment::START).is_some() {
        slots += 1;
    }
    assert!(slots <= 3, "{slots} slots wait on an edge of 2");
}

/// Row 171. An edge whose receiver is gone holds nothing and grows no more; what is sent there
/// counts as undeliverable.
#[test]
fn a_closed_edge_holds_nothing() {
    let mut q = EdgeQueue::new(2, WhenFull::Block, None);
    assert!(matches!(q.push(batch(&mut 0, 3, None), Moment::START), Pushed::Done));
    q.close(Moment::START);
    q.control(Control::Barrier(Epoch(1)));
    assert!(matches!(q.push(batch(&mut 0, 4, None), Moment::START), Pushed::Done));
    let s = q.stats();
    assert_eq!((s.sent, s.undeliverable, s.waiting, q.depth()), (7, 7, 0, 0));
    assert!(q.pop(Moment::START).is_none());
}

/// Rows 167, 269. Every edge is bounded, one asked for without room too, and used batches go back
/// cleared, no more of them than can be of use.
#[test]
fn edges_are_bounded() {
    let mut q = EdgeQueue::new(0, WhenFull::Block, None);
    assert_eq!(q.capacity(), 1);
    for _ in 0..10 {
        q.give_back(batch(&mut 0, 4, Some(1)));
    }
    let mut spares = 0;
    while let Some(b) = q.spare() {
        assert!(b.is_empty() && b.meta().marks.is_empty());
        spares += 1;
    }
    assert!((1..=2).contains(&spares));
}
