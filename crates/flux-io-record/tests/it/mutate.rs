//! Inputs spoilt at random, from the fixtures and seeded: what fuzzing would do, without its tools.
//! The laws of decoding hold for all of them, and no text makes a parser panic.

use crate::split::{laws, write_seeds};
use crate::{csv, ndjson};
use flux_io_record::{
    CsvDecoder, Filter, Limits, NdjsonDecoder, Path, Record, Template, parse_time,
};

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Bytes that mean something to one of the readers.
const ODD: &[u8] =
    b"\"\\{}[]:,\n\r\0 \t-+.eE019truefalsnul'\xEF\xBB\xBF\xC3\xA9\xFF\xED\xA0\x80()<>=!|$&";

/// A fixture, perhaps with a piece of another, spoilt in one to four places.
fn spoilt(random: &mut Lcg, fixtures: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = fixtures[random.below(fixtures.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, ODD[random.below(ODD.len())]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] = ODD[random.below(ODD.len())],
            4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {
                let other = &fixtures[random.below(fixtures.len())];
                let (from, to) = (random.below(other.len() + 1), random.below(other.len() + 1));
                let piece = other[from.min(to)..from.max(to)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Cuts a block into pieces of random lengths.
fn cuts(random: &mut Lcg) -> impl FnMut() -> usize + use<'_> {
    move || 1 + random.below(17)
}

#[test]
fn spoilt_ndjson_keeps_the_laws() {
    let fixtures: Vec<Vec<u8>> = ndjson::cases().into_iter().map(|(_, bytes)| bytes).collect();
    let mut random = Lcg(31);
    for _ in 0..4_000 {
        let input = spoilt(&mut random, &fixtures);
        laws(|| NdjsonDecoder::new(ndjson::SMALL), &input, cuts(&mut random));
    }
}

#[test]
fn spoilt_csv_keeps_the_laws() {
    let fixtures: Vec<Vec<u8>> = csv::cases().iter().map(|(_, bytes)| bytes.to_vec()).collect();
    let mut random = Lcg(32);
    for _ in 0..4_000 {
        let input = spoilt(&mut random, &fixtures);
        laws(|| CsvDecoder::new(csv::options()).unwrap(), &input, cuts(&mut random));
    }
}

/// Texts of the small languages, good and bad.
const TEXTS: &[&str] = &[
    "carrier",
    "legs[2].from",
    "[\"a.b\"].c",
    "a[\"x\\\"y\\\\\"][0]",
    "{kind}:{line}",
    "{{literal}} {a[\"}\"].b}",
    "{",
    "a..b",
    "dep_delay > 15 and (carrier == \"UA\" or not cancelled)",
    "has a and not (b != 'x' or c <= -1.5e3) or d >= null",
    "((((a))))",
    "not not not a",
    "a == 123456789012345678901234567890",
    "2013-01-01T05:17:00Z",
    "2013-02-30T24:61:61.999999999999+99:99",
];

#[test]
fn spoilt_expressions_are_answered() {
    let record = br#"{"a":{"b":1,"}":2},"carrier":"UA","dep_delay":16,"legs":[1,{"from":"x"}]}"#;
    let record = Record::parse(record, &Limits::default()).unwrap();
    let fixtures: Vec<Vec<u8>> = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    let mut random = Lcg(33);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let text = String::from_utf8_lossy(&spoilt(&mut random, &fixtures)).into_owned();
        let mut count = |ok: bool| if ok { good += 1 } else { bad += 1 };
        match Path::parse(&text) {
            Ok(path) => drop(record.view().find(&path)),
            Err(e) => assert!(e.at <= text.len() && text.is_char_boundary(e.at), "{text:?}"),
        }
        match Template::parse(&text) {
            Ok(template) => drop(template.render(record.view(), &mut String::new())),
            Err(e) => assert!(!e.to_string().is_empty()),
        }
        match Filter::parse(&text) {
            Ok(filter) => {
                count(true);
                drop(filter.passes(record.view()));
            }
            Err(e) => {
                count(false);
                assert!(e.at <= text.len() && text.is_char_boundary(e.at), "{text:?}: {e}");
            }
        }
        let _ = parse_time(&text);
    }
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad");
}

/// The fixtures as seeds for fuzzing, where `cargo xtask fuzz` wants them.
#[test]
fn seeds() {
    write_seeds("ndjson", ndjson::cases().into_iter().map(|(_, bytes)| bytes));
    write_seeds("csv", csv::cases().into_iter().map(|(_, bytes)| bytes.to_vec()));
    write_seeds("expression", TEXTS.iter().map(|text| text.as_bytes().to_vec()));
}
