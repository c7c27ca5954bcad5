//! The algebra against its definition: sets of variables, in any order.

use super::judge::ALMOST;
use super::*;
use crate::set::Words;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A key by hand: variables by text, bounds by name.
struct Hand {
    need: Need,
    first: u64,
    rest: Words,
    fragments: u32,
    bounds: Vec<u32>,
}

impl Hand {
    fn new(require: &Require) -> Self {
        let need = Need::compile(require).unwrap();
        let bounds = vec![UNKNOWN; need.bounds()];
        Self { need, first: 0, rest: Words::default(), fragments: 0, bounds }
    }

    fn put(&mut self, var: &str) {
        let bit = self.need.bit(self.need.parse_var(var).unwrap(), u32::MAX).unwrap();
        if bit < 64 {
            self.first |= 1 << bit
        } else {
            self.rest.insert(bit - 64)
        }
        self.fragments += 1;
    }

    fn declare(&mut self, bound: &str, n: u32) {
        let at = usize::from(self.need.bound(bound).unwrap());
        self.bounds[at] = n;
    }

    fn seen(&self) -> Seen<'_> {
        let bits = Bits { first: self.first, rest: self.rest.as_slice() };
        Seen { bits, vars: bits.count(), fragments: self.fragments.into(), bounds: &self.bounds }
    }

    /// Verdict, what is missing, score.
    fn told(&self) -> (bool, String, f32) {
        let seen = self.seen();
        let missing = self.need.missing(&seen);
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        (self.need.complete(&seen), missing.join(","), self.need.score(&seen))
    }
}

fn after(require: &Require, vars: &[&str]) -> (bool, String, f32) {
    let mut hand = Hand::new(require);
    vars.iter().for_each(|v| hand.put(v));
    hand.told()
}

/// Rows 110, 117.
#[test]
fn all_is_complete_with_each_variable() {
    let r = Require::all(["schedule", "aircraft", "departure", "arrival"]);
    assert_eq!(after(&r, &[]), (false, "schedule,aircraft,departure,arrival".into(), 0.0));
    assert_eq!(after(&r, &["arrival", "aircraft"]), (false, "schedule,departure".into(), 0.5));
    let all = after(&r, &["arrival", "aircraft", "schedule", "departure"]);
    assert_eq!(all, (true, String::new(), 1.0));
}

/// Row 111.
#[test]
fn counts_any_and_k_of_n() {
    assert_eq!(after(&Require::any(["a", "b"]), &[]), (false, "a,b".into(), 0.0));
    assert_eq!(after(&Require::any(["a", "b"]), &["b"]), (true, String::new(), 1.0));
    let two = Require::k_of_n(2, ["a", "b", "c"]);
    assert_eq!(after(&two, &["c"]), (false, "a,b".into(), 0.5));
    assert!(after(&two, &["c", "a"]).0);
    let three = Require::count(3).and(Require::checked(["x", "y", "z"]).or(Require::any(["x"])));
    assert_eq!(after(&three, &["x", "y"]), (false, String::new(), 0.75));
    assert!(after(&three, &["x", "y", "z"]).0);
}

/// Row 120.
#[test]
fn b075_weights_are_the_score() {
    let r = Require::weighted(0.75, [("photo", 0.5), ("text", 0.25), ("audio", 0.25)]);
    assert_eq!(after(&r, &["photo"]), (false, "text,audio".into(), 2.0 / 3.0));
    assert!(after(&r, &["photo", "audio"]).0);
    assert!(!after(&r, &["text", "audio"]).0);
    let r = Require::all(["big", "small"]).weight("big", 3.0);
    assert_eq!(after(&r, &["big"]), (false, "small".into(), 0.75));
    assert_eq!(after(&r, &["small"]), (false, "big".into(), 0.25));
}

fn orders() -> Require {
    Require::parse(["header", "shipped:1..{lines}", "received:1..{lines}"]).unwrap()
}

/// Rows 110, 117. The bound may come last; until then only the header is known to be missing.
#[test]
fn a_declared_bound_decides_what_is_needed() {
    let mut hand = Hand::new(&orders());
    assert_eq!(hand.told(), (false, "header".into(), 0.0));
    hand.put("shipped:2");
    hand.put("received:2");
    hand.put("received:1");
    assert_eq!(hand.told(), (false, "header".into(), 3.0 / 5.0));
    hand.put("shipped:1");
    assert_eq!(hand.told(), (false, "header".into(), 4.0 / 5.0));
    hand.put("header");
    // A header that declares nothing leaves the number of lines open: never 1.
    assert_eq!(hand.told(), (false, String::new(), ALMOST));
    hand.declare("lines", 3);
    assert_eq!(hand.told(), (false, "shipped:3,received:3".into(), 5.0 / 7.0));
    hand.declare("lines", 2);
    assert_eq!(hand.told(), (true, String::new(), 1.0));
    hand.declare("lines", 1);
    assert!(hand.told().0, "more than is needed is complete too");
}

/// Row 110.
#[test]
fn b074_more_than_64_variables_need_every_one() {
    let names: Vec<String> = (0..130).map(|i| format!("v{i}")).collect();
    let r = Require::all(names.clone());
    for absent in [0, 63, 64, 65, 127, 128, 129] {
        let some = names.iter().enumerate().filter(|(i, _)| *i != absent);
        let some: Vec<&str> = some.map(|(_, n)| n.as_str()).collect();
        assert_eq!(after(&r, &some).1, format!("v{absent}"));
    }
    let every: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(after(&r, &every).0);
    let sixty_four = Need::compile(&Require::all(names.clone().into_iter().take(64))).unwrap();
    assert_eq!(sixty_four.inline_mask(), Some(u64::MAX));
    let sixty_five = Need::compile(&Require::all(names.into_iter().take(65))).unwrap();
    assert_eq!(sixty_five.inline_mask(), None);
}

#[test]
fn bits_are_singles_first_then_interleaved() {
    let need = Need::compile(&Require::new().each("s", "n").one("h").each("r", "n")).unwrap();
    let bit = |text: &str| need.bit(need.parse_var(text).unwrap(), 100).unwrap();
    assert_eq!(["h", "s:1", "r:1", "s:2", "r:2", "s:40"].map(bit), [0, 1, 2, 3, 4, 79]);
}

#[test]
fn strange_variables_are_named() {
    let need = Need::compile(&orders()).unwrap();
    for text in ["headers", "header:1", "shipped", "shipped:0", "shipped:x", "shipped:-1", ""] {
        let e = need.parse_var(text).unwrap_err();
        assert_eq!(e.what, format!("`{text}` is no variable of the requirement"));
    }
    let what = |var| need.bit(var, 9).unwrap_err().what;
    assert_eq!(what(Var::one(7)), "variable number 7 is not in the requirement");
    assert_eq!(what(Var::nth(0, 2)), "variable `header` comes once, not as number 2");
    assert_eq!(what(Var::one(1)), "variable `shipped` needs a number from 1");
    assert_eq!(what(Var::nth(2, 10)), "number 10 of variable `received` is above 9");
}

#[test]
fn faulty_requirements_are_named() {
    let why = |r: Require| Need::compile(&r).unwrap_err().to_string();
    let golden = [
        (Require::new(), "`all()` names nothing; give it at least one variable or rule"),
        (
            Require::any(["a"]).and(Rule::Or(vec![]).into()),
            "`()` names nothing; give it at least one variable or rule",
        ),
        (Require::all(["a", "a"]), "`all(a, a)` names `a` twice; name it once"),
        (
            Require::all(["a"]).and(Require::new().each("a", "n")),
            "variable `a` is used in two forms (a and a:1..{n}); give them two names",
        ),
        (
            Require::k_of_n(3, ["a", "b"]),
            "`3 of (a, b)` can never hold: it names fewer variables than it asks for",
        ),
        (Require::count(0), "`count(0)` can never hold: a number from 1 is needed"),
        (
            Require::weighted(2.0, [("a", 1.0)]),
            "`weight 2 of (a=1)` can never hold: the weights together are less than the minimum",
        ),
        (
            Require::weighted(1.0, [("a", f64::NAN)]),
            "the weight NaN of `a` is not a number from 0 up",
        ),
        (
            Require::all(["a"]).weight("b", 1.0),
            "a weight is given for `b`, which the requirement does not name",
        ),
        (
            Require::all((0..70_000).map(|i| i.to_string())),
            "70000 variables are more than 65,535; number them with `name:1..n`",
        ),
    ];
    for (require, text) in golden {
        assert_eq!(why(require), text);
    }
}

/// Rules by their definition, on sets of names.
fn holds(rule: &Rule, vars: &BTreeSet<String>, fragments: u32, bound: Option<u32>) -> bool {
    let part = |p: &Part| match &p.each {
        None => vars.contains(&p.name),
        Some(up_to) => {
            let n = match up_to {
                UpTo::Fixed(n) => Some(*n),
                UpTo::Declared(_) => bound,
            };
            n.is_some_and(|n| (1..=n).all(|i| vars.contains(&format!("{}:{i}", p.name))))
        }
    };
    match rule {
        Rule::All(parts) => parts.iter().all(part),
        Rule::Any(parts) => parts.iter().any(part),
        Rule::KOfN(k, parts) => parts.iter().filter(|p| part(p)).count() >= *k as usize,
        Rule::Count(n) => fragments >= *n,
        Rule::CountFrom(_) => bound.is_some_and(|n| fragments >= n),
        Rule::Weighted(min, parts) => {
            parts.iter().filter(|(p, _)| part(p)).map(|(_, w)| w).sum::<f64>() >= *min
        }
        Rule::Checked(_) => false,
        Rule::And(rules) => rules.iter().all(|r| holds(r, vars, fragments, bound)),
        Rule::Or(rules) => rules.iter().any(|r| holds(r, vars, fragments, bound)),
    }
}

fn rules() -> impl Strategy<Value = Require> {
    let names = || prop::sample::subsequence(vec!["a", "b", "c", "d"], 1..=4);
    let leaf = prop_oneof![
        names().prop_map(Require::all),
        names().prop_map(Require::any),
        names()
            .prop_flat_map(|n| (1..=n.len() as u32, Just(n)))
            .prop_map(|(k, n)| Require::k_of_n(k, n)),
        names().prop_map(|n| Require::weighted(0.5, n.into_iter().map(|n| (n, 0.5)))),
        (1..6_u32).prop_map(Require::count),
        Just(Require::count_from("lines")),
        Just(Require::new().one("a").each("line", "lines")),
        Just(Require::new().numbered("box", 2)),
        names().prop_map(Require::checked),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), inner, any::<bool>())
            .prop_map(|(a, b, and)| if and { a.and(b) } else { a.or(b) })
    })
}

/// Rows 110, 111 and 118. Every rule means what its definition says; order and repetition do not
/// matter, what was complete stays complete, and the score is 1 exactly then.
#[test]
fn rules_mean_what_they_say_in_every_order() {
    let vars = ["a", "b", "c", "d", "line:1", "line:2", "line:3", "box:1", "box:2"];
    let arrivals = prop::collection::vec(0..vars.len(), 0..14);
    let config = proptest::test_runner::Config {
        cases: 2_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        ..Default::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (rules(), arrivals, prop::option::of(0..4_u32), 0..14_usize);
    let test = |(require, arrivals, bound, turn): (Require, Vec<usize>, Option<u32>, usize)| {
        let mut hand = Hand::new(&require);
        if let (Some(n), Some(_)) = (bound, hand.need.bound("lines")) {
            hand.declare("lines", n);
        }
        let known = |v: &&str| hand.need.parse_var(v).is_ok();
        let mut arrivals: Vec<&str> = arrivals.iter().map(|i| vars[*i]).filter(known).collect();
        let (mut there, mut was) = (BTreeSet::new(), false);
        let mut distinct = Vec::new();
        for v in &arrivals {
            if there.insert((*v).to_owned()) {
                hand.put(v);
                distinct.push(*v);
            }
            let (complete, missing, score) = hand.told();
            let want = holds(require.rule(), &there, there.len() as u32, bound);
            prop_assert_eq!(complete, want);
            prop_assert!(complete || !was, "a fragment more made it incomplete");
            prop_assert_eq!(complete, score.to_bits() == 1.0_f32.to_bits());
            prop_assert!((0.0..=1.0).contains(&score));
            prop_assert!(!complete || missing.is_empty());
            was = complete;
        }
        let told = hand.told();
        let turn = turn % arrivals.len().max(1);
        arrivals.rotate_left(turn);
        let mut again = Hand::new(&require);
        again.bounds.clone_from(&hand.bounds);
        distinct.reverse();
        distinct.iter().for_each(|v| again.put(v));
        prop_assert_eq!(again.told(), told);
        Ok(())
    };
    if let Err(e) = runner.run(&strategy, test) {
        panic!("{e}");
    }
}
