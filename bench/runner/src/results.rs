//! Measurements of one run: medians over rounds, and whether all sides gave the same answer.

use bench_common::{Line, ORDERS};

use crate::cases::Case;

/// All measurements of one case.
#[derive(Debug, Clone)]
pub(crate) struct CaseResult {
    /// The case.
    pub(crate) case: Case,
    /// One line a round; fewer where a round failed.
    pub(crate) lines: Vec<Line>,
}

impl CaseResult {
    /// The median of a figure over the rounds; `None` when no round has it. The figures are
    /// `ns_item`, `rss_mib`, `cpu_seconds`, `cpu_ns_item`, `seconds` and those that the case adds itself.
    pub(crate) fn median(&self, metric: &str) -> Option<f64> {
        let figure = |line: &Line| match metric {
            "ns_item" => Some(line.ns_item),
            "rss_mib" => Some(line.rss_mib),
            "cpu_seconds" => Some(line.cpu_seconds),
            "cpu_ns_item" => Some(line.cpu_seconds * 1e9 / line.items.max(1) as f64),
            "seconds" => Some(line.seconds),
            _ => line.metrics.get(metric).copied(),
        };
        median(self.lines.iter().filter_map(figure).collect())
    }

    /// Half of the range of ns/item over the rounds, in percent of their median.
    pub(crate) fn spread_percent(&self) -> Option<f64> {
        let times = || self.lines.iter().map(|line| line.ns_item);
        let range = times().fold(f64::MIN, f64::max) - times().fold(f64::MAX, f64::min);
        Some(range / 2.0 / self.median("ns_item")? * 100.0)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Everything that one run measured, in the order of the case table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results(pub(crate) Vec<CaseResult>);

impl Results {
    /// The measurements of one case.
    pub(crate) fn get(&self, workload: &str, case: &str) -> Option<&CaseResult> {
        self.of(workload).find(|result| result.case.name == case)
    }

    /// The measurements of a workload's cases.
    pub(crate) fn of<'a>(&'a self, workload: &str) -> impl Iterator<Item = &'a CaseResult> {
        let workload = workload.to_owned();
        self.0.iter().filter(move |result| result.case.workload == workload)
    }

    /// What is wrong with the answers: each line differs from the answer that is known, or else
    /// from the first case of the workload over equally many items. Empty when all is well.
    pub(crate) fn wrong_answers(&self) -> Vec<String> {
        let lines = || self.0.iter().flat_map(|result| &result.lines);
        let mut wrong = Vec::new();
        for line in lines() {
            let Some(check) = &line.check else { continue };
            let same_input =
                |other: &&Line| other.workload == line.workload && other.items == line.items;
            let (want, whose) = match known_answer(&line.workload, line.items) {
                Some(known) => (known, "the known answer"),
                None => {
                    match lines().filter(same_input).find_map(|o| Some((o.check.clone()?, o))) {
                        Some((want, other)) => (want, other.case.as_str()),
                        None => continue,
                    }
                }
            };
            if *check != want {
                let (workload, case) = (&line.workload, &line.case);
                wrong.push(format!("{workload}.{case} gave {check}, but {whose} is {want}"));
            }
        }
        wrong.dedup();
        wrong
    }
}

/// Answers that are known without running anything.
fn known_answer(workload: &str, items: u64) -> Option<String> {
    match workload {
        // The sum of 0..items, modulo 2^64.
        "w2" => {
            let sum = u128::from(items) * u128::from(items.saturating_sub(1)) / 2;
            Some(format!("{:016x}", sum as u64))
        }
        "orders" => {
            let input = ORDERS.iter().find(|input| input.lines == items)?;
            Some(input.outcome_sha256.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cases::CASES;

    /// A result of a case that exists, with these times.
    pub(crate) fn result(workload: &str, case: &str, times: &[f64], check: &str) -> CaseResult {
        let found = CASES.iter().find(|c| c.workload == workload && c.name == case).unwrap();
        let line = |&ns_item: &f64| Line {
            workload: workload.to_owned(),
            case: case.to_owned(),
            items: 10,
            seconds: ns_item / 1e8,
            ns_item,
            cpu_seconds: ns_item / 1e8,
            rss_mib: 100.0,
            check: Some(check.to_owned()),
            metrics: [("p99_us".to_owned(), ns_item * 2.0)].into(),
        };
        CaseResult { case: *found, lines: times.iter().map(line).collect() }
    }

    #[test]
    fn the_median_ignores_an_outlier() {
        let result = result("w1", "std-iter", &[3.0, 1.0, 90.0, 2.0, 4.0], "a");
        assert_eq!(result.median("ns_item"), Some(3.0));
        assert_eq!(result.median("p99_us"), Some(6.0));
        assert_eq!(result.median("p50_us"), None);
        assert_eq!(median(vec![1.0, 2.0]), Some(1.5));
    }

    #[test]
    fn one_differing_checksum_is_found() {
        let good = Results(vec![
            result("w1", "std-iter", &[1.0], "a"),
            result("w1", "timely-1t", &[9.0], "a"),
            result("w5", "slab", &[9.0], "b"),
        ]);
        assert!(good.wrong_answers().is_empty());
        let mut bad = good;
        bad.0.push(result("w1", "renoir-1t", &[2.0, 2.0], "c"));
        assert_eq!(bad.wrong_answers(), ["w1.renoir-1t gave c, but std-iter is a"]);
    }

    #[test]
    fn w2_must_give_the_sum_of_its_numbers() {
        let right = Results(vec![result("w2", "timely-exchange", &[1.0], "000000000000002d")]);
        assert!(right.wrong_answers().is_empty());
        let wrong = Results(vec![result("w2", "timely-exchange", &[1.0], "000000000000002e")]);
        assert_eq!(wrong.wrong_answers().len(), 1);
    }
}
