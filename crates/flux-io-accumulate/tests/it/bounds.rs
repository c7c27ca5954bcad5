//! Declared bounds: what is beyond one is no member, in whatever order it comes.

use flux_io_accumulate::{After, Assembly, Identity, OnLate, Policy, Require};
use flux_io_core::{
    Always, Batch, ByHand, Class, DeadCause, ErrorRecord, Original, Outcome, Seq, Stage, Var,
};

/// A part with its number, or (number 0) the header; and the bound it declares.
type Part = (u32, Option<u32>);

const HEADER: Part = (0, Some(2));

/// Feeds parts of one key one by one; results, letters and ledger in words.
fn told(policy: impl FnOnce(Policy) -> Policy, parts: &[Part]) -> (Vec<String>, String, String) {
    let plan = Assembly::<Vec<Part>, u64>::new()
        .policy(policy(Policy::new(Require::new().one("header").each("p", "n"))))
        .var(|p| if p.0 == 0 { Var::one(0) } else { Var::nth(1, p.0) })
        .bound("n", |p| p.1)
        .merge(|s: &mut Vec<u32>, p| s.push(p.0))
        .durable(
            |s, to| s.iter().for_each(|n| to.extend_from_slice(&n.to_le_bytes())),
            |from| Some(from.chunks(4).map(|b| u32::from(b[0])).collect()),
        )
        .accumulator(Always(|_: &Part| 1_u64))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let mut outs = Vec::new();
    for (seq, part) in parts.iter().enumerate() {
        let mut b = Batch::of(vec![*part]);
        b.meta.seq = Seq::Run(seq as u64);
        outs.extend(h.feed_keyed(b, &Always(|_: &Part| 1_u64)).unwrap());
    }
    outs.extend(h.end().unwrap());
    let l = h.stage.ledger().unwrap();
    assert!(l.balanced(), "{l}");
    let letter = |r: ErrorRecord| format!("{} x{}: {}", r.cause, r.items, r.what);
    let letters: Vec<String> = h.take_dead().into_iter().map(letter).collect();
    (outs.iter().map(words).collect(), letters.join("; "), l.to_string())
}

fn words(o: &Outcome<u64, Vec<u32>>) -> String {
    let kind = match o {
        Outcome::Complete { .. } => "complete",
        Outcome::Partial { .. } => "partial",
        Outcome::Late { .. } => "late",
        Outcome::Corrected { .. } => "corrected",
    };
    format!("{kind} x{} {:?}", o.headers().fragments, o.value())
}

fn orders<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for i in 0..of.len() {
        let mut rest = of.to_vec();
        let one = rest.remove(i);
        all.extend(orders(&rest).into_iter().map(|o| [vec![one], o].concat()));
    }
    all
}

/// Every order of a header, its two parts, a third and a copy of it gives one account: three
/// fragments complete, the third a dead letter, its copy a duplicate.
#[test]
fn what_is_beyond_a_bound_is_no_member_in_any_order() {
    let parts = [HEADER, (1, None), (2, None), (3, None), (3, None)];
    for order in orders(&parts) {
        let (outs, letters, ledger) = told(|p| p, &order);
        let want = "5 fragments, complete 3, duplicate 1, dead_letter.conflict 1";
        assert_eq!(ledger, want, "{order:?}");
        assert!(outs.len() == 1 && outs[0].starts_with("complete x3"), "{order:?}: {outs:?}");
        assert!(letters.starts_with("conflict x1: "), "{order:?}: {letters}");
    }
}

/// The same where variables do not tell fragments apart: each of them beyond the bound is counted.
#[test]
fn repeated_parts_beyond_a_bound_are_each_counted() {
    let parts = [HEADER, (1, None), (2, None), (3, None), (3, None)];
    for order in orders(&parts) {
        let (_, _, ledger) = told(|p| p.identity(Identity::SourceSeq), &order);
        let want = "5 fragments, complete 3, dead_letter.conflict 2";
        assert_eq!(ledger, want, "{order:?}");
    }
}

/// A second, different bound is a contradiction; the same again is none.
#[test]
fn a_second_bound_is_a_contradiction_when_it_differs() {
    let (outs, letters, ledger) = told(|p| p, &[HEADER, (1, Some(3)), (1, None), (2, Some(2))]);
    assert_eq!(outs, ["partial x2 [0, 2]"]);
    assert_eq!(letters, "conflict x1: it declares 3 for `n`, but its key has 2 already");
    assert_eq!(ledger, "4 fragments, partial.end 2, duplicate 1, dead_letter.conflict 1");
}

/// A row that contradicts itself opens no key and declares nothing.
#[test]
fn a_row_beyond_its_own_bound_declares_nothing() {
    let (outs, letters, ledger) = told(|p| p, &[(3, Some(2)), (0, Some(1)), (1, None)]);
    assert_eq!(outs, ["complete x2 [0, 1]"]);
    assert_eq!(letters, "conflict x1: number 3 of `p` is beyond 2, the bound its key declares");
    assert_eq!(ledger, "3 fragments, complete 2, dead_letter.conflict 1");
}

/// A late fragment declares no bound, so a part that follows is late; where results are corrected it
/// does.
#[test]
fn a_late_fragment_declares_a_bound_only_where_results_are_corrected() {
    let parts = [(1, None), (3, None), (0, Some(1)), (2, None)];
    let run = |late| told(|p| p.max_key_items(2).on_late(late), &parts);
    let (outs, letters, ledger) = run(OnLate::SideOutput);
    assert_eq!(outs, ["partial x2 [1, 3]", "late x1 [0]", "late x1 [2]"]);
    assert_eq!(
        (letters.as_str(), ledger.as_str()),
        ("", "4 fragments, partial.capacity 2, late 2")
    );
    let (outs, letters, ledger) = run(OnLate::Correct);
    // The closures cannot take the third part back: the value keeps it, the count does not.
    assert_eq!(outs, ["partial x2 [1, 3]", "corrected x2 [1, 3, 0]"]);
    assert_eq!(letters, "conflict x1: number 2 of `p` is beyond 1, the bound its key declares");
    let want = "4 fragments, partial.capacity 2, late 1, dead_letter.conflict 1";
    assert_eq!(ledger, want);
}

/// Under a tombstone as under an open key: the bound is remembered with it.
#[test]
fn a_key_that_has_left_knows_its_bound() {
    let parts = [HEADER, (1, None), (2, None), (9, None), (9, None), (1, Some(4))];
    let (_, letters, ledger) = told(|p| p, &parts);
    assert_eq!(letters, "conflict x1: number 9 of `p` is beyond 2, the bound its key declares");
    assert_eq!(ledger, "6 fragments, complete 3, duplicate 2, dead_letter.conflict 1");
    let (_, _, ledger) = told(|p| p.on_complete(After::Reset), &parts);
    assert_eq!(
        ledger,
        "6 fragments, complete 3, partial.end 1, duplicate 1, dead_letter.conflict 1"
    );
}

/// A number beyond the one that the requirement itself names is no variable of it.
#[test]
fn a_fixed_bound_rules_out_what_is_beyond_it() {
    let plan = Assembly::<Vec<u32>, u64>::new()
        .require(Require::new().numbered("p", 2))
        .var(|n| Var::nth(0, *n))
        .merge(|s: &mut Vec<u32>, n| s.push(*n))
        .accumulator(Always(|_: &u32| 1_u64))
        .unwrap();
    for order in orders(&[1, 2, 3]) {
        let mut h = ByHand::new(plan.make());
        let out = h.feed_keyed(Batch::of(order), &Always(|_: &u32| 1_u64)).unwrap();
        assert!(out[0].is_complete() && out[0].value().len() == 2);
        assert_eq!(h.take_dead()[0].what, "number 3 of variable `p` is above 2");
    }
}

/// The bound that stands for none cannot be declared, whatever the policy allows.
#[test]
fn the_largest_number_is_no_bound() {
    let top = u32::MAX;
    let (outs, letters, _) = told(|p| p.max_index(top), &[(0, Some(top)), (1, None)]);
    assert_eq!(letters, format!("type x1: the declared bound {top} is above {}", top - 1));
    assert_eq!(outs, ["partial x1 [1]"]);
}

/// Extensions beyond time, of no length, and in one go.
#[test]
fn extensions_end() {
    use flux_io_accumulate::{OnExpire, Then};
    use flux_io_core::{Timestamp, Uniform};
    use std::time::Duration;
    let fired = |ttl: Duration, times: u32, marks: &[i64]| {
        let on = OnExpire::Extend { times, then: Then::Partial };
        let plan = Assembly::<Vec<u32>, u64>::new()
            .require(Require::all(["a", "b"]))
            .expire_after(ttl)
            .on_expire(on)
            .merge(|s: &mut u32, _| *s += 1)
            .accumulator(Always(|_: &u32| 1_u64))
            .unwrap();
        let mut h = ByHand::new(plan.make());
        let mut b = Batch::of(vec![1]);
        b.meta.time = Uniform::All(Timestamp(0));
        let at_once = h.feed_keyed(b, &Always(|_: &u32| 1_u64)).unwrap().len();
        let fired = marks.iter().map(|w| h.watermark(Timestamp(*w)).unwrap().len());
        std::iter::once(at_once).chain(fired).collect::<Vec<_>>()
    };
    let ns = Duration::from_nanos;
    assert_eq!(fired(ns(5), 3, &[4, 19, 20]), [0, 0, 0, 1]);
    assert_eq!(fired(ns(5), u32::MAX, &[i64::MAX - 1, i64::MAX]), [0, 1, 0]);
    assert_eq!(fired(ns(0), u32::MAX, &[-1, 0]), [0, 0, 1]);
    assert_eq!(fired(Duration::MAX, u32::MAX, &[i64::MAX - 1, i64::MAX]), [0, 0, 1]);
}

/// What user code says of its state's heap may be any number.
#[test]
fn any_weight_is_a_weight() {
    let plan = Assembly::<Vec<u64>, u64>::new()
        .require(Require::all(["a", "b"]))
        .max_bytes(u64::MAX)
        .max_key_bytes(u64::MAX)
        .merge(|s: &mut u64, x| *s += *x)
        .weigh(|_| usize::MAX)
        .accumulator(Always(|x: &u64| *x))
        .unwrap();
    let mut h = ByHand::new(plan.make());
    let out = h.feed_keyed(Batch::of(vec![1, 2, 3]), &Always(|x: &u64| *x)).unwrap();
    assert_eq!(out.len(), 3, "each reaches the bytes of a key");
    assert_eq!(h.stage.ledger().unwrap().get(Class::DeadLetter(DeadCause::Conflict)), 0);
    assert_eq!(h.stage.gauge().unwrap().keys, 0);
    let _ = Original::None;
}
