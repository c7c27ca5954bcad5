//! Text, rows and records, from a seeded generator.

use std::io::{self, Write};

use bench_common::{MEASURES, Rng, WORDS_PER_LINE, keys_of, mix, value64};

const SEED: u64 = 42;
/// Distinct words of the text.
const VOCABULARY: usize = 200_000;

fn below(rng: &mut Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}

fn letters(rng: &mut Rng, n: u64) -> String {
    (0..n).map(|_| char::from(b'a' + below(rng, 26) as u8)).collect()
}

/// Words by Zipf's law with exponent 1, twelve a line.
pub(crate) fn words(items: u64, out: &mut impl Write) -> io::Result<()> {
    let mut rng = Rng::new(SEED);
    let word = |i: usize| {
        let long = u64::from(i.max(2).ilog2()) / 2;
        let n = 2 + long + below(&mut rng, 5);
        let mut word = letters(&mut rng, n);
        if i % 50 == 49 {
            word.push_str("tion");
        }
        word
    };
    let words: Vec<String> = (0..VOCABULARY).map(word).collect();
    let mut total = 0.0;
    let upto: Vec<f64> = (1..=VOCABULARY)
        .map(|rank| {
            total += 1.0 / rank as f64;
            total
        })
        .collect();
    let mut rng = Rng::new(SEED + 1);
    for i in 0..items {
        let x = rng.next_unit() * total;
        let rank = upto.partition_point(|&sum| sum < x).min(VOCABULARY - 1);
        out.write_all(words[rank].as_bytes())?;
        let last = (i + 1) % WORDS_PER_LINE == 0 || i + 1 == items;
        out.write_all(if last { b"\n" } else { b" " })?;
    }
    Ok(())
}

/// Rows `key;value`, the value from -99.9 to 99.9 with one decimal.
pub(crate) fn rows(workload: &str, items: u64, out: &mut impl Write) -> io::Result<()> {
    let mut rng = Rng::new(SEED);
    let keys = keys_of(workload);
    let key = |i: u64| {
        let n = 3 + below(&mut rng, 10);
        format!("{}{i:x}", letters(&mut rng, n))
    };
    let names: Vec<String> = (0..keys).map(key).collect();
    let mut rng = Rng::new(SEED + 1);
    for _ in 0..items {
        let name = &names[below(&mut rng, keys) as usize];
        let tenths = below(&mut rng, 1999) as i64 - 999;
        let (sign, size) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
        writeln!(out, "{name};{sign}{}.{}", size / 10, size % 10)?;
    }
    Ok(())
}

/// Fragments of records with four measures, shuffled inside windows of 2^17.
pub(crate) fn fragments(items: u64, out: &mut impl Write) -> io::Result<()> {
    const WINDOW: u64 = 1 << 17;
    let mut start = 0;
    while start < items {
        let size = WINDOW.min(items - start);
        let mut order: Vec<u64> = (start..start + size).collect();
        let mut rng = Rng::new(SEED + start);
        for i in (1..order.len()).rev() {
            order.swap(i, below(&mut rng, i as u64 + 1) as usize);
        }
        for (at, &x) in (start..).zip(&order) {
            let (key, variable) = (x / 4, (x % 4) as u8);
            let value = (mix(x + 1) % 100_000) as f64 / 1000.0;
            let note = value64(key, variable);
            let note = String::from_utf8_lossy(&note[..32]);
            writeln!(
                out,
                "{{\"key\":\"cast-{key:08}\",\"var\":\"{}\",\"value\":{value:.3},\"ts\":{},\
                 \"source\":\"station-{}\",\"note\":\"{note}\",\"flags\":[{},{}]}}",
                MEASURES[usize::from(variable)],
                1_700_000_000_000u64 + at,
                key % 97,
                x % 5,
                x % 3,
            )?;
        }
        start += size;
    }
    Ok(())
}
