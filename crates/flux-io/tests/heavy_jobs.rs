//! The two standing jobs, on every engine, at every batch size and number of workers, against the
//! published digests and the reference model. Run optimised: `cargo test --profile ci`.
#![cfg(test)]

mod jobs;

use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights::{self, Arrival};
use flux_io_testkit::jobs::fragment::Job;
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::{self, Orders};
use flux_io_testkit::jobs::reference;
use jobs::{Case, ENGINES, run};

const BATCHES: [usize; 3] = [1, 7, 1024];

/// Flights, file order, 72 h from the first fragment, lag 15 minutes: the published outcome on
/// every engine, with 1 and 2 workers, at batch 1, 7 and 1,024. Rows 113, 118, 119, 127, 219.
#[test]
fn flights_in_file_order_with_deadline() {
    let lines = flights::month().unwrap();
    let expected = Expected::named("flights-2013-01").unwrap();
    for engine in ENGINES {
        for batch in BATCHES {
            let case = Case { deadline: true, ..Case::flights(batch) };
            let ran = run(engine, case, &lines);
            assert_eq!(expected.tally_differences(&ran.tally), [""; 0], "{engine:?} {batch}");
            assert_eq!(ran.ledger.fragments, 106_734);
        }
    }
}

/// Flights, file order, no deadline, flush at the end. Rows 116, 121.
#[test]
fn flights_in_file_order_flushed_at_the_end() {
    let lines = flights::month().unwrap();
    let expected = Expected::named("flights-2013-01").unwrap();
    for engine in ENGINES {
        for batch in BATCHES {
            let ran = run(engine, Case::flights(batch), &lines);
            assert_eq!(expected.tally_differences(&ran.tally), [""; 0], "{engine:?} {batch}");
        }
    }
}

/// Flights shuffled and backwards, flush at the end: the same outcome. Row 118.
#[test]
fn flights_in_any_order() {
    let file = flights::month().unwrap();
    let expected = Expected::named("flights-2013-01").unwrap();
    for arrival in [Arrival::Shuffled(11), Arrival::Backwards] {
        let lines = flights::arranged(&file, arrival);
        for engine in ENGINES {
            for batch in BATCHES {
                let ran = run(engine, Case::flights(batch), &lines);
                assert_eq!(expected.tally_differences(&ran.tally), [""; 0], "{engine:?} {batch}");
            }
        }
    }
}

/// Every 97th line twice: the same digest, and exactly 1,101 duplicates. Row 124.
#[test]
fn flights_with_every_97th_line_twice() {
    let file = flights::month().unwrap();
    let lines = flights::arranged(&file, Arrival::EveryNthTwice);
    let expected = Expected::named("flights-2013-01").unwrap();
    for engine in ENGINES {
        for batch in BATCHES {
            for deadline in [false, true] {
                let case = Case { deadline, ..Case::flights(batch) };
                let ran = run(engine, case, &lines);
                assert_eq!(expected.tally_differences(&ran.tally), [""; 0], "{engine:?} {batch}");
                assert_eq!(ran.ledger.get(flux_io::core::Class::Duplicate), 1_101);
            }
        }
    }
}

/// Flights shuffled, *with* the 72 h deadline: equal to the reference model outcome for outcome,
/// and the ledger sums to all fragments. Rows 113, 118, 219.
#[test]
fn flights_shuffled_with_deadline_equal_the_reference() {
    let lines = flights::arranged(&flights::month().unwrap(), Arrival::Shuffled(5));
    let model = reference::run_job(
        Job::Flights,
        lines.iter(),
        reference::flights_policy(),
        Some(flights::LAG),
    );
    assert!(!model.late.is_empty(), "a shuffled month has late fragments");
    for engine in ENGINES {
        for batch in BATCHES {
            let case = Case { deadline: true, ..Case::flights(batch) };
            let ran = run(engine, case, &lines);
            assert_eq!(ran.tally, model.tally, "{engine:?} {batch}");
            assert_eq!(ran.late, model.late.len() as u64);
            assert_eq!(ran.ledger.get(flux_io::core::Class::Late), model.late.len() as u64);
            assert_eq!(ran.ledger.total(), 106_734);
        }
    }
}

/// Orders at 0.01, clean and with chaos, in all three orders of arrival: the published outcome,
/// dead letters by cause, second copies as duplicates. Rows 110, 117, 124, 127, 183.
#[test]
fn orders_clean_and_with_chaos_in_every_order_of_arrival() {
    let all = Orders::generate(0.01).unwrap();
    for chaos in [false, true] {
        let name = if chaos { "orders-0.01-chaos" } else { "orders-0.01" };
        let expected = Expected::named(name).unwrap();
        for arrival in
            [orders::Arrival::Time, orders::Arrival::Shuffled(3), orders::Arrival::HeaderLast]
        {
            let (lines, sent) = all.lines(arrival, chaos);
            // Batches of one row cost most; the hardest order has them.
            let one_by_one = chaos && arrival == orders::Arrival::HeaderLast;
            let batches = if one_by_one { &BATCHES[..] } else { &BATCHES[1..] };
            for engine in ENGINES {
                for &batch in batches {
                    let deadline = arrival == orders::Arrival::Time;
                    let case = Case { deadline, ..Case::orders(batch) };
                    let ran = run(engine, case, &lines);
                    let at = format!("{name} {arrival:?} {engine:?} {batch}");
                    assert_eq!(expected.tally_differences(&ran.tally), [""; 0], "{at}");
                    assert_eq!(ran.dead, jobs::dead_of(&expected), "{at}");
                    let copies = ran.ledger.get(flux_io::core::Class::Duplicate);
                    assert_eq!(copies, sent.second_copies, "{at}");
                    assert_eq!(ran.ledger.total(), ran.ledger.fragments, "{at}");
                }
            }
        }
    }
}

/// Both jobs, deadlines and chaos included, in the simulator: its batches, queues and schedules are
/// drawn, its outcomes are those of the reference. Rows 113, 219.
#[test]
fn both_jobs_in_the_simulator() {
    let flights = flights::arranged(&flights::week().unwrap(), Arrival::Shuffled(5));
    let (orders, _) = Orders::generate(0.01).unwrap().lines(orders::Arrival::Time, true);
    let first = |lines: &Lines, n: usize| -> Lines { lines.iter().take(n).collect() };
    let jobs = [
        (Case { deadline: true, ..Case::flights(0) }, first(&flights, 700)),
        (Case { deadline: true, ..Case::orders(0) }, first(&orders, 700)),
    ];
    for (case, lines) in jobs {
        let (policy, lag) = match case.job {
            Job::Flights => (reference::flights_policy(), Some(flights::LAG)),
            Job::Orders => (reference::orders_policy(true), Some(0)),
        };
        let model = reference::run_job(case.job, lines.iter(), policy, lag);
        flux_io_sim::simulate(|swarm| jobs::described(case, &lines, swarm.pick(1, 3)))
            .seeds(30)
            .check(|run, got| {
                let ran = jobs::account(&run.report, &got.take());
                let same = ran.tally == model.tally && ran.late == model.late.len() as u64;
                if same {
                    Ok(())
                } else {
                    Err(format!("{:?} instead of {:?}", ran.tally, model.tally))
                }
            });
    }
}

/// Words counted by key, on every engine.
#[test]
fn wordcount_everywhere() {
    jobs::matrix::wordcount();
}

/// Split, ordered merge, broadcast, zip, on every engine.
#[test]
fn a_graph_everywhere() {
    jobs::matrix::graph();
}

/// An asynchronous lookup with retries, on every engine.
#[test]
fn a_lookup_everywhere() {
    jobs::matrix::lookup();
}

/// Poison, on every engine.
#[test]
fn poison_everywhere() {
    jobs::matrix::poison();
}

/// The sync engine gives the same bytes for the same seed, and the same multiset for any seed.
/// Rows 205, 282.
#[test]
fn seeds_change_the_schedule_and_not_the_outcome() {
    let lines = flights::arranged(&flights::week().unwrap(), Arrival::Shuffled(2));
    let expected = Expected::named("flights-week").unwrap();
    for seed in 0..20 {
        let case = Case { shards: 2, ..Case::flights(64) };
        let one = run(jobs::On::Seeded(seed), case, &lines);
        let two = run(jobs::On::Seeded(seed), case, &lines);
        assert_eq!(one.lines, two.lines, "seed {seed}: same order of emission");
        assert_eq!(expected.tally_differences(&one.tally), [""; 0], "seed {seed}");
    }
}
