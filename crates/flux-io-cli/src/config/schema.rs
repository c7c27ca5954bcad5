//! The JSON Schema of the pipeline file, made of the same list of keys that the reader uses.

use super::shape::{Form, PIPELINE, RULE, Shape};
use std::fmt::Write as _;

/// The JSON Schema (draft 2020-12) of the pipeline file, indented by two.
///
/// It accepts what the reader accepts in keys, types and words; what hangs together across keys
/// only the reader checks.
#[must_use]
pub fn json_schema() -> String {
    let mut w = Writer { out: String::new(), depth: 0 };
    w.open('{');
    w.pair("$schema", "https://json-schema.org/draft/2020-12/schema");
    w.pair("title", "flux-io pipeline");
    w.shape(&PIPELINE);
    w.name("$defs");
    w.open('{');
    w.name("rule");
    w.open('{');
    w.name("anyOf");
    w.open('[');
    w.item();
    w.form(&Form::List(&Form::Text));
    w.item();
    w.open('{');
    w.shape(&RULE);
    w.close('}');
    w.close(']');
    w.close('}');
    w.close('}');
    w.close('}');
    w.out.push('\n');
    w.out
}

struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
        self.out.push('\n');
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }
    fn open(&mut self, c: char) {
        self.out.push(c);
        self.depth += 1;
    }
    fn close(&mut self, c: char) {
        self.depth -= 1;
        if !self.out.ends_with(['{', '[']) {
            self.out.push('\n');
            for _ in 0..self.depth {
                self.out.push_str("  ");
            }
        }
        self.out.push(c);
    }
    fn item(&mut self) {
        self.line();
    }
    fn name(&mut self, name: &str) {
        self.line();
        self.text(name);
        self.out.push_str(": ");
    }
    fn pair(&mut self, name: &str, text: &str) {
        self.name(name);
        self.text(text);
    }
    fn raw(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }
    /// All texts here are our own: quotes and backslashes are all that needs an escape.
    fn text(&mut self, text: &str) {
        let _ = write!(self.out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }

    fn shape(&mut self, shape: &Shape) {
        self.pair("description", shape.about);
        self.pair("type", "object");
        self.raw("additionalProperties", false);
        let required: Vec<&str> =
            shape.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
        if !required.is_empty() {
            self.words("required", &required);
        }
        self.name("properties");
        self.open('{');
        for key in shape.keys {
            self.name(key.name);
            self.open('{');
            self.pair("description", key.about);
            self.inside(&key.form, true);
            self.close('}');
        }
        self.close('}');
    }

    fn words(&mut self, name: &str, words: &[&str]) {
        self.name(name);
        self.open('[');
        for word in words {
            self.item();
            self.text(word);
        }
        self.close(']');
    }

    fn form(&mut self, form: &Form) {
        self.open('{');
        self.inside(form, false);
        self.close('}');
    }

    /// The members of a form's schema; `described` when a description stands there already.
    fn inside(&mut self, form: &Form, described: bool) {
        match form {
            Form::Text => self.pair("type", "string"),
            Form::Bool => self.pair("type", "boolean"),
            Form::Integer(least, most) => {
                self.name("anyOf");
                self.open('[');
                self.item();
                self.open('{');
                self.pair("type", "integer");
                self.raw("minimum", least);
                self.raw("maximum", most);
                self.close('}');
                self.variable();
                self.close(']');
            }
            Form::Number => {
                self.pair("type", "number");
                self.raw("exclusiveMinimum", 0);
            }
            Form::Duration => self.pattern("([0-9]+(d|h|min|s|ms|us|ns))+"),
            Form::Size => self.pattern("[0-9]+(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)"),
            Form::Word(words) => {
                self.name("anyOf");
                self.open('[');
                self.item();
                self.open('{');
                self.words("enum", words);
                self.close('}');
                self.variable();
                self.close(']');
            }
            Form::List(inner) => {
                self.pair("type", "array");
                self.raw("minItems", 1);
                self.name("items");
                self.form(inner);
            }
            Form::Map(inner) => {
                self.pair("type", "object");
                self.name("additionalProperties");
                self.form(inner);
            }
            Form::Table(shape) if described => {
                self.name("allOf");
                self.open('[');
                self.item();
                self.open('{');
                self.shape(shape);
                self.close('}');
                self.close(']');
            }
            Form::Table(shape) => self.shape(shape),
            Form::Named(shape) => {
                self.pair("type", "object");
                self.raw("minProperties", 1);
                self.name("additionalProperties");
                self.open('{');
                self.shape(shape);
                self.close('}');
            }
            Form::Tables(shape) => {
                self.pair("type", "array");
                self.name("items");
                self.open('{');
                self.shape(shape);
                self.close('}');
            }
            Form::Either(forms) => {
                self.name("anyOf");
                self.open('[');
                for form in *forms {
                    self.item();
                    self.form(form);
                }
                self.close(']');
            }
            Form::Rule => self.pair("$ref", "#/$defs/rule"),
        }
    }

    fn pattern(&mut self, pattern: &str) {
        self.pair("type", "string");
        self.name("pattern");
        let _ = write!(self.out, "\"^{pattern}$|\\\\$\"");
    }

    /// A text with an environment variable may stand for any plain value.
    fn variable(&mut self) {
        self.item();
        self.open('{');
        self.pair("type", "string");
        self.pair("pattern", "\\$");
        self.close('}');
    }
}
