//! The text form of a filter.

use super::{Compare, Filter, FilterError, Literal};
use crate::path::Path;
use crate::scan::scan;
use crate::value::unescape;

/// Brackets and `not` inside each other; a filter is written by hand.
const MAX_DEPTH: u32 = 64;

/// What a field name may not hold outside brackets.
const ENDS_NAME: [char; 10] = [' ', '\t', '\n', '\r', '(', ')', '=', '!', '<', '>'];

pub(super) fn filter(text: &str) -> Result<Filter, FilterError> {
    let mut p = Parser { text, i: 0, depth: 0 };
    let filter = p.or()?;
    p.space();
    if p.i < text.len() {
        return p.fail("expected `and`, `or` or the end");
    }
    Ok(filter)
}

struct Parser<'a> {
    text: &'a str,
    i: usize,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, what: impl Into<String>) -> Result<T, FilterError> {
        Err(FilterError { at: self.i, what: what.into() })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.i..]
    }

    fn space(&mut self) {
        self.i = self.text.len() - self.rest().trim_start().len();
    }

    /// Steps over `word` when it stands here as a word of its own.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let Some(behind) = self.rest().strip_prefix(word) else { return false };
        let ends = behind.chars().next().is_none_or(|c| ENDS_NAME.contains(&c));
        if ends {
            self.i += word.len();
        }
        ends
    }

    fn or(&mut self) -> Result<Filter, FilterError> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, FilterError> {
        let mut left = self.not()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Filter, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(format!("more than {MAX_DEPTH} brackets inside each other"));
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.not()?))
        } else if self.rest().starts_with('(') {
            self.i += 1;
            let inner = self.or()?;
            self.space();
            if !self.rest().starts_with(')') {
                return self.fail("expected `)`");
            }
            self.i += 1;
            inner
        } else if self.word("has") {
            self.space();
            Filter::Has(self.path()?)
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> Result<Filter, FilterError> {
        let path = self.path()?;
        self.space();
        let signs = [
            ("==", Compare::Equal),
            ("!=", Compare::Unequal),
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let Some((sign, compare)) = signs.iter().find(|(sign, _)| self.rest().starts_with(sign))
        else {
            return if self.rest().starts_with('=') {
                self.fail("write `==` to compare")
            } else {
                Ok(Filter::Field(path))
            };
        };
        self.i += sign.len();
        self.space();
        Ok(Filter::Is { path, compare: *compare, with: self.literal()? })
    }

    fn path(&mut self) -> Result<Path, FilterError> {
        let rest = self.rest();
        let mut quoted = false;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            if c == '"' && (quoted || rest[..at].ends_with('[')) {
                quoted = !quoted || rest[..at].ends_with('\\');
            } else if !quoted && ENDS_NAME.contains(&c) {
                end = at;
                break;
            }
        }
        let name = &rest[..end];
        if name.is_empty() {
            return self.fail("expected a field, `not`, `has` or `(`");
        }
        if matches!(name, "and" | "or" | "not" | "has") {
            return self.fail(format!("expected a field before `{name}`"));
        }
        match Path::parse(name) {
            Ok(path) => {
                self.i += end;
                Ok(path)
            }
            Err(e) => Err(FilterError { at: self.i + e.at, what: e.what.to_owned() }),
        }
    }

    fn literal(&mut self) -> Result<Literal, FilterError> {
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.text_literal(quote);
        }
        let end = rest.find(ENDS_NAME).unwrap_or(rest.len());
        let word = &rest[..end];
        let literal = match word {
            "" => return self.fail("expected a number, a text in quotes, true, false or null"),
            "null" => Literal::Null,
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            _ => match (word.parse::<i128>(), word.parse::<f64>()) {
                (Ok(n), _) => Literal::Integer(n),
                (_, Ok(x))
                    if x.is_finite()
                        && word.starts_with([
                            '-', '+', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
                        ]) =>
                {
                    Literal::Float(x)
                }
                _ => {
                    return self.fail(format!(
                        "`{word}` is no number, true, false or null; a text stands in quotes"
                    ));
                }
            },
        };
        self.i += end;
        Ok(literal)
    }

    /// A text in quotes; in double quotes with JSON's escapes, in single quotes as it stands.
    fn text_literal(&mut self, quote: char) -> Result<Literal, FilterError> {
        let inner = &self.rest()[1..];
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            if c == quote && !escaped {
                let text = &inner[..at];
                let value = if quote == '\'' {
                    text.to_owned()
                } else {
                    let probe = format!("{{\"\":\"{text}\"}}");
                    if scan(probe.as_bytes(), &crate::Limits::default(), &mut Vec::new()).is_err() {
                        return self.fail("the text has an escape that JSON does not know");
                    }
                    unescape(text)
                };
                self.i += at + 2;
                return Ok(Literal::Text(value));
            }
            escaped = c == '\\' && !escaped && quote == '"';
        }
        self.fail(format!("the text is not closed by {quote}"))
    }
}
