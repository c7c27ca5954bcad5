//! What a watchdog sees at one look, and what follows from it: who can go on by itself, who waits
//! for whom, and whose time waits.

use crate::edge::QueueView;
use crate::time::Moment;
use crate::wait_for::WaitFor;
use crate::watchdog::{Doing, Stuck, StuckTask};
use std::time::Duration;

/// A task at one look.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) stages: Vec<String>,
    pub(super) doing: Doing,
    /// The moment it waits for at the longest.
    pub(super) until: Option<Moment>,
    /// It pauses until a moment that is known, to come and not put off.
    pub(super) paused: bool,
    /// Which of its first 64 input edges hold its time back.
    pub(super) held: u64,
}

/// A queue with the places of its two tasks.
struct Between {
    view: QueueView,
    from: Option<usize>,
    to: Option<usize>,
}

/// All tasks and queues at one look.
pub(super) struct Scene {
    tasks: Vec<Seen>,
    queues: Vec<Between>,
}

/// Where the edges of dead letters begin: by the place of the task, which has no name there.
pub(in super::super) const FAILED_ROWS: &str = "(failed rows)";

impl Scene {
    pub(super) fn new(tasks: Vec<Seen>, queues: Vec<QueueView>) -> Self {
        let owner = |stage: &str| -> Option<usize> {
            let (name, shard) = stage.rsplit_once('#')?;
            if name == FAILED_ROWS {
                return shard.parse().ok().filter(|i| *i < tasks.len());
            }
            let of = |t: &Seen| {
                t.name.rsplit_once('#').is_some_and(|x| x.1 == shard)
                    && t.stages.iter().any(|s| s == name)
            };
            tasks.iter().position(of)
        };
        let between = |view: QueueView| {
            let (from, to) = (owner(&view.from), owner(&view.to));
            Between { view, from, to }
        };
        let queues = queues.into_iter().map(between).collect();
        Self { tasks, queues }
    }

    /// Tasks that can go on by themselves, or for which one that can may do something.
    ///
    /// What works, waits for something outside the run, or for a moment, can. Who waits for rows
    /// waits for the senders of the empty queues it looks at; who waits for room, for the receivers
    /// of the queues it wants to send to. One that has been woken is about to run: nothing that it
    /// waited at has its waker any more.
    fn awake(&self) -> Vec<bool> {
        let by_itself = |(i, t): (usize, &Seen)| match t.doing {
            Doing::Works | Doing::Outside | Doing::Sink | Doing::Calls | Doing::Time => true,
            Doing::Rows => t.until.is_some() || self.has_been_given(i),
            Doing::Room => t.until.is_some() || self.has_been_let(i),
            Doing::Stage => t.until.is_some(),
            Doing::Done => false,
        };
        let mut awake: Vec<bool> = self.tasks.iter().enumerate().map(by_itself).collect();
        loop {
            let before = awake.clone();
            for q in &self.queues {
                let (Some(from), Some(to)) = (q.from, q.to) else { continue };
                let looked_at = q.view.receiver_waits && is_empty(&q.view);
                if self.tasks[to].doing == Doing::Rows && looked_at {
                    awake[to] |= awake[from];
                }
                if self.tasks[from].doing == Doing::Room && q.view.sender_waits {
                    awake[from] |= awake[to];
                }
            }
            if awake == before {
                return awake;
            }
        }
    }

    /// Whether a queue that the task looked at holds something by now: it was woken.
    fn has_been_given(&self, task: usize) -> bool {
        let given = |q: &Between| !(is_empty(&q.view) || q.view.receiver_waits || q.view.refused);
        self.queues.iter().any(|q| q.to == Some(task) && given(q))
    }

    /// Whether no queue has the task as one that waits for room: it was woken.
    fn has_been_let(&self, task: usize) -> bool {
        !self.queues.iter().any(|q| q.from == Some(task) && q.view.sender_waits)
    }

    /// The places of the tasks that nothing can wake any more.
    pub(super) fn dead(&self) -> Vec<usize> {
        let awake = self.awake();
        let dead = |i: &usize| !awake[*i] && self.tasks[*i].doing != Doing::Done;
        (0..self.tasks.len()).filter(dead).collect()
    }

    /// Whether nothing is to be done: every queue is empty, and everybody waits for rows.
    pub(super) fn is_idle(&self) -> bool {
        let waits = |t: &Seen| matches!(t.doing, Doing::Rows | Doing::Outside | Doing::Done);
        self.queues.iter().all(|q| is_empty(&q.view)) && self.tasks.iter().all(waits)
    }

    /// Whether a task pauses until a moment that is known.
    pub(super) fn is_paused(&self) -> bool {
        self.tasks.iter().any(|t| t.paused)
    }

    /// The places of the sources that wait for input from outside.
    pub(super) fn outside(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|i| self.tasks[*i].doing == Doing::Outside).collect()
    }

    /// The name of the source at the head of a task.
    pub(super) fn source(&self, task: usize) -> String {
        let t = &self.tasks[task];
        t.stages.first().unwrap_or(&t.name).clone()
    }

    /// Stages whose time stands still, with the places of the sources that wait for input from
    /// outside and hold it back.
    pub(super) fn held_back(&self) -> Vec<(String, Vec<usize>)> {
        let alive = |t: &Seen| t.held != 0 && t.doing != Doing::Done;
        let holders = |i: usize| {
            let mut found = Vec::new();
            self.holders(i, &mut vec![false; self.tasks.len()], &mut found);
            (self.source(i), found)
        };
        let all = (0..self.tasks.len()).filter(|i| alive(&self.tasks[*i])).map(holders);
        all.filter(|(_, by)| !by.is_empty()).collect()
    }

    /// Follows the input edges that hold a task's time back to their sources; all of them, where
    /// none is behind another.
    fn holders(&self, task: usize, been: &mut [bool], found: &mut Vec<usize>) {
        if std::mem::replace(&mut been[task], true) {
            return;
        }
        let t = &self.tasks[task];
        if t.doing == Doing::Outside {
            found.push(task);
            return;
        }
        let ins = self.queues.iter().filter(|q| q.to == Some(task));
        for (i, q) in ins.enumerate() {
            let holds = t.held == 0 || i < 64 && t.held >> i & 1 == 1;
            if let Some(from) = q.from.filter(|_| holds) {
                self.holders(from, been, found);
            }
        }
    }

    /// The dump, with the tasks that are dead.
    pub(super) fn stuck(&self, dead: &[usize], quiet: Duration) -> Stuck {
        let live = || self.tasks.iter().filter(|t| t.doing != Doing::Done);
        let queues: Vec<QueueView> = self.queues.iter().map(|q| q.view.clone()).collect();
        let task = |t: &Seen| {
            let Seen { name, stages, doing, until, .. } = t.clone();
            StuckTask { name, stages, doing, until }
        };
        Stuck {
            quiet,
            tasks: live().map(task).collect(),
            waits: WaitFor::of(live().map(|t| (&*t.name, &*t.stages)), &queues),
            queues,
            dead: dead.iter().map(|i| self.tasks[*i].name.clone()).collect(),
        }
    }
}

fn is_empty(q: &QueueView) -> bool {
    q.depth == 0 && q.controls == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a#0` sends to `b#0`: what each does, and how their queue looks.
    fn dead(a: Doing, b: Doing, queue: impl FnOnce(&mut QueueView)) -> Vec<usize> {
        let task = |name: &str, doing| Seen {
            name: format!("{name}#0"),
            stages: vec![name.to_owned()],
            doing,
            until: None,
            paused: false,
            held: 0,
        };
        let mut view = QueueView {
            from: "a#0".to_owned(),
            to: "b#0".to_owned(),
            depth: 0,
            controls: 0,
            capacity: 1,
            sender_waits: false,
            receiver_waits: false,
            refused: false,
            closed: false,
        };
        queue(&mut view);
        Scene::new(vec![task("a", a), task("b", b)], vec![view]).dead()
    }

    /// Between the moment at which its queue wakes a task and the one at which the task says that
    /// it works again, a look must not bury it.
    #[test]
    fn a_task_that_was_just_woken_is_not_dead() {
        use Doing::{Done, Room, Rows};
        let given = dead(Done, Rows, |q| q.depth = 1);
        assert_eq!(given, []);
        assert_eq!(dead(Done, Rows, |q| q.controls = 1), []);
        let let_in = dead(Room, Rows, |q| q.depth = 1);
        assert_eq!(let_in, [], "the sender was let in, the receiver was given something");
    }

    #[test]
    fn a_task_that_nothing_can_wake_is_dead() {
        use Doing::{Done, Room, Rows, Works};
        let waits = |q: &mut QueueView| q.receiver_waits = true;
        assert_eq!(dead(Done, Rows, waits), [1], "its sender has ended without a word");
        assert_eq!(dead(Works, Rows, waits), [], "its sender works");
        let full = |q: &mut QueueView| (q.depth, q.sender_waits, q.refused) = (1, true, true);
        assert_eq!(dead(Room, Rows, full), [0, 1], "the receiver takes nothing from a full queue");
        assert_eq!(dead(Room, Works, full), []);
    }
}
