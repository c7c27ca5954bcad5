//! What frames mean.

use super::framing::Place;
use flux_io_core::{ByteColumn, Column, RowError};

/// Turns frames into rows: the reading half of a wire format, as
/// [`Encode`](crate::output::Encode) is the writing one.
///
/// It runs in the source, where file and place of a frame are known, so that a frame it refuses
/// becomes a dead letter that names them.
pub trait Decode: Send + 'static {
    /// Column of the rows.
    type Col: Column;

    /// A new input begins: what was learnt from a header holds no longer.
    fn begin(&mut self) {}

    /// Whether the first frame of every input is a header. It is then given to
    /// [`header`](Self::header) and no row, also when reading goes on behind it from a checkpoint.
    fn has_header(&self) -> bool {
        false
    }

    /// Takes the header of an input.
    ///
    /// # Errors
    /// What is wrong with it; it becomes a dead letter. Frames still come.
    fn header(&mut self, frame: &[u8]) -> Result<(), RowError> {
        let _ = frame;
        Ok(())
    }

    /// Appends the row that `frame` is, or none.
    ///
    /// # Errors
    /// What is wrong with it; it becomes a dead letter with its bytes. Nothing was appended then.
    fn decode(&mut self, frame: &[u8], at: Place, out: &mut Self::Col) -> Result<(), RowError>;

    /// Whether a row of a frame of `bytes` bytes fits `out`.
    fn fits(&self, out: &Self::Col, bytes: usize) -> bool {
        let _ = (out, bytes);
        true
    }
}

/// Frames as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsBytes;

impl Decode for AsBytes {
    type Col = ByteColumn;

    #[inline]
    fn decode(&mut self, frame: &[u8], _at: Place, out: &mut ByteColumn) -> Result<(), RowError> {
        out.push(frame);
        Ok(())
    }

    #[inline]
    fn fits(&self, out: &ByteColumn, bytes: usize) -> bool {
        out.fits(bytes)
    }
}
