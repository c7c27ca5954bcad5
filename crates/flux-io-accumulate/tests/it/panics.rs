//! Panics of user code: what each costs, and that it costs nothing else.

use flux_io_accumulate::{
    After, Assembly, Blueprint, EvictTo, OnEnd, OnExpire, OnLate, OnLimit, Policy, Require,
};
use flux_io_core::{
    Accumulate, Always, Batch, ByHand, Class, Command, Completeness, DeadCause, DropCause,
    ErrorClass, ErrorKind, ErrorRecord, Key, KeyOf, Ledger, Moment, OnError, Outcome, Reason,
    RowError, Stage, StageHome, Timestamp, Uniform, Var, Why,
};
use std::time::Duration;

/// A fragment: key, variable, and where user code panics on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bit(u64, u16, &'static str);

fn explode(at: &'static str, here: &str) {
    if at == here {
        std::panic::resume_unwind(Box::new(format!("{here} boom")));
    }
}

fn key() -> impl KeyOf<Vec<Bit>, Key = u64> {
    Always(|b: &Bit| {
        explode(b.2, "key");
        b.0
    })
}

/// The variables of a key as they were merged, each with its trap.
type State = Vec<(u16, &'static str)>;

trait Acc: Accumulate<Vec<Bit>, Key = u64, State = State, Out = State> {}
impl<A: Accumulate<Vec<Bit>, Key = u64, State = State, Out = State>> Acc for A {}

fn last(state: &State) -> &'static str {
    state.last().map_or("", |x| x.1)
}

/// Two of four variables under the policy that `words` make.
fn blueprint(
    words: impl FnOnce(Policy) -> Policy,
) -> Blueprint<Vec<Bit>, impl KeyOf<Vec<Bit>, Key = u64>, impl Acc> {
    Assembly::<Vec<Bit>, u64>::new()
        .policy(words(Policy::new(Require::all(["a", "b"]).and(Require::count(2)))))
        .try_var(|b| {
            explode(b.2, "var");
            if b.2 == "no var" { Err(RowError::wrong_type("no")) } else { Ok(Var::one(b.1)) }
        })
        .try_merge(|s: &mut State, b| {
            explode(b.2, "merge");
            if b.2 == "no merge" {
                return Err(RowError::new(DeadCause::Conflict, "no"));
            }
            s.push((b.1, b.2));
            explode(b.2, "half a merge");
            Ok(())
        })
        .finish(|_: &u64, s: &mut State| {
            s.iter().for_each(|x| explode(x.1, "finish"));
            s.clone()
        })
        .weigh(|s| {
            explode(last(s), "weigh");
            0
        })
        .check(|s, _| {
            explode(last(s), "check");
            None::<Completeness>
        })
        .accumulator(key())
        .unwrap()
}

type Hand<S> = ByHand<S>;

fn hand<KO: KeyOf<Vec<Bit>, Key = u64>, A: Acc>(
    plan: &Blueprint<Vec<Bit>, KO, A>,
    on_error: OnError,
    out_rows: usize,
) -> Hand<impl Stage<In = Vec<Bit>, Out = Vec<Outcome<u64, State>>> + use<KO, A>> {
    let home = StageHome { on_error, ..StageHome::alone("a") };
    ByHand::bounded(plan.make(), home, out_rows)
}

/// Feeds rows whose keys can be hashed, `n` a batch.
fn feed<S: Stage<In = Vec<Bit>, Out = Vec<Outcome<u64, State>>>>(
    h: &mut Hand<S>,
    rows: &[Bit],
    n: usize,
) -> Vec<Outcome<u64, State>> {
    let part = |part: &[Bit]| {
        let mut b = Batch::of(part.to_vec());
        b.meta.hash = part.iter().map(|r| h.hash(&r.0)).collect();
        b.meta.time = Uniform::All(Timestamp(0));
        h.feed(b).unwrap()
    };
    rows.chunks(n).flat_map(part).collect()
}

fn ledger<S: Stage>(h: &Hand<S>) -> Ledger {
    let l = h.stage.ledger().unwrap();
    assert!(l.balanced(), "{l}");
    l
}

/// A panic in the middle of a batch leaves every other key as it would be without it, at each batch
/// size, and however many results an output batch holds.
#[test]
fn a_panic_in_merge_costs_its_key_and_no_other() {
    let mut rows: Vec<Bit> = (0..1_000).map(|k| Bit(k, 0, "")).collect();
    rows.extend((0..1_000).map(|k| Bit(k, 1, if k == 500 { "half a merge" } else { "" })));
    for (n, out_rows) in [(1, 9), (16, 1), (1_024, 2), (2_000, 5_000)] {
        let plan = blueprint(|p| p);
        let mut h = hand(&plan, OnError::DeadLetter, out_rows);
        let out = feed(&mut h, &rows, n);
        assert!(out.iter().all(|o| o.is_complete() && *o.key() != 500), "batches of {n}");
        assert_eq!(out.len(), 999);
        let l = ledger(&h);
        assert_eq!(
            (l.get(Class::Complete), l.get(Class::DeadLetter(DeadCause::Poison))),
            (1_998, 2)
        );
        let letters = h.take_dead();
        assert_eq!(letters.len(), 1);
        let told = "`merge` panicked: half a merge boom; 1 earlier fragment: a";
        let r = letters.into_iter().next().unwrap();
        assert_eq!((r.what.as_str(), r.items, r.seq), (told, 2, rows_seq(n)));
        assert_eq!(r.key.as_deref(), Some(&500_u64.to_be_bytes()[..]));
        let row = r.into_dead_letter::<Vec<Bit>>().unwrap().original;
        assert_eq!(row, [Bit(500, 1, "half a merge")], "the row, whole");
    }
}

/// Batches fed by hand are numbered from 0 each.
const fn rows_seq(n: usize) -> u64 {
    (1_500 % n) as u64
}

/// What each closure costs when it panics on the middle one of three fragments of a key, in words.
#[test]
fn each_closure_costs_its_row_or_its_key() {
    let told = |trap| {
        let plan = blueprint(|p| p);
        let rows = [Bit(7, 0, ""), Bit(8, 0, ""), Bit(7, 1, trap), Bit(8, 1, ""), Bit(7, 1, "")];
        let mut all = Vec::new();
        for n in [1, 5] {
            let mut h = hand(&plan, OnError::DeadLetter, 9);
            let mut out = feed(&mut h, &rows, n);
            out.extend(h.end().unwrap());
            let eight = out.iter().find(|o| *o.key() == 8).unwrap();
            assert!(eight.is_complete(), "{trap}: the other key is whole");
            let letters = h.take_dead().iter().map(|r| r.what.clone()).collect::<Vec<_>>();
            all.push((letters.join("; "), ledger(&h).to_string()));
        }
        assert_eq!(all[0], all[1], "{trap}");
        all.pop().unwrap()
    };
    let row = |what: &str| {
        let classes = "5 fragments, complete 4, dead_letter.panicked 1".to_owned();
        (format!("`{what}` panicked: {what} boom"), classes)
    };
    // The copy that follows is the duplicate of a fragment that was met.
    let key = |what: &str| {
        let classes = "5 fragments, complete 2, duplicate 1, dead_letter.poison 2".to_owned();
        (format!("`{what}` panicked: {what} boom; 1 earlier fragment: a"), classes)
    };
    assert_eq!(told("var"), row("var"));
    for what in ["merge", "weigh", "check"] {
        assert_eq!(told(what), key(what));
    }
    let (finish, classes) = told("finish");
    assert_eq!((finish, classes), key("finish"));
}

/// An error of merge that left the state as it was costs its row.
#[test]
fn an_error_costs_its_row() {
    let plan = blueprint(|p| p);
    let mut h = hand(&plan, OnError::DeadLetter, 9);
    let rows = [Bit(1, 0, ""), Bit(1, 1, "no merge"), Bit(1, 1, "no var"), Bit(1, 1, "")];
    assert!(feed(&mut h, &rows, 4)[0].is_complete());
    assert_eq!(ledger(&h).dead_letters(), 2);
}

/// A poisoned key leaves as any key does: what stays of it is the policy's.
#[test]
fn a_poisoned_key_leaves_as_the_policy_says() {
    let rows = [
        Bit(1, 0, ""),
        Bit(1, 1, "merge"),
        Bit(1, 1, ""),
        Bit(1, 0, ""),
        Bit(1, 2, ""),
        Bit(1, 3, ""),
    ];
    let run = |words: fn(Policy) -> Policy| {
        let plan = blueprint(|p| {
            let four = Require::all(["a", "b"]).and(Require::any(["c", "d"]));
            words(p).require(four).on_end(OnEnd::Drop)
        });
        let mut h = hand(&plan, OnError::DeadLetter, 9);
        let out = feed(&mut h, &rows, 3);
        let out = out.iter().map(|o| (o.is_complete(), o.headers().generation)).collect::<Vec<_>>();
        (out, ledger(&h).to_string())
    };
    let late = "6 fragments, duplicate 2, late 2, dead_letter.poison 2";
    assert_eq!(run(|p| p), (vec![(false, 0), (false, 0)], late.into()));
    let again = "6 fragments, complete 3, dead_letter.poison 2, open 1";
    assert_eq!(run(|p| p.on_complete(After::Remove)), (vec![(true, 0)], again.into()));
    assert_eq!(run(|p| p.on_complete(After::Reset)), (vec![(true, 1)], again.into()));
    let new = "6 fragments, duplicate 2, dead_letter.poison 2, open 2";
    assert_eq!(run(|p| p.on_late(OnLate::NewGeneration)), (vec![], new.into()));
}

/// Results are also made outside rows: at a deadline, when a key makes room, by request, at the end.
#[test]
fn a_panic_in_finish_outside_rows_costs_its_key() {
    let rows = [Bit(1, 0, ""), Bit(2, 0, "finish"), Bit(3, 0, "")];
    fn poisons<S: Stage>(h: &mut Hand<S>) -> Vec<String> {
        let l = h.stage.ledger().unwrap();
        assert!(l.balanced(), "{l}");
        assert_eq!(l.get(Class::DeadLetter(DeadCause::Poison)), 1, "{l}");
        h.take_dead().into_iter().map(|r| r.what).collect()
    }
    let named = |p: Policy| p.require(Require::all(["a", "b"]));
    let ten = Duration::from_nanos(10);
    let plan = blueprint(|p| named(p).expire_after(ten).timeout(ten));
    let open = || {
        let mut h = hand(&plan, OnError::DeadLetter, 1);
        assert!(feed(&mut h, &rows, 3).is_empty());
        h
    };
    let mut h = open();
    let out = h.watermark(Timestamp(10)).unwrap();
    check_keys(&out, &poisons(&mut h), "by the watermark");
    let mut h = open();
    let out = h.advance(Moment(10)).unwrap();
    check_keys(&out, &poisons(&mut h), "by the clock");
    let mut h = open();
    let out = h.end().unwrap();
    check_keys(&out, &poisons(&mut h), "at the end");
    let mut h = open();
    let out = h.command(&Command::FlushAll).unwrap();
    check_keys(&out, &poisons(&mut h), "by request");
    // The rows that push them out are handled whole.
    let plan = blueprint(|p| named(p).max_keys(1));
    let mut h = hand(&plan, OnError::DeadLetter, 9);
    let more = [Bit(4, 0, ""), Bit(4, 1, "")];
    let out = feed(&mut h, &[&rows[..], &more].concat(), 5);
    check_keys(&out[..2], &poisons(&mut h), "by eviction");
    assert!(out[2].is_complete() && *out[2].key() == 4);
}

fn check_keys(out: &[Outcome<u64, State>], poisons: &[String], how: &str) {
    let keys: Vec<u64> = out.iter().map(|o| *o.key()).collect();
    assert_eq!(keys, [1, 3], "{how}");
    assert_eq!(poisons, ["`finish` panicked: finish boom; 1 fragment: a"], "{how}");
}

/// A question meets user code, too, and costs nothing.
#[test]
fn a_question_costs_nothing() {
    let plan = blueprint(|p| p.require(Require::all(["a", "b"])));
    let mut h = hand(&plan, OnError::DeadLetter, 9);
    feed(&mut h, &[Bit(1, 0, "")], 1);
    let reply = flux_io_core::Reply::new();
    let why = Command::Why(1_u64.to_be_bytes().to_vec(), reply.clone());
    h.command(&why).unwrap();
    assert!(matches!(reply.take(), Some(Why::Open { fragments: 1, .. })));
}

/// Under policy Fail the run ends with the closure, the row and the text; nothing is tried again.
#[test]
fn policy_fail_ends_the_run() {
    let plan = blueprint(|p| p);
    for (trap, what) in [("merge", "`merge`"), ("var", "`var`"), ("finish", "`finish`")] {
        let mut h = hand(&plan, OnError::Fail, 9);
        let rows = [Bit(1, 0, ""), Bit(1, 1, trap), Bit(2, 0, "")];
        let mut b = Batch::of(rows.to_vec());
        b.meta.hash = rows.iter().map(|r| h.hash(&r.0)).collect();
        let e = h.feed(b).unwrap_err();
        let text = format!("{what} panicked at row 1 of source 0: {trap} boom");
        assert_eq!((e.what, e.class, e.kind), (text, ErrorClass::Permanent, ErrorKind::Panicked));
    }
}

/// Under policy Skip what is lost is dropped and counted, without a letter.
#[test]
fn policy_skip_drops_what_is_lost() {
    let plan = blueprint(|p| p);
    let mut h = hand(&plan, OnError::Skip, 9);
    let rows = [Bit(1, 0, ""), Bit(1, 1, "merge"), Bit(2, 0, "var"), Bit(3, 0, ""), Bit(3, 1, "")];
    assert_eq!(feed(&mut h, &rows, 5).len(), 1);
    assert!(h.take_dead().is_empty());
    assert_eq!(h.take_dropped(), [("skip", 3)]);
    assert_eq!(ledger(&h).get(Class::Dropped(DropCause::Skip)), 3);
}

/// A late fragment on which merge panics costs itself; its copies are duplicates.
#[test]
fn a_late_fragment_costs_itself() {
    let late = [Bit(1, 2, "merge"), Bit(1, 2, ""), Bit(1, 3, "")];
    let either = Require::all(["a", "b"]).or(Require::all(["c", "d"]));
    let plan = blueprint(|p| p.require(either));
    let mut h = hand(&plan, OnError::DeadLetter, 9);
    feed(&mut h, &[Bit(1, 0, ""), Bit(1, 1, "")], 2);
    feed(&mut h, &late, 3);
    let want = "5 fragments, complete 2, duplicate 1, late 1, dead_letter.poison 1";
    assert_eq!(ledger(&h).to_string(), want);
}

/// A key with traps of its own.
#[derive(Debug)]
struct Trap(u64);

const EQ: u64 = 13;
const DROP: u64 = 14;
const HEAP: u64 = 15;
const CLONE: u64 = 16;
const ORDER: u64 = 17;

fn spring(at: bool, what: &'static str) {
    if at && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(what));
    }
}

impl PartialEq for Trap {
    fn eq(&self, other: &Self) -> bool {
        spring(self.0 == EQ, "eq");
        self.0 == other.0
    }
}
impl Eq for Trap {}
impl std::hash::Hash for Trap {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl Clone for Trap {
    fn clone(&self) -> Self {
        spring(self.0 == CLONE, "clone");
        Self(self.0)
    }
}
impl Drop for Trap {
    fn drop(&mut self) {
        spring(self.0 == DROP, "drop");
    }
}
impl Key for Trap {
    fn write_bytes(&self, out: &mut Vec<u8>) {
        self.0.write_bytes(out);
    }
    fn read_bytes(bytes: &[u8]) -> Option<Self> {
        u64::read_bytes(bytes).map(Self)
    }
    fn cmp_bytes(&self, other: &Self) -> std::cmp::Ordering {
        spring(self.0 == ORDER || other.0 == ORDER, "order");
        self.0.cmp(&other.0)
    }
    fn heap_bytes(&self) -> usize {
        spring(self.0 == HEAP, "heap");
        0
    }
}

/// A key's own code: where it panics, the key pays, and every other key is whole.
#[test]
fn a_keys_own_code_costs_that_key() {
    let key = || Always(|r: &(u64, u16)| Trap(r.0));
    let rows = |k: u64| vec![(1, 0), (k, 0), (2, 0), (k, 1), (1, 1), (2, 1)];
    for (k, after, lost) in [
        (EQ, After::Remove, 2),
        (HEAP, After::Remove, 2),
        (CLONE, After::Tombstone(flux_io_accumulate::Keep::ToEnd), 2),
        (ORDER, After::Remove, 0),
    ] {
        let plan = Assembly::<Vec<(u64, u16)>, Trap>::new()
            .require(Require::all(["a", "b"]))
            .on_complete(after)
            .max_items(100)
            .var(|r| Var::one(r.1))
            .merge(|n: &mut u32, _| *n += 1)
            .accumulator(key())
            .unwrap();
        for n in [1, 6] {
            let home = StageHome { on_error: OnError::DeadLetter, ..StageHome::alone("a") };
            let mut h = ByHand::at_home(plan.make(), home);
            let mut out = Vec::new();
            for part in rows(k).chunks(n) {
                let mut b = Batch::of(part.to_vec());
                b.meta.hash = part.iter().map(|r| h.hash(&Trap(r.0))).collect();
                out.extend(h.feed(b).unwrap());
            }
            out.extend(h.end().unwrap());
            let l = h.stage.ledger().unwrap();
            assert!(l.balanced(), "{k}: {l}");
            let whole = out.iter().filter(|o| o.is_complete() && o.key().0 < 3).count();
            assert_eq!((whole, l.get(Class::DeadLetter(DeadCause::Poison))), (2, lost), "{k}: {l}");
        }
    }
}

/// A key that panics when it is dropped has left the accounts by then.
#[test]
fn a_key_that_panics_when_dropped_is_gone_all_the_same() {
    let plan = Assembly::<Vec<(u64, u16)>, Trap>::new()
        .require(Require::all(["a", "b"]))
        .on_complete(After::Remove)
        .expire_after(Duration::from_nanos(5))
        .on_expire(OnExpire::Drop)
        .on_limit(OnLimit::Evict(EvictTo::DeadLetter))
        .var(|r| Var::one(r.1))
        .merge(|n: &mut u32, _| *n += 1)
        .accumulator(Always(|r: &(u64, u16)| Trap(r.0)))
        .unwrap();
    let home = StageHome { on_error: OnError::DeadLetter, ..StageHome::alone("a") };
    let mut h = ByHand::at_home(plan.make(), home);
    let mut b = Batch::of(vec![(DROP, 0), (1, 0)]);
    b.meta.hash = vec![1, h.hash(&1_u64)];
    b.meta.time = Uniform::All(Timestamp(0));
    assert!(h.feed(b).unwrap().is_empty());
    assert!(h.watermark(Timestamp(5)).unwrap().is_empty());
    let l = h.stage.ledger().unwrap();
    assert_eq!((l.get(Class::Dropped(DropCause::ExpireDrop)), l.get(Class::Open)), (2, 0), "{l}");
}

/// Letters of rows keep their originals also where the output fills in the same batch.
#[test]
fn letters_keep_their_originals_when_the_output_fills() {
    let plan = blueprint(|p| {
        p.require(Require::any(["a"])).on_duplicate(flux_io_accumulate::OnDuplicate::DeadLetter)
    });
    let mut h = hand(&plan, OnError::DeadLetter, 1);
    let rows: Vec<Bit> = (0..40).flat_map(|k| [Bit(k, 0, ""), Bit(k, 0, "copy")]).collect();
    assert_eq!(feed(&mut h, &rows, 80).len(), 40);
    let letters: Vec<ErrorRecord> = h.take_dead();
    assert_eq!(letters.len(), 40);
    for (k, letter) in letters.into_iter().enumerate() {
        assert_eq!((letter.cause, letter.seq), (DeadCause::Conflict, 2 * k as u64 + 1));
        let original = letter.into_dead_letter::<Vec<Bit>>().unwrap().original;
        assert_eq!(original, [Bit(k as u64, 0, "copy")]);
    }
    assert_eq!(ledger(&h).get(Class::Partial(Reason::End)), 0);
}
