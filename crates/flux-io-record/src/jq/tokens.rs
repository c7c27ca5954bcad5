//! A program's tokens, looked at before it is parsed: what the parser follows by recursion is
//! limited, and each turn of a `reduce` or `foreach` gets a mark ([`MARK`]).

use super::JqError;
use super::check::{MAX_DEPTH, deep};
use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::{Lexer, span};

/// Put before what a `reduce` or `foreach` does in each turn. It passes its input on, and refuses
/// to be a path: through a path the library follows the turns by recursion.
const MARK: &str = "_loop|";

/// A program with its marks.
pub(super) struct Marked {
    pub(super) code: String,
    /// Where marks were put, in the program as given, in order.
    marks: Vec<usize>,
}

impl Marked {
    /// The place in the program as given of a place in the marked one.
    pub(super) fn original(&self, at: usize) -> usize {
        let before = |&(n, mark): &(usize, usize)| mark + n * MARK.len() < at;
        let marks = self.marks.iter().copied().enumerate().take_while(before).count();
        at.saturating_sub(marks * MARK.len())
    }
}

/// Reads the tokens of `code`.
pub(super) fn mark(code: &str) -> Result<Marked, JqError> {
    brackets(code)?;
    let tokens = Lexer::new(code).lex().map_err(|errors| {
        let first = errors.first().map(|(expect, rest)| JqError {
            at: span(code, rest).start,
            what: expected(expect, rest),
        });
        first.unwrap_or_else(|| super::not_jq(0))
    })?;
    let mut marks = Vec::new();
    walk(code, &tokens, MAX_DEPTH, &mut marks)?;
    marks.sort_unstable();
    let mut marked = String::with_capacity(code.len() + marks.len() * MARK.len());
    let mut from = 0;
    for &at in &marks {
        marked.push_str(&code[from..at]);
        marked.push_str(MARK);
        from = at;
    }
    marked.push_str(&code[from..]);
    Ok(Marked { code: marked, marks })
}

/// Brackets inside each other are counted before the lexer, which follows them by recursion. Those
/// in texts count too: they may be interpolations.
fn brackets(code: &str) -> Result<(), JqError> {
    let mut depth = 0_usize;
    for (at, c) in code.bytes().enumerate() {
        match c {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(deep(at));
        }
    }
    Ok(())
}

fn expected(expect: &jaq_core::load::lex::Expect<&str>, rest: &str) -> String {
    use jaq_core::load::lex::Expect;
    let wanted = match expect {
        Expect::Digit => "a digit",
        Expect::Ident => "a name behind `$` or `@`",
        Expect::Delim("(") => "`)` to close a `(`",
        Expect::Delim("[") => "`]` to close a `[`",
        Expect::Delim("{") => "`}` to close a `{`",
        Expect::Delim(_) => "`\"` to close a text",
        Expect::Escape => "one of `\" \\ / b f n r t u (` behind a backslash",
        Expect::Unicode => "four hexadecimal digits behind `\\u`",
        _ => {
            return match rest.chars().next() {
                Some(c @ (')' | ']' | '}')) => format!("`{c}` closes nothing"),
                Some(c) => format!("`{}` means nothing here", c.escape_debug()),
                None => "the program ends too early".into(),
            };
        }
    };
    format!("expected {wanted}")
}

/// Words and signs behind which the parser calls itself without a bracket.
fn opens(token: &Token<&str>) -> bool {
    const WORDS: [&str; 8] = ["def", "as", "label", "if", "elif", "reduce", "foreach", "try"];
    match token.1 {
        Tok::Word => WORDS.contains(&token.0),
        Tok::Sym => token.0 == "-",
        _ => false,
    }
}

fn walk(
    code: &str,
    tokens: &[Token<&str>],
    mut left: usize,
    marks: &mut Vec<usize>,
) -> Result<(), JqError> {
    let at = |token: &Token<&str>| span(code, token.0).start;
    for (i, token) in tokens.iter().enumerate() {
        if opens(token) {
            left = left.checked_sub(1).ok_or_else(|| deep(at(token)))?;
        }
        let inside = left.checked_sub(1);
        match &token.1 {
            Tok::Block(inner) => {
                walk(code, inner, inside.ok_or_else(|| deep(at(token)))?, marks)?;
                // `as $x (`, `as [...] (`: a pattern is one token, and only turns follow one so.
                let turns = token.0.starts_with('(') && i >= 2 && tokens[i - 2].0 == "as";
                if let Some(semicolon) = inner.iter().find(|t| turns && t.0 == ";") {
                    marks.push(at(semicolon) + 1);
                }
            }
            Tok::Str(parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        let inside = inside.ok_or_else(|| deep(at(token)))?;
                        walk(code, std::slice::from_ref(term), inside, marks)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
