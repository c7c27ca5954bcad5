//! One flow, three engines: chosen by a word of the command line.

use flux_io::core::{RunOptions, RunReport};
use flux_io::engine::{Rayon, Sync, Tokio};
use flux_io::flow::Runnable;
use flux_io::prelude::RunError;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// An engine that a user can ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sync,
    Tokio,
    Rayon,
}

impl FromStr for Engine {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "sync" => Ok(Self::Sync),
            "tokio" => Ok(Self::Tokio),
            "rayon" => Ok(Self::Rayon),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Tokio => "tokio",
            Self::Rayon => "rayon",
        })
    }
}

impl Engine {
    /// Runs a flow to its end; also how long it took on the wall (the engines' own clock may be
    /// virtual).
    #[expect(clippy::disallowed_methods, reason = "a program may look at the clock on the wall")]
    pub(crate) fn run(
        self,
        options: RunOptions,
        flow: impl Runnable<'static>,
    ) -> Result<(RunReport, Duration), RunError> {
        let start = Instant::now();
        let report = match self {
            Self::Sync => Sync::new().with(options).run(flow),
            Self::Tokio => Tokio::new().with(options).run_blocking(flow),
            Self::Rayon => Rayon::new().with(options).run(flow),
        }?;
        Ok((report, start.elapsed()))
    }
}
