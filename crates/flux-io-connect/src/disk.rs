//! What file sinks ask of a file system, so that tests and simulators can stand in for it.
//!
//! All calls block; sinks make them through [`IoCx::blocking`](flux_io_core::IoCx::blocking).

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file that is being written.
pub trait DiskFile: Send {
    /// Appends all bytes.
    ///
    /// # Errors
    /// The file's content is unknown then; it is given up.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable (fsync).
    ///
    /// # Errors
    /// Final: a second call proves nothing, since the pages may be marked clean already
    /// (Rebello et al., "Can applications recover from fsync failures?", ATC 2020).
    fn sync(&mut self) -> io::Result<()>;
}

/// A file system. Every call may fail at any time; none is tried again.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Makes a new file for writing.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one, and whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Whether there is something at `path`.
    ///
    /// # Errors
    /// When that cannot be known.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Gives a file another name in the same directory, at once and whole. With `overwrite` it
    /// takes the place of what is there.
    ///
    /// # Errors
    /// `AlreadyExists` when something is there and `overwrite` is off; then nothing has changed.
    fn publish(&self, from: &Path, to: &Path, overwrite: bool) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` when there is none, and whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes names given and taken in a directory durable.
    ///
    /// # Errors
    /// The names may come back as they were before.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OsDisk;

impl DiskFile for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Without `overwrite` a hard link decides who comes first; where there are none, a look and a
    /// rename, which two writers at the same moment can both pass.
    fn publish(&self, from: &Path, to: &Path, overwrite: bool) -> io::Result<()> {
        if overwrite {
            return fs::rename(from, to);
        }
        match fs::hard_link(from, to) {
            Ok(()) => {
                // The new name holds; should the old one stay, it is a second name of the same.
                let _ = fs::remove_file(from);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
            Err(_) if self.exists(to)? => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Other systems have no way to ask for it.
    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }
}
