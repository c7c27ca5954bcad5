//! Pipeline files: read, or refused with every problem at a place.
#![no_main]

use flux_io_cli::config::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let env = |name: &str| (name == "SET").then(|| "1".to_owned());
    if let Err(problems) = parse("fuzz.toml", bytes, &env, flux_io_cli::checks()) {
        assert!(!problems.list().is_empty());
        for problem in problems.list() {
            let (line, column) = problems.place(problem);
            assert!(line > 0 && column > 0);
        }
        assert!(!problems.to_string().is_empty());
    }
});
