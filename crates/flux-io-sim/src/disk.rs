//! A simulated disk: what programs see, what would survive a power cut, and everything between.
//!
//! Each file has *live* bytes (what reads give) and *durable* bytes (what is left after a power
//! cut at the worst moment); names have both too. A write, a change of length or of a name is
//! pending until a sync that succeeds. At a power cut every pending change survives, is lost, or
//! is torn at a sector, each by a choice of its own, so later changes may survive earlier ones.
//!
//! Sources of the rules: Pillai et al., "All file systems are not created equal", OSDI 2014 (what
//! may be lost and reordered); Rebello et al., "Can applications recover from fsync failures?",
//! USENIX ATC 2020 (a failed fsync leaves pages clean: the next one reports success although the
//! bytes never reached the disk).

mod crash;
mod file;
#[cfg(test)]
mod tests;

use file::{DirOp, FileOp, Inode};
use flux_io_core::{ChoiceKind, Choices};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes that reach the disk together or not at all.
pub const SECTOR: usize = 512;

/// An open file: good until a power cut, or until no name leads to the file any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    inode: u64,
    boot: u32,
}

/// Why a disk operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// No such name.
    #[error("there is no file `{name}`; create it first")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("the file `{name}` is there already; open it, or remove it first")]
    Exists {
        /// The name.
        name: String,
    },
    /// The file was opened before a power cut, or its last name is gone.
    #[error("the file was opened before a power cut or has no name left; open it again")]
    Stale,
    /// The disk is full.
    #[error("no space is left for {wanted} bytes ({free} are free); free some and try again")]
    NoSpace {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes free.
        free: u64,
    },
    /// The call was interrupted before it did anything.
    #[error("the call was interrupted before it did anything; call again")]
    Interrupted,
    /// The device failed.
    #[error("the device failed to {what}; what was asked for may not have happened")]
    Failed {
        /// The operation.
        what: &'static str,
    },
}

impl From<DiskError> for std::io::Error {
    fn from(e: DiskError) -> Self {
        use std::io::ErrorKind as K;
        let kind = match &e {
            DiskError::NotFound { .. } => K::NotFound,
            DiskError::Exists { .. } => K::AlreadyExists,
            DiskError::NoSpace { .. } => K::StorageFull,
            DiskError::Interrupted => K::Interrupted,
            DiskError::Stale | DiskError::Failed { .. } => K::Other,
        };
        Self::new(kind, e)
    }
}

/// The model. All it does is a function of the calls and of its choices, in which 0 means that
/// nothing goes wrong.
pub struct SimDisk {
    choices: Box<dyn Choices>,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending: Vec<DirOp>,
    next: u64,
    boot: u32,
    limit: u64,
    lies: bool,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDisk({} files, {} of {} bytes)", self.names.len(), self.used(), self.limit)
    }
}

impl SimDisk {
    /// An empty disk without a limit.
    pub fn new(choices: impl Choices + 'static) -> Self {
        Self {
            choices: Box::new(choices),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            next: 0,
            boot: 0,
            limit: u64::MAX,
            lies: false,
        }
    }

    /// A disk on which `bytes` fit.
    #[must_use]
    pub const fn limited(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets how many bytes fit from now on; what is there stays.
    pub const fn set_limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Lets the disk lie: bits rot, and writes land a sector off their place, without an error.
    #[must_use]
    pub const fn lying(mut self) -> Self {
        self.lies = true;
        self
    }

    /// Live bytes of all files.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inodes.values().map(|i| i.live.len() as u64).sum()
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn fault(&mut self, ways: u32) -> u32 {
        self.choices.choose(ChoiceKind::Fault, ways)
    }

    fn amount(&mut self, n: usize) -> usize {
        self.choices.choose(ChoiceKind::BatchSplit, u32::try_from(n).unwrap_or(u32::MAX)) as usize
    }

    fn inode(&mut self, f: FileId) -> Result<&mut Inode, DiskError> {
        if f.boot != self.boot {
            return Err(DiskError::Stale);
        }
        self.inodes.get_mut(&f.inode).ok_or(DiskError::Stale)
    }

    /// Makes an empty file. Its name is durable only after [`SimDisk::sync_dir`].
    ///
    /// # Errors
    /// When the name is taken, or by a fault.
    pub fn create(&mut self, name: &str) -> Result<FileId, DiskError> {
        if self.names.contains_key(name) {
            return Err(DiskError::Exists { name: name.to_owned() });
        }
        self.plain_fault("create")?;
        self.next += 1;
        let inode = self.next;
        self.inodes.insert(inode, Inode::default());
        self.names.insert(name.to_owned(), inode);
        self.pending.push(DirOp::Link { name: name.to_owned(), inode });
        Ok(FileId { inode, boot: self.boot })
    }

    /// Opens a file by name.
    ///
    /// # Errors
    /// When there is no such name, or by a fault.
    pub fn open(&mut self, name: &str) -> Result<FileId, DiskError> {
        let found = self.names.get(name).copied();
        let inode = found.ok_or_else(|| DiskError::NotFound { name: name.to_owned() })?;
        self.plain_fault("open")?;
        Ok(FileId { inode, boot: self.boot })
    }

    /// Nothing, an interruption, or a failure of the device.
    fn plain_fault(&mut self, what: &'static str) -> Result<(), DiskError> {
        match self.fault(3) {
            0 => Ok(()),
            1 => Err(DiskError::Interrupted),
            _ => Err(DiskError::Failed { what }),
        }
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// When it was opened before a power cut.
    pub fn len(&mut self, f: FileId) -> Result<u64, DiskError> {
        Ok(self.inode(f)?.live.len() as u64)
    }

    /// Gives another name to a file, in place of one that has it. Atomic, and durable only after
    /// [`SimDisk::sync_dir`].
    ///
    /// # Errors
    /// When there is no `from`, or by a fault.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let found = self.names.get(from).copied();
        let inode = found.ok_or_else(|| DiskError::NotFound { name: from.to_owned() })?;
        self.plain_fault("rename")?;
        self.names.remove(from);
        self.names.insert(to.to_owned(), inode);
        self.pending.push(DirOp::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        self.forget_unnamed();
        Ok(())
    }

    /// Removes a name.
    ///
    /// # Errors
    /// When there is no such name, or by a fault.
    pub fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        if !self.names.contains_key(name) {
            return Err(DiskError::NotFound { name: name.to_owned() });
        }
        self.plain_fault("remove")?;
        self.names.remove(name);
        self.pending.push(DirOp::Unlink { name: name.to_owned() });
        self.forget_unnamed();
        Ok(())
    }

    /// Makes names durable. A failure loses what was pending, as a failed sync of a file does.
    ///
    /// # Errors
    /// By a fault.
    pub fn sync_dir(&mut self) -> Result<(), DiskError> {
        let failed = self.fault(2) == 1;
        for op in std::mem::take(&mut self.pending) {
            if !failed {
                op.apply(&mut self.durable_names);
            }
        }
        self.forget_unnamed();
        if failed { Err(DiskError::Failed { what: "sync the directory" }) } else { Ok(()) }
    }

    /// Files that no name, live, durable or pending, can lead to any more.
    fn forget_unnamed(&mut self) {
        let pending = self.pending.iter().filter_map(DirOp::inode);
        let known: std::collections::BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .chain(pending)
            .collect();
        self.inodes.retain(|i, _| known.contains(i));
    }
}
