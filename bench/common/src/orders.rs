//! The orders workload: where its files lie and what its outcome must be.
//!
//! An outcome file holds one line a key, `key TAB status TAB missing TAB record`, in any order;
//! its digest is the SHA-256 of the lines sorted bytewise and joined by LF (none at the end), so
//! it is the same for every engine, order of arrival and number of workers.

use std::{env, fmt::Write as _, path::PathBuf};

use sha2::{Digest, Sha256};

use crate::BenchError;

/// One generated input: order fragments in time order, without chaos.
#[derive(Debug, Clone, Copy)]
pub struct OrdersInput {
    /// TPC-H scale factor.
    pub scale: f64,
    /// Fragments in the file, one a line; names the input on the command line.
    pub lines: u64,
    /// File name inside [`data_dir`].
    pub file: &'static str,
    /// Digest of the right outcome (all orders complete), in hex.
    pub outcome_sha256: &'static str,
}

/// The inputs, small to large. Their digests are those of the orders data set's expected results.
pub const ORDERS: [OrdersInput; 2] = [
    OrdersInput {
        scale: 0.01,
        lines: 135_350,
        file: "orders-0.01-time.ndjson",
        outcome_sha256: "ba6c8d1ca6f4555181e6f923546af8000257376f835c9ad4723db6ffa4cd61b9",
    },
    OrdersInput {
        scale: 0.1,
        lines: 1_351_144,
        file: "orders-0.1-time.ndjson",
        outcome_sha256: "98dd2b82d8a172c6efba8067ae436e157222094e52593ea6869afa3ba2e2dc1c",
    },
];

impl OrdersInput {
    /// The input with this many lines.
    ///
    /// # Errors
    /// [`BenchError::Items`] when none has; it lists those that exist.
    pub fn with_lines(lines: u64) -> Result<Self, BenchError> {
        ORDERS.into_iter().find(|input| input.lines == lines).ok_or_else(|| BenchError::Items {
            workload: "orders".to_owned(),
            items: lines,
            want: format!("one of {:?}", ORDERS.map(|input| input.lines)),
        })
    }

    /// The file's path.
    pub fn path(&self) -> PathBuf {
        data_dir().join(self.file)
    }
}

/// Where generated inputs lie: `$BENCH_DATA`, or `data/` in the bench workspace.
pub fn data_dir() -> PathBuf {
    dir("BENCH_DATA", "data")
}

/// Where a case may write what it emits: `$BENCH_OUT`, or `out/` in the bench workspace.
pub fn out_dir() -> PathBuf {
    dir("BENCH_OUT", "out")
}

fn dir(variable: &str, name: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name),
    }
}

/// The digest of an outcome file's bytes, in hex. A last line without LF counts as a line.
pub fn digest_of_outcomes(outcomes: &[u8]) -> String {
    let body = outcomes.strip_suffix(b"\n").unwrap_or(outcomes);
    let mut lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    let mut hasher = Sha256::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            hasher.update(b"\n");
        }
        hasher.update(line);
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_lines() {
        // sha256 of "a LF b", computed with the sha256sum tool.
        let want = "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78";
        assert_eq!(digest_of_outcomes(b"a\nb\n"), want);
        assert_eq!(digest_of_outcomes(b"b\na"), want);
        assert_ne!(digest_of_outcomes(b"b\nc\n"), want);
    }
}
