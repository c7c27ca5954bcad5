//! Tokens of JSON documents, clustered on a work-stealing pool and written to a store of metrics.
//!
//! Reads every `*.json` of a folder, parses a document a line, takes a sample of each one's tokens,
//! groups tokens that begin alike, and keeps for each group how many there were and its longest
//! token. Batches hold up to 500 tokens, or what came within 50 ms. The store is a double: it takes
//! what a client of a real one would send, batch by batch.
//!
//! `cargo run --release -p flux-io --example tokens`, or `... -- FOLDER`
//!
//! Rows 35, 304.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use flux_io::accumulate::{After, Identity};
use flux_io::connect::ndjson;
use flux_io::core::IoCx;
use flux_io::flow::Batching;
use flux_io::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs};

/// A document.
#[derive(Deserialize)]
struct Document {
    text: String,
}

/// What is known of the tokens that begin alike.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cluster {
    tokens: u64,
    longest: String,
}

/// Every third token: enough to see what a folder is about.
fn sample(document: Document) -> Vec<String> {
    let words = document.text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2);
    words.step_by(3).map(str::to_lowercase).collect()
}

/// A store of metrics, as a test sees it: one write a batch, retried by the engine when it fails.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, Cluster>>>);

impl Sink for Store {
    type Col = Vec<Outcome<String, Cluster>>;

    async fn write(&mut self, batch: &mut Batch<Self::Col>, _cx: &IoCx) -> Result<(), StageError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in batch.col.drain(..) {
            rows.insert(outcome.key().clone(), outcome.value().clone());
        }
        Ok(())
    }
}

const DOCUMENTS: [(&str, &str); 2] = [
    (
        "rivers.json",
        "{\"text\":\"the river carries sand, the rivers carry boats, a riverbed keeps both\"}\n",
    ),
    (
        "boats.json",
        "{\"text\":\"boats and boatmen wait for rain; rainfall lifts every boat\"}\nno json\n",
    ),
];

/// The folder to read: the argument, or one of our own.
fn folder() -> Result<String, Box<dyn Error>> {
    if let Some(folder) = env::args().nth(1) {
        return Ok(folder);
    }
    let folder = env::temp_dir().join(format!("flux-io-tokens-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for (name, text) in DOCUMENTS {
        fs::write(folder.join(name), text)?;
    }
    Ok(folder.display().to_string())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = folder()?;
    let store = Store::default();
    let flow = Pipeline::new()
        .source("documents", ndjson::glob(&format!("{folder}/*.json")))
        .try_map_rows("parse", ndjson::parse::<Document>)
        .on_error(OnError::DeadLetter)
        .flat_map("sample", sample)
        .batch("batch", Batching::Hybrid { rows: 500, linger: Duration::from_millis(50) })
        .key_by("cluster", |token: &String| token.chars().take(4).collect::<String>())
        .accumulate("tokens", |policy| {
            policy
                .require(Require::count(u32::MAX))
                .identity(Identity::Each)
                .on_complete(After::Remove)
                .merge(|cluster: &mut Cluster, token: &mut String| {
                    cluster.tokens += 1;
                    if token.len() > cluster.longest.len() {
                        cluster.longest = std::mem::take(token);
                    }
                })
        })
        .parallel(4)
        .sink("store", store.clone());
    let options = RunOptions::default().workers(4);
    let report = engine::Rayon::new().with(options).run(flow)?;

    let rows = store.0.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, cluster) in rows.iter() {
        println!("{name:<6} {:>2}  longest {}", cluster.tokens, cluster.longest);
    }
    let dead: u64 = report.dead_letters.values().sum();
    println!("clusters {}, documents that could not be read {dead}", rows.len());
    Ok(())
}
