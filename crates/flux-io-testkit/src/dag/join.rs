//! Steps with several inputs, evaluated plainly.

use super::expect::{Bundle, Cell, Expect, Invalid};
use super::plan::{IdJoin, Lose, Step, What};
use super::row::{Row, mix};
use flux_io_core::DeadCause;
use std::collections::BTreeMap;

/// What the flows of a join gave for one id.
type Parts = Vec<Option<Cell>>;

fn rows(parts: &[Option<Cell>]) -> Vec<Option<Row>> {
    parts.iter().map(|c| c.map(|c| c.row)).collect()
}

fn lose(to: &mut Expect, rest: Lose, word: &'static str, n: usize) {
    for _ in 0..n {
        to.lose(rest, DeadCause::Invalid, word);
    }
}

fn exact(ins: &[&Bundle]) -> Result<(), Invalid> {
    if ins.iter().all(|b| b.is_exact()) {
        return Ok(());
    }
    Err(Invalid("joins by place what has no order"))
}

fn rising(ins: &[&Bundle]) -> Result<(), Invalid> {
    let one = ins.iter().all(|b| b.rises() && b.origin == ins[0].origin);
    if one { Ok(()) } else { Err(Invalid("joins by number what does not rise")) }
}

pub(super) fn join(step: &Step, ins: &[&Bundle], to: &mut Expect) -> Result<Bundle, Invalid> {
    match step.what {
        What::Merge => Ok(merged(step.salt, ins)),
        What::MergeBySeq { .. } => {
            rising(ins)?;
            let mut out = merged(step.salt, ins);
            out.cells.sort_by_key(|c| c.seq);
            out.cells.iter_mut().for_each(|c| c.lane = step.salt);
            if !out.has_unique_seqs() {
                return Err(Invalid("merges by number what has a number twice"));
            }
            Ok(out)
        }
        What::MergeByTime { .. } => {
            let falls = |b: &&Bundle| b.cells.windows(2).any(|w| w[0].row.id > w[1].row.id);
            if ins.iter().any(|b| !b.is_exact() || falls(b)) {
                return Err(Invalid("merges by time what is not in its order"));
            }
            let mut out = merged(step.salt, ins);
            // Stable: rows of one time in the order of the inputs, then in that of each.
            out.cells.sort_by_key(|c| c.row.id);
            out.cells.iter_mut().for_each(|c| c.lane = step.salt);
            Ok(out)
        }
        What::Zip { rest, .. } => {
            exact(ins)?;
            let n = ins.iter().map(|b| b.cells.len()).min().unwrap_or(0);
            let over: usize = ins.iter().map(|b| b.cells.len() - n).sum();
            lose(to, rest, "unpaired", over);
            Ok(pairs(step.salt, ins, n))
        }
        What::ZipLongest => {
            exact(ins)?;
            let n = ins.iter().map(|b| b.cells.len()).max().unwrap_or(0);
            Ok(pairs(step.salt, ins, n))
        }
        What::JoinPlace { rest } => {
            exact(ins)?;
            let n = ins.iter().map(|b| b.cells.len()).min().unwrap_or(0);
            let over: usize = ins.iter().map(|b| b.cells.len() - n).sum();
            lose(to, rest, "incomplete", over);
            Ok(pairs(step.salt, ins, n))
        }
        What::JoinSeq { partial, rest, .. } => by_seq(step.salt, partial, rest, ins, to),
        What::JoinId { how, partial, hold, poison, rest } => {
            if ins.iter().any(|b| !b.has_unique_ids()) {
                return Err(Invalid("joins by id what has an id twice"));
            }
            let groups = by_id(step.salt, poison, rest, ins, to);
            Ok(if hold.is_some() {
                bounded(how, partial, &groups, to)
            } else {
                joined(step.salt, (how, partial, rest), groups, to)
            })
        }
        _ => Err(Invalid("takes several flows and wants one")),
    }
}

fn merged(salt: u64, ins: &[&Bundle]) -> Bundle {
    let tagged = |(i, b): (u64, &&Bundle)| {
        let cells = b.cells.clone();
        cells.into_iter().map(move |c| Cell { lane: mix(salt ^ i, c.lane), ..c })
    };
    let cells = (0..).zip(ins).flat_map(tagged).collect();
    let one = ins.iter().all(|b| b.origin == ins[0].origin);
    Bundle { cells, origin: ins[0].origin.filter(|_| one), may: None }
}

/// The n-th rows together.
fn pairs(salt: u64, ins: &[&Bundle], n: usize) -> Bundle {
    let at = |i: usize| {
        let parts: Parts = ins.iter().map(|b| b.cells.get(i).copied()).collect();
        let id = parts.iter().flatten().next().map_or(0, |c| c.row.id);
        Cell { row: Row::of_parts(id, &rows(&parts)), seq: 0, lane: salt }
    };
    Bundle { cells: (0..n).map(at).collect(), origin: None, may: None }
}

fn by_seq(
    salt: u64,
    partial: bool,
    rest: Lose,
    ins: &[&Bundle],
    to: &mut Expect,
) -> Result<Bundle, Invalid> {
    rising(ins)?;
    let mut groups: BTreeMap<u64, Parts> = BTreeMap::new();
    for (i, b) in ins.iter().enumerate() {
        for c in &b.cells {
            groups.entry(c.seq).or_insert_with(|| vec![None; ins.len()])[i] = Some(*c);
        }
    }
    let mut cells = Vec::new();
    for (seq, parts) in groups {
        let there = parts.iter().flatten().count();
        if there < ins.len() && !partial {
            lose(to, rest, "incomplete", there);
            continue;
        }
        let id = parts.iter().flatten().next().map_or(0, |c| c.row.id);
        cells.push(Cell { row: Row::of_parts(id, &rows(&parts)), seq, lane: salt });
    }
    Ok(Bundle { cells, origin: ins[0].origin, may: None })
}

fn by_id(
    salt: u64,
    poison: bool,
    rest: Lose,
    ins: &[&Bundle],
    to: &mut Expect,
) -> BTreeMap<u64, Parts> {
    let mut groups: BTreeMap<u64, Parts> = BTreeMap::new();
    for (i, b) in ins.iter().enumerate() {
        for c in &b.cells {
            if poison && c.row.is_poison(salt) {
                to.fail(rest, DeadCause::Panicked, None);
                continue;
            }
            groups.entry(c.row.id).or_insert_with(|| vec![None; ins.len()])[i] = Some(*c);
        }
    }
    groups
}

impl IdJoin {
    /// Whether the parts that go out do not depend on the schedule.
    #[must_use]
    pub fn knows_parts(self, inputs: usize) -> bool {
        matches!(self, Self::All) || self == Self::Quorum(inputs)
    }

    const fn least(self, inputs: usize) -> usize {
        match self {
            Self::All => inputs,
            Self::First => 1,
            Self::Quorum(n) => n,
        }
    }

    /// The row that an id becomes.
    #[must_use]
    pub fn row(self, id: u64, parts: &[Option<Row>]) -> Row {
        if self.knows_parts(parts.len()) { Row::of_parts(id, parts) } else { Row { id, value: id } }
    }
}

/// With room for all ids: each goes out as its parts say.
fn joined(
    salt: u64,
    (how, partial, rest): (IdJoin, bool, Lose),
    groups: BTreeMap<u64, Parts>,
    to: &mut Expect,
) -> Bundle {
    let mut cells = Vec::new();
    for (id, parts) in groups {
        let (there, least) = (parts.iter().flatten().count(), how.least(parts.len()));
        if there < least && !partial {
            lose(to, rest, "incomplete", there);
            continue;
        }
        lose(to, rest, "superseded", there.saturating_sub(least));
        cells.push(Cell { row: how.row(id, &rows(&parts)), seq: 0, lane: mix(salt, id) });
    }
    Bundle { cells, origin: None, may: None }
}

/// With room for few: which ids find together depends on the schedule; what may come out does not.
fn bounded(how: IdJoin, partial: bool, groups: &BTreeMap<u64, Parts>, to: &mut Expect) -> Bundle {
    let mut may = BTreeMap::new();
    for (id, parts) in groups {
        let all = rows(parts);
        for some in 1_u32..1 << all.len() {
            let part = |(i, p): (usize, &Option<Row>)| p.filter(|_| some >> i & 1 == 1);
            let chosen: Vec<Option<Row>> = all.iter().enumerate().map(part).collect();
            let there = chosen.iter().flatten().count();
            if there > 0 && (partial || there >= how.least(all.len())) {
                // An id that is over is not remembered for ever: its other rows open it again.
                may.insert(
                    how.row(*id, &chosen),
                    if how.knows_parts(all.len()) { 1 } else { all.len() },
                );
            }
        }
    }
    to.unsure = true;
    to.loose.insert(DeadCause::Invalid);
    Bundle { cells: Vec::new(), origin: None, may: Some(may) }
}
