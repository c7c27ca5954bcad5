//! In which order results go on, and where watermarks stand between them.

use flux_io_core::{Meta, RowError, Timestamp, mutant};
use std::collections::VecDeque;

/// A row whose call is over.
pub(super) struct Finished<T, U> {
    /// The metadata of the row, for a batch of one.
    pub(super) meta: Meta,
    /// The result, or what is wrong, the row and the attempts made.
    pub(super) result: Result<U, (RowError, T, u32)>,
}

/// What goes on next.
pub(super) enum Next<T, U> {
    Row(Finished<T, U>),
    Mark(Timestamp),
}

enum Place<T, U> {
    Waits,
    Row(Finished<T, U>),
    Mark(Timestamp),
}

/// Rows between two watermarks.
struct Group {
    /// Rows not finished.
    rows: usize,
    /// The watermark behind them.
    mark: Option<Timestamp>,
}

/// The order of results.
pub(super) struct Order<T, U> {
    by: By<T, U>,
    /// The ticket of the first place or group.
    first: u64,
    /// Rows that have not gone on.
    rows: usize,
}

enum By<T, U> {
    /// That of the rows: every row and watermark has its place.
    Rows(VecDeque<Place<T, U>>),
    /// That of the results: rows belong to the group before the next watermark.
    Results(VecDeque<Group>, VecDeque<Finished<T, U>>),
}

impl<T, U> Order<T, U> {
    pub(super) const fn new(ordered: bool) -> Self {
        let by = if ordered {
            By::Rows(VecDeque::new())
        } else {
            By::Results(VecDeque::new(), VecDeque::new())
        };
        Self { by, first: 0, rows: 0 }
    }

    /// A call begins; gives the ticket under which it ends.
    pub(super) fn begin(&mut self) -> u64 {
        self.rows += 1;
        let places = match &mut self.by {
            By::Rows(places) => {
                places.push_back(Place::Waits);
                places.len()
            }
            By::Results(groups, _) => {
                match groups.back_mut().filter(|g| g.mark.is_none()) {
                    Some(last) => last.rows += 1,
                    None => groups.push_back(Group { rows: 1, mark: None }),
                }
                groups.len()
            }
        };
        self.first + places as u64 - 1
    }

    /// A watermark stands behind the calls begun so far.
    pub(super) fn mark(&mut self, w: Timestamp) {
        match &mut self.by {
            By::Rows(places) => match places.back_mut() {
                Some(Place::Mark(last)) => *last = w.max(*last),
                _ => places.push_back(Place::Mark(w)),
            },
            By::Results(groups, _) => match groups.back_mut() {
                Some(last) => last.mark = last.mark.max(Some(w)),
                None => groups.push_back(Group { rows: 0, mark: Some(w) }),
            },
        }
    }

    /// A call ended.
    pub(super) fn end(&mut self, ticket: u64, row: Finished<T, U>) {
        let place = (ticket - self.first) as usize;
        match &mut self.by {
            By::Rows(places) => {
                if let Some(place) = places.get_mut(place) {
                    *place = Place::Row(row);
                }
            }
            By::Results(groups, ready) => {
                if let Some(group) = groups.get_mut(place) {
                    group.rows -= 1;
                }
                ready.push_back(row);
            }
        }
    }

    /// The fault `RetriedResultLate`: a finished row goes behind what follows it.
    pub(super) fn delay(&mut self, ticket: u64) {
        let place = (ticket - self.first) as usize;
        if let By::Rows(places) = &mut self.by
            && matches!(places.get(place + 1), Some(Place::Row(_) | Place::Mark(_)))
        {
            places.swap(place, place + 1);
        }
    }

    /// All results of a turn are in: those that may go on in any order do so by their numbers,
    /// which makes longer batches.
    pub(super) fn settle(&mut self) {
        if let By::Results(_, ready) = &mut self.by {
            let number = |f: &Finished<T, U>| (f.meta.source, f.meta.seq.at(0));
            ready.make_contiguous().sort_by_key(number);
        }
    }

    /// Takes what goes on next.
    pub(super) fn next(&mut self) -> Option<Next<T, U>> {
        let next = match &mut self.by {
            By::Rows(places) => match places.pop_front()? {
                Place::Row(row) => Next::Row(row),
                Place::Mark(w) => Next::Mark(w),
                Place::Waits => {
                    places.push_front(Place::Waits);
                    return None;
                }
            },
            By::Results(groups, ready) => match ready.pop_front() {
                Some(row) => {
                    self.rows -= 1;
                    return Some(Next::Row(row));
                }
                None => {
                    let all = |g: &&Group| g.rows == 0 || mutant!(MarkOvertakesCalls);
                    let mark = groups.front().filter(all)?.mark?;
                    groups.pop_front();
                    Next::Mark(mark)
                }
            },
        };
        self.first += 1;
        self.rows -= usize::from(matches!(next, Next::Row(_)));
        Some(next)
    }

    /// Rows that have not gone on.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Rows and watermarks that have not gone on.
    pub(super) fn len(&self) -> usize {
        match &self.by {
            By::Rows(places) => places.len(),
            By::Results(groups, _) => {
                self.rows + groups.iter().filter(|g| g.mark.is_some()).count()
            }
        }
    }
}
