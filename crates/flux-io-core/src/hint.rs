//! Memory asked for before it is used: the one door to the prefetch instruction, which never faults,
//! and to loads whose value nobody wants.
#![expect(
    unsafe_code,
    reason = "the prefetch intrinsic is unsafe, and so is a read that the compiler must keep; W5 needs both"
)]

use std::mem::MaybeUninit;

/// Asks for the cache line of `s[i]`; out of range is harmless.
#[inline(always)]
pub fn prefetch<T>(s: &[T], i: usize) {
    prefetch_at(s.as_ptr().wrapping_add(i).cast());
}

/// Bytes of a cache line, of all machines this was measured on.
const LINE: usize = 64;
/// Lines of one element that [`touch`] reads at most: of a large one, which parts will be used is
/// not known.
const LINES: usize = 8;

/// Reads a byte of every cache line of `s[i]`, at most the first eight; out of range it does nothing.
///
/// A prefetch may be dropped, and is where many are asked for at once; a load is not. Loads in a
/// loop that does little else overlap like prefetches. What that gave in W5 on one machine stands in
/// docs/benchmarks.md. The slice is lent mutably so that nobody writes to it meanwhile.
#[inline(always)]
pub fn touch<T>(s: &mut [T], i: usize) {
    let Some(t) = s.get_mut(i) else { return };
    let p: *const MaybeUninit<u8> = std::ptr::from_mut(t).cast();
    let bytes = size_of::<T>().min(LINE * LINES);
    let read = |at: usize| {
        // SAFETY: `at` is below the size of `T`, so the byte is within `*t`, which is lent to us
        // alone; a `MaybeUninit` may be read whether or not the byte was ever written (padding).
        _ = unsafe { p.add(at).read_volatile() };
    };
    // A plain loop: over a chain of two iterators W5 lost most of the gain.
    let mut at = 0;
    while at < bytes {
        read(at);
        at += LINE;
    }
    if bytes > 0 {
        read(bytes - 1);
    }
}

#[inline(always)]
fn prefetch_at(p: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 is part of SSE, which every x86-64 has, and it never faults, whatever
    // the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch(p, std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also what Miri is to look at: padding, values without bytes, ends of a slice, large values.
    #[test]
    fn any_element_may_be_touched() {
        let mut padded = [(1u8, 2u64), (3, 4)];
        let mut large = [[7u8; 3000]; 2];
        for i in [0, 1, 2, usize::MAX] {
            touch(&mut padded, i);
            touch(&mut large, i);
            touch(&mut [(), ()], i);
            touch::<u8>(&mut [], i);
            prefetch(&padded, i);
        }
        assert_eq!((padded, large[1][2999]), ([(1, 2), (3, 4)], 7));
    }
}
