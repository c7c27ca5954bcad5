//! Runs the benches: every measurement is a child process of its own, and the cases take turns
//! over several rounds, so that a slow minute of the machine hits all sides. Prints a Markdown
//! report; fails when a gate is broken, an answer is wrong or a case gives none.

mod cases;
mod child;
mod gates;
mod machine;
mod options;
mod report;
mod results;
mod warm;

use std::{env, error::Error, fs, process::ExitCode};

use bench_common::Line;
use cases::{CASES, Case, WORKLOADS};
use child::ChildError;
use gates::{Gate, Verdict};
use machine::Machine;
use options::{Options, USAGE};
use results::{CaseResult, Results};

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.list {
        for case in CASES {
            println!("{}.{} ({})", case.workload, case.name, case.program);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(mib) = options.touch_mib {
        warm::touch(mib);
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs everything and prints the report; says whether all is well.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let gates = Gate::all()?;
    let machine = Machine::look();
    for workload in WORKLOADS.iter().filter(|w| w.reads_file() && options.wants(w.name)) {
        // Writes the input if it is not there yet.
        let items = options.items(workload).to_string();
        child::run("gen-inputs", &[workload.name, &items])?;
    }
    let (results, failures) = measure_all(options);
    let judged: Vec<(Gate, Verdict)> = gates
        .into_iter()
        .filter(|gate| options.wants(gate.workload()))
        .map(|gate| {
            let verdict = gate.judge(&results);
            (gate, verdict)
        })
        .collect();
    println!("{}", report::render(options, &machine, &results, &judged)?);
    if let Some(path) = &options.json {
        fs::write(path, as_json(options, &machine, &results, &judged)?)?;
    }
    let wrong = results.wrong_answers();
    for problem in failures.iter().chain(&wrong) {
        eprintln!("FAILED: {problem}");
    }
    if wrong.is_empty() && failures.is_empty() {
        println!("All sides of each workload gave the same answer.");
    }
    let broken = judged.iter().any(|(_, verdict)| match verdict {
        Verdict::Held(_) => false,
        Verdict::Broken(_) => true,
        Verdict::NotRun(_) => options.strict,
    });
    Ok(wrong.is_empty() && failures.is_empty() && !broken)
}

/// Runs all wanted cases in turns. Each round starts at another case, so that no case always
/// follows the same neighbour at the same age of the run.
fn measure_all(options: &Options) -> (Results, Vec<String>) {
    let wanted = |case: &&Case| {
        let wanted = options.wants(case.workload) && (options.full || !case.only_full);
        let there = !wanted || child::is_there(case);
        if !there {
            println!("skipped: {}.{}, its package is not installed", case.workload, case.name);
        }
        wanted && there
    };
    let new = |case: &Case| CaseResult { case: *case, lines: Vec::new() };
    let mut results = Results(CASES.iter().filter(wanted).map(new).collect());
    let mut failures = Vec::new();
    let count = results.0.len();
    for round in 0..options.rounds {
        eprintln!("round {} of {}, {count} cases", round + 1, options.rounds);
        for turn in 0..count {
            let result = &mut results.0[(turn + round * count / options.rounds) % count];
            match measure(&result.case, options) {
                Ok(line) => result.lines.push(line),
                Err(error) => failures.push(with_causes(&error)),
            }
        }
    }
    (results, failures)
}

fn measure(case: &Case, options: &Options) -> Result<Line, ChildError> {
    let workload = WORKLOADS.iter().find(|workload| workload.name == case.workload);
    let items = workload.map_or(0, |w| options.items(w));
    warm::memory(workload.map_or(0, |w| w.warm_mib))?;
    child::measure(case, items / case.divisor)
}

fn as_json(
    options: &Options,
    machine: &Machine,
    results: &Results,
    judged: &[(Gate, Verdict)],
) -> serde_json::Result<String> {
    let gates = judged.iter().map(|(gate, verdict)| {
        let held = match verdict {
            Verdict::Held(_) => Some(true),
            Verdict::Broken(_) => Some(false),
            Verdict::NotRun(_) => None,
        };
        let verdict = verdict.to_string();
        serde_json::json!({"name": gate.name, "rule": gate.rule, "held": held, "said": verdict})
    });
    let lines: Vec<_> = results.0.iter().flat_map(|result| &result.lines).collect();
    serde_json::to_string_pretty(&serde_json::json!({
        "date": options.date,
        "quick": options.quick,
        "rounds": options.rounds,
        "machine": machine,
        "lines": lines,
        "gates": gates.collect::<Vec<_>>(),
    }))
}

/// An error with its causes, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
