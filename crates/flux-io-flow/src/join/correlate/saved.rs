//! The snapshot of a join.

use super::super::held::{Hold, Reader, Writer};
use super::any_order::{AnyOrder, Known};
use super::in_order::InOrder;
use super::{Group, Parts};
use flux_io_core::StageError;

/// Writes an id that is known, with the rows that are there.
fn save_group<T>(
    w: &mut Writer<'_>,
    id: u64,
    group: &Group<T>,
    hold: &Hold<T>,
) -> Result<(), StageError> {
    w.number(id);
    w.number(u64::from(group.parts.is_none()));
    for (port, gave) in group.gave.iter().enumerate() {
        let part = group
            .parts
            .as_ref()
            .and_then(|p| Some((p.rows.get(port)?.as_ref()?, p.at.get(port)?.as_ref()?)));
        w.number(u64::from(*gave) + u64::from(part.is_some()));
        if let Some((row, at)) = part {
            w.row(row, at, hold)?;
        }
    }
    Ok(())
}

/// Reads what [`save_group`] wrote, of so many inputs. The clock is a new one: what waits begins to
/// wait.
fn load_group<T>(
    r: &mut Reader<'_>,
    inputs: usize,
    hold: &Hold<T>,
) -> Result<(u64, Group<T>), StageError> {
    let id = r.number()?;
    let over = r.number()? > 0;
    let mut parts = Parts::none(inputs);
    let mut gave = vec![false; inputs];
    for (port, gave) in gave.iter_mut().enumerate() {
        let what = r.number()?;
        *gave = what > 0;
        if what > 1 {
            parts.put(port, r.row(hold)?);
        }
    }
    Ok((id, Group { parts: (!over).then_some(parts), gave, since: None }))
}

/// Bytes that a group which was read costs.
fn bytes<T>(group: &Group<T>, each: usize) -> usize {
    each.saturating_add(group.parts.as_ref().map_or(0, Parts::bytes))
}

impl<T: Send + 'static> InOrder<T> {
    /// Writes it: each id that is known, in the order in which they came.
    pub(super) fn save(&self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.time(self.giving.watermark);
        w.option(self.over);
        for i in &self.inputs {
            w.number(i.rows);
            w.option(i.last);
        }
        w.number(self.groups.len() as u64);
        let came = self.order.iter().filter(|id| self.groups.contains_key(id));
        let mut others: Vec<&u64> = self.groups.keys().collect();
        let listed: std::collections::BTreeSet<&u64> = came.clone().collect();
        others.retain(|id| !listed.contains(id));
        for id in came.chain(others) {
            if let Some(group) = self.groups.get(id) {
                save_group(&mut w, *id, group, &self.giving.join.hold)?;
            }
        }
        Ok(())
    }

    /// Reads what [`InOrder::save`] wrote.
    pub(super) fn load_saved(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.giving.watermark = r.time()?;
        self.over = r.option()?;
        for i in &mut self.inputs {
            i.rows = r.number()?;
            i.last = r.option()?;
        }
        for _ in 0..r.count()? {
            let (id, group) = load_group(&mut r, self.inputs.len(), &self.giving.join.hold)?;
            self.giving.bytes += bytes(&group, self.giving.each);
            self.groups.insert(id, group);
            self.order.push_back(id);
        }
        r.end()
    }
}

impl<T: Send + 'static> AnyOrder<T> {
    /// Writes it: the ids that are held and those that are gone, the oldest first, then the rows
    /// that were not looked at yet.
    pub(super) fn save(&self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        let hold = &self.giving.join.hold;
        w.time(self.giving.watermark);
        for ids in [&self.held, &self.gone] {
            w.number(ids.len() as u64);
            for id in ids.values() {
                if let Some(known) = self.groups.get(id) {
                    save_group(&mut w, *id, &known.group, hold)?;
                }
            }
        }
        for i in &self.inputs {
            w.number(i.came.len() as u64);
            i.came.iter().try_for_each(|held| w.row(&held.row, &held.at, hold))?;
        }
        Ok(())
    }

    /// Reads what [`AnyOrder::save`] wrote.
    pub(super) fn load_saved(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.giving.watermark = r.time()?;
        for ids in [&mut self.held, &mut self.gone] {
            for _ in 0..r.count()? {
                let (id, group) = load_group(&mut r, self.inputs.len(), &self.giving.join.hold)?;
                self.giving.bytes += bytes(&group, self.giving.each);
                let nth = self.ids;
                self.ids += 1;
                ids.insert(nth, id);
                self.groups.insert(id, Known { group, nth });
            }
        }
        for i in &mut self.inputs {
            for _ in 0..r.count()? {
                i.came.push_back(r.row(&self.giving.join.hold)?);
            }
        }
        r.end()
    }
}
