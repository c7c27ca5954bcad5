//! Prefetch: the one door to the instruction. It never faults, so the wrappers are safe.
#![expect(
    unsafe_code,
    reason = "the stable prefetch intrinsic is unsafe; it only takes an address"
)]

/// Asks for the cache line of `s[i]`; out of range is harmless.
#[inline(always)]
pub fn prefetch<T>(s: &[T], i: usize) {
    prefetch_at(s.as_ptr().wrapping_add(i).cast());
}

/// Asks for all cache lines of `s[i]`.
#[inline(always)]
pub fn prefetch_all<T>(s: &[T], i: usize) {
    let p: *const i8 = s.as_ptr().wrapping_add(i).cast();
    let mut line = 0;
    while line < size_of::<T>().max(1) {
        prefetch_at(p.wrapping_add(line));
        line += 64;
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
