//! Bytes of one input, decompressed when they are gzip: found by content, not by name.

use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::fmt;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// What every input is behind its type.
pub(super) type Raw = Box<dyn Read + Send>;
/// The first bytes, read to look at them, and then the rest.
type Sniffed = Chain<Cursor<Vec<u8>>, Raw>;

/// First two bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// An open input.
pub enum Feed {
    Plain(Sniffed),
    #[cfg(feature = "gzip")]
    Gzip(Box<gz::Gzip>),
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            #[cfg(feature = "gzip")]
            Self::Gzip(_) => "Gzip",
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
    let mut buf = vec![0; block.max(GZIP.len())];
    while first.len() < GZIP.len() {
        match read(r, &mut buf)? {
            0 => break,
            n => first.extend_from_slice(&buf[..n]),
        }
    }
    let rest: Raw = raw.take().unwrap_or_else(|| Box::new(io::empty()));
    let gzip = first.starts_with(&GZIP);
    let all = Cursor::new(std::mem::take(first)).chain(rest);
    if gzip { gzip_feed(all, block) } else { Ok(Feed::Plain(all)) }
}

#[cfg(feature = "gzip")]
#[expect(clippy::unnecessary_wraps, reason = "its twin without the feature fails")]
fn gzip_feed(all: Sniffed, block: usize) -> io::Result<Feed> {
    Ok(Feed::Gzip(Box::new(gz::Gzip::new(all, block))))
}

#[cfg(not(feature = "gzip"))]
fn gzip_feed(_all: Sniffed, _block: usize) -> io::Result<Feed> {
    let what = "it is gzip and this program was built without feature `gzip`";
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
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
        let mut magic = [0; GZIP.len()];
        let n = read_full(&mut file, &mut magic).map_err(failed)?;
        if magic[..n] != GZIP {
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
            #[cfg(feature = "gzip")]
            Self::Gzip(r) => read(&mut r.decoder, to),
        }
    }

    /// What a failed read means. `offset` is the uncompressed place it failed at.
    pub(super) fn failed(&self, name: &str, offset: u64, e: io::Error) -> StageError {
        #[cfg(feature = "gzip")]
        if let Self::Gzip(g) = self
            && let Some(what) = g.broken(name, offset, &e)
        {
            return StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what)
                .because(e);
        }
        StageError::io(format!("cannot read {name} at byte {offset}"), e)
    }
}

#[cfg(feature = "gzip")]
mod gz {
    //! Gzip members one after the other, and how far into the compressed bytes they are.

    use super::Sniffed;
    use flate2::bufread::MultiGzDecoder;
    use std::io::{self, BufReader, Read};

    pub struct Gzip {
        pub(super) decoder: MultiGzDecoder<BufReader<Counted>>,
    }

    impl std::fmt::Debug for Gzip {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Gzip")
        }
    }

    /// Counts the bytes read.
    pub(super) struct Counted {
        inner: Sniffed,
        bytes: u64,
    }

    impl Read for Counted {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = self.inner.read(to)?;
            self.bytes += n as u64;
            Ok(n)
        }
    }

    impl Gzip {
        pub(super) fn new(inner: Sniffed, block: usize) -> Self {
            let raw = BufReader::with_capacity(block.max(64), Counted { inner, bytes: 0 });
            Self { decoder: MultiGzDecoder::new(raw) }
        }

        /// The text for data that are not gzip to their end; `None` when reading itself failed.
        pub(super) fn broken(&self, name: &str, offset: u64, e: &io::Error) -> Option<String> {
            use io::ErrorKind as K;
            let raw = self.decoder.get_ref();
            let at = raw.get_ref().bytes - raw.buffer().len() as u64;
            match e.kind() {
                K::UnexpectedEof => Some(format!(
                    "gzip data of {name} are cut off at compressed byte {at}, uncompressed byte \
                     {offset}; copy the file again"
                )),
                K::InvalidInput | K::InvalidData => Some(format!(
                    "gzip data of {name} are broken near compressed byte {at}, uncompressed byte \
                     {offset}; copy the file again"
                )),
                _ => None,
            }
        }
    }
}
