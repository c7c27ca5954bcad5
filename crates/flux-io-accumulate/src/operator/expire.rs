//! Deadlines: what is due at a watermark or a moment, in the order of (deadline, key bytes).
//!
//! A key has at most one stored deadline a clock, never later than its real one. What is met early,
//! because the key was touched meanwhile, is stored again; what belongs to a key that has left is
//! dropped.

use super::guard::quietly;
use super::leave::Exit;
use super::{Accumulator, Due, Left};
use crate::policy::Then;
use crate::timers::{Entry, ordered};
use flux_io_core::mutant;
use flux_io_core::{Accumulate, Column, DeadCause, Key, KeyOf, Reason, Timestamp};

/// What a look at a key's deadlines says.
enum Verdict {
    /// Not before this.
    Wait(u64),
    /// It leaves; this deadline was the last.
    Leave(u64, Exit),
}

/// Extensions by `d`, at most `times`, that take a deadline `at` past `to`; all of them where it
/// stands still.
fn steps(at: impl Into<i128>, d: impl Into<i128>, to: impl Into<i128>, times: u32) -> u32 {
    let (at, d, to) = (at.into(), d.into(), to.into());
    if d <= 0 {
        return times;
    }
    let all = (to - at) / d + 1;
    u32::try_from(all.max(1)).map_or(times, |n| n.min(times))
}

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// How a key leaves at its last deadline.
    pub(super) const fn exit_at_deadline(&self, reason: Reason) -> Exit {
        match self.traits.on_expire.1 {
            Then::Partial => Exit::Partial(reason),
            Then::DeadLetter => Exit::Dead(DeadCause::Expired, reason),
            Then::Drop => Exit::Drop(reason),
            Then::Abort => Exit::Abort(reason),
        }
    }

    /// Looks at the event-time deadlines of a key, extending them as the policy allows.
    fn look_event(&mut self, slot: u32) -> Verdict {
        let (times, t, w) = (self.traits.on_expire.0, self.traits, self.watermark.0);
        let (tail, watch) = self.table.timed(slot);
        loop {
            let at = tail.ttl_at.min(watch.idle_at);
            let late = ordered(Timestamp(at)) + u64::from(mutant!(DeadlineOffByOne));
            if at > w || (mutant!(DeadlineOffByOne) && at == w) {
                return Verdict::Wait(late);
            }
            if tail.extended >= times {
                let ttl = t.ttl.is_some() && tail.ttl_at == at;
                let reason = if ttl { Reason::Ttl } else { Reason::Latency };
                return Verdict::Leave(late, self.exit_at_deadline(reason));
            }
            let due = (tail.ttl_at == at, watch.idle_at == at);
            let other = if due.0 { watch.idle_at } else { tail.ttl_at };
            let d = if due.0 { t.ttl } else { t.idle }.unwrap_or(0);
            let left = times - tail.extended;
            let steps = if at == i64::MAX {
                left
            } else if other > w {
                steps(at, d, w, left)
            } else {
                1
            };
            tail.extended += steps;
            if let Some(d) = t.ttl.filter(|_| due.0) {
                tail.ttl_at = at.saturating_add(d.saturating_mul(i64::from(steps)));
            }
            if let Some(d) = t.idle.filter(|_| due.1) {
                watch.idle_at = at.saturating_add(d.saturating_mul(i64::from(steps)));
            }
        }
    }

    /// The same by the engine's clock; the first flush is never extended.
    fn look_clock(&mut self, slot: u32) -> Verdict {
        let (times, t, now) = (self.traits.on_expire.0, self.traits, self.now.0);
        let (tail, watch) = self.table.timed(slot);
        loop {
            let at = watch.timeout_at.min(watch.quiet_at).min(watch.flush_at);
            if at > now {
                return Verdict::Wait(at);
            }
            let expires = watch.timeout_at == at || watch.quiet_at == at;
            if !expires || (watch.flush_at == at && tail.extended < times) {
                return Verdict::Leave(at, Exit::Partial(Reason::Latency));
            }
            if tail.extended >= times {
                let ttl = t.timeout.is_some() && watch.timeout_at == at;
                let reason = if ttl { Reason::Ttl } else { Reason::Latency };
                return Verdict::Leave(at, self.exit_at_deadline(reason));
            }
            let due = (watch.timeout_at == at, watch.quiet_at == at);
            let other = if due.0 { watch.quiet_at } else { watch.timeout_at };
            let d = if due.0 { t.timeout } else { t.quiet }.unwrap_or(0);
            // The first flush is not passed over.
            let to = now.min(watch.flush_at);
            let left = times - tail.extended;
            let steps = if at == u64::MAX {
                left
            } else if other > now {
                steps(at, d, to, left)
            } else {
                1
            };
            tail.extended += steps;
            if let Some(d) = t.timeout.filter(|_| due.0) {
                watch.timeout_at = at.saturating_add(d.saturating_mul(u64::from(steps)));
            }
            if let Some(d) = t.quiet.filter(|_| due.1) {
                watch.quiet_at = at.saturating_add(d.saturating_mul(u64::from(steps)));
            }
        }
    }

    /// Stores the deadlines of a key that was opened by the row just applied. One that is over
    /// already lets the key leave at once; returns whether it did.
    pub(super) fn arm(&mut self, slot: u32, ob: &mut Vec<Left<KO, A, C>>) -> bool {
        let life = self.table.rows[slot as usize].life;
        if self.traits.events() {
            match self.look_event(slot) {
                Verdict::Wait(at) => self.events.push(Entry { at, slot, life }),
                Verdict::Leave(_, exit) => {
                    self.leave(slot, exit, ob);
                    return true;
                }
            }
        }
        if self.traits.clocks() {
            match self.look_clock(slot) {
                Verdict::Wait(at) => self.clocks.push(Entry { at, slot, life }),
                Verdict::Leave(_, exit) => {
                    self.leave(slot, exit, ob);
                    return true;
                }
            }
        }
        false
    }

    /// Queues what the watermark made due.
    #[inline]
    pub(super) fn collect_event(&mut self) {
        self.scratch.clear();
        self.events.advance(ordered(self.watermark), &mut self.scratch);
        if !self.scratch.is_empty() {
            self.collect(true);
        }
    }

    /// Queues what the engine's clock made due.
    #[inline]
    pub(super) fn collect_clock(&mut self) {
        self.scratch.clear();
        self.clocks.advance(self.now.0, &mut self.scratch);
        if !self.scratch.is_empty() {
            self.collect(false);
        }
    }

    fn collect(&mut self, event: bool) {
        let first = self.due.len();
        let mut met = std::mem::take(&mut self.scratch);
        for e in met.drain(..) {
            if !self.alive(e.slot, e.life) {
                continue;
            }
            let verdict = if event { self.look_event(e.slot) } else { self.look_clock(e.slot) };
            match verdict {
                Verdict::Wait(at) if event => self.events.push(Entry { at, ..e }),
                Verdict::Wait(at) => self.clocks.push(Entry { at, ..e }),
                Verdict::Leave(at, exit) => {
                    self.due.push(Due { at, event, slot: e.slot, life: e.life, exit });
                }
            }
        }
        self.scratch = met;
        self.sort_due(first);
    }

    /// Sorts the queue from `first` on by (deadline, key bytes).
    pub(super) fn sort_due(&mut self, first: usize) {
        if mutant!(TiesUnordered) {
            return;
        }
        let rows = &self.table.rows;
        let key = |d: &Due| rows.get(d.slot as usize).and_then(|h| h.key.as_ref());
        let due = &mut self.due[first..];
        let sorted = quietly(|| {
            due.sort_unstable_by(|a, b| {
                let keys = || match (key(a), key(b)) {
                    (Some(a), Some(b)) => a.cmp_bytes(b),
                    _ => std::cmp::Ordering::Equal,
                };
                a.at.cmp(&b.at).then_with(keys)
            });
        });
        if sorted.is_none() {
            // Keys that cannot be compared leave in the order of their slots.
            due.sort_unstable_by_key(|d| (d.at, d.slot));
        }
    }
}
