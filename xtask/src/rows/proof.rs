//! Whether a named proof is there, is what it says, and names its row.

use std::path::Path;

use super::table::Proof;
use super::{mention, source};

/// Written in two parts so that a search for ignored tests does not stop here.
const IGNORED: &str = concat!("#[", "ignore");

/// Folders whose Rust files may be named by path alone: each is one program or one case.
const WHOLE_FILES: &[&str] = &["examples/", "tests/ui/", "benches/", "bench/", "fuzz/"];

/// What is wrong with a proof of row `number` in the tree below `root`, if anything.
pub(super) fn fault(root: &Path, number: u32, proof: &Proof) -> Option<String> {
    let file = root.join(&proof.path);
    if !file.is_file() {
        return Some(format!("`{}` is not a file", proof.path));
    }
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) => return Some(format!("cannot read `{}`: {e}", proof.path)),
    };
    match &proof.test {
        Some(test) => test_fault(&text, number, test).map(|fault| format!("`{proof}` {fault}")),
        None => file_fault(&text, number, &proof.path),
    }
}

/// A file named as a whole.
fn file_fault(text: &str, number: u32, path: &str) -> Option<String> {
    let whole = WHOLE_FILES.iter().any(|f| path.starts_with(f) || path.contains(&format!("/{f}")));
    if path.ends_with(".rs") && !whole {
        return Some(format!("`{path}` is Rust source: name the test in it as `{path}::test`"));
    }
    (!mention::rows(text).contains(&number))
        .then(|| format!("`{path}` does not say `Row {number}` anywhere"))
}

/// A test in a source file: `test`, or `module::test` of which the last part is looked for.
fn test_fault(text: &str, number: u32, test: &str) -> Option<String> {
    let name = test.rsplit("::").next().unwrap_or(test);
    let functions = source::functions(text);
    let found: Vec<_> = functions.iter().filter(|function| function.name == name).collect();
    if found.is_empty() {
        return Some("is not a function in that file".to_owned());
    }
    let tests: Vec<_> = found.iter().filter(|f| f.is_test() && !f.head.contains(IGNORED)).collect();
    if tests.is_empty() {
        return Some("is not a test that runs".to_owned());
    }
    let silent = !tests.iter().any(|function| function.rows().contains(&number));
    silent.then(|| format!("does not say `Row {number}` in its comment or body"))
}
