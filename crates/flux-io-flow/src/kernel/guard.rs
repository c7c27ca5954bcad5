//! Drop guards of the kernels: who panicked, and local copies written back on every way out.
//!
//! Behind an unwind boundary everything captured is a pointer that may alias, and a loop over it
//! does not vectorise. So counters, accumulators and writers are locals inside the protected
//! closure, written back by guards (measured in docs/benchmarks.md, W1).

/// Marks the operator in which a panic began. Costs nothing around a closure that cannot unwind:
/// the mark is set in the landing pad only.
pub(crate) struct Hit<'a>(&'a mut bool);

impl<'a> Hit<'a> {
    #[inline(always)]
    pub(crate) const fn arm(mark: &'a mut bool) -> Self {
        Self(mark)
    }

    #[inline(always)]
    #[expect(clippy::mem_forget, reason = "the guard's drop is the panic path; it owns nothing")]
    pub(crate) const fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Hit<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.0 = true;
    }
}

/// Evaluates an expression under a [`Hit`] guard.
macro_rules! guarded {
    ($mark:expr, $e:expr) => {{
        let guard = $crate::kernel::guard::Hit::arm($mark);
        let value = $e;
        guard.disarm();
        value
    }};
}
pub(crate) use guarded;

/// Adds to a counter on the normal way and on unwinding.
pub(crate) struct Tally<'a> {
    pub(crate) n: u64,
    to: &'a mut u64,
}

impl<'a> Tally<'a> {
    #[inline(always)]
    pub(crate) const fn new(to: &'a mut u64) -> Self {
        Self { n: 0, to }
    }
}

impl Drop for Tally<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.to += self.n;
    }
}

/// A value kept in a local while a loop runs, back in its place on every way out.
pub(crate) struct Keep<'a, T> {
    pub(crate) value: Option<T>,
    to: &'a mut Option<T>,
}

impl<'a, T> Keep<'a, T> {
    #[inline(always)]
    pub(crate) const fn new(to: &'a mut Option<T>) -> Self {
        Self { value: to.take(), to }
    }
}

impl<T> Drop for Keep<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.to = self.value.take();
    }
}

/// An item in the hands of a closure that borrows it: saved when the closure panics.
pub(crate) struct Saved<'a, T> {
    item: Option<T>,
    to: &'a mut Option<T>,
}

impl<'a, T> Saved<'a, T> {
    #[inline(always)]
    pub(crate) const fn new(item: T, to: &'a mut Option<T>) -> Self {
        Self { item: Some(item), to }
    }

    #[inline(always)]
    pub(crate) const fn get(&self) -> Option<&T> {
        self.item.as_ref()
    }

    #[inline(always)]
    #[expect(clippy::mem_forget, reason = "the item was taken out; the guard owns nothing more")]
    pub(crate) fn take(mut self) -> Option<T> {
        let item = self.item.take();
        std::mem::forget(self);
        item
    }
}

impl<T> Drop for Saved<'_, T> {
    #[inline]
    fn drop(&mut self) {
        *self.to = self.item.take();
    }
}
