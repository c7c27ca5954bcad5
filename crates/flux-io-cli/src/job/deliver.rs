//! The stage that gives each result to its sink: routes first, then the sink that takes its class.

use super::render::Render;
use super::tally::{Tally, TallyPlace};
use crate::config::Takes;
use flux_io::core::{
    AnyBatch, BATCH_BYTES, ByteColumn, Column, Node, Outbox, StageCx, StageError, Step,
};
use flux_io::record::{Filter, Limits, RecordColumn};

/// A filter and the port that its results go to.
#[derive(Clone, Debug)]
pub(crate) struct RouteTo {
    pub(crate) name: String,
    /// The classes it looks at; empty: all.
    pub(crate) of: Vec<Takes>,
    pub(crate) when: Filter,
    pub(crate) port: usize,
}

/// Which port takes what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    pub(crate) routes: Vec<RouteTo>,
    /// Port by class.
    pub(crate) takes: Vec<(Takes, usize)>,
    /// Port of the ledger file.
    pub(crate) ledger: Option<usize>,
}

/// Writes each row as a line to the port that its class and the routes say.
#[derive(Debug)]
pub(crate) struct Deliver<R> {
    render: R,
    ports: Ports,
    /// The first row of the batch in hand that was not delivered.
    next: usize,
    text: Vec<u8>,
    /// Bytes in the open batch of each port.
    filled: Vec<usize>,
    record: RecordColumn,
    tally: Tally,
    place: TallyPlace,
}

impl<R: Render> Deliver<R> {
    /// Delivers to `outs` ports.
    pub(crate) fn new(render: R, ports: Ports, outs: usize, place: TallyPlace) -> Self {
        let (text, record, tally) = (Vec::new(), RecordColumn::default(), Tally::default());
        Self { render, ports, next: 0, text, filled: vec![0; outs], record, tally, place }
    }

    /// The port of a row whose line is in `text`.
    fn port(&mut self, class: Takes) -> Result<Option<usize>, StageError> {
        let Ports { routes, takes, .. } = &self.ports;
        if routes.iter().any(|r| r.of.is_empty() || r.of.contains(&class)) {
            Column::clear(&mut self.record);
            let limits = Limits { bytes: usize::MAX, fields: usize::MAX, ..Limits::default() };
            let read = self.record.push_json(&self.text, &limits).map_err(|e| e.into_row());
            read.map_err(|e| StageError::permanent(format!("a result is no JSON: {}", e.what)))?;
            for route in routes.iter().filter(|r| r.of.is_empty() || r.of.contains(&class)) {
                let passes = route.when.passes(self.record.row(0)).map_err(|e| {
                    let what = format!(
                        "route `{}` cannot judge a {} result: {}; test for the field first, as in \
                         `has field and field > 5`",
                        route.name,
                        class.word(),
                        e.what
                    );
                    StageError::permanent(what)
                });
                if passes? {
                    return Ok(Some(route.port));
                }
            }
        }
        Ok(takes.iter().find(|(of, _)| *of == class).map(|(_, port)| *port))
    }

    fn row(
        &mut self,
        col: &R::Col,
        i: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        let class = self.render.class(col, i);
        self.render.count(col, i, &mut self.tally);
        self.text.clear();
        self.render.line(col, i, &mut self.text);
        match self.port(class)? {
            Some(port) => self.give(outs, port)?,
            None => {
                *self.tally.untaken.entry(class).or_default() += 1;
                cx.dropped("untaken", 1);
            }
        }
        if let Some(port) = self.ports.ledger {
            self.text.clear();
            self.render.fate(col, i, &mut self.text);
            self.give(outs, port)?;
        }
        Ok(())
    }

    /// Adds the line in hand to a port. Lines are far longer than the usual row of bytes, so the
    /// batch is sealed by its bytes too.
    fn give(&mut self, outs: &mut [Outbox], port: usize) -> Result<(), StageError> {
        let (Some(out), Some(filled)) = (outs.get_mut(port), self.filled.get_mut(port)) else {
            return Ok(());
        };
        let mut out = out.typed::<ByteColumn>()?;
        let batch = out.batch();
        if batch.is_empty() {
            *filled = 0;
        }
        batch.col.push(&self.text);
        *filled += self.text.len();
        if *filled >= BATCH_BYTES {
            out.seal()
        } else {
            out.seal_if_full()
        }
        Ok(())
    }
}

impl<R: Render> Node for Deliver<R> {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let batch = input.get_mut::<R::Col>()?;
        while self.next < batch.len() {
            if outs.iter().any(Outbox::is_full) {
                return Ok(Step::Yield);
            }
            let row = self.next;
            self.next += 1;
            self.row(&batch.col, row, outs, cx)?;
        }
        self.next = 0;
        Ok(Step::Done)
    }
}

impl<R> Drop for Deliver<R> {
    fn drop(&mut self) {
        self.place.put(std::mem::take(&mut self.tally));
    }
}
