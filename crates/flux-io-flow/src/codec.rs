//! How the state of an operator is written into a snapshot and read back.

use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fmt;

type Save<S> = Box<dyn Fn(&S, &mut Vec<u8>) + Send>;
type Load<S> = Box<dyn Fn(&[u8]) -> Option<S> + Send>;

/// Two closures of the user's, and the length of what they write: several states may follow each
/// other in one snapshot. Called at checkpoints only.
pub(crate) struct Codec<S> {
    save: Save<S>,
    load: Load<S>,
}

impl<S> fmt::Debug for Codec<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl<S> Codec<S> {
    pub(crate) fn new(
        save: impl Fn(&S, &mut Vec<u8>) + Send + 'static,
        load: impl Fn(&[u8]) -> Option<S> + Send + 'static,
    ) -> Self {
        Self { save: Box::new(save), load: Box::new(load) }
    }

    /// Appends the length in 8 bytes, little-endian, and the state.
    pub(crate) fn save(&self, state: &S, to: &mut Vec<u8>) -> Result<(), StageError> {
        let head = to.len();
        to.extend_from_slice(&[0; 8]);
        (self.save)(state, to);
        let Some(bytes) = to.len().checked_sub(head + 8) else {
            return Err(bad("a codec removed bytes from the snapshot it was to append to".into()));
        };
        if let Some(length) = to.get_mut(head..head + 8) {
            length.copy_from_slice(&(bytes as u64).to_le_bytes());
        }
        Ok(())
    }

    /// Takes one state from the front.
    pub(crate) fn load(&self, from: &mut &[u8]) -> Result<S, StageError> {
        let short = || bad("a snapshot ends where a state should stand".to_owned());
        let (length, rest) = from.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (state, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        *from = rest;
        (self.load)(state).ok_or_else(|| bad(format!("{length} bytes are no state of this stage")))
    }
}

fn bad(what: String) -> StageError {
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what)
}
