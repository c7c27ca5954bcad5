//! A template that is filled in as its variables arrive, and a graph that takes what came of it.
//!
//! A customer's page needs `id`, `name`, `riskClass` and `limit`. Two systems deliver them in any
//! order. A page leaves when it is whole; after ten seconds without, it leaves as far as it came and
//! says what is missing; nobody waits longer than five seconds for the rest once it was flushed. Of
//! one customer at most 200 parts are taken. The graph is a double of a graph database's client.
//!
//! `cargo run --release -p flux-io --example template`
//!
//! Rows 35, 305.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use flux_io::core::IoCx;
use flux_io::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A variable of a customer's page.
struct Part {
    customer: &'static str,
    variable: &'static str,
    value: &'static str,
}

/// The variables so far.
type Page = BTreeMap<&'static str, &'static str>;

const TEMPLATE: [&str; 4] = ["id", "name", "riskClass", "limit"];

/// Writes the page; what is missing stays as its name in braces.
fn expand(page: &Page) -> String {
    let of = |name: &str| page.get(name).map_or_else(|| format!("{{{name}}}"), |v| (*v).to_owned());
    format!(
        "customer {}: {} (risk {}, limit {})",
        of("id"),
        of("name"),
        of("riskClass"),
        of("limit")
    )
}

/// A graph store: nodes by key, each with its text and whether it is whole.
#[derive(Clone, Default)]
struct GraphStore(Arc<Mutex<BTreeMap<String, (String, bool)>>>);

impl Sink for GraphStore {
    type Col = Vec<(String, String, bool)>;

    async fn write(&mut self, batch: &mut Batch<Self::Col>, _cx: &IoCx) -> Result<(), StageError> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.extend(batch.col.drain(..).map(|(key, text, whole)| (key, (text, whole))));
        Ok(())
    }
}

fn main() -> Result<(), RunError> {
    let part = |customer, variable, value| Part { customer, variable, value };
    let parts = [
        part("c1", "riskClass", "A"),
        part("c2", "id", "2"),
        part("c1", "id", "1"),
        part("c1", "limit", "500"),
        part("c2", "name", "Grace"),
        part("c1", "limit", "500"),
        part("c1", "name", "Ada"),
    ];
    let graph = GraphStore::default();
    let flow = Pipeline::new()
        .source("parts", source::iter(parts))
        .key_by("customer", |part| part.customer.to_owned())
        .accumulate("template", |policy| {
            policy
                .require(Require::all(TEMPLATE))
                .max_key_items(200)
                .flush_after(Duration::from_secs(10))
                .idle_timeout(Duration::from_secs(5))
                .var_name(|part: &Part| part.variable)
                .merge(|page: &mut Page, part: &mut Part| {
                    page.insert(part.variable, part.value);
                })
        })
        .map("expand", |outcome: Outcome<String, Page>| {
            let whole = outcome.is_complete();
            let missing = outcome.headers().missing_vars();
            let mut text = expand(outcome.value());
            if !whole {
                text.push_str(&format!("; missing {missing}"));
            }
            (outcome.key().clone(), text, whole)
        })
        .sink("graph", graph.clone());
    let report = engine::Sync::new().run(flow)?;

    let nodes = graph.0.lock().unwrap_or_else(PoisonError::into_inner);
    for (key, (text, whole)) in nodes.iter() {
        println!("{key} {} {text}", if *whole { "whole  " } else { "partial" });
    }
    println!("ledger: {}", report.ledger("template").unwrap_or_default());
    Ok(())
}
