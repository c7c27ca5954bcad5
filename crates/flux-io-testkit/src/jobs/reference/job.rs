//! The two standing jobs on the reference model: real lines in, outcome lines and ledger out.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DeadLetter, Event, Fragment, Kind, Ledger, Model, Out, Policy, Required, WatermarkGenerator,
};
use crate::jobs::flights;
use crate::jobs::fragment::{DeadCause, Job, MAX_ORDER_LINES};
use crate::jobs::orders::DEADLINE_DAYS;
use crate::jobs::outcome::{OutcomeLine, Tally};
use crate::jobs::time::DAY;

/// What the reference model makes of a job's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// One line for each complete or partial result, in the order of emission.
    pub outcomes: Vec<OutcomeLine>,
    /// Counts and digest of the outcomes.
    pub tally: Tally,
    /// Names of late fragments in the order of arrival: key and variable.
    pub late: Vec<(String, String)>,
    /// Where every line ended.
    pub ledger: Ledger,
}

/// The policy of the flights job: four variables, 72 h from the first fragment, tombstones to the
/// end of input. Its lag is [`flights::LAG`].
#[must_use]
pub fn flights_policy() -> Policy {
    Policy { ttl: Some(flights::DEADLINE), ..Policy::new(Required::Static(4)) }
}

/// The policy of the orders job: what the header declares, tombstones to the end of input; with
/// the deadline of 152 days for time order (lag 0), without it for the other orders of arrival.
#[must_use]
pub fn orders_policy(deadline: bool) -> Policy {
    let required = Required::Declared { header: 0, bases: vec![0, MAX_ORDER_LINES] };
    let ttl = deadline.then_some(DEADLINE_DAYS * DAY);
    Policy { ttl, ..Policy::new(required) }
}

/// Runs a job's lines, with a watermark before every row that raises it (`lag` in nanoseconds;
/// none without), and the end of input.
///
/// The clock stands still. Dead letters raise no watermark.
pub fn run_job<'a>(
    job: Job,
    lines: impl IntoIterator<Item = &'a [u8]>,
    policy: Policy,
    lag: Option<i64>,
) -> JobRun {
    let input = Input::read(job, lines);
    let mut marks = lag.map(WatermarkGenerator::new);
    let mut model = Model::new(policy);
    let mut outs = Vec::new();
    for row in &input.rows {
        match *row {
            Ok(fragment) => {
                let mark = marks.as_mut().and_then(|marks| marks.before(fragment.ts));
                outs.extend(mark.into_iter().flat_map(|mark| model.step(Event::Watermark(mark))));
                outs.extend(model.step(Event::Fragment(fragment)));
            }
            Err(cause) => outs.extend(model.step(Event::Dead(cause))),
        }
    }
    outs.extend(model.step(Event::End));
    let outcomes: Vec<OutcomeLine> = outs.iter().filter_map(|out| input.outcome(out)).collect();
    let late = outs.iter().filter(|out| out.kind == Kind::Late);
    let late = late.flat_map(|out| input.names(out)).collect();
    JobRun { tally: Tally::of(&outcomes), outcomes, late, ledger: model.ledger() }
}

/// A job's lines as rows of the model: keys are ranks among all keys, in the order of their bytes
/// (so the model's order of keys is that of the names), identities are places in `texts`.
struct Input {
    job: Job,
    keys: Vec<String>,
    texts: Vec<Vec<u8>>,
    rows: Vec<Result<Fragment, DeadLetter>>,
}

impl Input {
    fn read<'a>(job: Job, lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let parsed: Vec<_> =
            lines.into_iter().map(|line| (job.parse(line), line.len() as u64)).collect();
        let keys: BTreeSet<String> =
            parsed.iter().filter_map(|(row, _)| Some(row.as_ref().ok()?.key.clone())).collect();
        let ranks: BTreeMap<&str, u64> = keys.iter().map(String::as_str).zip(0..).collect();
        let mut texts = Vec::new();
        let mut rows = Vec::with_capacity(parsed.len());
        for (row, bytes) in parsed {
            rows.push(row.map_err(dead_letter).map(|parsed| {
                texts.push(parsed.canonical);
                Fragment {
                    key: ranks.get(parsed.key.as_str()).copied().unwrap_or(u64::MAX),
                    var: parsed.bit,
                    ts: parsed.ts,
                    ident: texts.len() as u64 - 1,
                    payload: parsed.declares.map_or(0, u64::from),
                    bytes,
                }
            }));
        }
        drop(ranks);
        Self { job, keys: keys.into_iter().collect(), texts, rows }
    }

    fn key(&self, key: u64) -> &str {
        self.keys.get(key as usize).map_or("", String::as_str)
    }

    fn outcome(&self, out: &Out) -> Option<OutcomeLine> {
        let (complete, missing): (bool, &[u32]) = match &out.kind {
            Kind::Complete => (true, &[]),
            Kind::Partial { missing, .. } => (false, missing),
            _ => return None,
        };
        let missing = missing.iter().filter_map(|&bit| self.job.variable(bit)).collect();
        let texts = out.fragments.iter().filter_map(|part| self.texts.get(part.ident as usize));
        Some(OutcomeLine { complete, ..OutcomeLine::new(self.key(out.key), missing, texts) })
    }

    fn names(&self, out: &Out) -> impl Iterator<Item = (String, String)> {
        let key = self.key(out.key).to_owned();
        out.fragments
            .iter()
            .map(move |part| (key.clone(), self.job.variable(part.var).unwrap_or_default()))
    }
}

fn dead_letter(cause: DeadCause) -> DeadLetter {
    match cause {
        DeadCause::Oversize => DeadLetter::Oversize,
        DeadCause::Poison => DeadLetter::Poison,
        DeadCause::Type => DeadLetter::Type,
        DeadCause::NoKey => DeadLetter::NoKey,
    }
}
