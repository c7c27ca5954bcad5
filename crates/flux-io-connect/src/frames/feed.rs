//! Bytes of one input, unpacked when they are compressed: found by content, not by name.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fmt;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// What every input is behind its type.
pub(super) type Raw = Box<dyn Read + Send>;
/// The first bytes, read to look at them, and then the rest.
type Sniffed = Chain<Cursor<Vec<u8>>, Raw>;

/// First bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// First bytes of every zstd frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Behind a first byte of 0x50 to 0x5F, those of a zstd frame to be skipped (section 3.1.2).
const ZSTD_SKIPPED: [u8; 3] = [0x2A, 0x4D, 0x18];
/// Bytes that tell all of them.
const MAGIC: usize = 4;

/// How an input is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
}

/// What the first bytes say; `Err` when more are needed.
fn packing(first: &[u8]) -> Result<Option<Packing>, ()> {
    let n = first.len().min(MAGIC);
    let skipped = n > 0 && first[0] & 0xF0 == 0x50 && ZSTD_SKIPPED.starts_with(&first[1..n]);
    if first.starts_with(&GZIP) {
        Ok(Some(Packing::Gzip))
    } else if GZIP.starts_with(first) || (n < MAGIC && (skipped || ZSTD.starts_with(first))) {
        Err(())
    } else {
        Ok((skipped || first.starts_with(&ZSTD)).then_some(Packing::Zstd))
    }
}

/// An input that is unpacked while it is read.
pub trait Unpack: Read + Send {
    /// How many compressed bytes were used up.
    fn used(&self) -> u64;
    /// What a failure of unpacking means; `None` when reading itself failed.
    fn failure(&self, e: &io::Error) -> Option<Failure>;
}

/// Why an input cannot be unpacked any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It ends early.
    CutOff,
    /// It is not what it should be.
    Broken,
}

/// An open input.
pub enum Feed {
    Plain(Sniffed),
    Packed(&'static str, Box<dyn Unpack>),
}

impl Feed {
    /// Stored bytes used up, where they are not those that were read.
    pub(super) fn stored(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Packed(_, unpack) => Some(unpack.used()),
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Packed(how, _) => how,
        })
    }
}

/// Reads once; an interrupted call is made again.
fn read(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(to) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            r => return r,
        }
    }
}

/// Reads until `to` is full or the input ends.
fn read_full(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < to.len() {
        match read(from, &mut to[n..])? {
            0 => break,
            k => n += k,
        }
    }
    Ok(n)
}

/// Looks at the first bytes of `raw` and decides how to read it.
///
/// `first` is what an earlier, failed call has read already.
///
/// # Errors
/// When reading failed, with `first` kept; when it is gzip and the feature is off.
pub(super) fn sniff(raw: &mut Option<Raw>, first: &mut Vec<u8>, block: usize) -> io::Result<Feed> {
    let Some(r) = raw.as_mut() else {
        return Err(io::Error::other("the reader was used up"));
    };
    let mut buf = vec![0; block.max(MAGIC)];
    let packing = loop {
        match packing(first) {
            Ok(found) => break found,
            Err(()) => match read(r, &mut buf)? {
                0 => break None,
                n => first.extend_from_slice(&buf[..n]),
            },
        }
    };
    let rest: Raw = raw.take().unwrap_or_else(|| Box::new(io::empty()));
    let all = Cursor::new(std::mem::take(first)).chain(rest);
    match packing {
        None => Ok(Feed::Plain(all)),
        Some(Packing::Gzip) => gzip_feed(all, block),
        Some(Packing::Zstd) => zstd_feed(all, block),
    }
}

#[cfg(feature = "gzip")]
#[expect(clippy::unnecessary_wraps, reason = "its twin without the feature fails")]
fn gzip_feed(all: Sniffed, block: usize) -> io::Result<Feed> {
    Ok(Feed::Packed("gzip", Box::new(gzip::Gzip::new(all, block))))
}

#[cfg(not(feature = "gzip"))]
fn gzip_feed(_all: Sniffed, _block: usize) -> io::Result<Feed> {
    Err(without("gzip"))
}

#[cfg(feature = "zstd")]
#[expect(clippy::unnecessary_wraps, reason = "its twin without the feature fails")]
fn zstd_feed(all: Sniffed, block: usize) -> io::Result<Feed> {
    Ok(Feed::Packed("zstd", Box::new(zstd::Zstd::new(all, block))))
}

#[cfg(not(feature = "zstd"))]
fn zstd_feed(_all: Sniffed, _block: usize) -> io::Result<Feed> {
    Err(without("zstd"))
}

#[cfg(not(all(feature = "gzip", feature = "zstd")))]
fn without(feature: &str) -> io::Error {
    let what = format!("it is {feature} and this program was built without feature `{feature}`");
    io::Error::new(io::ErrorKind::Unsupported, what)
}

/// Counts the bytes read, and keeps whether reading failed.
#[cfg(feature = "gzip")]
struct Counted {
    inner: Sniffed,
    bytes: u64,
    ended: bool,
}

#[cfg(feature = "gzip")]
impl Counted {
    fn buffered(inner: Sniffed, block: usize) -> io::BufReader<Self> {
        io::BufReader::with_capacity(block.max(64), Self { inner, bytes: 0, ended: false })
    }

    /// Bytes used up by whoever reads from the buffer.
    fn used(buffer: &io::BufReader<Self>) -> u64 {
        buffer.get_ref().bytes - buffer.buffer().len() as u64
    }
}

#[cfg(feature = "gzip")]
impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(to)?;
        self.bytes += n as u64;
        self.ended = n == 0;
        Ok(n)
    }
}

/// Opens a file at `offset` of its uncompressed bytes.
///
/// # Errors
/// When it cannot be opened or read, or has fewer bytes.
pub(super) fn open(path: &Path, block: usize, offset: u64) -> Result<(Feed, bool), StageError> {
    let failed = |e| StageError::io(format!("cannot open {}", path.display()), e);
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        let what = format!("{} is a directory; name its files", path.display());
        return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
    }
    if offset > 0 {
        let mut magic = [0; MAGIC];
        let n = read_full(&mut file, &mut magic).map_err(failed)?;
        if packing(&magic[..n]).unwrap_or(None).is_none() {
            if meta.len() < offset {
                return Err(shorter(path, meta.len(), offset));
            }
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            let rest: Raw = Box::new(file);
            return Ok((Feed::Plain(Cursor::new(Vec::new()).chain(rest)), meta.is_file()));
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
    }
    let mut raw: Option<Raw> = Some(Box::new(file));
    let mut feed = sniff(&mut raw, &mut Vec::new(), block).map_err(failed)?;
    skip(&mut feed, path, block, offset)?;
    Ok((feed, meta.is_file()))
}

fn skip(feed: &mut Feed, path: &Path, block: usize, offset: u64) -> Result<(), StageError> {
    let mut buf = vec![0; if offset == 0 { 0 } else { block }];
    let mut left = offset;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        match feed.read(&mut buf[..want]) {
            Ok(0) => return Err(shorter(path, offset - left, offset)),
            Ok(n) => left -= n as u64,
            Err(e) => return Err(feed.failed(&path.display().to_string(), offset - left, e)),
        }
    }
    Ok(())
}

fn shorter(path: &Path, has: u64, wants: u64) -> StageError {
    let what = format!(
        "{} has {has} bytes and the checkpoint stands at byte {wants}; bring the file back as it \
         was or start without the checkpoint",
        path.display()
    );
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what)
}

/// The first `n` uncompressed bytes of a file, fewer when it is shorter.
///
/// # Errors
/// When it cannot be opened or read.
pub(super) fn head_of(path: &Path, n: usize) -> Result<Vec<u8>, StageError> {
    let (mut feed, _) = open(path, n.max(1), 0)?;
    let mut head = vec![0; n];
    let mut have = 0;
    while have < n {
        match feed.read(&mut head[have..]) {
            Ok(0) => break,
            Ok(k) => have += k,
            Err(e) => return Err(feed.failed(&path.display().to_string(), have as u64, e)),
        }
    }
    head.truncate(have);
    Ok(head)
}

impl Feed {
    /// Reads once, up to `to.len()` bytes; 0 is the end.
    pub(super) fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(r) => read(r, to),
            Self::Packed(_, r) => read(r, to),
        }
    }

    /// What a failed read means. `offset` is the uncompressed place it failed at.
    pub(super) fn failed(&self, name: &str, offset: u64, e: io::Error) -> StageError {
        if let Self::Packed(how, unpack) = self
            && let Some(failure) = unpack.failure(&e)
        {
            let broken = match failure {
                Failure::CutOff => "cut off at",
                Failure::Broken => "broken near",
            };
            let what = format!(
                "{how} data of {name} are {broken} compressed byte {}, uncompressed byte {offset}; \
                 copy the file again",
                unpack.used()
            );
            return StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what)
                .because(e);
        }
        StageError::io(format!("cannot read {name} at byte {offset}"), e)
    }
}
