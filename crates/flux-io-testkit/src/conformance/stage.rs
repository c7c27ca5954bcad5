//! Laws of a [`Stage`] whose output does not depend on the clock.

use crate::doubles::{ManualEngine, Shelf};
use crate::plans::HandPlan;
use flux_io_core::{
    AnyBatch, Batch, ByHand, Column, Ended, Filled, IoCx, Mark, RunOptions, Sink, Source, Stage,
    StageError, Timestamp,
};
use std::fmt::Debug;

/// Checks all laws of this module. `make` makes the stage anew; `input` gives its whole input, the
/// same every time, with times, hashes and marks as the stage expects them.
pub fn laws<S>(make: impl Fn() -> S, input: impl Fn() -> Batch<S::In>)
where
    S: Stage + 'static,
    S::Out: PartialEq + Debug,
{
    the_split_into_batches_does_not_matter(&make, &input);
    a_full_output_is_waited_for(&make, &input);
    a_restored_stage_goes_on(&make, &input);
}

/// Splits a batch into parts of `rows` rows; marks stay between the same rows.
pub fn split<C: Column>(batch: Batch<C>, rows: usize) -> Vec<Batch<C>> {
    let n = batch.len();
    let marks = batch.meta.marks.clone();
    let to: Vec<u32> = (0..n).map(|i| (i / rows.max(1)) as u32).collect();
    let mut whole = AnyBatch::new(batch);
    whole.meta_mut().marks.clear();
    let count = to.last().map_or(1, |p| *p as usize + 1);
    let mut parts: Vec<AnyBatch> = (0..count).map(|_| whole.empty()).collect();
    assert_eq!(whole.scatter(&to, &mut parts), Ok(()));
    // A mark goes to the part whose rows end with it, or at the front of the next.
    for m in marks {
        let last = parts.len() - 1;
        let p = (m.at as usize).saturating_sub(1) / rows.max(1);
        let part = &mut parts[p.min(last)];
        let at = m.at - (p.min(last) * rows.max(1)) as u32;
        part.meta_mut().marks.push(Mark { at, watermark: m.watermark });
    }
    let typed = |mut b: AnyBatch| b.get_mut::<C>().map(std::mem::take).unwrap_or_default();
    parts.into_iter().map(typed).collect()
}

fn feed_all<S: Stage>(stage: &mut ByHand<S>, parts: Vec<Batch<S::In>>, out: &mut S::Out) {
    for p in parts {
        let fed = stage.feed(p);
        let mut rows = fed.unwrap_or_else(|e| super::broken(&flux_io_core::chain(&e)));
        out.append(&mut rows);
    }
}

fn end<S: Stage>(stage: &mut ByHand<S>, out: &mut S::Out) {
    let ended = stage.end();
    let mut rows = ended.unwrap_or_else(|e| super::broken(&flux_io_core::chain(&e)));
    out.append(&mut rows);
}

fn whole<S: Stage>(make: &impl Fn() -> S, parts: Vec<Batch<S::In>>) -> (S::Out, Option<Timestamp>) {
    let mut stage = ByHand::new(make());
    let mut out = S::Out::default();
    feed_all(&mut stage, parts, &mut out);
    end(&mut stage, &mut out);
    (out, stage.watermark_out())
}

/// The output is that of batches of one row, however the input is split.
pub fn the_split_into_batches_does_not_matter<S>(
    make: &impl Fn() -> S,
    input: &impl Fn() -> Batch<S::In>,
) where
    S: Stage,
    S::Out: PartialEq + Debug,
{
    let one_by_one = whole(make, split(input(), 1));
    for rows in [2, 3, 7, input().len().max(1)] {
        assert_eq!(whole(make, split(input(), rows)), one_by_one, "batches of {rows} rows");
    }
}

/// The stage stopped after any part and restored from its snapshot gives what it would have given
/// without the stop.
pub fn a_restored_stage_goes_on<S>(make: &impl Fn() -> S, input: &impl Fn() -> Batch<S::In>)
where
    S: Stage,
    S::Out: PartialEq + Debug,
{
    let rows = input().len().div_ceil(8).max(1);
    let (expected, _) = whole(make, split(input(), rows));
    for cut in 0..=split(input(), rows).len() {
        let mut before = split(input(), rows);
        let after = before.split_off(cut);
        let mut out = S::Out::default();
        let mut first = ByHand::new(make());
        feed_all(&mut first, before, &mut out);
        let mut bytes = Vec::new();
        let kept = first.stage.snapshot(&mut bytes);
        assert!(kept.is_ok(), "{kept:?}");
        let mut second = ByHand::new(make());
        // `restore` comes behind `on_start`, which the first call makes.
        feed_all(&mut second, vec![Batch::default()], &mut out);
        if !bytes.is_empty() {
            let restored = second.stage.restore(&bytes);
            assert!(restored.is_ok(), "{restored:?}");
        }
        feed_all(&mut second, after, &mut out);
        end(&mut second, &mut out);
        assert_eq!(out, expected, "stopped behind part {cut}");
    }
}

/// Gives batches as they are.
struct Parts<C>(Shelf<Batch<C>>);

impl<C: Column> Source for Parts<C> {
    type Col = C;

    async fn fill(&mut self, out: &mut Batch<C>, _cx: &IoCx) -> Result<Filled, StageError> {
        if let Some(b) = self.0.take_first() {
            *out = b;
        }
        Ok(if self.0.is_empty() { Filled::End } else { Filled::More })
    }
}

/// Keeps columns as they come.
struct Columns<C>(Shelf<C>);

impl<C: Column> Sink for Columns<C> {
    type Col = C;

    async fn write(&mut self, batch: &mut Batch<C>, _cx: &IoCx) -> Result<(), StageError> {
        self.0.put(std::mem::take(&mut batch.col));
        Ok(())
    }
}

/// With outputs that are full after one row, the stage yields and goes on where it was: the same
/// rows come out, and a yield never comes while there is room (the driver calls that a fault).
pub fn a_full_output_is_waited_for<S>(make: &impl Fn() -> S, input: &impl Fn() -> Batch<S::In>)
where
    S: Stage + 'static,
    S::Out: PartialEq + Debug,
{
    let (expected, _) = whole(make, split(input(), 5));
    for (rows, chain) in [(1, true), (1, false), (3, false)] {
        let shelf = Shelf::default();
        let parts = Shelf::default();
        split(input(), 5).into_iter().for_each(|b| parts.put(b));
        let plan = HandPlan::from("input", Parts(parts))
            .capacity(1)
            .then("stage", make())
            .into("output", Columns(shelf.clone()))
            .plan();
        let run = ManualEngine::new().watch(plan, &RunOptions::default().batch(rows).chain(chain));
        assert_eq!(run.report.ended, Ended::Completed, "{:?}", run.report.failure);
        let mut out = S::Out::default();
        shelf.take().iter_mut().for_each(|c| out.append(c));
        assert_eq!(out, expected, "with outputs of {rows} rows");
    }
}
