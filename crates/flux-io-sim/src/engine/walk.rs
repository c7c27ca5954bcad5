//! An exhaustive walk at the engine: what the explorer is told, and the branch it takes.

use super::Pool;
use crate::choice::Kind;
use flux_io_core::Host;

impl Pool<'_, '_, '_> {
    /// Tells the explorer which queues each task touches.
    pub(super) fn begin_exploring(&mut self) {
        let Some(e) = &mut self.explorer else { return };
        let queues = self.collector.queues_now();
        let touches = self.cells.iter().map(|c| {
            let end = |end: &str| {
                // Where dead letters come from has no name of its own: any task.
                end.starts_with('(')
                    || c.task.as_ref().is_some_and(|t| {
                        let shard = t.name().rsplit_once('#').map(|x| x.1);
                        end.rsplit_once('#').is_some_and(|(stage, s)| {
                            Some(s) == shard && t.stages().iter().any(|x| x == stage)
                        })
                    })
            };
            let touched = queues.iter().enumerate().filter(|(_, q)| end(&q.from) || end(&q.to));
            touched.map(|x| x.0).collect()
        });
        let touches = touches.collect();
        e.begin(touches, queues.len());
    }

    /// The next branch of the walk, or `None` when this run may end.
    pub(super) fn explore(&mut self) -> Option<usize> {
        let last = self.last.filter(|_| !self.yielded);
        let stays = self.can.iter().position(|t| Some(*t) == last).map(|i| i as u32);
        let (at, now, n) = (self.world.made(), self.world.now().0, self.can.len() as u32);
        let e = self.explorer.as_mut()?;
        if !e.turn(at, stays, last.map_or(usize::MAX, |l| l), now) {
            self.left = true;
            return None;
        }
        let taken = self.world.choose_by(Kind::Next, n, || stays.unwrap_or(0));
        e.chose(stays, taken);
        Some(taken as usize)
    }
}
