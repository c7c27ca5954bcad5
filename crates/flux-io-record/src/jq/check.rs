//! What a program may look like, before it is compiled: it is walked by recursion from then on, so
//! its depth is limited, and definitions that call themselves are refused, because their depth is
//! known to nobody.

use super::tokens::{Marked, mark};
use super::{JqError, not_jq};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Expect, Pattern, Term};
use jaq_core::load::{Lexer, Parser, span};
use jaq_core::path::Part;

/// Bytes of a program at most: it is written by hand, and each of its characters may be one level
/// of the parser's recursion.
pub(super) const MAX_BYTES: usize = 4096;
/// Terms inside each other at most. The steps of a pipe count: each holds those behind it.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads `code`: what keeps it from being run, or the program to compile.
pub(super) fn check(code: &str) -> Result<Marked, JqError> {
    if code.len() > MAX_BYTES {
        let what = format!("the program is over {MAX_BYTES} bytes: split it into several stages");
        return Err(JqError { at: MAX_BYTES, what });
    }
    let at = |part: &str| span(code, part).start;
    let marked = mark(code)?;
    let tokens = Lexer::new(code).lex().map_err(|_| not_jq(0))?;
    let term = Parser::new(&tokens).parse(|p| p.term()).map_err(|errors| {
        let first = errors.into_iter().next().map(|(expect, found)| {
            let wanted = wanted(&expect);
            match found {
                Some(token) => JqError {
                    at: at(token.0),
                    what: format!("expected {wanted}, found `{}`", head(token.0)),
                },
                None => {
                    JqError { at: code.len(), what: format!("expected {wanted}, the program ends") }
                }
            }
        });
        first.unwrap_or_else(|| not_jq(0))
    })?;
    Walk { code, open: Vec::new() }.term(&term, MAX_DEPTH)?;
    Ok(marked)
}

fn wanted(expect: &Expect<&str>) -> String {
    match expect {
        Expect::Just(word) => format!("`{word}`"),
        Expect::Term => "a path, a value or a function".into(),
        Expect::Nothing => "an operator or the end".into(),
        other => other.as_str().into(),
    }
}

/// The first characters of a token.
fn head(token: &str) -> &str {
    token.char_indices().nth(20).map_or(token, |(at, _)| &token[..at])
}

pub(super) fn deep(at: usize) -> JqError {
    let what =
        format!("nested deeper than {MAX_DEPTH} (the steps of a pipe count): use several stages");
    JqError { at, what }
}

/// A definition around the place that is looked at.
struct Open<'a> {
    name: &'a str,
    arity: usize,
    /// False for a parameter, which has the name and is not the definition.
    calls: bool,
}

struct Walk<'a> {
    code: &'a str,
    open: Vec<Open<'a>>,
}

type Checked = Result<(), JqError>;

impl<'a> Walk<'a> {
    fn terms<'t>(
        &mut self,
        terms: impl IntoIterator<Item = &'t Term<&'a str>>,
        left: usize,
    ) -> Checked
    where
        'a: 't,
    {
        terms.into_iter().try_for_each(|t| self.term(t, left))
    }

    fn term(&mut self, term: &Term<&'a str>, left: usize) -> Checked {
        let Some(left) = left.checked_sub(1) else { return Err(deep(0)) };
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => Ok(()),
            Term::Str(_, parts) => self.terms(
                parts.iter().filter_map(|part| match part {
                    StrPart::Term(t) => Some(t),
                    _ => None,
                }),
                left,
            ),
            Term::Arr(inner) => self.terms(inner.as_deref(), left),
            Term::Obj(pairs) => pairs.iter().try_for_each(|(name, value)| {
                self.term(name, left)?;
                self.terms(value, left)
            }),
            Term::Neg(t) | Term::Label(_, t) => self.term(t, left),
            Term::BinOp(a, op, b) => {
                if let BinaryOp::Pipe(Some(pattern)) = op {
                    self.pattern(pattern, left)?;
                }
                self.term(a, left)?;
                self.term(b, left)
            }
            Term::Fold(_, over, pattern, parts) => {
                self.term(over, left)?;
                self.pattern(pattern, left)?;
                self.terms(parts, left)
            }
            Term::TryCatch(t, catch) => {
                self.term(t, left)?;
                self.terms(catch.as_deref(), left)
            }
            Term::IfThenElse(arms, other) => {
                for (n, (condition, then)) in arms.iter().enumerate() {
                    // Each `elif` is inside the `else` before it.
                    let Some(left) = left.checked_sub(n) else { return Err(deep(0)) };
                    self.term(condition, left)?;
                    self.term(then, left)?;
                }
                self.terms(other.as_deref(), left)
            }
            Term::Def(defs, t) => {
                let shadowed = self.open.len();
                for def in defs {
                    self.definition(def, left)?;
                    // From here on the name means this one, which is not open.
                    self.open.push(Open { name: def.name, arity: def.args.len(), calls: false });
                }
                let checked = self.term(t, left);
                self.open.truncate(shadowed);
                checked
            }
            Term::Call(name, args) => {
                let means =
                    self.open.iter().rev().find(|o| o.name == *name && o.arity == args.len());
                if means.is_some_and(|o| o.calls) {
                    let what = format!(
                        "`{name}` calls itself: write the loop with recurse, while, until, repeat, \
                         reduce or foreach"
                    );
                    return Err(JqError { at: span(self.code, name).start, what });
                }
                self.terms(args, left)
            }
            Term::Path(t, path) => {
                self.term(t, left)?;
                path.0.iter().try_for_each(|(part, _)| match part {
                    Part::Index(i) => self.term(i, left),
                    Part::Range(from, to) => {
                        self.terms(from, left)?;
                        self.terms(to, left)
                    }
                })
            }
        }
    }

    fn definition(&mut self, def: &Def<&'a str>, left: usize) -> Checked {
        let around = self.open.len();
        self.open.push(Open { name: def.name, arity: def.args.len(), calls: true });
        for arg in &def.args {
            self.open.push(Open { name: arg.trim_start_matches('$'), arity: 0, calls: false });
        }
        let checked = self.term(&def.body, left);
        self.open.truncate(around);
        checked
    }

    fn pattern(&mut self, pattern: &Pattern<&'a str>, left: usize) -> Checked {
        let Some(left) = left.checked_sub(1) else { return Err(deep(0)) };
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(items) => items.iter().try_for_each(|p| self.pattern(p, left)),
            Pattern::Obj(pairs) => pairs.iter().try_for_each(|(name, p)| {
                self.term(name, left)?;
                self.pattern(p, left)
            }),
        }
    }
}
