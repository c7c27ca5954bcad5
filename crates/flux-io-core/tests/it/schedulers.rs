//! Priority tiers, asked by hand.

use flux_io_core::{Scheduler, TaskView, Tiers};

fn view(name: &str, stages: &[&str]) -> TaskView {
    TaskView { name: name.into(), stages: stages.iter().map(|s| (*s).into()).collect() }
}

fn begun(mut t: Tiers) -> Tiers {
    t.begin(&[view("a#0", &["a", "b"]), view("c#0", &["c"]), view("d#0", &["d", "e"])]);
    t
}

/// Row 212. The lowest tier first, whatever the engine's order; the engine's order among equals; a
/// task is as urgent as the most urgent of its stages.
#[test]
fn the_lowest_tier_goes_first() {
    let mut t = begun(Tiers::new().tier("c", 200).tier("b", 3).tier("e", 3).tier("a", 250));
    assert_eq!(t.pick(&[1, 0, 2]), 1);
    assert_eq!(t.pick(&[1, 2, 0]), 1);
    assert_eq!(t.pick(&[1]), 0);
    let mut t = begun(Tiers::new().tier("e", Tiers::MIDDLE + 1));
    assert_eq!((t.pick(&[2, 1]), t.pick(&[2, 0]), t.pick(&[7, 2])), (1, 1, 0));
}

/// Row 212. Nobody waits for ever: a task is passed over so often and no more.
#[test]
fn nobody_is_passed_over_for_ever() {
    let mut t = begun(Tiers::new().tier("c", 0).patience(3));
    let picks: Vec<usize> = (0..9).map(|_| [0, 1][t.pick(&[0, 1])]).collect();
    assert_eq!(picks, [1, 1, 1, 0, 1, 1, 1, 0, 1]);
    let mut t = begun(Tiers::new().tier("c", 0).patience(0));
    let picks: Vec<usize> = (0..4).map(|_| [0, 1][t.pick(&[0, 1])]).collect();
    assert!(picks.contains(&0), "{picks:?}");
}
