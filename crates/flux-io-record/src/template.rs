//! Texts made from fields: `"{kind}:{line}"` names a variable, `"{date}/{carrier}{number}"` a key.

use crate::column::RecordRef;
use crate::path::{Path, PathError};
use crate::value::{Kind, ValueRef};
use flux_io_core::RowError;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Literal text with fields in braces; `{{` and `}}` are braces themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: Box<str>,
    parts: Vec<(Box<str>, Path)>,
    tail: Box<str>,
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace has no partner.
    #[error("template `{template}`, character {}: {what}", at + 1)]
    Brace {
        /// The template as given.
        template: String,
        /// Offset in bytes, from 0.
        at: usize,
        /// What is wrong and what to write.
        what: &'static str,
    },
    /// What stands in braces is no path.
    #[error("template `{template}`, character {}: not a field", at + 1)]
    Path {
        /// The template as given.
        template: String,
        /// Offset in bytes, from 0.
        at: usize,
        /// The cause.
        source: PathError,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] when a brace has no partner or holds no path.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let brace = |at, what| TemplateError::Brace { template: text.to_owned(), at, what };
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut i = 0;
        while let Some(n) = text[i..].find(['{', '}']) {
            literal.push_str(&text[i..i + n]);
            i += n;
            let here = &text[i..];
            if here.starts_with("{{") || here.starts_with("}}") {
                literal.push_str(&here[..1]);
                i += 2;
            } else if here.starts_with('}') {
                return Err(brace(i, "`}` without `{`; write `}}` for the character itself"));
            } else {
                let end = here.find('}').ok_or_else(|| {
                    brace(i, "`{` is not closed by `}`; write `{{` for the character itself")
                })?;
                let path = Path::parse(&here[1..end]).map_err(|source| TemplateError::Path {
                    template: text.to_owned(),
                    at: i + 1,
                    source,
                })?;
                parts.push((std::mem::take(&mut literal).into(), path));
                i += end + 1;
            }
        }
        literal.push_str(&text[i..]);
        Ok(Self { source: text.into(), parts, tail: literal.into() })
    }

    /// A template that is one field.
    #[must_use]
    pub fn field(path: Path) -> Self {
        let source = format!("{{{path}}}").into();
        Self { source, parts: vec![("".into(), path)], tail: "".into() }
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The fields it reads, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.parts.iter().map(|(_, path)| path)
    }

    /// Appends the text for `record`; every field must be there.
    ///
    /// # Errors
    /// Cause type: a field is absent or null, or an array or object. `out` may hold a part then.
    pub fn render(&self, record: RecordRef<'_>, out: &mut String) -> Result<(), RowError> {
        self.render_with(|path| record.find(path), out)
    }

    /// As [`Template::render`], for fields found by `find`.
    pub(crate) fn render_with<'a>(
        &self,
        find: impl Fn(&Path) -> Option<ValueRef<'a>>,
        out: &mut String,
    ) -> Result<(), RowError> {
        for (literal, path) in &self.parts {
            out.push_str(literal);
            let value = find(path)
                .ok_or_else(|| RowError::wrong_type(format!("the record has no field `{path}`")))?;
            if value.is_null() {
                return Err(value.wrong_type(path.as_str(), "a text or a number"));
            }
            show(value, path, out)?;
        }
        out.push_str(&self.tail);
        Ok(())
    }

    /// Appends the text for `record`; a field that is absent or null is left out together with the
    /// literal text in front of it, so that `{kind}:{line}` is `header` for a record without
    /// `line`. The first field must be there.
    ///
    /// # Errors
    /// Cause type: the first field is absent or null, or a field is an array or object.
    pub fn render_present(&self, record: RecordRef<'_>, out: &mut String) -> Result<(), RowError> {
        for (i, (literal, path)) in self.parts.iter().enumerate() {
            let value = if i == 0 {
                let value = record.need(path)?;
                if value.is_null() {
                    return Err(value.wrong_type(path.as_str(), "a text or a number"));
                }
                value
            } else {
                match record.find(path) {
                    Some(value) if !value.is_null() => value,
                    _ => continue,
                }
            };
            out.push_str(literal);
            show(value, path, out)?;
        }
        out.push_str(&self.tail);
        Ok(())
    }
}

fn show(value: ValueRef<'_>, path: &Path, out: &mut String) -> Result<(), RowError> {
    match (value.kind(), value.as_str()) {
        (_, Some(text)) => out.push_str(&text),
        (Kind::Array | Kind::Object, _) => {
            return Err(value.wrong_type(path.as_str(), "a text or a number"));
        }
        _ => out.push_str(value.raw()),
    }
    Ok(())
}

impl FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
