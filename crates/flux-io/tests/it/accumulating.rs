//! Accumulation through the builder's words.

use flux_io::accumulate::{Policy, merge};
use flux_io::core::{Accumulate, At, Completeness};
use flux_io::prelude::*;
use std::time::Duration;

/// The accumulate block of the original documents, word for word: key, required variables, items a
/// key, latency, partial flush. Row 56.
#[test]
fn the_accumulate_block_has_its_words() {
    let (collect, got) = sink::collect();
    let vars = ["id", "name", "riskClass", "limit"];
    let feed =
        vec![("c1", "id"), ("c2", "id"), ("c1", "name"), ("c1", "limit"), ("c1", "riskClass")];
    let end = Pipeline::new()
        .source("fragments", source::iter(feed))
        .key_by_str("customer", |f: &(&str, &str)| f.0)
        .accumulate("template", |p| {
            p.require(Require::all(vars))
                .max_key_items(200)
                .flush_after(Duration::from_secs(5))
                .timeout(Duration::from_secs(10))
                .on_expire(OnExpire::Partial)
                .var_name(|f: &(&str, &str)| f.1)
                .merge(|seen: &mut Vec<String>, f: &mut (&str, &str)| seen.push(f.1.to_owned()))
        })
        .sink("out", collect);
    let plan = end.plan().unwrap();
    let said = plan.graph.nodes.iter().find_map(|n| n.accumulation.as_ref()).unwrap();
    assert!(said.policy.len() > 3, "{said:?}");
    let report = engine::Sync::new().run(plan).unwrap();
    let out = got.take();
    assert!(
        matches!(&out[0], Outcome::Complete { key, value, .. } if key == "c1" && value.len() == 4)
    );
    assert_eq!(out[1].headers().missing_vars(), "name,riskClass,limit");
    assert!(report.ledger("template").unwrap().balanced());
}

/// An accumulator of one's own beside a policy: complete when the parts weigh enough.
#[derive(Clone)]
struct Heavy(u64);

impl Accumulate<Vec<(u32, u64)>> for Heavy {
    type Key = u32;
    type State = u64;
    type Out = u64;

    fn init(&self) -> u64 {
        0
    }
    fn var(&self, _row: &(u32, u64)) -> Result<Var, RowError> {
        Ok(Var::one(0))
    }
    fn update(&self, state: &mut u64, row: &mut (u32, u64), _at: At) -> Result<(), RowError> {
        merge::sum(state, row.1)
    }
    fn check(&self, state: &u64, _at: At) -> Option<Completeness> {
        let score = (*state as f32 / self.0 as f32).min(1.0);
        Some(if *state >= self.0 {
            Completeness::Complete
        } else {
            Completeness::Incomplete { score }
        })
    }
    fn finish(&self, _key: &u32, state: &mut u64) -> u64 {
        std::mem::take(state)
    }
}

/// Completeness by a predicate of one's own, through the extension trait. Rows 107, 114, 128.
#[test]
fn completeness_of_ones_own() {
    let (collect, got) = sink::collect();
    let feed = vec![(1, 40_u64), (2, 10), (1, 40), (1, 40), (2, 5)];
    let end = Pipeline::new()
        .source("parcels", source::iter(feed))
        .key_by("truck", |p: &(u32, u64)| p.0)
        .accumulate("load", |_| {
            let policy = Policy::new(Require::checked(Vec::<String>::new()));
            (policy.identity(flux_io::accumulate::Identity::SourceSeq), Heavy(100))
        })
        .sink("out", collect);
    engine::Sync::new().run(end).unwrap();
    let out = got.take();
    assert!(matches!(&out[0], Outcome::Complete { key: 1, value: 120, .. }), "{out:?}");
    assert!(matches!(&out[1], Outcome::Partial { key: 2, value: 15, .. }), "{out:?}");
}

/// A fault of the policy is reported by the plan, with the stage's path, and nothing runs. Row 66.
#[test]
fn policy_faults_are_plan_faults() {
    let (collect, _got) = sink::collect();
    let end = Pipeline::new()
        .source("numbers", source::iter(0..3_u64))
        .key_by("n", |n| *n)
        .accumulate("assemble", |p| p.max_keys(0).merge(|s: &mut u64, n| *s += *n))
        .sink("out", collect);
    let RunError::Plan(faults) = engine::Sync::new().run(end).unwrap_err() else {
        panic!("the plan is refused");
    };
    assert!(faults.0.iter().any(|f| f.path.contains(&"assemble".to_owned())), "{faults}");
}

/// Rows made of one row are fragments of their own: a count behind `flat_map` and `filter` is the same
/// at every batch size, on one instance and on three. Row 111.
#[test]
fn rows_behind_flat_map_are_told_apart() {
    for batch in [1, 7, 64, 1024] {
        for shards in [1, 3] {
            let (collect, got) = sink::collect();
            let end = Pipeline::new()
                .source("numbers", source::iter(0..100_u64))
                .flat_map("thrice", |n| [n, n, n])
                .filter("not five", |n| *n != 5)
                .parallel(shards)
                .key_by("all", |_| 0_u8)
                .accumulate("count", |p| {
                    p.require(Require::count(u32::MAX)).merge(|n: &mut u64, _| *n += 1)
                })
                .sink("out", collect);
            let options = RunOptions::default().batch(batch);
            let report = engine::Sync::new().with(options).run(end).unwrap();
            let ledger = report.ledger("count").unwrap();
            assert_eq!(got.take()[0].value(), &297, "batch {batch}, {shards}: {ledger}");
        }
    }
}
