//! Lines of a file from one buffer, without a copy per line.

use std::io::{self, Read};

const BUFFER_BYTES: usize = 256 << 10;

/// Calls `on_line` for each line without its LF; a last line without LF counts, an empty one does
/// not.
pub(super) fn for_each_line(
    mut source: impl Read,
    mut on_line: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0u8; BUFFER_BYTES];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = source.read(&mut buffer[filled..])?;
        if read == 0 {
            return if filled == 0 { Ok(()) } else { on_line(&buffer[..filled]) };
        }
        filled += read;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[..filled]) {
            on_line(&buffer[start..end])?;
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives few bytes at a time, so that lines straddle reads.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(self.1).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn lines_do_not_depend_on_the_size_of_reads() {
        let long = "x".repeat(BUFFER_BYTES + 7);
        let text = format!("one\n{long}\nthree");
        for step in [1 << 20, 1000, 3] {
            let mut got = Vec::new();
            let keep = |line: &[u8]| {
                got.push(line.len());
                Ok(())
            };
            for_each_line(Trickle(text.as_bytes(), step), keep).unwrap();
            assert_eq!(got, [3, BUFFER_BYTES + 7, 5]);
        }
    }
}
