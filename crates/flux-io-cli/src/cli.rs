//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Assembles records from fragments that arrive late, twice and out of order.
#[derive(Debug, Parser)]
#[command(
    name = "flux-io",
    version,
    about = "Assembles things from fragments that arrive late, twice and out of order",
    after_help = "A pipeline file is TOML; `-` reads it from standard input. `flux-io schema` \
                  prints what it may hold, examples/ has files that run.\n\n\
                  Exit codes: 0 done, 1 the run failed, 2 wrong usage or a faulty pipeline file, \
                  128+n ended by signal n.",
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Report as lines of JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline file
    Run(Run),
    /// Check a pipeline file without running it
    Check(PipelineFile),
    /// Show how a pipeline file would run: stages, buffers, policy, bounds
    Plan(Plan),
    /// Draw a pipeline file
    Graph(Graph),
    /// Run the fixtures of a pipeline file; no file is read or written
    Test(PipelineFile),
    /// Write a pipeline file to start from
    New(New),
    /// Look at dead letters, or read them again
    Dlq(Dlq),
    /// Print the JSON Schema of pipeline files
    Schema,
    /// Print completions for a shell
    Completions(Completions),
}

/// The pipeline file.
#[derive(Args, Debug)]
pub(crate) struct PipelineFile {
    /// The pipeline file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Options that stand in for settings of the file.
#[derive(Args, Debug)]
pub(crate) struct Overrides {
    /// The engine, instead of the file's
    #[arg(long, value_name = "ENGINE", value_parser = ["sync", "tokio", "rayon"])]
    pub(crate) engine: Option<String>,
    /// Instances of the accumulator and threads, instead of the file's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Rows of a batch at most, instead of the file's
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub(crate) batch: Option<u32>,
    /// Memory for keyed state, instead of the file's: 64MiB, 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) budget: Option<u64>,
    /// How long the run may stand still before that is told, instead of the file's: 30s, 5min, off
    #[arg(long, value_name = "DURATION", value_parser = stall)]
    pub(crate) max_stall: Option<Stall>,
}

/// How long a run may stand still; `None` for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall(pub(crate) Option<Duration>);

fn stall(text: &str) -> Result<Stall, String> {
    match crate::config::parse_duration(text) {
        _ if text == "off" => Ok(Stall(None)),
        Ok(Duration::ZERO) => Err("it would be over as it begins; `off` for none".to_owned()),
        Ok(d) => Ok(Stall(Some(d))),
        Err(e) => Err(e.to_string()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    match crate::config::parse_size(text) {
        Ok(0) => Err("nothing fits into 0 bytes".to_owned()),
        Ok(n) => Ok(n),
        Err(e) => Err(e.to_string()),
    }
}

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_help = "Progress goes to standard error when that is a terminal. The closing \
                        summary goes to standard output, or to standard error when a sink writes \
                        to standard output.\n\n\
                        Ctrl-C ends the input and lets what was read flow through; a second one \
                        aborts, and only outputs that were whole by then are there.")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) pipeline: PipelineFile,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Write what became of every key to this file, one JSON object a line; keys that a policy
    /// drops without a result are only counted in the summary
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) pipeline: PipelineFile,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

/// Arguments of `graph`.
#[derive(Args, Debug)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) pipeline: PipelineFile,
    /// The drawing's language
    #[arg(long = "as", value_name = "LANGUAGE", value_enum, default_value = "mermaid")]
    pub(crate) language: Drawing,
}

/// Languages of drawings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// Mermaid, for documents
    Mermaid,
    /// Graphviz
    Dot,
    /// Characters, for terminals
    Ascii,
}

/// Arguments of `new`.
#[derive(Args, Debug)]
pub(crate) struct New {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE", default_value = "pipeline.toml")]
    pub(crate) file: PathBuf,
}

/// Arguments of `dlq`.
#[derive(Args, Debug)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    pub(crate) command: DlqCommand,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters by reason and stage, with the places of the first
    Ls(Letters),
    /// Read the originals of dead letters again, with a pipeline file
    Retry(Retry),
}

/// A file of dead letters.
#[derive(Args, Debug)]
pub(crate) struct Letters {
    /// Dead letters as a run wrote them, one JSON object a line
    #[arg(value_name = "LETTERS")]
    pub(crate) letters: PathBuf,
}

/// Arguments of `dlq retry`.
#[derive(Args, Debug)]
#[command(after_help = "Each original is read by the source it came from, as a JSON object on a \
                        line, and goes through the stages again. What fails again is a dead letter \
                        again, in the sink for dead letters. The file of letters is not changed; \
                        those that cannot be read again are counted and stay in it alone.")]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) letters: Letters,
    #[command(flatten)]
    pub(crate) pipeline: PipelineFile,
    /// Write outputs into this directory, under the names of the pipeline file
    #[arg(long, value_name = "DIR", required_unless_present = "replace")]
    pub(crate) out: Option<PathBuf>,
    /// Write outputs where the pipeline file says, over what is there
    #[arg(long, conflicts_with = "out")]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Say nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
