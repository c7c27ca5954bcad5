//! What happens from outside at drawn steps: spurious polls, clocks that jump, requests, crashes.

use super::Pool;
use crate::choice::Kind;
use crate::fault::{Class, Fault};
use crate::swarm::Swarm;
use flux_io_core::StopMode;
use std::time::Duration;

/// Eight hours.
const SUSPENDED: Duration = Duration::from_secs(8 * 3600);
/// Ways to draw a gap between two events.
const GAPS: u32 = 64;
/// Crashes of one run.
const MOST_CRASHES: u32 = 4;

impl Pool<'_, '_, '_> {
    /// Draws when the next event from outside comes, if one comes.
    pub(super) fn next_event(&mut self, swarm: &Swarm) {
        let any = Fault::ALL.iter().any(|f| f.class() == Class::Step && swarm.has(*f));
        self.session.event_at = match if any { self.world.choose(Kind::Gap, GAPS) } else { 0 } {
            0 => None,
            gap => Some(self.session.steps + u64::from(gap)),
        };
    }

    pub(super) fn event(&mut self, swarm: &Swarm) {
        let stopping = self.handle.is_stopping();
        let can = |f: &Fault| match f {
            Fault::Command => swarm.has(*f) && !swarm.commands.is_empty(),
            Fault::Drain | Fault::Abort => swarm.has(*f) && !stopping,
            Fault::Crash => swarm.has(*f) && self.session.crashes < MOST_CRASHES,
            f => f.class() == Class::Step && swarm.has(*f),
        };
        let on: Vec<Fault> = Fault::ALL.iter().copied().filter(can).collect();
        let pick = self.world.choose(Kind::Fault, on.len() as u32) as usize;
        if let Some(f) = on.get(pick).copied() {
            self.outside(f, swarm);
        }
        self.next_event(swarm);
    }

    fn outside(&mut self, f: Fault, swarm: &Swarm) {
        match f {
            Fault::Spurious => {
                let asleep: Vec<usize> = (0..self.cells.len())
                    .filter(|i| self.cells[*i].task.is_some() && !self.cells[*i].ready())
                    .collect();
                let pick = self.world.choose(Kind::Fault, asleep.len() as u32) as usize;
                let Some(i) = asleep.get(pick).copied() else { return };
                self.poll(i);
            }
            Fault::SlowStep => self.world.pass(self.world.delay()),
            Fault::Suspend => self.world.pass(SUSPENDED),
            Fault::WallJump => self.world.jump_wall(),
            Fault::Barrier => drop(self.handle.checkpoint()),
            Fault::Policy => drop(self.handle.policy()),
            Fault::Command => {
                let pick = self.world.choose(Kind::Fault, swarm.commands.len() as u32) as usize;
                let Some((stage, c)) = swarm.commands.get(pick) else { return };
                self.handle.command(stage, c.clone());
            }
            Fault::Drain => self.handle.stop(StopMode::Graceful { deadline: None }),
            Fault::Abort => self.handle.stop(StopMode::Abort),
            Fault::Crash => {
                self.session.crashes += 1;
                self.died = true;
            }
            _ => return,
        }
        self.world.took(f, "a step");
    }
}
