//! Accumulators, evaluated plainly: key by key, row by row.

use super::expect::{Bundle, Cell, Expect, Invalid};
use super::plan::{Acc, Breaks, Gives, Lose, Step};
use super::row::{Row, Sum, mix};
use flux_io_core::DeadCause;
use std::collections::{BTreeMap, BTreeSet};

/// Outcomes are told apart by these.
pub(super) const COMPLETE: u64 = 0;
pub(super) const PARTIAL: u64 = 1;
pub(super) const LATE: u64 = 2;

impl Row {
    /// Its key in an accumulator.
    #[must_use]
    pub const fn key(self, salt: u64, keys: u64) -> u64 {
        self.pick(salt ^ 0x4B, keys)
    }

    /// Its variable there.
    #[must_use]
    pub const fn var(self, salt: u64, vars: u16) -> u16 {
        let n = if vars == 0 { 1 } else { vars };
        self.pick(salt ^ 0x56, n as u64) as u16
    }
}

/// A key.
#[derive(Default)]
struct Open {
    sum: Sum,
    vars: BTreeSet<u16>,
    /// It has left and is remembered, with the variables that it had.
    left: bool,
}

pub(super) fn accumulate(
    step: &Step,
    acc: Acc,
    input: &Bundle,
    to: &mut Expect,
) -> Result<Bundle, Invalid> {
    let chained = acc.is_chained();
    if chained && !input.is_exact() {
        return Err(Invalid("takes rows apart by an order that they do not have"));
    }
    let mut keys: BTreeMap<u64, Open> = BTreeMap::new();
    let mut cells = Vec::new();
    let mut give = |key: u64, kind: u64, sum: Sum, lane: u64| {
        if !acc.bad_key(key) {
            // Each key's outcomes are in order, as far as its rows are.
            let lane = mix(mix(step.salt, key), lane);
            cells.push(Cell { row: sum.row(key, kind), seq: 0, lane });
        }
    };
    for cell in &input.cells {
        let row = cell.row;
        let poison = row.is_poison(step.salt);
        if poison && matches!(acc.breaks, Breaks::Key | Breaks::Var) {
            to.fail(Lose::Letter, DeadCause::Panicked, None);
            continue;
        }
        let key = row.key(step.salt, acc.keys);
        let open = keys.entry(key).or_default();
        let var = acc.var(row, step.salt);
        if var.is_some_and(|v| open.vars.contains(&v)) {
            // A copy.
            continue;
        }
        if poison && acc.breaks == Breaks::TryMerge {
            to.fail(Lose::Letter, DeadCause::Failed, None);
            continue;
        }
        open.vars.extend(var);
        if open.left {
            let mut alone = Sum::default();
            alone.add(row, chained);
            give(key, LATE, alone, cell.lane);
            continue;
        }
        open.sum.add(row, chained);
        let complete = match acc.gives {
            Gives::Each => true,
            Gives::Rounds(n) => open.sum.n == u64::from(n),
            Gives::AtEnd => false,
            Gives::Vars(n, _) => open.vars.len() == usize::from(n),
        };
        if complete {
            give(key, COMPLETE, open.sum, cell.lane);
            if matches!(acc.gives, Gives::Vars(_, true)) {
                open.left = true;
            } else {
                keys.remove(&key);
            }
        }
    }
    let last = input.cells.last().map_or(0, |c| c.lane);
    for (key, open) in keys.into_iter().filter(|(_, o)| !o.left && o.sum.n > 0) {
        give(key, PARTIAL, open.sum, last);
    }
    if acc.breaks.costs_key() {
        to.loose.insert(DeadCause::Poison);
        to.loose.insert(DeadCause::Panicked);
    }
    Ok(Bundle { cells, origin: None, may: None })
}

impl Acc {
    /// Whether the order of a key's rows shows in what it gives.
    #[must_use]
    pub const fn is_chained(self) -> bool {
        matches!(self.gives, Gives::Rounds(_) | Gives::Vars(..))
    }

    /// The variable of a row, where they count.
    #[must_use]
    pub const fn var(self, row: Row, salt: u64) -> Option<u16> {
        match self.gives {
            Gives::Vars(n, _) => Some(row.var(salt, n)),
            _ => None,
        }
    }
}
