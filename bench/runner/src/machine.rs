//! What was run on what, for the report's heading.

use std::{fs, thread};

use serde::Serialize;

const LOCK: &str = include_str!("../../Cargo.lock");
/// Libraries whose version decides what was compared.
const LIBRARIES: [&str; 8] =
    ["renoir", "timely", "rtrb", "tokio", "crossbeam-channel", "sonic-rs", "hashbrown", "mimalloc"];

/// The surroundings of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Output of `rustc --version` of the compiler that built the runner.
    pub(crate) rustc: &'static str,
    /// Cargo profile, and whether it was built incrementally, which costs some cases inlining.
    pub(crate) build: String,
    /// CPU model as the system names it.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The allocator of every binary.
    pub(crate) allocator: &'static str,
    /// `name version` of the libraries compared.
    pub(crate) libraries: Vec<String>,
    /// Load average over the minute before the run; 0 where the system does not tell.
    pub(crate) load_before: f64,
}

impl Machine {
    /// Looks at the machine now.
    pub(crate) fn look() -> Self {
        let incremental = env!("BENCH_INCREMENTAL") == "1";
        let profile = env!("BENCH_PROFILE");
        let note = if incremental { ", INCREMENTAL: not a measurement, build without" } else { "" };
        Self {
            rustc: env!("BENCH_RUSTC"),
            build: format!(
                "{profile}, opt-level 3, codegen units by default, no LTO, default target CPU{note}"
            ),
            cpu: cpu_model(),
            cores: thread::available_parallelism().map_or(0, usize::from),
            allocator: bench_common::ALLOCATOR,
            libraries: LIBRARIES.iter().filter_map(|name| locked_version(name)).collect(),
            load_before: load_average(),
        }
    }
}

/// Newest version of a library in the lock file (others belong to its peers).
fn locked_version(name: &str) -> Option<String> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = LOCK.rsplit_once(&head)?;
    Some(format!("{name} {}", rest.split('"').next()?))
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':'])).to_owned()
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(LIBRARIES.iter().all(|name| locked_version(name).is_some()));
        assert!(locked_version("timely").unwrap().starts_with("timely 0."));
        assert_eq!(locked_version("no-such-library"), None);
    }
}
