//! Requests from outside the row order: flush a key, flush all, say where a key stands.

use super::guard::quietly;
use super::leave::Exit;
use super::{Accumulator, Due, Left, none};
use flux_io_core::{
    Accumulate, Column, Command, Key, KeyOf, Moment, Out, Reason, StageError, Timestamp, Why,
    hash_of,
};

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Serves a request. A flush that fills the output goes on at the next call, before anything
    /// else.
    pub(super) fn command(
        &mut self,
        command: &Command,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
    ) -> Result<bool, StageError> {
        match command {
            // A question costs nothing, whatever user code it meets.
            Command::Why(key, reply) => {
                reply.put(quietly(|| self.why(key)).unwrap_or(Why::Unknown))
            }
            Command::FlushKey(key) => {
                if let Some((slot, life)) = quietly(|| self.open_slot(key)).flatten() {
                    let exit = Exit::Partial(Reason::Evicted);
                    self.due.push(Due { at: 0, event: false, slot, life, exit });
                }
            }
            Command::FlushAll => self.queue_all(Exit::Partial(Reason::Evicted)),
        }
        self.guarded(|s| s.drain(out))?;
        Ok(true)
    }

    pub(super) fn tag_of(&self, key: &KO::Key) -> u32 {
        self.table.tag(hash_of(key, self.home.map_or(0, |h| h.hash_seed)))
    }

    fn open_slot(&self, key: &[u8]) -> Option<(u32, u32)> {
        let key = KO::Key::read_bytes(key)?;
        let slot = self.table.find(self.tag_of(&key), |_, k| *k == key);
        (!none(slot)).then(|| (slot, self.table.rows[slot as usize].life))
    }

    /// Where a key, given by its bytes, stands.
    #[must_use]
    pub fn why(&self, key: &[u8]) -> Why {
        let Some(key) = KO::Key::read_bytes(key) else { return Why::Unknown };
        let tag = self.tag_of(&key);
        let slot = self.table.find(tag, |_, k| *k == key);
        if none(slot) {
            let tomb = self.tombs.find(tag, |k| *k == key);
            if none(tomb) {
                return Why::Unknown;
            }
            let t = self.tombs.get(tomb);
            return Why::Left { reason: t.reason, fragments: t.fragments, late: t.late() };
        }
        let (score, missing) = self.progress(slot);
        let (t, watch) = (&self.traits, self.table.watch(slot));
        let ttl_at = self.table.tails.get(slot as usize).map_or(i64::MAX, |x| x.ttl_at);
        Why::Open {
            fragments: super::clamp(self.fragments(slot)),
            missing: missing.map(Vec::from).unwrap_or_default(),
            score,
            deadline: t.events().then(|| Timestamp(ttl_at.min(watch.idle_at))),
            timeout: t
                .clocks()
                .then(|| Moment(watch.timeout_at.min(watch.quiet_at).min(watch.flush_at))),
        }
    }
}
