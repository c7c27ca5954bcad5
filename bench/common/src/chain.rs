//! The three functions of W1: map, filter, map. Cheap on purpose, so that what is measured is the
//! cost of calling them.

/// First map: a multiply and an xor with the shifted input.
#[inline(always)]
pub fn map_first(x: u64) -> u64 {
    x.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (x >> 7)
}

/// Filter: drops one item in eight.
#[inline(always)]
pub fn keep(x: &u64) -> bool {
    x & 7 != 0
}

/// Second map.
#[inline(always)]
pub fn map_second(x: u64) -> u64 {
    x ^ (x >> 32)
}
