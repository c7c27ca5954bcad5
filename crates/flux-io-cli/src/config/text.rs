//! The file's bytes as text, or why they are none.

use super::MAX_BYTES;
use super::problem::{Code, Problem};

/// The text, without a byte order mark; or the problem and the part of the text to show it in.
pub(super) fn of(bytes: &[u8]) -> Result<&str, (Problem, &str)> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.len() > MAX_BYTES {
        let what = format!("the file has {} bytes", bytes.len());
        let why = format!("a pipeline file has at most {MAX_BYTES} bytes");
        let fix = "give the pipeline file, not its data";
        return Err((Problem::new(Code::TooLarge, 0..0, what, why, fix), ""));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        let readable = std::str::from_utf8(&bytes[..at]).unwrap_or("");
        let what = format!("the bytes at offset {at} are not UTF-8");
        let why = "TOML is UTF-8 text";
        (Problem::new(Code::NotText, at..at, what, why, "save the file as UTF-8"), readable)
    })?;
    if text.trim().is_empty() {
        let why = "a pipeline needs at least a source and a sink";
        let fix = "start from `flux-io new`, which writes a file that runs";
        return Err((Problem::new(Code::Empty, 0..0, "the file is empty", why, fix), text));
    }
    Ok(text)
}
