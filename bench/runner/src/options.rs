//! The runner's command line.

use std::path::PathBuf;

use crate::cases::{WORKLOADS, Workload};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Fewer items and three rounds: shows that all works, says little about speed.
    pub(crate) quick: bool,
    /// Also the cases that no gate needs.
    pub(crate) full: bool,
    /// Workloads to run; empty means all.
    pub(crate) only: Vec<String>,
    /// How often each case runs.
    pub(crate) rounds: usize,
    /// Where all measurements go as JSON.
    pub(crate) json: Option<PathBuf>,
    /// Printed as the day of the run.
    pub(crate) date: Option<String>,
    /// A gate whose cases did not run fails.
    pub(crate) strict: bool,
    /// Touch this much memory, in MiB, and leave; the runner calls itself so before cases.
    pub(crate) touch_mib: Option<usize>,
    /// Print the cases and leave.
    pub(crate) list: bool,
}

/// How to call the runner.
pub(crate) const USAGE: &str = "\
usage: bench [--quick] [--full] [--only w1,w5] [--rounds N] [--json FILE] [--date DATE]
             [--strict] [--list]
exit code: 0 all well, 1 a gate, a checksum or a case failed, 2 wrong usage";

impl Options {
    /// Reads the arguments after the program's name; `Err` says what is wrong with them.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let mut rounds = None;
        let mut this = Self {
            quick: false,
            full: false,
            only: Vec::new(),
            rounds: 0,
            json: None,
            date: None,
            strict: false,
            touch_mib: None,
            list: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => this.quick = true,
                "--full" => this.full = true,
                "--strict" => this.strict = true,
                "--list" => this.list = true,
                "--only" => this.only = parse_only(&value()?)?,
                "--touch-mib" => this.touch_mib = Some(parse_count("--touch-mib", &value()?)?),
                "--rounds" => rounds = Some(parse_count("--rounds", &value()?)?),
                "--json" => this.json = Some(PathBuf::from(value()?)),
                "--date" => this.date = Some(value()?),
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        this.rounds = rounds.unwrap_or(if this.quick { 3 } else { 5 });
        Ok(this)
    }

    /// Items of a workload in this run.
    pub(crate) const fn items(&self, workload: &Workload) -> u64 {
        if self.quick { workload.quick_items } else { workload.items }
    }

    /// Whether a workload is to run.
    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload)
    }
}

fn parse_only(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| WORKLOADS.iter().all(|w| w.name != name.as_str())) {
        Some(name) => Err(format!("no workload {name}; there are {:?}", WORKLOADS.map(|w| w.name))),
        None => Ok(names),
    }
}

fn parse_count(flag: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("{flag} wants a number above 0, not {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn rounds_follow_quick_unless_given() {
        assert_eq!(parse("").unwrap().rounds, 5);
        assert_eq!(parse("--quick").unwrap().rounds, 3);
        assert_eq!(parse("--rounds 7 --quick").unwrap().rounds, 7);
        assert!(parse("--rounds 0").is_err());
    }

    #[test]
    fn only_names_workloads_that_exist() {
        let options = parse("--only w1,w5").unwrap();
        assert!(options.wants("w5") && !options.wants("w2"));
        assert!(parse("").unwrap().wants("w2"));
        assert_eq!(parse("--only w1,w99").unwrap_err().split(';').next(), Some("no workload w99"));
        assert!(parse("--only").is_err());
        assert!(parse("--fast").is_err());
    }
}
