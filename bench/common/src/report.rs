//! Timing, peak memory and the one JSON line that a child prints.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Task;

/// What a case measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Items that went through, which ns/item divides by.
    pub items: u64,
    /// Wall time of the measured part.
    pub seconds: f64,
    /// Checksum of the answer; all cases of a workload over equal items must agree. `None` for
    /// unit costs, which compute nothing comparable.
    pub check: Option<String>,
    /// Further figures by name, with the unit as suffix (`p99_us`).
    pub metrics: BTreeMap<String, f64>,
}

impl Measured {
    /// A run with a numeric checksum.
    pub fn with_sum(items: u64, (sum, seconds): (u64, f64)) -> Self {
        let check = Some(format!("{sum:016x}"));
        Self { items, seconds, check, metrics: BTreeMap::new() }
    }
}

/// One measurement, as printed by a child and read by the runner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Workload, such as `w5`.
    pub workload: String,
    /// Case, such as `timely-1t`.
    pub case: String,
    /// Items that went through.
    pub items: u64,
    /// Wall time of the measured part.
    pub seconds: f64,
    /// Nanoseconds per item.
    pub ns_item: f64,
    /// CPU time of all threads in the measured part (the last one, where it is repeated). Other
    /// work on the machine moves it far less than the wall time.
    pub cpu_seconds: f64,
    /// Peak resident memory of the process (VmHWM), in MiB.
    pub rss_mib: f64,
    /// See [`Measured::check`].
    pub check: Option<String>,
    /// See [`Measured::metrics`].
    pub metrics: BTreeMap<String, f64>,
}

/// CPU time of the last [`timed`] work, in ns.
static CPU_NS: AtomicU64 = AtomicU64::new(0);

/// Runs `work` and gives its result with the wall time in seconds; notes its CPU time.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let cpu = cpu_ns();
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    CPU_NS.store(cpu_ns().saturating_sub(cpu), Ordering::Relaxed);
    (result, seconds)
}

/// CPU time of this process so far, threads that have ended included, in ns.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Prints the line of a finished case to standard output.
///
/// # Errors
/// When the line cannot be written as JSON.
pub fn report(task: &Task, measured: Measured) -> Result<(), serde_json::Error> {
    let line = Line {
        workload: task.workload.clone(),
        case: task.case.clone(),
        items: measured.items,
        seconds: measured.seconds,
        ns_item: measured.seconds * 1e9 / measured.items.max(1) as f64,
        cpu_seconds: CPU_NS.load(Ordering::Relaxed) as f64 / 1e9,
        rss_mib: peak_rss_mib(),
        check: measured.check,
        metrics: measured.metrics,
    };
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

/// VmHWM of this process in MiB; 0 where `/proc` does not tell.
fn peak_rss_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
