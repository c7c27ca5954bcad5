//! Every schedule of a small pipeline, up to a number of preemptions, instead of drawn ones.
//!
//! The tree of choices is walked depth first: each run follows a prefix and then never preempts;
//! the next run changes the last choice that has an untried way. States that were reached before
//! are left: the state is known by the hash of what happened in each task and queue, in the order
//! of causes. Two polls of tasks that share no queue commute, so both orders give one state.
//!
//! Sources: Musuvathi and Qadeer, "Iterative context bounding for systematic testing of
//! multithreaded programs", PLDI 2007 (the bound); Musuvathi et al., "Finding and reproducing
//! Heisenbugs in concurrent programs", OSDI 2008 (hashing causes instead of memory).

use crate::choice::{Choice, Kind};
use std::collections::BTreeMap;

/// How far an exhaustive simulation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhaustive {
    /// Times that a task which could go on is set aside for another, at most, in one run. Giving
    /// way to others after a wait or a yield is free.
    pub preemptions: u32,
    /// Runs at most; [`crate::SimStats::complete`] says whether they were enough.
    pub runs: u64,
    /// Whether to leave states that were reached before. Right only if the tasks of the plan share
    /// nothing but its edges (a sink of its own for each task is fine).
    pub hashing: bool,
}

impl Default for Exhaustive {
    fn default() -> Self {
        Self { preemptions: 2, runs: 100_000, hashing: true }
    }
}

/// What one choice of a run means for the walk.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// The way that goes on with what ran last, which is tried first.
    stays: Option<u32>,
    /// Preemptions before this choice.
    used: u32,
}

/// The walk: what comes next, and which states were there.
#[derive(Debug)]
pub(crate) struct Explorer {
    limits: Exhaustive,
    prefix: Vec<u32>,
    /// Least preemptions with which a state was reached.
    states: BTreeMap<u64, u32>,
    turns: BTreeMap<usize, Turn>,
    tasks: Vec<u64>,
    /// By queue; and for each task the queues it touches.
    queues: Vec<u64>,
    touches: Vec<Vec<usize>>,
    used: u32,
    pub(crate) left: u64,
}

fn mix(a: u64, b: u64) -> u64 {
    let x = u128::from(a ^ 0x5851_F42D_4C95_7F2D) * 0x9E37_79B9_7F4A_7C15;
    let y = u128::from(x as u64 ^ (x >> 64) as u64 ^ b) * 0xD6E8_FEB8_6659_FD93;
    y as u64 ^ (y >> 64) as u64
}

impl Explorer {
    pub(crate) const fn new(limits: Exhaustive) -> Self {
        Self {
            limits,
            prefix: Vec::new(),
            states: BTreeMap::new(),
            turns: BTreeMap::new(),
            tasks: Vec::new(),
            queues: Vec::new(),
            touches: Vec::new(),
            used: 0,
            left: 0,
        }
    }

    pub(crate) fn prefix(&self) -> Vec<u32> {
        self.prefix.clone()
    }

    /// A run begins: for each task, the queues that it touches.
    pub(crate) fn begin(&mut self, touches: Vec<Vec<usize>>, queues: usize) {
        self.turns.clear();
        self.tasks = (0..touches.len() as u64).map(|t| mix(7, t)).collect();
        self.queues = vec![11; queues];
        self.touches = touches;
        self.used = 0;
    }

    /// A choice of what runs next is about to be made, as number `at` of the run. `false` = the
    /// state was reached before with no more preemptions: the run may end.
    pub(crate) fn turn(&mut self, at: usize, stays: Option<u32>, last: usize, now: u64) -> bool {
        self.turns.insert(at, Turn { stays, used: self.used });
        if !self.limits.hashing || at < self.prefix.len() {
            return true;
        }
        let mut key = mix(now, last as u64);
        for h in self.tasks.iter().chain(&self.queues) {
            key = mix(key, *h);
        }
        match self.states.get(&key) {
            Some(least) if *least <= self.used => {
                self.left += 1;
                false
            }
            _ => {
                self.states.insert(key, self.used);
                true
            }
        }
    }

    pub(crate) fn chose(&mut self, stays: Option<u32>, taken: u32) {
        self.used += u32::from(stays.is_some_and(|s| s != taken));
    }

    /// Task `t` was polled, and drew `made`.
    pub(crate) fn polled(&mut self, t: usize, made: &[Choice]) {
        let Some(touched) = self.touches.get(t) else { return };
        let mut h = mix(t as u64, self.tasks[t]);
        for q in touched {
            h = mix(h, self.queues[*q]);
        }
        for c in made {
            h = mix(h, u64::from(c.taken) << 8 | c.kind as u64);
        }
        self.tasks[t] = h;
        for q in touched {
            self.queues[*q] = h;
        }
    }

    /// Something ran that may touch every task: a timer, a blocking job.
    pub(crate) fn touched_all(&mut self, what: u64) {
        let all = self.tasks.iter().fold(what, |h, t| mix(h, *t));
        self.tasks.iter_mut().for_each(|t| *t = mix(all, *t));
    }

    /// The run is over: goes to the next branch; `false` when there is none.
    pub(crate) fn advance(&mut self, made: &[Choice]) -> bool {
        let open = |c: &Choice| matches!(c.kind, Kind::Next | Kind::TimerTie);
        for (i, c) in made.iter().enumerate().rev().filter(|x| open(x.1)) {
            let turn = self.turns.get(&i).copied().unwrap_or_default();
            let next = match turn.stays {
                // The way that stays was the first; the others cost a preemption.
                Some(_) if turn.used >= self.limits.preemptions => None,
                Some(s) if c.taken == s => (0..c.of).find(|x| *x != s),
                Some(s) => (c.taken + 1..c.of).find(|x| *x != s),
                None => (c.taken + 1 < c.of).then_some(c.taken + 1),
            };
            if let Some(x) = next {
                self.prefix = made[..i].iter().map(|c| c.taken).collect();
                self.prefix.push(x);
                return true;
            }
        }
        false
    }
}
