//! A file under a temporary name, beside the name it will have.

use super::buffered::final_io;
use super::compress::{Compression, Packer};
use crate::disk::{Disk, DiskFile};
use crate::sync::Arc;
use flux_io_core::StageError;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Temporary names that are tried. Each that a killed run left behind takes one.
const NAMES: u32 = 1000;

/// An unfinished file. Dropping it removes it.
pub(super) struct Temp {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    packer: Packer,
}

impl fmt::Debug for Temp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Temp({})", self.path.display())
    }
}

/// The directory a file lies in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    }
}

/// What temporary names of files called `name` begin with.
pub(super) fn prefix(name: &std::ffi::OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".tmp-");
    prefix
}

impl Temp {
    /// Makes a new file beside `target`, called `.<name>.tmp-<n>`.
    pub(super) fn beside(
        disk: &Arc<dyn Disk>,
        target: &Path,
        how: Compression,
    ) -> Result<Self, StageError> {
        let failed = |e| final_io(format!("cannot create a file beside {}", target.display()), e);
        let Some(name) = target.file_name() else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        for n in 0..NAMES {
            let mut own = prefix(name);
            own.push(n.to_string());
            let path = directory(target).join(own);
            match disk.create(&path) {
                Ok(file) => {
                    let (disk, packer) = (Arc::clone(disk), Packer::new(how));
                    return Ok(Self { disk, path, file: Some(file), packer });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Err(failed(io::Error::other("all temporary names are taken; remove the left-over files")))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        self.write_packed(|packer| packer.pack(bytes))
    }

    /// Writes what belongs behind the last bytes.
    pub(super) fn end(&mut self) -> Result<(), StageError> {
        self.write_packed(Packer::end)
    }

    fn write_packed<'a>(
        &'a mut self,
        pack: impl FnOnce(&'a mut Packer) -> io::Result<&'a [u8]>,
    ) -> Result<(), StageError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let done = pack(&mut self.packer).and_then(|bytes| match bytes {
            [] => Ok(()),
            some => file.write_all(some),
        });
        done.map_err(|e| final_io(format!("cannot write {}", self.path.display()), e))
    }

    pub(super) fn sync(&mut self) -> Result<(), StageError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let done = file.sync();
        done.map_err(|e| final_io(format!("cannot make {} durable", self.path.display()), e))
    }

    /// Gives it its name, durably. It must be synced.
    ///
    /// When the directory cannot be synced, a name that was new is taken away again.
    pub(super) fn publish(mut self, to: &Path, overwrite: bool) -> Result<(), StageError> {
        self.file = None;
        let named = self.disk.publish(&self.path, to, overwrite);
        named.map_err(|e| final_io(format!("cannot give {} its name", to.display()), e))?;
        // From here on there is nothing under the temporary name.
        self.path = PathBuf::new();
        let synced = self
            .disk
            .sync_dir(directory(to))
            .map_err(|e| final_io(format!("cannot make the name of {} durable", to.display()), e));
        if synced.is_err() && !overwrite {
            let _ = self.disk.remove(to);
        }
        synced
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        self.file = None;
        if self.path != Path::new("") {
            // There is nobody to tell; the name says what it is.
            let _ = self.disk.remove(&self.path);
        }
    }
}
