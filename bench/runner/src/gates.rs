//! Named ratio rules over one interleaved run. Never compares with stored times: those of another
//! machine or another day say nothing.

use std::fmt;

use crate::results::{CaseResult, Results};

/// The rules that hold for this workspace.
const RULES: &str = include_str!("../../gates.txt");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
}

/// One rule: `name: workload.case [metric] >= FACTORx reference`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gate {
    pub(crate) name: String,
    /// The rule's text, for the report.
    pub(crate) rule: String,
    workload: String,
    case: String,
    metric: Option<String>,
    relation: Relation,
    factor: f64,
    reference: String,
}

/// What a gate came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It held; the ratio that was measured.
    Held(f64),
    /// It did not hold; the ratio that was measured.
    Broken(f64),
    /// A case or figure that it needs was not measured.
    NotRun(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(ratio) => write!(f, "held, {ratio:.2}x"),
            Self::Broken(ratio) => write!(f, "BROKEN, {ratio:.2}x"),
            Self::NotRun(what) => write!(f, "not run: no {what}"),
        }
    }
}

impl Gate {
    /// All rules of the gate file; `Err` names the line that cannot be read.
    pub(crate) fn all() -> Result<Vec<Self>, String> {
        Self::parse_all(RULES)
    }

    fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let rules = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        rules.map(|line| Self::parse(line).ok_or_else(|| format!("bad gate: {line}"))).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, rule) = line.split_once(':')?;
        let words: Vec<&str> = rule.split_whitespace().collect();
        let (subject, metric, relation, factor, reference) = match words[..] {
            [subject, relation, factor, reference] => (subject, None, relation, factor, reference),
            [subject, metric, relation, factor, reference] => {
                (subject, Some(metric.to_owned()), relation, factor, reference)
            }
            _ => return None,
        };
        let (workload, case) = subject.split_once('.')?;
        let relation = match relation {
            ">=" => Relation::AtLeast,
            "<=" => Relation::AtMost,
            _ => return None,
        };
        let factor = factor.strip_suffix('x')?.parse().ok().filter(|f: &f64| *f > 0.0)?;
        Some(Self {
            name: name.trim().to_owned(),
            rule: words.join(" "),
            workload: workload.to_owned(),
            case: case.to_owned(),
            metric,
            relation,
            factor,
            reference: reference.to_owned(),
        })
    }

    /// The workload that it judges.
    pub(crate) fn workload(&self) -> &str {
        &self.workload
    }

    /// Judges one run by its medians.
    pub(crate) fn judge(&self, results: &Results) -> Verdict {
        let figures = self
            .figure(results, &self.case)
            .and_then(|subject| Ok((subject, self.figure(results, &self.reference)?)));
        let (subject, reference) = match figures {
            Ok(figures) => figures,
            Err(missing) => return Verdict::NotRun(missing),
        };
        let ratio = match (&self.metric, self.relation) {
            // Speed is the inverse of the time per item.
            (None, Relation::AtLeast) => reference / subject,
            _ => subject / reference,
        };
        let holds = match self.relation {
            Relation::AtLeast => ratio >= self.factor,
            Relation::AtMost => ratio <= self.factor,
        };
        if holds { Verdict::Held(ratio) } else { Verdict::Broken(ratio) }
    }

    fn figure(&self, results: &Results, case: &str) -> Result<f64, String> {
        let metric = self.metric.as_deref().unwrap_or("ns_item");
        let median = |result: &CaseResult| result.median(metric);
        results
            .get(&self.workload, case)
            .and_then(median)
            .ok_or_else(|| format!("{metric} of {}.{case}", self.workload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cases::WORKLOADS, results::tests::result};

    fn judge(rule: &str) -> Verdict {
        let results = Results(vec![
            result("w1", "std-iter", &[1.0, 1.0, 50.0], "a"),
            result("w1", "timely-1t", &[4.0], "a"),
        ]);
        Gate::parse(rule).unwrap().judge(&results)
    }

    #[test]
    fn at_least_compares_speed_and_at_most_compares_time() {
        assert_eq!(judge("g: w1.std-iter >= 3x timely-1t"), Verdict::Held(4.0));
        assert_eq!(judge("g: w1.std-iter >= 4.5x timely-1t"), Verdict::Broken(4.0));
        assert_eq!(judge("g: w1.timely-1t <= 4x std-iter"), Verdict::Held(4.0));
        assert_eq!(judge("g: w1.timely-1t <= 3.9x std-iter"), Verdict::Broken(4.0));
    }

    #[test]
    fn a_metric_is_compared_as_it_stands() {
        assert_eq!(judge("g: w1.timely-1t rss_mib <= 1.2x std-iter"), Verdict::Held(1.0));
        assert_eq!(judge("g: w1.timely-1t p99_us <= 2x std-iter"), Verdict::Broken(4.0));
        assert_eq!(judge("g: w1.timely-1t p99_us >= 4x std-iter"), Verdict::Held(4.0));
    }

    #[test]
    fn what_did_not_run_is_neither_held_nor_broken() {
        let verdict = judge("g: w1.absent >= 3x timely-1t");
        assert_eq!(verdict, Verdict::NotRun("ns_item of w1.absent".to_owned()));
    }

    #[test]
    fn bad_rules_are_refused() {
        for rule in [
            "w1.a >= 3x b",
            "g: w1.a > 3x b",
            "g: w1 >= 3x b",
            "g: w1.a >= 3 b",
            "g: w1.a >= -1x b",
        ] {
            assert_eq!(Gate::parse(rule), None, "{rule}");
        }
    }

    #[test]
    fn the_gate_file_is_readable_and_names_workloads_that_exist() {
        let gates = Gate::all().unwrap();
        assert!(!gates.is_empty());
        for gate in gates {
            assert!(WORKLOADS.iter().any(|w| w.name == gate.workload), "{}", gate.rule);
        }
    }
}
