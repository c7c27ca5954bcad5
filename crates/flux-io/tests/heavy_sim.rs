//! The portfolio of pipelines at the size of a gate: at least 100,000 seeds, each run twice, half of
//! the second runs in another process; and 1,000 seeds of 10,000 rows. `FLUX_IO_CASES` asks for five
//! times as many seeds as it says.
#![cfg(test)]

mod sim;

use flux_io_sim::{Fault, SimStats};
use sim::{Size, of_seed};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Seeds of the whole gate.
const SEEDS: u64 = 100_000;
/// Parts of it, each a test of its own: they run side by side.
const PARTS: u64 = 2;
/// Seeds whose runs are compared at once.
const CHUNK: u64 = 250;
/// Rows of a run.
const ROWS: Size = Size(20, 300);
/// Seeds of the whole in which each kind of fault must take effect.
const LEAST: u64 = 1_000;
/// Tells the other process its seeds.
const CHILD: &str = "FLUX_IO_SIM_CHILD";

fn seeds() -> u64 {
    let cases = std::env::var("FLUX_IO_CASES").ok().and_then(|n| n.parse::<u64>().ok());
    cases.map_or(SEEDS, |n| SEEDS.max(n * 5))
}

/// Runs seeds `from..to`; the first failure fails the test, with what is needed to see it again.
fn run(from: u64, to: u64, size: Size) -> SimStats {
    let mut stats = SimStats::default();
    for seed in from..to {
        match of_seed(seed).run(seed, 1, size, 500) {
            Ok(s) => stats.merge(&s),
            Err(f) => panic!("seed {seed:#x} runs `{}`\n{f}", of_seed(seed).name),
        }
    }
    stats
}

/// Every second chunk of a part is run again by a process of its own.
fn other_process(part: u64) -> std::process::Child {
    let own = std::env::current_exe().expect("this program has a path");
    Command::new(own)
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(CHILD, part.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts")
}

fn chunks(part: u64) -> impl Iterator<Item = (u64, u64)> {
    let each = seeds() / PARTS;
    let from = part * each;
    (0..each / CHUNK).map(move |i| (i, from + i * CHUNK))
}

/// Not a test of its own: what [`other_process`] starts. Prints a digest of each chunk.
#[test]
fn the_other_process() {
    let Some(part) = std::env::var(CHILD).ok().and_then(|p| p.parse::<u64>().ok()) else { return };
    for (_, from) in chunks(part).filter(|c| c.0 % 2 == 1) {
        println!("digest {from} {}", run(from, from + CHUNK, ROWS).digest());
    }
}

#[expect(clippy::disallowed_methods, reason = "a rate of a real machine is printed")]
fn part(which: u64) {
    let start = Instant::now();
    let child = other_process(which);
    let (mut all, mut digests) = (SimStats::default(), BTreeMap::new());
    for (i, from) in chunks(which) {
        let stats = run(from, from + CHUNK, ROWS);
        digests.insert(from, stats.digest());
        all.merge(&stats);
        if i % 2 == 0 {
            let again = run(from, from + CHUNK, ROWS).digest();
            assert_eq!(again, stats.digest(), "seeds {from}.. differ when they are run again");
        }
    }
    let said = child.wait_with_output().expect("the other process ends");
    assert!(said.status.success(), "the other process failed");
    let said = String::from_utf8_lossy(&said.stdout);
    let mut compared = 0;
    for line in said.lines().filter_map(|l| l.split("digest ").nth(1)) {
        let mut words = line.split(' ').filter_map(|w| w.parse::<u64>().ok());
        let (Some(from), Some(digest)) = (words.next(), words.next()) else { continue };
        assert_eq!(digests.get(&from), Some(&digest), "seeds {from}.. differ in another process");
        compared += 1;
    }
    assert_eq!(compared, chunks(which).filter(|c| c.0 % 2 == 1).count());
    let took = start.elapsed().as_secs_f64();
    println!("{:.0} seeds a second, each run twice\n{all}", all.runs as f64 / took);
    assert!(all.distinct() * 100 >= all.runs * 99, "{all}");
    assert!(all.items >= 100 * all.runs, "{all}");
    for f in Fault::ALL {
        assert!(all.seeds_with(*f) >= LEAST / PARTS, "{} too seldom\n{all}", f.as_str());
    }
}

/// Row 274.
#[test]
fn gate_0() {
    part(0);
}

/// Row 274.
#[test]
fn gate_1() {
    part(1);
}

fn long(from: u64) {
    let stats = run(from, from + 500, Size(10_000, 10_000));
    println!("{stats}");
    assert!(stats.items >= 8_500 * stats.runs, "{stats}");
}

/// Long runs: 10,000 rows each.
#[test]
fn long_0() {
    long(1 << 40);
}

/// Long runs: 10,000 rows each.
#[test]
fn long_1() {
    long(1 << 41);
}
