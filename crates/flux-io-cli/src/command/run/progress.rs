//! How far a run is, once in a while: a line that is rewritten on a terminal, events as JSON.

use super::{Voice, grouped, now, rate};
use crate::job::{Job, Reading};
use crate::json::Object;
use flux_io::core::RunHandle;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Between two pictures on a terminal.
const FRAME: Duration = Duration::from_millis(100);
/// Between two events.
const EVENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Over {
    over: Mutex<bool>,
    ended: Condvar,
}

/// A thread that looks at the run and shows it.
#[derive(Debug)]
pub(super) struct Progress {
    over: Arc<Over>,
    thread: Option<JoinHandle<()>>,
}

/// What is looked at.
struct Watched {
    handle: RunHandle,
    sources: Vec<Reading>,
    accumulator: Option<String>,
}

impl Progress {
    pub(super) fn start(handle: &RunHandle, job: &Job, voice: Voice) -> Self {
        let over = Arc::<Over>::default();
        let terminal = io::stderr().is_terminal() && !voice.quiet && !voice.json;
        if !terminal && !voice.json {
            return Self { over, thread: None };
        }
        let watched = Watched {
            handle: handle.clone(),
            sources: job.sources.clone(),
            accumulator: job.accumulator.clone(),
        };
        let until = Arc::clone(&over);
        let show = move || watched.show(&until, voice);
        // Without a thread there is no progress to see, and the run is the same.
        let thread = Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { over, thread }
    }

    pub(super) fn stop(self) {
        *self.over.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.ended.notify_all();
        if let Some(thread) = self.thread {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

impl Watched {
    fn show(&self, until: &Over, voice: Voice) {
        let start = now();
        let every = if voice.json { EVENT } else { FRAME };
        loop {
            let over = until.over.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok((over, _)) = until.ended.wait_timeout_while(over, every, |over| !*over) else {
                return;
            };
            if *over {
                break;
            }
            drop(over);
            self.picture(start.elapsed(), voice);
        }
        if !voice.json {
            // An empty line again.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn picture(&self, took: Duration, voice: Voice) {
        let read: u64 = self
            .sources
            .iter()
            .filter_map(|source| self.handle.inspect(&source.name))
            .map(|state| state.counts.rows_out)
            .sum();
        let held = self.accumulator.as_ref().and_then(|name| self.handle.inspect(name));
        let results = held.as_ref().map_or(0, |state| state.counts.rows_out);
        let open = held.and_then(|state| state.gauge).map_or(0, |gauge| gauge.keys);
        if voice.json {
            let event = Object::event("progress")
                .plain("records", read)
                .plain("results", results)
                .plain("open_keys", open)
                .plain("records_per_second", rate(read, took));
            // A closed reader ends the run, not its progress.
            let _ = voice.event(|| event);
            return;
        }
        let line = format!(
            "\r\x1b[K{}{} records ({}/s), {} results, {} keys open, {:.1} s",
            share(&self.sources).map_or_else(String::new, bar),
            grouped(read),
            grouped(rate(read, took)),
            grouped(results),
            grouped(open),
            took.as_secs_f64(),
        );
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// How much of the inputs was read, where the size of each is known.
fn share(sources: &[Reading]) -> Option<f64> {
    let of = sources.iter().map(|s| s.size).sum::<Option<u64>>().filter(|of| *of > 0)?;
    let read: u64 = sources.iter().map(|s| s.read.bytes()).sum();
    Some((read as f64 / of as f64).min(1.0))
}

/// Places of the bar.
const BAR: usize = 20;

/// A share as a bar: `[=====>    ]  31 % `.
fn bar(share: f64) -> String {
    let full = (share * BAR as f64) as usize;
    let head = if full < BAR { ">" } else { "" };
    let rest = BAR.saturating_sub(full + 1);
    format!("[{}{head}{}] {:>3.0} % ", "=".repeat(full), " ".repeat(rest), share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_one_width() {
        assert_eq!(bar(0.0), "[>                   ]   0 % ");
        assert_eq!(bar(0.313), "[======>             ]  31 % ");
        assert_eq!(bar(1.0), "[====================] 100 % ");
    }

    #[test]
    fn without_every_size_there_is_no_share() {
        let source = |size| Reading {
            name: "s".to_owned(),
            skipped: Arc::default(),
            read: flux_io::connect::frames::Meter::new(),
            size,
        };
        assert_eq!(share(&[source(Some(10)), source(None)]), None);
        assert_eq!(share(&[source(Some(0))]), None);
        assert_eq!(share(&[source(Some(10)), source(Some(5))]), Some(0.0));
    }
}
