//! Runs a kernel over a batch under its operators' error policies: what a caught panic and a failed
//! row cost, who is blamed, and when the loop goes on.

use crate::kernel::{Kernel, RowFault};
use flux_io_core::{
    ByteColumn, Column, DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, Meta, Moment,
    OnError, Original, RowError, StageCx, StageError,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of an original kept in a dead letter: a sample, not an archive.
pub const ORIGINAL_BYTES: usize = 256 * 1024;

/// The operators of a segment as they stand in a plan: names and error policies, from the head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operators {
    pub(crate) names: Vec<String>,
    pub(crate) on: Vec<OnError>,
}

/// How far a kernel came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The input is used up.
    All,
    /// Its sink was full, too many faults waited to be taken away, or one row became very many.
    Stopped,
    /// A row waits for another attempt, until then.
    Wait(Moment),
}

/// One input batch on its way through a kernel.
pub(crate) struct Drive<'a> {
    pub(crate) ops: &'a Operators,
    /// Rows taken from the batch so far.
    pub(crate) at: &'a mut u64,
    /// Rows of the batch that were given up.
    pub(crate) lost: &'a mut Vec<u32>,
    /// Rows that failed behind the kernel, in what takes its output.
    pub(crate) behind: &'a mut u64,
}

impl Drive<'_> {
    /// Runs `body`, which runs the kernel, until it has used the input up, must wait, or fails.
    pub(crate) fn run<C: Column, K: Kernel<C>>(
        &mut self,
        kernel: &mut K,
        input: &mut C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
        mut body: impl FnMut(&mut K, &mut C, &mut u64) -> bool,
    ) -> Result<Ran, StageError> {
        loop {
            let at = &mut *self.at;
            // The kernel is in a known state after a panic: every local is written back by a guard.
            let ended = catch_unwind(AssertUnwindSafe(|| body(kernel, input, at)));
            self.take_faults(kernel, input, meta, cx)?;
            match ended {
                Ok(true) => return Ok(Ran::All),
                Ok(false) => {
                    return Ok(self.wait(kernel, cx).map_or(Ran::Stopped, Ran::Wait));
                }
                Err(panic) => self.panicked(kernel, input, meta, cx, panic.as_ref())?,
            }
        }
    }

    fn take_faults<C: Column, K: Kernel<C>>(
        &mut self,
        kernel: &mut K,
        input: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        let mut first = None;
        kernel.faults(&mut 0, &mut |op, fault| {
            self.lost.push(fault.row);
            if let Err(e) = self.give_up(op, fault, input, meta, cx) {
                first.get_or_insert(e);
            }
        });
        first.map_or(Ok(()), Err)
    }

    /// A row that will not be tried again goes where its operator's policy says.
    fn give_up<C: Column>(
        &self,
        op: usize,
        fault: RowFault,
        input: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        let RowFault { row, error, original, attempts } = fault;
        let name = self.ops.names.get(op).map_or("?", String::as_str);
        let row = row as usize;
        let failed = Failed { part: "operator", name, meta, row, attempts };
        let on = self.ops.on.get(op).copied().unwrap_or_default();
        failed.go(on, error, kept(original, input, row), cx)
    }

    fn panicked<C: Column, K: Kernel<C>>(
        &mut self,
        kernel: &mut K,
        input: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
        panic: &(dyn Any + Send),
    ) -> Result<(), StageError> {
        let (op, original) = kernel.blame(&mut 0).unwrap_or_else(|| {
            // No mark: the panic began in what stands behind the kernel, the last operator.
            *self.behind += 1;
            (self.ops.names.len().saturating_sub(1), Original::None)
        });
        let row = self.at.saturating_sub(1) as u32;
        self.lost.push(row);
        let error = RowError::new(DeadCause::Panicked, panic_text(panic));
        self.give_up(op, RowFault { row, error, original, attempts: 1 }, input, meta, cx)
    }

    fn wait<C: Column, K: Kernel<C>>(&self, kernel: &K, cx: &mut StageCx<'_>) -> Option<Moment> {
        let waiting = kernel.waiting(&mut 0)?;
        let on = self.ops.on.get(waiting.operator).copied().unwrap_or_default();
        let delay = on.retry_after(waiting.class, waiting.attempts, cx.draw())?;
        cx.retried(1);
        Some(cx.now().plus(delay))
    }
}

/// A row that will not be tried again, and where it failed.
pub(crate) struct Failed<'a> {
    /// "operator" or "stage".
    pub(crate) part: &'static str,
    pub(crate) name: &'a str,
    pub(crate) meta: &'a Meta,
    pub(crate) row: usize,
    pub(crate) attempts: u32,
}

impl Failed<'_> {
    /// Goes where the policy says.
    pub(crate) fn go(
        self,
        on: OnError,
        error: RowError,
        original: Original,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        match on.finally() {
            GiveUp::Fail => return Err(self.failure(&error)),
            GiveUp::Skip => cx.dropped("skip", 1),
            GiveUp::DeadLetter => cx.dead(ErrorRecord {
                stage: cx.home().id,
                stage_name: self.name.to_owned(),
                source: self.meta.source,
                seq: self.meta.seq.at(self.row),
                attempts: self.attempts,
                context: self.meta.context_at(self.row).cloned(),
                original,
                ..ErrorRecord::new(error.cause, error.what)
            }),
        }
        Ok(())
    }

    fn failure(self, error: &RowError) -> StageError {
        let Self { part, name, meta, row, attempts } = self;
        let (kind, verb) = match error.cause {
            DeadCause::Panicked => (ErrorKind::Panicked, "panicked"),
            _ => (ErrorKind::User, "failed"),
        };
        let tries =
            if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() };
        // Its own attempts are over: whoever drives the stage must not start them again.
        let class = if attempts > 1 { ErrorClass::Permanent } else { error.class };
        let (seq, source) = (meta.seq.at(row), meta.source);
        let what =
            format!("{part} `{name}` {verb} at row {seq} of {source}{tries}: {}", error.what);
        StageError::new(class, kind, what)
    }
}

/// The original of a failed row: as the operator kept it, or the row's bytes if they are still in
/// the input.
pub(crate) fn kept<C: Column>(original: Original, input: &C, row: usize) -> Original {
    match (original, (input as &dyn Any).downcast_ref::<ByteColumn>()) {
        (Original::None, Some(bytes)) if row < bytes.rows() => {
            let bytes = bytes.row(row);
            Original::Bytes(bytes[..bytes.len().min(ORIGINAL_BYTES)].to_vec())
        }
        (original, _) => original,
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without text".to_owned())
}
