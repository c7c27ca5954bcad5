//! The doubles keep the laws of their contracts, and the laws are able to fail.

use flux_io_core::{Admission, CheckpointToken, Mark};
use flux_io_core::{
    Batch, ByteColumn, Column, ConsumerId, Cost, Epoch, Filled, FlowControl, IoCx, MemoryPool,
    Moment, Out, RangeColumn, ReserveError, Sink, Source, SpillError, SpillPlace, SpillStore,
    Stage, StageCx, StageError, Step, Timestamp, TransactionalSink, WindowBounds,
};
use flux_io_testkit::conformance::{
    column, engine, flow_control, key, memory_pool, sink, snapshot_store, source, spill_store,
    stage, transactional_sink,
};
use flux_io_testkit::doubles::{
    Books, BoundedPool, CollectSink, Fault, Faults, FlakySink, FlakySource, FlakySpill, Line,
    ManualEngine, MemorySnapshots, MemorySpill, ScriptSource, Shelf, TransactionalVec, VecSource,
};
use std::sync::Arc;

#[test]
fn columns_keep_their_laws() {
    column::laws(|| vec![String::from("a"), "b".into(), "c".into()], |s: &String| s.clone());
    column::laws(|| vec![1_u8, 2, 3, 4, 5, 6, 7], |x: &u8| *x);
    let lines = || {
        let mut c = ByteColumn::default();
        ["", "one", "zwei", "", "trois"].iter().for_each(|l| c.push(l.as_bytes()));
        c
    };
    column::laws(lines, |row: &[u8]| row.to_vec());
    column::laws(|| RangeColumn::new(5..12), |x: u64| x);
    let torn = || {
        // Two runs: rows that no longer lie in one.
        let mut c = RangeColumn::new(0..3);
        c.append(&mut RangeColumn::new(10..14));
        c
    };
    column::laws(torn, |x: u64| x);
}

#[test]
fn keys_keep_their_laws() {
    key::laws(&[0_u8, 1, 127, 128, 255]);
    key::laws(&[0_u64, 1, 255, 256, u64::MAX - 1, u64::MAX]);
    key::laws(&[0_u128, 1 << 64, u128::MAX]);
    key::laws(&[i32::MIN, -256, -1, 0, 1, 255, i32::MAX]);
    key::laws(&[i128::MIN, -1, 0, 1, i128::MAX]);
    let texts = ["", "a", "aa", "ab", "b", "\0", "\0\0", "a\0", "a\0b", "\u{10FFFF}"];
    key::laws(&texts.map(String::from));
    let bytes: Vec<Vec<u8>> =
        vec![vec![], vec![0], vec![0, 0], vec![0, 255], vec![255], vec![255, 0]];
    key::laws(&bytes);
    let mut pairs = Vec::new();
    for a in &bytes {
        pairs.extend(bytes.iter().map(|b| (a.clone(), b.clone())));
    }
    key::laws(&pairs);
    let nested: Vec<((String, i16), Vec<u8>)> =
        [("", -1, vec![0_u8]), ("a\0", 0, vec![]), ("a", 255, vec![0, 0, 255]), ("", 256, vec![])]
            .into_iter()
            .map(|(a, b, c)| ((a.to_owned(), b), c))
            .collect();
    key::laws(&nested);
}

#[test]
fn sources_keep_their_laws() {
    let view = |r: &u64| *r;
    source::laws(|| VecSource::<u64>::new(0..50), view);
    source::laws(|| VecSource::<u64>::new(0..50).ready(), view);
    source::laws(|| VecSource::<u64>::new([]), view);
    let script = || {
        let lines = (0..40_u64).flat_map(|r| match r % 4 {
            0 => vec![Line::Row(r), Line::Yield],
            1 => vec![Line::Until(Moment(r * 1_000)), Line::Row(r)],
            2 => vec![Line::Row(r), Line::Cut, Line::Mark(Timestamp(r as i64))],
            _ => vec![Line::Yield, Line::Yield, Line::Row(r)],
        });
        ScriptSource::<u64>::new(lines)
    };
    source::laws(script, view);
    let late = || FlakySource::new(VecSource::<u64>::new(0..50), Faults::at([(1, Fault::Late)]));
    source::laws(late, view);
}

#[test]
fn sinks_keep_their_laws() {
    let rows = || (0..30_u64).collect::<Vec<u64>>();
    let read = |s: &Shelf<u64>| s.rows();
    sink::laws(Shelf::default, CollectSink::onto, read, rows);
    let late = Faults::always(Fault::Late);
    sink::laws(Shelf::default, |s| FlakySink::new(CollectSink::onto(s), late.clone()), read, rows);
    sink::laws(Books::default, TransactionalVec::new, |b: &Books<u64>| b.visible(), rows);
}

#[test]
fn the_transactional_double_keeps_its_laws() {
    let rows = |n: u64| vec![n * 10, n * 10 + 1];
    transactional_sink::laws(
        Books::default,
        TransactionalVec::new,
        |b: &Books<u64>| b.visible(),
        rows,
    );
}

#[test]
fn stores_and_pools_keep_their_laws() {
    memory_pool::laws(|limit| Arc::new(BoundedPool::new(limit)));
    spill_store::laws(MemorySpill::new);
    snapshot_store::laws(MemorySnapshots::new);
}

/// What was spilled comes back, in any use and whichever call fails. The only store so far is the
/// kit's double. Row 281.
#[test]
fn spilled_frames_come_back() {
    spill_store::any_use_equals_the_model(&MemorySpill::new);
    spill_store::laws_of_failures(|call| {
        FlakySpill::new(MemorySpill::new(), Faults::at([(call, Fault::After(2))]))
    });
}

/// Keeps a frame although its append failed.
struct Keeps {
    inner: MemorySpill,
    fails: u32,
}

impl SpillStore for Keeps {
    fn append(&mut self, partition: u32, frame: &[u8]) -> Result<SpillPlace, SpillError> {
        let place = self.inner.append(partition, frame)?;
        self.fails = self.fails.wrapping_sub(1);
        if self.fails == u32::MAX {
            let source = std::io::ErrorKind::Other.into();
            return Err(SpillError { operation: "write", partition, offset: None, source });
        }
        Ok(place)
    }
    fn read(&mut self, p: u32, at: SpillPlace, out: &mut Vec<u8>) -> Result<(), SpillError> {
        self.inner.read(p, at, out)
    }
    fn replay(&mut self, p: u32, each: &mut dyn FnMut(&[u8])) -> Result<(), SpillError> {
        self.inner.replay(p, each)
    }
    fn free(&mut self, p: u32) -> Result<(), SpillError> {
        self.inner.free(p)
    }
    fn written(&self) -> u64 {
        self.inner.written()
    }
}

#[test]
#[should_panic(expected = "frames in order of append")]
fn a_store_that_keeps_what_it_refused_is_found() {
    spill_store::laws_of_failures(|fails| Keeps { inner: MemorySpill::new(), fails });
}

/// A spill store that is full refuses and keeps what it has.
#[test]
fn a_full_spill_store_refuses() {
    let mut store = MemorySpill::with_room(10);
    let place = store.append(1, b"12345678").expect("it fits");
    let e = store.append(1, b"901").expect_err("it is full");
    assert_eq!(e.to_string(), "spill write of partition 1 failed");
    let mut out = Vec::new();
    store.read(1, place, &mut out).expect("what was written stays");
    assert_eq!((out, store.written()), (b"12345678".to_vec(), 8));
}

/// Running maximum with an emission at every watermark.
struct Peaks(u64);

impl Stage for Peaks {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let marks = std::mem::take(&mut input.meta.marks);
        let mut marks = marks.iter().peekable();
        let mut used = 0;
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                out.batch().col.push(self.0);
                out.mark(m.watermark);
            }
            if out.is_full() {
                break;
            }
            self.0 = self.0.max(*row);
            out.batch().col.push(*row);
            out.seal_if_full();
            used = i + 1;
        }
        let rest = input.col.len() - used;
        input.col.drain(..used);
        if rest > 0 {
            let left = |m: &Mark| Mark { at: m.at - used as u32, ..*m };
            input.meta.marks = marks.map(left).collect();
            return Ok(Step::Yield);
        }
        for m in marks {
            out.batch().col.push(self.0);
            out.mark(m.watermark);
        }
        Ok(Step::Done)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend_from_slice(&self.0.to_le_bytes());
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let bytes = from.try_into().map_err(|_| StageError::permanent("not of this stage"))?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

fn marked() -> Batch<Vec<u64>> {
    let mut b = Batch::of((0..40).map(|i| (i * 7) % 31).collect::<Vec<u64>>());
    b.meta.window = Some(WindowBounds { start: Timestamp(0), end: Timestamp(9) });
    b.meta.marks = [0, 3, 7, 8, 20, 40]
        .map(|at| Mark { at, watermark: Timestamp(i64::from(at) + 1) })
        .to_vec();
    b
}

#[test]
fn a_stage_keeps_its_laws() {
    stage::laws(|| Peaks(0), marked);
}

/// A gate of so many bytes at once, as a policy.
struct Tokens {
    limit: i64,
    free: i64,
}

impl FlowControl for Tokens {
    fn admit(&mut self, cost: Cost, _now: Moment) -> Admission {
        let c = (cost.bytes as i64).min(self.limit);
        if c > self.free {
            return Admission::Wait;
        }
        self.free -= c;
        Admission::Admit
    }
    fn release(&mut self, cost: Cost, _now: Moment) {
        self.free += (cost.bytes as i64).min(self.limit);
    }
    fn balance(&self) -> Option<i64> {
        Some(self.free)
    }
}

const COSTS: [Cost; 3] = [
    Cost { bytes: 1, cpu_hint: 0 },
    Cost { bytes: 60, cpu_hint: 0 },
    Cost { bytes: 5_000, cpu_hint: 0 },
];

#[test]
fn a_policy_keeps_its_laws() {
    flow_control::laws(|| Box::new(Tokens { limit: 100, free: 100 }), &COSTS);
}

/// The smallest engine keeps the laws that need no other thread.
#[test]
fn the_manual_engine_keeps_the_laws() {
    let e = ManualEngine::new();
    engine::order::rows_keep_their_order(&e);
    engine::exchange::marks_keep_their_place_through_an_exchange(&e);
    engine::checkpoint::a_restored_run_goes_on_where_the_cut_was(&e);
    engine::virtual_time_laws(&e);
    assert_eq!(e.stuck(), 0);
}

mod broken {
    //! Each double here breaks one law on purpose; the law must say so.

    use super::*;

    /// Loses the row it holds in hands when it is dropped.
    struct Careless(VecSource<u64>);

    impl Source for Careless {
        type Col = Vec<u64>;
        async fn fill(
            &mut self,
            out: &mut Batch<Vec<u64>>,
            cx: &IoCx,
        ) -> Result<Filled, StageError> {
            let mut own = Batch::default();
            let filled = self.0.fill(&mut own, cx).await?;
            flux_io_testkit::doubles::YieldOnce::default().await;
            out.col.append(&mut own.col);
            Ok(filled)
        }
    }

    #[test]
    #[should_panic(expected = "one batch kept")]
    fn a_source_that_loses_rows_when_dropped() {
        source::a_dropped_call_loses_nothing(&|| Careless(VecSource::new(0..9)), &|r: &u64| *r);
    }

    /// Starts over whatever it is told.
    struct Forgetful(VecSource<u64>);

    impl Source for Forgetful {
        type Col = Vec<u64>;
        async fn fill(
            &mut self,
            out: &mut Batch<Vec<u64>>,
            cx: &IoCx,
        ) -> Result<Filled, StageError> {
            self.0.fill(out, cx).await
        }
        fn position(&self) -> Option<CheckpointToken> {
            Some(CheckpointToken(Vec::new()))
        }
        fn seek(&mut self, _: &CheckpointToken) -> Result<(), StageError> {
            Ok(())
        }
    }

    #[test]
    #[should_panic(expected = "stopped behind")]
    fn a_source_that_forgets_its_place() {
        source::positions_resume_exactly(&|| Forgetful(VecSource::new(0..9)), &|r: &u64| *r);
    }

    /// Takes the rows again when its write was dropped.
    struct Twice(CollectSink<u64>);

    impl Sink for Twice {
        type Col = Vec<u64>;
        async fn write(&mut self, b: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<(), StageError> {
            let mut copy = b.clone();
            self.0.write(&mut copy, cx).await?;
            flux_io_testkit::doubles::YieldOnce::default().await;
            b.clear();
            Ok(())
        }
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn a_sink_that_doubles_rows_when_dropped() {
        let make = |s: &Shelf<u64>| Twice(CollectSink::onto(s));
        sink::laws(Shelf::default, make, |s| s.rows(), || vec![1, 2, 3]);
    }

    /// Shows rows as soon as they are prepared.
    struct Hasty(TransactionalVec<u64>);

    impl Sink for Hasty {
        type Col = Vec<u64>;
        async fn write(&mut self, b: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<(), StageError> {
            self.0.write(b, cx).await
        }
        async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
            self.0.close(cx).await
        }
        async fn prepare(&mut self, e: Epoch, cx: &IoCx) -> Result<(), StageError> {
            self.0.prepare(e, cx).await?;
            self.0.commit(e, cx).await
        }
        async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
            self.0.recover(done, cx).await
        }
    }

    impl TransactionalSink for Hasty {}

    #[test]
    #[should_panic(expected = "prepared only")]
    fn a_sink_that_commits_at_the_barrier() {
        let make = |b: &Books<u64>| Hasty(TransactionalVec::new(b));
        transactional_sink::laws(Books::default, make, |b| b.visible(), |n| vec![n]);
    }

    /// Grants whatever is asked for.
    struct Generous(BoundedPool);

    impl MemoryPool for Generous {
        fn register(&self, name: &str) -> ConsumerId {
            self.0.register(name)
        }
        fn try_grow(&self, c: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
            drop(self.0.try_grow(c, bytes));
            Ok(())
        }
        fn shrink(&self, c: ConsumerId, bytes: u64) {
            self.0.shrink(c, bytes);
        }
        fn reserved(&self) -> u64 {
            self.0.reserved()
        }
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn a_pool_that_grants_too_much() {
        memory_pool::laws(|limit| Arc::new(Generous(BoundedPool::new(limit))));
    }

    /// B40: a batch above the whole limit waits for ever.
    struct Strict(i64);

    impl FlowControl for Strict {
        fn admit(&mut self, cost: Cost, _now: Moment) -> Admission {
            if cost.bytes as i64 > self.0 {
                return Admission::Wait;
            }
            self.0 -= cost.bytes as i64;
            Admission::Admit
        }
        fn release(&mut self, cost: Cost, _now: Moment) {
            self.0 += cost.bytes as i64;
        }
    }

    #[test]
    #[should_panic(expected = "nothing outstanding")]
    fn a_policy_that_lets_a_batch_wait_for_itself() {
        flow_control::laws(|| Box::new(Strict(100)), &COSTS);
    }

    /// Emits once a batch instead of once a row.
    struct PerBatch;

    impl Stage for PerBatch {
        type In = Vec<u64>;
        type Out = Vec<u64>;
        fn on_batch(
            &mut self,
            input: &mut Batch<Vec<u64>>,
            out: &mut Out<'_, Vec<u64>>,
            _cx: &mut StageCx<'_>,
        ) -> Result<Step, StageError> {
            out.batch().col.push(input.col.iter().sum());
            Ok(Step::Done)
        }
    }

    #[test]
    #[should_panic(expected = "batches of 2 rows")]
    fn a_stage_that_depends_on_its_batches() {
        stage::laws(|| PerBatch, marked);
    }

    /// Keeps nothing in its snapshot.
    struct Amnesiac(u64);

    impl Stage for Amnesiac {
        type In = Vec<u64>;
        type Out = Vec<u64>;
        fn on_batch(
            &mut self,
            input: &mut Batch<Vec<u64>>,
            out: &mut Out<'_, Vec<u64>>,
            _cx: &mut StageCx<'_>,
        ) -> Result<Step, StageError> {
            for r in input.col.drain(..) {
                self.0 += r;
                out.batch().col.push(self.0);
            }
            Ok(Step::Done)
        }
    }

    #[test]
    #[should_panic(expected = "stopped behind part")]
    fn a_stage_that_forgets_its_state() {
        stage::a_restored_stage_goes_on(&|| Amnesiac(0), &marked);
    }

    /// Orders numbers by their little end.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Backwards(u16);

    impl flux_io_core::Key for Backwards {
        fn write_bytes(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
        }
        fn read_bytes(b: &[u8]) -> Option<Self> {
            Some(Self(u16::from_le_bytes(b.try_into().ok()?)))
        }
        fn cmp_bytes(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }

    #[test]
    #[should_panic(expected = "Backwards")]
    fn a_key_whose_order_is_not_that_of_its_bytes() {
        key::laws(&[Backwards(1), Backwards(256)]);
    }

    /// Counts a row too many.
    #[derive(Default)]
    struct Boastful(Vec<u8>);

    impl Column for Boastful {
        type Ref<'a> = u8;
        type Mut<'a> = u8;
        fn rows(&self) -> usize {
            self.0.len()
        }
        fn row(&self, i: usize) -> u8 {
            self.0[i]
        }
        fn row_mut(&mut self, i: usize) -> u8 {
            self.0[i]
        }
        fn clear(&mut self) {
            self.0.clear();
        }
        fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
            // Backwards: the order per destination is lost.
            while let Some(x) = self.0.pop() {
                outs[to[self.0.len()] as usize].0.push(x);
            }
        }
        fn append(&mut self, other: &mut Self) {
            self.0.append(&mut other.0);
        }
    }

    #[test]
    #[should_panic(expected = "part 0")]
    fn a_column_that_scatters_backwards() {
        column::laws(|| Boastful(vec![1, 2, 3]), |x: u8| x);
    }
}
