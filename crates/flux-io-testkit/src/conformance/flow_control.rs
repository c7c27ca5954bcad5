//! Laws of a [`FlowControl`] policy.

use flux_io_core::{Admission, Cost, Draws, FlowControl, Moment};
use std::collections::VecDeque;
use std::time::Duration;

/// Checks the laws of a policy. `make` makes one in its first state; `costs` are costs of batches
/// as they may come, among them some above any limit of the policy.
pub fn laws(make: impl Fn() -> Box<dyn FlowControl>, costs: &[Cost]) {
    assert!(!costs.is_empty(), "give some costs");
    costs_are_conserved(&make, costs);
    b040_nothing_waits_for_itself(&make, costs);
    b042_a_wait_ends(&make, costs);
}

/// What is admitted and not returned, plus the balance, is constant, where the policy keeps a
/// balance that time does not fill.
pub fn costs_are_conserved(make: &impl Fn() -> Box<dyn FlowControl>, costs: &[Cost]) {
    let (mut policy, mut draws, now) = (make(), Draws(1), Moment(1));
    let Some(first) = policy.balance() else { return };
    let mut out: VecDeque<Cost> = VecDeque::new();
    for _ in 0..2_000 {
        if draws.below(2) == 0 {
            let cost = costs[draws.below(costs.len() as u32) as usize];
            if policy.admit(cost, now) == Admission::Admit {
                out.push_back(cost);
            }
        } else if let Some(cost) = out.pop_front() {
            policy.release(cost, now);
        }
    }
    while let Some(cost) = out.pop_front() {
        policy.release(cost, now);
    }
    assert_eq!(policy.balance(), Some(first), "all returned, at one moment");
}

/// B40: with nothing outstanding no batch is told to wait for others, however big it is.
pub fn b040_nothing_waits_for_itself(make: &impl Fn() -> Box<dyn FlowControl>, costs: &[Cost]) {
    let (mut policy, mut draws) = (make(), Draws(2));
    let mut now = Moment(1);
    for _ in 0..500 {
        let cost = costs[draws.below(costs.len() as u32) as usize];
        let mut polls = 0;
        loop {
            match policy.admit(cost, now) {
                Admission::Admit => {
                    policy.release(cost, now);
                    break;
                }
                Admission::Shed => break,
                Admission::WaitUntil(at) => {
                    assert!(at > now, "a moment that has passed is no wait");
                    now = at;
                }
                Admission::Wait => {
                    super::broken(&format!("{cost:?} waits with nothing outstanding"))
                }
            }
            polls += 1;
            assert!(polls < 100, "{cost:?} is put off for ever");
        }
    }
}

/// B42: whoever waits is admitted or shed in the end, when what is out returns and time passes.
pub fn b042_a_wait_ends(make: &impl Fn() -> Box<dyn FlowControl>, costs: &[Cost]) {
    for seed in 0..20 {
        let (mut policy, mut draws) = (make(), Draws(seed));
        let mut now = Moment(1);
        let mut out: VecDeque<Cost> = VecDeque::new();
        for _ in 0..200 {
            let cost = costs[draws.below(costs.len() as u32) as usize];
            for polls in 0.. {
                assert!(polls < 10_000, "{cost:?} is put off for ever");
                match policy.admit(cost, now) {
                    Admission::Admit => {
                        out.push_back(cost);
                        break;
                    }
                    Admission::Shed => break,
                    Admission::WaitUntil(at) => now = now.max(at),
                    Admission::Wait => match out.pop_front() {
                        Some(returned) => policy.release(returned, now),
                        None => super::broken("a wait with nothing outstanding"),
                    },
                }
            }
            now = now.plus(Duration::from_micros(u64::from(draws.below(50))));
        }
    }
}
