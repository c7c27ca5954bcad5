//! Reading one table of the file: values by key, each checked, each problem noted and reading on.

use super::choice::Choice;
use super::log::Log;
use super::model::Located;
use super::problem::Code;
use super::shape::{Form, Key, Shape};
use super::suggest::nearest;
use super::units::{mend_duration, mend_size, parse_duration, parse_size};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One table.
pub(super) struct Section<'a, 'i> {
    /// As messages call it: `[accumulate]`.
    pub(super) title: String,
    pub(super) at: Range<usize>,
    pub(super) log: &'a Log<'a>,
    table: &'a DeTable<'i>,
    shape: &'static Shape,
}

/// What a value is, as messages say it.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'a, 'i> Section<'a, 'i> {
    /// Opens a table; unknown and missing keys are told at once.
    pub(super) fn open(
        title: String,
        at: Range<usize>,
        table: &'a DeTable<'i>,
        shape: &'static Shape,
        log: &'a Log<'a>,
    ) -> Self {
        let section = Self { title, at, log, table, shape };
        for (name, _) in table.iter() {
            if shape.key(name.get_ref()).is_none() {
                section.unknown(name.get_ref(), name.span());
            }
        }
        for key in shape.keys.iter().filter(|key| key.required) {
            if !table.contains_key(key.name) {
                section.missing(key);
            }
        }
        section
    }

    fn unknown(&self, name: &str, at: Range<usize>) {
        let names = self.shape.keys.iter().map(|key| key.name);
        let fix = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("keys here are {}", names.collect::<Vec<_>>().join(", ")),
        };
        let what = format!("unknown key `{name}` in {}", self.title);
        self.log.add(
            Code::UnknownKey,
            at,
            what,
            "a key that means nothing would be ignored in silence",
            fix,
        );
    }

    fn missing(&self, key: &Key) {
        let (name, title) = (key.name, &self.title);
        let fix = match &key.form {
            Form::Named(_) => format!("add a table [{name}.some_name]"),
            Form::Word(words) => {
                format!("add `{name} = \"{}\"` or another of {}", words[0], words.join(", "))
            }
            Form::Integer(least, _) => format!("add `{name} = {least}`"),
            Form::Rule => format!("add `{name} = [\"one_variable\", \"another\"]`"),
            _ => format!("add `{name} = \"...\"`"),
        };
        let at = self.at.start..self.at.start;
        let code = if name == "version" { Code::Version } else { Code::Missing };
        self.log.add(code, at, format!("{title} has no `{name}`"), key.about, fix);
    }

    fn wrong(
        &self,
        name: &str,
        at: Range<usize>,
        expected: &str,
        found: &DeValue<'_>,
        fix: String,
    ) {
        let what = format!("`{name}` in {} is {}", self.title, kind(found));
        self.log.add(Code::Type, at, what, format!("expected {expected}"), fix);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The value of a key, which must be one of the shape's.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value<'i>> {
        debug_assert!(self.shape.key(name).is_some(), "{} has no key {name}", self.title);
        self.table.get(name)
    }

    /// Where the value of `name` stands; the table when it has none.
    pub(super) fn place(&self, name: &str) -> Range<usize> {
        self.table.get(name).map_or(self.at.clone(), Spanned::span)
    }

    pub(super) fn text(&self, name: &str) -> Option<Located<String>> {
        self.text_in(name, self.value(name)?)
    }

    /// A text anywhere below `name`, with the environment filled in.
    pub(super) fn text_in(&self, name: &str, value: &Value<'_>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) => {
                let value_text = self.log.expand(text, &value.span())?;
                Some(Located { value: value_text, at: value.span() })
            }
            other => {
                let fix = match other {
                    DeValue::Integer(n) => format!("write \"{}\"", n.as_str()),
                    DeValue::Boolean(b) => format!("write \"{b}\""),
                    _ => "write a text in quotes".to_owned(),
                };
                self.wrong(name, value.span(), "a text", other, fix);
                None
            }
        }
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<Located<String>>> {
        self.texts_in(name, self.value(name)?)
    }

    /// A list of texts; an empty one is told, for no key of the language has a use for it.
    pub(super) fn texts_in(&self, name: &str, value: &Value<'_>) -> Option<Vec<Located<String>>> {
        let DeValue::Array(items) = value.get_ref() else {
            let fix = match value.get_ref() {
                DeValue::String(text) => format!("write [\"{text}\"]"),
                _ => "write texts in brackets: [\"a\", \"b\"]".to_owned(),
            };
            self.wrong(name, value.span(), "a list of texts", value.get_ref(), fix);
            return None;
        };
        if items.is_empty() {
            let what = format!("`{name}` in {} is empty", self.title);
            let needed = self.shape.key(name).is_some_and(|key| key.required);
            let fix =
                if needed { "name at least one" } else { "name at least one, or remove the key" };
            self.log.add(Code::Range, value.span(), what, "an empty list means nothing here", fix);
            return None;
        }
        items.iter().map(|item| self.text_in(name, item)).collect()
    }

    pub(super) fn choice<T: Choice>(&self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        self.word(name, &text)
    }

    pub(super) fn word<T: Choice>(&self, name: &str, text: &Located<String>) -> Option<T> {
        let found = T::from_word(&text.value);
        if found.is_none() {
            self.not_a_word(name, text, T::words());
        }
        found
    }

    pub(super) fn not_a_word(&self, name: &str, text: &Located<String>, words: &[&str]) {
        let what = format!("`{name}` in {} is \"{}\"", self.title, text.value);
        let why = format!("it is one of {}", words.join(", "));
        let fix = match nearest(&text.value, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of them, for example \"{}\"", words[0]),
        };
        self.log.add(Code::Choice, text.at.clone(), what, why, fix);
    }

    pub(super) fn choices<T: Choice>(&self, name: &str) -> Option<Vec<T>> {
        let texts = self.texts(name)?;
        texts.iter().map(|text| self.word(name, text)).collect()
    }

    /// An integer within the shape's range; also a text of one, when the environment gave it.
    pub(super) fn integer(&self, name: &str) -> Option<Located<u64>> {
        let value = self.value(name)?;
        let Some(Form::Integer(least, most)) = self.shape.key(name).map(|key| &key.form) else {
            return None;
        };
        let at = value.span();
        let digits = match value.get_ref() {
            DeValue::Integer(n) => {
                i128::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok()
            }
            DeValue::String(text) if text.contains('$') => {
                let text = self.log.expand(text, &at)?;
                match text.parse::<i128>() {
                    Ok(n) => Some(n),
                    Err(_) => {
                        let what = format!("`{name}` in {} is \"{text}\"", self.title);
                        let fix = "set the environment variable to an integer";
                        self.log.add(Code::Type, at, what, "expected an integer", fix);
                        return None;
                    }
                }
            }
            other => {
                let fix = match other {
                    DeValue::String(text) if text.parse::<i128>().is_ok() => {
                        format!("write {text} without quotes")
                    }
                    _ => format!("write a whole number, for example {least}"),
                };
                self.wrong(name, at, "an integer", other, fix);
                return None;
            }
        };
        let n = digits.and_then(|n| u64::try_from(n).ok()).filter(|n| (*least..=*most).contains(n));
        if n.is_none() {
            if name == "version" {
                let why = format!("this program reads version {most} of the language");
                let fix = format!("write `version = {most}`, or use a newer flux-io");
                self.log.add(Code::Version, at.clone(), "an unknown version", why, fix);
            } else {
                let what = format!("`{name}` in {} is out of range", self.title);
                let fix = format!("write a number from {least} to {most}");
                let why = format!("it is from {least} to {most}");
                self.log.add(Code::Range, at.clone(), what, why, fix);
            }
        }
        n.map(|value| Located { value, at })
    }

    /// A finite number above 0.
    pub(super) fn number_in(&self, name: &str, value: &Value<'_>) -> Option<f64> {
        let text = match value.get_ref() {
            DeValue::Integer(n) => n.as_str().replace('_', ""),
            DeValue::Float(x) => x.as_str().replace('_', ""),
            other => {
                let fix = "write a number, for example 1.5".to_owned();
                self.wrong(name, value.span(), "a number", other, fix);
                return None;
            }
        };
        let found = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
        if found.is_none() {
            let what = format!("`{name}` in {} is {text}", self.title);
            let why = "it is a finite number above 0";
            self.log.add(Code::Range, value.span(), what, why, "write a number above 0");
        }
        found
    }

    /// A duration above 0, or any when `zero`.
    pub(super) fn duration(&self, name: &str, zero: bool) -> Option<Located<Duration>> {
        let value = self.value(name)?;
        if let DeValue::Integer(n) = value.get_ref() {
            let fix = format!("write \"{}s\", or with min, h or d", n.as_str());
            self.wrong(name, value.span(), "a duration like \"15min\"", value.get_ref(), fix);
            return None;
        }
        let text = self.text_in(name, value)?;
        match parse_duration(&text.value) {
            Ok(value) if !zero && value.is_zero() => {
                let what = format!("`{name}` in {} is 0", self.title);
                let why = "it would be over as it begins";
                let fix = "give it a length, or remove the key to have none";
                self.log.add(Code::Range, text.at, what, why, fix);
                None
            }
            Ok(value) => Some(Located { value, at: text.at }),
            Err(error) => {
                let what = format!("`{name}` in {} is \"{}\": {error}", self.title, text.value);
                let why =
                    "a duration is whole numbers with d, h, min, s, ms, us or ns, without blanks";
                let fix = mend_duration(&text.value, &error);
                self.log.add(Code::Duration, text.at, what, why, fix);
                None
            }
        }
    }

    /// A size above 0, in bytes.
    pub(super) fn size(&self, name: &str) -> Option<Located<u64>> {
        let value = self.value(name)?;
        if let DeValue::Integer(n) = value.get_ref() {
            let fix = format!("write \"{}B\", or with KiB, MiB or GiB", n.as_str());
            self.wrong(name, value.span(), "a size like \"64MiB\"", value.get_ref(), fix);
            return None;
        }
        let text = self.text_in(name, value)?;
        match parse_size(&text.value) {
            Ok(0) => {
                let what = format!("`{name}` in {} is 0", self.title);
                let fix = "give it a size, for example \"64MiB\"";
                self.log.add(Code::Range, text.at, what, "nothing fits into 0 bytes", fix);
                None
            }
            Ok(value) => Some(Located { value, at: text.at }),
            Err(error) => {
                let what = format!("`{name}` in {} is \"{}\": {error}", self.title, text.value);
                let why = "a size is a whole number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB";
                let fix = mend_size(&text.value, &error);
                self.log.add(Code::Size, text.at, what, why, fix);
                None
            }
        }
    }

    /// A table below `name`.
    pub(super) fn table(&self, name: &str) -> Option<Section<'a, 'i>> {
        let Some(Form::Table(shape)) = self.shape.key(name).map(|key| &key.form) else {
            return None;
        };
        self.table_in(name, self.value(name)?, format!("[{name}]"), shape)
    }

    pub(super) fn table_in(
        &self,
        name: &str,
        value: &'a Value<'i>,
        title: String,
        shape: &'static Shape,
    ) -> Option<Section<'a, 'i>> {
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section::open(title, value.span(), table, shape, self.log))
            }
            other => {
                let fix = format!("write {title}, and its keys below it");
                self.wrong(name, value.span(), "a table", other, fix);
                None
            }
        }
    }

    /// The tables `[name.X]`, with X.
    pub(super) fn named(&self, name: &str) -> Vec<(Located<String>, Section<'a, 'i>)> {
        let Some(Form::Named(shape)) = self.shape.key(name).map(|key| &key.form) else {
            return Vec::new();
        };
        let Some(value) = self.value(name) else { return Vec::new() };
        let DeValue::Table(tables) = value.get_ref() else {
            let fix = format!("write [{name}.some_name], and its keys below it");
            self.wrong(name, value.span(), "tables by name", value.get_ref(), fix);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (key, value) in tables.iter() {
            let called = Located { value: key.get_ref().to_string(), at: key.span() };
            self.check_name(&called);
            let title = format!("[{name}.{}]", called.value);
            // A table at a named place is most often a key that misses its name.
            if !matches!(value.get_ref(), DeValue::Table(_)) && shape.key(&called.value).is_some() {
                let what = format!("`{}` stands in [{name}] itself", called.value);
                let fix = format!("give it a name: [{name}.some_name]");
                self.log.add(Code::Type, called.at, what, format!("each {name} has a name"), fix);
                continue;
            }
            if let Some(section) = self.table_in(&called.value, value, title, shape) {
                found.push((called, section));
            }
        }
        // By place in the file: the order of a person, not of the alphabet.
        found.sort_by_key(|(called, _)| called.at.start);
        found
    }

    /// The tables `[[name]]`.
    pub(super) fn tables(&self, name: &str) -> Vec<Section<'a, 'i>> {
        let Some(Form::Tables(shape)) = self.shape.key(name).map(|key| &key.form) else {
            return Vec::new();
        };
        let Some(value) = self.value(name) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let fix = format!("write [[{name}]] with two brackets: there may be several");
            self.wrong(name, value.span(), "a list of tables", value.get_ref(), fix);
            return Vec::new();
        };
        let sections = items.iter().enumerate().filter_map(|(i, item)| {
            self.table_in(name, item, format!("[[{name}]] {}", i + 1), shape)
        });
        sections.collect()
    }

    /// The entries of a table with any names, in the order of the file.
    pub(super) fn map(&self, name: &str) -> Option<Vec<(Located<String>, &'a Value<'i>)>> {
        let value = self.value(name)?;
        self.map_in(name, value)
    }

    pub(super) fn map_in(
        &self,
        name: &str,
        value: &'a Value<'i>,
    ) -> Option<Vec<(Located<String>, &'a Value<'i>)>> {
        let DeValue::Table(table) = value.get_ref() else {
            let fix = format!("write {name} = {{ a = ..., b = ... }}");
            self.wrong(name, value.span(), "a table", value.get_ref(), fix);
            return None;
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(k, v)| (Located { value: k.get_ref().to_string(), at: k.span() }, v))
            .collect();
        entries.sort_by_key(|(k, _)| k.at.start);
        Some(entries)
    }

    /// Whether a name can be one: it stands in reports, file names and metrics.
    pub(super) fn check_name(&self, name: &Located<String>) {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let text = &name.value;
        if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
            let shown: String = text.chars().take(64).collect();
            let what = format!("`{}` cannot be a name", shown.escape_debug());
            let why =
                "names stand in reports, files and metrics: 1 to 64 letters, digits, `_`, `-`, `.`";
            self.log.add(Code::Name, name.at.clone(), what, why, "choose another name");
        }
    }

    /// A text of one of the languages that [`super::Checks`] knows.
    pub(super) fn checked(
        &self,
        text: Located<String>,
        what: &str,
        check: fn(&str) -> Result<(), (usize, String)>,
    ) -> Option<Located<String>> {
        if text.value.is_empty() {
            let fix = format!("write {what}");
            self.log.add(
                Code::Expression,
                text.at,
                format!("an empty text is not {what}"),
                "it says nothing",
                fix,
            );
            return None;
        }
        match check(&text.value) {
            Ok(()) => Some(text),
            Err((at, fix)) => {
                // Behind the opening quote; exact for texts without escapes and variables.
                let start = (text.at.start + 1 + at).min(text.at.end.saturating_sub(1));
                let why = format!("\"{}\" is read as {what}", text.value);
                self.log.add(Code::Expression, start..start + 1, format!("not {what}"), why, fix);
                None
            }
        }
    }
}
