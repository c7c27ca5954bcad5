//! Results kept in memory, in place of sinks.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are written here and there, and read at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of every key, and the dead letters, in place of the sinks' outputs.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub(crate) fates: Bytes,
    pub(crate) letters: Bytes,
}

impl Kept {
    /// What became of every key, a JSON object a line; emptied.
    #[must_use]
    pub fn fates(&self) -> String {
        self.fates.take()
    }

    /// The dead letters, a JSON object a line; emptied.
    #[must_use]
    pub fn letters(&self) -> String {
        self.letters.take()
    }
}
