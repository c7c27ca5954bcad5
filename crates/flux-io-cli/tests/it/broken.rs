//! Files torn or changed at every byte: always an answer, never a panic.

use crate::catalogue::cases;
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

/// The fixtures of the catalogue and the examples, spoilt at random in up to four places.
#[test]
fn spoilt_files_are_answered() {
    let mut fixtures: Vec<Vec<u8>> = cases().into_iter().map(|(_, file)| file).collect();
    fixtures.retain(|file| file.len() < 10_000);
    fixtures.extend([FLIGHTS, ORDERS, FULL].map(|file| file.as_bytes().to_vec()));
    let odd = b"\"'[]{}=.,#\n\r\0 -+_0195aeinfTZ:${}\xEF\xBB\xBF\xC3\xFF";
    let mut state = 7_u64;
    let mut below = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n.max(1)
    };
    for _ in 0..2_000 {
        let mut file = fixtures[below(fixtures.len())].clone();
        for _ in 0..1 + below(4) {
            let at = below(file.len() + 1);
            match below(4) {
                0 => file.truncate(at),
                1 => file.insert(at, odd[below(odd.len())]),
                2 if at < file.len() => file[at] = odd[below(odd.len())],
                _ => {
                    let other = &fixtures[below(fixtures.len())];
                    let (a, b) = (below(other.len() + 1), below(other.len() + 1));
                    let piece = other[a.min(b)..a.max(b)].to_vec();
                    file.splice(at..at, piece);
                }
            }
        }
        answers(&file);
    }
}

/// The fixtures as seeds for fuzzing, where `cargo xtask fuzz` wants them.
#[test]
fn seeds() {
    let Some(dir) = std::env::var_os("FLUX_IO_SEEDS") else { return };
    let dir = std::path::Path::new(&dir).join("pipeline");
    std::fs::create_dir_all(&dir).unwrap();
    for (n, (_, file)) in cases().into_iter().enumerate() {
        std::fs::write(dir.join(n.to_string()), file).unwrap();
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
