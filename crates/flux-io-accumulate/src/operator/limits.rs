//! Limits: whether a new key may open, and what gives way when too much is held.

use super::leave::Exit;
use super::{Accumulator, Left, none};
use crate::index::NONE;
use crate::policy::{EvictTo, OnLimit};
use flux_io_core::mutant;
use flux_io_core::{Accumulate, Column, DeadCause, KeyOf, Reason};

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Makes room for one more key, or says why there is none.
    pub(super) fn admit(&mut self, ob: &mut Vec<Left<KO, A, C>>) -> Result<(), &'static str> {
        let now = self.now;
        if self.leases.gate.as_mut().is_some_and(|g| !g.pass(now)) {
            return Err("the key is new and the gate for new keys is closed");
        }
        let room = self.clear_room(ob);
        if let (Err(_), Some(gate)) = (&room, &mut self.leases.gate) {
            gate.put_back();
        }
        room
    }

    fn clear_room(&mut self, ob: &mut Vec<Left<KO, A, C>>) -> Result<(), &'static str> {
        while !self.leases.keys.covers(self.table.len() as u64 + 1) {
            if !self.evict(NONE, ob) {
                return Err("the key is new and `max_keys` keys are open");
            }
        }
        if self.plan.policy.on_limit == OnLimit::Refuse && self.over() {
            return Err("the key is new and a limit is reached");
        }
        while !self.table.make_room(&mut self.purse) {
            if !self.evict(NONE, ob) {
                return Err("the key is new and the memory budget has no room for it");
            }
        }
        Ok(())
    }

    /// Lets the least recently used key leave, `spare` aside; `false` when the policy would rather
    /// refuse or no key is left.
    fn evict(&mut self, spare: u32, ob: &mut Vec<Left<KO, A, C>>) -> bool {
        let OnLimit::Evict(to) = self.plan.policy.on_limit else { return false };
        let victim = self.table.least_used(spare);
        if none(victim) {
            return false;
        }
        self.leave_guarded(victim, evicted(to), ob);
        if self.fault.is_some() {
            return false;
        }
        if mutant!(TimerLostOnEviction) {
            self.forget_deadlines();
        }
        true
    }

    /// Whether more is held than a limit over all keys or the budget allows, or, where new keys
    /// are refused, as much as the limit allows.
    fn over(&mut self) -> bool {
        let refuse = u64::from(self.plan.policy.on_limit == OnLimit::Refuse);
        let bytes = self.bytes_of_keys().saturating_add(refuse * self.table.slot_bytes());
        !self.leases.items.covers(self.tally.held + refuse)
            || !self.leases.bytes.covers(bytes)
            || !self.purse.covered()
    }

    /// Bytes of open keys: their slots and the heap behind them.
    pub(super) fn bytes_of_keys(&self) -> u64 {
        let slots = u128::from(self.table.len() as u64) * u128::from(self.table.slot_bytes());
        u64::try_from(slots + self.tally.heap).unwrap_or(u64::MAX)
    }

    /// After a row that left its key open: a key that reached its own limits leaves; over a limit
    /// of all keys, others make room, and the key itself last. Returns whether anything left.
    pub(super) fn enforce(&mut self, slot: u32, ob: &mut Vec<Left<KO, A, C>>) -> bool {
        let p = &self.plan.policy;
        if self.traits.key_limits {
            let tail = &self.table.tails[slot as usize];
            let bytes = tail.heap.saturating_add(size_of::<A::State>() as u64);
            if p.max_key_items.is_some_and(|max| tail.fragments >= max)
                || p.max_key_bytes.is_some_and(|max| bytes >= max)
            {
                self.leave(slot, Exit::Partial(Reason::Capacity), ob);
                return true;
            }
        }
        if !self.traits.limits {
            return false;
        }
        let mut left = false;
        while self.exceeded() {
            left = true;
            if self.evict(slot, ob) {
                continue;
            }
            let exit = match self.plan.policy.on_limit {
                OnLimit::Evict(to) => evicted(to),
                OnLimit::Refuse => Exit::Partial(Reason::Capacity),
            };
            self.leave(slot, exit, ob);
            break;
        }
        left
    }

    fn exceeded(&mut self) -> bool {
        let bytes = self.bytes_of_keys();
        !self.leases.items.covers(self.tally.held)
            || !self.leases.bytes.covers(bytes)
            || !self.purse.covered()
    }

    /// Gives back what keys that left have freed.
    #[cold]
    pub(super) fn settle_leases(&mut self) {
        self.leases.keys.settle(self.table.len() as u64);
        self.leases.items.settle(self.tally.held);
        if self.plan.policy.max_bytes.is_some() {
            self.leases.bytes.settle(self.bytes_of_keys());
        }
    }
}

const fn evicted(to: EvictTo) -> Exit {
    match to {
        EvictTo::Partial => Exit::Partial(Reason::Evicted),
        EvictTo::DeadLetter => Exit::Dead(DeadCause::Evicted, Reason::Evicted),
    }
}
