//! The state machine of the reference model. The numbers in comments are those of the rules in the
//! module above.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Class, DeadLetter, DropCause, Ledger, PartialCause};
use super::policy::{After, Identity, Late, Leave, OverLimit, Policy, Required, Tombstone};
use super::{Event, Fragment, Kind, Out};

/// A fragment's identity within its key.
type Ident = u64;

/// Keyed accumulation by the book.
#[derive(Debug, Clone)]
pub struct Model {
    policy: Policy,
    open: BTreeMap<u64, Open>,
    left: BTreeMap<u64, Left>,
    /// Generations of keys that were reset.
    generations: BTreeMap<u64, u32>,
    watermark: Option<i64>,
    clock: i64,
    rows: u64,
    ended: bool,
    ledger: Ledger,
}

/// What a key holds.
#[derive(Debug, Clone, Default)]
struct Held {
    generation: u32,
    fragments: BTreeMap<Ident, Fragment>,
    declared: Option<u64>,
}

/// An open key.
#[derive(Debug, Clone, Default)]
struct Open {
    held: Held,
    /// The number of the row that was counted last.
    touched: u64,
    ttl: Option<i64>,
    inactivity: Option<i64>,
    clock_ttl: Option<i64>,
    extended: u32,
}

/// A tombstone.
#[derive(Debug, Clone)]
struct Left {
    held: Held,
    /// Whether a result was emitted, which can be corrected.
    emitted: bool,
    /// When the watermark or the clock (as the policy says) ends it.
    dies: Option<i64>,
}

/// How a key leaves.
#[derive(Debug, Clone, Copy)]
enum Exit {
    Complete,
    Partial(PartialCause),
    DeadLetter(DeadLetter),
    Drop,
}

/// Which deadline fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Event,
    Clock,
}

impl Model {
    /// An accumulator that has seen nothing: no watermark, clock at 0.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            open: BTreeMap::new(),
            left: BTreeMap::new(),
            generations: BTreeMap::new(),
            watermark: None,
            clock: 0,
            rows: 0,
            ended: false,
            ledger: Ledger::default(),
        }
    }

    /// Takes one event and gives what it emits, in order.
    pub fn step(&mut self, event: Event) -> Vec<Out> {
        let mut outs = Vec::new();
        if self.ended {
            return outs; // 14
        }
        match event {
            Event::Fragment(fragment) => self.row(fragment, &mut outs),
            Event::Dead(cause) => {
                self.ledger.entered += 1;
                self.ledger.add(Class::DeadLetter(cause), 1);
            }
            Event::Watermark(mark) if self.watermark.is_none_or(|now| mark > now) => {
                self.watermark = Some(mark);
                self.fire_all(Timer::Event, &mut outs);
            }
            Event::Clock(now) if now > self.clock => {
                self.clock = now;
                self.fire_all(Timer::Clock, &mut outs);
            }
            Event::Watermark(_) | Event::Clock(_) => {} // 9
            Event::End => self.end(&mut outs),
        }
        self.bury();
        outs
    }

    /// The ledger as it stands, open fragments included.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        for open in self.open.values() {
            ledger.add(Class::Open, open.held.fragments.len());
        }
        ledger
    }

    /// How many keys are open.
    #[must_use]
    pub fn open_keys(&self) -> usize {
        self.open.len()
    }

    /// How many tombstones stand.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.left.len()
    }

    fn row(&mut self, fragment: Fragment, outs: &mut Vec<Out>) {
        self.ledger.entered += 1;
        self.rows += 1;
        if self.policy.max_bytes.is_some_and(|max| fragment.bytes > max) {
            return self.refuse(fragment, DeadLetter::Oversize, outs); // 1
        }
        let ident = self.ident(&fragment);
        let key = fragment.key;
        if self.holds(key, ident) {
            return self.ledger.add(Class::Duplicate, 1); // 2
        }
        if self.would_overflow(&fragment) {
            match self.policy.over_limit {
                OverLimit::Refuse => return self.refuse(fragment, DeadLetter::RefusedKey, outs),
                OverLimit::Partial => self.leave(key, Exit::Partial(PartialCause::Capacity), outs),
                OverLimit::DeadLetter => {
                    self.leave(key, Exit::DeadLetter(DeadLetter::Evicted), outs);
                }
            } // 6
        }
        if self.left.contains_key(&key) && self.policy.late != Late::NewGeneration {
            return self.late(fragment, ident, outs); // 3
        }
        if !self.open.contains_key(&key) {
            if !self.make_room(outs) {
                return self.refuse(fragment, DeadLetter::RefusedKey, outs); // 7
            }
            self.open_key(&fragment); // 3, 4
        }
        self.keep(fragment, ident);
        if self.is_complete(key) {
            self.leave(key, Exit::Complete, outs); // 8
        } else {
            self.fire_key(key, outs); // 12
        }
    }

    fn ident(&self, fragment: &Fragment) -> Ident {
        match self.policy.identity {
            Identity::Variable => fragment.var.into(),
            Identity::Ident => fragment.ident,
        }
    }

    fn holds(&self, key: u64, ident: Ident) -> bool {
        let open = self.open.get(&key).map(|open| &open.held);
        let held = open.or_else(|| self.left.get(&key).map(|left| &left.held));
        held.is_some_and(|held| held.fragments.contains_key(&ident))
    }

    fn would_overflow(&self, fragment: &Fragment) -> bool {
        let Some(open) = self.open.get(&fragment.key) else { return false };
        let items = open.held.fragments.len() as u64 + 1;
        let bytes: u64 = open.held.fragments.values().map(|held| held.bytes).sum();
        self.policy.max_items.is_some_and(|max| items > max)
            || self.policy.max_bytes.is_some_and(|max| bytes + fragment.bytes > max)
    }

    fn late(&mut self, fragment: Fragment, ident: Ident, outs: &mut Vec<Out>) {
        let Some(left) = self.left.get_mut(&fragment.key) else { return };
        self.ledger.add(Class::Late, 1);
        left.held.keep(&self.policy, fragment, ident);
        let (generation, key) = (left.held.generation, fragment.key);
        match self.policy.late {
            Late::Corrected if left.emitted => {
                let missing = left.held.missing(&self.policy);
                let fragments = left.held.sorted();
                outs.push(Out { key, generation, kind: Kind::Corrected { missing }, fragments });
            }
            Late::SideOutput | Late::Corrected => {
                outs.push(Out { key, generation, kind: Kind::Late, fragments: vec![fragment] });
            } // 17
            Late::Drop | Late::NewGeneration => {}
        }
    }

    /// Evicts as many keys as it takes to open one more; false if the policy would rather not.
    fn make_room(&mut self, outs: &mut Vec<Out>) -> bool {
        let Some(max) = self.policy.max_keys else { return true };
        while self.open.len() as u64 >= max {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.touched);
            let Some(victim) = oldest.map(|(&key, _)| key) else { return false };
            match self.policy.over_limit {
                OverLimit::Refuse => return false,
                OverLimit::Partial => {
                    self.leave(victim, Exit::Partial(PartialCause::Evicted), outs);
                }
                OverLimit::DeadLetter => {
                    self.leave(victim, Exit::DeadLetter(DeadLetter::Evicted), outs);
                }
            }
        }
        true
    }

    fn open_key(&mut self, first: &Fragment) {
        let tombstone = self.left.remove(&first.key).map(|left| left.held.generation);
        let before = tombstone.or_else(|| self.generations.remove(&first.key));
        let held = Held { generation: before.map_or(0, |last| last + 1), ..Held::default() };
        let open = Open {
            held,
            touched: self.rows,
            ttl: self.policy.ttl.map(|ttl| first.ts.saturating_add(ttl)),
            inactivity: None,
            clock_ttl: self.policy.clock_ttl.map(|ttl| self.clock.saturating_add(ttl)),
            extended: 0,
        }; // 10
        self.open.insert(first.key, open);
    }

    fn keep(&mut self, fragment: Fragment, ident: Ident) {
        let Some(open) = self.open.get_mut(&fragment.key) else { return };
        open.touched = self.rows;
        if let Some(gap) = self.policy.inactivity {
            let idle = fragment.ts.saturating_add(gap);
            open.inactivity = Some(open.inactivity.map_or(idle, |before| before.max(idle)));
        } // 10
        open.held.keep(&self.policy, fragment, ident);
    }

    fn is_complete(&self, key: u64) -> bool {
        self.open.get(&key).is_some_and(|open| open.held.missing(&self.policy).is_empty())
    }

    /// Fires every deadline that is due, by (deadline, key). 11
    fn fire_all(&mut self, timer: Timer, outs: &mut Vec<Out>) {
        loop {
            let due =
                self.open.iter().filter_map(|(&key, open)| Some((self.due(open, timer)?, key)));
            let Some((deadline, key)) = due.min() else { return };
            self.fire(key, timer, deadline, outs);
        }
    }

    /// Fires the deadlines of one key that are due. 12
    fn fire_key(&mut self, key: u64, outs: &mut Vec<Out>) {
        for timer in [Timer::Event, Timer::Clock] {
            while let Some(deadline) = self.open.get(&key).and_then(|open| self.due(open, timer)) {
                self.fire(key, timer, deadline, outs);
            }
        }
    }

    /// The deadline of a key that is due now, if there is one. 9
    fn due(&self, open: &Open, timer: Timer) -> Option<i64> {
        let (deadline, now) = match timer {
            Timer::Event => (open.ttl.into_iter().chain(open.inactivity).min(), self.watermark),
            Timer::Clock => (open.clock_ttl, Some(self.clock)),
        };
        deadline.filter(|&deadline| now.is_some_and(|now| now >= deadline))
    }

    /// One firing: an extension, or the key leaves. 13
    fn fire(&mut self, key: u64, timer: Timer, deadline: i64, outs: &mut Vec<Out>) {
        let Some(open) = self.open.get_mut(&key) else { return };
        if open.extended < self.policy.extend {
            open.extended += 1;
            let longer = |which: &mut Option<i64>, length: Option<i64>| {
                if *which == Some(deadline) {
                    *which = length.map(|length| deadline.saturating_add(length));
                }
            };
            match timer {
                Timer::Event => {
                    longer(&mut open.ttl, self.policy.ttl);
                    longer(&mut open.inactivity, self.policy.inactivity);
                }
                Timer::Clock => longer(&mut open.clock_ttl, self.policy.clock_ttl),
            }
            return;
        }
        let cause = match timer {
            Timer::Event => PartialCause::Ttl,
            Timer::Clock => PartialCause::Latency,
        };
        self.leave(key, exit(self.policy.on_expire, cause), outs);
    }

    fn end(&mut self, outs: &mut Vec<Out>) {
        while let Some((&key, _)) = self.open.first_key_value() {
            self.leave(key, exit(self.policy.on_end, PartialCause::End), outs);
        }
        self.ended = true; // 14
    }

    /// An open key leaves: its fragments get their class, its result goes out, and what the policy
    /// keeps of it stays.
    fn leave(&mut self, key: u64, exit: Exit, outs: &mut Vec<Out>) {
        let Some(Open { held, .. }) = self.open.remove(&key) else { return };
        let (class, kind) = match exit {
            Exit::Complete => (Class::Complete, Some(Kind::Complete)),
            Exit::Partial(cause) => {
                let missing = held.missing(&self.policy);
                let score = self.policy.score(held.declared, &held.present());
                (Class::Partial(cause), Some(Kind::Partial { missing, score, cause }))
            }
            Exit::DeadLetter(cause) => (Class::DeadLetter(cause), Some(Kind::DeadLetter(cause))),
            Exit::Drop => (Class::Dropped(DropCause::ExpireDrop), None),
        };
        self.ledger.add(class, held.fragments.len());
        if let Some(kind) = kind {
            let fragments = held.sorted();
            outs.push(Out { key, generation: held.generation, kind, fragments });
        }
        let emitted = matches!(exit, Exit::Complete | Exit::Partial(_));
        match self.policy.after {
            After::Remove => {}
            After::Reset => _ = self.generations.insert(key, held.generation),
            After::Tombstone(tombstone) => {
                let dies = self.death(&held, tombstone);
                self.left.insert(key, Left { held, emitted, dies });
            }
        } // 15
    }

    /// When a tombstone that is set now will be gone. 16
    fn death(&self, held: &Held, tombstone: Tombstone) -> Option<i64> {
        let newest = held.fragments.values().map(|fragment| fragment.ts).max();
        match tombstone {
            Tombstone::ToEnd => None,
            Tombstone::EventTime(ttl) => newest.max(self.watermark).map(|t| t.saturating_add(ttl)),
            Tombstone::Clock(ttl) => Some(self.clock.saturating_add(ttl)),
        }
    }

    /// Removes the tombstones whose time is over. 16
    fn bury(&mut self) {
        let now = match self.policy.after {
            After::Tombstone(Tombstone::EventTime(_)) => self.watermark,
            After::Tombstone(Tombstone::Clock(_)) => Some(self.clock),
            _ => None,
        };
        if let Some(now) = now {
            self.left.retain(|_, left| left.dies.is_none_or(|dies| dies > now));
        }
    }

    fn refuse(&mut self, fragment: Fragment, cause: DeadLetter, outs: &mut Vec<Out>) {
        self.ledger.add(Class::DeadLetter(cause), 1);
        let (key, kind) = (fragment.key, Kind::DeadLetter(cause));
        let open = self.open.get(&key).map(|open| &open.held);
        let held = open.or_else(|| self.left.get(&key).map(|left| &left.held));
        let generation = held.map_or(0, |held| held.generation);
        outs.push(Out { key, generation, kind, fragments: vec![fragment] });
    }
}

impl Held {
    fn keep(&mut self, policy: &Policy, fragment: Fragment, ident: Ident) {
        if matches!(policy.required, Required::Declared { header, .. } if header == fragment.var) {
            self.declared = self.declared.or(Some(fragment.payload));
        }
        self.fragments.insert(ident, fragment);
    }

    fn present(&self) -> BTreeSet<u32> {
        self.fragments.values().map(|fragment| fragment.var).collect()
    }

    fn missing(&self, policy: &Policy) -> Vec<u32> {
        policy.missing(self.declared, &self.present())
    }

    fn sorted(&self) -> Vec<Fragment> {
        let mut fragments: Vec<Fragment> = self.fragments.values().copied().collect();
        fragments.sort_by_key(|fragment| (fragment.var, fragment.ident));
        fragments
    }
}

fn exit(leave: Leave, cause: PartialCause) -> Exit {
    match leave {
        Leave::Partial => Exit::Partial(cause),
        Leave::DeadLetter => Exit::DeadLetter(DeadLetter::Expired),
        Leave::Drop => Exit::Drop,
    }
}
