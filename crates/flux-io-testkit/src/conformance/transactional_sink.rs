//! Laws of a [`TransactionalSink`]: each row becomes visible exactly once, whatever crashes.

use super::drive;
use crate::doubles::ManualHost;
use flux_io_core::{Batch, Epoch, TransactionalSink};
use std::fmt::Debug;
use std::sync::Arc;

/// Checks the laws of a transactional sink. `world` makes the place it writes to, anew; `make` a
/// sink on it, as a new process would; `visible` reads what anybody can see there; `rows(n)` gives
/// the rows of the n-th write, different for different `n`.
pub fn laws<W, S: TransactionalSink, V: PartialEq + Debug>(
    world: impl Fn() -> W,
    make: impl Fn(&W) -> S,
    visible: impl Fn(&W) -> Vec<V>,
    rows: impl Fn(u64) -> S::Col,
) {
    let bench = Bench { world, make, visible, rows };
    bench.rows_are_visible_with_their_commit();
    bench.commit_may_be_repeated();
    bench.close_makes_all_visible();
    bench.abort_forgets_what_was_not_prepared();
    bench.recovery_commits_up_to_the_done_epoch();
    bench.recovery_may_be_repeated();
}

struct Bench<A, B, C, D> {
    world: A,
    make: B,
    visible: C,
    rows: D,
}

struct Hand<S> {
    sink: S,
    host: Arc<ManualHost>,
}

impl<S: TransactionalSink> Hand<S> {
    fn write(&mut self, rows: S::Col) {
        let io = self.host.io(1_024);
        let mut batch = Batch::of(rows);
        drive(&self.host, self.sink.write(&mut batch, &io));
        assert!(batch.is_empty(), "`write` takes all rows");
    }
    fn prepare(&mut self, epoch: u64) {
        let io = self.host.io(1_024);
        drive(&self.host, self.sink.prepare(Epoch(epoch), &io));
    }
    fn commit(&mut self, epoch: u64) {
        let io = self.host.io(1_024);
        drive(&self.host, self.sink.commit(Epoch(epoch), &io));
    }
    fn close(&mut self) {
        let io = self.host.io(1_024);
        drive(&self.host, self.sink.close(&io));
    }
    fn recover(&mut self, done: Option<u64>) {
        let io = self.host.io(1_024);
        drive(&self.host, self.sink.recover(done.map(Epoch), &io));
    }
}

impl<W, S, V, A, B, C, D> Bench<A, B, C, D>
where
    S: TransactionalSink,
    V: PartialEq + Debug,
    A: Fn() -> W,
    B: Fn(&W) -> S,
    C: Fn(&W) -> Vec<V>,
    D: Fn(u64) -> S::Col,
{
    fn hand(&self, world: &W) -> Hand<S> {
        Hand { sink: (self.make)(world), host: ManualHost::new() }
    }

    /// What is visible when these writes were made and closed by a run that nothing disturbed.
    fn expected(&self, writes: &[u64]) -> Vec<V> {
        let world = (self.world)();
        let mut hand = self.hand(&world);
        hand.recover(None);
        writes.iter().for_each(|n| hand.write((self.rows)(*n)));
        hand.close();
        (self.visible)(&world)
    }

    fn sees(&self, world: &W, writes: &[u64], what: &str) {
        assert_eq!((self.visible)(world), self.expected(writes), "{what}");
    }

    /// Nothing accepted is visible before the commit of its epoch; then all of it is.
    fn rows_are_visible_with_their_commit(&self) {
        let world = (self.world)();
        let mut hand = self.hand(&world);
        hand.recover(None);
        hand.write((self.rows)(1));
        self.sees(&world, &[], "written only");
        hand.prepare(1);
        self.sees(&world, &[], "prepared only");
        hand.write((self.rows)(2));
        hand.commit(1);
        self.sees(&world, &[1], "what came behind the barrier waits for the next epoch");
        hand.prepare(2);
        hand.write((self.rows)(3));
        hand.prepare(3);
        self.sees(&world, &[1], "two epochs prepared");
        hand.commit(2);
        self.sees(&world, &[1, 2], "epochs are committed one by one");
        hand.commit(3);
        hand.close();
        self.sees(&world, &[1, 2, 3], "closed");
    }

    /// `commit` is idempotent.
    fn commit_may_be_repeated(&self) {
        let world = (self.world)();
        let mut hand = self.hand(&world);
        hand.recover(None);
        hand.write((self.rows)(1));
        hand.prepare(1);
        (0..3).for_each(|_| hand.commit(1));
        self.sees(&world, &[1], "committed three times");
        hand.prepare(2);
        hand.commit(2);
        self.sees(&world, &[1], "an empty epoch");
    }

    /// A close finishes everything, prepared or not.
    fn close_makes_all_visible(&self) {
        let world = (self.world)();
        let mut hand = self.hand(&world);
        hand.recover(None);
        hand.write((self.rows)(1));
        hand.prepare(1);
        hand.write((self.rows)(2));
        hand.close();
        self.sees(&world, &[1, 2], "closed with an epoch prepared and rows behind it");
    }

    /// What was not prepared when the run gave up never becomes visible, whatever is recovered.
    fn abort_forgets_what_was_not_prepared(&self) {
        for done in [None, Some(1), Some(2)] {
            let world = (self.world)();
            let mut hand = self.hand(&world);
            hand.recover(None);
            hand.write((self.rows)(1));
            hand.prepare(1);
            hand.write((self.rows)(2));
            hand.sink.abort();
            drop(hand);
            let mut hand = self.hand(&world);
            hand.recover(done);
            let kept: &[u64] = if done.is_some() { &[1] } else { &[] };
            self.sees(&world, kept, "prepared rows follow the epoch, others are gone");
        }
    }

    /// Behind a crash, epochs up to the newest complete one become visible, later ones and rows
    /// that were never prepared do not; writing goes on behind them.
    fn recovery_commits_up_to_the_done_epoch(&self) {
        for done in [None, Some(1), Some(2)] {
            for committed in [false, true] {
                let world = (self.world)();
                let mut hand = self.hand(&world);
                hand.recover(None);
                hand.write((self.rows)(1));
                hand.prepare(1);
                if committed && done.is_some() {
                    hand.commit(1);
                }
                hand.write((self.rows)(2));
                hand.prepare(2);
                hand.write((self.rows)(3));
                drop(hand);
                let mut hand = self.hand(&world);
                hand.recover(done);
                let kept: Vec<u64> = (1..=done.unwrap_or(0)).collect();
                self.sees(&world, &kept, "recovered");
                let next = done.unwrap_or(0) + 1;
                hand.write((self.rows)(4));
                hand.prepare(next);
                hand.commit(next);
                hand.close();
                self.sees(&world, &[kept, vec![4]].concat(), "and written on");
            }
        }
    }

    /// A crash during recovery is a crash like any other.
    fn recovery_may_be_repeated(&self) {
        let world = (self.world)();
        let mut hand = self.hand(&world);
        hand.recover(None);
        hand.write((self.rows)(1));
        hand.prepare(1);
        hand.write((self.rows)(2));
        hand.prepare(2);
        drop(hand);
        for _ in 0..3 {
            self.hand(&world).recover(Some(1));
            self.sees(&world, &[1], "recovered again");
        }
    }
}
