//! Random plans out of everything the builder has, on six engines, against a plain evaluation of the
//! same plans: 10,080 runs in the gate, those of plans that are refused not counted. `FLUX_IO_CASES`
//! asks for half as many runs as it says. `FLUX_IO_DAG=SEED` runs one seed on its engine,
//! `SEED/ENGINE` on another, `FROM..TO` lists the seeds that fail. And as many larger plans in
//! the simulator, each twice, with more panics and errors.
#![cfg(test)]

mod differs;
mod random;

use differs::run::{LIMIT, On, Ran, Wrong, dump, run};
use flux_io_sim::{Fault, SimStats, simulate};
use flux_io_testkit::dag::{Dag, Expect, Menu};
use random::simulated::{drawn, faults};
use std::time::Duration;

/// Runs of the whole gate.
const RUNS: u64 = 10_080;
/// Parts of it, each a test of its own: they run side by side.
const PARTS: u64 = 4;
/// Plans drawn for one run, at most: the planner refuses one in ten, since it would mispair rows.
const DRAWN: u64 = 12;
/// From the seed of a plan to that of the one drawn in its place.
const FURTHER: u64 = 1_000_000;
/// Plans that making a failure short may try.
const SHRINK: usize = 150;
/// How long a plan that may hang runs meanwhile.
const SHORT: Duration = Duration::from_secs(2);

fn runs() -> u64 {
    let cases = std::env::var("FLUX_IO_CASES").ok().and_then(|n| n.parse::<u64>().ok());
    cases.map_or(RUNS, |n| RUNS.max(n / 2))
}

/// The plan of a seed, what it must give, and where it runs.
fn of_seed(seed: u64) -> (Dag, Expect, On) {
    let dag = Dag::draw(seed, Menu::default());
    let want = dag.expect().unwrap_or_else(|e| panic!("seed {seed}: {e:?}\n{dag}"));
    (dag, want, On::ALL[(seed % 6) as usize])
}

/// The smallest plan found that is wrong in the same way.
fn shrunk(on: On, dag: &Dag, wrong: &Wrong) -> (Dag, Wrong) {
    let (mut dag, mut wrong) = (dag.clone(), wrong.clone());
    let mut left = SHRINK;
    'again: loop {
        for smaller in dag.smaller() {
            let Ok(want) = smaller.expect() else { continue };
            if left == 0 {
                return (dag, wrong);
            }
            left -= 1;
            match run(on, &smaller, &want, SHORT) {
                Err(w) if w.hangs() == wrong.hangs() => {
                    (dag, wrong) = (smaller, w);
                    continue 'again;
                }
                _ => {}
            }
        }
        return (dag, wrong);
    }
}

/// Runs one seed; a failure is told with its plan and a smaller one.
fn seed(seed: u64) -> Result<Ran, String> {
    let (dag, want, on) = of_seed(seed);
    one(seed, on, &dag, &want)
}

fn one(seed: u64, on: On, dag: &Dag, want: &Expect) -> Result<Ran, String> {
    let wrong = match run(on, dag, want, LIMIT) {
        Ok(ran) => return Ok(ran),
        Err(wrong) => wrong,
    };
    let (small, less) = shrunk(on, dag, &wrong);
    let waits = match &less {
        Wrong::Hangs(_) if on != On::Sim => dump(on, &small),
        _ => String::new(),
    };
    Err(format!(
        "seed {seed} on {on:?}: {wrong}\n{dag}\n\nsmaller: {less}\n{small}\n{waits}\n\
         see it again with FLUX_IO_DAG={seed}/{on:?}"
    ))
}

fn part(which: u64) {
    if let Ok(asked) = std::env::var("FLUX_IO_DAG") {
        if which == 0 {
            asked_for(&asked);
        }
        return;
    }
    let each = runs() / PARTS;
    for s in which * each..(which + 1) * each {
        // A plan that is refused is no run: another one is drawn in its place.
        let mut drawn = (0..DRAWN).map(|k| seed(s + k * FURTHER));
        let ran = drawn.find(|ran| !matches!(ran, Ok(Ran::Refused)));
        match ran {
            Some(Ok(_)) => {}
            Some(Err(e)) => panic!("{e}"),
            None => panic!("{DRAWN} plans in a row were refused from seed {s} on"),
        }
    }
}

/// One seed, or a range of them, for whoever looks for a fault.
fn asked_for(what: &str) {
    if let Some((from, to)) = what.split_once("..") {
        let end = |n: &str| n.parse::<u64>().expect("a range of seeds is FROM..TO");
        return survey(end(from), end(to));
    }
    let (number, engine) = what.split_once('/').unwrap_or((what, ""));
    let number: u64 = number.parse().expect("FLUX_IO_DAG is a number");
    let (dag, want, own) = of_seed(number);
    let named = On::ALL.into_iter().find(|on| format!("{on:?}").eq_ignore_ascii_case(engine));
    println!("{dag}");
    let ran = one(number, named.unwrap_or(own), &dag, &want).unwrap_or_else(|e| panic!("{e}"));
    println!("{ran:?}");
}

/// Lists the seeds of a range that fail, each with what is wrong.
fn survey(from: u64, to: u64) {
    let mut failed = 0;
    for s in from..to {
        let (dag, want, on) = of_seed(s);
        if let Err(wrong) = run(on, &dag, &want, SHORT) {
            failed += 1;
            println!("seed {s} on {on:?}: {}", wrong.line());
            if std::env::var_os("FLUX_IO_DAG_SMALLER").is_some() {
                println!("{}\n", shrunk(on, &dag, &wrong).0);
            }
        }
    }
    assert_eq!(failed, 0, "seeds of {from}..{to} failed");
}

#[test]
fn plans_0() {
    part(0);
}

#[test]
fn plans_1() {
    part(1);
}

#[test]
fn plans_2() {
    part(2);
}

#[test]
fn plans_3() {
    part(3);
}

/// Rows of a source of them, at most.
const ROWS: u32 = 300;

fn simulated(which: u64) {
    let each = runs() / 2;
    let one = |seed: u64| {
        let simulation = simulate(|swarm| drawn(swarm, ROWS)).faults(faults()).from(seed).seeds(1);
        simulation.try_check(|run, oracle| oracle(run)).unwrap_or_else(|f| panic!("{f}"))
    };
    let mut stats = SimStats::default();
    for seed in which * each..(which + 1) * each {
        let first = one(seed);
        assert_eq!(first.digest(), one(seed).digest(), "{seed:#x} differs when it is run again");
        stats.merge(&first);
    }
    println!("{stats}");
    for f in [Fault::TransientFill, Fault::TransientWrite, Fault::PartialWrite, Fault::Barrier] {
        assert!(stats.seeds_with(f) >= each / 100, "{} too seldom\n{stats}", f.as_str());
    }
}

#[test]
fn simulated_0() {
    simulated(0);
}

#[test]
fn simulated_1() {
    simulated(1);
}
