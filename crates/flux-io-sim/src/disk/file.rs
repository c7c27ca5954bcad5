//! Reading, writing and syncing one file of the simulated disk.

use super::{DiskError, FileId, SECTOR, SimDisk};
use std::collections::BTreeMap;

/// A change of a file that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum FileOp {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl FileOp {
    pub(super) fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(to, *at, bytes),
            Self::SetLen(n) => to.resize(*n, 0),
        }
    }
}

pub(super) fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// A change of a name that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum DirOp {
    Link { name: String, inode: u64 },
    Unlink { name: String },
    Rename { from: String, to: String, inode: u64 },
}

impl DirOp {
    pub(super) fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link { name, inode } => drop(names.insert(name, inode)),
            Self::Unlink { name } => drop(names.remove(&name)),
            Self::Rename { from, to, inode } => {
                // The name may by now belong to a file made after this one was renamed away.
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
        }
    }

    pub(super) const fn inode(&self) -> Option<u64> {
        match self {
            Self::Link { inode, .. } | Self::Rename { inode, .. } => Some(*inode),
            Self::Unlink { .. } => None,
        }
    }
}

/// A file: what is seen, what is safe, and what lies between.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<FileOp>,
}

impl SimDisk {
    /// Writes from `at` on (in bytes; a gap is filled with zeros) and gives how many bytes it
    /// wrote, which may be fewer than asked for and is at least 1 unless `bytes` is empty.
    ///
    /// # Errors
    /// A full disk or a fault; nothing was written then.
    pub fn write_at(&mut self, f: FileId, at: u64, bytes: &[u8]) -> Result<usize, DiskError> {
        let len = self.inode(f)?.live.len();
        if bytes.is_empty() {
            return Ok(0);
        }
        let at = usize::try_from(at).map_err(|_| DiskError::Failed { what: "write" })?;
        let mut n = bytes.len();
        let mut place = at;
        match self.fault(if self.lies { 5 } else { 4 }) {
            0 => {}
            1 => n = 1 + self.amount(n),
            2 => return Err(DiskError::Interrupted),
            3 => return Err(DiskError::Failed { what: "write" }),
            // The bytes land one sector off: further on, or before where there is one.
            _ => place = if at >= SECTOR { at - SECTOR } else { at + SECTOR },
        }
        let n = self.fitting(len, at, n.min(bytes.len()))?;
        let bytes = &bytes[..n];
        let inode = self.inode(f)?;
        put(&mut inode.live, place, bytes);
        inode.pending.push(FileOp::Write { at: place, bytes: bytes.to_vec() });
        Ok(n)
    }

    /// How many of `n` bytes at `at` of a file of `len` bytes fit.
    fn fitting(&self, len: usize, at: usize, n: usize) -> Result<usize, DiskError> {
        let free = self.limit.saturating_sub(self.used());
        let gap = at.saturating_sub(len) as u64;
        let inside = len.saturating_sub(at).min(n);
        let grow = (n - inside) as u64;
        let room = free.saturating_sub(gap).min(grow);
        let fits = inside + room as usize;
        if fits == 0 || (gap > 0 && free < gap) {
            return Err(DiskError::NoSpace { wanted: gap + grow, free });
        }
        Ok(fits)
    }

    /// Reads from `at` on and gives how many bytes it read: 0 at the end of the file, otherwise at
    /// least 1 and perhaps fewer than asked for.
    ///
    /// # Errors
    /// A fault; nothing was read then.
    pub fn read_at(&mut self, f: FileId, at: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let len = self.inode(f)?.live.len();
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(len);
        let mut n = into.len().min(len - at);
        if n == 0 {
            return Ok(0);
        }
        match self.fault(if self.lies { 5 } else { 4 }) {
            0 => {}
            1 => n = (1 + self.amount(n)).min(n),
            2 => return Err(DiskError::Interrupted),
            3 => return Err(DiskError::Failed { what: "read" }),
            _ => {
                let bit = self.amount(n * 8);
                self.flip(f, at * 8 + bit)?;
            }
        }
        into[..n].copy_from_slice(&self.inode(f)?.live[at..at + n]);
        Ok(n)
    }

    /// Turns one bit of a file at rest, in what is seen and in what is durable.
    ///
    /// # Errors
    /// When the file was opened before a power cut or has no such bit.
    pub fn flip(&mut self, f: FileId, bit: usize) -> Result<(), DiskError> {
        let inode = self.inode(f)?;
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        let Some(b) = inode.live.get_mut(byte) else {
            return Err(DiskError::Failed { what: "flip a bit beyond the end" });
        };
        *b ^= mask;
        if let Some(b) = inode.durable.get_mut(byte) {
            *b ^= mask;
        }
        Ok(())
    }

    /// Cuts the file or fills it up with zeros.
    ///
    /// # Errors
    /// A full disk or a fault; nothing was changed then.
    pub fn set_len(&mut self, f: FileId, len: u64) -> Result<(), DiskError> {
        let old = self.inode(f)?.live.len() as u64;
        let free = self.limit.saturating_sub(self.used());
        if len > old && len - old > free {
            return Err(DiskError::NoSpace { wanted: len - old, free });
        }
        self.plain_fault("set the length")?;
        let inode = self.inode(f)?;
        let len = usize::try_from(len).map_err(|_| DiskError::Failed { what: "set the length" })?;
        inode.live.resize(len, 0);
        inode.pending.push(FileOp::SetLen(len));
        Ok(())
    }

    /// Makes the bytes of a file durable (not its name: see [`SimDisk::sync_dir`]).
    ///
    /// A failure drops what was pending for good: the next sync succeeds without it. What reads
    /// give then is what was written, or what is durable, by a choice.
    ///
    /// # Errors
    /// By a fault.
    pub fn sync(&mut self, f: FileId) -> Result<(), DiskError> {
        self.inode(f)?;
        let fault = self.fault(3);
        let inode = self.inode(f)?;
        let pending = std::mem::take(&mut inode.pending);
        if fault == 0 {
            pending.iter().for_each(|op| op.apply(&mut inode.durable));
            return Ok(());
        }
        if fault == 2 {
            inode.live.clone_from(&inode.durable);
        }
        Err(DiskError::Failed { what: "sync" })
    }
}
