//! Small stories: fragments with text keys and named variables, driven by hand, told as text.

use flux_io_accumulate::{Accumulator, Assembly, Blueprint, Policy, Require};
use flux_io_core::{
    Accumulate, Batch, ByHand, ByStr, Class, ErrorRecord, KeyOf, Ledger, Moment, Outcome, Stage,
    StageHome, Timestamp, Uniform, Why,
};
use std::time::Duration;

/// A fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) key: Option<&'static str>,
    pub(crate) var: &'static str,
    pub(crate) ts: i64,
}

/// A fragment of a key.
pub(crate) const fn at(key: &'static str, var: &'static str, ts: i64) -> Piece {
    Piece { key: Some(key), var, ts }
}

/// A fragment of event time 0.
pub(crate) const fn of(key: &'static str, var: &'static str) -> Piece {
    at(key, var, 0)
}

pub(crate) const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// The variables of a key, in the order of arrival.
pub(crate) type Names = Vec<String>;

pub(crate) fn key_of() -> impl KeyOf<Vec<Piece>, Key = String> {
    ByStr(key)
}

const fn key(p: &Piece) -> Option<&str> {
    p.key
}

/// An accumulator under a driver.
pub(crate) struct Hand<KO: KeyOf<Vec<Piece>>, A: Accumulate<Vec<Piece>, Key = KO::Key>> {
    pub(crate) by_hand: ByHand<Accumulator<Vec<Piece>, KO, A>>,
}

/// A pair `a`, `b` under the policy that `words` make of the default one.
pub(crate) fn pair(
    words: impl FnOnce(Policy) -> Policy,
) -> Hand<impl KeyOf<Vec<Piece>, Key = String>, impl Acc> {
    required(Require::all(["a", "b"]), words)
}

/// The same for any requirement without bounds.
pub(crate) fn required(
    require: Require,
    words: impl FnOnce(Policy) -> Policy,
) -> Hand<impl KeyOf<Vec<Piece>, Key = String>, impl Acc> {
    hand(blueprint(require, words), StageHome::alone("assemble"))
}

pub(crate) trait Acc:
    Accumulate<Vec<Piece>, Key = String, State = Names, Out = Names>
{
}
impl<A: Accumulate<Vec<Piece>, Key = String, State = Names, Out = Names>> Acc for A {}

pub(crate) fn blueprint(
    require: Require,
    words: impl FnOnce(Policy) -> Policy,
) -> Blueprint<Vec<Piece>, impl KeyOf<Vec<Piece>, Key = String>, impl Acc> {
    Assembly::<Vec<Piece>, String>::new()
        .policy(words(Policy::new(require)))
        .var_name(|p| p.var)
        .merge(|names: &mut Names, p| names.push(p.var.to_owned()))
        .weigh(|names| names.iter().map(String::len).sum())
        .durable(
            |names, to| to.extend_from_slice(names.join(" ").as_bytes()),
            |from| {
                let text = std::str::from_utf8(from).ok()?;
                Some(text.split_whitespace().map(str::to_owned).collect())
            },
        )
        .accumulator(key_of())
        .unwrap()
}

pub(crate) fn hand<KO: KeyOf<Vec<Piece>, Key = String>, A: Acc>(
    plan: Blueprint<Vec<Piece>, KO, A>,
    home: StageHome,
) -> Hand<KO, A> {
    Hand { by_hand: ByHand::at_home(plan.make(), home) }
}

impl<KO: KeyOf<Vec<Piece>, Key = String>, A: Acc> Hand<KO, A> {
    pub(crate) fn feed(&mut self, rows: &[Piece]) -> Vec<String> {
        self.told(|h| h.feed_keyed(batch(rows), &key_of()))
    }

    pub(crate) fn mark(&mut self, w: i64) -> Vec<String> {
        self.told(|h| h.watermark(Timestamp(w)))
    }

    pub(crate) fn clock(&mut self, now: u64) -> Vec<String> {
        self.told(|h| h.advance(Moment(now)))
    }

    pub(crate) fn end(&mut self) -> Vec<String> {
        self.told(ByHand::end)
    }

    pub(crate) fn told(
        &mut self,
        act: impl FnOnce(
            &mut ByHand<Accumulator<Vec<Piece>, KO, A>>,
        ) -> Result<Vec<Outcome<String, Names>>, flux_io_core::StageError>,
    ) -> Vec<String> {
        let outs = act(&mut self.by_hand).unwrap();
        assert!(self.ledger().balanced(), "{}", self.ledger());
        outs.iter().map(text).collect()
    }

    /// Dead letters as `cause key xitems`.
    pub(crate) fn dead(&mut self) -> Vec<String> {
        self.by_hand.take_dead().iter().map(dead).collect()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.by_hand.stage.ledger().unwrap()
    }

    /// Fragments of one class.
    pub(crate) fn count(&self, class: Class) -> u64 {
        self.ledger().get(class)
    }

    /// Keys open.
    pub(crate) fn open(&self) -> u64 {
        self.by_hand.stage.gauge().unwrap().keys
    }

    pub(crate) fn why(&self, key: &str) -> Why {
        self.by_hand.stage.why(key.as_bytes())
    }
}

/// A batch of these rows with their event times.
pub(crate) fn batch(rows: &[Piece]) -> Batch<Vec<Piece>> {
    let mut batch = Batch::of(rows.to_vec());
    batch.meta.time = Uniform::Rows(rows.iter().map(|p| Timestamp(p.ts)).collect());
    batch
}

/// `key kind reason: variables [-missing]`, with `#generation` behind the key when not the first.
pub(crate) fn text(o: &Outcome<String, Names>) -> String {
    let h = o.headers();
    let mut text = o.key().clone();
    if h.generation > 0 {
        text += &format!("#{}", h.generation);
    }
    text += match o {
        Outcome::Complete { .. } => " complete",
        Outcome::Partial { .. } => " partial",
        Outcome::Late { .. } => " late",
        Outcome::Corrected { .. } => " corrected",
    };
    if matches!(o, Outcome::Partial { .. }) {
        text += &format!(" {}", h.reason.as_str());
    }
    text += &format!(": {}", o.value().join(" "));
    if h.missing.is_some() {
        text += &format!(" -{}", h.missing_vars());
    }
    text
}

fn dead(r: &ErrorRecord) -> String {
    let key = r.key.as_ref().map_or("?", |k| std::str::from_utf8(k).unwrap());
    format!("{} {key} x{}", r.cause, r.items)
}
