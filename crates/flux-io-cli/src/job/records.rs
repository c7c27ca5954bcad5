//! Frames of bytes become records, where file and line are known: what cannot be read is told with
//! its place.

use flux_io::connect::frames::{Decode, Place};
use flux_io::core::{Column, HeapSize, RowError};
use flux_io::record::{self, CsvDecoder, CsvHeader, CsvOptions, Decode as _, Limits, RecordColumn};

/// Records with the line each began at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub(crate) col: RecordColumn,
    /// Lines before it in its input; of formats without lines, frames.
    lines: Vec<u64>,
}

/// A record seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) record: record::RecordRef<'a>,
    pub(crate) line: u64,
}

impl HeapSize for Records {
    fn heap_bytes(&self) -> usize {
        self.bytes()
    }
}

impl Column for Records {
    type Ref<'a> = Seen<'a>;
    type Mut<'a> = Seen<'a>;

    #[inline]
    fn rows(&self) -> usize {
        self.lines.len()
    }
    #[inline]
    fn row(&self, i: usize) -> Seen<'_> {
        Seen { record: self.col.row(i), line: self.lines[i] }
    }
    #[inline]
    fn row_mut(&mut self, i: usize) -> Seen<'_> {
        self.row(i)
    }
    fn clear(&mut self) {
        Column::clear(&mut self.col);
        self.lines.clear();
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (i, &s) in to.iter().enumerate().take(self.rows()) {
            let Seen { record, line } = self.row(i);
            let out = &mut outs[s as usize];
            if out.col.push(record) {
                out.lines.push(line);
            }
        }
        Column::clear(self);
    }
    fn append(&mut self, other: &mut Self) {
        self.col.append(&mut other.col);
        self.lines.append(&mut other.lines);
    }
    fn bytes(&self) -> usize {
        self.col.bytes() + self.lines.capacity() * size_of::<u64>()
    }
    fn row_bytes() -> usize {
        RecordColumn::row_bytes() + size_of::<u64>()
    }
}

/// How a frame is a record.
#[derive(Debug)]
pub(crate) enum Parse {
    /// A JSON object on a line.
    Json(Limits),
    /// A JSON object on any number of lines.
    Object(Limits),
    /// A text, which becomes the field `line`.
    Line,
    /// A record of CSV.
    Csv(Box<Csv>),
}

/// CSV read frame by frame.
#[derive(Debug)]
pub(crate) struct Csv {
    decoder: CsvDecoder,
    header: bool,
    frame: Vec<u8>,
}

impl Csv {
    pub(crate) fn new(options: CsvOptions) -> Result<Self, String> {
        let header = options.header == CsvHeader::First;
        let decoder = CsvDecoder::new(options).map_err(|e| e.to_string())?;
        Ok(Self { decoder, header, frame: Vec::new() })
    }

    /// Reads one frame, whose end was cut off.
    fn read(&mut self, frame: &[u8], out: &mut RecordColumn) -> Result<(), RowError> {
        self.frame.clear();
        self.frame.extend_from_slice(frame);
        self.frame.push(b'\n');
        let mut failed = None;
        self.decoder.decode(&self.frame, out, usize::MAX, &mut |bad| {
            failed.get_or_insert(bad.error);
        });
        failed.map_or(Ok(()), Err)
    }
}

impl Parse {
    fn record(&mut self, frame: &[u8], out: &mut RecordColumn) -> Result<(), RowError> {
        match self {
            Self::Json(limits) => {
                if frame.iter().all(|c| matches!(c, b' ' | b'\t')) {
                    return Ok(());
                }
                out.push_json(frame, limits).map_err(|e| e.into_row())
            }
            Self::Object(limits) => {
                if !frame.contains(&b'\n') {
                    return out.push_json(frame, limits).map_err(|e| e.into_row());
                }
                // Checked first: a line feed inside a text is a fault, elsewhere white space.
                let mut check = RecordColumn::default();
                check.push_json(frame, limits).map_err(|e| e.into_row())?;
                let line: Vec<u8> =
                    frame.iter().map(|&c| if c == b'\n' { b' ' } else { c }).collect();
                out.push_json(&line, limits).map_err(|e| e.into_row())
            }
            Self::Line => {
                let text = std::str::from_utf8(frame).map_err(|e| {
                    let byte = e.valid_up_to() + 1;
                    RowError::poison(format!("byte {byte}: the line is not UTF-8"))
                })?;
                out.push_with(|record| {
                    record.str("line", text);
                    Ok(())
                })
            }
            Self::Csv(csv) => csv.read(frame, out),
        }
    }
}

impl Decode for Parse {
    type Col = Records;

    fn begin(&mut self) {
        if let Self::Csv(csv) = self {
            csv.decoder.finish(&mut RecordColumn::default(), &mut |_| ());
        }
    }

    fn has_header(&self) -> bool {
        matches!(self, Self::Csv(csv) if csv.header)
    }

    fn header(&mut self, frame: &[u8]) -> Result<(), RowError> {
        self.record(frame, &mut RecordColumn::default())
    }

    fn decode(&mut self, frame: &[u8], at: Place, out: &mut Records) -> Result<(), RowError> {
        let before = out.col.rows();
        let read = self.record(frame, &mut out.col);
        out.lines.extend((before..out.col.rows()).map(|_| at.line));
        read
    }

    fn fits(&self, out: &Records, bytes: usize) -> bool {
        // Values of CSV get quotes and names.
        out.col.fits(bytes.saturating_mul(8))
    }
}
