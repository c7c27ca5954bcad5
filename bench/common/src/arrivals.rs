//! The open-loop load of the latency workload: when each fragment arrives is fixed before the run,
//! so a slow consumer cannot slow its producer and hide its own queueing (no coordinated omission).

use std::collections::BTreeMap;

use crate::rng::Rng;

/// The instants at which fragments arrive, in ns from the start of the run, ascending.
#[derive(Debug, Clone)]
pub struct Arrivals {
    at_ns: Vec<u64>,
}

impl Arrivals {
    /// `items` arrivals with independent exponential gaps (a Poisson process) of mean
    /// `mean_gap_ns`; equal seeds give equal instants.
    pub fn poisson(items: usize, mean_gap_ns: f64, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut now_ns = 0.0;
        let at_ns = (0..items)
            .map(|_| {
                // Inverse of the exponential distribution; 1 - u is never 0.
                now_ns -= (1.0 - rng.next_unit()).ln() * mean_gap_ns;
                now_ns as u64
            })
            .collect();
        Self { at_ns }
    }

    /// The end of the batch that starts at fragment `from`: whatever has arrived by `now_ns`, at
    /// most `batch_max` fragments. Equals `from` when nothing has arrived.
    #[inline]
    pub fn arrived(&self, from: usize, now_ns: u64, batch_max: usize) -> usize {
        let end = self.at_ns.len().min(from + batch_max);
        let waiting = &self.at_ns[from..end];
        from + waiting.partition_point(|&at| at <= now_ns)
    }

    /// When the fragment at `index` arrived, in ns from the start.
    #[inline]
    pub fn at_ns(&self, index: usize) -> u64 {
        self.at_ns[index]
    }

    /// Number of fragments.
    pub fn len(&self) -> usize {
        self.at_ns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.at_ns.is_empty()
    }
}

/// Latencies of one run, in ns, all of them kept: exact quantiles and an exact maximum.
#[derive(Debug, Clone)]
pub struct Latencies {
    ns: Vec<u64>,
}

impl Latencies {
    /// Room for `records` latencies, so that recording never allocates during the run.
    pub fn with_capacity(records: usize) -> Self {
        Self { ns: Vec::with_capacity(records) }
    }

    /// One record: emitted at `emitted_ns`, its last needed fragment had arrived at `arrived_ns`.
    #[inline]
    pub fn record(&mut self, arrived_ns: u64, emitted_ns: u64) {
        self.ns.push(emitted_ns.saturating_sub(arrived_ns));
    }

    /// `p50_us`, `p99_us` and `max_us` (nearest rank), and how many `records` there were.
    pub fn summary(mut self) -> BTreeMap<String, f64> {
        self.ns.sort_unstable();
        let quantile = |permille: usize| {
            let rank = (self.ns.len() * permille).div_ceil(1000).max(1);
            self.ns.get(rank - 1).map_or(f64::NAN, |&ns| ns as f64 / 1000.0)
        };
        BTreeMap::from([
            ("p50_us".to_owned(), quantile(500)),
            ("p99_us".to_owned(), quantile(990)),
            ("max_us".to_owned(), quantile(1000)),
            ("records".to_owned(), self.ns.len() as f64),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_ascend_at_the_wanted_rate() {
        let arrivals = Arrivals::poisson(100_000, 80.0, 1);
        assert!((1..arrivals.len()).all(|i| arrivals.at_ns(i - 1) <= arrivals.at_ns(i)));
        let mean = arrivals.at_ns(99_999) as f64 / 100_000.0;
        assert!((79.0..81.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_batch_is_what_has_arrived_and_no_more_than_its_limit() {
        let arrivals = Arrivals { at_ns: vec![10, 20, 20, 30] };
        assert_eq!(arrivals.arrived(0, 9, 8), 0);
        assert_eq!(arrivals.arrived(0, 20, 8), 3);
        assert_eq!(arrivals.arrived(1, 20, 1), 2);
        assert_eq!(arrivals.arrived(3, 99, 8), 4);
        assert_eq!(arrivals.arrived(4, 99, 8), 4);
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut latencies = Latencies::with_capacity(200);
        (1..=200u64).for_each(|k| latencies.record(1_000, 1_000 + k * 1_000));
        let summary = latencies.summary();
        assert_eq!(summary["p50_us"], 100.0);
        assert_eq!(summary["p99_us"], 198.0);
        assert_eq!(summary["max_us"], 200.0);
    }
}
