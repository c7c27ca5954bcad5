//! The source of frames.

use super::blocks::{Blocks, Got};
use super::decode::{AsBytes, Decode};
use super::framing::{Framing, Place};
use super::input::Inputs;
use super::meter::Meter;
use super::split::{Found, Splitter};
use super::token::{HEAD, Token, fingerprint};
use super::told::Told;
use super::{BLOCK_BYTES, RECORD_LIMIT};
use crate::offload::{Offload, Place as Where};
use flux_io_core::{
    BATCH_BYTES, Batch, CheckpointToken, ConnectorDescriptor, ErrorClass, ErrorKind, ErrorRecord,
    Filled, IoCx, RecoverableSource, Source, StageError,
};

/// The frames of inputs, as they are. [`Framed::decode`] says what they mean.
pub fn read<I: Inputs, F: Framing>(inputs: I, framing: F) -> Framed<I, F, AsBytes> {
    Framed::new(inputs, framing, AsBytes)
}

/// A source of frames: bytes of `I`, cut by `F`, each made a row by `D`.
///
/// - Gzip (and zstd, by feature) is recognised by content; several members one after the other are
///   one stream. A frame never goes on in the next input.
/// - A frame over the limit (default 1 MiB = 1,048,576 bytes of content) becomes a dead letter of
///   cause `oversize` with its first 256 bytes, one that the end of its input cuts off a dead
///   letter of cause `poison`, one that `D` refuses a dead letter of the cause it gives; each names
///   input, place and byte, and reading goes on.
/// - What is held for reading stays within the limit and the block, for regular files the limit
///   and two blocks: those are read ahead. A length that lies allocates nothing.
/// - Rows keep the order of the frames. A fill gives what is there, up to `max_rows` rows or
///   64 KiB, and waits only with empty hands. Cancel-safe.
/// - What is not a regular file is opened and read on a thread of its own: it holds up no other
///   source, and a run that is stopped does not wait for it.
/// - A position is exact to the frame, also in compressed inputs and in files that were found; see
///   [`Files`](super::Files) and [`Found`](super::Found). A [`Reader`](super::Reader) has none.
/// - A fault's `seq` is the number of its first line (of framings without lines, of the frame) over
///   all inputs, from 0.
#[derive(Debug)]
pub struct Framed<I, F, D> {
    kind: &'static str,
    blocks: Offload<Blocks<I>, Got>,
    target: String,
    seekable: bool,
    block: Vec<u8>,
    at: usize,
    len: usize,
    split: Splitter<F>,
    decode: D,
    /// Whether the next frame is a header.
    header: bool,
    told: Told,
    file: usize,
    /// Where the current input is read.
    place: Where,
    /// Index and name of the input opened last, when it was found.
    named: (u32, String),
    /// The current input's first bytes.
    head: Vec<u8>,
    empty: u64,
    ended: bool,
    failed: Option<(ErrorKind, String)>,
}

impl<I: Inputs, F: Framing, D: Decode> Framed<I, F, D> {
    /// A source of `inputs`. The first is opened by the first fill.
    pub fn new(inputs: I, framing: F, decode: D) -> Self {
        let header = decode.has_header();
        let told = Told { name: inputs.name(0), headers: u64::from(header), ..Told::default() };
        // A file is looked at when it is due: until then it may become another one.
        let waits = !inputs.seekable() && inputs.waits(0);
        let place = if waits { Where::Outside } else { Where::Disk };
        Self {
            kind: framing.kind(),
            target: inputs.target(),
            seekable: inputs.seekable(),
            blocks: Offload::new(Blocks::new(inputs, BLOCK_BYTES)),
            block: Vec::new(),
            at: 0,
            len: 0,
            split: Splitter::new(framing, RECORD_LIMIT),
            decode,
            header,
            told,
            file: 0,
            place,
            named: (0, String::new()),
            head: Vec::new(),
            empty: 0,
            ended: false,
            failed: None,
        }
    }

    /// Makes rows of the frames with `decode`.
    #[must_use]
    pub fn decode<E: Decode>(self, decode: E) -> Framed<I, F, E> {
        let header = decode.has_header();
        let told = Told { headers: u64::from(header), ..self.told };
        Framed {
            kind: self.kind,
            blocks: self.blocks,
            target: self.target,
            seekable: self.seekable,
            block: self.block,
            at: self.at,
            len: self.len,
            split: self.split,
            decode,
            header,
            told,
            file: self.file,
            place: self.place,
            named: self.named,
            head: self.head,
            empty: self.empty,
            ended: self.ended,
            failed: self.failed,
        }
    }

    /// What descriptors call it.
    #[must_use]
    pub const fn called(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Frames of more than `bytes` bytes become dead letters. Default 1 MiB; at most 1 GiB.
    #[must_use]
    pub fn record_limit(mut self, bytes: usize) -> Self {
        self.split.set_limit(bytes.min(1 << 30));
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

    /// Tells `meter` how many bytes of the inputs were read.
    #[must_use]
    pub fn meter(mut self, meter: &Meter) -> Self {
        if let Some(b) = self.blocks.here() {
            b.set_meter(meter.clone());
        }
        self
    }

    /// Frames without content skipped so far: empty lines.
    #[must_use]
    pub const fn empty_lines(&self) -> u64 {
        self.empty
    }

    /// Bytes held for reading: the unfinished frame and the block in hand.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.split.held() + self.block.capacity()
    }

    /// Takes frames from the block in hand. Returns how many rows and faults came of it.
    fn drain(&mut self, out: &mut D::Col, max: usize) -> usize {
        let (mut given, mut bytes) = (0, 0);
        while self.at < self.len
            && given < max
            && bytes < BATCH_BYTES
            && self.decode.fits(out, self.split.limit())
        {
            let block = &self.block[self.at..self.len];
            match self.split.whole(block) {
                Ok((used, at, content)) if !self.header => {
                    self.at += used;
                    bytes += content.len();
                    given += 1;
                    if let Err(e) = self.decode.decode(content, at, out) {
                        self.told.push(&self.split.framing, at, e, content.to_vec());
                    }
                }
                Ok((used, at, content)) => {
                    let header = Rare::Frame { at, content: content.to_vec() };
                    self.at += used;
                    given += self.note(header, out);
                }
                Err(cut) => {
                    let (used, found) = self.split.settle(cut, block);
                    self.at += used;
                    let Some(rare) = Rare::of(found) else { continue };
                    bytes += rare.bytes();
                    given += self.note(rare, out);
                }
            }
            if self.failed.is_some() {
                break;
            }
        }
        given
    }

    /// Books what is not cut from one block. Returns how many rows and faults came of it.
    #[cold]
    fn note(&mut self, rare: Rare, out: &mut D::Col) -> usize {
        let framing = &self.split.framing;
        match rare {
            Rare::Empty => {
                self.empty += 1;
                return 0;
            }
            Rare::Frame { at, content } => {
                let is_header = std::mem::take(&mut self.header);
                let went = if is_header {
                    self.decode.header(&content)
                } else {
                    self.decode.decode(&content, at, out)
                };
                match went {
                    Ok(()) => return usize::from(!is_header),
                    Err(e) => self.told.push(framing, at, e, content),
                }
            }
            Rare::Oversize { at, bytes, sample } => {
                self.header = false;
                self.told.oversize(framing, at, (bytes, self.split.limit()), sample);
            }
            Rare::Torn { at, what, rest } => self.told.torn(framing, at, &what, &rest),
            Rare::Lost { at, what } => {
                let what = format!("{}: {what}", self.told.place(framing, at));
                self.failed = Some((ErrorKind::Serialization, what));
                return 0;
            }
        }
        1
    }

    /// Takes what a blocking call brought. Returns how many rows and faults came of it.
    fn accept(&mut self, got: Got, out: &mut D::Col, cx: &IoCx) -> Result<usize, StageError> {
        match got {
            Got::Block { buf, len, opened } => {
                if let Some(opened) = opened {
                    self.told.name = opened.name;
                    let index = u32::try_from(self.file).unwrap_or(u32::MAX);
                    self.named = (index, opened.key.unwrap_or_default());
                }
                let wanted = HEAD.saturating_sub(self.head.len()).min(len);
                self.head.extend_from_slice(&buf[..wanted]);
                let used = std::mem::replace(&mut self.block, buf);
                (self.at, self.len) = (0, len);
                if let Some(b) = self.blocks.here() {
                    b.recycle(used);
                    if b.may_read_ahead() {
                        self.blocks.start(cx, Where::Disk, |b| b.next(Where::Disk));
                    }
                }
                Ok(0)
            }
            Got::Waits => {
                self.place = Where::Outside;
                Ok(0)
            }
            Got::InputEnd { last } => {
                self.place = Where::Disk;
                let rare = Rare::of(self.split.end());
                let given = rare.map_or(0, |rare| self.note(rare, out));
                self.ended = last;
                self.told.lines_before += self.split.place().line;
                self.file += 1;
                self.split.start(Place::default());
                self.decode.begin();
                self.header = self.decode.has_header();
                self.head.clear();
                Ok(given)
            }
            Got::Failed(e) => {
                if e.class != ErrorClass::Transient {
                    self.failed = Some((e.kind, e.what.clone()));
                }
                Err(e)
            }
        }
    }

    fn check_failed(&self) -> Result<(), StageError> {
        self.failed.as_ref().map_or(Ok(()), |(kind, what)| {
            Err(StageError::new(ErrorClass::Permanent, *kind, what.clone()))
        })
    }

    /// Reads the header of an input that is gone on with behind it.
    fn read_header(&mut self, index: usize) -> Result<(), StageError> {
        let Some(blocks) = self.blocks.here() else { return Ok(()) };
        let (mut feed, _) = blocks.inputs.open(index, BLOCK_BYTES, 0)?;
        let name = blocks.inputs.name(index);
        self.split.start(Place::default());
        let (mut block, mut offset) = (vec![0; BLOCK_BYTES], 0);
        loop {
            let len = feed.read(&mut block).map_err(|e| feed.failed(&name, offset, e))?;
            let mut at = 0;
            while at < len {
                let found = match self.split.whole(&block[at..len]) {
                    Ok((_, at, content)) => Found::Frame { at, content },
                    Err(cut) => {
                        let (used, found) = self.split.settle(cut, &block[at..len]);
                        at += used;
                        found
                    }
                };
                match found {
                    Found::Unfinished | Found::Empty => {}
                    Found::Frame { content, .. } => {
                        // What is wrong with it was told when it was read first.
                        let _ = self.decode.header(content);
                        return Ok(());
                    }
                    _ => return Ok(()),
                }
            }
            if len == 0 {
                return Ok(());
            }
            offset += len as u64;
        }
    }
}

/// What the splitter finds across blocks or seldom, owned.
enum Rare {
    Empty,
    Frame { at: Place, content: Vec<u8> },
    Oversize { at: Place, bytes: u64, sample: Vec<u8> },
    Torn { at: Place, what: String, rest: Vec<u8> },
    Lost { at: Place, what: String },
}

impl Rare {
    /// Bytes that it adds to a batch, as a row or a fault.
    const fn bytes(&self) -> usize {
        match self {
            Self::Frame { content, .. } => content.len(),
            _ => 0,
        }
    }

    fn of(found: Found<'_>) -> Option<Self> {
        Some(match found {
            Found::Unfinished => return None,
            Found::Empty => Self::Empty,
            Found::Frame { at, content } => Self::Frame { at, content: content.to_vec() },
            Found::Oversize { at, bytes, sample } => Self::Oversize { at, bytes, sample },
            Found::Torn { at, what, rest } => Self::Torn { at, what, rest: rest.to_vec() },
            Found::Lost { at, what } => Self::Lost { at, what },
        })
    }
}

impl<I: Inputs, F: Framing, D: Decode> Source for Framed<I, F, D> {
    type Col = D::Col;

    async fn fill(&mut self, out: &mut Batch<D::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        loop {
            let mut given = self.drain(&mut out.col, cx.max_rows());
            if given == 0 {
                self.check_failed()?;
            }
            if given == 0 && self.at < self.len {
                // The arena is full: what is in hand waits for the next batch.
                return Ok(Filled::More);
            }
            if given == 0 && !self.ended {
                let place = self.place;
                self.blocks.start(cx, place, move |b| b.next(place));
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
        out: &mut Batch<D::Col>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        (self.drain(&mut out.col, max_rows) > 0).then_some(Ok(Filled::More))
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        std::mem::take(&mut self.told.faults)
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
            lines: self.told.lines_before + place.line,
            head_len: covered as u16,
            head_hash: fingerprint(&self.head[..covered]),
            named: self.named.clone(),
        };
        Some(token.encode())
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let token = Token::decode(token)?;
        let Some(blocks) = self.blocks.here() else {
            return Err(StageError::permanent("input is read already; seek before the first fill"));
        };
        self.head = blocks.inputs.check(&token)?;
        let index = token.file as usize;
        self.told.name = blocks.inputs.name(index);
        if self.decode.has_header() {
            self.header = token.place.record == 0;
            if !self.header {
                self.read_header(index)?;
            }
        }
        if let Some(blocks) = self.blocks.here() {
            blocks.start_at(index, token.place.offset);
        }
        self.file = index;
        self.told.lines_before = token.lines.saturating_sub(token.place.line);
        self.named = token.named;
        self.split.start(token.place);
        (self.at, self.len) = (0, 0);
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let mut d = ConnectorDescriptor::new(self.kind, self.target.clone());
        d.seekable = self.seekable;
        d
    }
}

impl<F: Framing, D: Decode> RecoverableSource for Framed<super::Files, F, D> {}
impl<F: Framing, D: Decode> RecoverableSource for Framed<super::Found, F, D> {}
