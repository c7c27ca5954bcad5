//! Keys: equality, one 64-bit hash per row, and bytes that order them.
//!
//! A key's hash is computed once, by `key_by`, with the run's seed, and travels as a column to the
//! exchange (high bits) and the state table (low bits). The bytes give keys one order on every
//! engine: timers with equal deadlines and the flush at the end of input follow it.

use crate::column::Column;
use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash};

/// The hash column's mark of a row without a key. No real hash has this value.
pub const UNKEYED: u64 = u64::MAX;

/// The seeded hash of a key or of its borrowed form; never [`UNKEYED`].
///
/// The seed is drawn per run (per process on real engines), so that nobody outside can prepare
/// keys that collide. Source of the function: foldhash, its quality variant.
#[inline]
pub fn hash_of<T: Hash + ?Sized>(key: &T, seed: u64) -> u64 {
    let h = foldhash::quality::FixedState::with_seed(seed).hash_one(key);
    if h == UNKEYED { UNKEYED - 1 } else { h }
}

/// The shard, of `shards`, that owns a hash: the high bits, so that tables may use the low ones.
#[inline]
#[must_use]
pub const fn shard_of(hash: u64, shards: u32) -> u32 {
    (((hash >> 32) * shards as u64) >> 32) as u32
}

/// What identifies the thing that fragments belong to.
///
/// # Laws
/// - `a == b` exactly when their bytes are equal, and `read_bytes(write_bytes(a)) == Some(a)`.
/// - `cmp_bytes` is the order of the bytes.
pub trait Key: Eq + Hash + Clone + Send + 'static {
    /// Appends bytes whose lexicographic order is the order of keys.
    fn write_bytes(&self, out: &mut Vec<u8>);
    /// The key that `write_bytes` wrote; `None` when the bytes are of no key.
    fn read_bytes(bytes: &[u8]) -> Option<Self>;
    /// Order by bytes.
    fn cmp_bytes(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        self.write_bytes(&mut a);
        other.write_bytes(&mut b);
        a.cmp(&b)
    }
    /// Heap bytes behind the key, for the budget.
    fn heap_bytes(&self) -> usize {
        0
    }
    /// Reads a byte of what lies behind the key, if anything does, so that comparing it soon finds the
    /// line in the cache.
    #[inline(always)]
    fn touch(&self) {}
    /// The bytes as a vector of their own.
    fn to_key_bytes(&self) -> Vec<u8> {
        let mut v = Vec::new();
        self.write_bytes(&mut v);
        v
    }
}

macro_rules! unsigned_key { ($($t:ty),*) => { $(impl Key for $t {
    fn write_bytes(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_be_bytes()); }
    fn read_bytes(b: &[u8]) -> Option<Self> { Some(Self::from_be_bytes(b.try_into().ok()?)) }
    #[inline] fn cmp_bytes(&self, o: &Self) -> Ordering { self.cmp(o) }
})* } }
unsigned_key!(u8, u16, u32, u64, u128);

macro_rules! signed_key { ($($t:ty as $u:ty),*) => { $(impl Key for $t {
    // The sign bit is flipped, so that negative keys come first.
    fn write_bytes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&((*self as $u) ^ (1 << (<$u>::BITS - 1))).to_be_bytes());
    }
    fn read_bytes(b: &[u8]) -> Option<Self> {
        Some((<$u>::from_be_bytes(b.try_into().ok()?) ^ (1 << (<$u>::BITS - 1))) as Self)
    }
    #[inline] fn cmp_bytes(&self, o: &Self) -> Ordering { self.cmp(o) }
})* } }
signed_key!(i8 as u8, i16 as u16, i32 as u32, i64 as u64, i128 as u128);

impl Key for String {
    #[inline(always)]
    fn touch(&self) {
        _ = std::hint::black_box(self.as_bytes().first().copied());
    }
    fn write_bytes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
    fn read_bytes(b: &[u8]) -> Option<Self> {
        Self::from_utf8(b.to_vec()).ok()
    }
    fn cmp_bytes(&self, o: &Self) -> Ordering {
        self.cmp(o)
    }
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Key for Vec<u8> {
    #[inline(always)]
    fn touch(&self) {
        _ = std::hint::black_box(self.first().copied());
    }
    fn write_bytes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read_bytes(b: &[u8]) -> Option<Self> {
        Some(b.to_vec())
    }
    fn cmp_bytes(&self, o: &Self) -> Ordering {
        self.cmp(o)
    }
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

/// Two keys as one. The first is escaped (0 becomes 0, 255) and closed by 0, 0, so that bytes
/// order as pairs do.
impl<A: Key, B: Key> Key for (A, B) {
    fn write_bytes(&self, out: &mut Vec<u8>) {
        for b in self.0.to_key_bytes() {
            out.push(b);
            if b == 0 {
                out.push(255);
            }
        }
        out.extend_from_slice(&[0, 0]);
        self.1.write_bytes(out);
    }
    fn read_bytes(bytes: &[u8]) -> Option<Self> {
        let mut first = Vec::new();
        let mut i = 0;
        loop {
            match (bytes.get(i)?, bytes.get(i + 1)) {
                (0, Some(0)) => break,
                (0, Some(255)) => {
                    first.push(0);
                    i += 2;
                }
                (0, _) => return None,
                (&b, _) => {
                    first.push(b);
                    i += 1;
                }
            }
        }
        Some((A::read_bytes(&first)?, B::read_bytes(&bytes[i + 2..])?))
    }
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

/// How the key of a row is found, without owning it: what `key_by` and its siblings build.
///
/// The three questions let a table look a row up by a borrowed key (`&str`) and own the key only
/// when it is new, so that a fragment of a known key costs no allocation.
pub trait KeyOf<C: Column>: Clone + Send + Sync {
    /// The owned key.
    type Key: Key;
    /// The row's hash under `seed`, or `None` when the row has no key.
    fn hash(&self, row: C::Ref<'_>, seed: u64) -> Option<u64>;
    /// Whether the row's key is `key`.
    fn is(&self, row: C::Ref<'_>, key: &Self::Key) -> bool;
    /// The row's key, owned; `None` exactly when `hash` gives `None`.
    fn key(&self, row: C::Ref<'_>) -> Option<Self::Key>;
}

/// A key given by value: numbers, small tuples. `F: Fn(row) -> Option<K>`.
#[derive(Clone, Copy, Debug)]
pub struct ByValue<F>(pub F);
/// A key given as borrowed text. `F: Fn(row) -> Option<&str>`.
#[derive(Clone, Copy, Debug)]
pub struct ByStr<F>(pub F);
/// A key given as borrowed bytes. `F: Fn(row) -> Option<&[u8]>`.
#[derive(Clone, Copy, Debug)]
pub struct ByBytes<F>(pub F);
/// A key that every row has, by value. `F: Fn(row) -> K`.
#[derive(Clone, Copy, Debug)]
pub struct Always<F>(pub F);
/// A text key that every row has. `F: Fn(row) -> &str`.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysStr<F>(pub F);
/// A byte key that every row has. `F: Fn(row) -> &[u8]`.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysBytes<F>(pub F);

impl<C: Column, K: Key, F: for<'a> Fn(C::Ref<'a>) -> Option<K> + Clone + Send + Sync> KeyOf<C>
    for ByValue<F>
{
    type Key = K;
    #[inline]
    fn hash(&self, row: C::Ref<'_>, seed: u64) -> Option<u64> {
        (self.0)(row).map(|k| hash_of(&k, seed))
    }
    #[inline]
    fn is(&self, row: C::Ref<'_>, key: &K) -> bool {
        (self.0)(row).as_ref() == Some(key)
    }
    fn key(&self, row: C::Ref<'_>) -> Option<K> {
        (self.0)(row)
    }
}

impl<C: Column, K: Key, F: for<'a> Fn(C::Ref<'a>) -> K + Clone + Send + Sync> KeyOf<C>
    for Always<F>
{
    type Key = K;
    #[inline]
    fn hash(&self, row: C::Ref<'_>, seed: u64) -> Option<u64> {
        Some(hash_of(&(self.0)(row), seed))
    }
    #[inline]
    fn is(&self, row: C::Ref<'_>, key: &K) -> bool {
        (self.0)(row) == *key
    }
    fn key(&self, row: C::Ref<'_>) -> Option<K> {
        Some((self.0)(row))
    }
}

/// Borrowed keys of the columns whose rows are plain references. (A closure that returns a borrow of
/// its argument cannot be named for a column in general: the lifetime must appear in the argument.
/// A column of a user's own implements [`KeyOf`] for a type of its own.)
macro_rules! borrowed_keys {
    ([$($g:ident)?], $col:ty, $row:ty) => {
        impl<$($g: Send + 'static,)? F> KeyOf<$col> for ByStr<F>
        where
            F: for<'a> Fn(&'a $row) -> Option<&'a str> + Clone + Send + Sync,
        {
            type Key = String;
            #[inline]
            fn hash(&self, row: &$row, seed: u64) -> Option<u64> {
                (self.0)(row).map(|k| hash_of(k, seed))
            }
            #[inline]
            fn is(&self, row: &$row, key: &String) -> bool {
                (self.0)(row) == Some(key.as_str())
            }
            fn key(&self, row: &$row) -> Option<String> {
                (self.0)(row).map(str::to_owned)
            }
        }

        impl<$($g: Send + 'static,)? F> KeyOf<$col> for AlwaysStr<F>
        where
            F: for<'a> Fn(&'a $row) -> &'a str + Clone + Send + Sync,
        {
            type Key = String;
            #[inline]
            fn hash(&self, row: &$row, seed: u64) -> Option<u64> {
                Some(hash_of((self.0)(row), seed))
            }
            #[inline]
            fn is(&self, row: &$row, key: &String) -> bool {
                (self.0)(row) == key.as_str()
            }
            fn key(&self, row: &$row) -> Option<String> {
                Some((self.0)(row).to_owned())
            }
        }

        impl<$($g: Send + 'static,)? F> KeyOf<$col> for ByBytes<F>
        where
            F: for<'a> Fn(&'a $row) -> Option<&'a [u8]> + Clone + Send + Sync,
        {
            type Key = Vec<u8>;
            #[inline]
            fn hash(&self, row: &$row, seed: u64) -> Option<u64> {
                (self.0)(row).map(|k| hash_of(k, seed))
            }
            #[inline]
            fn is(&self, row: &$row, key: &Vec<u8>) -> bool {
                (self.0)(row) == Some(key.as_slice())
            }
            fn key(&self, row: &$row) -> Option<Vec<u8>> {
                (self.0)(row).map(<[u8]>::to_vec)
            }
        }

        impl<$($g: Send + 'static,)? F> KeyOf<$col> for AlwaysBytes<F>
        where
            F: for<'a> Fn(&'a $row) -> &'a [u8] + Clone + Send + Sync,
        {
            type Key = Vec<u8>;
            #[inline]
            fn hash(&self, row: &$row, seed: u64) -> Option<u64> {
                Some(hash_of((self.0)(row), seed))
            }
            #[inline]
            fn is(&self, row: &$row, key: &Vec<u8>) -> bool {
                (self.0)(row) == key.as_slice()
            }
            fn key(&self, row: &$row) -> Option<Vec<u8>> {
                Some((self.0)(row).to_vec())
            }
        }
    };
}
borrowed_keys!([T], Vec<T>, T);
borrowed_keys!([], crate::column::ByteColumn, [u8]);
