//! A naive model of keyed accumulation, written to be read: plain maps, one event after the other,
//! every question answered by looking at all keys. It shares nothing with the operator but the
//! policy's data types.

use flux_io_accumulate::{
    After, EvictTo, Identity, Keep, OnDuplicate, OnEnd, OnExpire, OnLate, OnLimit, OnUnkeyed,
    Policy, Then,
};
use flux_io_core::{Var, nanos_i64};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Option<u64>,
    pub(crate) var: Var,
    pub(crate) ts: i64,
    pub(crate) bound: Option<u32>,
    pub(crate) id: u64,
    /// What it carries, and its heap bytes.
    pub(crate) val: u32,
    /// It cannot be merged.
    pub(crate) bad: bool,
    /// Where user code panics on it.
    pub(crate) bomb: Bomb,
}

/// Where user code panics on a row, or on a state that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bomb {
    #[default]
    None,
    Var,
    Bound,
    Merge,
    /// Right after it was merged.
    Check,
    /// Right after it was merged, where states are weighed.
    Weigh,
    /// When a result is made of it.
    Finish,
}

/// What a row carries into the state, and back out of it: its bomb is the highest bits.
pub(crate) const fn armed(val: u32, bomb: Bomb) -> u32 {
    val | (bomb as u32) << 16
}

const fn has(val: u32, bomb: Bomb) -> bool {
    val >> 16 == bomb as u32
}

/// Whether the last fragment merged carries this bomb.
pub(crate) fn last_has(values: &[(Var, u32)], bomb: Bomb) -> bool {
    values.last().is_some_and(|v| has(v.1, bomb))
}

/// Whether any fragment carries this bomb.
pub(crate) fn any_has(values: &[(Var, u32)], bomb: Bomb) -> bool {
    values.iter().any(|v| has(v.1, bomb))
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Row(Row),
    Mark(i64),
    Clock(u64),
    End,
}

/// The requirements that the model knows, each by its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Four single variables.
    Four,
    /// Header, shipped:1..{lines}, received:1..{lines}.
    Order,
    /// Two of three.
    TwoOfThree,
    /// `a` and (`b` or `c`), with weights 3, 1, 1.
    Nested,
    /// Three fragments, whatever they are.
    Three,
    /// 70 single variables, of which the model's rows use the first and last two.
    Seventy,
}

pub(crate) type Vars = BTreeSet<Var>;

impl Shape {
    /// Whether the variable exists.
    pub(crate) fn knows(self, v: Var, max: u32) -> bool {
        match self {
            Self::Four => v.group < 4 && v.index == 0,
            Self::Order => match v.group {
                0 => v.index == 0,
                1 | 2 => v.index >= 1 && v.index <= max,
                _ => false,
            },
            Self::TwoOfThree | Self::Nested => v.group < 3 && v.index == 0,
            Self::Three => true,
            Self::Seventy => v.group < 70 && v.index == 0,
        }
    }

    fn complete(self, vars: &Vars, fragments: usize, bound: Option<u32>) -> bool {
        let has = |g| vars.contains(&Var::one(g));
        match self {
            Self::Four => (0..4).all(has),
            Self::Order => match bound {
                None => false,
                Some(n) => {
                    let line = |g: u16| (1..=n).all(|i| vars.contains(&Var::nth(g, i)));
                    has(0) && line(1) && line(2)
                }
            },
            Self::TwoOfThree => (0..3).filter(|g| has(*g)).count() >= 2,
            Self::Nested => has(0) && (has(1) || has(2)),
            Self::Three => fragments >= 3,
            Self::Seventy => (0..70).all(has),
        }
    }

    fn missing(self, vars: &Vars, bound: Option<u32>) -> Vec<String> {
        let absent = |names: &[&str]| -> Vec<String> {
            let absent = |(g, _): &(usize, &&str)| !vars.contains(&Var::one(*g as u16));
            names.iter().enumerate().filter(absent).map(|(_, n)| (*n).to_owned()).collect()
        };
        match self {
            Self::Four => absent(&["a", "b", "c", "d"]),
            Self::Order => {
                let mut missing = absent(&["header"]);
                for (g, name) in [(1, "shipped"), (2, "received")] {
                    for i in 1..=bound.unwrap_or(0) {
                        if !vars.contains(&Var::nth(g, i)) {
                            missing.push(format!("{name}:{i}"));
                        }
                    }
                }
                missing
            }
            Self::TwoOfThree => absent(&["a", "b", "c"]),
            Self::Nested => {
                let either = vars.contains(&Var::one(1)) || vars.contains(&Var::one(2));
                absent(if either { &["a"] } else { &["a", "b", "c"] })
            }
            Self::Three => Vec::new(),
            Self::Seventy => {
                (0..70).filter(|g| !vars.contains(&Var::one(*g))).map(|g| format!("v{g}")).collect()
            }
        }
    }

    fn score(self, vars: &Vars, fragments: usize, bound: Option<u32>) -> f64 {
        let has = |g| f64::from(u8::from(vars.contains(&Var::one(g))));
        match self {
            Self::Four => (0..4).map(has).sum::<f64>() / 4.0,
            Self::Order => {
                let lines =
                    bound.unwrap_or_else(|| vars.iter().map(|v| v.index).max().unwrap_or(0));
                let there = vars.iter().filter(|v| v.index <= lines).count();
                there as f64 / (1.0 + 2.0 * f64::from(lines))
            }
            Self::TwoOfThree => (0..3).map(has).sum::<f64>().min(2.0) / 2.0,
            Self::Nested => (3.0 * has(0) + has(1).max(has(2))) / 4.0,
            Self::Three => fragments.min(3) as f64 / 3.0,
            Self::Seventy => (0..70).map(has).sum::<f64>() / 70.0,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Held {
    generation: u32,
    vars: Vars,
    ids: BTreeSet<(u64, u64)>,
    /// Its members.
    values: Vec<(Var, u32)>,
    /// What the state holds: the members, and what could not be taken back.
    state: Vec<(Var, u32)>,
    bound: Option<u32>,
    newest: i64,
}

impl Held {
    fn bytes(&self) -> u64 {
        self.values.iter().map(|v| u64::from(v.1 & 0xffff)).sum::<u64>()
            + size_of::<Vec<u8>>() as u64
    }

    /// Merges a fragment.
    fn push(&mut self, row: &Row) {
        self.vars.insert(row.var);
        self.values.push((row.var, armed(row.val, row.bomb)));
        self.state.push((row.var, armed(row.val, row.bomb)));
    }

    /// Declares a bound; the numbers of each group that it rules out are members no longer. Gives how
    /// many those are, group by group.
    fn declare(&mut self, bound: Option<u32>, take_back: bool) -> [usize; 2] {
        if self.bound.is_some() || bound.is_none() {
            return [0, 0];
        }
        self.bound = bound;
        let beyond = |g: u16, v: &Var| v.group == g && bound.is_some_and(|n| v.index > n);
        [1, 2].map(|g| {
            let before = self.values.len();
            self.values.retain(|(v, _)| !beyond(g, v));
            if take_back {
                self.state.retain(|(v, _)| !beyond(g, v));
            }
            before - self.values.len()
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Open {
    held: Held,
    touched: u64,
    ttl: Option<i64>,
    idle: Option<i64>,
    timeout: Option<u64>,
    quiet: Option<u64>,
    flush: Option<u64>,
    extended: u32,
}

#[derive(Clone, Debug)]
struct Tomb {
    held: Held,
    fragments: usize,
    late: usize,
    /// Of all its fragments, those that a late bound has ruled out.
    beyond: usize,
    reason: &'static str,
    emitted: bool,
    dies: Option<i64>,
    age: u64,
}

#[derive(Clone, Copy, Debug)]
enum Exit {
    Complete,
    Partial(&'static str),
    Dead(&'static str, &'static str),
    Drop(&'static str),
}

/// The model.
#[derive(Debug)]
pub(crate) struct Model {
    policy: Policy,
    shape: Shape,
    /// Whether the accumulator can take fragments back.
    take_back: bool,
    identity: Identity,
    open: BTreeMap<u64, Open>,
    tombs: BTreeMap<u64, Tomb>,
    watermark: Option<i64>,
    now: u64,
    rows: u64,
    tokens: u128,
    read: u64,
    /// Results, in order.
    pub(crate) outs: Vec<String>,
    /// Dead letters, in order.
    pub(crate) dead: Vec<String>,
    /// Fragments by class.
    pub(crate) ledger: BTreeMap<String, u64>,
    pub(crate) tombstones_evicted: u64,
}

impl Model {
    pub(crate) fn new(policy: Policy, shape: Shape, take_back: bool) -> Self {
        let gate = policy.new_keys.map_or(0, |g| u128::from(g.burst) * 1_000_000_000);
        let by_place = shape == Shape::Three && policy.identity == Identity::Variable;
        Self {
            identity: if by_place { Identity::SourceSeq } else { policy.identity },
            policy,
            shape,
            take_back,
            open: BTreeMap::new(),
            tombs: BTreeMap::new(),
            watermark: None,
            now: 0,
            rows: 0,
            tokens: gate,
            read: 0,
            outs: Vec::new(),
            dead: Vec::new(),
            ledger: BTreeMap::new(),
            tombstones_evicted: 0,
        }
    }

    pub(crate) fn step(&mut self, event: Event) {
        match event {
            Event::Row(row) => self.row(row),
            Event::Mark(w) => {
                if self.watermark.is_none_or(|now| w > now) {
                    self.watermark = Some(w);
                    self.tombs.retain(|_, t| t.dies.is_none_or(|d| d > w));
                    while let Some((at, key)) = self.next_due(true) {
                        self.fire(key, true, Some(at as i64));
                    }
                }
            }
            Event::Clock(t) => {
                self.now = self.now.max(t);
                while let Some((_, key)) = self.next_due(false) {
                    self.fire(key, false, None);
                }
            }
            Event::End => {
                let exit = match self.policy.on_end {
                    OnEnd::Partial => Exit::Partial("end"),
                    OnEnd::DeadLetter => Exit::Dead("expired", "end"),
                    OnEnd::Drop => Exit::Drop("end"),
                    OnEnd::Keep => return,
                };
                let keys: Vec<u64> = self.open.keys().copied().collect();
                keys.into_iter().for_each(|k| self.leave(k, exit));
            }
        }
    }

    /// All classes, open ones included.
    pub(crate) fn classes(&self) -> BTreeMap<String, u64> {
        let mut all = self.ledger.clone();
        let open: usize = self.open.values().map(|o| o.held.values.len()).sum();
        if open > 0 {
            all.insert("open".into(), open as u64);
        }
        all
    }

    pub(crate) fn fragments(&self) -> u64 {
        self.rows
    }

    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let items: usize = self.open.values().map(|o| o.held.values.len()).sum();
        (self.open.len() as u64, items as u64, self.tombs.len() as u64)
    }

    /// Where a key stands, in words.
    pub(crate) fn why(&self, key: u64) -> String {
        if let Some(o) = self.open.get(&key) {
            let event = o.ttl.into_iter().chain(o.idle).min();
            let clock = [o.timeout, o.quiet, o.flush].into_iter().flatten().min();
            let missing = self.shape.missing(&o.held.vars, o.held.bound).join(",");
            return format!("open {} [{missing}] {event:?} {clock:?}", o.held.values.len());
        }
        match self.tombs.get(&key) {
            Some(t) => format!("left {} {} {}", t.reason, t.fragments, t.late),
            None => "unknown".into(),
        }
    }

    fn class(&mut self, class: &str, n: usize) {
        if n > 0 {
            *self.ledger.entry(class.to_owned()).or_default() += n as u64;
        }
    }

    fn dead_row(&mut self, key: Option<u64>, cause: &str) {
        self.lost(key, cause, 1);
    }

    /// One letter for `n` fragments.
    fn lost(&mut self, key: Option<u64>, cause: &str, n: usize) {
        self.class(&format!("dead_letter.{cause}"), n);
        self.dead.push(format!("{key:?} {cause} x{n}"));
    }

    /// Fragments of an open key that a bound has ruled out.
    fn ruled_out(&mut self, key: u64, counts: [usize; 2]) {
        for n in counts {
            match (self.take_back, n) {
                (_, 0) => {}
                (true, n) => (0..n).for_each(|_| self.lost(Some(key), "conflict", 1)),
                (false, n) => self.lost(Some(key), "conflict", n),
            }
        }
    }

    /// Whether a row is none of the key's members: it declares another bound, or its number is beyond
    /// what the key or it itself declares.
    fn contradicts(&self, row: &Row, known: Option<u32>) -> bool {
        let other = known.is_some_and(|n| row.bound.is_some_and(|own| own != n));
        let beyond = |n: u32| matches!(row.var.group, 1 | 2) && row.var.index > n;
        self.shape == Shape::Order
            && (other || known.is_some_and(beyond) || row.bound.is_some_and(beyond))
    }

    fn identity(&self, row: &Row) -> (u64, u64) {
        match self.identity {
            Identity::Variable => (u64::from(row.var.group), u64::from(row.var.index)),
            Identity::SourceSeq => (0, self.rows),
            Identity::Id => (0, row.id),
            // Never the same twice.
            Identity::Each => (1, self.rows),
        }
    }

    fn row(&mut self, row: Row) {
        self.rows += 1;
        if row.bomb == Bomb::Var {
            return self.dead_row(self.key_of(&row), "panicked");
        }
        if !self.shape.knows(row.var, self.policy.max_index) {
            return self.dead_row(self.key_of(&row), "type");
        }
        let Some(key) = self.key_of(&row) else { return self.dead_row(None, "no_key") };
        let id = self.identity(&row);
        let reset = self.policy.after == After::Reset;
        let tomb = self.tombs.get(&key);
        let copy = match (self.open.get(&key), tomb) {
            (Some(o), _) => o.held.ids.contains(&id),
            (None, Some(t)) => !reset && t.held.ids.contains(&id),
            _ => false,
        };
        if copy {
            return match self.policy.on_duplicate {
                OnDuplicate::Count => self.class("duplicate", 1),
                OnDuplicate::DeadLetter => self.dead_row(Some(key), "conflict"),
            };
        }
        let late = !self.open.contains_key(&key)
            && tomb.is_some()
            && !reset
            && self.policy.on_late != OnLate::NewGeneration;
        if late {
            return self.late(key, row, id);
        }
        let opened = !self.open.contains_key(&key);
        let mut before = None;
        if opened {
            before = self.tombs.remove(&key);
            if !self.admit() {
                before.into_iter().for_each(|t| self.bury(key, t));
                return self.dead_row(Some(key), "refused_key");
            }
        }
        let bound = self.open.get(&key).and_then(|o| o.held.bound);
        let cause = self.early_fault(&row).or_else(|| {
            let refused = self.contradicts(&row, bound);
            if refused && let Some(o) = self.open.get_mut(&key) {
                o.held.ids.insert(id);
            }
            refused.then_some("conflict").or(row.bad.then_some("conflict"))
        });
        if let Some(cause) = cause.filter(|_| row.bomb != Bomb::Merge || !self.merges(&row, bound))
        {
            before.into_iter().for_each(|t| self.bury(key, t));
            if opened && self.policy.new_keys.is_some() {
                self.tokens += 1_000_000_000;
            }
            return self.dead_row(Some(key), cause);
        }
        if opened {
            let generation = before.map_or(0, |t| t.held.generation + 1);
            self.open_key(key, &row, generation);
        }
        if row.bomb == Bomb::Merge {
            return self.poison(key, Some(id));
        }
        self.keep(key, &row, id);
        let last = self.open[&key].held.state.clone();
        if (last_has(&last, Bomb::Weigh) && self.policy.weighed) || last_has(&last, Bomb::Check) {
            return self.poison(key, None);
        }
        self.settle(key, opened);
    }

    fn key_of(&self, row: &Row) -> Option<u64> {
        row.key.or(match &self.policy.on_unkeyed {
            OnUnkeyed::Default(bytes) => {
                Some(u64::from_be_bytes(bytes.as_slice().try_into().unwrap()))
            }
            OnUnkeyed::DeadLetter => None,
        })
    }

    /// User code has panicked on a key's state: the key is lost, with the fragment `more` that it had
    /// not counted.
    fn poison(&mut self, key: u64, more: Option<(u64, u64)>) {
        let Some(Open { mut held, .. }) = self.open.remove(&key) else { return };
        let n = held.values.len() + usize::from(more.is_some());
        held.ids.extend(more);
        self.lost(Some(key), "poison", n);
        let moment = self.watermark.unwrap_or(i64::MIN);
        self.entomb(key, held, n, ("poison", false), moment);
    }

    /// What is wrong with a row before it is merged, and before it is held against its key.
    fn early_fault(&self, row: &Row) -> Option<&'static str> {
        let max = self.policy.max_index;
        let bound = self.shape == Shape::Order && row.bound.is_some_and(|b| b > max);
        (self.shape == Shape::Order && row.bomb == Bomb::Bound)
            .then_some("panicked")
            .or(bound.then_some("type"))
    }

    /// Whether a row comes as far as being merged.
    fn merges(&self, row: &Row, bound: Option<u32>) -> bool {
        self.early_fault(row).is_none() && !self.contradicts(row, bound)
    }

    fn late(&mut self, key: u64, row: Row, id: (u64, u64)) {
        let emitted = self.tombs[&key].emitted;
        if let Some(cause) = self.early_fault(&row) {
            return self.dead_row(Some(key), cause);
        }
        let refused = self.contradicts(&row, self.tombs[&key].held.bound);
        let merges = self.policy.on_late != OnLate::Drop && !refused;
        let spoilt = merges && (row.bomb == Bomb::Merge || (row.bomb == Bomb::Finish && !row.bad));
        if let Some(t) = self.tombs.get_mut(&key).filter(|_| refused || spoilt) {
            t.held.ids.insert(id);
            return self.dead_row(Some(key), if refused { "conflict" } else { "poison" });
        }
        if row.bad && merges {
            return self.dead_row(Some(key), "conflict");
        }
        self.class("late", 1);
        let declares = self.shape == Shape::Order && self.policy.on_late == OnLate::Correct;
        let Some(t) = self.tombs.get_mut(&key) else { return };
        t.late += 1;
        t.held.ids.insert(id);
        t.held.push(&row);
        let bound = row.bound.filter(|_| declares);
        t.beyond += t.held.declare(bound, self.take_back).iter().sum::<usize>();
        let held = t.held.clone();
        let fragments = t.fragments + t.late - t.beyond;
        match self.policy.on_late {
            OnLate::Correct if emitted => {
                let text = self.result(key, &held, "corrected", "late", fragments);
                self.outs.push(text);
            }
            OnLate::Correct | OnLate::SideOutput => {
                let text = format!("{key}#{} late late x1 {:?}", held.generation, [shown(&row)]);
                self.outs.push(text);
            }
            OnLate::Drop | OnLate::NewGeneration => {}
        }
    }

    /// A result in words: kind, reason, fragments, value, what is missing, score in percent.
    fn result(&self, key: u64, h: &Held, kind: &str, why: &str, fragments: usize) -> String {
        let complete = self.shape.complete(&h.vars, fragments, h.bound);
        let (missing, score) = if complete {
            (Vec::new(), 1.0)
        } else {
            let score = self.shape.score(&h.vars, fragments, h.bound);
            (self.shape.missing(&h.vars, h.bound), score.min(0.999_999))
        };
        let mut text = format!("{key}#{} {kind} {why} x{fragments} {:?}", h.generation, h.state);
        if kind != "complete" {
            let _ = write!(text, " without [{}] {:.3}", missing.join(","), score);
        }
        text
    }

    fn admit(&mut self) -> bool {
        if let Some(g) = self.policy.new_keys {
            let gained = u128::from(self.now - self.read) * u128::from(g.per_second);
            self.tokens = (self.tokens + gained).min(u128::from(g.burst) * 1_000_000_000);
            self.read = self.now;
            if self.tokens < 1_000_000_000 {
                return false;
            }
            self.tokens -= 1_000_000_000;
        }
        let room = self.room();
        if !room && self.policy.new_keys.is_some() {
            self.tokens += 1_000_000_000;
        }
        room
    }

    fn room(&mut self) -> bool {
        while self.policy.max_keys.is_some_and(|max| self.open.len() as u64 >= max) {
            if !self.evict(None) {
                return false;
            }
        }
        let full = self.policy.max_items.is_some_and(|max| self.held().1 >= max);
        !(full && self.policy.on_limit == OnLimit::Refuse)
    }

    fn evict(&mut self, spare: Option<u64>) -> bool {
        let OnLimit::Evict(to) = self.policy.on_limit else { return false };
        let others = self.open.iter().filter(|(k, _)| Some(**k) != spare);
        let Some(victim) = others.min_by_key(|(_, o)| o.touched).map(|(k, _)| *k) else {
            return false;
        };
        self.leave(victim, evicted(to));
        true
    }

    fn open_key(&mut self, key: u64, row: &Row, generation: u32) {
        let p = &self.policy;
        let clock = |d: Option<std::time::Duration>| Some(self.now + d?.as_nanos() as u64);
        let open = Open {
            held: Held { generation, newest: i64::MIN, ..Held::default() },
            ttl: p.expire_after.map(|d| row.ts + nanos_i64(d)),
            timeout: clock(p.timeout),
            flush: clock(p.flush_after),
            ..Open::default()
        };
        self.open.insert(key, open);
    }

    fn keep(&mut self, key: u64, row: &Row, id: (u64, u64)) {
        let Some(o) = self.open.get_mut(&key) else { return };
        o.touched = self.rows;
        o.held.newest = o.held.newest.max(row.ts);
        o.held.ids.insert(id);
        o.held.push(row);
        let bound = row.bound.filter(|_| self.shape == Shape::Order);
        let beyond = o.held.declare(bound, self.take_back);
        if let Some(gap) = self.policy.inactive_after {
            o.idle = o.idle.max(Some(row.ts + nanos_i64(gap)));
        }
        if let Some(gap) = self.policy.idle_timeout {
            o.quiet = o.quiet.max(Some(self.now + gap.as_nanos() as u64));
        }
        self.ruled_out(key, beyond);
    }

    fn settle(&mut self, key: u64, opened: bool) {
        let held = &self.open[&key].held;
        if self.shape.complete(&held.vars, held.values.len(), held.bound) {
            return self.leave(key, Exit::Complete);
        }
        if opened {
            for event in [true, false] {
                while self.due(key, event).is_some() {
                    self.fire(key, event, None);
                }
            }
        }
        let Some(o) = self.open.get(&key) else { return };
        let items = o.held.values.len() as u64;
        if self.policy.max_key_items.is_some_and(|max| items >= max)
            || self.policy.max_key_bytes.is_some_and(|max| o.held.bytes() >= max)
        {
            return self.leave(key, Exit::Partial("capacity"));
        }
        while self.policy.max_items.is_some_and(|max| self.held().1 > max) {
            if !self.evict(Some(key)) {
                let exit = match self.policy.on_limit {
                    OnLimit::Evict(to) => evicted(to),
                    OnLimit::Refuse => Exit::Partial("capacity"),
                };
                return self.leave(key, exit);
            }
        }
    }

    /// The deadline of a key that is due now, as (deadline, which).
    fn due(&self, key: u64, event: bool) -> Option<i128> {
        let o = self.open.get(&key)?;
        if event {
            let at = o.ttl.into_iter().chain(o.idle).min()?;
            self.watermark.filter(|w| at <= *w).map(|_| i128::from(at))
        } else {
            let at = [o.timeout, o.quiet, o.flush].into_iter().flatten().min()?;
            (at <= self.now).then_some(i128::from(at))
        }
    }

    fn next_due(&self, event: bool) -> Option<(i128, u64)> {
        self.open.keys().filter_map(|k| Some((self.due(*k, event)?, *k))).min()
    }

    /// One firing: an extension, or the key leaves. `moment` is when in event time, where that is
    /// the deadline.
    fn fire(&mut self, key: u64, event: bool, moment: Option<i64>) {
        let (times, then) = match self.policy.on_expire {
            OnExpire::Partial => (0, Then::Partial),
            OnExpire::DeadLetter => (0, Then::DeadLetter),
            OnExpire::Drop => (0, Then::Drop),
            OnExpire::Abort => (0, Then::Abort),
            OnExpire::Extend { times, then } => (times, then),
        };
        let Some(at) = self.due(key, event) else { return };
        let p = self.policy.clone();
        let Some(o) = self.open.get_mut(&key) else { return };
        let by = |d: Option<std::time::Duration>| d.map_or(0, |d| d.as_nanos() as i128);
        let is_ttl = if event {
            o.ttl.map(i128::from) == Some(at)
        } else {
            o.timeout.map(i128::from) == Some(at)
        };
        let is_quiet = !event && o.quiet.map(i128::from) == Some(at);
        let is_flush = !event && o.flush.map(i128::from) == Some(at);
        let expires = event || is_ttl || is_quiet;
        if !expires || (is_flush && o.extended < times) {
            return self.leave(key, Exit::Partial("latency"));
        }
        if o.extended < times {
            o.extended += 1;
            if event {
                let longer = |x: Option<i64>, d| {
                    x.map(|x| if i128::from(x) == at { (at + by(d)) as i64 } else { x })
                };
                o.ttl = longer(o.ttl, p.expire_after);
                o.idle = longer(o.idle, p.inactive_after);
            } else {
                let longer = |x: Option<u64>, d| {
                    x.map(|x| if i128::from(x) == at { (at + by(d)) as u64 } else { x })
                };
                o.timeout = longer(o.timeout, p.timeout);
                o.quiet = longer(o.quiet, p.idle_timeout);
            }
            return;
        }
        let why = if is_ttl { "ttl" } else { "latency" };
        let exit = match then {
            Then::Partial => Exit::Partial(why),
            Then::DeadLetter => Exit::Dead("expired", why),
            Then::Drop => Exit::Drop(why),
            Then::Abort => Exit::Dead("abort", why),
        };
        self.leave_at(key, exit, moment.or(self.watermark).unwrap_or(i64::MIN));
    }

    fn leave(&mut self, key: u64, exit: Exit) {
        self.leave_at(key, exit, self.watermark.unwrap_or(i64::MIN));
    }

    fn leave_at(&mut self, key: u64, exit: Exit, moment: i64) {
        let emits = matches!(exit, Exit::Complete | Exit::Partial(_));
        if emits && self.open.get(&key).is_some_and(|o| any_has(&o.held.state, Bomb::Finish)) {
            return self.poison(key, None);
        }
        let Some(Open { held, .. }) = self.open.remove(&key) else { return };
        let n = held.values.len();
        let (reason, emitted) = match exit {
            Exit::Complete => {
                self.class("complete", n);
                let text = self.result(key, &held, "complete", "complete", n);
                self.outs.push(text);
                ("complete", true)
            }
            Exit::Partial(why) => {
                self.class(&format!("partial.{why}"), n);
                let text = self.result(key, &held, "partial", why, n);
                self.outs.push(text);
                (why, true)
            }
            Exit::Dead(cause, why) => {
                self.class(&format!("dead_letter.{cause}"), n);
                self.dead.push(format!("{:?} {cause} x{n}", Some(key)));
                (why, false)
            }
            Exit::Drop(why) => {
                self.class("dropped.expire_drop", n);
                (why, false)
            }
        };
        self.entomb(key, held, n, (reason, emitted), moment);
    }

    fn entomb(
        &mut self,
        key: u64,
        held: Held,
        fragments: usize,
        (reason, emitted): (&'static str, bool),
        moment: i64,
    ) {
        let dies = match self.policy.after {
            After::Remove => return,
            After::Tombstone(Keep::For(d)) => Some(held.newest.max(moment) + nanos_i64(d)),
            After::Reset | After::Tombstone(Keep::ToEnd) => None,
        };
        if dies.is_some_and(|d| self.watermark.is_some_and(|w| d <= w)) {
            return;
        }
        let tomb = Tomb { held, fragments, late: 0, beyond: 0, reason, emitted, dies, age: 0 };
        self.bury(key, tomb);
    }

    fn bury(&mut self, key: u64, mut tomb: Tomb) {
        while self.tombs.len() as u64 >= self.policy.max_tombstones {
            self.tombstones_evicted += 1;
            let oldest = self.tombs.iter().min_by_key(|(_, t)| t.age).map(|(k, _)| *k);
            let Some(oldest) = oldest else { return };
            self.tombs.remove(&oldest);
        }
        tomb.age = self.tombs.values().map(|t| t.age + 1).max().unwrap_or(0);
        self.tombs.insert(key, tomb);
    }
}

const fn shown(row: &Row) -> (Var, u32) {
    (row.var, armed(row.val, row.bomb))
}

fn evicted(to: EvictTo) -> Exit {
    match to {
        EvictTo::Partial => Exit::Partial("evicted"),
        EvictTo::DeadLetter => Exit::Dead("evicted", "evicted"),
    }
}
