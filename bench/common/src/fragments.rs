//! The input of W5 and of the latency workload: fragments of records with four variables of
//! 64 bytes, shuffled inside windows, computed from their index (no input file, no set-up).

use crate::{BenchError, rng::mix};

/// Variables a record is complete with.
pub const VARIABLES: usize = 4;
/// Bytes of one variable's value.
pub const VALUE_BYTES: usize = 64;
/// Fragments are shuffled inside windows of 2^20, so about 2^18 keys are open at once.
pub const WINDOW_BITS: u32 = 20;

/// A fragment that owns its value, as a framework with owned items would carry it.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Record it belongs to.
    pub key: u64,
    /// Variable, 0..4.
    pub variable: u8,
    /// 64 ASCII bytes.
    pub value: String,
}

/// A bijection on the numbers below 2^`bits`: two rounds of xor-shift and odd multiply, each of
/// which is invertible modulo 2^`bits`.
#[inline(always)]
fn permute(bits: u32, x: u64) -> u64 {
    let mask = (1u64 << bits) - 1;
    let mut x = x & mask;
    x = (x ^ (x >> (bits / 2))).wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask;
    x = (x ^ (x >> (bits / 2 - 1))).wrapping_mul(0xD6E8_FEB8_6659_FD93) & mask;
    x ^ (x >> (bits / 2))
}

/// Key and variable of the fragment at `index`, shuffled inside windows of 2^20.
#[inline(always)]
pub fn key_and_variable(index: u64) -> (u64, u8) {
    let window = index >> WINDOW_BITS;
    let shuffled = (window << WINDOW_BITS) | permute(WINDOW_BITS, index);
    (shuffled >> 2, (shuffled & 3) as u8)
}

/// The 64 ASCII letters that belong to a key and a variable.
#[inline(always)]
pub fn value64(key: u64, variable: u8) -> [u8; VALUE_BYTES] {
    let mut out = [0u8; VALUE_BYTES];
    let mut state = mix(key.wrapping_mul(4).wrapping_add(u64::from(variable) + 1));
    for chunk in out.chunks_exact_mut(8) {
        // The linear congruential step of Knuth's MMIX; each byte becomes one of the letters a..p.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let letters = ((state >> 4) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_add(0x6161_6161_6161_6161);
        chunk.copy_from_slice(&letters.to_le_bytes());
    }
    out
}

/// The fragment at `index` with an owned value.
#[inline(always)]
#[expect(unsafe_code, reason = "checking 64 known ASCII bytes would be charged to every peer")]
pub fn fragment_at(index: u64) -> Fragment {
    let (key, variable) = key_and_variable(index);
    let bytes = value64(key, variable).to_vec();
    // SAFETY: value64 gives bytes between b'a' and b'p' only, which is ASCII.
    let value = unsafe { String::from_utf8_unchecked(bytes) };
    Fragment { key, variable, value }
}

/// Checksum of one assembled record; sums of it over all records do not depend on their order.
///
/// # Panics
/// When a part has fewer than 64 bytes.
#[inline(always)]
pub fn record_sum(key: u64, parts: [&[u8]; VARIABLES]) -> u64 {
    let mut sum = key;
    for part in parts {
        let ends = u64::from(part[0]) ^ (u64::from(part[63]) << 8);
        sum = sum.wrapping_mul(31).wrapping_add(ends ^ ((part.len() as u64) << 16));
    }
    mix(sum)
}

/// Refuses numbers of fragments that would cut a window, whose records could never complete.
pub(crate) fn check_items(workload: &str, items: u64) -> Result<(), BenchError> {
    if items == 0 || !items.is_multiple_of(1 << WINDOW_BITS) {
        let want = format!("a multiple of {} (whole windows)", 1u64 << WINDOW_BITS);
        return Err(BenchError::Items { workload: workload.to_owned(), items, want });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_holds_each_variable_of_its_keys_once() {
        let mut seen = vec![0u8; 1 << (WINDOW_BITS - 2)];
        for index in 0..1u64 << WINDOW_BITS {
            let (key, variable) = key_and_variable(index);
            assert_eq!(seen[key as usize] & (1 << variable), 0, "twice: {key} {variable}");
            seen[key as usize] |= 1 << variable;
        }
        assert!(seen.iter().all(|&mask| mask == 15));
    }

    #[test]
    fn values_are_lower_case_letters() {
        assert!(value64(7, 3).iter().all(u8::is_ascii_lowercase));
        assert_ne!(value64(7, 3), value64(7, 2));
    }

    #[test]
    fn windows_must_be_whole() {
        assert!(check_items("w5", 1 << 20).is_ok());
        assert!(check_items("w5", (1 << 20) + 1).is_err());
        assert!(check_items("w5", 0).is_err());
    }
}
