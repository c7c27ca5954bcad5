//! Laws of the exchange by key: owners, order, sums, watermarks.

use super::kit::{BATCHES, KeyBy, Seen, Tape, by_shard, completed, every_way, fresh};
use crate::doubles::{CollectSink, Line, ScriptSource, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    ChannelDescriptor, ChannelOrdering, Ended, Engine, Route, RunOptions, Timestamp,
};
use std::collections::BTreeMap;

const N: u64 = 2_000;
const KEYS: u64 = 37;

pub(super) const BY_HASH: ChannelDescriptor = ChannelDescriptor {
    buffer: None,
    ordering: ChannelOrdering::PartitionOrdered,
    route: Route::Hash,
};

/// Every key has one owner among the shards, the rows of a key keep their order, and the rows of
/// the shards add up to the rows that went in. A fixed hash seed gives the same owners again.
pub fn every_key_has_one_owner_and_its_order(engine: &dyn Engine) {
    for mut options in every_way() {
        options.hash_seed = Some(11);
        for shards in 1..=3 {
            let (sink, shelf) = CollectSink::<u64>::new();
            let log = crate::doubles::Shelf::default();
            let mut p =
                HandPlan::from("in", VecSource::<u64>::new(0..N)).then("key", KeyBy(|r| r % KEYS));
            let taped = log.clone();
            let tape = p.many("tape", shards, move |_| Tape::onto(&taped));
            p.edge((1, 0), (tape, 0), BY_HASH);
            let out = p.sink("out", sink);
            p.join(tape, out);
            let report = engine.run_plan(p.plan(), fresh(&options));
            completed(&report);

            let mut owner = BTreeMap::new();
            let mut last = BTreeMap::new();
            let mut rows = 0;
            for (shard, row) in log.take().into_iter().filter_map(|(s, x)| Some((s, x.row()?))) {
                rows += 1;
                let key = row % KEYS;
                assert_eq!(*owner.entry(key).or_insert(shard), shard, "key {key} has two owners");
                let before = last.insert(key, row);
                assert!(before < Some(row), "key {key}: {row} after {before:?}");
                assert_eq!(flux_io_core::shard_of(flux_io_core::hash_of(&key, 11), shards), shard);
            }
            assert_eq!(rows, N);
            assert_eq!(report.stage("tape").map(|s| s.counts.rows_in), Some(N));
            let mut out = shelf.take();
            out.sort_unstable();
            assert_eq!(out, (0..N).collect::<Vec<_>>());
        }
    }
}

/// Each shard sees its rows and the watermarks between them as with batches of one row.
pub fn marks_keep_their_place_through_an_exchange(engine: &dyn Engine) {
    let lines: Vec<Line<u64>> = (0..400)
        .flat_map(|r| {
            let row = Line::At(r, Timestamp(r as i64));
            if r % 7 == 3 { vec![row, Line::Mark(Timestamp(r as i64))] } else { vec![row] }
        })
        .collect();
    for shards in 1..=3 {
        let mut first: Option<Vec<Vec<Seen>>> = None;
        for batch in BATCHES {
            for chain in [true, false] {
                let log = crate::doubles::Shelf::default();
                let (sink, _) = CollectSink::<u64>::new();
                let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines.clone()))
                    .then("key", KeyBy(|r| r % KEYS));
                let taped = log.clone();
                let tape = p.many("tape", shards, move |_| Tape::onto(&taped));
                p.edge((1, 0), (tape, 0), BY_HASH);
                let out = p.sink("out", sink);
                p.join(tape, out);
                let mut options = RunOptions::default().batch(batch).chain(chain);
                options.hash_seed = Some(5);
                completed(&engine.run_plan(p.plan(), options));
                let seen = by_shard(&log.take(), shards);
                for (s, one) in seen.iter().enumerate() {
                    let marks: Vec<_> = one.iter().filter(|x| matches!(x, Seen::Mark(_))).collect();
                    assert!(marks.is_sorted(), "shard {s}: {marks:?}");
                }
                let expected = first.get_or_insert_with(|| seen.clone());
                assert_eq!(&seen, expected, "{shards} shards, batches of {batch}");
            }
        }
    }
}

/// Rows that reach an exchange by key without hashes end the run: they are not lost in silence.
pub fn rows_without_hashes_are_refused(engine: &dyn Engine) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("in", VecSource::<u64>::new(0..N));
    let (_, log) = Tape::new();
    let tape = p.many("tape", 2, move |_| Tape::onto(&log));
    p.edge((0, 0), (tape, 0), BY_HASH);
    let out = p.sink("out", sink);
    p.join(tape, out);
    let report = engine.run_plan(p.plan(), RunOptions::default());
    assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
    assert!(report.failure.is_some_and(|f| f.error.what.contains("hash")), "says what is wrong");
    assert_eq!(shelf.closed(), 0);
}
