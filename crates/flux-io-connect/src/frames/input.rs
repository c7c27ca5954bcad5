//! Where bytes may come from: a list of files, or one reader.

use super::feed::{Feed, Raw, head_of, open, sniff};
use super::token::{Token, fingerprint};
use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Inputs that are read one after the other. Sealed: [`Files`], [`Found`](super::Found),
/// [`Reader`], and `Box<dyn Inputs>` where which one is known late.
pub trait Inputs: sealed::Open + Send + fmt::Debug + 'static {}

pub(super) mod sealed {
    use super::{Feed, StageError, Token};

    /// How inputs are opened.
    pub trait Open {
        /// Finds out which there are. Blocks; again: nothing happens.
        ///
        /// # Errors
        /// When that cannot be known.
        fn look(&mut self) -> Result<(), StageError> {
            Ok(())
        }
        /// How many there are.
        fn count(&self) -> usize;
        /// The name of one, for people.
        fn name(&self, index: usize) -> String;
        /// What tells one from another in a checkpoint, when its index does not suffice.
        fn key(&self, _index: usize) -> Option<String> {
            None
        }
        /// All of them, for people.
        fn target(&self) -> String;
        /// Whether places can be gone back to.
        fn seekable(&self) -> bool;
        /// Whether opening or reading one may wait for somebody else: a pipe, a terminal.
        fn waits(&self, index: usize) -> bool;
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
        fn check(&mut self, token: &Token) -> Result<Vec<u8>, StageError>;
    }
}

impl<I: Inputs + ?Sized> Inputs for Box<I> {}

impl<I: sealed::Open + ?Sized> sealed::Open for Box<I> {
    fn look(&mut self) -> Result<(), StageError> {
        (**self).look()
    }
    fn count(&self) -> usize {
        (**self).count()
    }
    fn name(&self, index: usize) -> String {
        (**self).name(index)
    }
    fn key(&self, index: usize) -> Option<String> {
        (**self).key(index)
    }
    fn target(&self) -> String {
        (**self).target()
    }
    fn seekable(&self) -> bool {
        (**self).seekable()
    }
    fn waits(&self, index: usize) -> bool {
        (**self).waits(index)
    }
    fn open(&mut self, i: usize, block: usize, offset: u64) -> Result<(Feed, bool), StageError> {
        (**self).open(i, block, offset)
    }
    fn check(&mut self, token: &Token) -> Result<Vec<u8>, StageError> {
        (**self).check(token)
    }
}

/// Files, by path, in order. Their positions can be trusted for recovery.
#[derive(Clone, Debug)]
pub struct Files(pub(super) Vec<PathBuf>);

impl Files {
    /// One file.
    pub fn one(path: impl Into<PathBuf>) -> Self {
        Self(vec![path.into()])
    }

    /// Several files, one after the other, in this order.
    pub fn list<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self(paths.into_iter().map(Into::into).collect())
    }
}

impl Inputs for Files {}

impl sealed::Open for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0.get(index).map_or_else(String::new, |p| p.display().to_string())
    }

    fn target(&self) -> String {
        match self.0.as_slice() {
            [] => String::new(),
            [_] => self.name(0),
            [_, rest @ ..] => format!("{} and {} more", self.name(0), rest.len()),
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn waits(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(|p| waits(p))
    }

    fn open(&mut self, i: usize, block: usize, offset: u64) -> Result<(Feed, bool), StageError> {
        match self.0.get(i) {
            Some(path) => open(path, block, offset),
            None => Err(no_file(i, self.0.len())),
        }
    }

    fn check(&mut self, token: &Token) -> Result<Vec<u8>, StageError> {
        let i = token.file as usize;
        let Some(path) = self.0.get(i) else {
            // Behind the last file is a place too: the end.
            let end = i == self.0.len() && token.place.offset == 0;
            return if end { Ok(Vec::new()) } else { Err(no_file(i, self.0.len())) };
        };
        if token.head_len == 0 {
            return Ok(Vec::new());
        }
        if waits(path) {
            let what = format!(
                "{} is a pipe or a device and cannot be read again; start the run without a \
                 checkpoint",
                path.display()
            );
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what));
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

pub(super) fn no_file(index: usize, files: usize) -> StageError {
    let what = format!(
        "the checkpoint stands in file {} of a list that now has {files}; give the same files in \
         the same order",
        index + 1
    );
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what)
}

/// Whether opening or reading what is at `path` may wait for somebody: all but regular files, and
/// directories, which are refused. What cannot be looked at fails when it is opened.
fn waits(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// Anything that can be read once: stdin, a socket, bytes in memory. It has no positions.
///
/// It is read on a thread of its own ([`IoCx::outside`](flux_io_core::IoCx::outside)), since nobody
/// knows how long its `read` waits. A run that is stopped does not wait for it: what that read
/// brings afterwards is lost. [`Reader::at_hand`] says that it never waits.
pub struct Reader {
    name: String,
    waits: bool,
    raw: Option<Raw>,
    /// Bytes read before a failed call.
    first: Vec<u8>,
}

impl Reader {
    /// What `raw` gives; `name` is what messages call it.
    pub fn new(name: impl Into<String>, raw: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), waits: true, raw: Some(Box::new(raw)), first: Vec::new() }
    }

    /// Standard input. Where it is a regular file, reading it never waits.
    #[must_use]
    pub fn stdin() -> Self {
        let reader = Self::new("stdin", std::io::stdin());
        if stdin_is_file() { reader.at_hand() } else { reader }
    }

    /// All that it gives is there already (bytes in memory, a regular file): it is read where the
    /// engine reads files, in place on the sync engine.
    #[must_use]
    pub const fn at_hand(mut self) -> Self {
        self.waits = false;
        self
    }
}

#[cfg(unix)]
fn stdin_is_file() -> bool {
    use std::os::fd::AsFd;
    let fd = std::io::stdin().as_fd().try_clone_to_owned();
    let meta = fd.and_then(|fd| std::fs::File::from(fd).metadata());
    meta.is_ok_and(|m| m.is_file())
}

#[cfg(not(unix))]
const fn stdin_is_file() -> bool {
    false
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

    fn target(&self) -> String {
        self.name.clone()
    }

    fn seekable(&self) -> bool {
        false
    }

    fn waits(&self, _index: usize) -> bool {
        self.waits
    }

    fn open(&mut self, _i: usize, block: usize, _offset: u64) -> Result<(Feed, bool), StageError> {
        let feed = sniff(&mut self.raw, &mut self.first, block);
        let failed = |e| StageError::io(format!("cannot read {} at byte 0", self.name), e);
        Ok((feed.map_err(failed)?, false))
    }

    fn check(&mut self, _token: &Token) -> Result<Vec<u8>, StageError> {
        let what =
            format!("{} cannot be read again; start the run without a checkpoint", self.name);
        Err(StageError::permanent(what))
    }
}
