//! The program: `flux-io run FILE` as a user calls it, on pipeline files written here. Reading and
//! writing are inside the measured time, digesting what was written is not.

mod outcomes;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use bench_common::{
    BenchError, Measured, OrdersInput, Task, digest_of_outcomes, digest_of_records, input_file,
    out_dir, run_child, timed,
};

/// W9: a record is whole with its four measures.
const RECORDS: &str = r#"version = 1
name = "records"

[source.fragments]
path = "INPUT"
format = "ndjson"

[accumulate]
name = "assemble"
key = "key"
variable = "var"
required = ["temperature", "salinity", "pressure", "oxygen"]
after = "remove"

[sink.records]
path = "OUTPUT"
takes = ["complete"]
"#;

/// The orders job, with the deadline that its time order permits.
const ORDERS: &str = r#"version = 1
name = "orders"

[source.orders]
path = "INPUT"
format = "ndjson"

[event_time]
field = "ts"

[accumulate]
name = "assemble"
key = "order"
variable = "{kind}:{line}"
required = ["header", "shipped:1..{lines}", "received:1..{lines}"]
bounds = { lines = "header.lines" }
max_index = 7
expire_after = "152d"

[sink.assembled]
path = "OUTPUT"
takes = ["complete", "partial"]
"#;

fn main() -> ExitCode {
    run_child(run)
}

fn run(task: &Task) -> Result<Measured, BenchError> {
    let engine: &[&str] = match task.case.as_str() {
        "program-sync" => &["--engine", "sync", "--workers", "1"],
        "program-tokio-2" => &["--engine", "tokio", "--workers", "2"],
        _ => return Err(task.unknown()),
    };
    let output =
        out_dir().join(format!("{}-{}-{}.ndjson", task.workload, task.case, process::id()));
    fs::create_dir_all(out_dir()).map_err(file(&out_dir()))?;
    let (text, input) = match task.workload.as_str() {
        "w9" => (RECORDS, input_file("w9", task.items)),
        "orders" => (ORDERS, OrdersInput::with_lines(task.items)?.path()),
        _ => return Err(task.unknown()),
    };
    let pipeline = output.with_extension("toml");
    let text = text.replace("INPUT", &input.display().to_string());
    let text = text.replace("OUTPUT", &output.display().to_string());
    fs::write(&pipeline, text).map_err(file(&pipeline))?;

    let mut args = vec!["flux-io".into(), "run".into(), PathBuf::from(&pipeline).into()];
    args.extend(["--quiet"].iter().chain(engine).map(Into::into));
    let (code, seconds) = timed(|| flux_io_cli::program(args));
    if code != ExitCode::SUCCESS {
        let detail = format!("it ended with {code:?}");
        return Err(BenchError::Failed { what: "flux-io run", detail });
    }
    let check = Some(if task.workload == "w9" {
        digest_of_records(&output)?
    } else {
        let outcomes = fs::read(&output).map_err(file(&output))?;
        digest_of_outcomes(outcomes::lines(&outcomes)?.as_bytes())
    });
    for done in [&output, &pipeline] {
        fs::remove_file(done).map_err(file(done))?;
    }
    Ok(Measured { items: task.items, seconds, check, metrics: [].into() })
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.to_owned();
    move |source| BenchError::File { path, source }
}
