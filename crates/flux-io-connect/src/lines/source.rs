//! The source of lines.

use super::blocks::{Blocks, Got};
use super::input::{Files, Inputs};
use super::split::{Found, Place, Splitter};
use super::token::{HEAD, Token, fingerprint};
use super::{BLOCK_BYTES, RECORD_LIMIT};
use crate::offload::Offload;
use flux_io_core::{
    BATCH_BYTES, Batch, ByteColumn, CheckpointToken, ConnectorDescriptor, DeadCause, ErrorClass,
    ErrorKind, ErrorRecord, Filled, IoCx, Original, RecoverableSource, Source, StageError,
};

/// A source of lines, as [`ByteColumn`]: one arena a batch, no allocation a line.
///
/// - A line ends with LF or CRLF; the last one needs no end. Lines without content are skipped and
///   counted. A byte order mark is skipped at the start of each input, nowhere else.
/// - Gzip is recognised by content; several members one after the other are one stream.
/// - A record over the limit (default 1 MiB = 1,048,576 bytes, line end not counted) becomes a
///   dead letter of cause `oversize` with its first 256 bytes. What is held for reading stays
///   within the limit and the block, for regular files the limit and two blocks: those are read
///   ahead.
/// - Rows keep the order of the lines. A fill gives what is there, up to `max_rows` rows or
///   64 KiB, and waits only with empty hands. Cancel-safe.
/// - A fault's `seq` is the line's number over all inputs, from 0.
#[derive(Debug)]
pub struct Lines<I> {
    kind: &'static str,
    blocks: Offload<Blocks<I>, Got>,
    /// Names of the inputs, by index.
    names: Vec<String>,
    seekable: bool,
    block: Vec<u8>,
    at: usize,
    len: usize,
    limit: usize,
    split: Splitter,
    file: usize,
    /// Lines of the files before the current one.
    lines_before: u64,
    /// The current file's first bytes.
    head: Vec<u8>,
    faults: Vec<ErrorRecord>,
    empty: u64,
    ended: bool,
    failed: Option<String>,
}

impl<I: Inputs> Lines<I> {
    pub(super) fn new(kind: &'static str, inputs: I) -> Self {
        Self {
            kind,
            names: (0..inputs.count()).map(|i| inputs.name(i)).collect(),
            seekable: inputs.seekable(),
            blocks: Offload::new(Blocks::new(inputs, BLOCK_BYTES)),
            block: Vec::new(),
            at: 0,
            len: 0,
            limit: RECORD_LIMIT,
            split: Splitter::new(RECORD_LIMIT, Place::default()),
            file: 0,
            lines_before: 0,
            head: Vec::new(),
            faults: Vec::new(),
            empty: 0,
            ended: false,
            failed: None,
        }
    }

    /// Records of more than `bytes` bytes become dead letters. Default 1 MiB; at most 1 GiB.
    #[must_use]
    pub fn record_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes.min(1 << 30);
        self.split = Splitter::new(self.limit, self.split.place());
        self
    }

    /// Reads `bytes` at once (at least 1, at most 1 GiB). Default 256 KiB.
    #[must_use]
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        if let Some(b) = self.blocks.here() {
            b.set_block(bytes.clamp(1, 1 << 30));
        }
        self
    }

    /// Lines without content seen so far.
    #[must_use]
    pub const fn empty_lines(&self) -> u64 {
        self.empty
    }

    /// Bytes held for reading: the unfinished line and the block in hand.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.split.held() + self.block.capacity()
    }

    /// Takes lines from the block in hand. Returns how many rows and faults came of it.
    fn drain(&mut self, out: &mut ByteColumn, max: usize) -> usize {
        let (mut given, mut bytes) = (0, 0);
        while self.at < self.len && given < max && bytes < BATCH_BYTES && out.fits(self.limit) {
            let (used, found) = self.split.step(&self.block[self.at..self.len], out);
            self.at += used;
            match found {
                Found::Unfinished => {}
                Found::Record(n) => (given, bytes) = (given + 1, bytes + n),
                other => given += self.note(other),
            }
        }
        given
    }

    /// Books what is not a row. Returns how many faults came of it.
    fn note(&mut self, found: Found) -> usize {
        match found {
            Found::Oversize { at, bytes, sample } => {
                let record = self.oversize(at, bytes, sample);
                self.faults.push(record);
                1
            }
            Found::Empty => {
                self.empty += 1;
                0
            }
            Found::Record(_) | Found::Unfinished => 0,
        }
    }

    fn oversize(&self, at: Place, bytes: u64, sample: Vec<u8>) -> ErrorRecord {
        let what = format!(
            "{} line {} (byte {}): the record has {bytes} bytes and the limit is {}; raise the \
             limit or split the record",
            self.name(),
            at.line + 1,
            at.offset,
            self.limit
        );
        let mut record = ErrorRecord::new(DeadCause::Oversize, what);
        record.seq = self.lines_before + at.line;
        record.original = Original::Bytes(sample);
        record
    }

    fn name(&self) -> &str {
        self.names.get(self.file).map_or("", String::as_str)
    }

    /// Takes what a blocking call brought. Returns how many rows and faults came of it.
    fn accept(&mut self, got: Got, out: &mut ByteColumn, cx: &IoCx) -> Result<usize, StageError> {
        match got {
            Got::Block { buf, len } => {
                let wanted = HEAD.saturating_sub(self.head.len()).min(len);
                self.head.extend_from_slice(&buf[..wanted]);
                let used = std::mem::replace(&mut self.block, buf);
                (self.at, self.len) = (0, len);
                if let Some(b) = self.blocks.here() {
                    b.recycle(used);
                    if b.may_read_ahead() {
                        self.blocks.start(cx, Blocks::next);
                    }
                }
                Ok(0)
            }
            Got::InputEnd { last } => {
                let found = self.split.end(out);
                let rows = usize::from(matches!(found, Found::Record(_)));
                let given = rows + self.note(found);
                self.ended = last;
                self.lines_before += self.split.place().line;
                self.file += 1;
                self.split = Splitter::new(self.limit, Place::default());
                self.head.clear();
                Ok(given)
            }
            Got::Failed(e) => {
                if e.class != ErrorClass::Transient {
                    self.failed = Some(e.what.clone());
                }
                Err(e)
            }
        }
    }

    fn check_failed(&self) -> Result<(), StageError> {
        self.failed.as_ref().map_or(Ok(()), |what| {
            Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what.clone()))
        })
    }
}

impl<I: Inputs> Source for Lines<I> {
    type Col = ByteColumn;

    async fn fill(&mut self, out: &mut Batch<ByteColumn>, cx: &IoCx) -> Result<Filled, StageError> {
        loop {
            let mut given = self.drain(&mut out.col, cx.max_rows());
            if given == 0 && self.at < self.len {
                // The arena is full: what is in hand waits for the next batch.
                return Ok(Filled::More);
            }
            if given == 0 && !self.ended {
                self.check_failed()?;
                self.blocks.start(cx, Blocks::next);
                let got = self.blocks.finish().await?;
                given = got.map_or(Ok(0), |got| self.accept(got, &mut out.col, cx))?;
            }
            if self.ended {
                return Ok(Filled::End);
            }
            if given > 0 {
                return Ok(Filled::More);
            }
        }
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<ByteColumn>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        (self.drain(&mut out.col, max_rows) > 0).then_some(Ok(Filled::More))
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        std::mem::take(&mut self.faults)
    }

    fn position(&self) -> Option<CheckpointToken> {
        if !self.seekable {
            return None;
        }
        let place = self.split.place();
        let covered = usize::try_from(place.offset).unwrap_or(HEAD).min(self.head.len()).min(HEAD);
        let token = Token {
            file: u32::try_from(self.file).unwrap_or(u32::MAX),
            place,
            lines: self.lines_before + place.line,
            head_len: covered as u16,
            head_hash: fingerprint(&self.head[..covered]),
        };
        Some(token.encode())
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let token = Token::decode(token)?;
        let Some(blocks) = self.blocks.here() else {
            return Err(StageError::permanent(
                "lines are read already; seek before the first fill",
            ));
        };
        self.head = blocks.inputs.check(&token)?;
        blocks.start_at(token.file as usize, token.place.offset);
        self.file = token.file as usize;
        self.lines_before = token.lines.saturating_sub(token.place.line);
        self.split = Splitter::new(self.limit, token.place);
        (self.at, self.len) = (0, 0);
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let target = match self.names.as_slice() {
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        let mut d = ConnectorDescriptor::new(self.kind, target);
        d.seekable = self.seekable;
        d
    }
}

impl RecoverableSource for Lines<Files> {}
