//! Stopping, inspecting and commanding a run.

use flux_io::connect::channel;
use flux_io::core::{Command, Ended, Reason, Reply, WhenFull, Why};
use flux_io::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One token for everything: a handle cloned to another task stops the run in order; what was
/// accepted flows through. Rows 22, 197, 201, 221, 336.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_lets_everything_through() {
    let (sender, feed) = channel::channel::<u64>(4);
    let (collect, got) = sink::collect();
    let handle = RunHandle::new();
    let end = Pipeline::new().source("feed", feed).map("double", |x| 2 * x).sink("out", collect);
    let run = engine::Tokio::new().with(RunOptions::default().handle(&handle)).run(end);
    let run = tokio::spawn(run);
    for i in 0..100 {
        sender.send(i).await.unwrap();
    }
    while got.len() < 100 {
        tokio::task::yield_now().await;
    }
    assert!(handle.inspect("nobody").is_none());
    handle.stop(StopMode::Graceful { deadline: None });
    let report = run.await.unwrap().unwrap();
    assert_eq!(report.ended, Ended::Drained);
    assert_eq!(got.take(), (0..100).map(|i| 2 * i).collect::<Vec<_>>());
    assert!(sender.send(1).await.is_err(), "the receiver is gone, and says so");
}

/// Keys that wait for what never comes do not hold a run: they are flushed by request, one or all,
/// and `why` says where a key stands. Rows 185, 204.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_wait_are_flushed_by_request() {
    let (sender, feed) = channel::channel::<(u64, u16)>(16);
    let (collect, got) = sink::collect();
    let handle = RunHandle::new();
    let end = Pipeline::new()
        .source("feed", feed)
        .key_by("k", |r: &(u64, u16)| r.0)
        .accumulate("assemble", |p| {
            p.require(Require::all(["a", "b"]))
                .var(|r| Var::one(r.1))
                .merge(|n: &mut u64, _| *n += 1)
        })
        .sink("out", collect);
    let run = engine::Tokio::new().with(RunOptions::default().handle(&handle)).run(end);
    let run = tokio::spawn(run);
    for k in 0..3 {
        sender.send((k, 0)).await.unwrap();
    }
    let open = || handle.inspect("assemble").and_then(|s| s.gauge).map(|g| g.keys);
    while open() != Some(3) {
        tokio::task::yield_now().await;
    }
    let reply = Reply::new();
    handle.command("assemble", Command::Why(1_u64.to_be_bytes().to_vec(), reply.clone()));
    let why = loop {
        if let Some(why) = reply.take() {
            break why;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(why, Why::Open { fragments: 1, .. }), "{why:?}");
    handle.command("assemble", Command::FlushKey(1_u64.to_be_bytes().to_vec()));
    handle.command("assemble", Command::FlushAll);
    while got.len() < 3 {
        tokio::task::yield_now().await;
    }
    let out = got.take();
    let keys: Vec<u64> = out.iter().map(|o| *o.key()).collect();
    assert_eq!(keys, [1, 0, 2], "the one asked for first, the rest by key");
    assert!(out.iter().all(|o| o.headers().reason == Reason::Evicted), "{out:?}");
    sender.close();
    assert!(run.await.unwrap().unwrap().ledger("assemble").unwrap().balanced());
}

/// An abort from another thread ends waits at once; the sink gives up. Rows 197, 221.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_ends_every_wait() {
    let (_sender, feed) = channel::channel::<u64>(4);
    let (collect, got) = sink::collect();
    let handle = RunHandle::new();
    let end = Pipeline::new().source("feed", feed).sink("out", collect);
    let run = engine::Tokio::new().with(RunOptions::default().handle(&handle)).run(end);
    let run = tokio::spawn(run);
    std::thread::scope(|s| {
        s.spawn(|| handle.stop(StopMode::Abort));
    });
    let report = run.await.unwrap().unwrap();
    assert_eq!(report.ended, Ended::Aborted);
    assert!(got.is_aborted());
}

/// A full edge holds its source back: never more than the capacity waits, whatever the speeds.
/// Rows 155, 166, 167.
#[test]
fn a_source_is_gated_by_occupancy() {
    let given = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&given);
    let (collect, got) = sink::collect();
    let end = Pipeline::new()
        .source(
            "fast",
            source::iter((0..10_000_u64).inspect(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
            })),
        )
        .buffer(2)
        .map("slow", |x| x)
        .sink("out", collect);
    let options = RunOptions::default().batch(10);
    let report = engine::Sync::seeded(4).with(options).run(end).unwrap();
    assert_eq!(got.len(), 10_000);
    assert_eq!(given.load(Ordering::Relaxed), 10_000);
    let edge = &report.edges[0];
    assert!(edge.stats.high <= 2 && edge.stats.blocked > 0, "{edge:?}");
}

/// What a full edge does, in order of choice: wait, drop the oldest, drop the newest; drops are
/// counted, never silent. Rows 156, 338.
#[test]
fn a_full_edge_does_as_it_is_told_and_counts() {
    for when_full in [WhenFull::Block, WhenFull::DropOldest, WhenFull::DropNewest] {
        let (collect, got) = sink::collect();
        let end = Pipeline::new()
            .source("fast", source::iter(0..1_000_u64))
            .buffer(1)
            .when_full(when_full)
            .map("id", |x| x)
            .sink("out", collect);
        let report =
            engine::Sync::seeded(8).with(RunOptions::default().batch(10)).run(end).unwrap();
        let stats = report.edges[0].stats;
        let got = got.take();
        assert_eq!(stats.sent, 1_000);
        assert_eq!(stats.taken + stats.dropped, 1_000, "{when_full:?}");
        assert_eq!(got.len() as u64, stats.taken);
        assert!(got.is_sorted(), "{when_full:?}");
        assert_eq!(stats.dropped == 0, when_full == WhenFull::Block, "{when_full:?} {stats:?}");
    }
}
