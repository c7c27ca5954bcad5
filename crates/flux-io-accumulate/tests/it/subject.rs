//! The operator under test, driven by hand with the model's events, and its results in the model's
//! words.

use crate::model::{Bomb, Event, Row, Shape, any_has, armed, last_has};
use flux_io_accumulate::{Accumulator, Blueprint, Policy, Require};
use flux_io_core::{
    Accumulate, At, Batch, ByHand, ByValue, Completeness, DeadCause, ErrorRecord, KeyOf, Mark,
    Moment, OnError, Original, Outcome, RowError, Seq, Stage, StageError, StageHome, Timestamp,
    Uniform, Var, Why, push_mark,
};
use std::collections::BTreeMap;

pub(crate) type Value = Vec<(Var, u32)>;

/// The requirement of a shape.
pub(crate) fn require(shape: Shape) -> Require {
    match shape {
        Shape::Four => Require::all(["a", "b", "c", "d"]),
        Shape::Order => {
            Require::new().one("header").each("shipped", "lines").each("received", "lines")
        }
        Shape::TwoOfThree => Require::k_of_n(2, ["a", "b", "c"]),
        Shape::Nested => {
            let either = Require::any(["b", "c"]);
            Require::all(["a"]).and(either).weight("a", 3.0)
        }
        Shape::Three => Require::count(3),
        Shape::Seventy => Require::all((0..70).map(|i| format!("v{i}"))),
    }
}

/// How rows find their key.
pub(crate) fn key_of() -> impl KeyOf<Vec<Row>, Key = u64> {
    ByValue(|r: &Row| r.key)
}

/// The accumulator of a policy: the state is the list of values in the order of arrival.
pub(crate) fn blueprint(
    policy: Policy,
    shape: Shape,
    take_back: bool,
) -> Blueprint<Vec<Row>, impl KeyOf<Vec<Row>, Key = u64>, ListOf> {
    let list = ListOf { lines: shape == Shape::Order, take_back };
    Blueprint::new(policy, key_of(), list).unwrap()
}

/// An accumulator written by hand; `lines` says whether the requirement has a bound, `take_back`
/// whether fragments can be taken back. Bombs go off where they say.
#[derive(Clone, Debug)]
pub(crate) struct ListOf {
    lines: bool,
    take_back: bool,
}

impl Accumulate<Vec<Row>> for ListOf {
    type Key = u64;
    type State = Value;
    type Out = Value;
    fn init(&self) -> Value {
        Value::new()
    }
    fn var(&self, row: &Row) -> Result<Var, RowError> {
        explode(row.bomb == Bomb::Var, "var");
        Ok(row.var)
    }
    fn bound(&self, row: &Row) -> Option<(u16, u32)> {
        explode(self.lines && row.bomb == Bomb::Bound, "bound");
        row.bound.filter(|_| self.lines).map(|n| (0, n))
    }
    fn identity(&self, row: &Row) -> u64 {
        row.id
    }
    fn update(&self, state: &mut Value, row: &mut Row, _: At) -> Result<(), RowError> {
        explode(row.bomb == Bomb::Merge, "merge");
        if row.bad {
            return Err(RowError::new(DeadCause::Conflict, "bad"));
        }
        state.push((row.var, armed(row.val, row.bomb)));
        Ok(())
    }
    fn check(&self, state: &Value, _: At) -> Option<Completeness> {
        explode(last_has(state, Bomb::Check), "check");
        None
    }
    fn take_back(&self, state: &mut Value, group: u16, last: u32) -> Option<Vec<Original>> {
        if !self.take_back {
            return None;
        }
        let gone = state.extract_if(.., |(v, _)| v.group == group && v.index > last);
        Some(gone.map(Original::value).collect())
    }
    fn finish(&self, _: &u64, state: &mut Value) -> Value {
        explode(any_has(state, Bomb::Finish), "finish");
        std::mem::take(state)
    }
    fn weight(&self, state: &Value) -> usize {
        explode(last_has(state, Bomb::Weigh), "weigh");
        state.iter().map(|x| (x.1 & 0xffff) as usize).sum()
    }
    fn save(&self, state: &Value, to: &mut Vec<u8>) -> Result<(), StageError> {
        save(state, to);
        Ok(())
    }
    fn load(&self, from: &[u8]) -> Result<Value, StageError> {
        load(from).ok_or_else(|| StageError::permanent("no such state"))
    }
}

/// A panic without the hook's words, of which there would be thousands.
fn explode(now: bool, at: &'static str) {
    if now {
        std::panic::resume_unwind(Box::new(at));
    }
}

fn save(v: &Value, to: &mut Vec<u8>) {
    for (var, val) in v {
        to.extend_from_slice(&var.group.to_le_bytes());
        to.extend_from_slice(&var.index.to_le_bytes());
        to.extend_from_slice(&val.to_le_bytes());
    }
}

fn load(from: &[u8]) -> Option<Value> {
    let n4 = |b: &[u8]| Some(u32::from_le_bytes(b.try_into().ok()?));
    let one = |b: &[u8]| {
        let group = u16::from_le_bytes(b[..2].try_into().ok()?);
        Some((Var { group, index: n4(&b[2..6])? }, n4(&b[6..])?))
    };
    from.len().is_multiple_of(10).then(|| from.chunks(10).map(one).collect())?
}

/// What one run gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) outs: Vec<String>,
    pub(crate) dead: Vec<String>,
    pub(crate) classes: BTreeMap<String, u64>,
    pub(crate) fragments: u64,
    pub(crate) tombstones_evicted: u64,
    /// Keys, items and tombstones at the end.
    pub(crate) held: (u64, u64, u64),
    pub(crate) why: Vec<String>,
}

pub(crate) fn text(o: &Outcome<u64, Value>) -> String {
    let h = o.headers();
    let kind = match o {
        Outcome::Complete { .. } => "complete",
        Outcome::Partial { .. } => "partial",
        Outcome::Late { .. } => "late",
        Outcome::Corrected { .. } => "corrected",
    };
    let mut text = format!(
        "{}#{} {kind} {} x{} {:?}",
        o.key(),
        h.generation,
        h.reason.as_str(),
        h.fragments,
        o.value()
    );
    if matches!(o, Outcome::Partial { .. } | Outcome::Corrected { .. }) {
        text += &format!(" without [{}] {:.3}", h.missing_vars(), h.completeness.min(0.999_999));
        if h.completeness.to_bits() == 1.0_f32.to_bits() {
            text.truncate(text.len() - 5);
            text += "1.000";
        }
    }
    text
}

pub(crate) fn dead_text(r: &ErrorRecord) -> String {
    let key = r.key.as_ref().map(|k| u64::from_be_bytes(k.as_slice().try_into().unwrap()));
    format!("{key:?} {} x{}", r.cause, r.items)
}

pub(crate) fn why_text(w: &Why, clock_offset: u64) -> String {
    match w {
        Why::Unknown => "unknown".into(),
        Why::Open { fragments, missing, deadline, timeout, .. } => {
            let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let deadline = deadline.map(|d| d.0);
            let timeout = timeout.map(|t| t.0 + clock_offset);
            format!("open {fragments} [{}] {deadline:?} {timeout:?}", names.join(","))
        }
        Why::Left { reason, fragments, late } => {
            format!("left {} {fragments} {late}", reason.as_str())
        }
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) policy: Policy,
    pub(crate) shape: Shape,
    pub(crate) take_back: bool,
    pub(crate) events: Vec<Event>,
}

/// How a run is cut up; none of it may change what it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Rows a batch.
    pub(crate) split: usize,
    /// Every batch is handled by a new instance that goes on from the snapshot of the one before.
    pub(crate) restart: bool,
    /// Rows of an output batch, two of which make the output full.
    pub(crate) out_rows: usize,
}

/// Runs the events.
pub(crate) fn run(case: &Case, how: How) -> Told {
    let How { split, restart, out_rows } = how;
    let plan = blueprint(case.policy.clone(), case.shape, case.take_back);
    let mut d = Drive {
        hand: bounded(plan.make(), out_rows),
        batch: Batch::default(),
        times: Vec::new(),
        seq: 0,
        told: Told::default(),
    };
    let mut offset = 0;
    for event in &case.events {
        match *event {
            Event::Row(row) => {
                d.batch.col.push(row);
                d.times.push(Timestamp(row.ts));
            }
            Event::Mark(w) => {
                let at = d.batch.len() as u32;
                push_mark(&mut d.batch.meta.marks, Mark { at, watermark: Timestamp(w) });
            }
            Event::Clock(at) => {
                d.flush();
                let outs = d.hand.advance(Moment(at - offset)).unwrap();
                d.note(&outs);
            }
            Event::End => {
                d.flush();
                let outs = d.hand.end().unwrap();
                d.note(&outs);
            }
        }
        if d.batch.len() >= split || (restart && matches!(event, Event::Mark(_))) {
            d.flush();
            if restart {
                offset += d.hand.now().0;
                let mut bytes = Vec::new();
                d.hand.stage.snapshot(&mut bytes).unwrap();
                d.hand = bounded(plan.make(), out_rows);
                d.hand.stage.restore(&bytes).unwrap();
                assert_eq!(d.hand.watermark(Timestamp::MIN).unwrap().len(), 0);
            }
        }
    }
    d.flush();
    let stage = &d.hand.stage;
    let (ledger, gauge) = (stage.ledger().unwrap(), stage.gauge().unwrap());
    assert!(ledger.balanced(), "{ledger}");
    let why = |k: u64| why_text(&stage.why(&k.to_be_bytes()), offset);
    Told {
        classes: ledger.classes().map(|(c, n)| (c.to_string(), n)).collect(),
        fragments: ledger.fragments,
        tombstones_evicted: ledger.tombstones_evicted,
        held: (gauge.keys, gauge.items, gauge.tombstones),
        why: (0..KEYS).map(why).collect(),
        ..d.told
    }
}

fn bounded<S: Stage>(stage: S, out_rows: usize) -> ByHand<S> {
    let home = StageHome { on_error: OnError::DeadLetter, ..StageHome::alone("assemble") };
    ByHand::bounded(stage, home, out_rows)
}

struct Drive<KO: KeyOf<Vec<Row>, Key = u64>> {
    hand: ByHand<Accumulator<Vec<Row>, KO, ListOf>>,
    batch: Batch<Vec<Row>>,
    times: Vec<Timestamp>,
    seq: u64,
    told: Told,
}

impl<KO: KeyOf<Vec<Row>, Key = u64>> Drive<KO> {
    fn flush(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        if batch.is_empty() && batch.meta.marks.is_empty() {
            return;
        }
        batch.meta.seq = Seq::Run(self.seq);
        self.seq += batch.len() as u64;
        batch.meta.time = Uniform::Rows(std::mem::take(&mut self.times));
        let outs = self.hand.feed_keyed(batch, &key_of()).unwrap();
        self.note(&outs);
    }

    fn note(&mut self, outs: &[Outcome<u64, Value>]) {
        self.told.outs.extend(outs.iter().map(text));
        self.told.dead.extend(self.hand.take_dead().iter().map(dead_text));
    }
}

/// Keys that random rows use.
pub(crate) const KEYS: u64 = 6;
