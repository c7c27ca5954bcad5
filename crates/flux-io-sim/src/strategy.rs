//! How the next thing to run is drawn while a seed explores. A replay needs none of this: it takes
//! what was recorded.

use flux_io_core::Draws;

/// A way to draw schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Everything that can run is as likely as everything else.
    Uniform,
    /// Random priorities that change at `depth - 1` random steps: finds a bug that needs `depth`
    /// ordering constraints with a stated probability.
    ///
    /// Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with
    /// probabilistic guarantees of finding bugs", ASPLOS 2010.
    Pct {
        /// Ordering constraints of the bugs looked for; at least 1.
        depth: u32,
    },
    /// Stays with what ran last for a random while: few, long turns.
    Sticky,
    /// Everything in turn; draws nothing.
    RoundRobin,
}

impl Strategy {
    /// The strategy of a seed when the user names none: six in ten uniform, three PCT (with depth
    /// 2, 3 and 5), one sticky.
    #[must_use]
    pub const fn of_seed(seed: u64) -> Self {
        match seed % 10 {
            0..=5 => Self::Uniform,
            6 => Self::Pct { depth: 2 },
            7 => Self::Pct { depth: 3 },
            8 => Self::Pct { depth: 5 },
            _ => Self::Sticky,
        }
    }
}

/// Something that can run in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ready<'a> {
    /// A task that was woken, by the name of its first stage and its instance. A poll goes on until
    /// the task waits, so it may receive and send several batches.
    Task(&'a str),
    /// One of the blocking jobs that wait.
    Job,
    /// A timer whose moment has come.
    Timer,
}

/// Chooses what runs next in a simulated run.
pub trait ScheduleController {
    /// Which of `ready` (at least two, the next in turn first) runs. What is out of range is taken
    /// for the last.
    fn choose(&mut self, ready: &[Ready<'_>]) -> usize;
}

impl<F: FnMut(&[Ready<'_>]) -> usize> ScheduleController for F {
    fn choose(&mut self, ready: &[Ready<'_>]) -> usize {
        self(ready)
    }
}

/// A strategy at work. Things that can run are named by small numbers that stay the same.
#[derive(Debug)]
pub(crate) struct Scheduler {
    strategy: Strategy,
    draws: Draws,
    /// Greatest first. Indexed by thing.
    priority: Vec<u64>,
    /// Steps at which the running thing falls behind all others, descending.
    changes: Vec<u64>,
    step: u64,
    last: Option<usize>,
    lowest: u64,
}

impl Scheduler {
    pub(crate) fn new(strategy: Strategy, seed: u64) -> Self {
        let mut draws = Draws(seed ^ 0x5CED_0135_CED0_1357);
        let mut changes = Vec::new();
        if let Strategy::Pct { depth } = strategy {
            // The number of steps of a run is not known before: any scale from 16 to 4,096.
            let scale = 16 << draws.below(9);
            changes = (1..depth.max(1)).map(|_| u64::from(draws.below(scale))).collect();
            changes.sort_unstable_by(|a, b| b.cmp(a));
        }
        let priority = Vec::new();
        Self { strategy, draws, priority, changes, step: 0, last: None, lowest: u64::MAX / 2 }
    }

    /// Which of `things` (at least one; the fair one first) runs.
    pub(crate) fn pick(&mut self, things: &[usize]) -> u32 {
        self.step += 1;
        let n = things.len() as u32;
        let at = match self.strategy {
            Strategy::RoundRobin => 0,
            Strategy::Uniform => self.draws.below(n),
            Strategy::Sticky => match things.iter().position(|t| Some(*t) == self.last) {
                Some(i) if self.draws.below(8) > 0 => i as u32,
                _ => self.draws.below(n),
            },
            Strategy::Pct { .. } => {
                while self.changes.last().is_some_and(|s| *s <= self.step) {
                    self.changes.pop();
                    if let Some(t) = self.last {
                        self.demote(t);
                    }
                }
                self.highest(things)
            }
        };
        self.last = things.get(at as usize).copied();
        at
    }

    /// `thing` gave way of its own accord without waiting: nothing may starve behind it.
    pub(crate) fn yielded(&mut self, thing: usize) {
        if matches!(self.strategy, Strategy::Pct { .. }) {
            self.demote(thing);
        }
    }

    fn demote(&mut self, thing: usize) {
        self.lowest -= 1;
        let lowest = self.lowest;
        *self.of(thing) = lowest;
    }

    fn of(&mut self, thing: usize) -> &mut u64 {
        while self.priority.len() <= thing {
            let p = u64::MAX / 2 + u64::from(self.draws.next_u32());
            self.priority.push(p);
        }
        &mut self.priority[thing]
    }

    fn highest(&mut self, things: &[usize]) -> u32 {
        let mut best = (0, 0);
        for (i, &t) in things.iter().enumerate() {
            let p = *self.of(t);
            if i == 0 || p > best.1 {
                best = (i, p);
            }
        }
        best.0 as u32
    }
}
