//! A source into a sink, without stages and without an engine.

use flux_io_core::{Batch, ErrorClass, ErrorKind, Filled, IoCx, Sink, Source, StageError};

/// Moves all rows of `source` into `sink` and closes it. Returns how many there were.
///
/// Fills and writes take turns, so a slow sink holds the source back. For pipelines with stages,
/// dead letters, checkpoints or reports use an engine; here the first row that could not be read
/// ends it.
///
/// # Errors
/// The source's or the sink's; the sink is then aborted, so that nothing half-finished is visible.
/// Dropping the future aborts nothing: drop the sink's target, or drive to the end.
pub async fn forward<S, K>(mut source: S, mut sink: K, cx: &IoCx) -> Result<u64, StageError>
where
    S: Source,
    K: Sink<Col = S::Col>,
{
    let rows = pump(&mut source, &mut sink, cx).await;
    if rows.is_err() {
        sink.abort();
    }
    rows
}

async fn pump<S, K>(source: &mut S, sink: &mut K, cx: &IoCx) -> Result<u64, StageError>
where
    S: Source,
    K: Sink<Col = S::Col>,
{
    let mut batch = Batch::default();
    let mut rows = 0;
    loop {
        let filled = source.fill(&mut batch, cx).await?;
        if let Some(fault) = source.take_faults().into_iter().next() {
            let class = ErrorClass::Permanent;
            return Err(StageError::new(class, ErrorKind::Serialization, fault.what));
        }
        rows += batch.len() as u64;
        sink.write(&mut batch, cx).await?;
        batch.clear();
        if filled == Filled::End {
            sink.close(cx).await?;
            return Ok(rows);
        }
    }
}
