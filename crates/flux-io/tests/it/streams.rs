//! A pipeline between a `futures` sink and a `futures` stream.

use flux_io::connect::channel::{self, RunStream, StreamError};
use flux_io::core::{Ended, Engine};
use flux_io::flow::{Ended as End, effect};
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use futures_core::Stream;
use futures_sink::Sink as FuturesSink;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

async fn next<S: Stream + Unpin>(s: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *s).poll_next(cx)).await
}

async fn send<T, K: FuturesSink<T> + Unpin>(k: &mut K, item: T) -> Result<(), K::Error> {
    poll_fn(|cx| Pin::new(&mut *k).poll_ready(cx)).await?;
    Pin::new(k).start_send(item)
}

/// Row 300. A pipeline stands between any two pieces of `futures` code: from a sink handle, through
/// words, into a stream that the caller polls, every row once and in order; then the report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_stands_between_a_sink_and_a_stream() {
    let (sender, feed) = channel::channel::<u64>(3);
    let mut sink = sender.into_sink();
    let flow =
        Pipeline::new()
            .source("feed", feed)
            .map("double", |x| 2 * x)
            .async_map("later", 4, |x| std::future::ready(Ok::<u64, RowError>(x + 1)));
    let mut rows = flow.into_stream("out", 2, |end| engine::Tokio::new().run(end));
    let writing = tokio::spawn(async move {
        for i in 0..1_000 {
            send(&mut sink, i).await.unwrap();
        }
        poll_fn(|cx| Pin::new(&mut sink).poll_close(cx)).await.unwrap();
        assert!(send(&mut sink, 7).await.is_err(), "closed");
    });
    for i in 0..1_000 {
        assert_eq!(next(&mut rows).await.unwrap().unwrap(), 2 * i + 1);
    }
    assert!(next(&mut rows).await.is_none());
    assert!(next(&mut rows).await.is_none(), "the end stays");
    assert_eq!(rows.report().unwrap().ended, Ended::Completed);
    writing.await.unwrap();
}

/// A reader that stops reading holds the source back: what is read ahead is bounded by the stream,
/// the edges and one batch on each side of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_source_back() {
    let given = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&given);
    let numbers = (0..1_000_000_u64).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let flow = Pipeline::new().source("numbers", source::iter(numbers)).map("same", |x| x);
    let options = RunOptions::default().batch(4).chain(false);
    let mut rows =
        flow.buffer(2).into_stream("out", 8, |end| engine::Tokio::new().with(options).run(end));
    for i in 0..10 {
        assert_eq!(next(&mut rows).await.unwrap().unwrap(), i);
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let ahead = given.load(Ordering::SeqCst) - 10;
    // 8 in the stream; two edges of at most 8 batches; a batch in each of the three tasks' hands,
    // one more in their outputs.
    assert!(ahead <= 8 + (2 * 8 + 2 * 3) * 4, "{ahead} rows ahead");
}

/// What a run was when its stream was dropped or stopped.
fn endless(
    options: RunOptions,
) -> RunStream<impl Future<Output = Result<RunReport, RunError>>, u64, RunReport, RunError> {
    let flow = Pipeline::new().source("numbers", source::iter(0_u64..));
    flow.into_stream("out", 4, |end| engine::Tokio::new().with(options.batch(16)).run(end))
}

/// Dropping the stream aborts its run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_stream_aborts() {
    let handle = RunHandle::new();
    let mut rows = endless(RunOptions::default().handle(&handle));
    assert_eq!(next(&mut rows).await.unwrap().unwrap(), 0);
    assert!(!handle.is_stopping());
    drop(rows);
    assert!(handle.is_stopping());
}

/// A graceful stop drains: every row that was accepted is read, then comes a clean end. An abort is
/// an error behind the rows that came, so nobody takes them for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_drains_or_cuts() {
    for mode in [StopMode::Graceful { deadline: None }, StopMode::Abort] {
        let handle = RunHandle::new();
        let mut rows = endless(RunOptions::default().handle(&handle));
        let mut read = 0;
        let end = loop {
            match next(&mut rows).await {
                Some(Ok(row)) => assert_eq!(row, read),
                end => break end,
            }
            read += 1;
            if read == 100 {
                handle.stop(mode);
            }
        };
        if mode == StopMode::Abort {
            let Some(Err(StreamError::Stopped(e))) = end else { panic!("{end:?}") };
            assert_eq!(e.what, "the run that sends into this channel stopped before its end");
            assert!(next(&mut rows).await.is_none());
            assert_eq!(rows.report().unwrap().ended, Ended::Aborted);
        } else {
            assert!(end.is_none());
            let report = rows.report().unwrap();
            assert_eq!(report.ended, Ended::Drained);
            assert_eq!(report.stage("numbers").unwrap().counts.rows_out, read);
        }
    }
}

/// A run that fails is an error behind the rows before the failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_is_an_error_of_its_stream() {
    let flow = Pipeline::new()
        .source("numbers", source::iter(0..100_u64))
        .try_map("check", |x| if *x < 50 { Ok(*x) } else { Err(RowError::poison("fifty")) });
    let options = RunOptions::default().batch(10);
    let mut rows = flow.into_stream("out", 4, |end| engine::Tokio::new().with(options).run(end));
    let mut read = 0;
    let error = loop {
        match next(&mut rows).await.unwrap() {
            Ok(row) => assert_eq!(row, read),
            Err(e) => break e,
        }
        read += 1;
    };
    assert!(read <= 50, "{read}");
    let StreamError::Run(RunError::Failed { failure, .. }) = error else { panic!("{error:?}") };
    assert!(failure.error.what.ends_with("at row 50 of source 0: fifty"), "{failure}");
    assert!(next(&mut rows).await.is_none());
}

/// A sink handle waits when the channel is full, keeps its order among its own items, and gives the
/// item back when nobody receives.
#[tokio::test]
async fn a_sink_handle_waits_for_room() {
    let (sender, mut receiver) = channel::bounded::<u64>(1);
    let mut sink = sender.into_sink();
    send(&mut sink, 1).await.unwrap();
    send(&mut sink, 2).await.unwrap();
    let mut third = pin!(poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx)));
    assert!(poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx).is_pending())).await);
    assert_eq!(receiver.recv().await.unwrap(), Some(1));
    third.await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), Some(2));
    drop(receiver);
    assert_eq!(send(&mut sink, 3).await.unwrap_err().0, 3);
}

/// Rows 43, 44: one calculation at three layers, from closures that name nothing asynchronous, over
/// a stage of one's own, to an effect; the caller picks the layer and every engine runs it.
#[test]
fn the_caller_picks_the_layer() {
    struct Double;
    impl Stage for Double {
        type In = Vec<u64>;
        type Out = Vec<u64>;
        fn on_batch(
            &mut self,
            input: &mut Batch<Vec<u64>>,
            out: &mut flux_io::core::Out<'_, Vec<u64>>,
            _: &mut flux_io::core::StageCx<'_>,
        ) -> Result<flux_io::core::Step, StageError> {
            input.col.iter_mut().for_each(|x| *x *= 2);
            out.swap(input);
            Ok(flux_io::core::Step::Done)
        }
    }
    type Numbers = Flow<'static, Vec<u64>, flux_io::flow::Raw>;
    let layers: [fn(Numbers, sink::Collect<u64>) -> End<'static>; 3] = [
        |n, sink| n.map("double", |x| 2 * x).sink("out", sink),
        |n, sink| n.stage("double", Double).sink("out", sink),
        |n, sink| {
            let call = |x: &u64| effect::value(2 * x).map(Ok::<_, RowError>);
            n.async_map("double", 16, call).sink("out", sink)
        },
    ];
    let engines: [&dyn Engine; 2] = [&SyncEngine::new(), &RayonEngine];
    for layer in layers {
        for engine in engines {
            let (sink, got) = sink::collect();
            let numbers =
                Pipeline::new().source("numbers", source::iter((0..500).collect::<Vec<u64>>()));
            let plan = layer(numbers, sink).plan().unwrap();
            engine.run_plan(plan, RunOptions::default()).check().unwrap();
            assert_eq!(got.take(), (0..500).map(|x| 2 * x).collect::<Vec<u64>>());
        }
    }
}
