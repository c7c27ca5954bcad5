//! Laws of parallel stateless stages: what they give is in the order of what they got.

use super::kit::{BATCHES, OnBatch, Seen, Tape, completed};
use crate::doubles::{CollectSink, Line, ScriptSource};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, ChannelDescriptor, Engine, Epoch, Out, Route, RunOptions, Stage, StageCx, Step,
    Timestamp,
};

const N: u64 = 500;

pub(super) const IN_TURN: ChannelDescriptor = ChannelDescriptor {
    buffer: None,
    ordering: flux_io_core::ChannelOrdering::Ordered,
    route: Route::RoundRobin,
};

/// Gives each row times three; instances do different amounts of work per batch, and some batches
/// come to nothing.
fn triple(shard: u32) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> {
    OnBatch(move |input: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
        let mut marks = input.meta.marks.drain(..).peekable();
        for (i, row) in input.col.drain(..).enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                out.mark(m.watermark);
            }
            if row % 3 == u64::from(shard) && row % 5 == 0 {
                out.seal();
            }
            if row % 10 != 7 {
                out.batch().col.push(3 * row);
            }
        }
        marks.for_each(|m| out.mark(m.watermark));
        Ok(Step::Done)
    })
}

fn tripled() -> Vec<u64> {
    (0..N).filter(|r| r % 10 != 7).map(|r| 3 * r).collect()
}

/// The output of three instances of a stateless stage is in the order of its input.
pub fn parallel_instances_keep_the_order(engine: &dyn Engine) {
    for batch in BATCHES {
        for chain in [true, false] {
            for instances in 1..=4 {
                let (sink, shelf) = CollectSink::<u64>::new();
                let lines = (0..N).flat_map(|r| {
                    let cut = (r % 11 == 0).then_some(Line::Cut);
                    [Some(Line::Row(r)), cut].into_iter().flatten()
                });
                let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines));
                let many = p.many("triple", instances, triple);
                p.edge((0, 0), (many, 0), IN_TURN);
                let out = p.sink("out", sink);
                p.join(many, out);
                let report =
                    engine.run_plan(p.plan(), RunOptions::default().batch(batch).chain(chain));
                completed(&report);
                assert_eq!(shelf.take(), tripled(), "{instances} instances, batches of {batch}");
            }
        }
    }
}

/// Watermarks, policy versions and barriers stand between the same rows behind three instances as
/// behind one.
pub fn controls_keep_their_place_through_parallel_instances(engine: &dyn Engine) {
    for batch in BATCHES {
        for chain in [true, false] {
            let mut expected: Option<Vec<Seen>> = None;
            for instances in [1, 3] {
                let options = RunOptions::default().batch(batch).chain(chain);
                let lines: Vec<Line<u64>> = (0..200)
                    .flat_map(|r| {
                        let handle = options.handle.clone();
                        let asks = options.handle.clone();
                        let more = match r % 20 {
                            4 => vec![Line::Mark(Timestamp(r as i64))],
                            // Announced between two batches, so the batch ends here.
                            9 => vec![
                                Line::call(move || {
                                    _ = handle.policy();
                                }),
                                Line::Cut,
                            ],
                            14 => vec![
                                Line::call(move || {
                                    _ = asks.checkpoint();
                                }),
                                Line::Cut,
                            ],
                            17 => vec![Line::Cut, Line::Mark(Timestamp(r as i64)), Line::Cut],
                            _ => vec![],
                        };
                        [Line::At(r, Timestamp(r as i64))].into_iter().chain(more)
                    })
                    .collect();
                let (tape, log) = Tape::new();
                let (sink, _) = CollectSink::<u64>::new();
                let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines));
                let many = p.many("triple", instances, triple);
                p.edge((0, 0), (many, 0), IN_TURN);
                let tape = p.stage("tape", tape);
                p.join(many, tape);
                let out = p.sink("out", sink);
                p.join(tape, out);
                completed(&engine.run_plan(p.plan(), options));
                // One cut is under way at a time, so where the later ones stand depends on when the
                // first was through.
                let mut cuts = 0;
                let first = |s: &Seen| *s != Seen::Snapshot || std::mem::replace(&mut cuts, 1) == 0;
                let log = log.take().into_iter().map(|x| x.1).filter(first);
                let seen = super::kit::canonical(log);
                let policies = seen.iter().filter(|s| matches!(s, Seen::Policy(_))).count();
                assert!(policies >= 1 && seen.contains(&Seen::Policy(Epoch(10))), "{seen:?}");
                assert!(seen.contains(&Seen::Snapshot));
                let expected = expected.get_or_insert_with(|| seen.clone());
                assert_eq!(&seen, expected, "{instances} instances, batches of {batch}");
            }
        }
    }
}

/// Two parallel stages of three instances in a row, and a third of two behind them.
pub fn a_parallel_chain_keeps_the_order(engine: &dyn Engine) {
    for batch in BATCHES {
        for chain in [true, false] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let mut p = HandPlan::from("in", ScriptSource::<u64>::new((0..N).map(Line::Row)));
            let first = p.many("first", 3, triple);
            p.edge((0, 0), (first, 0), IN_TURN);
            let second = p.many("second", 3, |_| super::by_row(|r, out| out.push(r + 1)));
            p.join(first, second);
            let third = p.stage("third", super::by_row(|r, out| out.push(r - 1)));
            p.join(second, third);
            let out = p.sink("out", sink);
            p.join(third, out);
            completed(&engine.run_plan(p.plan(), RunOptions::default().batch(batch).chain(chain)));
            assert_eq!(shelf.take(), tripled(), "batches of {batch}");
        }
    }
}

/// Parallel stages that are each dealt their rows in turn keep the order too, whatever their numbers
/// of instances.
pub fn parallel_stages_dealt_in_turn_keep_the_order(engine: &dyn Engine) {
    for batch in BATCHES {
        for (a, b, c) in [(3, 3, 3), (3, 2, 4), (2, 5, 1)] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let mut p = HandPlan::from("in", ScriptSource::<u64>::new((0..N).map(Line::Row)));
            let mut last = 0;
            for (name, n) in [("first", a), ("second", b), ("third", c)] {
                let stage = p.many(name, n, |_| super::by_row(|r, out| out.push(r + 1)));
                p.edge((last, 0), (stage, 0), IN_TURN);
                last = stage;
            }
            let out = p.sink("out", sink);
            p.join(last, out);
            completed(&engine.run_plan(p.plan(), RunOptions::default().batch(batch)));
            assert_eq!(shelf.take(), (3..N + 3).collect::<Vec<_>>(), "{a}, {b}, {c}: {batch}");
        }
    }
}

/// Rows that go through parallel instances to a keyed exchange reach each shard in the order they
/// were read.
pub fn parallel_instances_feed_an_exchange_in_order(engine: &dyn Engine) {
    for batch in BATCHES {
        for chain in [true, false] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let log = crate::doubles::Shelf::default();
            let taped = log.clone();
            let mut p = HandPlan::from("in", ScriptSource::<u64>::new((0..N).map(Line::Row)));
            let keyed = p.many("key", 3, |_| super::KeyBy(|r| r % 5));
            p.edge((0, 0), (keyed, 0), IN_TURN);
            let tape = p.many("tape", 2, move |_| Tape::onto(&taped));
            p.edge((keyed, 0), (tape, 0), super::exchange::BY_HASH);
            let out = p.sink("out", sink);
            p.join(tape, out);
            completed(&engine.run_plan(p.plan(), RunOptions::default().batch(batch).chain(chain)));
            for shard in super::kit::by_shard(&log.take(), 2) {
                let rows: Vec<u64> = shard.into_iter().filter_map(Seen::row).collect();
                assert!(rows.is_sorted(), "{rows:?}");
            }
            assert_eq!(shelf.len() as u64, N);
        }
    }
}
