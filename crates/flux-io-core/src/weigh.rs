//! How many heap bytes a value holds: what the memory budget charges for rows that are kept.
//!
//! Only what retains rows asks for it (keyed state, windows, outboxes); a plain `map` takes any
//! payload.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Heap bytes behind a value, without its own `size_of`.
///
/// The figure is an accounting figure: capacities rather than lengths, allocator slack left out.
pub trait HeapSize {
    /// Heap bytes owned by `self`.
    fn heap_bytes(&self) -> usize;
}

macro_rules! no_heap { ($($t:ty),*) => { $(impl HeapSize for $t {
    #[inline] fn heap_bytes(&self) -> usize { 0 }
})* } }
no_heap!((), bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
no_heap!(&'static str, std::time::Duration, crate::Timestamp, crate::Moment);

impl HeapSize for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}
impl HeapSize for Box<str> {
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}
impl HeapSize for bytes::Bytes {
    /// The slice's own length: a slice held for long pins its slab (B31), so whoever keeps one
    /// compacts it first.
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}
impl<T: HeapSize> HeapSize for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(HeapSize::heap_bytes).sum::<usize>()
    }
}
impl<T: HeapSize> HeapSize for VecDeque<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(HeapSize::heap_bytes).sum::<usize>()
    }
}
impl<T: HeapSize> HeapSize for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, HeapSize::heap_bytes)
    }
}
impl<T: HeapSize> HeapSize for Box<T> {
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + (**self).heap_bytes()
    }
}
impl<T: HeapSize> HeapSize for Arc<T> {
    /// Charged in full to every holder: shared bytes may be counted twice, never missed.
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + 16 + (**self).heap_bytes()
    }
}
impl<T: HeapSize, const N: usize> HeapSize for [T; N] {
    fn heap_bytes(&self) -> usize {
        self.iter().map(HeapSize::heap_bytes).sum()
    }
}
impl<K: HeapSize, V: HeapSize> HeapSize for BTreeMap<K, V> {
    fn heap_bytes(&self) -> usize {
        // B-tree nodes hold 5 to 11 entries; 4/3 is the mean slack of a random fill (std's B = 6).
        let nodes = self.len() * (size_of::<K>() + size_of::<V>()) * 4 / 3;
        nodes + self.iter().map(|(k, v)| k.heap_bytes() + v.heap_bytes()).sum::<usize>()
    }
}
impl<A: HeapSize, B: HeapSize> HeapSize for (A, B) {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}
impl<A: HeapSize, B: HeapSize, C: HeapSize> HeapSize for (A, B, C) {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes() + self.2.heap_bytes()
    }
}
