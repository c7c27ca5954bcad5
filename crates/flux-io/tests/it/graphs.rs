//! What the tests of branches and joins share: every engine, every batch size, rows with times.

use flux_io::core::{
    Batch, Ended, Engine, IoCx, Out, RunOptions, RunReport, Sink, Source, Stage, StageCx,
    StageError, Step, Timestamp,
};
use flux_io::flow::Runnable;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::doubles::{Line, ScriptSource, Shelf};

/// Runs the pipeline that `make` describes on every engine, chained and not, in batches of 1, 7 and
/// 1024 rows; `see` judges each run.
pub(crate) fn everywhere<P: Runnable<'static>, T>(
    make: impl Fn() -> (P, T),
    see: impl Fn(RunReport, T, &str),
) {
    let hybrid = crate::hybrid_laws::apart();
    let engines: [&dyn Engine; 5] =
        [&SyncEngine::new(), &SyncEngine::seeded(7), &TokioEngine, &RayonEngine, &hybrid];
    for engine in engines {
        for (batch, chain) in [(1, true), (7, false), (1024, true)] {
            let (pipeline, kept) = make();
            let options = RunOptions::default().workers(2).batch(batch).chain(chain);
            let report = engine.run_plan(pipeline.into_plan().unwrap(), options);
            report.check().unwrap();
            for e in &report.edges {
                assert!(e.stats.high <= e.capacity, "{e:?}");
            }
            see(report, kept, &format!("{} {batch} {chain}", engine.name()));
        }
    }
}

pub(crate) fn completed(report: &RunReport, at: &str) {
    assert_eq!(report.ended, Ended::Completed, "{at}: {:?}", report.failure);
}

/// Rows that a stage dropped under a cause.
pub(crate) fn dropped(report: &RunReport, stage: &str, cause: &str) -> u64 {
    report.stage(stage).and_then(|s| s.dropped.get(cause).copied()).unwrap_or(0)
}

/// Rows with event times, and the watermark `t - 1 - lag` behind each that raises it.
pub(crate) fn timed(
    rows: impl IntoIterator<Item = (u64, i64)>,
    lag: i64,
) -> impl Source<Col = Vec<u64>> + 'static {
    let mut top = i64::MIN;
    let lines = rows.into_iter().flat_map(move |(row, t)| {
        top = top.max(t);
        [Line::At(row, Timestamp(t)), Line::Mark(Timestamp(top - 1 - lag))]
    });
    ScriptSource::new(lines.collect::<Vec<_>>())
}

/// What a [`Tape`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen<T> {
    Row(T, Timestamp),
    Mark(Timestamp),
}

/// Passes rows on; keeps what it saw, watermarks at their places.
pub(crate) struct Tape<T>(pub(crate) Shelf<Seen<T>>);

impl<T: Copy + Send + Sync + 'static> Stage for Tape<T> {
    type In = Vec<T>;
    type Out = Vec<T>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<T>>,
        out: &mut Out<'_, Vec<T>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut marks = input.meta.marks.iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.0.put(Seen::Mark(m.watermark));
            }
            self.0.put(Seen::Row(*row, input.meta.time.at(i)));
        }
        marks.for_each(|m| self.0.put(Seen::Mark(m.watermark)));
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        _out: &mut Out<'_, Vec<T>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.put(Seen::Mark(w));
        Ok(Step::Done)
    }
}

/// No row comes behind a watermark that covers it, and watermarks rise.
pub(crate) fn promises_hold<T: std::fmt::Debug>(seen: &[Seen<T>], at: &str) {
    let mut now = Timestamp::MIN;
    for s in seen {
        match s {
            Seen::Mark(w) => {
                assert!(*w >= now, "{at}: {w} behind {now}");
                now = *w;
            }
            Seen::Row(row, t) => assert!(*t > now, "{at}: {row:?} of {t} behind {now}"),
        }
    }
}

/// A sink that gives way to all others before each write.
pub(crate) struct Lazy<T>(pub(crate) Shelf<T>, pub(crate) u32);

impl<T: Clone + Send + Sync + 'static> Sink for Lazy<T> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<(), StageError> {
        for _ in 0..self.1 {
            cx.sleep_until(cx.now()).await;
        }
        batch.col.drain(..).for_each(|x| self.0.put(x));
        Ok(())
    }
}
