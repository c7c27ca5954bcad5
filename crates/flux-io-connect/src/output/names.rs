//! How the files of a parts directory are called.

use super::temp;
use flux_io_core::Epoch;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Digits of an epoch in a visible name, so that names sort as epochs do (up to 10^12 - 1).
const DIGITS: usize = 12;

/// What a name in the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Unfinished.
    Temporary,
    /// Prepared under this epoch.
    Prepared(Epoch),
    /// Visible, of this epoch.
    Visible(Epoch),
    /// Not ours.
    Foreign,
}

/// Names in `dir` for files called `stem.ext`.
#[derive(Debug)]
pub(super) struct Names {
    dir: PathBuf,
    name: String,
}

impl Names {
    pub(super) const fn new(dir: PathBuf, name: String) -> Self {
        Self { dir, name }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What temporary files are beside of.
    pub(super) fn base(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn stem_and_ext(&self) -> (&str, &str) {
        match self.name.rfind('.') {
            Some(dot) if dot > 0 => self.name.split_at(dot),
            _ => (&self.name, ""),
        }
    }

    pub(super) fn prepared(&self, epoch: Epoch) -> PathBuf {
        self.dir.join(format!("{}.part-{}", self.name, epoch.0))
    }

    pub(super) fn visible(&self, epoch: Epoch) -> PathBuf {
        let (stem, ext) = self.stem_and_ext();
        self.dir.join(format!("{stem}-{:0DIGITS$}{ext}", epoch.0))
    }

    pub(super) fn kind(&self, name: &OsStr) -> Kind {
        let prefix: OsString = temp::prefix(OsStr::new(&self.name));
        if name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            return Kind::Temporary;
        }
        let Some(text) = name.to_str() else { return Kind::Foreign };
        let part = text.strip_prefix(&self.name).and_then(|t| t.strip_prefix(".part-"));
        if let Some(epoch) = part.and_then(number) {
            return Kind::Prepared(epoch);
        }
        let (stem, ext) = self.stem_and_ext();
        let digits = text.strip_prefix(stem).and_then(|t| t.strip_prefix('-'));
        let digits = digits.and_then(|t| t.strip_suffix(ext)).filter(|d| d.len() >= DIGITS);
        digits.and_then(number).map_or(Kind::Foreign, Kind::Visible)
    }
}

fn number(digits: &str) -> Option<Epoch> {
    let only_digits = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| only_digits).map(Epoch)
}
