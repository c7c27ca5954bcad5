//! Makes a failing stream of choices short: cut, zero, delete, halve, as long as it still fails.
//!
//! Source of the approach: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
//! input", 2002 (removing ever smaller pieces), on the stream of choices instead of the input, as
//! MacIver and Donaldson do in "Test-case reduction via test-case generation", 2020.

/// The stream without the zeros at its end.
pub(crate) fn trimmed(mut stream: Vec<u32>) -> Vec<u32> {
    let keep = stream.iter().rposition(|x| *x != 0).map_or(0, |i| i + 1);
    stream.truncate(keep);
    stream
}

/// Smaller is better: choices that are not plain, then length, then sum.
fn cost(s: &[u32]) -> (usize, usize, u64) {
    (s.iter().filter(|x| **x != 0).count(), s.len(), s.iter().map(|x| u64::from(*x)).sum())
}

struct Shrinker<R> {
    best: Vec<u32>,
    left: usize,
    run: R,
}

impl<R: FnMut(&[u32]) -> Option<Vec<u32>>> Shrinker<R> {
    /// Takes `candidate`, or what its run really chose, when it fails and is smaller.
    fn offer(&mut self, candidate: Vec<u32>) -> bool {
        let candidate = trimmed(candidate);
        if self.left == 0 || cost(&candidate) >= cost(&self.best) {
            return false;
        }
        self.left -= 1;
        let Some(real) = (self.run)(&candidate) else { return false };
        // The stream that was really used may be shorter, since clamped or unused numbers go.
        self.best = if cost(&real) < cost(&candidate) { real } else { candidate };
        true
    }

    fn cut(&mut self) -> bool {
        let mut any = false;
        let mut keep = self.best.len() / 2;
        let mut step = self.best.len() / 2;
        while step > 0 {
            step /= 2;
            if self.offer(self.best.iter().copied().take(keep).collect()) {
                any = true;
                keep = self.best.len().saturating_sub(step.max(1));
            } else {
                keep += step.max(1);
            }
        }
        any
    }

    /// Tries `change` on pieces of every size, large ones first.
    fn pieces(&mut self, change: impl Fn(&mut Vec<u32>, usize, usize)) -> bool {
        let mut any = false;
        let mut size = self.best.len().max(1);
        while size > 0 && self.left > 0 {
            let mut at = 0;
            while at < self.best.len() {
                let end = (at + size).min(self.best.len());
                if self.best[at..end].iter().all(|x| *x == 0) && size > 1 {
                    at = end;
                    continue;
                }
                let mut c = self.best.clone();
                change(&mut c, at, end);
                if self.offer(c) {
                    any = true;
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
        any
    }

    fn lower(&mut self) -> bool {
        let mut any = false;
        for at in 0..self.best.len() {
            let mut by = self.best.get(at).copied().unwrap_or(0);
            while by > 0 {
                by /= 2;
                let Some(x) = self.best.get(at).copied() else { break };
                let mut c = self.best.clone();
                c[at] = x - (x - by.min(x)).min(x);
                any |= self.offer(c);
            }
            if let Some(x) = self.best.get(at).copied().filter(|x| *x > 0) {
                let mut c = self.best.clone();
                c[at] = x - 1;
                any |= self.offer(c);
            }
        }
        any
    }
}

/// Shrinks `stream` with at most `runs` runs. `run` gives the stream really used, if it failed in
/// the same way. Gives the shortest found and the runs it took.
pub(crate) fn shrink(
    stream: &[u32],
    runs: usize,
    run: impl FnMut(&[u32]) -> Option<Vec<u32>>,
) -> (Vec<u32>, usize) {
    let mut s = Shrinker { best: stream.to_vec(), left: runs, run };
    loop {
        let mut any = s.cut();
        any |= s.pieces(|c, at, end| c[at..end].fill(0));
        any |= s.pieces(|c, at, end| drop(c.drain(at..end)));
        any |= s.lower();
        if !any || s.left == 0 {
            return (s.best, runs - s.left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{shrink, trimmed};

    /// Fails when a 7 stands somewhere behind a 3.
    fn fails(s: &[u32]) -> Option<Vec<u32>> {
        let three = s.iter().position(|x| *x == 3)?;
        s[three..].contains(&7).then(|| s.to_vec())
    }

    #[test]
    fn a_long_stream_becomes_its_two_causes() {
        let mut s: Vec<u32> = (0..500).map(|i| i % 11 + 10).collect();
        s[100] = 3;
        s[400] = 7;
        let (short, runs) = shrink(&s, 5_000, fails);
        assert_eq!(short, [3, 7], "after {runs} runs");
    }

    #[test]
    fn values_go_down_to_the_least_that_fails() {
        let (short, _) = shrink(&[900, 900], 5_000, |s| (s.first()? >= &417).then(|| s.to_vec()));
        assert_eq!(short, [417]);
    }

    #[test]
    fn runs_are_bounded() {
        let s: Vec<u32> = (1..1000).collect();
        let (_, runs) = shrink(&s, 10, |s| Some(s.to_vec()).filter(|s| s.len() > 900));
        assert!(runs <= 10);
    }

    #[test]
    fn trailing_zeros_go() {
        assert_eq!(trimmed(vec![0, 2, 0, 0]), [0, 2]);
        assert_eq!(trimmed(vec![0, 0]), [0u32; 0]);
    }
}
