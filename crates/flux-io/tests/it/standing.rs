//! Joins and merges never stand still: ids that have no partner, branches that drop rows, inputs
//! that end, whatever the batches, edges and workers.

use flux_io::core::{DeadCause, Ended, Engine, OnStuck, RunOptions, RunReport, Watchdog, WhenFull};
use flux_io::flow::{
    Batching, Calls, Flow, Gap, Hold, InOrder, Join, JoinStrategy, Joined, Leftover, Pipeline, Raw,
    Runnable, SharedRows, Unrouted,
};
use flux_io::prelude::{ErrorRecord, RowError, sink, source};
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use std::time::Duration;

/// A run that stands still fails instead of waiting for ever: the dog barks after a minute without
/// any progress, by the clock of the engine.
pub(crate) const DOG: Watchdog = Watchdog::new(Duration::from_secs(6), 10).then(OnStuck::Fail);

/// Rows of a batch, batches of an edge, workers.
const HOW: [(usize, usize, u32); 5] = [(1, 1, 1), (7, 2, 2), (7, 1, 4), (1024, 8, 1), (1024, 3, 2)];

/// Runs on each engine, with one worker and more, in batches of 1, 7 and 1024 rows.
fn everywhere<P: Runnable<'static>, T>(
    make: impl Fn(Pipeline<'static>) -> (P, T),
    see: impl Fn(RunReport, T, &str),
) {
    HOW.into_iter().for_each(|how| on_each_engine(how, &make, &see));
}

fn on_each_engine<P: Runnable<'static>, T>(
    (batch, edges, workers): (usize, usize, u32),
    make: &impl Fn(Pipeline<'static>) -> (P, T),
    see: &impl Fn(RunReport, T, &str),
) {
    let hybrid = crate::hybrid_laws::apart();
    let engines: [&dyn Engine; 5] =
        [&SyncEngine::new(), &SyncEngine::seeded(11), &TokioEngine, &RayonEngine, &hybrid];
    for engine in engines {
        let at = format!("{} batch {batch} edges {edges} workers {workers}", engine.name());
        let (pipeline, kept) = make(Pipeline::new().default_buffer(edges, WhenFull::Block));
        let options = RunOptions::default().workers(workers).batch(batch).watchdog(DOG);
        let report = engine.run_plan(pipeline.into_plan().unwrap(), options);
        report.check().unwrap();
        assert_eq!(report.ended, Ended::Completed, "{at}: {:?}", report.failure);
        see(report, kept, &at);
    }
}

/// Every way to drop rows with every choice of rows, each in two of the ways to run.
fn thinned(check: impl Fn((usize, usize, u32), &str, Thin, Keep)) {
    for (i, (how, thin)) in THIN.into_iter().enumerate() {
        for (k, (what, keep)) in KEEPS.into_iter().enumerate() {
            for run in [i + k, i + 2 * k + 2] {
                check(HOW[run % HOW.len()], &format!("{how}, {what}"), thin, keep);
            }
        }
    }
}

fn dropped(report: &RunReport, stage: &str, cause: &str) -> u64 {
    report.stage(stage).and_then(|s| s.dropped.get(cause).copied()).unwrap_or(0)
}

fn ids(rows: &[Joined<u64>]) -> Vec<u64> {
    rows.iter().map(|j| j.id).collect()
}

const ROWS: u64 = 1_500;

/// Two finite flows whose ids have nothing in common: every row leaves, none stays for ever.
#[test]
fn ids_in_common_with_nobody_leave() {
    for hold in [1, 16, 700] {
        everywhere(
            |p| {
                let (collect, got) = sink::collect();
                let x = p.source("x", source::iter(0..ROWS));
                let y = p.source("y", source::iter(ROWS..2 * ROWS));
                let join = Join::by_id(|v: &u64| *v, JoinStrategy::AllComplete);
                (x.join("j", y, join.hold(Hold::rows(hold))).sink("out", collect), got)
            },
            |report, got, at| {
                assert_eq!(got.take(), [], "{at}");
                assert_eq!(dropped(&report, "j", "incomplete"), 2 * ROWS, "{at} hold {hold}");
            },
        );
    }
}

/// One id that has no partner, in front, costs itself and nothing else, however little is held.
#[test]
fn one_id_without_a_partner_costs_itself() {
    for hold in [2, 16, 700] {
        everywhere(
            |p| {
                let (collect, got) = sink::collect();
                let x = p.source("x", source::iter(std::iter::once(u64::MAX).chain(0..ROWS)));
                let y = p.source("y", source::iter(0..ROWS));
                let join = Join::by_id(|v: &u64| *v, JoinStrategy::AllComplete);
                (x.join("j", y, join.hold(Hold::rows(hold))).sink("out", collect), got)
            },
            |report, got, at| {
                let at = format!("{at} hold {hold}");
                let mut rows = got.take();
                rows.sort_unstable();
                assert_eq!(ids(&rows), (0..ROWS).collect::<Vec<_>>(), "{at}");
                assert!(rows.iter().all(|j| j.complete), "{at}");
                assert_eq!(dropped(&report, "j", "incomplete"), 1, "{at}");
            },
        );
    }
}

/// Branches of one flow: all rows, as they are.
fn shared(
    flow: Flow<'static, SharedRows<Vec<u64>>, Raw>,
    name: &str,
) -> Flow<'static, Vec<u64>, Raw> {
    flow.map_rows(name, |x: &u64| *x).closed()
}

fn branches(p: &Pipeline<'static>, rows: u64, n: usize) -> Vec<Flow<'static, Vec<u64>, Raw>> {
    let flows = p.source("in", source::iter(0..rows)).broadcast("both", n);
    flows.into_iter().enumerate().map(|(i, f)| shared(f, &format!("own {i}"))).collect()
}

fn refused() -> RowError {
    RowError::new(DeadCause::Invalid, "no")
}

type Thin = fn(Flow<'static, Vec<u64>, Raw>, Keep) -> Flow<'static, Vec<u64>, Raw>;
type Keep = fn(u64) -> bool;

/// Every way in which a branch may drop rows.
const THIN: [(&str, Thin); 9] = [
    ("filter", |f, keep| f.filter("thin", move |x| keep(*x)).closed()),
    ("filter_map", |f, keep| f.filter_map("thin", move |x| keep(x).then_some(x)).closed()),
    ("filter_rows", |f, keep| f.filter_rows("thin", move |x| keep(*x)).closed()),
    ("try_map", |f, keep| {
        let refuse = move |x: &u64| if keep(*x) { Ok(*x) } else { Err(refused()) };
        f.try_map("thin", refuse).on_error(flux_io::core::OnError::Skip).closed()
    }),
    ("split", |f, keep| {
        let (yes, no) = f.split("thin", move |x| keep(*x));
        let _ = no.discard("gone");
        yes
    }),
    ("route", |f, keep| {
        let one = move |x: &u64| keep(*x).then_some(0);
        f.route("thin", 1, Unrouted::Drop, one).remove(0)
    }),
    ("calls", |f, keep| {
        let call = move |x: &u64| {
            let x = *x;
            async move { if keep(x) { Ok(x) } else { Err(refused()) } }
        };
        let called = f.filter("few", move |x| keep(*x) || *x % 5 == 0).async_map(
            "thin",
            Calls::limit(3),
            call,
        );
        called.on_error(flux_io::core::OnError::Skip).closed()
    }),
    ("parallel", |f, keep| f.filter("thin", move |x| keep(*x)).parallel(2).closed()),
    ("batch", |f, keep| {
        f.filter("thin", move |x| keep(*x)).batch("cut", Batching::Fixed(3)).closed()
    }),
];

const KEEPS: [(&str, Keep); 4] = [
    ("none", |_| false),
    ("all", |_| true),
    ("the last half", |x| x >= 300),
    ("one of 97", |x| x % 97 == 13),
];

/// A branch tells how far it has come also where it gives no row: a join by number of branches that
/// drop rows has the right rows, however little is held, and needs no patience.
#[test]
fn b024_a_join_of_branches_that_drop_rows_goes_on() {
    thinned(|how, what, thin, keep| {
        on_each_engine(
            how,
            &|p| {
                let (collect, got) = sink::collect();
                let mut flows = branches(&p, 600, 2);
                let thin = thin(flows.remove(1), keep);
                let join = Join::by_seq(JoinStrategy::AllComplete).hold(Hold::rows(3));
                (flows.remove(0).join("j", thin, join).sink("out", collect), got)
            },
            &|report, got, at| {
                let at = format!("{at}: {what}");
                let want: Vec<u64> = (0..600).filter(|x| keep(*x)).collect();
                assert_eq!(ids(&got.take()), want, "{at}");
                let left = 600 - want.len() as u64;
                assert_eq!(dropped(&report, "j", "incomplete"), left, "{at}");
            },
        );
    });
}

/// The same of a merge by number: the order is that of the source.
#[test]
fn b024_a_merge_of_branches_that_drop_rows_goes_on() {
    thinned(|how, what, thin, keep| {
        on_each_engine(
            how,
            &|p| {
                let (collect, got) = sink::collect();
                let all = p.source("in", source::iter(0..600_u64));
                // Numbers are missing in front of the branch, too.
                let (a, b) = all.filter("gaps", |x| x % 4 != 1).split("s", |x| x % 3 > 0);
                let b = thin(b, keep);
                let order = InOrder::within(Hold::rows(3));
                (a.merge_by_seq("m", b, order).sink("out", collect), got)
            },
            &|report, got, at| {
                let at = format!("{at}: {what}");
                let given = |x: &u64| x % 4 != 1 && (!x.is_multiple_of(3) || keep(*x));
                assert_eq!(got.take(), (0..600).filter(given).collect::<Vec<_>>(), "{at}");
                assert_eq!(dropped(&report, "m", "late"), 0, "{at}");
            },
        );
    });
}

/// Behind a merge in any order numbers fall: a branch there must not say that it has passed the
/// numbers below that of its last row, or rows that come later are taken for lost.
#[test]
fn branches_of_a_flow_in_no_order_lose_nothing() {
    everywhere(
        |p| {
            let (collect, got) = sink::collect();
            let (even, odd) =
                p.source("in", source::iter(0..ROWS)).split("even", |x| x.is_multiple_of(2));
            let late = even.batch("late", Batching::Fixed(700));
            let mixed = odd.merge("mixed", late);
            let (even, odd) = mixed.split("again", |x| x.is_multiple_of(2));
            let join = Join::by_seq(JoinStrategy::AllComplete).partial();
            (even.join("j", odd, join).sink("out", collect), got)
        },
        |report, got, at| {
            assert_eq!(dropped(&report, "j", "superseded"), 0, "{at}");
            assert!(ids(&got.take()).into_iter().eq(0..ROWS), "{at}");
        },
    );
}

/// A split by a range: one side gives nothing for half of the run, then the other.
#[test]
fn a_merge_of_a_split_by_range_goes_on() {
    for filtered in [false, true] {
        everywhere(
            |p| {
                let (collect, got) = sink::collect();
                let all = p.source("in", source::iter(0..10_000_u64));
                let all = all.filter("odd", move |x| !filtered || x % 2 == 1);
                let (low, high) = all.split("half", |x| *x < 5_000);
                let how = InOrder::within(Hold::rows(16));
                (low.merge_by_seq("m", high, how).sink("out", collect), got)
            },
            |_, got, at| {
                let want = (0..10_000).filter(|x| !filtered || x % 2 == 1);
                assert!(got.take().into_iter().eq(want), "{at}");
            },
        );
    }
}

/// Merges and joins pass on how far they have come: one behind another goes on as well.
#[test]
fn merges_behind_merges_go_on() {
    everywhere(
        |p| {
            let (collect, got) = sink::collect();
            let mut flows = branches(&p, 600, 2);
            let (a, b) = flows.remove(1).split("s", |x| x % 2 == 0);
            let (a, b) = (a.filter("a", |x| x % 100 == 0), b.filter("b", |_| false));
            let hold = || Hold::rows(2);
            let inner = a.merge_by_seq("inner", b, InOrder::within(hold()));
            let inner = inner.map("same", |x| x).closed();
            let join = Join::by_seq(JoinStrategy::AllComplete).hold(hold());
            let outer = flows.remove(0).join("outer", inner, join).map("id", |j| j.id).closed();
            (outer.sink("out", collect), got)
        },
        |_, got, at| assert_eq!(got.take(), [0, 100, 200, 300, 400, 500], "{at}"),
    );
}

/// Ids of branches of one flow: a branch that drops rows is not waited for once it has passed what
/// the others gave, and the partners of rows that are held are found.
#[test]
fn a_join_by_id_of_branches_goes_on() {
    thinned(|how, what, thin, keep| {
        on_each_engine(
            how,
            &|p| {
                let (collect, got) = sink::collect();
                let mut flows = branches(&p, 600, 2);
                let thin = thin(flows.remove(1), keep);
                let join = Join::by_id(|x: &u64| *x, JoinStrategy::AllComplete);
                let join = join.hold(Hold::rows(600));
                (flows.remove(0).join("j", thin, join).sink("out", collect), got)
            },
            &|report, got, at| {
                let at = format!("{at}: {what}");
                let want: Vec<u64> = (0..600).filter(|x| keep(*x)).collect();
                let mut rows = ids(&got.take());
                rows.sort_unstable();
                assert_eq!(rows, want, "{at}");
                let left = 600 - want.len() as u64;
                assert_eq!(dropped(&report, "j", "incomplete"), left, "{at}");
            },
        );
    });
}

/// Far less is held than a branch drops: branches are taken in step, and every partner is found.
#[test]
fn a_join_by_id_that_holds_little_goes_on() {
    for (what, keep) in KEEPS {
        for hold in [2, 5] {
            everywhere(
                |p| {
                    let (collect, got) = sink::collect();
                    let mut flows = branches(&p, 600, 2);
                    let thin = flows.remove(1).filter("thin", move |x| keep(*x)).closed();
                    let join = Join::by_id(|x: &u64| *x, JoinStrategy::AllComplete);
                    let join = join.hold(Hold::rows(hold));
                    (flows.remove(0).join("j", thin, join).sink("out", collect), got)
                },
                |report, got, at| {
                    let at = format!("{at}: {what}, hold {hold}");
                    let want: Vec<u64> = (0..600).filter(|x| keep(*x)).collect();
                    let left = 600 - want.len() as u64;
                    let mut rows = ids(&got.take());
                    rows.sort_unstable();
                    assert_eq!(rows, want, "{at}");
                    assert_eq!(dropped(&report, "j", "incomplete"), left, "{at}");
                },
            );
        }
    }
}

/// Two joins that each miss what the other keeps from coming: nobody waits for ever.
#[test]
fn joins_that_wait_for_each_other_go_on() {
    everywhere(
        |p| {
            let (collect, got) = sink::collect();
            let both = |name: &'static str, from: u64| {
                let flows = p
                    .source(name, source::iter(from..from + 200))
                    .broadcast(&format!("{name} both"), 2);
                let named = flows.into_iter().enumerate();
                let mut flows: Vec<_> =
                    named.map(|(i, f)| shared(f, &format!("{name} {i}"))).collect();
                (flows.remove(0), flows.remove(0))
            };
            let ((a, b), (c, d)) = (both("x", 0), both("y", 10_000));
            let join = || {
                let join = Join::by_id(|x: &u64| *x, JoinStrategy::AllComplete);
                join.partial().hold(Hold::rows(5))
            };
            let left = a.join("left", c, join());
            let right = d.join("right", b, join());
            (left.merge("m", right).map("id", |j| j.id).sink("out", collect), got)
        },
        |_, got, at| {
            let mut rows = got.take();
            rows.sort_unstable();
            let want = (0..200).chain(10_000..10_200).flat_map(|x| [x, x]);
            assert!(rows.into_iter().eq(want), "{at}");
        },
    );
}

/// Numbers at the end of what a number can be: no overflow, and every row and gap is counted.
#[test]
fn the_greatest_numbers_are_numbers() {
    const MAX: u64 = u64::MAX;
    everywhere(
        |p| {
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let (collect, got) = sink::collect();
            let p = p.dead_letters("dead", dead);
            let how = || InOrder::default().gap(Gap::DeadLetter).late(Leftover::DeadLetter);
            let rows = [MAX - 1, 1, MAX, MAX, 2];
            let few =
                || InOrder::within(Hold::rows(1)).gap(Gap::DeadLetter).late(Leftover::DeadLetter);
            let _ = p
                .source("in", source::iter(rows))
                .resequence("a", how(), |x| *x)
                .resequence("b", how(), |x| *x)
                .resequence("c", few(), |x| *x)
                .sink("out", collect);
            (p, (got, letters))
        },
        |report, (got, letters), at| {
            // Two rows of one number that wait together both go out; one that comes behind it is late.
            assert_eq!(got.take(), [1, 2, MAX - 1, MAX], "{at}");
            let mut told: Vec<_> = letters
                .take()
                .iter()
                .map(|l| (l.stage_name.clone(), l.cause, l.seq, l.items))
                .collect();
            told.sort();
            let gap = |s: &str, from, items| (s.to_owned(), DeadCause::Expired, from, items);
            let mut want = vec![
                gap("a", 0, 1),
                gap("a", 3, MAX - 4),
                gap("b", 0, 1),
                gap("b", 3, MAX - 4),
                gap("c", 0, 1),
                gap("c", 3, MAX - 4),
                ("c".to_owned(), DeadCause::Invalid, 3, 1),
            ];
            want.sort();
            assert_eq!(told, want, "{at}");
            assert_eq!(report.dead_letters.get(&DeadCause::Expired), Some(&MAX), "{at}");
        },
    );
}

/// Branches without times never promise any: a merge by time that holds all it may of one says so,
/// also where another gives no row.
#[test]
fn a_merge_by_time_of_branches_without_times_is_refused() {
    let engines: [&dyn Engine; 4] =
        [&SyncEngine::new(), &SyncEngine::seeded(11), &TokioEngine, &RayonEngine];
    for engine in engines {
        for (batch, edges, workers) in HOW {
            let p = Pipeline::new().default_buffer(edges, WhenFull::Block);
            let mut flows = branches(&p, 3_000, 2);
            let none = flows.remove(1).filter("none", |_| false).closed();
            let _ = flows.remove(0).merge_by_time("m", none, Hold::rows(10)).discard("end");
            let options = RunOptions::default().workers(workers).batch(batch).watchdog(DOG);
            let report = engine.run_plan(p.plan().unwrap(), options);
            let failure = report.failure.unwrap();
            let at = format!("{} {batch}", engine.name());
            assert!(failure.error.what.contains("`m` waits for watermarks"), "{at}: {failure}");
        }
    }
}
