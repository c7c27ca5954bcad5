//! What happened, as a hash of the order of polls, choices and batches, and as text for people.

/// Hash of a run; lines are kept only when asked for.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
    step: u64,
}

impl Trace {
    pub(crate) const fn quiet() -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: None, step: 0 }
    }

    pub(crate) const fn told() -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: Some(Vec::new()), step: 0 }
    }

    /// Mixes a word in: multiply and shift, both halves of the product folded (as FNV, on words).
    pub(crate) const fn mix(&mut self, word: u64) {
        let x = (self.hash ^ word ^ 0x5851_F42D_4C95_7F2D) as u128 * 0x9E37_79B9_7F4A_7C15_u128;
        self.hash = (x >> 64) as u64 ^ x as u64;
    }

    pub(crate) const fn choice(&mut self, of: u32, taken: u32) {
        self.mix((of as u64) << 32 | taken as u64);
    }

    pub(crate) const fn step(&mut self, thing: usize, now: u64) {
        self.step += 1;
        self.mix(thing as u64);
        self.mix(now);
    }

    pub(crate) fn line(&mut self, now: u64, text: impl FnOnce() -> String) {
        if let Some(l) = &mut self.lines {
            l.push(format!("step {} at {now}ns: {}", self.step, text()));
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
