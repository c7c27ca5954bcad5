//! Laws of keys, their bytes, their hashes and their shards.

use crate::kit::check;
use flux_io_core::{
    Always, AlwaysBytes, AlwaysStr, AnyBatch, Batch, ByBytes, ByStr, ByValue, ByteColumn, Column,
    Key, KeyOf, UNKEYED, hash_of, shard_of,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use std::fmt::Debug;

fn laws<K: Key + Ord + Debug>(a: &K, b: &K) {
    let (x, y) = (a.to_key_bytes(), b.to_key_bytes());
    assert_eq!(K::read_bytes(&x).as_ref(), Some(a), "round trip");
    assert_eq!(a == b, x == y, "equal keys, equal bytes");
    assert_eq!(a.cmp(b), x.cmp(&y), "bytes order as keys do: {a:?} {b:?}");
    assert_eq!(a.cmp_bytes(b), x.cmp(&y), "cmp_bytes is the order of the bytes");
    let mut appended = vec![9];
    a.write_bytes(&mut appended);
    assert_eq!(appended[1..], x[..], "write_bytes appends");
    if a == b {
        assert_eq!(hash_of(a, 1), hash_of(b, 1));
    }
}

fn both<S: Strategy + Clone>(seed: u64, one: S)
where
    S::Value: Key + Ord + Debug,
{
    check(seed, &(one.clone(), one), |(a, b)| {
        laws(&a, &b);
        laws(&a, &a);
    });
}

/// Bytes in which zeros, 255 and common prefixes are frequent.
fn short_bytes() -> impl Strategy<Value = Vec<u8>> + Clone {
    vec((0..3usize).prop_map(|i| [0u8, 1, 255][i]), 0..4)
}

fn short_text() -> impl Strategy<Value = String> + Clone {
    vec((0..3usize).prop_map(|i| ['\0', 'a', '\u{e9}'][i]), 0..4)
        .prop_map(|v| v.into_iter().collect())
}

/// Row 116. The bytes of every key type order as the keys do and read back, negative numbers too.
#[test]
fn numbers_and_text_obey_the_key_laws() {
    both(1, any::<u8>());
    both(2, any::<u16>());
    both(3, any::<u32>());
    both(4, any::<u64>());
    both(5, any::<u128>());
    both(6, any::<i8>());
    both(7, any::<i16>());
    both(8, any::<i32>());
    both(9, any::<i64>());
    both(10, any::<i128>());
    both(11, -2..3i64);
    both(12, short_text());
    both(13, short_bytes());
    for w in [i64::MIN, -1, 0, 1, i64::MAX].windows(2) {
        assert!(w[0].to_key_bytes() < w[1].to_key_bytes());
    }
}

/// Row 116. Pairs, nested on either side, obey the same laws, with zero bytes in the parts.
#[test]
fn pairs_obey_the_key_laws() {
    both(21, (short_bytes(), short_bytes()));
    both(22, (short_text(), any::<i16>()));
    both(23, (-2..3i32, short_text()));
    both(24, ((short_bytes(), short_bytes()), short_bytes()));
    both(25, (short_bytes(), (short_bytes(), -1..2i8)));
}

/// Row 116. Bytes that no key wrote are refused, never a panic.
#[test]
fn foreign_bytes_are_no_key() {
    assert_eq!(u32::read_bytes(&[1, 2, 3]), None);
    assert_eq!(i64::read_bytes(&[]), None);
    assert_eq!(String::read_bytes(&[0xff]), None);
    assert_eq!(<(String, u8)>::read_bytes(b"a\0"), None);
    assert_eq!(<(String, u8)>::read_bytes(b"a\0\x07\x01"), None);
    assert_eq!(<(String, u8)>::read_bytes(b"a\0\0"), None);
    check(26, &vec(any::<u8>(), 0..12), |bytes| {
        if let Some(k) = <(Vec<u8>, i16)>::read_bytes(&bytes) {
            assert_eq!(k.to_key_bytes(), bytes);
        }
        let _ = <((String, u8), String)>::read_bytes(&bytes);
    });
}

/// Row 116. No hash is the mark of an unkeyed row; another seed gives another hash.
#[test]
fn hashes_are_seeded_and_never_unkeyed() {
    check(27, &(short_text(), any::<u64>(), any::<u64>()), |(k, seed, number)| {
        assert_ne!(hash_of(&k, seed), UNKEYED);
        assert_ne!(hash_of(&number, seed), UNKEYED);
        assert_eq!(hash_of(&k, seed), hash_of(k.as_str(), seed), "borrowed hashes as owned");
    });
    assert_ne!(hash_of(&1u64, 1), hash_of(&1u64, 2));
}

/// Row 116. Every hash has one shard inside the range, shards rise with the hash, and all are used.
#[test]
fn shards_cover_the_range() {
    check(28, &(any::<u64>(), any::<u64>(), 1..=u32::MAX), |(a, b, shards)| {
        assert!(shard_of(a, shards) < shards);
        assert!(shard_of(a.min(b), shards) <= shard_of(a.max(b), shards));
    });
    for shards in 1..40u32 {
        assert_eq!((shard_of(0, shards), shard_of(u64::MAX, shards)), (0, shards - 1));
        let mut hit = vec![0u32; shards as usize];
        for k in 0..4_000u64 {
            hit[shard_of(hash_of(&k, 3), shards) as usize] += 1;
        }
        let fair = 4_000 / shards;
        assert!(hit.iter().all(|&n| n > fair / 2 && n < fair * 2), "{shards}: {hit:?}");
    }
}

/// Row 116. Rows without a key belong to shard 0, also in a batch without a hash column: every row
/// has an owner.
#[test]
fn unkeyed_rows_belong_to_shard_zero() {
    let mut b = Batch::of(vec![1u8, 2, 3]);
    b.meta.hash = vec![u64::MAX - 1, UNKEYED, 0];
    let mut owners = vec![77; 9];
    AnyBatch::new(b).owners(4, &mut owners);
    assert_eq!(owners, [3, 0, 0]);
    AnyBatch::new(Batch::of(vec![1u8, 2, 3])).owners(4, &mut owners);
    assert_eq!(owners, [0, 0, 0]);
}

/// `hash`, `is` and `key` of one way to find a key agree on a row.
fn agree<C: Column, K: KeyOf<C>>(how: &K, col: &C, i: usize, want: Option<&K::Key>)
where
    K::Key: Debug,
{
    let row = col.row(i);
    assert_eq!(how.key(row).as_ref(), want);
    assert_eq!(how.hash(row, 5), want.map(|k| hash_of(k, 5)));
    assert_eq!(how.hash(row, 5).is_some(), how.key(row).is_some());
    if let Some(k) = want {
        assert!(how.is(row, k));
    }
}

fn text_of(r: &Option<String>) -> Option<&str> {
    r.as_deref()
}

fn bytes_of(r: &Option<String>) -> Option<&[u8]> {
    r.as_deref().map(str::as_bytes)
}

fn first_byte(r: &[u8]) -> &[u8] {
    &r[..1]
}

/// Row 116. However a key is found (by value, as text, as bytes, sometimes or always), its owned
/// and its borrowed form hash alike.
#[test]
fn ways_to_find_a_key_agree() {
    type Names = Vec<Option<String>>;
    let names: Names = vec![Some(String::from("a")), None];
    let by_str = ByStr(text_of);
    agree(&by_str, &names, 0, Some(&"a".to_owned()));
    agree(&by_str, &names, 1, None);
    agree(&ByBytes(bytes_of), &names, 0, Some(&b"a".to_vec()));
    agree(&ByBytes(bytes_of), &names, 1, None);
    let by_value = ByValue(|r: &Option<String>| r.as_ref().map(|s| s.len() as u64));
    agree(&by_value, &names, 0, Some(&1));
    agree(&by_value, &names, 1, None);
    agree(&Always(|r: &Option<String>| u8::from(r.is_some())), &names, 1, Some(&0));
    let text = vec![String::from("x")];
    agree(&AlwaysStr(String::as_str), &text, 0, Some(&"x".to_owned()));
    let mut lines = ByteColumn::default();
    lines.push(b"k,v");
    agree(&AlwaysBytes(first_byte), &lines, 0, Some(&b"k".to_vec()));
    let is = |i: usize, key: &str| KeyOf::<Names>::is(&by_str, &names[i], &key.to_owned());
    assert!(is(0, "a") && !is(0, "b") && !is(1, ""));
}

/// Row 153. A key says how many heap bytes it holds; a pair holds those of both.
#[test]
fn keys_say_what_they_hold() {
    let (a, b) = (String::with_capacity(10), vec![0u8; 3]);
    assert_eq!(Key::heap_bytes(&1u64), 0);
    let sum = a.capacity() + b.capacity();
    assert_eq!(Key::heap_bytes(&(a, b)), sum);
}
