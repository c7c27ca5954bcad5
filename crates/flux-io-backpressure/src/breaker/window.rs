//! The results of the last calls.

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

impl Called {
    pub(super) const GOOD: Self = Self { failed: false, slow: false };
    pub(super) const SLOW: Self = Self { failed: false, slow: true };
}

/// The last calls, and how many of them failed or were slow: each push is constant work.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// A ring: filled up to its size, then overwritten from `next` on.
    ring: Vec<Called>,
    size: usize,
    next: usize,
    failed: u32,
    slow: u32,
}

impl Window {
    /// One of `size` calls. Memory grows with the calls, up to two bytes each.
    pub(super) const fn new(size: u32) -> Self {
        Self { ring: Vec::new(), size: size as usize, next: 0, failed: 0, slow: 0 }
    }

    pub(super) fn push(&mut self, call: Called) {
        self.failed += u32::from(call.failed);
        self.slow += u32::from(call.slow);
        match self.ring.get_mut(self.next) {
            Some(place) => {
                let old = std::mem::replace(place, call);
                self.failed -= u32::from(old.failed);
                self.slow -= u32::from(old.slow);
            }
            None => self.ring.push(call),
        }
        self.next = (self.next + 1) % self.size;
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        (self.next, self.failed, self.slow) = (0, 0, 0);
    }

    pub(super) fn calls(&self) -> u32 {
        self.ring.len() as u32
    }

    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    pub(super) const fn slow(&self) -> u32 {
        self.slow
    }
}
