//! Cuts the first week out of the month of flights and writes it with its expected numbers.
//!
//! `cargo run --release --package flux-io-testkit --example cut_week` writes
//! `examples/data/flights-week.ndjson.gz` and `examples/data/flights-week.expected.json` anew.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use flux_io_testkit::jobs::fragment::Job;
use flux_io_testkit::jobs::{data_dir, flights, naive};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let week = flights::cut_week(&flights::month()?);
    let mut file = GzEncoder::new(File::create(flights::week_path())?, Compression::best());
    file.write_all(week.as_ndjson())?;
    file.finish()?.sync_all()?;

    let report = naive::run(Job::Flights, week.iter());
    let expected = json!({
        "flights": report.keys,
        "input_lines": report.input_lines,
        "complete": report.tally.complete,
        "partial": report.tally.partial,
        "missing": report.tally.missing,
        "sha256_of_outcomes": report.tally.sha256,
    });
    let text = format!("{expected:#}\n");
    fs::write(data_dir().join("flights-week.expected.json"), text)?;
    Ok(())
}
