//! What can be run: the workloads, their sizes and their cases.

/// What a case stands for in its workload's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The limit: the best known loop by hand.
    Limit,
    /// A peer that gets a column of its own.
    Peer,
    /// Anything else.
    Other,
}

/// One case, run by one program as a process of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Workload it belongs to.
    pub(crate) workload: &'static str,
    /// Its name on the child's command line and in the table.
    pub(crate) name: &'static str,
    /// Which binary of this workspace runs it.
    pub(crate) program: &'static str,
    /// What it stands for.
    pub(crate) role: Role,
    /// Whether it runs with `--full` alone.
    pub(crate) only_full: bool,
    /// It runs on this fraction of the workload's items, since it is slow per item.
    pub(crate) divisor: u64,
}

/// A workload with its sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// Its name, as in `--only`.
    pub(crate) name: &'static str,
    /// What is done, for the table's heading.
    pub(crate) title: &'static str,
    /// Items of a usual run.
    pub(crate) items: u64,
    /// Items of a `--quick` run.
    pub(crate) quick_items: u64,
    /// Memory made ready before each of its cases, in MiB: no less than the largest case uses. 0
    /// where a few MiB are used.
    pub(crate) warm_mib: usize,
}

/// The program of cases that run `py/peers.py`, which are left out where their package is not there.
pub(crate) const PYTHON: &str = "python3";

/// All workloads, in the order of the report.
pub(crate) const WORKLOADS: [Workload; 12] = [
    Workload {
        name: "w1",
        title: "map, filter, map, sum over u64",
        items: 100_000_000,
        quick_items: 20_000_000,
        warm_mib: 0,
    },
    Workload {
        name: "w2",
        title: "hand-off of u64 between two threads, back-pressured",
        items: 200 << 20,
        quick_items: 32 << 20,
        warm_mib: 0,
    },
    Workload {
        name: "w3",
        title: "word count of a text file, 12 words a line, 200,000 distinct by Zipf's law",
        items: 48_000_000,
        quick_items: 2_400_000,
        warm_mib: 64,
    },
    Workload {
        name: "w4",
        title: "smallest, mean and largest value of 413 keys, rows of a text file",
        items: 20_000_000,
        quick_items: 2_000_000,
        warm_mib: 0,
    },
    Workload {
        name: "w4m",
        title: "the same with a million keys",
        items: 20_000_000,
        quick_items: 2_000_000,
        warm_mib: 256,
    },
    Workload {
        name: "w5",
        title: "assembly of records from 4 fragments of 64 bytes, shuffled in windows of 2^20",
        items: 8 << 20,
        quick_items: 4 << 20,
        warm_mib: 256,
    },
    Workload {
        name: "w9",
        title: "NDJSON fragments in, records of 4 assembled by key, NDJSON out",
        items: 1_000_000,
        quick_items: 100_000,
        warm_mib: 128,
    },
    Workload {
        name: "cpu",
        title: "a map of two microseconds a number, summed",
        items: 400_000,
        quick_items: 50_000,
        warm_mib: 0,
    },
    Workload {
        name: "mixed",
        title: "a call of a millisecond, 64 at a time, then 16 microseconds of work",
        items: 40_000,
        quick_items: 8_000,
        warm_mib: 0,
    },
    Workload {
        name: "orders",
        title: "TPC-H order fragments in time order, NDJSON in, outcome lines out",
        items: bench_common::ORDERS[1].lines,
        quick_items: bench_common::ORDERS[0].lines,
        warm_mib: 64,
    },
    Workload {
        name: "lat",
        title: "W5 at half of the side's own peak rate, open loop: last fragment in to record out",
        items: 16 << 20,
        quick_items: 4 << 20,
        warm_mib: 320,
    },
    Workload {
        name: "w7",
        title: "unit costs of a stage boundary",
        items: 10_000_000,
        quick_items: 4_000_000,
        warm_mib: 0,
    },
];

impl Workload {
    /// Whether its cases read a file that `gen-inputs` writes.
    pub(crate) fn reads_file(&self) -> bool {
        matches!(self.name, "w3" | "w4" | "w4m" | "w9" | "orders")
    }
}

const fn case(workload: &'static str, name: &'static str, program: &'static str) -> Case {
    Case { workload, name, program, role: Role::Other, only_full: false, divisor: 1 }
}

impl Case {
    const fn limit(self) -> Self {
        Self { role: Role::Limit, ..self }
    }

    const fn peer(self) -> Self {
        Self { role: Role::Peer, ..self }
    }

    const fn full(self) -> Self {
        Self { only_full: true, ..self }
    }

    const fn over(self, divisor: u64) -> Self {
        Self { divisor, ..self }
    }
}

/// All cases; README.md says what each is.
pub(crate) const CASES: &[Case] = &[
    case("w1", "std-iter", "hand").limit(),
    case("w1", "scalar", "hand").full(),
    case("w1", "fused-1024", "hand"),
    case("w1", "dyn-64", "hand").full(),
    case("w1", "dyn-256", "hand").full(),
    case("w1", "dyn-1024", "hand"),
    case("w1", "dyn-16384", "hand").full(),
    case("w1", "boxed-iter", "hand").full(),
    case("w1", "futures", "hand").full(),
    case("w1", "futures-boxed", "hand"),
    case("w1", "std-2t", "hand").full(),
    case("w1", "rayon-2t", "hand").full(),
    case("w1", "renoir-1t", "peer-renoir").peer(),
    case("w1", "renoir-2t", "peer-renoir").full(),
    case("w1", "timely-1t", "peer-timely").peer(),
    case("w1", "timely-2t", "peer-timely").full(),
    case("w1", "flux-sync", "flux"),
    case("w1", "flux-sync-range", "flux"),
    case("w1", "flux-tokio-2", "flux"),
    case("w1", "flux-dyn", "flux").full(),
    case("w2", "rtrb-recycled", "hand").limit(),
    case("w2", "vec-1t", "hand").full(),
    case("w2", "rtrb-vec", "hand").full(),
    case("w2", "crossbeam-vec", "hand"),
    case("w2", "kanal-vec", "hand").full(),
    case("w2", "flume-vec", "hand").full(),
    case("w2", "std-vec", "hand").full(),
    case("w2", "tokio-vec", "hand").peer(),
    case("w2", "rtrb-item", "hand").full().over(16),
    case("w2", "crossbeam-item", "hand").full().over(16),
    case("w2", "tokio-item", "hand").full().over(16),
    case("w2", "timely-exchange", "peer-timely").peer(),
    case("w2", "renoir-shuffle", "peer-renoir").peer().over(8),
    case("w2", "renoir-shuffle-16384", "peer-renoir").full().over(8),
    case("w2", "flux-tokio", "flux"),
    case("w2", "flux-sync", "flux"),
    case("w2", "flux-rayon", "flux"),
    case("w3", "hand", "hand").limit(),
    case("w3", "hand-2t", "hand"),
    case("w3", "owned", "hand").full(),
    case("w3", "renoir-1t", "peer-renoir").peer(),
    case("w3", "renoir-2t", "peer-renoir").full(),
    case("w3", "renoir-fold-1t", "peer-renoir").full(),
    case("w3", "renoir-fold-2t", "peer-renoir").full(),
    case("w3", "timely-1t", "peer-timely").peer(),
    case("w3", "timely-2t", "peer-timely").full(),
    case("w3", "duckdb-1t", PYTHON).full(),
    case("w3", "duckdb-2t", PYTHON).peer(),
    case("w3", "polars-2t", PYTHON),
    case("w3", "flux-sync", "flux"),
    case("w3", "flux-tokio-1", "flux").full(),
    case("w3", "flux-tokio-2", "flux"),
    case("w3", "flux-rayon-1", "flux").full(),
    case("w3", "flux-rayon-2", "flux"),
    case("w3", "flux-hybrid-2", "flux").full(),
    case("w3", "flux-strings", "flux"),
    case("w4", "dense-256", "hand").limit(),
    case("w4", "dense-256-2t", "hand"),
    case("w4", "map", "hand").full(),
    case("w4", "renoir-1t", "peer-renoir").full(),
    case("w4", "renoir-2t", "peer-renoir").peer(),
    case("w4", "timely-1t", "peer-timely").full(),
    case("w4", "timely-2t", "peer-timely").peer(),
    case("w4", "duckdb-2t", PYTHON).peer(),
    case("w4", "polars-2t", PYTHON),
    case("w4", "flux-sync", "flux"),
    case("w4", "flux-tokio-1", "flux").full(),
    case("w4", "flux-tokio-2", "flux"),
    case("w4", "flux-rayon-1", "flux").full(),
    case("w4", "flux-rayon-2", "flux"),
    case("w4", "flux-hybrid-2", "flux").full(),
    case("w4m", "dense-256", "hand").limit(),
    case("w4m", "dense-256-2t", "hand"),
    case("w4m", "map", "hand").full(),
    case("w4m", "renoir-1t", "peer-renoir").full(),
    case("w4m", "renoir-2t", "peer-renoir").peer(),
    case("w4m", "timely-1t", "peer-timely").full(),
    case("w4m", "timely-2t", "peer-timely").peer(),
    case("w4m", "duckdb-2t", PYTHON).peer(),
    case("w4m", "polars-2t", PYTHON),
    case("w4m", "flux-sync", "flux"),
    case("w4m", "flux-tokio-1", "flux").full(),
    case("w4m", "flux-tokio-2", "flux"),
    case("w4m", "flux-rayon-1", "flux").full(),
    case("w4m", "flux-rayon-2", "flux"),
    case("w4m", "flux-hybrid-2", "flux").full(),
    case("w9", "sonic-loop", "hand").limit(),
    case("w9", "duckdb-1t", PYTHON).full(),
    case("w9", "duckdb-2t", PYTHON).peer(),
    case("w9", "polars-2t", PYTHON),
    case("w9", "flux-sync", "flux"),
    case("w9", "flux-tokio-2", "flux"),
    case("w9", "program-sync", "program"),
    case("w9", "program-tokio-2", "program"),
    case("w9", "flux-rayon-2", "flux").full(),
    case("cpu", "loop", "hand").limit(),
    case("cpu", "loop-2t", "hand"),
    case("cpu", "rayon-2t", "hand"),
    case("cpu", "renoir-1t", "peer-renoir").full(),
    case("cpu", "renoir-2t", "peer-renoir").peer(),
    case("cpu", "timely-1t", "peer-timely").full(),
    case("cpu", "timely-2t", "peer-timely").peer(),
    case("cpu", "flux-sync", "flux"),
    case("cpu", "flux-tokio-1", "flux").full(),
    case("cpu", "flux-tokio-2", "flux"),
    case("cpu", "flux-rayon-1", "flux").full(),
    case("cpu", "flux-rayon-2", "flux"),
    case("cpu", "flux-hybrid-2", "flux"),
    case("mixed", "flux-sync", "flux").full(),
    case("mixed", "flux-tokio-2", "flux").peer(),
    case("mixed", "flux-rayon-2", "flux").peer(),
    case("mixed", "flux-hybrid-2", "flux"),
    case("w5", "prefetch-256", "hand").limit(),
    case("w5", "prefetch-64", "hand").full(),
    case("w5", "prefetch-1024", "hand").full(),
    case("w5", "source", "hand").full(),
    case("w5", "slab", "hand"),
    case("w5", "owned", "hand"),
    case("w5", "owned-2t", "hand").full(),
    case("w5", "nested-maps", "hand").full(),
    case("w5", "timely-1t", "peer-timely").peer(),
    case("w5", "timely-2t", "peer-timely").full(),
    case("w5", "renoir-expert-1", "peer-renoir").peer(),
    case("w5", "renoir-expert-2", "peer-renoir").full(),
    case("w5", "flux-sync", "flux"),
    case("w5", "flux-arena", "flux"),
    case("w5", "flux-owned", "flux"),
    case("w5", "flux-tokio-2", "flux"),
    case("w5", "flux-tokio-1", "flux").full(),
    case("w5", "flux-rayon-1", "flux").full(),
    case("w5", "flux-rayon-2", "flux"),
    case("w5", "flux-hybrid-2", "flux"),
    case("w5", "flux-tombstones", "flux"),
    case("orders", "sonic-loop", "hand").limit(),
    case("orders", "flux-sync", "flux"),
    case("orders", "flux-tokio-2", "flux"),
    case("orders", "program-sync", "program"),
    case("orders", "program-tokio-2", "program"),
    case("lat", "loop", "hand").limit(),
    case("lat", "flux-sync", "flux"),
    case("lat", "flux-tokio", "flux"),
    case("w7", "fused-1x64", "hand"),
    case("w7", "fused-4x64", "hand"),
    case("w7", "fused-1x256", "hand"),
    case("w7", "fused-4x256", "hand"),
    case("w7", "fused-1x1024", "hand"),
    case("w7", "fused-4x1024", "hand"),
    case("w7", "dyn-1x64", "hand"),
    case("w7", "dyn-4x64", "hand"),
    case("w7", "dyn-1x256", "hand"),
    case("w7", "dyn-4x256", "hand"),
    case("w7", "dyn-1x1024", "hand"),
    case("w7", "dyn-4x1024", "hand"),
    case("w7", "async-1x64", "hand"),
    case("w7", "async-4x64", "hand"),
    case("w7", "async-1x256", "hand"),
    case("w7", "async-4x256", "hand"),
    case("w7", "async-1x1024", "hand"),
    case("w7", "async-4x1024", "hand"),
    case("w7", "async-dyn-1x64", "hand"),
    case("w7", "async-dyn-4x64", "hand"),
    case("w7", "async-dyn-1x256", "hand"),
    case("w7", "async-dyn-4x256", "hand"),
    case("w7", "async-dyn-1x1024", "hand"),
    case("w7", "async-dyn-4x1024", "hand"),
    case("w7", "flux-1x64", "flux"),
    case("w7", "flux-4x64", "flux"),
    case("w7", "flux-1x256", "flux"),
    case("w7", "flux-4x256", "flux"),
    case("w7", "flux-1x1024", "flux"),
    case("w7", "flux-4x1024", "flux"),
    case("w7", "flux-tokio-1x256", "flux"),
    case("w7", "flux-tokio-4x256", "flux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_workload_and_every_workload_one_limit() {
        for case in CASES {
            assert!(WORKLOADS.iter().any(|w| w.name == case.workload), "{case:?}");
        }
        for workload in WORKLOADS.iter().filter(|w| !matches!(w.name, "w7" | "mixed")) {
            let cases = CASES.iter().filter(|c| c.workload == workload.name);
            assert_eq!(cases.filter(|c| c.role == Role::Limit).count(), 1, "{}", workload.name);
        }
    }

    #[test]
    fn sizes_suit_the_smallest_share() {
        for case in CASES.iter().filter(|case| case.workload == "w2") {
            let workload = WORKLOADS[1];
            for items in [workload.items, workload.quick_items] {
                assert_eq!(items / case.divisor % 1024, 0, "whole batches in {}", case.name);
            }
        }
    }
}
