//! A file system in memory that fails and crashes where a test says.

use flux_io_connect::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: usize,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Calls that may fail, so far.
    calls: u64,
    fails_at: Option<u64>,
    /// Everything fails from there on, as after a power cut.
    for_good: bool,
    boots: u64,
    syncs: u64,
}

/// See the module. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct MemDisk(Arc<Mutex<State>>);

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemDisk({:?})", self.names())
    }
}

fn broken() -> io::Error {
    io::Error::other("injected")
}

impl State {
    fn dead(&self) -> bool {
        self.for_good && self.fails_at.is_some_and(|at| self.calls > at)
    }

    /// Counts a call; an error when it is to fail.
    fn call(&mut self) -> io::Result<()> {
        let n = self.calls;
        self.calls += 1;
        match self.fails_at {
            Some(at) if n == at || (self.for_good && n > at) => Err(broken()),
            _ => Ok(()),
        }
    }
}

impl MemDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The `n`th call from now on fails, once or for good.
    pub(crate) fn fail_at(&self, n: u64, for_good: bool) {
        let mut s = self.lock();
        s.fails_at = Some(s.calls + n);
        s.for_good = for_good;
    }

    /// Whether the failing call was made.
    pub(crate) fn failed(&self) -> bool {
        let s = self.lock();
        s.fails_at.is_some_and(|at| s.calls > at)
    }

    /// Loses what was not durable and starts anew; open files are dead.
    pub(crate) fn crash(&self) {
        let mut s = self.lock();
        s.names = s.durable_names.clone();
        for i in &mut s.inodes {
            i.bytes.truncate(i.durable);
        }
        s.fails_at = None;
        s.boots += 1;
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        self.lock().fails_at = None;
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().names.keys().map(|p| p.display().to_string()).collect()
    }

    /// What all files hold, in the order in which they were made.
    pub(crate) fn written(&self) -> String {
        let s = self.lock();
        let all = s.inodes.iter().flat_map(|i| i.bytes.iter().copied()).collect();
        String::from_utf8(all).unwrap()
    }

    /// Calls that may fail, so far.
    pub(crate) fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Syncs of files and directories so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let s = self.lock();
        let i = *s.names.get(Path::new(path))?;
        Some(String::from_utf8(s.inodes[i].bytes.clone()).unwrap())
    }

    /// A durable file.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let mut s = self.lock();
        let i = s.inodes.len();
        s.inodes.push(Inode { bytes: text.into(), durable: text.len() });
        s.names.insert(path.into(), i);
        s.durable_names.insert(path.into(), i);
    }

    pub(crate) fn take_away(&self, path: &str) {
        let mut s = self.lock();
        s.names.remove(Path::new(path)).unwrap();
        s.durable_names.remove(Path::new(path));
    }
}

struct MemFile {
    disk: MemDisk,
    inode: usize,
    boot: u64,
}

impl MemFile {
    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut s = self.disk.lock();
        if s.boots != self.boot {
            return Err(broken());
        }
        s.call()?;
        Ok(s)
    }
}

impl DiskFile for MemFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let done = self.call().map(|mut s| s.inodes[self.inode].bytes.extend_from_slice(bytes));
        if done.is_err() {
            // A failed write leaves half of it.
            let mut s = self.disk.lock();
            if s.boots == self.boot {
                s.inodes[self.inode].bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            }
        }
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut s = self.call()?;
        s.syncs += 1;
        let inode = &mut s.inodes[self.inode];
        inode.durable = inode.bytes.len();
        Ok(())
    }
}

impl Disk for MemDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut s = self.lock();
        s.call()?;
        if s.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = s.inodes.len();
        s.inodes.push(Inode::default());
        s.names.insert(path.into(), inode);
        Ok(Box::new(MemFile { disk: self.clone(), inode, boot: s.boots }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut s = self.lock();
        s.call()?;
        Ok(s.names.contains_key(path))
    }

    fn publish(&self, from: &Path, to: &Path, overwrite: bool) -> io::Result<()> {
        let mut s = self.lock();
        s.call()?;
        if !overwrite && s.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = s.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        s.names.insert(to.into(), inode);
        Ok(())
    }

    /// Fails only behind a power cut: cleaning up is not what these tests break.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut s = self.lock();
        if s.dead() {
            return Err(broken());
        }
        s.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut s = self.lock();
        s.call()?;
        s.syncs += 1;
        s.durable_names = s.names.clone();
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut s = self.lock();
        s.call()?;
        let inside = s.names.keys().filter(|p| p.parent() == Some(dir));
        Ok(inside.filter_map(|p| Some(p.file_name()?.to_owned())).collect())
    }
}
