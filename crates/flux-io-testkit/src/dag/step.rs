//! Steps with one input, evaluated plainly.

use super::expect::{Bundle, Cell, Expect, Invalid};
use super::plan::{CallsOf, Lose, Op, OpKind, Step, What};
use super::row::{Luck, MOST_ID, Row, mix};
use flux_io_core::DeadCause;

/// Rows that a flow may have.
const MOST_ROWS: usize = 1_500;

/// A flow with other rows.
fn with(of: &Bundle, cells: Vec<Cell>) -> Bundle {
    Bundle { cells, origin: of.origin, may: None }
}

pub(super) fn step(step: &Step, input: &Bundle, to: &mut Expect) -> Result<Vec<Bundle>, Invalid> {
    let same = || Ok(vec![input.clone()]);
    match &step.what {
        What::Batch(_)
        | What::Buffer(_)
        | What::Barrier
        | What::EventTime { .. }
        | What::Ask { .. } => same(),
        What::Fused { ops, .. } => {
            let mut flow = input.clone();
            for op in ops {
                flow.cells = operator(*op, &flow.cells, to)?;
            }
            // Rows of an expanding segment are numbered anew.
            let expands = ops.iter().any(Op::expands);
            flow.origin = flow.origin.filter(|_| !expands);
            Ok(vec![flow])
        }
        What::Scan { poison, lose, .. } => scan(step.salt, *poison, *lose, input, to),
        What::Calls(calls) => Ok(vec![with(input, call(step.salt, *calls, &input.cells, to))]),
        What::Resequence { .. } => {
            if !input.has_unique_seqs() {
                return Err(Invalid("puts rows into an order that they do not have"));
            }
            let mut cells = input.cells.clone();
            cells.sort_by_key(|c| c.seq);
            cells.iter_mut().for_each(|c| c.lane = step.salt);
            let gaps = cells.last().map_or(0, |c| c.seq + 1) - cells.len() as u64;
            add(to, "gap", gaps);
            Ok(vec![with(input, cells)])
        }
        What::Errors => Ok(errors(step.salt, input)),
        What::Split { poison, lose } => {
            Ok(parted(step.salt, 2, *poison, *lose, input, to, |r| Some(side(r, step.salt))))
        }
        What::Route { n, lose, poison } => {
            let n = *n;
            Ok(parted(step.salt, n, *poison, *lose, input, to, |r| r.route(step.salt, n)))
        }
        What::Broadcast(n) => Ok(vec![input.clone(); *n]),
        _ => Err(Invalid("takes one flow and wants several")),
    }
}

fn add(to: &mut Expect, word: &'static str, n: u64) {
    if n > 0 {
        *to.dropped.entry(word).or_default() += n;
    }
}

/// Which side of a `split` a row goes to.
fn side(row: Row, salt: u64) -> usize {
    usize::from(!row.is_left(salt))
}

impl Row {
    /// Whether `split` gives it to the first of its flows.
    #[must_use]
    pub const fn is_left(self, salt: u64) -> bool {
        self.pick(salt, 3) > 0
    }

    /// Which of `n` flows `route` gives it to, if any.
    #[must_use]
    pub const fn route(self, salt: u64, n: usize) -> Option<usize> {
        let to = self.pick(salt, n as u64 * 3 + 1) / 3;
        if to < n as u64 { Some(to as usize) } else { None }
    }

    /// Whether a `filter` keeps it.
    #[must_use]
    pub const fn stays(self, op: Op) -> bool {
        match op.kind {
            OpKind::Filter(of) if of < 0 => self.pick(op.salt, of.unsigned_abs()) == 0,
            OpKind::Filter(of) => self.pick(op.salt, of.unsigned_abs()) != 0,
            OpKind::Gap(from, to) => self.id < from || self.id >= to,
            _ => true,
        }
    }
}

fn operator(op: Op, cells: &[Cell], to: &mut Expect) -> Result<Vec<Cell>, Invalid> {
    let mut out = Vec::with_capacity(cells.len());
    for cell in cells {
        let row = cell.row;
        let give = |row| Cell { row, ..*cell };
        if op.poison && row.is_poison(op.salt) {
            to.fail(op.lose, DeadCause::Panicked, None);
            continue;
        }
        match op.kind {
            OpKind::Map => out.push(give(row.changed(op.salt))),
            OpKind::Filter(_) | OpKind::Gap(..) => out.extend(row.stays(op).then_some(*cell)),
            OpKind::Flat(most) => {
                if row.id >= MOST_ID {
                    return Err(Invalid("expands rows too often"));
                }
                out.extend(row.expanded(op.salt, most).map(give));
            }
            OpKind::Try(attempts, _) => match row.luck(op.salt) {
                Luck::Never => to.fail(op.lose, DeadCause::Failed, Some(row)),
                Luck::After(n) if n >= attempts => to.fail(op.lose, DeadCause::Failed, Some(row)),
                _ => out.push(give(row.changed(op.salt))),
            },
        }
    }
    if out.len() > MOST_ROWS {
        return Err(Invalid("makes too many rows"));
    }
    Ok(out)
}

fn scan(
    salt: u64,
    poison: bool,
    lose: Lose,
    input: &Bundle,
    to: &mut Expect,
) -> Result<Vec<Bundle>, Invalid> {
    if !input.is_exact() {
        return Err(Invalid("keeps a state over rows in no order"));
    }
    let (mut state, mut cells) = (salt, Vec::new());
    for cell in &input.cells {
        if poison && cell.row.is_poison(salt) {
            to.fail(lose, DeadCause::Panicked, None);
            continue;
        }
        let row = cell.row.onto(state);
        state = row.value;
        cells.push(Cell { row, ..*cell });
    }
    Ok(vec![with(input, cells)])
}

fn call(salt: u64, calls: CallsOf, cells: &[Cell], to: &mut Expect) -> Vec<Cell> {
    let mut out = Vec::with_capacity(cells.len());
    for (n, cell) in (0..).zip(cells) {
        let row = cell.row;
        if calls.poison && row.is_poison(salt) {
            to.fail(calls.lose, DeadCause::Panicked, None);
            continue;
        }
        let luck = if calls.attempts > 0 { row.luck(salt) } else { Luck::Well };
        match luck {
            Luck::Never => to.fail(calls.lose, DeadCause::Poison, Some(row)),
            Luck::After(n) if n >= calls.attempts => {
                to.fail(calls.lose, DeadCause::Failed, Some(row));
            }
            _ => {
                let lane = if calls.ordered { cell.lane } else { mix(salt, n) };
                out.push(Cell { row: row.changed(salt), lane, seq: cell.seq });
            }
        }
    }
    out
}

/// Rows that went well, and those that failed, in no order.
fn errors(salt: u64, input: &Bundle) -> Vec<Bundle> {
    let (mut well, mut failed) = (Vec::new(), Vec::new());
    for (n, cell) in (0..).zip(&input.cells) {
        match cell.row.luck(salt) {
            Luck::Never => failed.push(Cell { lane: mix(salt, n), ..*cell }),
            _ => well.push(Cell { row: cell.row.changed(salt), ..*cell }),
        }
    }
    vec![with(input, well), Bundle { cells: failed, origin: None, may: None }]
}

/// One flow as several.
fn parted(
    salt: u64,
    n: usize,
    poison: bool,
    lose: Lose,
    input: &Bundle,
    to: &mut Expect,
    mut of: impl FnMut(Row) -> Option<usize>,
) -> Vec<Bundle> {
    let mut outs = vec![with(input, Vec::new()); n];
    for cell in &input.cells {
        if poison && cell.row.is_poison(salt) {
            to.fail(lose, DeadCause::Panicked, None);
            continue;
        }
        match of(cell.row) {
            Some(i) => outs[i].cells.push(*cell),
            None => to.lose(lose, DeadCause::Invalid, "unrouted"),
        }
    }
    outs
}
