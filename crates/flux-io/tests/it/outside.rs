//! What is outside a run and may never come: pipes that nobody writes, answers of other threads.

use flux_io::connect::lines;
use flux_io::core::{Ended, Engine, ErrorKind, IoCx, StageError};
use flux_io::flow::effect;
use flux_io::flow::{Calls, Ended as End};
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::conformance::engine::Workers;
use std::io::{BufRead, BufReader, Write, pipe};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Longer than any of these runs takes on a machine that does something else; only a hang meets it.
const HANGS: Duration = Duration::from_secs(60);

fn engines() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(SyncEngine::new()),
        Box::new(Workers(TokioEngine, 1)),
        Box::new(Workers(TokioEngine, 2)),
        Box::new(Workers(RayonEngine, 1)),
        Box::new(Workers(RayonEngine, 2)),
        Box::new(crate::hybrid_laws::apart()),
    ]
}

/// A run on a thread of its own; what it reports.
fn start(engine: Box<dyn Engine>, end: End<'static>, options: RunOptions) -> Receiver<RunReport> {
    let (tell, told) = sync_channel(1);
    let plan = end.plan().unwrap();
    let run = move || drop(tell.send(engine.run_plan(plan, options)));
    std::thread::Builder::new().spawn(run).unwrap();
    told
}

/// Counts rows, and tells when there are `all`.
struct Count {
    all: usize,
    rows: usize,
    tell: SyncSender<()>,
}

impl Sink for Count {
    type Col = ByteColumn;

    async fn write(&mut self, batch: &mut Batch<ByteColumn>, _: &IoCx) -> Result<(), StageError> {
        self.rows += batch.len();
        batch.clear();
        if self.rows == self.all {
            _ = self.tell.try_send(());
        }
        Ok(())
    }
}

/// However many pipes are quiet, whatever is read beside them comes; and a run that is told to stop
/// waits for none of them, not for one that nobody has opened either.
#[cfg(unix)]
#[test]
fn quiet_pipes_hold_up_nobody() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("quiet_pipes");
    _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let (file, fifo) = (dir.join("rows"), dir.join("fifo"));
    let text: String = (0..2_000).map(|i| format!("row {i}\n")).collect();
    std::fs::write(&file, text).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for engine in engines() {
        let name = engine.name();
        let (handle, (tell, told)) = (RunHandle::new(), sync_channel(1));
        let p = Pipeline::new();
        let mut writers = Vec::new();
        let mut flows = vec![p.source("nobody opens it", lines::file(&fifo))];
        for i in 0..40 {
            let (reader, writer) = pipe().unwrap();
            writers.push(writer);
            flows.push(p.source(&format!("pipe {i}"), lines::reader("pipe", reader)));
        }
        flows.push(p.source("file", lines::file(&file)));
        let end = p.merge("all", flows).sink("out", Count { all: 2_000, rows: 0, tell });
        let run = start(engine, end, RunOptions::default().handle(&handle));
        assert_eq!(told.recv_timeout(HANGS), Ok(()), "{name}: the file waits for a pipe");
        handle.stop(StopMode::Graceful { deadline: None });
        let report = run.recv_timeout(HANGS);
        let report = report.unwrap_or_else(|e| panic!("{name}: the stop waits for a pipe: {e}"));
        assert_eq!(report.ended, Ended::Drained, "{name}: {:?}", report.failure);
        assert_eq!(report.stage("out").unwrap().counts.rows_out, 2_000, "{name}");
        drop(writers);
    }
}

/// A line in, a line out, and only then the next one: nothing waits for more input, between two pipes
/// as in a terminal, and the end of the input is the end of the run.
#[test]
fn a_quiet_pipe_gives_what_it_has() {
    for engine in engines() {
        let name = engine.name();
        let ((reader, mut input), (output, writer)) = (pipe().unwrap(), pipe().unwrap());
        let end = Pipeline::new()
            .source("in", lines::reader("in", reader))
            .map_rows("echo", |line: &[u8]| String::from_utf8_lossy(line).into_owned())
            .sink("out", lines::writer::<Vec<String>>("out", writer));
        let run = start(engine, end, RunOptions::default());
        let (tell, told) = sync_channel(1);
        std::thread::Builder::new()
            .spawn(move || BufReader::new(output).lines().try_for_each(|l| tell.send(l.unwrap())))
            .unwrap();
        for i in 0..50 {
            writeln!(input, "line {i}").unwrap();
            assert_eq!(told.recv_timeout(HANGS), Ok(format!("line {i}")), "{name}");
        }
        drop(input);
        assert_eq!(run.recv_timeout(HANGS).unwrap().ended, Ended::Completed, "{name}");
    }
}

/// A deadline by the clock is over while the input is quiet, also where the clock is virtual: what it
/// brings comes out before the input goes on.
#[test]
fn deadlines_fire_while_a_pipe_is_quiet() {
    for engine in engines() {
        let name = engine.name();
        let ((reader, mut input), (output, writer)) = (pipe().unwrap(), pipe().unwrap());
        let end = Pipeline::new()
            .source("in", lines::reader("in", reader))
            .map_rows("number", |line: &[u8]| line.len() as u64)
            .key_by("length", |n: &u64| *n)
            .accumulate("wait", |p| {
                p.require(Require::count(2))
                    .timeout(Duration::from_millis(20))
                    .on_expire(OnExpire::Partial)
                    .merge(|sum: &mut u64, n| *sum += *n)
            })
            .map("text", |o: Outcome<u64, u64>| format!("{} {}", o.key(), o.is_complete()))
            .sink("out", lines::writer::<Vec<String>>("out", writer));
        let run = start(engine, end, RunOptions::default());
        let mut lines = BufReader::new(output).lines();
        let (tell, told) = sync_channel(1);
        std::thread::Builder::new()
            .spawn(move || lines.try_for_each(|l| tell.send(l.unwrap())))
            .unwrap();
        for n in 1..4 {
            writeln!(input, "{}", "x".repeat(n)).unwrap();
            assert_eq!(told.recv_timeout(HANGS), Ok(format!("{n} false")), "{name}");
        }
        drop(input);
        assert_eq!(run.recv_timeout(HANGS).unwrap().ended, Ended::Completed, "{name}");
    }
}

/// A call that another thread answers is not too late by a limit that the thread does not take.
#[test]
fn a_call_answered_outside_is_in_time() {
    let limit = Duration::from_secs(600);
    for engine in engines() {
        let (name, (collect, got)) = (engine.name(), sink::collect());
        let end = Pipeline::new()
            .source("in", source::iter(0..8_u64))
            .async_map("ask", Calls::limit(2).timeout(limit), |n| {
                let (n, (tell, told)) = (*n, tokio::sync::oneshot::channel());
                std::thread::Builder::new().spawn(move || tell.send(n * n)).unwrap();
                async move { told.await.map_err(|_| RowError::transient("gone")) }
            })
            .sink("out", collect);
        let report = start(engine, end, RunOptions::default()).recv_timeout(HANGS).unwrap();
        assert_eq!(report.ended, Ended::Completed, "{name}: {:?}", report.failure);
        assert_eq!(got.take(), (0..8).map(|n| n * n).collect::<Vec<_>>(), "{name}");
        assert!(report.elapsed < limit && report.dead_letters.is_empty(), "{name}");
    }
}

/// What a call waits for inside the run costs no time where time is virtual, whatever waits beside
/// it: other calls, and the stage's own token.
#[test]
fn calls_that_wait_for_time_alone_cost_none() {
    let hours = Duration::from_secs(36_000);
    let (collect, got) = sink::collect();
    let end = Pipeline::new()
        .source("in", source::iter(0..40_u64))
        .async_map("sleep", Calls::limit(8).timeout(hours), |n| {
            let n = *n;
            effect::of(move |env| async move {
                tokio::select! {
                    () = env.cancel().cancelled() => Err(RowError::transient("cancelled")),
                    () = env.sleep(Duration::from_secs(3_600)) => Ok(n),
                }
            })
        })
        .sink("out", collect);
    let engine: Box<dyn Engine> = Box::new(SyncEngine::new());
    let report = start(engine, end, RunOptions::default()).recv_timeout(HANGS).unwrap();
    assert_eq!(report.elapsed, Duration::from_secs(5 * 3_600));
    assert_eq!(got.take(), (0..40).collect::<Vec<_>>());
}

/// A run that would block a task of a runtime is an error, no panic; inside one, each engine that
/// brings its own threads runs.
#[test]
fn a_run_inside_a_runtime_is_refused_or_runs() {
    let flow = || Pipeline::new().source("in", source::iter(0..10_u64)).discard("out");
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let error = engine::Tokio::new().run_blocking(flow()).unwrap_err();
        let RunError::Failed { failure, .. } = error else { panic!("{error}") };
        assert_eq!((failure.stage.as_str(), failure.error.kind), ("engine", ErrorKind::Refused));
        engine::Sync::new().run(flow()).unwrap();
        engine::Rayon::new().run(flow()).unwrap();
        engine::Hybrid::new().run(flow()).unwrap();
        engine::Tokio::new().run(flow()).await.unwrap();
    });
}
