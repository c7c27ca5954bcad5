//! Records the compiler that builds the benches, for the table's heading.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_INCREMENTAL");
    println!("cargo::rerun-if-env-changed=RUSTFLAGS");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!("cargo::rustc-env=BENCH_RUSTC={}", version.unwrap_or_else(|_| "unknown".to_owned()));
    println!("cargo::rustc-env=BENCH_PROFILE={}", env::var("PROFILE").unwrap_or_default());
    let incremental = env::var("CARGO_INCREMENTAL").is_ok_and(|value| value == "1");
    println!("cargo::rustc-env=BENCH_INCREMENTAL={}", u8::from(incremental));
}
