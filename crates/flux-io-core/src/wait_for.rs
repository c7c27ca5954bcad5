//! Who waits for whom: the wait-for graph of a run that makes no progress.

use crate::edge::QueueView;
use std::collections::BTreeMap;
use std::fmt;

/// One task waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Who waits.
    pub task: String,
    /// For whom.
    pub on: String,
    /// For what: "room" in a full queue, "rows" in an empty one.
    pub why: &'static str,
}

/// The wait-for graph of tasks over their queues. `Display` gives a line for each wait, and the
/// cycle when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitFor {
    /// Every wait, in the order of the queues.
    pub waits: Vec<Waits>,
}

impl WaitFor {
    /// The graph of `tasks`, by name and stages, over `queues`: a sender waits for the receiver of
    /// a queue without room, a receiver for the sender of an empty one.
    #[must_use]
    pub fn of<'a>(
        tasks: impl Iterator<Item = (&'a str, &'a [String])> + Clone,
        queues: &[QueueView],
    ) -> Self {
        let owner = |stage: &str| -> Option<String> {
            let (name, shard) = stage.rsplit_once('#')?;
            let of = |t: &(&str, &[String])| {
                t.0.rsplit_once('#').is_some_and(|x| x.1 == shard) && t.1.iter().any(|s| s == name)
            };
            tasks.clone().find(of).map(|t| t.0.to_owned())
        };
        let mut waits = Vec::new();
        for q in queues {
            let (Some(from), Some(to)) = (owner(&q.from), owner(&q.to)) else { continue };
            // A sender that has found no room waits until half of it is free.
            if q.sender_waits {
                waits.push(Waits { task: from, on: to, why: "room" });
            } else if q.receiver_waits && q.depth == 0 && q.controls == 0 {
                waits.push(Waits { task: to, on: from, why: "rows" });
            }
        }
        Self { waits }
    }

    /// A cycle of tasks that wait for each other, the first repeated at the end.
    #[must_use]
    pub fn cycle(&self) -> Option<Vec<String>> {
        let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for w in &self.waits {
            next.entry(&w.task).or_default().push(&w.on);
        }
        next.keys().find_map(|start| {
            let mut path = vec![*start];
            let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
            while let Some(&at) = path.last() {
                let k = tried.entry(at).or_default();
                let Some(&to) = next.get(at).and_then(|n| n.get(*k)) else {
                    path.pop();
                    continue;
                };
                *k += 1;
                if to == *start {
                    path.push(to);
                    return Some(path.into_iter().map(str::to_owned).collect());
                }
                if !tried.contains_key(to) {
                    path.push(to);
                }
            }
            None
        })
    }
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for w in &self.waits {
            writeln!(f, "  {} waits for {} ({})", w.task, w.on, w.why)?;
        }
        match self.cycle() {
            Some(c) => writeln!(f, "  cycle: {}", c.join(" -> ")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for QueueView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "queue {} -> {}: {} of {} batches",
            self.from, self.to, self.depth, self.capacity
        )?;
        for (on, word) in [
            (self.controls > 0, "controls wait"),
            (self.sender_waits, "sender waits for room"),
            (self.receiver_waits, "receiver waits for rows"),
            (self.refused, "receiver takes nothing"),
            (self.closed, "receiver is gone"),
        ] {
            if on {
                write!(f, ", {word}")?;
            }
        }
        Ok(())
    }
}
