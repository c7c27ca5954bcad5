//! Stages: their life, what they know, the ways a row may leave them, and batches of any size.

use crate::kit::{check, with_cx};
use flux_io_core::{
    Batch, ByHand, Column, ColumnType, Control, Counts, Draws, Epoch, Erased, ErrorClass, Hints,
    Moment, Node, Out, Outbox, Parcel, Removed, Seq, Stage, StageCx, StageError, StageHome,
    StageId, Step, Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::any;
use std::time::Duration;

/// Running sums: one row out for each row in, and the count at the end. Yields when it is full.
#[derive(Default)]
struct Sums {
    sum: u64,
    rows: u64,
    calls: Vec<&'static str>,
}

impl Stage for Sums {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_start(&mut self, _cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.calls.push("start");
        Ok(())
    }
    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls.push("batch");
        while !input.is_empty() {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            self.sum += input.col.remove(0);
            self.rows += 1;
            out.batch().col.push(self.sum);
            out.seal_if_full();
        }
        Ok(Step::Done)
    }
    fn on_watermark(
        &mut self,
        _w: Timestamp,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls.push("watermark");
        Ok(Step::Done)
    }
    fn on_end(
        &mut self,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls.push("end");
        out.batch().col.push(self.rows);
        Ok(Step::Done)
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend_from_slice(&self.sum.to_le_bytes());
        Ok(())
    }
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let bytes = from.try_into().map_err(|_| StageError::permanent("not a sum"))?;
        self.sum = u64::from_le_bytes(bytes);
        Ok(())
    }
}

fn sums(rows: &[u64], cut: usize, max_rows: usize) -> Vec<u64> {
    let mut hand = ByHand::bounded(Sums::default(), StageHome::alone("sums"), max_rows);
    let mut all = Vec::new();
    for part in rows.chunks(cut) {
        all.extend(hand.feed(Batch::of(part.to_vec())).unwrap());
    }
    all.extend(hand.end().unwrap());
    all
}

/// Row 15. Records one by one and batches of any size give the same from the same stage, whatever
/// the size of its output.
#[test]
fn batches_of_one_and_of_many_agree() {
    check(15, &(vec(0..1_000u64, 0..40), 1..9usize, 1..9usize), |(rows, cut, max_rows)| {
        let want: Vec<u64> = rows
            .iter()
            .scan(0, |sum, x| {
                *sum += x;
                Some(*sum)
            })
            .chain([rows.len() as u64])
            .collect();
        assert_eq!(sums(&rows, 1, usize::MAX), want, "record mode");
        assert_eq!(sums(&rows, cut, max_rows), want, "batches of {cut}, output of {max_rows}");
    });
}

/// Row 16. A stage is started once before anything else, gets its batches and watermarks, and ends.
#[test]
fn a_stage_lives_in_order() {
    let mut hand = ByHand::new(Sums::default());
    let mut b = Batch::of(vec![1, 2]);
    b.mark(Timestamp(5));
    assert_eq!(hand.feed(b).unwrap(), [1, 3]);
    hand.watermark(Timestamp(6)).unwrap();
    assert_eq!(hand.feed(Batch::of(vec![4])).unwrap(), [7]);
    assert_eq!(hand.end().unwrap(), [3]);
    assert_eq!(hand.stage.calls, ["start", "batch", "watermark", "watermark", "batch", "end"]);
    let mut unused = ByHand::new(Sums::default());
    assert_eq!(unused.end().unwrap(), [0]);
    assert_eq!(unused.stage.calls, ["start", "end"]);
}

/// Row 16. What a stage may leave out has a harmless answer.
#[test]
fn defaults_do_nothing() {
    let mut node = Erased(Plain);
    let mut bytes = vec![7];
    node.snapshot(&mut bytes).unwrap();
    node.restore(&[1, 2]).unwrap();
    assert_eq!(bytes, [7], "a stateless stage appends nothing");
    assert!(node.ledger().is_none() && node.gauge().is_none());
    assert!(node.accepts(3) && node.in_flight() == 0);
    node.counts(&mut |_, _| panic!("nothing fused"));
    with_cx(|cx| {
        let mut outs = [Outbox::new(ColumnType::of::<Vec<u8>>(), 1)];
        assert_eq!(node.on_watermark(Timestamp(1), &mut outs, cx).unwrap(), Step::Done);
        assert_eq!(node.on_timer(&mut outs, cx).unwrap(), Step::Done);
        assert_eq!(node.on_input_end(0, &mut outs, cx).unwrap(), Step::Done);
        assert_eq!(node.on_end(&mut outs, cx).unwrap(), Step::Done);
        node.on_policy(Epoch(1), cx).unwrap();
        let all = flux_io_core::Command::FlushAll;
        assert!(!node.on_command(&all, &mut outs, cx).unwrap(), "not understood here");
        assert!(outs[0].is_drained());
    });
}

struct Plain;

impl Stage for Plain {
    type In = Vec<u8>;
    type Out = Vec<u8>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u8>>,
        out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }
}

/// Rows 16, 317. A stage that is given another's snapshot goes on where that one stood, and refuses
/// foreign bytes.
#[test]
fn a_snapshot_goes_on() {
    let mut first = ByHand::new(Sums::default());
    first.feed(Batch::of(vec![5, 6])).unwrap();
    let mut bytes = Vec::new();
    first.stage.snapshot(&mut bytes).unwrap();
    let mut second = ByHand::new(Sums::default());
    second.stage.restore(&bytes).unwrap();
    assert_eq!(second.feed(Batch::of(vec![1])).unwrap(), first.feed(Batch::of(vec![1])).unwrap());
    assert!(second.stage.restore(b"x").is_err());
}

/// What the context says, taken down at start.
#[derive(Default)]
struct Where(Option<(String, StageId, u32, u32, u64, Moment)>);

impl Stage for Where {
    type In = Vec<u8>;
    type Out = Vec<u8>;

    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let h = cx.home();
        self.0 = Some((h.name.clone(), h.id, h.shard, h.shards, h.hash_seed, cx.now()));
        Ok(())
    }
    fn on_batch(
        &mut self,
        _input: &mut Batch<Vec<u8>>,
        _out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        Ok(Step::Done)
    }
}

/// Row 17. A stage knows its name, number, instance and seed, and the time; without a budget its
/// reservation never refuses.
#[test]
fn a_stage_knows_where_it_stands() {
    let home = StageHome {
        id: StageId(4),
        shard: 1,
        shards: 3,
        hash_seed: 9,
        ..StageHome::alone("parse")
    };
    assert_eq!(format!("{home:?}"), "StageHome(parse 1/3)");
    let mut hand = ByHand::at_home(Where::default(), home);
    hand.feed(Batch::of(vec![1])).unwrap();
    let want = ("parse".to_owned(), StageId(4), 1, 3, 9, Moment::START);
    assert_eq!(hand.stage.0, Some(want));
    assert_eq!(hand.hash("k"), flux_io_core::hash_of("k", 9));
    assert!(with_cx(|cx| cx.reservation().try_grow(u64::MAX).is_ok()));
    assert_eq!(with_cx(|cx| format!("{cx:?}")), "StageCx(by hand #0 at Moment(0))");
}

/// Row 18. Purity is declared by hints, never guessed; nothing is declared by default.
#[test]
fn purity_is_declared() {
    let h = Hints::default();
    assert!(!h.pure && !h.stateful && !h.fusion_barrier && !h.waits && !h.exact_seq);
    assert_eq!((h.cpu, h.rows_out_per_in, h.engine), (0, None, None));
    let pure = Hints { pure: true, ..Hints::default() };
    assert_ne!(pure, Hints::default());
}

/// Row 18. The same input in the same state gives the same output: a stage depends on its input,
/// the times and draws of its context, and nothing else.
#[test]
fn a_stage_repeats() {
    check(18, &vec(any::<u32>(), 0..20), |rows| {
        let rows: Vec<u64> = rows.into_iter().map(u64::from).collect();
        assert_eq!(sums(&rows, 3, 4), sums(&rows, 3, 4));
    });
}

/// Asks for deadlines as its rows say.
struct Alarms(Vec<u64>);

impl Stage for Alarms {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for at in input.col.drain(..) {
            if at == 0 {
                cx.cancel_wake();
            } else {
                cx.wake_at(Moment(at));
                self.0.push(at);
            }
        }
        Ok(Step::Done)
    }
    fn on_timer(
        &mut self,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.sort_unstable();
        let due = self.0.iter().filter(|t| **t <= cx.now().0).count();
        out.batch().col.extend(self.0.drain(..due));
        if let Some(&next) = self.0.first() {
            cx.wake_at(Moment(next));
        }
        Ok(Step::Done)
    }
}

/// Rows 17, 119. A stage has one pending deadline, the earliest asked for; deadlines fire in order
/// at their own moments, and the clock never goes back.
#[test]
fn deadlines_fire_in_order() {
    let mut hand = ByHand::new(Alarms(Vec::new()));
    hand.feed(Batch::of(vec![30, 10, 20])).unwrap();
    assert_eq!(hand.deadline(), Some(Moment(10)));
    assert!(hand.advance(Moment(9)).unwrap().is_empty());
    assert_eq!(hand.advance(Moment(20)).unwrap(), [10, 20]);
    assert!(hand.advance(Moment(5)).unwrap().is_empty());
    assert_eq!(hand.now(), Moment(20));
    hand.feed(Batch::of(vec![0])).unwrap();
    assert_eq!(hand.deadline(), None);
    assert!(hand.advance(Moment(99)).unwrap().is_empty(), "withdrawn");
}

/// The five commands of a stream function, by row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Say {
    Emit(u8),
    EmitMany(u8, usize),
    Consume,
    Complete,
    Error,
}

#[derive(Default)]
struct Obey {
    done: bool,
}

impl Stage for Obey {
    type In = Vec<Say>;
    type Out = Vec<u8>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Say>>,
        out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        while !self.done && !input.is_empty() {
            match input.col.remove(0) {
                Say::Emit(x) => out.batch().col.push(x),
                Say::EmitMany(x, n) => out.batch().col.extend(vec![x; n]),
                Say::Consume => {}
                Say::Complete => {
                    self.done = true;
                    out.control(Control::End);
                }
                Say::Error => return Err(StageError::permanent("told to fail")),
            }
        }
        Ok(Step::Done)
    }
}

fn obey(rows: &[Say]) -> (Result<Step, ErrorClass>, Vec<u8>, Vec<Control>) {
    let mut node = Erased(Obey::default());
    let mut outs = [Outbox::new(ColumnType::of::<Vec<u8>>(), 100)];
    let mut input = flux_io_core::AnyBatch::new(Batch::of(rows.to_vec()));
    let said = with_cx(|cx| node.on_batch(0, &mut input, &mut outs, cx).map_err(|e| e.class));
    outs[0].seal();
    let (mut got, mut controls) = (Vec::new(), Vec::new());
    while let Some(p) = outs[0].pop() {
        match p {
            Parcel::Batch(b) => got.extend(&b.get::<Vec<u8>>().unwrap().col),
            Parcel::Control(c) => controls.push(c),
        }
    }
    (said, got, controls)
}

/// Row 327. The commands of a stream function are ways of a stage: one row, several, none, an early
/// end behind the rows so far, a failure.
#[test]
fn stream_commands_are_ways_of_a_stage() {
    use Say::{Complete, Consume, Emit, EmitMany, Error};
    assert_eq!(obey(&[Emit(1)]), (Ok(Step::Done), vec![1], vec![]));
    assert_eq!(obey(&[EmitMany(2, 3), EmitMany(5, 0)]), (Ok(Step::Done), vec![2; 3], vec![]));
    assert_eq!(obey(&[Consume, Consume]), (Ok(Step::Done), vec![], vec![]));
    let early = obey(&[Emit(1), Complete, Emit(9)]);
    assert_eq!(early, (Ok(Step::Done), vec![1], vec![Control::End]));
    let failed = obey(&[Emit(1), Error, Emit(9)]);
    assert_eq!(failed, (Err(ErrorClass::Permanent), vec![1], vec![]));
}

/// Gives the watermark on, moves it into the output at once.
struct Marks;

impl Stage for Marks {
    type In = Vec<u8>;
    type Out = Vec<u8>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u8>>,
        out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.mark(w.minus(Duration::from_nanos(1)));
        Ok(Step::Done)
    }
}

/// Row 113. Watermarks come out where a stage puts them, with rows or without, and never go back.
#[test]
fn watermarks_come_out() {
    let mut hand = ByHand::new(Marks);
    assert_eq!(hand.watermark_out(), None);
    let mut b = Batch::of(vec![1]);
    b.meta.seq = Seq::Run(5);
    b.mark(Timestamp(10));
    assert_eq!(hand.feed(b).unwrap(), [1]);
    assert_eq!(hand.watermark_out(), Some(Timestamp(10)), "it travelled with its batch");
    assert!(hand.watermark(Timestamp(21)).unwrap().is_empty());
    assert_eq!(hand.watermark_out(), Some(Timestamp(20)));
    hand.watermark(Timestamp(3)).unwrap();
    assert_eq!(hand.watermark_out(), Some(Timestamp(20)));
}

/// Row 181. A draw lies below its bound, every value of a small one comes, and a seed fixes all.
#[test]
fn draws_lie_below_their_bound() {
    check(182, &(any::<u64>(), any::<u32>()), |(seed, n)| {
        let (mut a, mut b) = (Draws(seed), Draws(seed));
        for _ in 0..20 {
            let x = a.below(n);
            assert!(x < n.max(1));
            assert_eq!(x, b.below(n));
        }
        assert_eq!(a, b);
        assert_eq!(a.below(0), 0);
    });
    let mut d = Draws(1);
    let mut hit = [0u32; 7];
    (0..7_000).for_each(|_| hit[d.below(7) as usize] += 1);
    assert!(hit.iter().all(|n| (800..1_200).contains(n)), "{hit:?}");
    // The first outputs of splitmix64 from state 0, as its reference implementation gives them.
    let mut zero = Draws(0);
    assert_eq!(zero.next_u64(), 0xE220_A839_7B1D_CDAF);
    assert_eq!(zero.next_u64(), 0x6E78_9E6A_A1B9_65F4);
}

/// Row 204. Counts add up by field, and removed rows by cause.
#[test]
fn counts_add_up() {
    let c = |a, b, f| Counts { rows_in: a, rows_out: b, failed: f };
    assert_eq!(c(1, 2, 3).plus(c(10, 20, 30)), c(11, 22, 33));
    let mut r = Removed::default();
    assert!(r.is_empty());
    r.drop_rows("skip", 1);
    r.drop_rows("late", 2);
    r.drop_rows("skip", 4);
    assert_eq!(r.dropped, [("skip", 5), ("late", 2)]);
    assert!(!r.is_empty());
}

/// Row 15. A keyed feed carries one hash a row, as `key_by` would.
#[test]
fn a_keyed_feed_carries_hashes() {
    struct Hashes(Vec<u64>);
    impl Stage for Hashes {
        type In = Vec<u64>;
        type Out = Vec<u64>;
        fn on_batch(
            &mut self,
            input: &mut Batch<Vec<u64>>,
            _out: &mut Out<'_, Vec<u64>>,
            _cx: &mut StageCx<'_>,
        ) -> Result<Step, StageError> {
            self.0.extend(&input.meta.hash);
            Ok(Step::Done)
        }
    }
    let key = flux_io_core::ByValue(|r: &u64| (*r > 0).then_some(*r));
    let mut hand = ByHand::new(Hashes(Vec::new()));
    hand.feed_keyed(Batch::of(vec![1, 0, 1]), &key).unwrap();
    let h = flux_io_core::hash_of(&1u64, 0);
    assert_eq!(hand.stage.0, [h, flux_io_core::UNKEYED, h]);
    assert_eq!(Vec::<u64>::row_bytes(), 8);
}
