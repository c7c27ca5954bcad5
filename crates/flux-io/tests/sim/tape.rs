//! Stages that write down what passes them, and the laws that rows, watermarks and barriers obey
//! around any word.

use super::lock;
use flux_io::core::{Batch, Epoch, Out, Stage, StageCx, StageError, Step, Timestamp};
use flux_io_sim::{Fault, SimRun};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What passed, in order.
#[derive(Clone, Copy, Debug)]
enum Seen<T> {
    /// A row and its event time.
    Row(T, i64),
    Mark(i64),
    Barrier(Epoch),
}

/// What a [`Tape`] wrote down in this life of the run.
#[derive(Debug)]
pub(crate) struct Notes<T>(Arc<Mutex<Vec<Seen<T>>>>);

impl<T> Clone for Notes<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Passes everything on, and writes it down.
pub(crate) struct Tape<T>(pub(crate) Notes<T>);

impl<T: Copy + Debug + Send + Sync + 'static> Stage for Tape<T> {
    type In = Vec<T>;
    type Out = Vec<T>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<T>>,
        out: &mut Out<'_, Vec<T>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut seen = lock(&self.0.0);
        let mut marks = input.meta.marks.iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                seen.push(Seen::Mark(m.watermark.0));
            }
            seen.push(Seen::Row(*row, input.meta.time.at(i).0));
        }
        seen.extend(marks.map(|m| Seen::Mark(m.watermark.0)));
        drop(seen);
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        _: &mut Out<'_, Vec<T>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        lock(&self.0.0).push(Seen::Mark(w.0));
        Ok(Step::Done)
    }

    fn on_barrier(
        &mut self,
        epoch: Epoch,
        _: &mut Out<'_, Vec<T>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        lock(&self.0.0).push(Seen::Barrier(epoch));
        Ok(Step::Done)
    }
}

impl<T: Copy + Debug> Notes<T> {
    /// Rows with their times.
    pub(crate) fn timed(&self) -> Vec<(T, i64)> {
        let row = |s: &Seen<T>| if let Seen::Row(x, t) = s { Some((*x, *t)) } else { None };
        lock(&self.0).iter().filter_map(row).collect()
    }

    pub(crate) fn rows(&self) -> Vec<T> {
        self.timed().into_iter().map(|x| x.0).collect()
    }

    /// The last watermark.
    pub(crate) fn promised(&self) -> Option<i64> {
        let mark = |s: &Seen<T>| if let Seen::Mark(w) = s { Some(*w) } else { None };
        lock(&self.0).iter().rev().find_map(mark)
    }

    /// What `pick` takes of what passed, each with the number of rows before it.
    fn between<X>(&self, pick: impl Fn(&Seen<T>) -> Option<X>) -> Vec<(X, usize)> {
        let mut rows = 0;
        let mut all = Vec::new();
        for s in lock(&self.0).iter() {
            rows += usize::from(matches!(s, Seen::Row(..)));
            all.extend(pick(s).map(|x| (x, rows)));
        }
        all
    }

    /// Barriers, each with the number of rows before it.
    pub(crate) fn cuts(&self) -> Vec<(Epoch, usize)> {
        self.between(|s| if let Seen::Barrier(e) = s { Some(*e) } else { None })
    }

    /// Watermarks that are news, each with the number of rows before it.
    fn marks(&self) -> Vec<(i64, usize)> {
        let mut marks = self.between(|s| if let Seen::Mark(w) = s { Some(*w) } else { None });
        marks.dedup_by_key(|m| m.0);
        marks
    }

    /// The number of rows before the barrier of an epoch; all, where the rows ended before it.
    pub(crate) fn before(&self, epoch: Epoch) -> usize {
        let cut = self.cuts().into_iter().find(|c| c.0 == epoch);
        cut.map_or_else(|| self.rows().len(), |c| c.1)
    }

    /// Watermarks rise, and no row comes behind one that covers it.
    pub(crate) fn promises_hold(&self, place: &str) -> Result<(), String> {
        let mut now = i64::MIN;
        for s in lock(&self.0).iter() {
            match s {
                Seen::Mark(w) if *w < now => {
                    return Err(format!("{place}: watermark {w} behind {now}"));
                }
                Seen::Mark(w) => now = *w,
                Seen::Row(row, t) if *t <= now => {
                    return Err(format!("{place}: {row:?} of time {t} behind watermark {now}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Behind a word with one input everything that came is there: the same barriers and watermarks
/// between the same rows, where `kept` says how many rows of so many come out. Of several without a
/// row between them the newest may stand for all.
pub(crate) fn all_passed<A: Copy + Debug, B: Copy + Debug>(
    place: &str,
    from: &Notes<A>,
    to: &Notes<B>,
    kept: impl Fn(usize) -> usize,
) -> Result<(), String> {
    to.promises_hold(place)?;
    let what = format!("barriers of {place}");
    equal(&what, &newest(to.cuts(), |n| n), &newest(from.cuts(), &kept))?;
    let what = format!("watermarks of {place}");
    equal(&what, &newest(to.marks(), |n| n), &newest(from.marks(), &kept))
}

/// The last of those at each place.
fn newest<X>(all: Vec<(X, usize)>, place: impl Fn(usize) -> usize) -> Vec<(X, usize)> {
    let mut newest: Vec<(X, usize)> = Vec::new();
    for (x, rows) in all {
        let at = place(rows);
        newest.pop_if(|last| last.1 == at);
        newest.push((x, at));
    }
    newest
}

/// Behind a word with several inputs a barrier parts the rows as it parts those of the inputs:
/// `want` says what comes out before the barrier of an epoch, in any order unless `ordered`.
pub(crate) fn cuts_hold<T: Copy + Debug + Ord>(
    place: &str,
    out: &Notes<T>,
    ordered: bool,
    want: impl Fn(Epoch) -> Vec<T>,
) -> Result<(), String> {
    let rows = out.rows();
    for (epoch, at) in out.cuts() {
        let (mut got, mut want) = (rows[..at].to_vec(), want(epoch));
        if !ordered {
            got.sort_unstable();
            want.sort_unstable();
        }
        equal(&format!("{place}, before the barrier of {epoch:?}"), &got, &want)?;
    }
    Ok(())
}

/// Rows of a source that count: those before the place where the last life began, and those it gave.
pub(crate) fn read(run: &SimRun, source: &str, begun: &AtomicU64) -> u64 {
    let given = run.report.stage(source).map_or(0, |s| s.counts.rows_out);
    begun.load(Ordering::Relaxed) + given
}

/// Whether rows may have been shown that the last life knows nothing of: a run that is drained closes
/// its sinks, and a process that dies behind that goes on from its last checkpoint.
pub(crate) fn shown_before(run: &SimRun) -> bool {
    run.lives > 1 && run.effects.of(Fault::Drain) > 0
}

/// What is shown is what was due, each row once; at least once in a run of which the last life does
/// not know all.
pub(crate) fn shown<T: Copy + Debug + Ord>(
    run: &SimRun,
    place: &str,
    got: &[T],
    want: &[T],
) -> Result<(), String> {
    if !shown_before(run) {
        return equal(place, got, want);
    }
    let got: BTreeSet<&T> = got.iter().collect();
    match want.iter().find(|x| !got.contains(x)) {
        Some(x) => Err(format!("{place}: {x:?} is missing")),
        None => Ok(()),
    }
}

/// Two lists are one.
pub(crate) fn equal<T: Debug + PartialEq>(
    place: &str,
    got: &[T],
    want: &[T],
) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).position(|(g, w)| g != w).unwrap_or(got.len().min(want.len()));
    let (g, w) = (got.get(at), want.get(at));
    let (n, of) = (got.len(), want.len());
    Err(format!("{place}: row {at} of {n} is {g:?} instead of {w:?} of {of}"))
}
