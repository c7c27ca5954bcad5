//! The state as versioned bytes, little-endian: whoever restores them goes on as if it had never
//! stopped.
//!
//! Deadlines by the engine's clock are written as what is left of them, since the clock of the next
//! run starts anew. The requirement is written as text: a state of another requirement has other
//! bits and is refused.

use super::traits::{ALL, COUNT};
use super::{Accumulator, Tally};
use crate::need::UNKNOWN;
use crate::set::Words;
use crate::table::{More, Tail, Watch};
use crate::timers::{Entry, ordered};
use crate::tombs::{Rest, Tomb};
use flux_io_core::mutant;
use flux_io_core::{
    Accumulate, Class, Column, DeadCause, DropCause, ErrorClass, ErrorKind, Key, KeyOf, Reason,
    StageError, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// First bytes of a snapshot.
const MAGIC: &[u8; 4] = b"FXAC";
/// Version of the bytes behind them.
const VERSION: u16 = 2;

const REASONS: [Reason; 10] = [
    Reason::Complete,
    Reason::Ttl,
    Reason::Latency,
    Reason::Capacity,
    Reason::Evicted,
    Reason::SpillFailure,
    Reason::Shutdown,
    Reason::End,
    Reason::Late,
    Reason::Poison,
];
const DEAD: [DeadCause; 13] = [
    DeadCause::Poison,
    DeadCause::Type,
    DeadCause::Oversize,
    DeadCause::NoKey,
    DeadCause::Conflict,
    DeadCause::RefusedKey,
    DeadCause::Expired,
    DeadCause::Evicted,
    DeadCause::SpillFailure,
    DeadCause::Abort,
    DeadCause::Invalid,
    DeadCause::Failed,
    DeadCause::Panicked,
];

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    pub(super) fn write_snapshot(&self, to: &mut Vec<u8>) -> Result<(), StageError> {
        if self.due_at < self.due.len() {
            return Err(StageError::transient("a flush is under way; take the snapshot after it"));
        }
        to.extend_from_slice(MAGIC);
        to.extend_from_slice(&VERSION.to_le_bytes());
        put_bytes(to, self.plan.policy.require.to_string().as_bytes());
        put_bytes(to, format!("{:?}", self.traits.identity).as_bytes());
        put(to, self.watermark.0 as u64);
        self.write_counts(to);
        put(to, self.table.len() as u64);
        if self.traits.lru {
            self.table.by_use().try_for_each(|slot| self.write_key(slot, to))?;
        } else {
            self.table.slots().try_for_each(|slot| self.write_key(slot, to))?;
        }
        if mutant!(TombsNotSaved) {
            put(to, 0);
            return Ok(());
        }
        put(to, self.tombs.len() as u64);
        self.tombs.by_age().for_each(|t| write_tomb(t, to));
        Ok(())
    }

    fn write_counts(&self, to: &mut Vec<u8>) {
        let t = &self.tally;
        let plain = [t.fragments, t.complete, t.duplicate, t.late, t.opened, self.tombs.evicted];
        plain.iter().chain(&t.emitted).for_each(|n| put(to, *n));
        let level = self.leases.gate.as_ref().map_or(0, |g| g.level(self.now));
        to.extend_from_slice(&level.to_le_bytes());
        put(to, self.ledger.classes().count() as u64);
        for (class, n) in self.ledger.classes() {
            put_bytes(to, class.to_string().as_bytes());
            put(to, n);
        }
    }

    fn write_key(&self, slot: u32, to: &mut Vec<u8>) -> Result<(), StageError> {
        let row = &self.table.rows[slot as usize];
        put_bytes(to, &row.key.as_ref().map(Key::to_key_bytes).unwrap_or_default());
        put(to, self.mask(slot));
        let none = Tail::default();
        let tail = self.table.tails.get(slot as usize).unwrap_or(&none);
        let (fragments, vars) = (self.fragments(slot), self.seen(slot).vars);
        put(to, fragments);
        for n in [vars, tail.generation, tail.extended] {
            put(to, u64::from(n));
        }
        let watch = self.table.watch(slot);
        for n in [watch.newest, tail.ttl_at, watch.idle_at] {
            put(to, n as u64);
        }
        for at in [watch.timeout_at, watch.quiet_at, watch.flush_at] {
            put(to, if at == u64::MAX { at } else { at.saturating_sub(self.now.0) });
        }
        write_sets(tail.bounds, tail.more.as_deref(), to);
        let mut state = Vec::new();
        self.plan.acc.save(&self.table.rows[slot as usize].state, &mut state)?;
        put_bytes(to, &state);
        Ok(())
    }

    pub(super) fn read_snapshot(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader(from);
        if r.take(4)? != MAGIC || r.take(2)? != VERSION.to_le_bytes() {
            return Err(bad("these bytes are no accumulator state of version 2"));
        }
        let (require, identity) = (r.text()?, r.text()?);
        let own = self.plan.policy.require.to_string();
        if require != own || identity != format!("{:?}", self.traits.identity) {
            return Err(bad(format!(
                "the state is of `{require}` by {identity}, the accumulator of `{own}` by {:?}",
                self.traits.identity
            )));
        }
        self.watermark = Timestamp(r.number()? as i64);
        self.read_counts(&mut r)?;
        for _ in 0..r.number()? {
            self.read_key(&mut r)?;
        }
        for _ in 0..r.number()? {
            let tomb = read_tomb::<KO::Key>(&mut r)?;
            let tag = tomb.key.as_ref().map_or(0, |k| self.tag_of(k));
            self.tombs.lease.restore(self.tombs.len() as u64 + 1);
            self.tombs.insert(Tomb { tag, ..tomb }, &mut self.purse);
        }
        self.leases.keys.restore(self.table.len() as u64);
        self.leases.items.restore(self.tally.held);
        if self.plan.policy.max_bytes.is_some() {
            self.leases.bytes.restore(self.bytes_of_keys());
        }
        if r.0.is_empty() { Ok(()) } else { Err(bad("bytes follow the accumulator's state")) }
    }

    fn read_counts(&mut self, r: &mut Reader<'_>) -> Result<(), StageError> {
        let mut t = Tally::default();
        for n in [
            &mut t.fragments,
            &mut t.complete,
            &mut t.duplicate,
            &mut t.late,
            &mut t.opened,
            &mut self.tombs.evicted,
        ] {
            *n = r.number()?;
        }
        for n in &mut t.emitted {
            *n = r.number()?;
        }
        self.tally = t;
        let level = u128::from(r.number()?) | u128::from(r.number()?) << 64;
        if let Some(gate) = &mut self.leases.gate {
            gate.resume(level, self.now);
        }
        for _ in 0..r.number()? {
            let class = r.text()?;
            let class = read_class(class).ok_or_else(|| bad(format!("unknown class `{class}`")))?;
            self.ledger.add(class, r.number()?);
        }
        Ok(())
    }

    fn read_key(&mut self, r: &mut Reader<'_>) -> Result<(), StageError> {
        let key = r.bytes()?;
        let key = KO::Key::read_bytes(key).ok_or_else(|| bad("a key cannot be read"))?;
        let mask = r.number()?;
        let (mut tail, mut watch) = (Tail::default(), Watch::default());
        tail.fragments = r.number()?;
        for n in [&mut tail.vars, &mut tail.generation, &mut tail.extended] {
            *n = r.small()?;
        }
        for n in [&mut watch.newest, &mut tail.ttl_at, &mut watch.idle_at] {
            *n = r.number()? as i64;
        }
        for at in [&mut watch.timeout_at, &mut watch.quiet_at, &mut watch.flush_at] {
            *at = match r.number()? {
                u64::MAX => u64::MAX,
                left => self.now.0.saturating_add(left),
            };
        }
        (tail.bounds, tail.more) = read_sets(r)?;
        let state = self.plan.acc.load(r.bytes()?)?;
        if !self.table.make_room(&mut self.purse) {
            let what = "the memory budget does not hold the state that is restored";
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what));
        }
        let tag = self.tag_of(&key);
        let acc = &self.plan.acc;
        let slot = self.table.open(tag, key, || acc.init());
        self.table.rows[slot as usize].state = state;
        let count = self.traits.kept == COUNT;
        self.table.rows[slot as usize].mask = if count { tail.fragments } else { mask };
        self.tally.held += tail.fragments;
        if self.traits.tails {
            let (t, w) = self.table.timed(slot);
            (*t, *w) = (tail, watch);
            self.store_deadlines(slot);
        }
        Ok(())
    }

    fn store_deadlines(&mut self, slot: u32) {
        let life = self.table.rows[slot as usize].life;
        if self.traits.lru {
            self.table.touch(slot);
        }
        if self.traits.kept == ALL {
            self.weigh(slot);
        }
        let (tail, watch) = self.table.timed(slot);
        let (tail, t) = (tail.ttl_at, *watch);
        if self.traits.events() {
            let at = ordered(Timestamp(tail.min(t.idle_at)));
            self.events.push(Entry { at, slot, life });
        }
        if self.traits.clocks() {
            let at = t.timeout_at.min(t.quiet_at).min(t.flush_at);
            self.clocks.push(Entry { at, slot, life });
        }
    }
}

fn bad(what: impl Into<String>) -> StageError {
    StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what)
}

fn put(to: &mut Vec<u8>, n: u64) {
    to.extend_from_slice(&n.to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn write_sets(bounds: [u32; 2], more: Option<&More>, to: &mut Vec<u8>) {
    bounds.iter().for_each(|b| put(to, u64::from(*b)));
    let none = More::default();
    let more = more.unwrap_or(&none);
    put(to, more.words.as_slice().len() as u64);
    more.words.as_slice().iter().for_each(|w| put(to, *w));
    put(to, more.bounds.len() as u64);
    more.bounds.iter().for_each(|b| put(to, u64::from(*b)));
    put(to, more.ids.len() as u64);
    for (a, b) in &more.ids {
        put(to, *a);
        put(to, *b);
    }
    put(to, more.refused.len() as u64);
    more.refused.iter().for_each(|bit| put(to, *bit));
    put(to, more.repeats.len() as u64);
    for (bit, n) in &more.repeats {
        put(to, *bit);
        put(to, *n);
    }
}

type Sets = ([u32; 2], Option<Box<More>>);

fn read_sets(r: &mut Reader<'_>) -> Result<Sets, StageError> {
    let bounds = [r.small()?, r.small()?];
    let words = (0..r.number()?).map(|_| r.number()).collect::<Result<Vec<_>, _>>()?;
    let more_bounds = (0..r.number()?).map(|_| r.small()).collect::<Result<Vec<_>, _>>()?;
    let mut ids = BTreeSet::new();
    for _ in 0..r.number()? {
        ids.insert((r.number()?, r.number()?));
    }
    let refused = (0..r.number()?).map(|_| r.number()).collect::<Result<BTreeSet<_>, _>>()?;
    let mut repeats = BTreeMap::new();
    for _ in 0..r.number()? {
        repeats.insert(r.number()?, r.number()?);
    }
    let sets = words.is_empty() && ids.is_empty() && refused.is_empty() && repeats.is_empty();
    if sets && more_bounds.is_empty() {
        return Ok((bounds, None));
    }
    let words = Words::from_vec(words);
    Ok((bounds, Some(Box::new(More { words, ids, bounds: more_bounds, refused, repeats }))))
}

fn write_tomb<K: Key>(t: &Tomb<K>, to: &mut Vec<u8>) {
    put_bytes(to, &t.key.as_ref().map(Key::to_key_bytes).unwrap_or_default());
    put(to, t.mask);
    let none = Rest::default();
    let rest = t.rest.as_deref().unwrap_or(&none);
    for n in [t.generation, t.fragments, rest.late, rest.beyond] {
        put(to, u64::from(n));
    }
    put_bytes(to, t.reason.as_str().as_bytes());
    put(to, u64::from(t.emitted));
    put(to, t.dies);
    write_sets([t.bound, rest.second], rest.more.as_deref(), to);
    put(to, u64::from(rest.saved.is_some()));
    put_bytes(to, rest.saved.as_deref().unwrap_or_default());
}

fn read_tomb<K: Key>(r: &mut Reader<'_>) -> Result<Tomb<K>, StageError> {
    let key = K::read_bytes(r.bytes()?).ok_or_else(|| bad("a key cannot be read"))?;
    let mask = r.number()?;
    let (generation, fragments) = (r.small()?, r.small()?);
    let (late, beyond) = (r.small()?, r.small()?);
    let reason = r.text()?;
    let reason = REASONS.into_iter().find(|x| x.as_str() == reason);
    let reason = reason.ok_or_else(|| bad("a tombstone has an unknown reason"))?;
    let (emitted, dies) = (r.number()? != 0, r.number()?);
    let ([bound, second], more) = read_sets(r)?;
    let (some, saved) = (r.number()? != 0, r.bytes()?);
    let saved: Option<Box<[u8]>> = some.then(|| Box::from(saved));
    let any = saved.is_some() || more.is_some() || late > 0 || beyond > 0 || second != UNKNOWN;
    let rest = any.then(|| Box::new(Rest { late, beyond, second, more, saved }));
    let (tag, life) = (0, 0);
    let key = Some(key);
    Ok(Tomb { key, mask, dies, rest, tag, life, generation, fragments, bound, reason, emitted })
}

/// The class that prints as `text`.
fn read_class(text: &str) -> Option<Class> {
    use DropCause::{DropNewest, DropOldest, ExpireDrop, Shed, Skip};
    let dropped = [ExpireDrop, DropOldest, DropNewest, Skip, Shed].map(Class::Dropped);
    let plain = [Class::Complete, Class::Duplicate, Class::Late, Class::Open];
    let mut all = plain
        .into_iter()
        .chain(REASONS.map(Class::Partial))
        .chain(DEAD.map(Class::DeadLetter))
        .chain(dropped);
    all.find(|c| c.to_string() == text)
}

/// Bytes read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], StageError> {
        let (front, rest) =
            self.0.split_at_checked(n).ok_or_else(|| bad("the accumulator's state ends early"))?;
        self.0 = rest;
        Ok(front)
    }

    fn number(&mut self) -> Result<u64, StageError> {
        let mut n = [0; 8];
        n.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(n))
    }

    fn small(&mut self) -> Result<u32, StageError> {
        u32::try_from(self.number()?).map_err(|_| bad("a number of the state is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], StageError> {
        let n = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(n)
    }

    fn text(&mut self) -> Result<&'a str, StageError> {
        str::from_utf8(self.bytes()?).map_err(|_| bad("a name in the state is no text"))
    }
}

/// What a bound is before it is declared is part of the format.
const _: () = assert!(UNKNOWN == u32::MAX);
