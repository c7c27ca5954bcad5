//! The blocking side of a parts directory: what is on disk, and how it moves.

use super::buffered::final_io;
use super::compress::Compression;
use super::names::{Kind, Names};
use super::temp::Temp;
use crate::disk::Disk;
use crate::sync::Arc;
use flux_io_core::{Epoch, ErrorClass, ErrorKind, StageError};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// What is in the directory.
#[derive(Debug, Default)]
struct Found {
    temporary: Vec<PathBuf>,
    prepared: BTreeSet<Epoch>,
    visible: BTreeSet<Epoch>,
}

/// The target that moves into blocking jobs.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) disk: Arc<dyn Disk>,
    names: Names,
    pub(super) compression: Compression,
    temp: Option<Temp>,
}

impl Target {
    pub(super) const fn new(disk: Arc<dyn Disk>, names: Names) -> Self {
        Self { disk, names, compression: Compression::None, temp: None }
    }

    /// Removes the unfinished file.
    pub(super) fn give_up(&mut self) {
        self.temp = None;
    }

    fn look(&self) -> Result<Found, StageError> {
        let dir = self.names.dir();
        let list = self.disk.list(dir);
        let list = list.map_err(|e| {
            StageError::io(format!("cannot list {}; does the directory exist?", dir.display()), e)
        })?;
        let mut found = Found::default();
        for name in list {
            match self.names.kind(&name) {
                Kind::Temporary => found.temporary.push(dir.join(name)),
                Kind::Prepared(e) => drop(found.prepared.insert(e)),
                Kind::Visible(e) => drop(found.visible.insert(e)),
                Kind::Foreign => {}
            }
        }
        Ok(found)
    }

    /// # Errors
    /// When the directory holds files of an earlier run.
    pub(super) fn check_unused(&mut self) -> Result<(), StageError> {
        let found = self.look()?;
        if found.prepared.is_empty() && found.visible.is_empty() {
            return Ok(());
        }
        let what = format!(
            "{} holds the output of an earlier run; resume that run, or name an empty directory",
            self.names.dir().display()
        );
        Err(final_io(what, io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        if self.temp.is_none() {
            self.temp = Some(Temp::beside(&self.disk, &self.names.base(), self.compression)?);
        }
        let wrote = self.temp.as_mut().map_or(Ok(()), |t| t.write(bytes));
        self.or_remove(wrote)
    }

    pub(super) fn sync(&mut self) -> Result<(), StageError> {
        let synced = self.temp.as_mut().map_or(Ok(()), Temp::sync);
        self.or_remove(synced)
    }

    fn or_remove(&mut self, went: Result<(), StageError>) -> Result<(), StageError> {
        if went.is_err() {
            self.temp = None;
        }
        went
    }

    /// Makes everything written so far durable under `epoch`.
    pub(super) fn prepare(&mut self, epoch: Epoch, bytes: &[u8]) -> Result<(), StageError> {
        self.write(bytes)?;
        let ended = self.temp.as_mut().map_or(Ok(()), Temp::end);
        self.or_remove(ended)?;
        self.sync()?;
        let to = self.names.prepared(epoch);
        self.temp.take().map_or(Ok(()), |temp| temp.publish(&to, false))
    }

    /// Makes what was prepared up to `epoch` visible. May be called again.
    pub(super) fn commit(&mut self, epoch: Epoch) -> Result<(), StageError> {
        let found = self.look()?;
        self.commit_found(&found, epoch)
    }

    fn commit_found(&self, found: &Found, epoch: Epoch) -> Result<(), StageError> {
        if !found.prepared.contains(&epoch) && !found.visible.contains(&epoch) {
            let what = format!(
                "epoch {} is to be committed and {} has no file of it; bring the files back as \
                 they were or start anew in an empty directory",
                epoch.0,
                self.names.dir().display()
            );
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what));
        }
        for &e in found.prepared.range(..=epoch) {
            let (from, to) = (self.names.prepared(e), self.names.visible(e));
            let failed = |e| StageError::io(format!("cannot make {} visible", to.display()), e);
            if found.visible.contains(&e) {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            // One step in every state: a second name for a moment would leave both in a crash.
            self.disk.publish(&from, &to, true).map_err(failed)?;
        }
        self.sync_dir()
    }

    /// Commits what was prepared up to `done`, removes what is later or unfinished.
    pub(super) fn recover(&mut self, done: Option<Epoch>) -> Result<(), StageError> {
        let found = self.look()?;
        if let Some(&ahead) = found.visible.last().filter(|&&e| done.is_none_or(|d| e > d)) {
            let what = format!(
                "{} shows epoch {} and the checkpoint stands at {}; use a newer checkpoint or \
                 start anew in an empty directory",
                self.names.dir().display(),
                ahead.0,
                done.map_or_else(|| "the beginning".to_owned(), |d| format!("epoch {}", d.0)),
            );
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what));
        }
        if let Some(done) = done {
            self.commit_found(&found, done)?;
        }
        let later = found.prepared.iter().filter(|&&e| done.is_none_or(|d| e > d));
        let later = later.map(|&e| self.names.prepared(e));
        for path in later.chain(found.temporary.iter().cloned()) {
            match self.disk.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(StageError::io(format!("cannot remove {}", path.display()), e));
                }
                _ => {}
            }
        }
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), StageError> {
        let dir = self.names.dir();
        let synced = self.disk.sync_dir(dir);
        synced.map_err(|e| {
            StageError::io(format!("cannot make names in {} durable", dir.display()), e)
        })
    }
}
