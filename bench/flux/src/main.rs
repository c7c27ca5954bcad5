//! Our side: flux-io through its facade, with the words of its documentation and nothing else.

mod cpu;
mod engines;
mod latency;
mod mixed;
mod orders;
mod w1;
mod w2;
mod w3;
mod w4;
mod w5;
mod w7;
mod w9;

use std::process::ExitCode;

use bench_common::run_child;

fn main() -> ExitCode {
    run_child(|task| match task.workload.as_str() {
        "w1" => w1::run(task),
        "w2" => w2::run(task),
        "w3" => w3::run(task),
        "w4" | "w4m" => w4::run(task),
        "w9" => w9::run(task),
        "cpu" => cpu::run(task),
        "mixed" => mixed::run(task),
        "w5" => w5::run(task),
        "w7" => w7::run(task),
        "orders" => orders::run(task),
        "lat" => latency::run(task),
        _ => Err(task.unknown()),
    })
}
