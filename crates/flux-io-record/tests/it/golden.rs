//! Expected texts in files: what was reviewed once must come out again.
//!
//! Run with `FLUX_IO_BLESS=1` to write what comes out now, then review the difference.

use std::path::Path;

/// Compares `found` with `tests/it/golden/{name}`.
pub(crate) fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("FLUX_IO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (n, (a, b)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(a, b, "{name}, line {}", n + 1);
    }
    assert_eq!(expected.lines().count(), found.lines().count(), "{name}");
}
