//! Files torn or changed at every byte: always an answer, never a panic.

use crate::examples::{FLIGHTS, FULL, ORDERS};
use crate::read;

fn answers(bytes: &[u8]) -> bool {
    match read(bytes) {
        Ok(_) => true,
        Err(problems) => {
            assert!(!problems.list().is_empty());
            let text = problems.to_string();
            for problem in problems.list() {
                let (line, column) = problems.place(problem);
                assert!(line > 0 && column > 0);
                assert!(text.contains(&format!("pipeline.toml:{line}:{column}: ")), "{text}");
                assert!(!problem.fix.is_empty() && !problem.why.is_empty());
            }
            false
        }
    }
}

#[test]
fn every_truncation_is_answered() {
    for file in [FLIGHTS, ORDERS, FULL] {
        let whole = (0..=file.len()).filter(|&n| answers(&file.as_bytes()[..n])).count();
        // Most truncations lack a sink or tear a value; only those behind the last sink may pass.
        assert!(whole > 0 && whole < file.len() / 2, "{whole}");
    }
}

#[test]
fn every_changed_byte_is_answered() {
    let odd = [b'"', b'[', b'=', b'\n', 0, 0xFF, b'$', b'{', b'9', b'!', b' '];
    let mut file = FULL.as_bytes().to_vec();
    for i in 0..file.len() {
        let kept = std::mem::replace(&mut file[i], odd[i % odd.len()]);
        answers(&file);
        file[i] = kept;
    }
}

/// All problems come at once, in the order of the file.
#[test]
fn all_problems_come_at_once() {
    let file = FULL
        .replace("engine = \"rayon\"", "engine = \"rayn\"")
        .replace("lag = \"15min\"", "lag = \"15 min\"")
        .replace("on_late", "on_laet")
        .replace("burst = 10", "burst = 0")
        .replace("to = \"out\"", "to = \"outt\"");
    let problems = read(file.as_bytes()).unwrap_err();
    let codes: Vec<String> = problems.list().iter().map(|p| p.code.to_string()).collect();
    assert_eq!(codes, ["FLX-C013", "FLX-C015", "FLX-C010", "FLX-C014", "FLX-C021"], "{problems}");
}
