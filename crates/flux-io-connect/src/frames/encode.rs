//! Rows of bytes as frames.

use super::framing::Framing;
use crate::output::{Encode, EncodeError, LineColumn};
use std::fmt;
use std::marker::PhantomData;

/// Rows as they are, each a frame: what [`read`](super::read) with the same framing gives back.
pub struct Rows<C, F> {
    framing: F,
    rows: PhantomData<fn() -> C>,
}

impl<C, F> Rows<C, F> {
    /// Frames of this framing.
    pub const fn new(framing: F) -> Self {
        Self { framing, rows: PhantomData }
    }
}

impl<C, F: fmt::Debug> fmt::Debug for Rows<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({:?})", self.framing)
    }
}

impl<C, F: Default> Default for Rows<C, F> {
    fn default() -> Self {
        Self::new(F::default())
    }
}

impl<C: LineColumn, F: Framing> Encode for Rows<C, F> {
    type Col = C;
    const KIND: &'static str = "frames";

    fn kind(&self) -> &'static str {
        self.framing.kind()
    }

    fn encode(&mut self, col: &C, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        for row in 0..col.rows() {
            let written = self.framing.write(col.line(row), to);
            written.map_err(|what| EncodeError { row, what })?;
        }
        Ok(())
    }
}
