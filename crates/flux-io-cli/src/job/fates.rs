//! The ledger file: what became of every key. Keys with a result come from the stage that delivers
//! results, keys that became dead letters from the sink of those; both write whole lines.

use super::held::Held;
use super::render::json_text;
use flux_io::connect::lines;
use flux_io::connect::output::{RawLines, WriterSink};
use flux_io::core::{
    Batch, ByteColumn, ConnectorDescriptor, ErrorRecord, IoCx, Original, Sink, StageError,
};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file that two sinks write whole lines to. It has a temporary name until it is published, and
/// goes with its last owner when it is not.
#[derive(Clone, Debug)]
pub struct LedgerFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Mutex<File>,
    temp: PathBuf,
    path: PathBuf,
}

impl LedgerFile {
    /// A new file beside `path`, which gets that name when it is published.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut temp = path.as_os_str().to_owned();
        temp.push(format!(".tmp-{}", std::process::id()));
        let temp = PathBuf::from(temp);
        let file = Mutex::new(File::create(&temp)?);
        Ok(Self(Arc::new(Inner { file, temp, path: path.to_owned() })))
    }

    /// Gives it its name.
    pub(crate) fn publish(&self) -> io::Result<()> {
        let Inner { file, temp, path } = &*self.0;
        file.lock().unwrap_or_else(PoisonError::into_inner).sync_all()?;
        fs::rename(temp, path)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Published, it is no longer there.
        let _ = fs::remove_file(&self.temp);
    }
}

impl Write for LedgerFile {
    /// All of it: what one call brings is never torn by another writer.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink of dead letters that also writes the fate of keys that became some.
#[derive(Debug)]
pub(super) struct WithFates<S> {
    sink: S,
    fates: Option<WriterSink<RawLines<ByteColumn>>>,
    lines: Batch<ByteColumn>,
}

impl<S> WithFates<S> {
    pub(super) fn new(sink: S, file: Option<LedgerFile>) -> Self {
        let fates = file.map(|file| lines::writer("the ledger file", file));
        Self { sink, fates, lines: Batch::default() }
    }
}

/// The line of a key that became a dead letter.
fn fate(r: &ErrorRecord, to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"key\":");
    json_text(r.key.as_deref().unwrap_or_default(), to);
    to.extend_from_slice(b",\"status\":\"dead_letter\",\"reason\":");
    json_text(r.cause.as_str().as_bytes(), to);
    // Writing to a vector cannot fail.
    let _ = write!(to, ",\"fragments\":{}}}", r.items);
}

impl<S: Sink<Col = Vec<ErrorRecord>>> Sink for WithFates<S> {
    type Col = Vec<ErrorRecord>;

    async fn write(
        &mut self,
        batch: &mut Batch<Vec<ErrorRecord>>,
        cx: &IoCx,
    ) -> Result<(), StageError> {
        if let Some(fates) = &mut self.fates {
            let whole =
                |r: &&ErrorRecord| matches!(&r.original, Original::Value(v) if v.is::<Held>());
            self.lines.clear();
            for record in batch.col.iter().filter(whole) {
                self.lines.col.push_with(|line| fate(record, line));
            }
            fates.write(&mut self.lines, cx).await?;
        }
        self.sink.write(batch, cx).await
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if let Some(fates) = &mut self.fates {
            fates.flush(cx).await?;
        }
        self.sink.flush(cx).await
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if let Some(fates) = &mut self.fates {
            fates.close(cx).await?;
        }
        self.sink.close(cx).await
    }

    fn abort(&mut self) {
        self.sink.abort();
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        self.sink.descriptor()
    }
}
