//! `async_map` on every engine: the same rows, failures and watermarks, whatever the calls do.

use flux_io::core::{Ended, Engine, Meta, Moment, Out, RunReport, StageCx, Step};
use flux_io::flow::{Calls, Ended as End, Explain, Hedge, effect};
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::doubles::{CollectSink, Shelf};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const ROWS: u64 = 300;
const MS: u64 = 1_000_000;

fn engines() -> [Box<dyn Engine>; 3] {
    [Box::new(SyncEngine::seeded(5)), Box::new(TokioEngine), Box::new(RayonEngine)]
}

/// A future that is ready at its `n`th poll and wakes itself until then.
struct Later(u32);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What happens to the call for a row.
fn trouble(row: u64) -> &'static str {
    match row % 60 {
        7 => "fails",
        19 => "fails twice",
        23 => "fails always",
        31 => "panics when made",
        43 => "panics when polled",
        _ => "works",
    }
}

fn lost(row: u64) -> bool {
    !matches!(trouble(row), "works" | "fails twice")
}

#[derive(Default)]
struct Flying {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct InFlight(Arc<Flying>);

impl InFlight {
    fn new(of: &Arc<Flying>) -> Self {
        let now = of.now.fetch_add(1, Ordering::SeqCst) + 1;
        of.most.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(of))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A run of `ROWS` rows through calls with every trouble; dead letters are kept as they come.
struct Run {
    report: RunReport,
    rows: Vec<u64>,
    dead: Vec<(u64, DeadCause, u32, Option<u64>)>,
    most: usize,
}

fn run(engine: &dyn Engine, calls: Calls, options: RunOptions) -> Run {
    let tries: Arc<Vec<AtomicU32>> = Arc::new((0..ROWS).map(|_| AtomicU32::new(0)).collect());
    let flying = Arc::new(Flying::default());
    let (sink, rows) = CollectSink::<u64>::new();
    let (letters, dead) = CollectSink::<ErrorRecord>::new();
    let retry = Retry { attempts: 3, first: Duration::from_micros(50), ..Retry::default() };
    let seen = Arc::clone(&flying);
    let end = Pipeline::new()
        .dead_letters("dead", letters)
        .source("rows", source::iter(0..ROWS))
        .async_map("calls", calls, move |row| {
            let (row, what) = (*row, trouble(*row));
            assert_ne!(what, "panics when made", "no call for {row}");
            let (tries, flying) = (Arc::clone(&tries), Arc::clone(&seen));
            async move {
                let _flying = InFlight::new(&flying);
                Later((row % 5) as u32).await;
                let before = tries[row as usize].fetch_add(1, Ordering::SeqCst);
                match what {
                    "fails" => Err(RowError::poison("bad row")),
                    "fails twice" if before < 2 => Err(RowError::transient("not yet")),
                    "fails always" => Err(RowError::transient("never")),
                    "panics when polled" => panic!("row {row} is no good"),
                    _ => Ok(row * 10),
                }
            }
        })
        .on_error(OnError::Retry { retry, then: GiveUp::DeadLetter })
        .sink("out", sink);
    let report = engine.run_plan(end.plan().unwrap(), options);
    report.check().unwrap();
    let dead = dead.take().into_iter().map(|d| {
        let (seq, cause, attempts) = (d.seq, d.cause, d.attempts);
        (seq, cause, attempts, d.original.downcast::<u64>().ok())
    });
    let most = flying.most.load(Ordering::SeqCst);
    Run { report, rows: rows.take(), dead: dead.collect(), most }
}

fn expected_dead() -> Vec<(u64, DeadCause, u32, Option<u64>)> {
    let letter = |row: u64| {
        let (cause, attempts) = match trouble(row) {
            "fails" => (DeadCause::Poison, 1),
            "fails always" => (DeadCause::Failed, 3),
            _ => (DeadCause::Panicked, 1),
        };
        (row, cause, attempts, Some(row))
    };
    (0..ROWS).filter(|r| lost(*r)).map(letter).collect()
}

/// The same rows and the same dead letters in the same order on every engine, at every batch size
/// and limit; never more calls than allowed; failing and panicking calls cost exactly their rows.
#[test]
fn calls_give_the_same_on_every_engine() {
    let expected: Vec<u64> = (0..ROWS).filter(|r| !lost(*r)).map(|r| r * 10).collect();
    for engine in engines() {
        for (batch, limit, chain) in
            [(1, 1, true), (7, 4, false), (1024, 64, true), (7, 1000, true), (1024, 3, false)]
        {
            let at = format!("{} batch {batch} limit {limit} chain {chain}", engine.name());
            let options = || RunOptions::default().workers(2).chain(chain).batch(batch);
            let got = run(&*engine, Calls::limit(limit), options());
            assert_eq!(got.report.ended, Ended::Completed, "{at}");
            assert_eq!(got.rows, expected, "{at}");
            assert_eq!(got.dead, expected_dead(), "{at}");
            assert!(got.most <= limit, "{at}: {} calls", got.most);
            let stage = got.report.stage("calls").unwrap();
            assert_eq!(stage.counts.rows_in, ROWS, "{at}");
            assert_eq!(stage.counts.rows_out, expected.len() as u64, "{at}");
            // Five rows that fail twice, five that fail always in three attempts.
            assert_eq!(stage.retries, 20, "{at}");

            let mut got = run(&*engine, Calls::limit(limit).unordered(), options());
            got.rows.sort_unstable();
            got.dead.sort_unstable_by_key(|d| d.0);
            assert_eq!(got.rows, expected, "{at} unordered");
            assert_eq!(got.dead, expected_dead(), "{at} unordered");
            assert!(got.most <= limit, "{at} unordered: {} calls", got.most);
        }
    }
}

/// Under Fail, ordered, the rows before the first one that fails have gone on, and it is named.
#[test]
fn fail_names_the_first_row_in_order() {
    for engine in engines() {
        let (sink, rows) = CollectSink::<u64>::new();
        let end = Pipeline::new()
            .source("rows", source::iter(0..100_u64))
            .async_map("calls", 20, |row| {
                let row = *row;
                async move {
                    // Later rows fail sooner.
                    Later(40 - (row % 40) as u32).await;
                    if row >= 30 { Err(RowError::poison("bad")) } else { Ok(row) }
                }
            })
            .sink("out", sink);
        let report = engine.run_plan(end.plan().unwrap(), RunOptions::default());
        assert_eq!(report.ended, Ended::Failed);
        let failure = report.failure.unwrap();
        let text = "stage `calls` failed at row 30 of source 0: bad";
        assert_eq!((failure.stage.as_str(), failure.error.what.as_str()), ("calls", text));
        let rows = rows.take();
        assert!(rows.iter().copied().eq(0..rows.len() as u64) && rows.len() <= 30, "{rows:?}");
    }
}

/// Rows and watermarks as they came, the row's time beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Row(u64, Timestamp),
    Mark(Timestamp),
}

struct Log(Shelf<Seen>);

fn log_rows(col: &[u64], meta: &Meta, log: &Shelf<Seen>) {
    let mut marks = meta.marks.iter().peekable();
    for i in 0..=col.len() {
        while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
            log.put(Seen::Mark(m.watermark));
        }
        if let Some(row) = col.get(i) {
            log.put(Seen::Row(*row, meta.time.at(i)));
        }
    }
}

impl Stage for Log {
    type In = Vec<u64>;
    type Out = Vec<u64>;
    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        log_rows(&input.col, &input.meta, &self.0);
        out.swap(input);
        Ok(Step::Done)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        _: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.put(Seen::Mark(w));
        Ok(Step::Done)
    }
}

fn advancing(seen: Vec<Seen>) -> Vec<Seen> {
    let mut now = Timestamp::MIN;
    let news = |s: &Seen| match *s {
        Seen::Mark(w) => {
            let before = now;
            now = now.max(w);
            w > before
        }
        Seen::Row(..) => true,
    };
    let mut out: Vec<Seen> = Vec::new();
    for s in seen.into_iter().filter(news) {
        match (out.last_mut(), s) {
            (Some(Seen::Mark(last)), Seen::Mark(w)) => *last = w,
            _ => out.push(s),
        }
    }
    out
}

/// Ordered calls leave rows, their times and every watermark exactly where they were; unordered
/// ones never let a watermark pass a row before it.
#[test]
fn watermarks_keep_their_places() {
    let logged = |engine: &dyn Engine, calls: Option<Calls>, batch: usize| {
        let log = Shelf::default();
        let flow = Pipeline::new()
            .source("rows", source::iter((0..200_u64).map(|i| i * 7919 % 211)))
            .event_time("time", |r| Timestamp(*r as i64))
            .lag(Duration::from_nanos(20));
        let call = |row: &u64| {
            let row = *row;
            async move {
                Later((row % 7) as u32).await;
                Ok::<u64, RowError>(row)
            }
        };
        let end = match calls {
            None => flow.stage("log", Log(log.clone())).discard("end"),
            Some(c) => {
                flow.async_map("calls", c, call).stage("log", Log(log.clone())).discard("end")
            }
        };
        let options = RunOptions::default().batch(batch);
        engine.run_plan(end.plan().unwrap(), options).check().unwrap();
        advancing(log.take())
    };
    for engine in engines() {
        for batch in [1, 7, 1024] {
            let want = logged(&*engine, None, batch);
            assert!(want.iter().any(|s| matches!(s, Seen::Mark(_))));
            assert_eq!(logged(&*engine, Some(Calls::limit(9)), batch), want, "{}", engine.name());
            let got = logged(&*engine, Some(Calls::limit(9).unordered()), batch);
            let rows_before = |seen: &[Seen], w: Timestamp| {
                let at = seen.iter().position(|s| matches!(s, Seen::Mark(x) if *x >= w)).unwrap();
                let row = |s: &Seen| if let Seen::Row(r, _) = s { Some(*r) } else { None };
                seen[..at].iter().filter_map(row).collect::<Vec<u64>>()
            };
            for s in &want {
                if let Seen::Mark(w) = s {
                    let there = rows_before(&got, *w);
                    assert!(rows_before(&want, *w).iter().all(|r| there.contains(r)), "{w}");
                }
            }
            assert_eq!(got.len() - marks(&got), 200);
        }
    }
}

fn marks(seen: &[Seen]) -> usize {
    seen.iter().filter(|s| matches!(s, Seen::Mark(_))).count()
}

/// A finished row does not wait in an open batch while the calls behind it wait for it to arrive.
#[test]
fn finished_rows_go_on_while_the_input_waits() {
    for engine in engines() {
        let arrived = Arc::new((AtomicBool::new(false), Mutex::new(Vec::<Waker>::new())));
        let told = Arc::clone(&arrived);
        let end = Pipeline::new()
            .source("rows", source::iter(0..10_u64))
            .async_map("calls", 2, move |row| {
                let (row, arrived) = (*row, Arc::clone(&arrived));
                async move {
                    if row > 0 {
                        poll_fn(|cx| {
                            arrived.1.lock().unwrap().push(cx.waker().clone());
                            match arrived.0.load(Ordering::SeqCst) {
                                true => Poll::Ready(()),
                                false => Poll::Pending,
                            }
                        })
                        .await;
                    }
                    Ok::<u64, RowError>(row)
                }
            })
            .for_each("out", move |_| {
                told.0.store(true, Ordering::SeqCst);
                let wakers = std::mem::take(&mut *told.1.lock().unwrap());
                wakers.into_iter().for_each(Waker::wake);
            });
        let options = RunOptions::default().workers(2).chain(false);
        let report = engine.run_plan(end.plan().unwrap(), options);
        report.check().unwrap();
        assert_eq!(report.stage("out").unwrap().counts.rows_in, 10);
    }
}

/// Runs on the virtual clock; gives the rows.
fn on_virtual_time<T: Clone + Send + 'static>(
    flow: Flow<'static, Vec<T>, flux_io::flow::Raw>,
) -> (RunReport, Vec<T>) {
    let (sink, rows) = CollectSink::<T>::new();
    let end: End<'static> = flow.sink("out", sink);
    let report = SyncEngine::new().run_plan(end.plan().unwrap(), RunOptions::default());
    report.check().unwrap();
    (report, rows.take())
}

/// Time inside calls is the engine's: a hundred calls of 10 ms, ten at once, take 100 ms of virtual
/// time, and no more.
#[test]
fn calls_wait_on_the_engines_clock() {
    let flow =
        Pipeline::new().source("rows", source::iter(0..100_u64)).async_map("calls", 10, |_| {
            effect::of(|env| async move {
                env.sleep(Duration::from_millis(10)).await;
                Ok::<Moment, RowError>(env.now())
            })
        });
    let (_, rows) = on_virtual_time(flow);
    let want: Vec<Moment> = (0..100).map(|r| Moment((r / 10 + 1) * 10 * MS)).collect();
    assert_eq!(rows, want);
}

/// A call that hangs is dropped after its timeout and tried again; after the last attempt its row
/// is a dead letter. Retries back off by the stage's policy.
#[test]
fn slow_calls_time_out_and_are_tried_again() {
    let calls = Arc::new(AtomicU32::new(0));
    let made = Arc::clone(&calls);
    let retry = Retry {
        attempts: 3,
        first: Duration::from_millis(100),
        factor: 3,
        jitter_percent: 0,
        ..Retry::default()
    };
    let flow = Pipeline::new()
        .source("rows", source::iter(0..3_u64))
        .async_map("calls", Calls::limit(3).timeout(Duration::from_millis(50)), move |row| {
            let first = made.fetch_add(1, Ordering::SeqCst) < 3;
            let row = *row;
            effect::of(move |env| async move {
                if row == 1 || first && row == 2 {
                    std::future::pending::<()>().await;
                }
                Ok::<_, RowError>((row, env.now()))
            })
        })
        .on_error(OnError::Retry { retry, then: GiveUp::DeadLetter });
    let (report, rows) = on_virtual_time(flow);
    // Row 2: 50 ms until the timeout, 100 ms of backoff; it stands behind row 1, which is given up.
    assert_eq!(rows, [(0, Moment(0)), (2, Moment(150 * MS))]);
    assert_eq!(calls.load(Ordering::SeqCst), 1 + 3 + 2);
    let letter = &report.samples[0];
    assert_eq!((letter.seq, letter.attempts), (1, 3));
    assert_eq!(letter.what, "no answer within 50ms");
}

/// Row 182: hedged requests as a retry policy of calls. A call without an answer is made again, the
/// first answer counts, and the attempt fails only when all its calls have failed.
#[test]
fn hedges_take_the_first_answer() {
    let calls = Arc::new(AtomicU32::new(0));
    let made = Arc::clone(&calls);
    let hedge = Hedge { after: Duration::from_millis(10), extra: 2 };
    let flow = Pipeline::new()
        .source("rows", source::iter(0..4_u64))
        .async_map("calls", Calls::limit(1).hedge(hedge), move |row| {
            let n = made.fetch_add(1, Ordering::SeqCst);
            let row = *row;
            effect::of(move |env| async move {
                match (row, n) {
                    // Row 0 answers at once; row 1 hangs once; row 2 hangs, fails, answers.
                    (1, 1) | (2, 3) => std::future::pending().await,
                    (2, 4) => Err(RowError::transient("no")),
                    // Row 3: all three calls fail, one after the other.
                    (3, _) => {
                        env.sleep(Duration::from_millis(35)).await;
                        Err(RowError::transient("down"))
                    }
                    _ => Ok((row, n, env.now())),
                }
            })
        })
        .on_error(OnError::DeadLetter);
    let (report, rows) = on_virtual_time(flow);
    let ms = |n| Moment(n * MS);
    assert_eq!(rows, [(0, 0, ms(0)), (1, 2, ms(10)), (2, 5, ms(30))]);
    assert_eq!(calls.load(Ordering::SeqCst), 1 + 2 + 3 + 3);
    let letters = &report.samples;
    assert_eq!(letters.iter().map(|d| (d.seq, d.what.as_str())).collect::<Vec<_>>(), [(3, "down")]);
}

/// An abort drops the futures in flight and cancels the environment they run in.
#[test]
fn an_abort_cancels_calls() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    for engine in engines() {
        let gone = Arc::new(AtomicUsize::new(0));
        let token = Arc::new(Mutex::new(None));
        let (dropped, kept) = (Arc::clone(&gone), Arc::clone(&token));
        let options = RunOptions::default();
        let handle = options.handle.clone();
        let end = Pipeline::new()
            .source("rows", source::iter(0..100_u64))
            .async_map("calls", 5, move |row| {
                let (gone, row, handle) = (Gone(Arc::clone(&dropped)), *row, handle.clone());
                let kept = Arc::clone(&kept);
                effect::of(move |env| async move {
                    let _gone = gone;
                    *kept.lock().unwrap() = Some(env.cancel().clone());
                    if row == 4 {
                        handle.stop(StopMode::Abort);
                    }
                    std::future::pending::<()>().await;
                    Ok::<u64, RowError>(row)
                })
            })
            .discard("end");
        let report = engine.run_plan(end.plan().unwrap(), options);
        assert_eq!(report.ended, Ended::Aborted);
        assert_eq!(gone.load(Ordering::SeqCst), 5, "{}", engine.name());
        assert!(token.lock().unwrap().as_ref().unwrap().is_cancelled());
    }
}

/// The plan says how many calls there may be, and what makes it depend on the schedule.
#[test]
fn the_plan_describes_calls() {
    let hedge = Hedge { after: Duration::from_millis(5), extra: 1 };
    let calls = Calls::limit(8).unordered().timeout(Duration::from_secs(1)).hedge(hedge);
    let flow = Pipeline::new().source("rows", source::iter(0..3_u64));
    let end = flow.async_map("calls", calls, |r| std::future::ready(Ok::<_, RowError>(*r)));
    let text = end.discard("end").plan().unwrap().explain();
    for line in [
        "    calls = 8\n    hedge_after_ns = 5000000\n    hedge_extra = 1\n    order = as results come\n    timeout_ns = 1000000000\n    declared: mostly waits\n",
        "  calls: order of results, timeout of calls, hedged calls\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// A call that is made again without a wait and fails again at the same moment is made a third time.
#[test]
fn attempts_at_one_moment_are_all_made() {
    for engine in engines() {
        let mut failed = 0;
        let (sink, rows) = CollectSink::<u64>::new();
        let retry = Retry { attempts: 4, first: Duration::ZERO, ..Retry::default() };
        let end = Pipeline::new()
            .source("rows", source::iter(0..10_u64))
            .async_map("calls", 20, move |row| {
                let row = *row;
                let fails = row == 3 && failed < 3;
                failed += u32::from(fails);
                async move { if fails { Err(RowError::transient("once")) } else { Ok(row) } }
            })
            .on_error(OnError::Retry { retry, then: GiveUp::Fail })
            .sink("out", sink);
        let report = engine.run_plan(end.plan().unwrap(), RunOptions::default());
        assert_eq!(report.ended, Ended::Completed, "{}", engine.name());
        assert_eq!(rows.take(), (0..10).collect::<Vec<u64>>());
    }
}
