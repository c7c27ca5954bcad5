//! `help`: what there is.

use crate::report::{Outcome, Verdict};

const TEXT: &str = "\
cargo xtask <command>

  ci [--fast] [--only a,b]  every check below up to `deny`, in order, with a table at the end;
                            --fast runs fmt, layers, rows, doors, lint
  fmt                       formatting
  layers                    which crate may depend on which, and who may name a fenced crate
  rows [--found]            docs/requirements.md against the tests it names;
                            --found prints the rows that the tree's tests name
  doors                     libraries name locks, atomics and threads in src/sync.rs alone
  lint                      clippy over every target and feature
  alone                     every library by itself: no features, default, each feature
  test                      tests, then heavy* tests optimised, then doc-tests
  mutants                   known faults of the protocol against the simulator: each must be found
  doc                       documentation with warnings refused
  examples                  every example on its small input
  package                   what each crate would ship
  deny                      licences, bans and sources
  checks [--all] [--seed N] takes ten checks of inputs away, one by one: a fixture must notice
  fuzz [--seconds N]        the readers under cargo-fuzz, seeded with the fixtures, N seconds each
  loom                      hand-synchronised pieces under every schedule
  shuttle                   the rayon engine and whole pipelines under many schedules
  specs                     the models in specs/, with tla when it is installed
  bench [args]              measurements, in the bench/ workspace
  nightly [--only A,B]      ci, then the long runs
  help                      this text

`ci --only` also takes the parts of `test` by name: test, heavy, doc-tests.";

/// Prints the commands.
///
/// # Errors
/// Never.
pub(crate) fn run() -> Outcome {
    println!("{TEXT}");
    Ok(Verdict::Passed)
}
