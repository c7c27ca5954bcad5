//! How results leave: bounded, with watermarks at their places, with originals of what failed.

use crate::kit::{Piece, at, batch, blueprint, key_of, ns, of, pair, text};
use flux_io_accumulate::{After, Assembly, Keep, Require};
use flux_io_core::{
    Always, Batch, ByHand, Class, Column, Command, DeadCause, ErrorKind, KeyOf, Mark, Moment, Out,
    Outcome, Reply, Seq, SourceId, Stage, StageCx, StageError, StageHome, Step, Timestamp, Var,
    Why, push_mark,
};

fn key(r: &(u32, u16)) -> u32 {
    r.0
}

type Pair = (u32, u16);

/// A pair of variables a key; the state counts rows.
fn counting(
    ttl: u64,
) -> flux_io_accumulate::Blueprint<
    Vec<Pair>,
    impl KeyOf<Vec<Pair>, Key = u32>,
    impl flux_io_core::Accumulate<Vec<Pair>, Key = u32, State = u32, Out = u32>,
> {
    Assembly::<Vec<Pair>, u32>::new()
        .require(Require::all(["a", "b"]))
        .on_complete(After::Remove)
        .expire_after(ns(ttl))
        .var(|r| Var::one(r.1))
        .merge(|n: &mut u32, _| *n += 1)
        .accumulator(Always(key as fn(&Pair) -> u32))
        .unwrap()
}

fn open<S: Stage<In = Vec<Pair>, Out = Vec<Outcome<u32, u32>>>>(h: &mut ByHand<S>) {
    let rows: Vec<Pair> = (0..1_000).rev().map(|k| (k, 0)).collect();
    assert!(h.feed_keyed(Batch::of(rows), &Always(key as fn(&Pair) -> u32)).unwrap().is_empty());
}

/// Rows 121, 123. A thousand keys leave at one mark, at one request, at the end, or complete in one
/// batch, through an output of two batches of three rows: in order, each once.
#[test]
fn many_results_leave_through_a_small_output() {
    let home = || StageHome::alone("assemble");
    let keys = Always(key as fn(&Pair) -> u32);
    let in_order = |out: Vec<Outcome<u32, u32>>| {
        assert!(out.iter().map(|o| *o.key()).eq(0..1_000));
    };
    let mut h = ByHand::bounded(counting(10).make(), home(), 3);
    open(&mut h);
    in_order(h.watermark(Timestamp(10)).unwrap());
    let mut h = ByHand::bounded(counting(10).make(), home(), 3);
    open(&mut h);
    in_order(h.end().unwrap());

    let mut h = ByHand::bounded(counting(10).make(), home(), 3);
    open(&mut h);
    let mut flushed = h.command(&Command::FlushAll).unwrap();
    assert!(flushed.len() < 10, "a request does not overfill the output");
    flushed.extend(h.advance(Moment(0)).unwrap());
    in_order(flushed);

    let mut h = ByHand::bounded(Yields { inner: counting(10).make(), times: 0 }, home(), 3);
    open(&mut h);
    let rest: Vec<Pair> = (0..1_000).map(|k| (k, 1)).collect();
    let out = h.feed_keyed(Batch::of(rest), &keys).unwrap();
    assert!(out.iter().all(Outcome::is_complete));
    in_order(out);
    assert!(h.stage.times >= 1_000 / 6 - 1, "it gave way {} times", h.stage.times);
    assert_eq!(h.stage.inner.gauge().unwrap().keys, 0);
}

/// Counts how often a stage gives way to a full output.
struct Yields<S> {
    inner: S,
    times: usize,
}

impl<S: Stage> Stage for Yields<S> {
    type In = S::In;
    type Out = S::Out;
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.inner.on_start(cx)
    }
    fn on_batch(
        &mut self,
        input: &mut Batch<S::In>,
        out: &mut Out<'_, S::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let step = self.inner.on_batch(input, out, cx)?;
        self.times += usize::from(step == Step::Yield);
        assert!(step != Step::Yield || out.is_full(), "a yield without a full output");
        Ok(step)
    }
}

/// What is left of a flush goes before the rows that come after the request.
#[test]
fn a_flush_goes_before_what_comes_after_it() {
    let mut h = ByHand::bounded(counting(10).make(), StageHome::alone("x"), 1);
    let keys = Always(key as fn(&Pair) -> u32);
    let rows: Vec<Pair> = (0..9).map(|k| (k, 0)).collect();
    h.feed_keyed(Batch::of(rows), &keys).unwrap();
    let mut out = h.command(&Command::FlushAll).unwrap();
    let mut to = Vec::new();
    assert!(h.stage.snapshot(&mut to).is_err(), "no snapshot in the middle of a flush");
    out.extend(h.feed_keyed(Batch::of(vec![(8, 1), (8, 0)]), &keys).unwrap());
    let told: Vec<(u32, bool)> = out.iter().map(|o| (*o.key(), o.is_complete())).collect();
    assert_eq!(told[..9], (0..9).map(|k| (k, false)).collect::<Vec<_>>());
    assert_eq!(told[9..], [(8, true)]);
}

/// Row 113. A watermark stands between two rows: what it makes due leaves before the next row, and
/// it is passed on behind that.
#[test]
fn marks_act_at_their_places() {
    let mut h = pair(|p| p.expire_after(ns(10)));
    let mut b = batch(&[at("x", "a", 0), at("y", "a", 3), at("x", "b", 9), at("y", "b", 12)]);
    for (place, w) in [(2, 10), (3, 12), (4, 14)] {
        push_mark(&mut b.meta.marks, Mark { at: place, watermark: Timestamp(w) });
    }
    let told = h.told(|h| h.feed_keyed(b, &key_of()));
    assert_eq!(told, ["x partial ttl: a -b", "x late: b", "y complete: a b"]);
    assert_eq!(h.by_hand.watermark_out(), Some(Timestamp(14)));

    // In the output, too, the watermark stands behind what it made leave.
    let plan = blueprint(Require::all(["a", "b"]), |p| p.expire_after(ns(10)));
    let mut stage = plan.make();
    let mut seen = Vec::new();
    let mut rows = ByHand::new(Recorder { inner: &mut stage, seen: &mut seen });
    let mut b = batch(&[at("x", "a", 0), at("y", "a", 3), at("y", "b", 4)]);
    push_mark(&mut b.meta.marks, Mark { at: 2, watermark: Timestamp(10) });
    rows.feed_keyed(b, &key_of()).unwrap();
    drop(rows);
    assert_eq!(
        seen,
        [("x".to_owned(), vec![]), ("mark".to_owned(), vec![10]), ("y".to_owned(), vec![])]
    );
}

/// Looks into the open output batch after each call.
struct Recorder<'a, S> {
    inner: &'a mut S,
    seen: &'a mut Vec<(String, Vec<i64>)>,
}

impl<S: Stage<In = Vec<Piece>, Out = Vec<Outcome<String, Vec<String>>>>> Stage for Recorder<'_, S> {
    type In = S::In;
    type Out = S::Out;
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.inner.on_start(cx)
    }
    fn on_batch(
        &mut self,
        input: &mut Batch<Self::In>,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let step = self.inner.on_batch(input, out, cx)?;
        assert!(input.meta.marks.is_empty(), "marks are consumed");
        let b = out.batch();
        for i in 0..=b.len() {
            for m in b.meta.marks.iter().filter(|m| m.at as usize == i) {
                self.seen.push(("mark".into(), vec![m.watermark.0]));
            }
            if i < b.len() {
                self.seen.push((b.col.row(i).key().clone(), vec![]));
            }
        }
        Ok(step)
    }
}

/// Rows 105, 106. A dead letter names source, number, key, cause, and keeps the row.
#[test]
fn dead_letters_say_where_they_came_from() {
    let mut h = pair(|p| p);
    let mut b = batch(&[of("x", "a"), of("x", "c"), of("y", "b"), of("y", "header")]);
    b.meta.source = SourceId(4);
    b.meta.seq = Seq::Run(100);
    h.told(|h| h.feed_keyed(b, &key_of()));
    let letters = h.by_hand.take_dead();
    let told: Vec<_> = letters
        .iter()
        .map(|l| (l.cause, l.source.0, l.seq, l.key.clone().unwrap(), l.what.as_str()))
        .collect();
    let what =
        ["`c` is no variable of the requirement", "`header` is no variable of the requirement"];
    assert_eq!(
        told,
        [
            (DeadCause::Type, 4, 101, b"x".to_vec(), what[0]),
            (DeadCause::Type, 4, 103, b"y".to_vec(), what[1]),
        ]
    );
    let originals: Vec<Vec<Piece>> =
        letters.into_iter().map(|l| l.into_dead_letter().unwrap().original).collect();
    assert_eq!(originals, [[of("x", "c")], [of("y", "header")]]);
}

#[test]
fn rows_without_hashes_are_refused_by_name() {
    let mut h = pair(|p| p);
    let e = h.by_hand.feed(batch(&[of("x", "a")])).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Plan);
    assert_eq!(e.to_string(), "0 key hashes for 1 rows; put `key_by` before");
}

/// Row 117. The four headers under their names.
#[test]
fn headers_are_those_of_the_documents() {
    let mut h = pair(|p| p);
    h.feed(&[of("k", "a")]);
    let out = h.by_hand.end().unwrap();
    let headers = out[0].headers().to_text().map(|(n, v)| format!("{n}={v}"));
    let golden =
        ["acc.completeness=0.5", "acc.missingVars=b", "acc.spilled=false", "acc.reason=end"];
    assert_eq!(headers, golden);
}

/// Row 108. Where a key stands, while it is open and after.
#[test]
fn why_answers_for_open_and_departed_keys() {
    let mut h = pair(|p| p.expire_after(ns(10)).timeout(ns(50)));
    h.clock(7);
    h.feed(&[at("k", "a", 3)]);
    let ask = |h: &mut crate::kit::Hand<_, _>, key: &str| {
        let reply = Reply::new();
        let command = Command::Why(key.as_bytes().to_vec(), reply.clone());
        assert!(h.told(|h| h.command(&command)).is_empty());
        reply.take().unwrap()
    };
    let Why::Open { fragments, missing, score, deadline, timeout } = ask(&mut h, "k") else {
        panic!("not open");
    };
    assert_eq!((fragments, missing[0].to_string()), (1, "b".to_owned()));
    assert_eq!((deadline, timeout), (Some(Timestamp(13)), Some(Moment(57))));
    assert!((score - 0.5).abs() < 1e-6);
    h.mark(13);
    h.feed(&[at("k", "b", 3)]);
    let left = ask(&mut h, "k");
    assert_eq!(left, Why::Left { reason: flux_io_core::Reason::Ttl, fragments: 1, late: 1 });
    assert_eq!(ask(&mut h, "nobody"), Why::Unknown);
}

/// One key is flushed by request; copies of it stay duplicates.
#[test]
fn a_key_is_flushed_by_request() {
    let mut h = pair(|p| p);
    h.feed(&[of("k", "a"), of("l", "a")]);
    let flush = Command::FlushKey(b"k".to_vec());
    assert_eq!(h.told(|h| h.command(&flush)), ["k partial evicted: a -b"]);
    assert!(h.told(|h| h.command(&flush)).is_empty());
    assert!(h.feed(&[of("k", "a")]).is_empty());
    assert_eq!((h.count(Class::Duplicate), h.open()), (1, 1));
}

/// Rows 113, 118. Tombstones end by event time, whatever the watermarks' steps.
#[test]
fn tombstones_end_at_the_same_row_however_watermarks_step() {
    let run = |marks: &[i64]| {
        let keep = After::Tombstone(Keep::For(ns(20)));
        let mut h = pair(|p| p.expire_after(ns(10)).on_complete(keep));
        h.feed(&[at("k", "a", 0)]);
        for w in marks {
            h.mark(*w);
        }
        h.feed(&[at("k", "b", 20)])
    };
    // It leaves at 10, wherever the watermark jumps to, and is forgotten at 30.
    assert_eq!(run(&[10, 29]), ["k late: b"]);
    assert_eq!(run(&[29]), ["k late: b"]);
    assert_eq!(run(&[10, 30]), ["k partial ttl: b -a"]);
    assert_eq!(run(&[30]), ["k partial ttl: b -a"]);
}

#[test]
fn results_print_as_text() {
    let mut h = pair(|p| p);
    h.feed(&[of("k", "b"), of("k", "a")]);
    let out = h.by_hand.feed(Batch::default()).unwrap();
    assert!(out.iter().map(text).next().is_none());
}
