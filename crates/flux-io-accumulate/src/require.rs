//! What a key needs to be complete, as data: named variables and an algebra over them.
//!
//! Names become groups and bits when the requirement is compiled (see `need`). Every rule is
//! monotone: a fragment more never makes a complete key incomplete, so that repetition of fragments
//! cannot change the verdict, nor can their order where a rule has no fragments to spare.

use std::collections::BTreeMap;
use std::fmt;

/// How far the numbers of a variable go that comes several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// As far as a fragment of the key declares under this name.
    Declared(String),
    /// A fixed number, at least 1.
    Fixed(u32),
}

/// A variable of a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// For a variable that comes once a line: the numbers 1 up to this; `None` = it comes once.
    pub each: Option<UpTo>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.each {
            None => Ok(()),
            Some(UpTo::Declared(bound)) => write!(f, ":1..{{{bound}}}"),
            Some(UpTo::Fixed(n)) => write!(f, ":1..{n}"),
        }
    }
}

/// One rule of the algebra.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Every one of these.
    All(Vec<Part>),
    /// At least one of these.
    Any(Vec<Part>),
    /// At least so many of these.
    KOfN(u32, Vec<Part>),
    /// So many fragments, whatever they are.
    Count(u32),
    /// As many fragments as one of them declares under this name, itself included.
    CountFrom(String),
    /// The weights of those that are there reach this.
    Weighted(f64, Vec<(Part, f64)>),
    /// Never by itself: [`flux_io_core::Accumulate::check`] decides. The names are only known.
    Checked(Vec<Part>),
    /// All of these rules.
    And(Vec<Rule>),
    /// At least one of these rules.
    Or(Vec<Rule>),
}

/// A completeness requirement.
///
/// ```
/// use flux_io_accumulate::Require;
///
/// let order = Require::new().one("header").each("shipped", "lines").each("received", "lines");
/// let same = Require::parse(["header", "shipped:1..{lines}", "received:1..{lines}"])?;
/// assert_eq!(order, same);
/// assert_eq!(order.to_string(), "all(header, shipped:1..{lines}, received:1..{lines})");
///
/// let either = Require::all(["card"]).or(Require::k_of_n(2, ["cash", "voucher", "points"]));
/// assert_eq!(either.to_string(), "(all(card) or 2 of (cash, voucher, points))");
/// # Ok::<(), flux_io_accumulate::RequireError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Require {
    pub(crate) rule: Rule,
    pub(crate) weights: BTreeMap<String, f64>,
}

impl Default for Require {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Rule> for Require {
    fn from(rule: Rule) -> Self {
        Self { rule, weights: BTreeMap::new() }
    }
}

impl Require {
    /// Nothing yet; add variables with [`Require::one`] and [`Require::each`].
    #[must_use]
    pub fn new() -> Self {
        Rule::All(Vec::new()).into()
    }

    /// Each of these variables, once.
    #[must_use]
    pub fn all<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Rule::All(singles(names)).into()
    }

    /// At least one of these variables.
    #[must_use]
    pub fn any<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Rule::Any(singles(names)).into()
    }

    /// At least `k` of these variables.
    #[must_use]
    pub fn k_of_n<N: Into<String>>(k: u32, names: impl IntoIterator<Item = N>) -> Self {
        Rule::KOfN(k, singles(names)).into()
    }

    /// `n` fragments. Alone it names no variable; fragments are then told apart by their source
    /// and sequence number.
    #[must_use]
    pub fn count(n: u32) -> Self {
        Rule::Count(n).into()
    }

    /// As many fragments as one of them declares under `bound`, itself included.
    #[must_use]
    pub fn count_from(bound: impl Into<String>) -> Self {
        Rule::CountFrom(bound.into()).into()
    }

    /// Variables with weights, of which those that are there must weigh at least `min`.
    #[must_use]
    pub fn weighted<N: Into<String>>(min: f64, parts: impl IntoIterator<Item = (N, f64)>) -> Self {
        let part = |(n, w): (N, f64)| (Part { name: n.into(), each: None }, w);
        Rule::Weighted(min, parts.into_iter().map(part).collect()).into()
    }

    /// Variables that are known but not required: the accumulator's own `check` decides.
    #[must_use]
    pub fn checked<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Rule::Checked(singles(names)).into()
    }

    /// Also this variable, once.
    #[must_use]
    pub fn one(self, name: impl Into<String>) -> Self {
        self.part(Part { name: name.into(), each: None })
    }

    /// Also this variable, numbered 1 up to what a fragment declares under `bound`.
    #[must_use]
    pub fn each(self, name: impl Into<String>, bound: impl Into<String>) -> Self {
        self.part(Part { name: name.into(), each: Some(UpTo::Declared(bound.into())) })
    }

    /// Also this variable, numbered 1 to `n`.
    #[must_use]
    pub fn numbered(self, name: impl Into<String>, n: u32) -> Self {
        self.part(Part { name: name.into(), each: Some(UpTo::Fixed(n)) })
    }

    /// This and `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.join(other, Rule::And)
    }

    /// This or `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.join(other, Rule::Or)
    }

    /// How much a variable weighs in the score (1 unless said); it does not change the verdict.
    #[must_use]
    pub fn weight(mut self, name: impl Into<String>, weight: f64) -> Self {
        self.weights.insert(name.into(), weight);
        self
    }

    /// Reads a list of variables: `name`, `name:1..{bound}` or `name:1..5`.
    ///
    /// # Errors
    /// [`RequireError`] naming the entry that is of none of these forms.
    pub fn parse<N: AsRef<str>>(parts: impl IntoIterator<Item = N>) -> Result<Self, RequireError> {
        let parts = parts.into_iter().map(|p| parse_part(p.as_ref()));
        Ok(Rule::All(parts.collect::<Result<_, _>>()?).into())
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Adds, for each rule that can be met with fragments to spare, that order decides which it takes.
    pub(crate) fn to_spare(&self, said: &mut Vec<String>) {
        fn walk(rule: &Rule, said: &mut Vec<String>) {
            match rule {
                Rule::All(_) | Rule::Checked(_) => {}
                Rule::Any(parts) if parts.len() < 2 => {}
                Rule::KOfN(k, parts) if *k as usize >= parts.len() => {}
                Rule::And(rules) => rules.iter().for_each(|r| walk(r, said)),
                _ => said.push(format!("which fragments meet {rule} first")),
            }
        }
        walk(&self.rule, said);
    }

    /// Whether fragments declare bounds.
    pub(crate) fn has_bounds(&self) -> bool {
        fn declares(rule: &Rule) -> bool {
            let declared = |p: &Part| matches!(p.each, Some(UpTo::Declared(_)));
            match rule {
                Rule::All(p) | Rule::Any(p) | Rule::KOfN(_, p) | Rule::Checked(p) => {
                    p.iter().any(declared)
                }
                Rule::Weighted(_, parts) => parts.iter().any(|(p, _)| declared(p)),
                Rule::CountFrom(_) => true,
                Rule::Count(_) => false,
                Rule::And(rules) | Rule::Or(rules) => rules.iter().any(declares),
            }
        }
        declares(&self.rule)
    }

    /// The weights that were given, by variable.
    #[must_use]
    pub const fn weights(&self) -> &BTreeMap<String, f64> {
        &self.weights
    }

    fn part(mut self, part: Part) -> Self {
        self.rule = match self.rule {
            Rule::All(mut parts) => {
                parts.push(part);
                Rule::All(parts)
            }
            Rule::And(mut rules) => {
                rules.push(Rule::All(vec![part]));
                Rule::And(rules)
            }
            other => Rule::And(vec![other, Rule::All(vec![part])]),
        };
        self
    }

    fn join(mut self, other: Self, how: impl Fn(Vec<Rule>) -> Rule) -> Self {
        self.weights.extend(other.weights);
        // Alike neighbours become one list, so that the text form stays flat.
        let mut rules = Vec::new();
        for rule in [self.rule, other.rule] {
            match (how(Vec::new()), rule) {
                (Rule::And(_), Rule::And(inner)) | (Rule::Or(_), Rule::Or(inner)) => {
                    rules.extend(inner);
                }
                (_, rule) => rules.push(rule),
            }
        }
        self.rule = how(rules);
        self
    }
}

fn singles<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Vec<Part> {
    names.into_iter().map(|n| Part { name: n.into(), each: None }).collect()
}

fn parse_part(text: &str) -> Result<Part, RequireError> {
    let bad = |why| RequireError::Text { text: text.to_owned(), why };
    let Some((name, range)) = text.split_once(':') else {
        return match text {
            "" => Err(bad("the name is empty")),
            _ => Ok(Part { name: text.to_owned(), each: None }),
        };
    };
    let end = range.strip_prefix("1..").ok_or_else(|| bad("numbers start with `1..`"))?;
    if name.is_empty() {
        return Err(bad("the name is empty"));
    }
    let each = match end.strip_prefix('{') {
        Some(rest) => match rest.strip_suffix('}') {
            Some(bound) if !bound.is_empty() => UpTo::Declared(bound.to_owned()),
            _ => return Err(bad("a declared end is written `{name}`")),
        },
        None => match end.parse() {
            Ok(n) if n > 0 => UpTo::Fixed(n),
            _ => return Err(bad("the end is a number from 1 or `{name}`")),
        },
    };
    Ok(Part { name: name.to_owned(), each: Some(each) })
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => write!(f, "all({})", list(parts, ", ")),
            Self::Any(parts) => write!(f, "any({})", list(parts, ", ")),
            Self::KOfN(k, parts) => write!(f, "{k} of ({})", list(parts, ", ")),
            Self::Count(n) => write!(f, "count({n})"),
            Self::CountFrom(bound) => write!(f, "count({{{bound}}})"),
            Self::Weighted(min, parts) => {
                let parts: Vec<String> = parts.iter().map(|(p, w)| format!("{p}={w}")).collect();
                write!(f, "weight {min} of ({})", list(&parts, ", "))
            }
            Self::Checked(parts) => write!(f, "checked({})", list(parts, ", ")),
            Self::And(rules) => write!(f, "({})", list(rules, " and ")),
            Self::Or(rules) => write!(f, "({})", list(rules, " or ")),
        }
    }
}

fn list<T: fmt::Display>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// What is wrong with a requirement.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequireError {
    /// An entry could not be read.
    #[error("`{text}` is no variable: {why}; write `name`, `name:1..{{bound}}` or `name:1..5`")]
    Text {
        /// The entry.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A rule names no variable, so every key would be complete at once or never.
    #[error("`{rule}` names nothing; give it at least one variable or rule")]
    Empty {
        /// The rule.
        rule: String,
    },
    /// One name stands for two kinds of variables.
    #[error("variable `{name}` is used in two forms ({first} and {second}); give them two names")]
    TwoForms {
        /// The name.
        name: String,
        /// Its first form.
        first: String,
        /// The other form.
        second: String,
    },
    /// A variable is named twice in one rule.
    #[error("`{rule}` names `{name}` twice; name it once")]
    Twice {
        /// The rule.
        rule: String,
        /// The variable.
        name: String,
    },
    /// More is asked for than there can be.
    #[error("`{rule}` can never hold: {why}")]
    Unreachable {
        /// The rule.
        rule: String,
        /// Why not.
        why: &'static str,
    },
    /// A number is not usable as a weight.
    #[error("the weight {weight} of `{name}` is not a number from 0 up")]
    Weight {
        /// What is weighed.
        name: String,
        /// The weight.
        weight: f64,
    },
    /// A weight is given to a variable that no rule names.
    #[error("a weight is given for `{name}`, which the requirement does not name")]
    WeightOfUnknown {
        /// The variable.
        name: String,
    },
    /// More variables than there are numbers for.
    #[error("{variables} variables are more than 65,535; number them with `name:1..n`")]
    TooMany {
        /// How many.
        variables: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 110. The list form reads back what it prints.
    #[test]
    fn parsing_gives_what_the_words_build() {
        let parsed = Require::parse(["a", "b:1..{n}", "c:1..4"]);
        assert_eq!(parsed, Ok(Require::new().one("a").each("b", "n").numbered("c", 4)));
    }

    #[test]
    fn faulty_entries_are_named() {
        let why = |text: &str| Require::parse([text]).map_err(|e| e.to_string());
        let golden = [
            ("", "the name is empty"),
            (":1..3", "the name is empty"),
            ("a:2..3", "numbers start with `1..`"),
            ("a:1..", "the end is a number from 1 or `{name}`"),
            ("a:1..0", "the end is a number from 1 or `{name}`"),
            ("a:1..{}", "a declared end is written `{name}`"),
            ("a:1..{n", "a declared end is written `{name}`"),
        ];
        for (text, reason) in golden {
            let form = "write `name`, `name:1..{bound}` or `name:1..5`";
            assert_eq!(why(text), Err(format!("`{text}` is no variable: {reason}; {form}")));
        }
    }

    #[test]
    fn rules_of_one_kind_join_flat() {
        let three = Require::all(["a"]).and(Require::any(["b"])).and(Require::count(3));
        assert_eq!(three.to_string(), "(all(a) and any(b) and count(3))");
        let nested = Require::all(["a"]).or(Require::any(["b"]).and(Require::count_from("n")));
        assert_eq!(nested.to_string(), "(all(a) or (any(b) and count({n})))");
        let more = Require::count(2).one("x").one("y");
        assert_eq!(more.to_string(), "(count(2) and all(x) and all(y))");
        let weighted = Require::weighted(0.8, [("a", 1.0), ("b", 0.5)]);
        assert_eq!(weighted.to_string(), "weight 0.8 of (a=1, b=0.5)");
    }
}
