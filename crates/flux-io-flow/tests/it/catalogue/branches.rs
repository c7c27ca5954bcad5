//! Branches and joins in plans: what is refused, in which words, and what is told.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use crate::kit::{Flow, nothing};
use flux_io_flow::{
    Batching, Explain, Hold, InOrder, Join, JoinStrategy, Leftover, Pipeline, PlanFaults,
    SharedRows, Unrouted,
};
use std::time::Duration;

fn faults(r: Result<impl Sized, PlanFaults>) -> String {
    match r {
        Ok(_) => "valid".to_owned(),
        Err(e) => e.to_string(),
    }
}

fn numbers() -> Flow<Vec<u64>> {
    Pipeline::new().source("in", nothing::<Vec<u64>>())
}

fn two() -> [Flow<SharedRows<Vec<u64>>>; 2] {
    <[_; 2]>::try_from(numbers().broadcast("both", 2)).expect("two flows")
}

/// A merge of one flow and a branch to none are refused, all at once and with the nearest fix.
#[test]
fn p019_joins_and_branches_have_partners() {
    let p = Pipeline::new();
    let one = p.source("in", nothing::<Vec<u64>>());
    let _ = p.merge("m", one).discard("end");
    let none = p.source("other", nothing::<Vec<u64>>());
    assert!(none.route("r", 0, Unrouted::Drop, |_| None).is_empty());
    assert_eq!(
        faults(p.plan()),
        "2 faults in the plan\n  \
         P019: the merge `m` has one input (at in -> m); join a second flow to it, or leave it out\n  \
         P019: the branch `r` has no output (at other -> r); give it at least one output"
    );
}

/// An output that leads nowhere is found by its stage and port.
#[test]
fn unjoined_outputs_of_a_branch_are_found() {
    let (yes, no) = numbers().split("s", |x| *x > 3);
    let p = yes.pipeline();
    let _ = yes.discard("end");
    drop(no);
    assert_eq!(
        faults(p.plan()),
        "1 fault in the plan\n  \
         P002: output 1 of stage `s` leads nowhere (at in -> s); end it with `.sink(name, ..)`, \
         `.fold(name, ..)` or `.discard(name)`"
    );
}

/// Branches that meet again by place: each way gives a row for each row, and neither is further
/// behind than what is held where they meet.
#[test]
fn b024_branches_that_meet_by_place_are_in_step() {
    let zip = |a: Flow<Vec<u64>>, b: Flow<Vec<u64>>, hold: usize| {
        let pairs = a.zip_with("z", b, Leftover::Fail, Hold::rows(hold), Hold::rows(hold));
        faults(pairs.discard("end").plan())
    };
    let [a, b] = two();
    let (a, b) = (a.map_rows("a", |x| *x), b.map_rows("b", |x| *x));
    assert_eq!(zip(a.closed(), b.closed(), 10), "valid");
    let [a, b] = two();
    let (a, b) = (a.map_rows("a", |x| *x), b.map_rows("b", |x| *x).filter("c", |x| *x > 1));
    assert_eq!(
        zip(a.closed(), b.closed(), 10),
        "1 fault in the plan\n  \
         P021: `z` pairs branches of `both` by place, but `b+c` may not give one row for each row \
         (at in -> both -> a -> z); join them by number: `.join(name, other, Join::by_seq(..))`, or \
         declare `rows_out_per_in` of 1 where it holds"
    );
    let [a, b] = two();
    let a = a.map_rows("a", |x| *x).batch("late", Batching::Fixed(100));
    let b = b.map_rows("b", |x| *x).closed();
    assert_eq!(
        zip(a, b, 99),
        "1 fault in the plan\n  \
         P021: one branch of `both` is 99 rows behind the other at `z`, which holds 99 (at in -> \
         both -> a -> late -> z); let it hold more rows than the branches differ by: \
         `Hold::rows(n)`"
    );
    let [a, b] = two();
    let a = a.map_rows("a", |x| *x).batch("late", Batching::Fixed(100));
    assert_eq!(zip(a, b.map_rows("b", |x| *x).closed(), 100), "valid");
    let (yes, no) = numbers().split("s", |x| *x > 3);
    assert_eq!(
        zip(yes, no, 10),
        "1 fault in the plan\n  \
         P021: `z` pairs by place what `s` has dealt out (at in -> s -> z); merge it with \
         `.merge_by_seq(..)`, or pair branches of a `.broadcast(..)`"
    );
}

/// Two sources may be zipped whatever stands between: their rows belong together by place alone.
#[test]
fn sources_meet_as_they_like() {
    let p = Pipeline::new();
    let a = p.source("a", nothing::<Vec<u64>>()).filter("fa", |x| *x > 1);
    let b = p.source("b", nothing::<Vec<u64>>());
    assert_eq!(faults(a.zip("z", b, Leftover::Drop).discard("end").plan()), "valid");
}

/// Stages of a user's own are taken at their word.
#[test]
fn declared_stages_are_in_step() {
    use flux_io_flow::stages::Pass;
    for declared in [false, true] {
        let [a, b] = two();
        let a = a.map_rows("a", |x| *x).stage("own", Pass::default());
        let a = if declared { a.hint(|h| h.rows_out_per_in = Some(1.0)) } else { a };
        let plan = a.zip("z", b.map_rows("b", |x| *x), Leftover::Fail).discard("end").plan();
        assert_eq!(plan.is_ok(), declared);
    }
}

/// A join by number that may wait for what a branch dropped says so in the plan, unless it has
/// patience; and so does one whose held rows cannot be written into a checkpoint.
#[test]
fn what_a_join_may_wait_for_is_told() {
    let plan = |hold: Hold<u64>| {
        let [a, b] = two();
        let b = b.map_rows("b", |x| *x).stage("some", flux_io_flow::stages::Pass::default());
        let join = Join::by_seq(JoinStrategy::AllComplete).hold(hold);
        let joined = a.map_rows("a", |x| *x).join("j", b, join);
        joined.discard("end").plan().expect("valid").explain()
    };
    let told = plan(Hold::rows(5));
    for line in [
        "  j: merge, Vec<u64> and Vec<u64> to Vec<Joined<u64>>\n    join; on error: the run fails\n",
        "    by = sequence number\n    held rows = no codec\n    hold = 5\n    rest = dropped\n    \
         strategy = all complete\n    declared: stateful, needs exact sequence numbers\n",
        "  joins at j: waits for as long as its inputs live: should `some` drop more rows in a row \
         than are held and buffered, its branches wait for each other, since it has no patience; \
         say `Hold::patience(d)`\n",
        "  checkpoint at j: may not be checkpointed: a run gives up checkpoints that find rows held \
         here, since rows are held without a codec; say `Hold::durable(save, load)`\n",
        "  both: branch, Vec<u64> to SharedRows<Vec<u64>> and SharedRows<Vec<u64>>\n    broadcast; ",
    ] {
        assert!(told.contains(line), "{line}\nis not in\n{told}");
    }
    let hold = Hold::rows(5).patience(Duration::from_secs(1));
    let told = plan(hold.durable(|x: &u64, to| to.extend(x.to_le_bytes()), |_| None));
    assert!(!told.contains("joins at j") && !told.contains("checkpoint at j"), "{told}");
    assert!(told.contains("depends on the schedule\n  j: patience\n"), "{told}");
}

/// Branches and merges have shapes of their own in drawings.
#[test]
fn branches_and_merges_are_drawn() {
    let (yes, no) = numbers().split("s", |x| *x > 3);
    let end = yes.merge_by_seq("m", no, InOrder::default()).discard("end");
    assert_eq!(
        end.plan().expect("valid").mermaid(),
        "flowchart LR\n  s0([\"in\"])\n  s1{\"s<br/>split\"}\n  \
         s2[/\"m<br/>merge_by_seq\"\\]\n  s3[[\"end\"]]\n  s0 --> s1\n  s1 --> s2\n  s1 --> s2\n  \
         s2 --> s3\n"
    );
}

/// A branch that drops rows tells how far it has come, and a join by number has nothing to wait for;
/// one that holds more rows back than the join may hold is told, and so is what a join by id of
/// flows that may wait for each other does about it.
#[test]
fn what_a_join_need_not_wait_for_is_not_told() {
    let plan = |rows: usize, hold: usize| {
        let [a, b] = two();
        let b = b.map_rows("b", |x| *x).filter("some", |x| *x > 1);
        let b = b.batch("cut", Batching::Fixed(rows));
        let order = InOrder::within(Hold::rows(hold));
        let merged = a.map_rows("a", |x| *x).merge_by_seq("m", b, order);
        merged.discard("end").plan().expect("valid").explain()
    };
    assert!(!plan(5, 5).contains("joins at m"), "{}", plan(5, 5));
    let told = plan(6, 5);
    let line = "  joins at m: waits for as long as its inputs live: one branch is 5 rows behind the \
                other, and it holds 5; should they not fit between, its branches wait for each other, \
                since it has no patience; say `Hold::patience(d)`\n";
    assert!(told.contains(line), "{told}");
    let ids = |silent: bool| {
        let [a, b] = two();
        let (a, b) = (a.map_rows("a", |x| *x), b.map_rows("b", |x| *x));
        let b = if silent { b.flat_map("some", |x| [x]).closed() } else { b.closed() };
        let join = Join::by_id(|x: &u64| *x, JoinStrategy::AllComplete).hold(Hold::rows(5));
        a.join("j", b, join).discard("end").plan().expect("valid").explain()
    };
    assert!(!ids(false).contains("joins at j"), "{}", ids(false));
    let line = "  joins at j: gives the older half of its ids up when it is full and no row has come \
                for 5s, since its inputs may wait for each other, and do not all tell how far they \
                have come; hold more, or say `Hold::patience(d)`\n";
    assert!(ids(true).contains(line), "{}", ids(true));
}

/// Every two inputs of a join by place are looked at, not the first two alone.
#[test]
fn b024_every_input_of_a_join_by_place_is_in_step() {
    let mut flows = numbers().broadcast("all", 3);
    let c = flows.remove(2).map_rows("c", |x| *x).filter("odd", |x| x % 2 == 1).closed();
    let b = flows.remove(1).map_rows("b", |x| *x).closed();
    let a = flows.remove(0).map_rows("a", |x| *x);
    let join = Join::by_place(JoinStrategy::AllComplete);
    let told = faults(a.join("j", (b, c), join).discard("end").plan());
    assert!(told.starts_with("1 fault in the plan\n  P021: `j` pairs branches of `all`"), "{told}");
    assert!(told.contains("`c+odd` may not give one row for each row"), "{told}");
}
