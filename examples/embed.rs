//! A pipeline inside a service: a channel leads in, a channel leads out, and it stops when told.
//!
//! The service takes applications of customers, whose parts come from different systems: name,
//! risk class and limit, in any order. Request handlers put parts into the pipeline and wait while
//! it is full; one task hands out what is assembled. A handle answers questions about the running
//! pipeline and stops it: what was accepted flows through, and what is not complete leaves as a
//! partial result that says what is missing.
//!
//! `cargo run --release -p flux-io --example embed`
//!
//! Row 336.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use flux_io::connect::channel::{Receiver, Sender};
use flux_io::connect::duplex::{Outside, duplex};
use flux_io::core::{Command, Reply, Why};
use flux_io::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;
use tokio::task::{JoinHandle, JoinSet};

/// What another system says of a customer.
struct Part {
    customer: u32,
    field: &'static str,
    value: String,
}

/// A customer as far as it is known.
type Customer = BTreeMap<&'static str, String>;
type Results = Receiver<Outcome<u32, Customer>>;

/// Items that may wait on each side; a sender waits when there is no room.
const ROOM: usize = 64;

/// Starts the pipeline on the service's own runtime.
fn start(handle: &RunHandle) -> (Sender<Part>, Results, Running) {
    let (Outside { sender, receiver }, inside) = duplex(ROOM, ROOM);
    let flow = Pipeline::new()
        .source("parts", inside.source)
        .key_by("customer", |part: &Part| part.customer)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(["id", "name", "riskClass", "limit"]))
                .max_key_items(200)
                .var_name(|part: &Part| part.field)
                .merge(|customer: &mut Customer, part: &mut Part| {
                    customer.insert(part.field, std::mem::take(&mut part.value));
                })
        })
        .sink("customers", inside.sink);
    let engine = engine::Tokio::new().with(RunOptions::default().handle(handle));
    (sender, receiver, tokio::spawn(engine.run(flow)))
}

type Running = JoinHandle<Result<RunReport, RunError>>;

/// A request handler: one system's answers for some customers.
async fn request(pipeline: Sender<Part>, field: &'static str, customers: std::ops::Range<u32>) {
    for customer in customers {
        let part = Part { customer, field, value: format!("{field} of {customer}") };
        if pipeline.send(part).await.is_err() {
            return; // the pipeline has stopped; the part comes back in the error
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let handle = RunHandle::new();
    let (pipeline, mut results, running) = start(&handle);

    // Three systems know all customers 0 to 99; the limits of the last two are not decided yet.
    let systems = [("id", 100), ("name", 100), ("riskClass", 100), ("limit", 98)];
    let mut requests = JoinSet::new();
    for (field, customers) in systems {
        requests.spawn(request(pipeline.clone(), field, 0..customers));
    }

    // What is complete is handed out as soon as its last part is there.
    let mut complete = 0;
    while complete < 98 {
        match results.recv().await? {
            Some(Outcome::Complete { value, .. }) if value.len() == 4 => complete += 1,
            other => return Err(format!("not a complete customer: {other:?}").into()),
        }
    }
    println!("{complete} customers complete while the service runs");

    // The running pipeline answers questions; by and by it has taken all that was sent.
    requests.join_all().await;
    for customer in 98..100 {
        let missing = missing_of(&handle, customer).await;
        println!("customer {customer} is open with 3 parts; {missing} is missing");
    }

    // Graceful stop: sources end, what was accepted flows through, open keys leave.
    handle.stop(StopMode::Graceful { deadline: None });
    while let Some(outcome) = results.recv().await? {
        let (key, headers) = (outcome.key(), outcome.headers());
        println!("customer {key} left without {}", headers.missing_vars());
    }
    let report = running.await??;
    let refused = pipeline.send(Part { customer: 0, field: "id", value: String::new() }).await;
    println!(
        "{:?}; sending now: {}",
        report.ended,
        if refused.is_err() { "refused" } else { "ok" }
    );
    println!("ledger: {}", report.ledger("assemble").unwrap_or_default());
    Ok(())
}

/// What an open customer lacks, asked until three parts are there.
async fn missing_of(handle: &RunHandle, customer: u32) -> String {
    loop {
        let reply = Reply::new();
        let key = customer.to_be_bytes().to_vec();
        handle.command("assemble", Command::Why(key, reply.clone()));
        // The answer comes between two batches.
        let answer = loop {
            match reply.take() {
                Some(answer) => break answer,
                None => tokio::task::yield_now().await,
            }
        };
        if let Why::Open { fragments: 3, missing, .. } = answer {
            return missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        }
    }
}
