//! Composing: fan-out and fan-in, pieces of pipeline, enrichment, error routes, and one plan with
//! all of it.

#[path = "../dag/mod.rs"]
mod dag;

use crate::graphs::{Tape, completed, dropped, everywhere, promises_hold, timed};
use flux_io::core::DeadCause;
use flux_io::flow::{Explain, Flow, Hold, InOrder, Pipeline, Raw};
use flux_io::prelude::{
    AccumulateExt, ErrorRecord, OnError, Outcome, Require, RowError, sink, source,
};
use flux_io_testkit::doubles::Shelf;

/// Every kind of branch and join in one plan gives the same rows in the same order on every engine,
/// in batches of 1, 7 and 1024.
#[test]
fn one_plan_with_every_branch_and_join() {
    for n in [0, 1, 5_000] {
        everywhere(
            || dag::dag(n),
            |report, got, at| {
                completed(&report, at);
                assert_eq!(got.take(), dag::expected(n), "{at}");
                assert_eq!(
                    dropped(&report, "third", "unrouted"),
                    (0..n).filter(|x| x % 7 == 6).count() as u64
                );
            },
        );
    }
}

/// Rows 59, 62: two pieces see the same rows, and what they make of each is combined.
#[test]
fn a_fan_out_is_combined() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let end = Pipeline::new()
                .source("in", source::iter(0..2_000_u64))
                .fan_out(
                    "sides",
                    |raw| raw.map_rows("count", |x: &u64| x % 10),
                    |smooth| smooth.map_rows("blur", |x: &u64| x / 10 * 10).map("half", |x| x / 2),
                )
                .combine("plot", |a, b| (a, b))
                .sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            let want: Vec<_> = (0..2_000).map(|x| (x % 10, x / 10 * 5)).collect();
            assert_eq!(got.take(), want, "{at}");
        },
    );
}

/// Row 62: a side that is there for its effect is run and ignored.
#[test]
fn a_side_may_be_ignored() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let seen = Shelf::default();
            let log = seen.clone();
            let end = Pipeline::new()
                .source("in", source::iter(0..300_u64))
                .fan_out(
                    "sides",
                    |flow| flow.map_rows("own", |x: &u64| *x),
                    |flow| flow.map_rows("log", move |x: &u64| log.put(*x)),
                )
                .ignore_right("nowhere")
                .sink("out", collect);
            (end, (got, seen))
        },
        |report, (got, seen), at| {
            completed(&report, at);
            assert_eq!(got.take(), (0..300).collect::<Vec<_>>(), "{at}");
            assert_eq!(seen.take(), (0..300).collect::<Vec<_>>(), "{at}");
            assert_eq!(report.stage("nowhere").map(|s| s.counts.rows_in), Some(300), "{at}");
        },
    );
}

fn clean(flow: Flow<'static, Vec<u64>, Raw>) -> Flow<'static, Vec<u64>, Raw> {
    let (yes, no) = flow.split("odd", |x| x % 2 == 1);
    yes.map("less", |x| x - 1).merge("all", no.filter("some", |x| *x > 0))
}

/// Row 59: builders compose, not streams: a piece is a function, used twice in one plan, and its
/// names say which use failed.
#[test]
fn pieces_compose_and_their_names_do() {
    let pipeline = || {
        Pipeline::new().source("in", source::iter(0..100_u64)).piece("outer", |flow| {
            clean(flow).piece("inner", clean).map("last", |x: u64| {
                assert!(x != 42, "no answer");
                x
            })
        })
    };
    let plan = pipeline().discard("end").plan().unwrap();
    let names: Vec<_> = plan.graph.nodes.iter().map(|n| n.name.as_str()).collect();
    let want = [
        "in",
        "outer/odd",
        "outer/some",
        "outer/less",
        "outer/all",
        "outer/inner/odd",
        "outer/inner/some",
        "outer/inner/less",
        "outer/inner/all",
        "outer/last",
        "end",
    ];
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&names), sorted(&want));
    assert!(plan.mermaid().contains("outer/inner/odd<br/>split"), "{}", plan.mermaid());
    everywhere(
        || (pipeline().discard("end"), ()),
        |report, (), at| {
            let failure = report.failure.unwrap();
            assert_eq!(failure.stage, "outer/last", "{at}");
            assert!(failure.error.what.contains("operator `outer/last` panicked at row"), "{at}");
        },
    );
}

/// Row 319 (enrich, `onError(route)`): rows get what a table knows of them; rows that fail are a
/// flow of their own, with their cause and original, and go on from there.
#[test]
fn failing_rows_have_a_flow_of_their_own() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let (route, failed) = sink::collect();
            let seen = Shelf::default();
            let rows = (0..600).map(|i| (i, i as i64 * 10));
            let (good, errors) = Pipeline::new()
                .source("in", timed(rows, 5))
                .enrich("name", |x| (x % 3 != 0).then(|| format!("n{x}")))
                .try_map("need", |(x, name)| match name {
                    Some(name) => Ok((*x, name.clone())),
                    None => Err(RowError::new(DeadCause::Invalid, format!("no name for {x}"))),
                })
                .map("check", |(x, name)| {
                    assert!(x != 100, "poison");
                    (x, name)
                })
                .errors();
            let end = good.sink("out", collect);
            let errors = errors
                .map("told", |e: ErrorRecord| (e.seq, e.cause, e.stage_name))
                .map("seq", |e| e)
                .closed();
            let (a, b) = errors.split("two", |_| true);
            let tape =
                b.map("n", |e: (u64, DeadCause, String)| e.0).stage("tape", Tape(seen.clone()));
            let end = end.and(a.sink("errors", route)).and(tape.discard("none"));
            (end, (got, failed, seen))
        },
        |report, (got, failed, seen), at| {
            completed(&report, at);
            let fine = |x: &u64| !x.is_multiple_of(3) && *x != 100;
            let want: Vec<_> = (0..600).filter(fine).map(|x| (x, format!("n{x}"))).collect();
            assert_eq!(got.take(), want, "{at}");
            let failed = failed.take();
            let want: Vec<u64> = (0..600).filter(|x| !fine(x)).collect();
            assert_eq!(failed.iter().map(|f| f.0).collect::<Vec<_>>(), want, "{at}");
            for (seq, cause, stage) in failed {
                let (c, s) = match seq {
                    100 => (DeadCause::Panicked, "check"),
                    _ => (DeadCause::Invalid, "need"),
                };
                assert_eq!((cause, stage.as_str()), (c, s), "{at}: row {seq}");
            }
            assert!(report.dead_letters.is_empty(), "{at}: they went by the flow");
            promises_hold(&seen.take(), at);
        },
    );
}

/// A stage with a policy of its own keeps it: skipped rows stay skipped; and row-wise stages and
/// parallel segments have error flows, too.
#[test]
fn error_flows_of_other_stages() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let (route, failed) = sink::collect();
            let odd = |x: &u64| {
                if x % 2 == 1 { Err(RowError::new(DeadCause::Invalid, "odd")) } else { Ok(()) }
            };
            let (good, errors) = Pipeline::new()
                .source("in", source::iter(0..400_u64))
                .validate("five", |x: &u64| {
                    if x.is_multiple_of(5) {
                        Err(RowError::new(DeadCause::Invalid, "five"))
                    } else {
                        Ok(())
                    }
                })
                .on_error(OnError::Skip)
                .validate("odd", odd)
                .parallel(2)
                .errors();
            let (best, more) = good
                .validate_rows("big", |x: &u64| {
                    if *x > 300 { Err(RowError::new(DeadCause::Type, "big")) } else { Ok(()) }
                })
                .errors();
            let all = errors.merge("errors", more).map("seq", |e| (e.seq, e.what));
            (best.sink("out", collect).and(all.sink("failed", route)), (got, failed))
        },
        |report, (got, failed), at| {
            completed(&report, at);
            let want: Vec<u64> = (0..=300).filter(|x| x % 5 != 0 && x % 2 == 0).collect();
            assert_eq!(got.take(), want, "{at}");
            let mut failed = failed.take();
            failed.sort();
            let want: Vec<_> = (0..400)
                .filter(|x| x % 5 != 0 && (x % 2 == 1 || *x > 300))
                .map(|x| (x, if x % 2 == 1 { "odd" } else { "big" }.to_owned()))
                .collect();
            assert_eq!(failed, want, "{at}");
            assert_eq!(dropped(&report, "five+odd", "skip"), 80, "{at}");
        },
    );
}

/// Rows 313, 319. The patterns of integration in one pipeline: lines of orders are resequenced,
/// filtered, multicast (one copy is the audit), enriched with a price, split, merged and aggregated
/// by order; lines without a price go by the error route, and their orders say what they lack.
#[test]
fn integration_patterns_in_one_pipeline() {
    const ITEMS: [&str; 4] = ["a", "b", "c", "d"];
    let price = |n: &u64| (!n.is_multiple_of(7)).then_some(n * 10);
    let kept = || (0..200_u64).filter(|n| n / 4 % 10 != 9);
    everywhere(
        || {
            let (orders, totals) = sink::collect();
            let (audit, seen) = sink::collect();
            let (bad, failed) = sink::collect();
            // The four lines of each order come backwards.
            let lines = (0..50_u64).flat_map(|order| (0..4).rev().map(move |i| order * 4 + i));
            let mut copies = Pipeline::new()
                .source("lines", source::iter(lines))
                .resequence("in_order", InOrder::within(Hold::rows(8)), |n| *n)
                .filter("no_tests", |n| n / 4 % 10 != 9)
                .broadcast("multicast", 2)
                .into_iter();
            let mut copy = |name| copies.next().unwrap().map_rows(name, |n: &u64| *n);
            let audit = copy("copy").sink("audit", audit);
            let (priced, errors) = copy("own")
                .enrich("look_up", price)
                .try_map("priced", |(n, price)| match price {
                    Some(price) => Ok((*n, *price)),
                    None => Err(RowError::new(DeadCause::Invalid, "no price")),
                })
                .errors();
            let (dear, cheap) = priced.split("dear", |(_, price)| *price >= 1_000);
            let end = dear
                .map("discount", |(n, price): (u64, u64)| (n, price - 1))
                .merge("all", cheap)
                .key_by("order", |(n, _): &(u64, u64)| n / 4)
                .accumulate("aggregate", |policy| {
                    policy
                        .require(Require::all(ITEMS))
                        .var_name(|line: &(u64, u64)| ITEMS[(line.0 % 4) as usize])
                        .merge(|sum: &mut u64, line: &mut (u64, u64)| *sum += line.1)
                })
                .sink("orders", orders);
            let errors = errors.map("told", |e: ErrorRecord| (e.seq, e.what)).sink("errors", bad);
            (end.and(audit).and(errors), (totals, seen, failed))
        },
        |report, (totals, seen, failed), at| {
            completed(&report, at);
            assert_eq!(seen.take(), kept().collect::<Vec<_>>(), "{at}");
            let want = kept().filter(|n| price(n).is_none());
            assert_eq!(failed.take().len(), want.count(), "{at}");
            let mut totals: Vec<_> = totals.take();
            totals.sort_by_key(|o: &Outcome<u64, u64>| *o.key());
            assert_eq!(totals.len(), 45, "{at}");
            for outcome in totals {
                let lines = (0..4).map(|i| (ITEMS[i], price(&(outcome.key() * 4 + i as u64))));
                let paid = |p: u64| if p >= 1_000 { p - 1 } else { p };
                let sum: u64 = lines.clone().filter_map(|l| l.1).map(paid).sum();
                let missing: Vec<_> = lines.filter(|l| l.1.is_none()).map(|l| l.0).collect();
                assert_eq!(outcome.value(), &sum, "{at}");
                assert_eq!(outcome.headers().missing_vars(), missing.join(","), "{at}");
                assert_eq!(outcome.is_complete(), missing.is_empty(), "{at}");
            }
        },
    );
}
