//! Figures for people: grouped digits, rates, peak memory, and a digest that is as expected or not.

use crate::command::Failure;
use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::outcome::Tally;
use std::time::Duration;

/// A number with its digits in groups of three.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How fast it went, and the most memory this process ever held where the system says so.
pub(crate) fn pace(fragments: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let rate = (fragments as f64 / seconds.max(1e-9)) as u64;
    let memory =
        peak_memory().map_or_else(String::new, |mib| format!(", peak memory {mib:.1} MiB"));
    format!("{} fragments/s in {seconds:.3} s{memory}", grouped(rate))
}

/// `VmHWM` of `/proc/self/status` (proc(5): peak resident set size, in kB), in MiB.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The digest, with the verdict where the right one is known.
///
/// # Errors
/// The outcomes are not those expected: what differs.
pub(crate) fn verdict(tally: &Tally, expected: Option<&Expected>) -> Result<String, Failure> {
    let Some(expected) = expected else { return Ok(format!("{} (none to compare)", tally.sha256)) };
    match expected.tally_differences(tally).as_slice() {
        [] => Ok(format!("{} as expected", tally.sha256)),
        faults => Err(Failure::Job(format!("not as expected: {}", faults.join("; ")))),
    }
}
