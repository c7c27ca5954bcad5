//! The snapshot of a join.

use super::super::held::{Reader, Writer};
use super::{Correlate, Group, Parts, none};
use flux_io_core::StageError;

impl<T: Send + 'static> Correlate<T> {
    /// Writes it: each id that is known, with the rows that are there.
    pub(super) fn save(&self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.time(self.watermark);
        w.number(self.floor);
        for i in &self.inputs {
            w.number(i.rows);
            w.number(i.last.map_or(0, |l| l.saturating_add(1)));
        }
        let known = self.order.iter().filter(|id| self.groups.contains_key(id));
        w.number(known.clone().count() as u64);
        for id in known {
            w.number(*id);
            let Some(group) = self.groups.get(id) else { continue };
            w.number(u64::from(group.parts.is_none()));
            for (port, gave) in group.gave.iter().enumerate() {
                let part = group
                    .parts
                    .as_ref()
                    .and_then(|p| Some((p.rows.get(port)?.as_ref()?, p.at.get(port)?.as_ref()?)));
                w.number(u64::from(*gave) + u64::from(part.is_some()));
                if let Some((row, at)) = part {
                    w.row(row, at, &self.join.hold)?;
                }
            }
        }
        Ok(())
    }

    /// Reads what [`Correlate::save`] wrote.
    pub(super) fn load_saved(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.watermark = r.time()?;
        self.floor = r.number()?;
        for i in &mut self.inputs {
            i.rows = r.number()?;
            i.last = r.number()?.checked_sub(1);
        }
        let n = self.inputs.len();
        for _ in 0..r.count()? {
            let id = r.number()?;
            let over = r.number()? > 0;
            let mut parts = Parts { rows: none(n), at: none(n) };
            let mut gave = vec![false; n];
            for (port, gave) in gave.iter_mut().enumerate() {
                let what = r.number()?;
                *gave = what > 0;
                if what > 1 {
                    let held = r.row(&self.join.hold)?;
                    parts.rows[port] = Some(held.row);
                    parts.at[port] = Some(held.at);
                }
            }
            let parts = (!over).then_some(parts);
            // The clock is a new one: what waits begins to wait.
            self.groups.insert(id, Group { parts, gave, since: None });
            self.order.push_back(id);
        }
        r.end()
    }
}
