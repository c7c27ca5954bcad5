//! Whether the simulator would see a fault of the protocol: in a build with `--cfg flux_io_mutants`
//! (`cargo xtask mutants`) each known fault is switched on in turn, and must be found within 2,000
//! seeds of the portfolio. In every other build there is no such fault.
#![cfg(test)]

#[cfg(flux_io_mutants)]
mod random;
#[cfg(flux_io_mutants)]
mod sim;

/// The code that ships has none of the known faults: the macro that would switch one on is the
/// word `false`, known to the compiler.
#[cfg(not(flux_io_mutants))]
#[test]
fn a_plain_build_has_no_known_fault() {
    const ON: bool = flux_io::core::mutant!(NoSuchFault);
    const { assert!(!ON) };
}

#[cfg(flux_io_mutants)]
mod table {
    use crate::sim::random::SCENARIO as RANDOM;
    use crate::sim::{Scenario, Size, of_seed};
    use flux_io::core::mutant::Mutant;
    use flux_io_sim::Failure;

    /// Seeds within which each fault must be found.
    const MOST: u64 = 2_000;
    /// Parts of the table, each a test of its own: they run side by side.
    const PARTS: usize = 4;

    fn kill(mutant: Mutant) -> Option<(u64, &'static str, Box<Failure>)> {
        Mutant::set(Some(mutant));
        let found = (0..MOST).find_map(|seed| {
            let run = |s: Scenario| s.run(seed, 1, Size(20, 300), 0).err();
            let found = |s: Scenario| run(s).map(|f| (seed + 1, s.name, f));
            found(of_seed(seed)).or_else(|| found(RANDOM))
        });
        Mutant::set(None);
        found
    }

    fn part(which: usize) {
        let mut alive = Vec::new();
        for mutant in Mutant::ALL.iter().copied().skip(which).step_by(PARTS) {
            let name = format!("{mutant:?}");
            match kill(mutant) {
                Some((seeds, scenario, f)) => {
                    let says = f.message.lines().next().unwrap_or_default();
                    let says: String = says.chars().take(110).collect();
                    println!("| {name} | {seeds} | {scenario} | {:?} | {says} |", f.kind);
                }
                None => {
                    println!("| {name} | LIVES | | | {} |", mutant.what());
                    alive.push(name);
                }
            }
        }
        assert!(alive.is_empty(), "the oracle does not see {alive:?}");
    }

    /// For whoever switches them on by name.
    #[test]
    fn names() {
        Mutant::ALL.iter().for_each(|m| println!("mutant {m:?}"));
    }

    #[test]
    fn known_faults_are_found_0() {
        part(0);
    }

    #[test]
    fn known_faults_are_found_1() {
        part(1);
    }

    #[test]
    fn known_faults_are_found_2() {
        part(2);
    }

    #[test]
    fn known_faults_are_found_3() {
        part(3);
    }
}

/// The watchdog sees the faults of which a run stands still, one of them though every queue is empty
/// and everybody waits for rows; nothing else ends such a run.
#[cfg(flux_io_mutants)]
mod watched {
    use flux_io::core::mutant::Mutant;
    use flux_io::core::{ErrorKind, OnStuck, Watchdog, WhenFull};
    use flux_io::flow::{Flow, Hold, InOrder, Join, JoinStrategy, Pipeline, Raw, Runnable, effect};
    use flux_io::prelude::*;
    use std::time::Duration;

    /// Runs on the sync engine, whose time is virtual and whose thread is this one.
    fn stands_still(mutant: Mutant, flow: impl Runnable<'static>) {
        let dog = Watchdog::new(Duration::from_secs(1), 4).then(OnStuck::FailWhenOver);
        let options = RunOptions::default().batch(8).workers(2).watchdog(dog);
        Mutant::set(Some(mutant));
        let ended = engine::Sync::new().with(options).run(flow);
        Mutant::set(None);
        let Err(RunError::Failed { failure, report }) = ended else {
            panic!("{mutant:?} is not seen: {ended:?}")
        };
        assert_eq!(failure.error.kind, ErrorKind::Stuck, "{failure:?}");
        assert!(report.stuck.is_some_and(|s| s.is_over()));
    }

    #[test]
    fn an_end_that_is_overlooked_is_seen() {
        let p = Pipeline::new();
        let call = |x: &u64| {
            let x = *x;
            effect::of(move |env: effect::Env| async move {
                env.sleep(Duration::from_micros(500)).await;
                Ok::<u64, RowError>(x)
            })
        };
        let merged =
            p.source("a", source::iter(0..20_u64)).merge("m", p.source("b", source::iter(20..40)));
        stands_still(Mutant::EndOverlooked, merged.async_map("calls", 8, call).discard("out"));
    }

    #[test]
    fn a_join_that_waits_for_an_input_that_has_ended_is_seen() {
        let p = Pipeline::new();
        let few = p.source("few", source::iter(0..10_u64));
        let many = p.source("many", source::iter(1_000..3_000_u64));
        let join = Join::by_id(|x: &u64| *x, JoinStrategy::AllComplete).hold(Hold::rows(16));
        stands_still(Mutant::EndedInputAwaited, few.join("j", many, join).discard("out"));
    }

    /// The flows behind a broadcast: all rows, and none.
    fn all_and_none() -> [Flow<'static, Vec<u64>, Raw>; 2] {
        let p = Pipeline::new().default_buffer(2, WhenFull::Block);
        let mut flows = p.source("in", source::iter(0..2_000_u64)).broadcast("both", 2);
        let none = flows.remove(1).map_rows("own", |x: &u64| *x).filter("none", |_| false);
        [flows.remove(0).map_rows("all", |x: &u64| *x).closed(), none.closed()]
    }

    #[test]
    fn a_join_of_branches_that_drop_rows_in_silence_is_seen() {
        let [all, none] = all_and_none();
        let join = Join::by_seq(JoinStrategy::AllComplete).hold(Hold::rows(16));
        stands_still(Mutant::PassedNotTold, all.join("j", none, join).discard("out"));
        let [all, none] = all_and_none();
        let how = InOrder::within(Hold::rows(16));
        // Without a gap nothing waits: the rows that come have odd numbers.
        let all = all.filter("odd", |x| x % 2 == 1);
        stands_still(Mutant::PassedNotTold, all.merge_by_seq("m", none, how).discard("out"));
    }
}
