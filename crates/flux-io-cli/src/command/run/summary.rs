//! The closing summary: what came in, what became of it, how fast, with how much memory.

use super::{grouped, rate};
use crate::config::{Sink, SinkKind};
use crate::job::{Reading, Tally};
use crate::json::Object;
use flux_io::core::{Class, DropCause, Ended, Ledger, RunReport};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Lists of missing variables that are shown; the ledger file has all.
const SHOWN: usize = 5;

/// What the summary is made from.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) name: &'a str,
    pub(super) report: &'a RunReport,
    pub(super) tally: &'a Tally,
    /// How often the run stood still for long.
    pub(super) stalls: u64,
    pub(super) sources: &'a [Reading],
    pub(super) accumulator: Option<&'a str>,
    pub(super) took: Duration,
    /// Most bytes of the budget held at once.
    pub(super) held: u64,
    pub(super) budget: u64,
    pub(super) sinks: &'a [Sink],
    pub(super) failed: bool,
}

impl Summary<'_> {
    /// Records that came in, those that could not be read included.
    fn records(&self) -> u64 {
        let read = |source: &Reading| {
            let state = self.report.stage(&source.name);
            let whole = state.map_or(0, |s| s.counts.rows_out + s.dead_letters);
            whole + source.skipped.load(Ordering::Relaxed)
        };
        self.sources.iter().map(read).sum()
    }

    fn ledger(&self) -> Ledger {
        self.accumulator.and_then(|name| self.report.ledger(name)).unwrap_or_default()
    }

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut all: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (cause, n) in self.report.stages.iter().flat_map(|s| &s.dropped) {
            *all.entry(cause).or_default() += n;
        }
        let skipped: u64 = self.sources.iter().map(|s| s.skipped.load(Ordering::Relaxed)).sum();
        if skipped > 0 {
            *all.entry(DropCause::Skip.as_str()).or_default() += skipped;
        }
        all
    }

    const fn ending(&self) -> &'static str {
        match self.report.ended {
            _ if self.failed => "failed",
            Ended::Completed => "done",
            Ended::Drained => "stopped",
            Ended::DrainTimedOut | Ended::Aborted => "aborted",
            Ended::Failed => "failed",
        }
    }

    /// The summary as one event.
    pub(super) fn event(&self) -> Object {
        let (ledger, tally) = (self.ledger(), self.tally);
        let partial = tally.partial.iter().map(|(reason, n)| (reason.as_str(), *n));
        let dead = self.report.dead_letters.iter().map(|(cause, n)| (cause.as_str(), *n));
        let records = self.records();
        let event = Object::event("summary")
            .text("pipeline", self.name)
            .text("ended", self.ending())
            .text("engine", self.report.engine)
            .plain("records", records)
            .plain("fragments", ledger.fragments)
            .plain("complete", tally.complete)
            .counts("partial", partial)
            .counts("missing", tally.missing.iter().map(|(of, n)| (of, *n)))
            .plain("late", ledger.get(Class::Late))
            .plain("corrected", tally.corrected)
            .plain("duplicates", ledger.get(Class::Duplicate))
            .counts("dead_letters", dead)
            .counts("dropped", self.dropped())
            .plain("open", ledger.get(Class::Open))
            .counts("ledger", ledger.classes())
            .plain("records_written", tally.records)
            .plain("stalls", self.stalls)
            .plain("seconds", format!("{:.6}", self.took.as_secs_f64()))
            .plain("records_per_second", rate(records, self.took))
            .plain("keyed_state_bytes_max", self.held)
            .plain("budget_bytes", self.budget);
        match peak_memory() {
            Some(kib) => event.plain("peak_memory_bytes", kib * 1024),
            None => event,
        }
    }

    /// The summary for people.
    pub(super) fn text(&self) -> String {
        let mut t = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut t);
        t
    }

    fn write(&self, t: &mut String) -> std::fmt::Result {
        let (ledger, tally) = (self.ledger(), self.tally);
        let records = self.records();
        let took = self.took.as_secs_f64();
        writeln!(t, "{}: {} in {took:.2} s on {}", self.name, self.ending(), self.report.engine)?;
        line(t, 0, "records in", records, &format!("{}/s", grouped(rate(records, self.took))))?;
        if self.accumulator.is_some() {
            line(t, 0, "fragments", ledger.fragments, "")?;
            line(t, 0, "complete", tally.complete, "")?;
            line(t, 0, "partial", tally.partial.values().sum(), &causes(&tally.partial))?;
            self.missing(t)?;
            line(t, 0, "late", ledger.get(Class::Late), "")?;
            if tally.corrected > 0 {
                line(t, 0, "corrected", tally.corrected, "")?;
            }
            line(t, 0, "duplicates", ledger.get(Class::Duplicate), "")?;
        } else {
            line(t, 0, "records out", tally.records, "")?;
        }
        let dead = &self.report.dead_letters;
        let by_cause: Vec<String> =
            dead.iter().map(|(c, n)| format!("{c} {}", grouped(*n))).collect();
        line(t, 0, "dead letters", dead.values().sum(), &by_cause.join(", "))?;
        for (cause, n) in self.dropped() {
            line(t, 0, "dropped", n, said(cause))?;
        }
        if self.accumulator.is_some() {
            line(t, 0, "open", ledger.get(Class::Open), "")?;
        }
        if self.stalls > 0 {
            line(t, 0, "stalls", self.stalls, "times it stood still for max_stall")?;
        }
        let memory = peak_memory().map_or_else(String::new, |kib| {
            format!("peak memory {:.1} MiB, ", kib as f64 / 1024.0)
        });
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(
            t,
            "{memory}keyed state at most {:.1} of {:.1} MiB",
            mib(self.held),
            mib(self.budget)
        )?;
        let written = matches!(self.report.ended, Ended::Completed | Ended::Drained);
        for sink in self.sinks.iter().filter(|s| written && s.kind == SinkKind::File) {
            if let Some(path) = &sink.path {
                let takes: Vec<&str> = sink.takes.iter().map(|class| class.word()).collect();
                let what = if takes.is_empty() { "routed".to_owned() } else { takes.join(", ") };
                writeln!(t, "  {what:<24} {}", path.value)?;
            }
        }
        Ok(())
    }

    /// The commonest lists of missing variables.
    fn missing(&self, t: &mut String) -> std::fmt::Result {
        let mut by_count: Vec<(&String, u64)> =
            self.tally.missing.iter().map(|(of, n)| (of, *n)).collect();
        by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        for (of, n) in by_count.iter().take(SHOWN) {
            line(t, 2, "without", *n, of)?;
        }
        let rest: u64 = by_count.iter().skip(SHOWN).map(|(_, n)| n).sum();
        if rest > 0 {
            let lists = by_count.len() - SHOWN;
            line(t, 2, "without", rest, &format!("others ({lists} different lists)"))?;
        }
        Ok(())
    }
}

fn causes(partial: &BTreeMap<flux_io::core::Reason, u64>) -> String {
    let each: Vec<String> =
        partial.iter().map(|(reason, n)| format!("{} {}", reason.as_str(), grouped(*n))).collect();
    each.join(", ")
}

/// What a cause of dropping means, for people.
fn said(cause: &'static str) -> &'static str {
    match cause {
        "untaken" => "results that no sink takes",
        c if c == DropCause::Skip.as_str() => "skipped, as on_bad says",
        c if c == DropCause::ExpireDrop.as_str() => "fragments of keys dropped at their deadline",
        other => other,
    }
}

fn line(t: &mut String, indent: usize, name: &str, n: u64, more: &str) -> std::fmt::Result {
    let name = format!("{:indent$}{name}", "");
    let text = format!("  {name:<14}{:>14}  {more}", grouped(n));
    writeln!(t, "{}", text.trim_end())
}

/// `VmHWM` of `/proc/self/status` (proc(5): peak resident set size, in kB).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
