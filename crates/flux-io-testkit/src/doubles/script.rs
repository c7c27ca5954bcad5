//! A source that follows a script line by line: rows with times, watermarks between any two rows,
//! waits, calls, faults.

use super::{Fault, Gate, YieldOnce};
use flux_io_core::{
    Batch, CheckpointToken, ErrorRecord, Filled, IoCx, Moment, RecoverableSource, Source,
    StageError, Timestamp, Uniform,
};
use std::fmt;
use std::sync::Arc;

/// One line of a script.
#[derive(Clone)]
pub enum Line<T> {
    /// A row with event time 0.
    Row(T),
    /// A row with this event time.
    At(T, Timestamp),
    /// A watermark between the rows, inside the batch.
    Mark(Timestamp),
    /// The batch ends here, whatever its size.
    Cut,
    /// Waits until a moment of the engine's clock.
    Until(Moment),
    /// Waits for a gate.
    Gate(Gate),
    /// Is pending once.
    Yield,
    /// Calls.
    Call(Arc<dyn Fn() + Send + Sync>),
    /// Fails once; the next call goes on behind it.
    Fail(Fault),
    /// A row that cannot be read: a dead letter with this text.
    Bad(String),
}

impl<T: fmt::Debug> fmt::Debug for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(t) => write!(f, "Row({t:?})"),
            Self::At(t, w) => write!(f, "At({t:?}, {w})"),
            Self::Mark(w) => write!(f, "Mark({w})"),
            Self::Cut => f.write_str("Cut"),
            Self::Until(m) => write!(f, "Until({m:?})"),
            Self::Gate(_) => f.write_str("Gate"),
            Self::Yield => f.write_str("Yield"),
            Self::Call(_) => f.write_str("Call"),
            Self::Fail(x) => write!(f, "Fail({x:?})"),
            Self::Bad(what) => write!(f, "Bad({what})"),
        }
    }
}

impl<T> Line<T> {
    /// A call.
    pub fn call(f: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Call(Arc::new(f))
    }
}

/// Follows a script. Seekable; its position is the number of lines done.
#[derive(Clone, Debug)]
pub struct ScriptSource<T> {
    lines: Arc<[Line<T>]>,
    at: usize,
    faults: Vec<(u64, String)>,
    given: u64,
}

impl<T> ScriptSource<T> {
    /// A source that follows `lines`.
    pub fn new(lines: impl IntoIterator<Item = Line<T>>) -> Self {
        Self { lines: lines.into_iter().collect(), at: 0, faults: Vec::new(), given: 0 }
    }
}

/// Per-row times for a batch of `rows` rows.
fn times<C>(out: &mut Batch<C>, rows: usize) -> &mut Vec<Timestamp> {
    if let Uniform::All(t) = out.meta.time {
        out.meta.time = Uniform::Rows(vec![t; rows]);
    }
    match &mut out.meta.time {
        Uniform::Rows(v) => v,
        Uniform::All(_) => unreachable!("the times were made per row just above"),
    }
}

impl<T: Clone + Send + Sync + 'static> Source for ScriptSource<T> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        let before = out.len();
        while let Some(line) = self.lines.get(self.at).cloned() {
            let full = out.len() - before >= cx.max_rows();
            match line {
                Line::Row(_) | Line::At(..) if full => return Ok(Filled::More),
                Line::Row(t) => {
                    let n = out.len();
                    times(out, n).push(Timestamp(0));
                    out.col.push(t);
                    self.given += 1;
                }
                Line::At(t, at) => {
                    let n = out.len();
                    times(out, n).push(at);
                    out.col.push(t);
                    self.given += 1;
                }
                Line::Mark(w) => out.mark(w),
                Line::Cut => {
                    self.at += 1;
                    return Ok(Filled::More);
                }
                Line::Until(at) => cx.sleep_until(at).await,
                Line::Gate(g) => g.wait().await,
                Line::Call(f) => f(),
                Line::Bad(what) => self.faults.push((self.given, what)),
                Line::Yield => {
                    // Done before the wait: a dropped future must not wait again for ever.
                    self.at += 1;
                    YieldOnce::default().await;
                    continue;
                }
                Line::Fail(f) => {
                    self.at += 1;
                    f.strike("script", self.at as u32).await?;
                    continue;
                }
            }
            self.at += 1;
        }
        Ok(Filled::End)
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        let faults = std::mem::take(&mut self.faults);
        let record = |(seq, what)| {
            let cause = flux_io_core::DeadCause::Poison;
            ErrorRecord { seq, ..ErrorRecord::new(cause, what) }
        };
        faults.into_iter().map(record).collect()
    }

    fn position(&self) -> Option<CheckpointToken> {
        let mut bytes = (self.at as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.given.to_le_bytes());
        Some(CheckpointToken(bytes))
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let bad = || StageError::permanent("the script has no such position");
        let (at, given) = token.0.split_first_chunk::<8>().ok_or_else(bad)?;
        self.at = usize::try_from(u64::from_le_bytes(*at)).map_err(|_| bad())?;
        self.given = u64::from_le_bytes(given.try_into().map_err(|_| bad())?);
        Ok(())
    }
}

impl<T: Clone + Send + Sync + 'static> RecoverableSource for ScriptSource<T> {}
