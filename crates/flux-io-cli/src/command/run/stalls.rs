//! Runs that stand still: who waits for whom, told while it lasts.

use super::Voice;
use crate::console::say;
use crate::json::Object;
use flux_io::core::{Doing, Observer, OnStuck, RunOptions, Silence, Stuck, StuckTask, Watchdog};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Looks within the length of a stall. Each must find the same: one that comes late, since the
/// machine was asleep, is no more than one.
const LOOKS: u32 = 4;

/// Stalls that wait to be told; beyond that they are only counted.
const WAITING: usize = 16;

/// Hears of stalls and tells them.
pub(super) struct Stalls {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

/// What the watchdog tells. It runs among the stages, so it waits for no reader of standard error:
/// a thread of its own does.
struct Told {
    count: AtomicU64,
    lines: SyncSender<Line>,
}

/// A stall as it is told.
enum Line {
    Stall(Stall),
    Over,
}

/// A stall.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stall {
    /// `silent` or `slow`.
    kind: &'static str,
    quiet: Duration,
    /// Sources that are silent, or stages that take long.
    waits_for: Vec<String>,
    text: String,
}

impl Stalls {
    pub(super) fn start(voice: Voice) -> Self {
        let (lines, told) = sync_channel(WAITING);
        // Without a thread nothing is told, and the run is the same.
        let tell = move || tell(&told, voice);
        let thread = Builder::new().name("stalls".to_owned()).spawn(tell).ok();
        Self { told: Arc::new(Told { count: AtomicU64::new(0), lines }), thread }
    }

    /// Has a run watched.
    pub(super) fn watch(&self, options: RunOptions, max_stall: Option<Duration>) -> RunOptions {
        let Some(length) = max_stall else { return options };
        let observer: Arc<dyn Observer> = Arc::<Told>::clone(&self.told);
        let dog = Watchdog::new(length / LOOKS, LOOKS).then(OnStuck::FailWhenOver);
        options.watchdog(dog).observer(observer)
    }

    /// Tells what is still to be told; how many stalls there were.
    pub(super) fn stop(self) -> u64 {
        // The thread takes lines until this one.
        let waits = self.told.lines.send(Line::Over).is_ok();
        if let Some(thread) = self.thread.filter(|_| waits) {
            // It does not panic.
            let _ = thread.join();
        }
        self.told.count.load(Ordering::Relaxed)
    }
}

impl Observer for Told {
    fn on_stuck(&self, stuck: &Stuck) {
        // What can never go on is told as the reason for the run's end.
        if !stuck.is_over() {
            self.note(slow(stuck));
        }
    }

    fn on_silence(&self, silence: &Silence) {
        self.note(silent(silence));
    }
}

impl Told {
    fn note(&self, stall: Stall) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Nobody reads standard error: the summary has the number.
        let _ = self.lines.try_send(Line::Stall(stall));
    }
}

fn tell(told: &Receiver<Line>, voice: Voice) {
    // A line of progress stands there.
    let shown = !voice.json && io::stderr().is_terminal();
    let clear = if shown { "\r\x1b[K" } else { "" };
    while let Ok(Line::Stall(s)) = told.recv() {
        if voice.json {
            // A closed reader ends the run, not this.
            let _ = voice.event(|| event(&s));
        } else if !voice.quiet {
            say(&format!("{clear}stalled: {}", s.text));
        }
    }
}

fn event(s: &Stall) -> Object {
    Object::event("stall")
        .text("kind", s.kind)
        .plain("seconds", format!("{:.3}", s.quiet.as_secs_f64()))
        .texts("waits_for", s.waits_for.iter().map(String::as_str))
        .text("what", &s.text)
}

fn silent(s: &Silence) -> Stall {
    let (them, give) = match &*s.sources {
        [one] => (format!("source `{one}`"), "gives"),
        more => (format!("sources {}", listed(more)), "give"),
    };
    let quiet = seconds(s.quiet);
    let text = if s.holds.is_empty() {
        format!("nothing has moved for {quiet}: {them} {give} nothing")
    } else {
        format!(
            "{them} {give} nothing for {quiet}, and results wait for the time of what is to come: \
             event_time.idle_after says how long"
        )
    };
    Stall { kind: "silent", quiet: s.quiet, waits_for: s.sources.clone(), text }
}

fn slow(s: &Stuck) -> Stall {
    let (names, reasons): (Vec<String>, Vec<String>) = s.tasks.iter().filter_map(reason).unzip();
    let mut text = format!("nothing has moved for {}", seconds(s.quiet));
    if !s.dead.is_empty() {
        text = format!("{}: nothing can wake {}", seconds(s.quiet), listed(&s.dead));
    }
    if !reasons.is_empty() {
        text = format!("{text}: {}", reasons.join(", "));
    }
    Stall { kind: "slow", quiet: s.quiet, waits_for: names, text }
}

/// Who a task waits for, when it is nobody in the run.
fn reason(t: &StuckTask) -> Option<(String, String)> {
    let first = t.stages.first()?;
    let last = t.stages.last()?;
    Some(match t.doing {
        Doing::Sink => {
            let name = last.strip_prefix("sink.").unwrap_or(last);
            (name.to_owned(), format!("sink `{name}` has not taken what it was given"))
        }
        Doing::Outside => (first.clone(), format!("source `{first}` gives nothing")),
        Doing::Rows | Doing::Room | Doing::Stage | Doing::Done => return None,
        doing => (first.clone(), format!("`{first}` {}", doing.as_str())),
    })
}

fn listed(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// A length of time for people.
fn seconds(d: Duration) -> String {
    match d.as_secs_f64() {
        s if s < 10.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}
