//! Where lines may come from: a list of files, or one reader.

use super::feed::{Feed, Raw, head_of, open, sniff};
use super::token::{Token, fingerprint};
use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fmt;
use std::path::PathBuf;

/// Inputs that are read one after the other. Sealed: [`Files`] and [`Reader`].
pub trait Inputs: sealed::Open + Send + fmt::Debug + 'static {}

pub(crate) mod sealed {
    use super::{Feed, StageError, Token};

    /// How inputs are opened.
    pub trait Open {
        /// How many there are.
        fn count(&self) -> usize;
        /// The name of one, for people.
        fn name(&self, index: usize) -> String;
        /// Whether places can be gone back to.
        fn seekable(&self) -> bool;
        /// Opens one at `offset`; also whether reading ahead never waits.
        ///
        /// # Errors
        /// When it cannot be opened.
        fn open(
            &mut self,
            index: usize,
            block: usize,
            offset: u64,
        ) -> Result<(Feed, bool), StageError>;
        /// Checks that a token's file is still the one it was made for, and gives its first bytes.
        ///
        /// # Errors
        /// When it is another one or cannot be read.
        fn check(&self, token: &Token) -> Result<Vec<u8>, StageError>;
    }
}

/// Files, by path, in order. Their positions can be trusted for recovery.
#[derive(Clone, Debug)]
pub struct Files(pub(super) Vec<PathBuf>);

impl Inputs for Files {}

impl sealed::Open for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0.get(index).map_or_else(String::new, |p| p.display().to_string())
    }

    fn seekable(&self) -> bool {
        true
    }

    fn open(&mut self, i: usize, block: usize, offset: u64) -> Result<(Feed, bool), StageError> {
        match self.0.get(i) {
            Some(path) => open(path, block, offset),
            None => Err(no_file(i, self.0.len())),
        }
    }

    fn check(&self, token: &Token) -> Result<Vec<u8>, StageError> {
        let i = token.file as usize;
        let Some(path) = self.0.get(i) else {
            // Behind the last file is a place too: the end.
            let end = i == self.0.len() && token.place.offset == 0;
            return if end { Ok(Vec::new()) } else { Err(no_file(i, self.0.len())) };
        };
        if token.head_len == 0 {
            return Ok(Vec::new());
        }
        let head = head_of(path, usize::from(token.head_len))?;
        if head.len() == usize::from(token.head_len) && fingerprint(&head) == token.head_hash {
            return Ok(head);
        }
        let what = format!(
            "{} does not begin as it did when the checkpoint was made; bring the file back as it \
             was or start without the checkpoint",
            path.display()
        );
        Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what))
    }
}

fn no_file(index: usize, files: usize) -> StageError {
    let what = format!(
        "the checkpoint stands in file {} of a list that now has {files}; give the same files in \
         the same order",
        index + 1
    );
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what)
}

/// Anything that can be read once: stdin, a socket, bytes in memory. It has no positions.
pub struct Reader {
    pub(super) name: String,
    pub(super) raw: Option<Raw>,
    /// Bytes read before a failed call.
    pub(super) first: Vec<u8>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.name)
    }
}

impl Inputs for Reader {}

impl sealed::Open for Reader {
    fn count(&self) -> usize {
        1
    }

    fn name(&self, _index: usize) -> String {
        self.name.clone()
    }

    fn seekable(&self) -> bool {
        false
    }

    fn open(&mut self, _i: usize, block: usize, _offset: u64) -> Result<(Feed, bool), StageError> {
        let feed = sniff(&mut self.raw, &mut self.first, block);
        let failed = |e| StageError::io(format!("cannot read {} at byte 0", self.name), e);
        Ok((feed.map_err(failed)?, false))
    }

    fn check(&self, _token: &Token) -> Result<Vec<u8>, StageError> {
        let what =
            format!("{} cannot be read again; start the run without a checkpoint", self.name);
        Err(StageError::permanent(what))
    }
}
