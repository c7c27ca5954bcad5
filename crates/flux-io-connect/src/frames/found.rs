//! Files that are looked for: by a glob pattern or in a directory.

use super::feed::Feed;
use super::input::{Files, Inputs, no_file, sealed};
use super::pattern::{fits, is_pattern};
use super::token::Token;
use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fs::{self, DirEntry};
use std::path::{Component, Path, PathBuf};

/// Files one source may find. Their names are held in memory.
const FILES_LIMIT: usize = 1_000_000;

/// Files found by a glob pattern or in a directory when the source starts, sorted by path,
/// component by component. Their positions can be trusted for recovery: a checkpoint names the
/// file, and a run that goes on from it refuses a list whose files before that one have changed.
/// Files that were added behind it are read.
///
/// Names that begin with a dot are left out unless the pattern has the dot. Links to files are
/// followed, links to directories are not. Finding nothing is an error unless
/// [allowed](Self::allow_none).
#[derive(Clone, Debug)]
pub struct Found {
    root: PathBuf,
    /// Components below the root; `**` stands for any number of directories.
    below: Vec<String>,
    shown: String,
    none: bool,
    /// What was found.
    files: Option<Files>,
}

impl Found {
    /// Files whose path fits `pattern`: in each component `*` is any characters, `?` one, `[a-z]`
    /// one of a set, `[!a-z]` one outside it; a component `**` is any number of directories.
    #[must_use]
    pub fn glob(pattern: &str) -> Self {
        let path = Path::new(pattern);
        let is_meant = |c: &Component<'_>| is_pattern(&c.as_os_str().to_string_lossy());
        let fixed = path.components().take_while(|c| !is_meant(c)).count();
        // A path without a pattern is its own last component.
        let fixed = fixed.min(path.components().count().saturating_sub(1));
        let root = path.components().take(fixed).collect();
        let below = path.components().skip(fixed);
        let below = below.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        Self { root, below, shown: pattern.to_owned(), none: false, files: None }
    }

    /// The files of a directory; those of directories in it with [`recursive`](Self::recursive).
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        let root = path.into();
        let shown = root.display().to_string();
        Self { root, below: vec!["*".to_owned()], shown, none: false, files: None }
    }

    /// Also the files of all directories below.
    #[must_use]
    pub fn recursive(mut self, yes: bool) -> Self {
        self.below.retain(|c| c != "**");
        if yes {
            self.below.insert(self.below.len().saturating_sub(1), "**".to_owned());
        }
        self
    }

    /// Finding no file is an empty input and no error.
    #[must_use]
    pub const fn allow_none(mut self, yes: bool) -> Self {
        self.none = yes;
        self
    }

    fn find(&self) -> Result<Vec<PathBuf>, StageError> {
        let mut found = Vec::new();
        walk(&self.root, &self.below, &mut found)?;
        // The same file may be reached in two ways by several `**`.
        found.sort();
        found.dedup();
        if found.is_empty() && !self.none {
            let what = format!(
                "no file fits {}; look at the directory and the pattern, names with a dot in \
                 front are left out",
                self.shown
            );
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
        }
        Ok(found)
    }

    fn files(&mut self) -> Result<&mut Files, StageError> {
        if self.files.is_none() {
            self.files = Some(Files(self.find()?));
        }
        // It is there by now.
        Ok(self.files.get_or_insert_with(|| Files(Vec::new())))
    }
}

fn walk(dir: &Path, below: &[String], found: &mut Vec<PathBuf>) -> Result<(), StageError> {
    let Some((first, rest)) = below.split_first() else { return Ok(()) };
    if first == "**" {
        walk(dir, rest, found)?;
    } else if !is_pattern(first) {
        let path = dir.join(first);
        match fs::metadata(&path) {
            Ok(meta) if rest.is_empty() && meta.is_file() => add(path, found)?,
            Ok(meta) if meta.is_dir() => walk(&path, rest, found)?,
            _ => {}
        }
        return Ok(());
    }
    for entry in entries(dir)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if first == "**" {
            if !name.starts_with('.') && is_directory(&entry) {
                walk(&entry.path(), below, found)?;
            }
        } else if fits(first, &name) {
            if rest.is_empty() {
                if fs::metadata(entry.path()).is_ok_and(|m| m.is_file()) {
                    add(entry.path(), found)?;
                }
            } else if is_directory(&entry) {
                walk(&entry.path(), rest, found)?;
            }
        }
    }
    Ok(())
}

/// Whether it is one itself: links are not followed, so that no walk goes in circles.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|t| t.is_dir())
}

fn entries(dir: &Path) -> Result<Vec<DirEntry>, StageError> {
    let dir = if dir == Path::new("") { Path::new(".") } else { dir };
    let failed = |e| StageError::io(format!("cannot list {}", dir.display()), e);
    fs::read_dir(dir).and_then(Iterator::collect).map_err(failed)
}

fn add(path: PathBuf, found: &mut Vec<PathBuf>) -> Result<(), StageError> {
    if found.len() == FILES_LIMIT {
        let what = format!(
            "more than {FILES_LIMIT} files fit, the last at {}; narrow the pattern or split the \
             run",
            path.display()
        );
        return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
    }
    found.push(path);
    Ok(())
}

impl Inputs for Found {}

impl sealed::Open for Found {
    fn look(&mut self) -> Result<(), StageError> {
        self.files().map(|_| ())
    }

    fn count(&self) -> usize {
        self.files.as_ref().map_or(0, sealed::Open::count)
    }

    fn name(&self, index: usize) -> String {
        self.files.as_ref().map_or_else(String::new, |f| f.name(index))
    }

    fn key(&self, index: usize) -> Option<String> {
        self.files.as_ref().map(|f| f.name(index))
    }

    fn target(&self) -> String {
        self.shown.clone()
    }

    fn seekable(&self) -> bool {
        true
    }

    fn waits(&self, index: usize) -> bool {
        self.files.as_ref().is_some_and(|f| f.waits(index))
    }

    fn open(&mut self, i: usize, block: usize, offset: u64) -> Result<(Feed, bool), StageError> {
        self.files()?.open(i, block, offset)
    }

    fn check(&mut self, token: &Token) -> Result<Vec<u8>, StageError> {
        let (index, name) = &token.named;
        let files = self.files()?;
        let index = *index as usize;
        if name.is_empty() || files.0.get(index).is_some_and(|p| p.display().to_string() == *name) {
            return files.check(token);
        }
        if files.0.get(index).is_none() {
            return Err(no_file(index, files.0.len()));
        }
        let what = format!(
            "the checkpoint stands in {name}, which was file {} of those that fit, and that is \
             now {}; bring the files before it back as they were or start without the checkpoint",
            index + 1,
            files.name(index)
        );
        Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what))
    }
}
