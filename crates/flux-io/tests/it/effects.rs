//! Effects: their laws, and time that is the engine's. Each is run in an `async_map` on the
//! reference engine, whose clock is virtual.

use flux_io::core::{Engine, Moment};
use flux_io::flow::effect::{self, Call, Effect};
use flux_io::prelude::*;
use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::doubles::CollectSink;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// What an effect gives, and when.
fn run<R>(effect: Effect<R>) -> (R::Value, Duration)
where
    R: Call<Value: Send> + Send + 'static,
{
    let (sink, got) = CollectSink::<(R::Value, Moment)>::new();
    let mut effect = Some(effect);
    let end = Pipeline::new()
        .source("one", source::iter([()]))
        .async_map("effect", 1, move |()| {
            let timed = effect.take().map(|e| e.and_then(|v| effect::ask(|env| (v, env.now()))));
            timed.unwrap().map(Ok::<_, RowError>)
        })
        .sink("out", sink);
    let report = SyncEngine::new().run_plan(end.plan().unwrap(), RunOptions::default());
    report.check().unwrap();
    let (value, at) = got.take().remove(0);
    (value, Duration::from_nanos(at.0))
}

/// An effect that takes `ms` milliseconds.
fn after(ms: u32, value: u64) -> Effect<impl Call<Value = u64> + Clone + Send> {
    effect::of(move |env| async move {
        env.sleep(MS * ms).await;
        value
    })
}

/// Rows 40, 41: an effect is a function of an environment to a later value. `map` and `and_then`
/// keep the laws of a functor and a monad, in value and in time.
#[test]
fn effects_keep_their_laws() {
    let f = |x: u64| x + 1;
    let g = |x: u64| x * 10;
    assert_eq!(run(after(5, 3).map(|x| x)), run(after(5, 3)));
    assert_eq!(run(after(5, 3).map(f).map(g)), run(after(5, 3).map(move |x| g(f(x)))));
    let h = |x: u64| after(x as u32, x + 1);
    let k = |x: u64| after(2, x * 10);
    assert_eq!(run(effect::value(4).and_then(h)), run(h(4)));
    assert_eq!(run(after(5, 3).and_then(effect::value)), run(after(5, 3)));
    let left = run(after(5, 3).and_then(h).and_then(k));
    assert_eq!(left, run(after(5, 3).and_then(move |x| h(x).and_then(k))));
    assert_eq!(left, (40, MS * (5 + 3 + 2)));
    assert_eq!(run(after(5, 3).zip(after(7, 4))), ((3, 4), MS * 7));
}

/// Row 41: `retry` tries transient failures again, waiting by its policy on the engine's clock; a
/// permanent one, and the last attempt, are the answer.
#[test]
fn effects_retry() {
    let retry =
        Retry { attempts: 4, first: MS * 10, factor: 2, longest: MS * 30, jitter_percent: 0 };
    let failing = |times: u32, error: fn() -> RowError| {
        let calls = Arc::new(AtomicU32::new(0));
        let made = Arc::clone(&calls);
        let effect = effect::of(move |_| async move {
            match made.fetch_add(1, Ordering::SeqCst) {
                n if n < times => Err(error()),
                n => Ok(n),
            }
        });
        let (value, at) = run(effect.retry(retry));
        (value.map_err(|e| e.what), at, calls.load(Ordering::SeqCst))
    };
    let busy = || RowError::transient("busy");
    assert_eq!(failing(0, busy), (Ok(0), Duration::ZERO, 1));
    assert_eq!(failing(2, busy), (Ok(2), MS * 30, 3));
    assert_eq!(failing(9, busy), (Err("busy".into()), MS * 60, 4));
    assert_eq!(failing(9, || RowError::poison("bad")), (Err("bad".into()), Duration::ZERO, 1));
}

/// Row 41: `timeout` drops what takes too long, by the engine's clock; what is there in time wins,
/// at the very moment too. With `retry` behind it each attempt has its own time.
#[test]
fn effects_time_out() {
    let slow = |ms| after(ms, 1).map(Ok::<_, RowError>);
    let late = (Err("no answer within 10ms".to_owned()), MS * 10);
    let text = |(v, at): (Result<u64, RowError>, Duration)| (v.map_err(|e| e.what), at);
    assert_eq!(text(run(slow(9).timeout(MS * 10))), (Ok(1), MS * 9));
    assert_eq!(text(run(slow(10).timeout(MS * 10))), (Ok(1), MS * 10));
    assert_eq!(text(run(slow(11).timeout(MS * 10))), late);
    let never = effect::of(|_| pending::<Result<u64, RowError>>());
    let retry = Retry { attempts: 3, first: MS * 5, factor: 1, longest: MS * 5, jitter_percent: 0 };
    let (value, at) = run(never.timeout(MS * 10).retry(retry));
    assert_eq!((value.map_err(|e| e.what), at), (late.0, MS * 40));
}

/// Row 40: an effect hears that it is no longer wanted, wherever it waits; `retry` stops then.
#[test]
fn effects_are_cancelled() {
    let cancelling = after(20, 0).zip(effect::of(|env| async move {
        env.sleep(MS * 5).await;
        env.cancel().cancel();
        env.cancel().cancelled().await;
    }));
    let (value, at) = run(cancelling.and_then(|_| after(50, 1)).or_cancelled());
    assert_eq!((value, at), (None, MS * 5));
    assert_eq!(run(after(20, 8).or_cancelled()), (Some(8), MS * 20));
    let calls = Arc::new(AtomicU32::new(0));
    let made = Arc::clone(&calls);
    let failing = effect::of(move |env| async move {
        made.fetch_add(1, Ordering::SeqCst);
        env.cancel().cancel();
        Err::<u64, _>(RowError::transient("busy"))
    });
    let (value, at) = run(failing.retry(Retry::default()));
    assert_eq!((value.map_err(|e| e.what), at), (Err("busy".into()), Duration::ZERO));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
