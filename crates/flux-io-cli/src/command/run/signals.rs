//! Ctrl-C: the first lets what was read flow through, the second aborts.

use super::Voice;
use crate::console::say;
use flux_io::core::{RunHandle, StopMode};

/// What a program that was aborted may take to clean up before it is ended: 2 s.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(unix)]
mod watch {
    use super::{PATIENCE, RunHandle, StopMode, Voice, told};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::thread::{Builder, JoinHandle};

    /// Watches for signals until it is stopped.
    #[derive(Debug)]
    pub(in super::super) struct Signals {
        watching: Option<(iterator::Handle, JoinHandle<()>)>,
        seen: Arc<Seen>,
    }

    #[derive(Debug, Default)]
    struct Seen {
        first: Mutex<Option<u8>>,
        over: Mutex<bool>,
        ended: Condvar,
    }

    impl Signals {
        pub(in super::super) fn watch(handle: &RunHandle, voice: Voice) -> Self {
            let seen = Arc::<Seen>::default();
            let watching = iterator::Signals::new([SIGINT, SIGTERM]).ok().and_then(|signals| {
                let stop = signals.handle();
                let (handle, seen) = (handle.clone(), Arc::clone(&seen));
                let watch = move || serve(signals, &handle, &seen, voice);
                let thread = Builder::new().name("signals".to_owned()).spawn(watch).ok()?;
                Some((stop, thread))
            });
            Self { watching, seen }
        }

        /// Ends watching; the first signal that came, if one did.
        pub(in super::super) fn stop(self) -> Option<u8> {
            *self.seen.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.seen.ended.notify_all();
            if let Some((stop, thread)) = self.watching {
                stop.close();
                // The thread does not panic.
                let _ = thread.join();
            }
            *self.seen.first.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    fn serve(mut signals: iterator::Signals, handle: &RunHandle, seen: &Seen, voice: Voice) {
        for signal in signals.forever() {
            let signal = u8::try_from(signal).unwrap_or_default();
            let again = {
                let mut first = seen.first.lock().unwrap_or_else(PoisonError::into_inner);
                let again = first.is_some();
                first.get_or_insert(signal);
                again
            };
            if !again {
                handle.stop(StopMode::Graceful { deadline: None });
                told(voice, "stopping", "the input ends here; once more aborts");
                continue;
            }
            // What is told has been done: who hears it may end the input.
            handle.stop(StopMode::Abort);
            told(voice, "aborting", "no output is written");
            leave_unless_over(seen, signal);
        }
    }

    /// A run that hangs in a read that blocks does not end by itself.
    #[expect(clippy::exit, reason = "a second Ctrl-C ends the program whatever hangs")]
    fn leave_unless_over(seen: &Seen, signal: u8) {
        let over = seen.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = seen.ended.wait_timeout_while(over, PATIENCE, |over| !*over);
        let over = waited.map_or(true, |(over, _)| *over);
        if !over {
            std::process::exit(128 + i32::from(signal));
        }
    }
}

#[cfg(not(unix))]
mod watch {
    use super::{RunHandle, Voice};

    /// Signals are not watched here: Ctrl-C ends the program, and no output is written.
    #[derive(Debug)]
    pub(in super::super) struct Signals;

    impl Signals {
        pub(in super::super) fn watch(_: &RunHandle, _: Voice) -> Self {
            Self
        }
        pub(in super::super) fn stop(self) -> Option<u8> {
            None
        }
    }
}

pub(super) use watch::Signals;

fn told(voice: Voice, event: &str, what: &str) {
    if voice.json {
        // A closed reader is not told.
        let _ = voice.event(|| crate::json::Object::event(event));
    } else if !voice.quiet {
        say(&format!("{event}: {what}"));
    }
}
