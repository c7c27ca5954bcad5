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
    use crate::sim::{Size, of_seed};
    use flux_io::core::mutant::Mutant;
    use flux_io_sim::Failure;

    /// Seeds within which each fault must be found.
    const MOST: u64 = 2_000;
    /// Parts of the table, each a test of its own: they run side by side.
    const PARTS: usize = 4;

    fn kill(mutant: Mutant) -> Option<(u64, Box<Failure>)> {
        Mutant::set(Some(mutant));
        let found = (0..MOST).find_map(|seed| {
            of_seed(seed).run(seed, 1, Size(20, 300), 0).err().map(|f| (seed + 1, f))
        });
        Mutant::set(None);
        found
    }

    fn part(which: usize) {
        let mut alive = Vec::new();
        for mutant in Mutant::ALL.iter().copied().skip(which).step_by(PARTS) {
            let name = format!("{mutant:?}");
            match kill(mutant) {
                Some((seeds, f)) => {
                    let says = f.message.lines().next().unwrap_or_default();
                    let says: String = says.chars().take(110).collect();
                    let scenario = of_seed(seeds - 1).name;
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
