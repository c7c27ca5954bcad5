//! Cutting and joining the metadata of batches.

use flux_io_core::{Mark, Meta, Seq, Timestamp, Uniform, push_mark};
use std::sync::Arc;

/// The metadata of rows `a..b`. A mark at `a` belongs to the rows before it, unless there are none.
pub(crate) fn slice(from: &Meta, a: usize, b: usize) -> Meta {
    let inside = |at: u32| (at as usize > a || a == 0) && at as usize <= b;
    let shift = |at: u32| at - a as u32;
    Meta {
        source: from.source,
        seq: match &from.seq {
            Seq::Run(base) => Seq::Run(base.saturating_add(a as u64)),
            Seq::Rows { base, rows } => Seq::Rows { base: *base, rows: rows[a..b].to_vec() },
        },
        time: match &from.time {
            Uniform::All(t) => Uniform::All(*t),
            Uniform::Rows(v) => Uniform::Rows(v[a..b].to_vec()),
        },
        hash: from.hash.get(a..b).unwrap_or_default().to_vec(),
        marks: from
            .marks
            .iter()
            .filter(|m| inside(m.at))
            .map(|m| Mark { at: shift(m.at), ..*m })
            .collect(),
        context: from.context.clone(),
        exceptional: from
            .exceptional
            .iter()
            .filter(|e| (a..b).contains(&(e.0 as usize)))
            .map(|e| (shift(e.0), Arc::clone(&e.1)))
            .collect(),
        window: from.window,
    }
}

/// Whether rows of `next` may stand behind the `rows` rows of `held` in one batch.
pub(crate) fn joins(held: &Meta, rows: usize, next: &Meta) -> bool {
    rows == 0
        || (held.source == next.source
            && held.context == next.context
            && held.window == next.window
            && held.hash.is_empty() == next.hash.is_empty()
            && offset(held, rows, next).is_some())
}

/// The distance of the first row of `next` from the base of `held`, if one column can hold both.
fn offset(held: &Meta, rows: usize, next: &Meta) -> Option<u32> {
    let (Seq::Run(base) | Seq::Rows { base, .. }) = &held.seq;
    let first = next.seq.at(0);
    let far = u32::try_from(first.checked_sub(*base)?).ok()?;
    (first > held.seq.at(rows - 1) && far < u32::MAX / 2).then_some(far)
}

/// Puts the metadata of `n` rows behind that of `rows` rows, which it [`joins`].
pub(crate) fn join(held: &mut Meta, rows: usize, next: Meta, n: usize) {
    if rows == 0 {
        let marks = std::mem::take(&mut held.marks);
        *held = next;
        if !marks.is_empty() {
            let behind = std::mem::replace(&mut held.marks, marks);
            behind.into_iter().for_each(|m| push_mark(&mut held.marks, m));
        }
        return;
    }
    join_seq(held, rows, &next, n);
    join_time(&mut held.time, rows, next.time, n);
    held.hash.extend(next.hash);
    for m in next.marks {
        push_mark(&mut held.marks, Mark { at: m.at + rows as u32, watermark: m.watermark });
    }
    held.exceptional.extend(next.exceptional.into_iter().map(|(r, c)| (r + rows as u32, c)));
}

fn join_seq(held: &mut Meta, rows: usize, next: &Meta, n: usize) {
    let run = |m: &Meta| matches!(m.seq, Seq::Run(_));
    let behind = held.seq.at(0).checked_add(rows as u64);
    if run(held) && run(next) && behind == Some(next.seq.at(0)) {
        return;
    }
    if let Seq::Run(base) = held.seq {
        held.seq = Seq::Rows { base, rows: (0..rows as u32).collect() };
    }
    let Seq::Rows { base, rows } = &mut held.seq else { return };
    let offset = |seq: u64| u32::try_from(seq.saturating_sub(*base)).unwrap_or(u32::MAX);
    rows.extend((0..n).map(|i| offset(next.seq.at(i))));
}

fn join_time(held: &mut Uniform<Timestamp>, rows: usize, next: Uniform<Timestamp>, n: usize) {
    if let (Uniform::All(a), Uniform::All(b)) = (&*held, &next)
        && a == b
    {
        return;
    }
    if let Uniform::All(t) = *held {
        *held = Uniform::Rows(vec![t; rows]);
    }
    let Uniform::Rows(all) = held else { return };
    match next {
        Uniform::All(t) => all.resize(rows + n, t),
        Uniform::Rows(v) => all.extend(v),
    }
}
