//! The sink: an outcome line for each order.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flux_io::core::{Batch, IoCx, Outcome, Sink, StageError};

/// Writes `key TAB status TAB missing TAB record`.
pub(super) struct OutcomeLines(BufWriter<File>);

impl OutcomeLines {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(1 << 16, File::create(path)?)))
    }

    fn line(&mut self, outcome: &Outcome<u64, [u8; 8]>) -> io::Result<()> {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let to = &mut self.0;
        to.write_all(itoa::Buffer::new().format(*outcome.key()).as_bytes())?;
        if outcome.is_complete() {
            to.write_all(b"\tcomplete\t\t")?;
        } else {
            write!(to, "\tpartial\t{}\t", outcome.headers().missing_vars())?;
        }
        let mut line = [b'\n'; 17];
        for (pair, byte) in line.chunks_exact_mut(2).zip(outcome.value()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        to.write_all(&line)
    }
}

impl Sink for OutcomeLines {
    type Col = Vec<Outcome<u64, [u8; 8]>>;

    async fn write(&mut self, batch: &mut Batch<Self::Col>, _cx: &IoCx) -> Result<(), StageError> {
        for outcome in batch.col.drain(..) {
            self.line(&outcome).map_err(|e| StageError::permanent(e.to_string()))?;
        }
        Ok(())
    }

    async fn flush(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        self.0.flush().map_err(|e| StageError::permanent(e.to_string()))
    }
}
