//! The record's languages as the pipeline file's reader asks for them: is this text one, and if
//! not, where and what to write.

use crate::config::Checks;
use flux_io::record::{Filter, Jq, JqLimits, Path, Template, TemplateError};

/// Checks by the languages of the record.
#[must_use]
pub const fn checks() -> Checks {
    Checks { path, template, filter, jq }
}

fn path(text: &str) -> Result<(), (usize, String)> {
    Path::parse(text).map(drop).map_err(|e| (e.at, e.what.to_owned()))
}

fn template(text: &str) -> Result<(), (usize, String)> {
    Template::parse(text).map(drop).map_err(|e| match e {
        TemplateError::Brace { at, what, .. } => (at, what.to_owned()),
        TemplateError::Path { at, source, .. } => (at + source.at, source.what.to_owned()),
        other => (0, other.to_string()),
    })
}

fn filter(text: &str) -> Result<(), (usize, String)> {
    Filter::parse(text).map(drop).map_err(|e| (e.at, e.what))
}

fn jq(text: &str) -> Result<(), (usize, String)> {
    Jq::compile(text, JqLimits::default()).map(drop).map_err(|e| (e.at, e.what))
}

/// A field, or a template when it holds a brace, as a template.
pub(crate) fn field_or_template(text: &str) -> Result<Template, String> {
    if text.contains(['{', '}']) {
        Template::parse(text).map_err(|e| e.to_string())
    } else {
        Path::parse(text).map(Template::field).map_err(|e| e.to_string())
    }
}
