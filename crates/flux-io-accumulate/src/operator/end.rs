//! The end of input: every open key leaves, in ascending key bytes, as the policy says.

use super::leave::Exit;
use super::{Accumulator, Due, Left};
use crate::policy::OnEnd;
use flux_io_core::{Accumulate, Column, DeadCause, KeyOf, Out, Reason, StageError, Step};

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Flushes, a full output at a time.
    pub(super) fn end(
        &mut self,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
    ) -> Result<Step, StageError> {
        if !self.ending {
            // What a request has queued goes first.
            if self.drain(out)? == Step::Yield {
                return Ok(Step::Yield);
            }
            self.ending = true;
            match self.plan.policy.on_end {
                OnEnd::Partial => self.queue_all(Exit::Partial(Reason::End)),
                OnEnd::DeadLetter => self.queue_all(Exit::Dead(DeadCause::Expired, Reason::End)),
                OnEnd::Drop => self.queue_all(Exit::Drop(Reason::End)),
                OnEnd::Keep => {}
            }
        }
        self.drain(out)
    }

    /// Queues every open key, in ascending key bytes.
    pub(super) fn queue_all(&mut self, exit: Exit) {
        let first = self.due.len();
        let life = |slot: u32| self.table.rows[slot as usize].life;
        let all = self.table.slots().map(|slot| Due {
            at: 0,
            event: false,
            slot,
            life: life(slot),
            exit,
        });
        let all: Vec<Due> = all.collect();
        self.due.extend(all);
        self.sort_due(first);
    }
}
