//! What an accumulator must do with rows and watermarks in a known order, written down plainly.

use super::data::{Frag, Ids, Left, VARS};
use flux_io::accumulate::{OnExpire, OnLate};
use std::collections::BTreeMap;

/// What was seen before the accumulator, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    Row(Frag),
    Mark(i64),
}

/// The policy, as far as the model knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) ttl: Option<i64>,
    pub(crate) on_expire: OnExpire,
    pub(crate) on_late: OnLate,
    /// How long a tombstone is kept; `None` to the end.
    pub(crate) keep: Option<i64>,
    pub(crate) max_keys: Option<u64>,
}

#[derive(Clone, Debug)]
struct Open {
    ids: Ids,
    mask: u8,
    ttl_at: i64,
    extended: u32,
    generation: u32,
    used: u64,
    newest: i64,
}

#[derive(Clone, Debug)]
struct Tomb {
    mask: u8,
    generation: u32,
    dies: i64,
}

/// What must come of it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) left: Vec<Left>,
    pub(crate) dead: Vec<(u32, Ids)>,
    pub(crate) dropped: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    /// The policy aborts the run.
    pub(crate) aborts: bool,
    open: BTreeMap<u32, Open>,
    tombs: BTreeMap<u32, Tomb>,
    watermark: Option<i64>,
    clock: u64,
}

impl Model {
    /// Runs the whole of it, with the end of the input.
    pub(crate) fn of(rules: &Rules, seen: &[Seen]) -> Self {
        let mut m = Self::default();
        for s in seen {
            match s {
                Seen::Row(f) => m.row(rules, f),
                Seen::Mark(w) => m.mark(rules, *w),
            }
        }
        let keys: Vec<u32> = m.open.keys().copied().collect();
        for key in keys {
            m.leave(rules, key, "partial", "end", i64::MIN);
        }
        m
    }

    fn row(&mut self, rules: &Rules, f: &Frag) {
        self.clock += 1;
        let bit = 1 << f.var;
        if let Some(o) = self.open.get_mut(&f.key) {
            if o.mask & bit != 0 {
                self.duplicates += 1;
                return;
            }
            o.mask |= bit;
            o.ids.push(f.id);
            o.used = self.clock;
            o.newest = o.newest.max(f.time);
        } else {
            let mut generation = 0;
            if let Some(t) = self.tombs.get_mut(&f.key) {
                if t.mask & bit != 0 {
                    self.duplicates += 1;
                    return;
                }
                if rules.on_late != OnLate::NewGeneration {
                    self.late += 1;
                    t.mask |= bit;
                    let generation = t.generation;
                    if rules.on_late == OnLate::SideOutput {
                        let (kind, reason) = ("late", "late");
                        let ids = vec![f.id];
                        self.left.push(Left { key: f.key, kind, reason, generation, ids });
                    }
                    return;
                }
                generation = t.generation + 1;
                self.tombs.remove(&f.key);
            }
            if let Some(max) = rules.max_keys {
                while self.open.len() as u64 >= max {
                    let oldest = self.open.iter().min_by_key(|o| o.1.used).map(|o| *o.0);
                    let Some(oldest) = oldest else { break };
                    self.leave(rules, oldest, "partial", "evicted", i64::MIN);
                }
            }
            let ttl_at = rules.ttl.map_or(i64::MAX, |d| f.time + d);
            let used = self.clock;
            let (ids, mask, newest) = (vec![f.id], bit, f.time);
            let o = Open { ids, mask, ttl_at, extended: 0, generation, used, newest };
            self.open.insert(f.key, o);
            // A deadline that was over when the key was opened: it leaves at the watermark.
            self.due(rules, true);
            return;
        }
        if self.open.get(&f.key).is_some_and(|o| o.mask.count_ones() == u32::from(VARS)) {
            self.leave(rules, f.key, "complete", "complete", i64::MIN);
        }
    }

    fn mark(&mut self, rules: &Rules, w: i64) {
        if self.watermark.is_some_and(|o| w <= o) {
            return;
        }
        self.watermark = Some(w);
        self.tombs.retain(|_, t| t.dies > w);
        self.due(rules, false);
    }

    /// Everything that is due leaves, by deadline and key.
    fn due(&mut self, rules: &Rules, opened: bool) {
        let Some(w) = self.watermark.filter(|_| rules.ttl.is_some()) else { return };
        let (times, _) = parts(rules.on_expire);
        let ttl = rules.ttl.unwrap_or(0);
        let mut due = Vec::new();
        for (key, o) in &mut self.open {
            while o.ttl_at <= w && o.extended < times {
                o.extended += 1;
                o.ttl_at += ttl;
            }
            if o.ttl_at <= w {
                due.push((o.ttl_at, *key));
            }
        }
        due.sort_unstable();
        for (at, key) in due {
            let at = if opened { i64::MIN } else { at };
            match parts(rules.on_expire).1 {
                OnExpire::DeadLetter => self.leave(rules, key, "dead", "ttl", at),
                OnExpire::Drop => self.leave(rules, key, "drop", "ttl", at),
                OnExpire::Abort => {
                    self.aborts = true;
                    self.leave(rules, key, "dead", "ttl", at);
                }
                _ => self.leave(rules, key, "partial", "ttl", at),
            }
        }
    }

    fn leave(
        &mut self,
        rules: &Rules,
        key: u32,
        kind: &'static str,
        reason: &'static str,
        moment: i64,
    ) {
        let Some(o) = self.open.remove(&key) else { return };
        let (generation, w) = (o.generation, self.watermark.unwrap_or(i64::MIN));
        match kind {
            "dead" => self.dead.push((key, o.ids)),
            "drop" => self.dropped += o.ids.len() as u64,
            _ => self.left.push(Left { key, kind, reason, generation, ids: o.ids }),
        }
        let moment = if moment == i64::MIN { w } else { moment };
        let dies = rules.keep.map_or(i64::MAX, |d| moment.max(o.newest).saturating_add(d));
        if dies > w {
            self.tombs.insert(key, Tomb { mask: o.mask, generation, dies });
        }
    }
}

const fn parts(on: OnExpire) -> (u32, OnExpire) {
    use flux_io::accumulate::Then;
    match on {
        OnExpire::Extend { times, then } => {
            let then = match then {
                Then::Partial => OnExpire::Partial,
                Then::DeadLetter => OnExpire::DeadLetter,
                Then::Drop => OnExpire::Drop,
                Then::Abort => OnExpire::Abort,
            };
            (times, then)
        }
        other => (0, other),
    }
}
