//! One record that owns its text.

use crate::column::RecordRef;
use crate::draft::RowDraft;
use crate::limits::Limits;
use crate::scan::{Field, JsonError, scan};
use flux_io_core::HeapSize;

/// One record that owns its text: what is kept of a batch, or built by hand.
///
/// ```
/// use flux_io_record::Record;
///
/// let r = Record::build(|r| { r.str("kind", "header").u64("lines", 3); });
/// assert_eq!(r.view().text(), r#"{"kind":"header","lines":3}"#);
/// assert_eq!(r.view().get("lines").and_then(|v| v.as_u64()), Some(3));
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    text: String,
    fields: Vec<Field>,
}

impl Record {
    /// A record written field by field.
    #[must_use]
    pub fn build(write: impl FnOnce(&mut RowDraft<'_>)) -> Self {
        let (mut text, mut fields) = (String::new(), Vec::new());
        let mut draft = RowDraft::begin(&mut text, &mut fields);
        write(&mut draft);
        draft.end();
        Self { text, fields }
    }

    /// The record that `line` is.
    ///
    /// # Errors
    /// [`JsonError`] when it is not a JSON object within the limits.
    pub fn parse(line: &[u8], limits: &Limits) -> Result<Self, JsonError> {
        let mut fields = Vec::new();
        let text = scan(line, limits, &mut fields)?.to_owned();
        Ok(Self { text, fields })
    }

    pub(crate) const fn from_parts(text: String, fields: Vec<Field>) -> Self {
        Self { text, fields }
    }

    /// The record, to be read.
    #[must_use]
    pub fn view(&self) -> RecordRef<'_> {
        RecordRef::new(&self.text, &self.fields)
    }
}

impl Default for Record {
    /// `{}`.
    fn default() -> Self {
        Self::build(|_| ())
    }
}

impl PartialEq for Record {
    /// Same text.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl HeapSize for Record {
    fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * size_of::<Field>()
    }
}
