//! Frames that became no rows, as dead letters that say where they stood.

use super::framing::{Framing, Place};
use flux_io_core::{DeadCause, ErrorRecord, Original, RowError};

/// What is told of the current input.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) faults: Vec<ErrorRecord>,
    /// The input's name.
    pub(super) name: String,
    /// Lines of the inputs before it.
    pub(super) lines_before: u64,
    /// Frames at its beginning that are no records: the header.
    pub(super) headers: u64,
}

impl Told {
    pub(super) fn oversize(
        &mut self,
        framing: &impl Framing,
        at: Place,
        (bytes, limit): (u64, usize),
        sample: Vec<u8>,
    ) {
        let what = format!(
            "the record has {bytes} bytes and the limit is {limit}; raise the limit or split the \
             record"
        );
        self.push(framing, at, RowError::new(DeadCause::Oversize, what), sample);
    }

    pub(super) fn torn(&mut self, framing: &impl Framing, at: Place, what: &str, rest: &[u8]) {
        let what = format!("{what}, and the input ends; copy it again or mend its end");
        self.push(framing, at, RowError::poison(what), rest.to_vec());
    }

    pub(super) fn push(
        &mut self,
        framing: &impl Framing,
        at: Place,
        error: RowError,
        original: Vec<u8>,
    ) {
        let mut record =
            ErrorRecord::new(error.cause, format!("{}: {}", self.place(framing, at), error.what));
        record.seq = self.lines_before + at.line;
        record.original = Original::Bytes(original);
        self.faults.push(record);
    }

    /// A place in words, with the input's name.
    pub(super) fn place(&self, framing: &impl Framing, at: Place) -> String {
        let at = Place { record: at.record.saturating_sub(self.headers), ..at };
        format!("{} {}", self.name, framing.describe(at))
    }
}
