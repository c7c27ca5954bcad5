//! Rows taken from a `Vec` by value, and a writer into reserved capacity: the two loops whose safe
//! forms a benchmark showed to be 1.3 to 2 times slower (docs/benchmarks.md, W1 and W7).
#![expect(unsafe_code, reason = "moves rows out of and into a Vec without a check a row")]

/// Takes rows from the front of `v`, at most `limit`, and hands `(row number, row)` to `sink`.
///
/// `at` counts rows taken, also when `sink` unwinds; rows not yet taken stay in `v` (K1: a drain
/// would drop them in silence). The row number is `at` before the row was taken.
#[inline(always)]
pub fn take_rows<T>(v: &mut Vec<T>, at: &mut u64, limit: usize, sink: &mut impl FnMut(u32, T)) {
    take_rows_while(v, at, limit, &mut |r, x| {
        sink(r, x);
        true
    });
}

/// Like [`take_rows`], until `sink` answers `false`; the row it answered to is taken. Says whether
/// every answer was `true`. A sink that always answers `true` costs nothing more.
#[inline(always)]
pub fn take_rows_while<T>(
    v: &mut Vec<T>,
    at: &mut u64,
    limit: usize,
    sink: &mut impl FnMut(u32, T) -> bool,
) -> bool {
    let len = v.len();
    let n = len.min(limit);
    let base = *at as u32;
    // SAFETY: length 0 is always valid; the rows are owned by `tail` until it is dropped.
    unsafe { v.set_len(0) };
    let p = v.as_ptr();
    let mut tail = Tail { v, taken: 0, len, at };
    while tail.taken < n {
        // SAFETY: `taken < len`, and each row is read once: `taken` moves on before `sink` may
        // unwind, and `tail` keeps only the rows behind it.
        let x = unsafe { std::ptr::read(p.add(tail.taken)) };
        tail.taken += 1;
        if !sink(base + tail.taken as u32 - 1, x) {
            return false;
        }
    }
    true
}

struct Tail<'a, T> {
    v: &'a mut Vec<T>,
    taken: usize,
    len: usize,
    at: &'a mut u64,
}

impl<T> Drop for Tail<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.at += self.taken as u64;
        let rest = self.len - self.taken;
        // SAFETY: rows `taken..len` are initialised and not yet given away; they are moved to the
        // front (the ranges may overlap) and are then the whole content.
        unsafe {
            if rest > 0 {
                let p = self.v.as_mut_ptr();
                std::ptr::copy(p.add(self.taken), p, rest);
            }
            self.v.set_len(rest);
        }
    }
}

/// Appends to a `Vec` within capacity reserved before; the length is set once, also on unwinding.
#[derive(Debug)]
pub struct RowWriter<'a, T> {
    v: &'a mut Vec<T>,
    p: *mut T,
    n: usize,
    cap: usize,
}

impl<'a, T> RowWriter<'a, T> {
    /// A writer with room for `more` rows behind those in `v`.
    #[inline(always)]
    pub fn new(v: &'a mut Vec<T>, more: usize) -> Self {
        v.reserve(more);
        Self { p: v.as_mut_ptr(), n: v.len(), cap: v.capacity(), v }
    }

    /// Rows in the vector now, those written included.
    #[inline(always)]
    #[must_use]
    pub fn rows(&self) -> usize {
        self.n
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When more rows come than room was asked for.
    #[inline(always)]
    pub fn put(&mut self, row: T) {
        assert!(self.n < self.cap, "the writer was made for fewer rows");
        // SAFETY: `n < cap`, so the slot lies in the vector's allocation, which `v` keeps borrowed.
        unsafe { self.p.add(self.n).write(row) };
        self.n += 1;
    }
}

impl<T> Drop for RowWriter<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the first `n` slots are initialised and `n <= capacity`.
        unsafe { self.v.set_len(self.n) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    /// The portable twin of `take_rows`.
    fn take_rows_safe<T>(v: &mut Vec<T>, limit: usize, sink: &mut impl FnMut(u32, T)) {
        let n = v.len().min(limit);
        for (i, x) in v.drain(..n).enumerate() {
            sink(i as u32, x);
        }
    }

    #[test]
    fn take_rows_equals_its_portable_twin() {
        for len in 0..20 {
            for limit in 0..22 {
                let (mut a, mut b): (Vec<String>, Vec<String>) = (
                    (0..len).map(|i| i.to_string()).collect(),
                    (0..len).map(|i| i.to_string()).collect(),
                );
                let (mut x, mut y, mut at) = (vec![], vec![], 0);
                take_rows(&mut a, &mut at, limit, &mut |r, s| x.push((r, s)));
                take_rows_safe(&mut b, limit, &mut |r, s| y.push((r, s)));
                assert_eq!((&a, &x), (&b, &y));
                assert_eq!(at as usize, x.len());
            }
        }
    }

    #[test]
    fn a_sink_that_stops_leaves_the_rest() {
        let mut v: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        let (mut got, mut at) = (vec![], 0);
        let all = take_rows_while(&mut v, &mut at, usize::MAX, &mut |r, s| {
            got.push(s);
            r < 3
        });
        assert_eq!((all, at), (false, 4));
        assert_eq!(got, ["0", "1", "2", "3"]);
        assert_eq!(v, ["4", "5", "6", "7", "8", "9"]);
        assert!(take_rows_while(&mut v, &mut at, usize::MAX, &mut |_, _| true));
        assert_eq!((v.len(), at), (0, 10));
    }

    #[test]
    fn a_panic_costs_one_row_and_leaks_nothing() {
        let counted = Arc::new(());
        let mut v: Vec<Arc<()>> = (0..10).map(|_| Arc::clone(&counted)).collect();
        let mut at = 0;
        let r = catch_unwind(AssertUnwindSafe(|| {
            take_rows(&mut v, &mut at, usize::MAX, &mut |r, _x| assert!(r != 3, "row 3"));
        }));
        assert!(r.is_err());
        assert_eq!((at, v.len()), (4, 6));
        drop(v);
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn writer_keeps_what_it_wrote_when_unwound() {
        let mut v = vec![String::from("a")];
        let r = catch_unwind(AssertUnwindSafe(|| {
            let mut w = RowWriter::new(&mut v, 2);
            w.put(String::from("b"));
            panic!("stop");
        }));
        assert!(r.is_err());
        assert_eq!(v, ["a", "b"]);
    }
}
