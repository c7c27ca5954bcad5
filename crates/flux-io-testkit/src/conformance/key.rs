//! Laws of a [`Key`].

use flux_io_core::{Key, UNKEYED, hash_of, shard_of};
use std::fmt::Debug;

/// Checks the laws of a key type on these keys, each against each.
pub fn laws<K: Key + Debug>(keys: &[K]) {
    for a in keys {
        bytes_give_the_key_back(a);
        for b in keys {
            bytes_decide(a, b);
        }
    }
}

/// `read_bytes(write_bytes(k)) == Some(k)`, writing only appends, and damaged bytes give no key or
/// another one, never a panic.
pub fn bytes_give_the_key_back<K: Key + Debug>(key: &K) {
    let bytes = key.to_key_bytes();
    assert_eq!(K::read_bytes(&bytes).as_ref(), Some(key));
    let mut behind = vec![7, 7];
    key.write_bytes(&mut behind);
    assert_eq!((&behind[..2], &behind[2..]), (&[7, 7][..], &bytes[..]), "writing appends");
    for cut in 0..bytes.len() {
        if let Some(other) = K::read_bytes(&bytes[..cut]) {
            assert_ne!(&other, key, "a part of its bytes is not the key");
        }
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x5A;
        if let Some(other) = K::read_bytes(&damaged) {
            assert_ne!(&other, key);
            assert_eq!(K::read_bytes(&other.to_key_bytes()), Some(other));
        }
    }
}

/// Keys are equal exactly when their bytes are, their order is that of the bytes, and equal keys
/// have one hash and one owner.
pub fn bytes_decide<K: Key + Debug>(a: &K, b: &K) {
    let (x, y) = (a.to_key_bytes(), b.to_key_bytes());
    assert_eq!(a == b, x == y, "{a:?} and {b:?}");
    assert_eq!(a.cmp_bytes(b), x.cmp(&y), "{a:?} and {b:?}");
    for seed in [0, 1, u64::MAX] {
        let (h, copy) = (hash_of(a, seed), hash_of(&a.clone(), seed));
        assert_eq!(h, copy, "a copy hashes alike");
        assert_ne!(h, UNKEYED, "no real key looks like a missing one");
        for shards in 1..=5 {
            assert!(shard_of(h, shards) < shards);
        }
        if a == b {
            assert_eq!(h, hash_of(b, seed));
        }
    }
}
