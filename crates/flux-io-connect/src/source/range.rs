//! Runs of numbers: as two words a batch, or as numbers.

use flux_io_core::{
    Batch, CheckpointToken, Column, ConnectorDescriptor, ErrorClass, ErrorKind, Filled, IoCx,
    RangeColumn, RecoverableSource, Source, StageError,
};
use std::ops::Range;

/// The numbers of `range` in order, as [`RangeColumn`]: a batch is two words. Never waits; its
/// positions can be trusted for recovery.
#[must_use]
pub const fn range(range: Range<u64>) -> Ranges {
    Ranges(range)
}

/// The numbers of `range` in order, as `Vec<u64>`. Never waits; its positions can be trusted for
/// recovery.
#[must_use]
pub const fn numbers(range: Range<u64>) -> Numbers {
    Numbers(range)
}

/// See [`range`].
#[derive(Clone, Debug)]
pub struct Ranges(Range<u64>);

/// See [`numbers`].
#[derive(Clone, Debug)]
pub struct Numbers(Range<u64>);

/// Takes up to `max` numbers from the front.
fn next(left: &mut Range<u64>, max: usize) -> (Range<u64>, Filled) {
    let end = left.start.saturating_add(max as u64).min(left.end).max(left.start);
    let run = left.start..end;
    left.start = end;
    (run, if left.is_empty() { Filled::End } else { Filled::More })
}

/// The token is the next number, little-endian.
fn seek(left: &mut Range<u64>, token: &CheckpointToken) -> Result<(), StageError> {
    match <[u8; 8]>::try_from(token.0.as_slice()).map(u64::from_le_bytes) {
        Ok(next) if next == left.start || (left.start..=left.end).contains(&next) => {
            left.start = next;
            Ok(())
        }
        Ok(next) => Err(bad(format!(
            "the checkpoint stands at {next}, outside of {}..{}; give the same range",
            left.start, left.end
        ))),
        Err(_) => Err(bad(format!(
            "a range's position has 8 bytes and the checkpoint's has {}",
            token.0.len()
        ))),
    }
}

fn bad(what: String) -> StageError {
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what)
}

fn describe(kind: &'static str, left: &Range<u64>) -> ConnectorDescriptor {
    let mut d = ConnectorDescriptor::new(kind, format!("{}..{}", left.start, left.end));
    d.seekable = true;
    d
}

macro_rules! source_of_numbers {
    ($name:ident, $col:ty, $kind:literal, $put:expr) => {
        impl Source for $name {
            type Col = $col;

            async fn fill(
                &mut self,
                out: &mut Batch<$col>,
                cx: &IoCx,
            ) -> Result<Filled, StageError> {
                let (run, filled) = next(&mut self.0, cx.max_rows());
                $put(out, run);
                Ok(filled)
            }

            fn try_fill(
                &mut self,
                out: &mut Batch<$col>,
                max_rows: usize,
            ) -> Option<Result<Filled, StageError>> {
                let (run, filled) = next(&mut self.0, max_rows);
                $put(out, run);
                Some(Ok(filled))
            }

            fn position(&self) -> Option<CheckpointToken> {
                Some(CheckpointToken(self.0.start.to_le_bytes().to_vec()))
            }

            fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
                seek(&mut self.0, token)
            }

            fn descriptor(&self) -> ConnectorDescriptor {
                describe($kind, &self.0)
            }
        }

        impl RecoverableSource for $name {}
    };
}

source_of_numbers!(Ranges, RangeColumn, "range", |out: &mut Batch<RangeColumn>, run| {
    if out.is_empty() {
        out.col.clear();
        out.col.range = run;
    } else {
        out.col.append(&mut RangeColumn::new(run));
    }
});
source_of_numbers!(Numbers, Vec<u64>, "numbers", |out: &mut Batch<Vec<u64>>, run| {
    out.col.extend(run);
});
