//! A file in blocks of whole lines, for sides that read by hand.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

const BLOCK_BYTES: usize = 256 << 10;

/// Calls `on_block` with whole lines, each with its LF, of the lines of `path` that begin in `part`.
///
/// # Errors
/// When the file cannot be read.
pub fn for_each_block(
    path: &Path,
    part: Range<u64>,
    mut on_block: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0u8; BLOCK_BYTES];
    let (mut filled, mut at) = (0, part.start);
    // A line belongs to the part in which it begins: the rest of one that began before is left out.
    let mut skip = part.start > 0;
    if skip {
        at -= 1;
        file.seek(SeekFrom::Start(at))?;
    }
    loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = file.read(&mut buffer[filled..])?;
        filled += read;
        let mut start = 0;
        if skip {
            match buffer[..filled].iter().position(|&b| b == b'\n') {
                Some(lf) => (start, skip) = (lf + 1, false),
                None if read > 0 => continue,
                None => return Ok(()),
            }
        }
        // The line that begins last before the part's end is the last one.
        let left = part.end.saturating_sub(at + start as u64) as usize;
        let stop = if left >= filled - start {
            None
        } else {
            let from = (start + left).saturating_sub(1).max(start);
            if left == 0 {
                Some(start)
            } else {
                buffer[from..filled].iter().position(|&b| b == b'\n').map(|lf| from + lf + 1)
            }
        };
        let end = stop.or_else(|| {
            if read == 0 {
                Some(filled)
            } else {
                buffer[..filled].iter().rposition(|&b| b == b'\n').map(|lf| lf + 1)
            }
        });
        let end = end.unwrap_or(start).max(start);
        if end > start {
            on_block(&buffer[start..end]);
        }
        if stop.is_some() || read == 0 {
            return Ok(());
        }
        buffer.copy_within(end..filled, 0);
        filled -= end;
        at += end as u64;
    }
}

/// `of` parts of a file of about equal size.
///
/// # Errors
/// When its length cannot be read.
pub fn parts(path: &Path, of: u64) -> io::Result<Vec<Range<u64>>> {
    let len = std::fs::metadata(path)?.len();
    Ok((0..of).map(|k| len * k / of..len * (k + 1) / of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_belongs_to_one_part() {
        let dir = std::env::temp_dir().join(format!("bench-blocks-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("lines");
        let text: String = (0..40_000).map(|i| format!("{i}\n{}", "x\n".repeat(i % 3))).collect();
        std::fs::write(&path, &text).unwrap();
        for of in [1, 2, 3, 7] {
            let mut got = Vec::new();
            for part in parts(&path, of).unwrap() {
                for_each_block(&path, part, |block| got.extend_from_slice(block)).unwrap();
            }
            assert!(got == text.as_bytes(), "{of} parts give {} of {}", got.len(), text.len());
        }
        // Every cut of a short text.
        std::fs::write(&path, "ab\n\nc\nd").unwrap();
        for cut in 0..=8 {
            let mut got = Vec::new();
            for part in [0..cut, cut..8] {
                for_each_block(&path, part, |block| got.extend_from_slice(block)).unwrap();
            }
            assert_eq!(String::from_utf8_lossy(&got), "ab\n\nc\nd", "{cut}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
