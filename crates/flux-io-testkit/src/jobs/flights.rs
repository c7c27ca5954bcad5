//! The flights job: a month of fragments from a file, in several orders of arrival, and the week
//! that is cut from it.

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::data_dir;
use super::lines::Lines;
use super::rng::SplitMix64;

/// How far the feed lags at most, in nanoseconds: 15 minutes.
pub const LAG: i64 = 15 * super::time::MINUTE;

/// The event-time deadline from a flight's first fragment, in nanoseconds: 72 hours.
///
/// In file order it changes nothing: the longest flight spans 56 h 21 min.
pub const DEADLINE: i64 = 72 * super::time::HOUR;

/// In the order of arrival [`Arrival::EveryNthTwice`], which lines come twice: the 1st, 98th, ...
pub const TWICE_EVERY: usize = 97;

/// The days whose flights make the week: keys that begin with a date in this range.
const WEEK: std::ops::RangeInclusive<&str> = "2013-01-01"..="2013-01-07";

/// In which order the lines arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// As they stand in the file: a feed that lags by up to [`LAG`].
    File,
    /// Shuffled by this seed.
    Shuffled(u64),
    /// The file from its end.
    Backwards,
    /// The file, with every [`TWICE_EVERY`]th line sent twice, the copy right behind.
    EveryNthTwice,
}

/// The month's file, gzipped NDJSON.
#[must_use]
pub fn month_path() -> PathBuf {
    data_dir().join("flights-2013-01.ndjson.gz")
}

/// The week's file, gzipped NDJSON.
#[must_use]
pub fn week_path() -> PathBuf {
    data_dir().join("flights-week.ndjson.gz")
}

/// The month's lines in file order.
///
/// # Errors
/// When the file cannot be read or inflated.
pub fn month() -> io::Result<Lines> {
    Lines::read(&month_path())
}

/// The week's lines in file order.
///
/// # Errors
/// When the file cannot be read or inflated.
pub fn week() -> io::Result<Lines> {
    Lines::read(&week_path())
}

/// The lines of `file` in another order of arrival.
#[must_use]
pub fn arranged(file: &Lines, arrival: Arrival) -> Lines {
    let count = u32::try_from(file.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    match arrival {
        Arrival::File => {}
        Arrival::Shuffled(seed) => SplitMix64::new(seed).shuffle(&mut order),
        Arrival::Backwards => order.reverse(),
        Arrival::EveryNthTwice => order = every_nth_twice(&order),
    }
    file.picked(&order)
}

fn every_nth_twice(order: &[u32]) -> Vec<u32> {
    let copies = |place: usize| if place.is_multiple_of(TWICE_EVERY) { 2 } else { 1 };
    order.iter().enumerate().flat_map(|(i, &line)| std::iter::repeat_n(line, copies(i))).collect()
}

/// The week of a month: all fragments of the flights of 1 to 7 January, in the month's order.
#[must_use]
pub fn cut_week(month: &Lines) -> Lines {
    month.iter().filter(|line| is_of_the_week(line)).collect()
}

fn is_of_the_week(line: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
    let day = value.get("flight").and_then(Value::as_str).and_then(|key| key.get(..10));
    day.is_some_and(|day| WEEK.contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_arrival() {
        let texts: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let file: Lines = texts.iter().map(String::as_bytes).collect();
        assert_eq!(arranged(&file, Arrival::File), file);
        assert_eq!(arranged(&file, Arrival::Backwards).get(0), Some(b"199".as_slice()));
        let twice = arranged(&file, Arrival::EveryNthTwice);
        assert_eq!(twice.len(), 203);
        let at = |index| twice.get(index);
        assert_eq!((at(0), at(2)), (at(1), Some(b"1".as_slice())));
        assert_eq!((at(98), at(99)), (Some(b"97".as_slice()), Some(b"97".as_slice())));
        let mut shuffled = arranged(&file, Arrival::Shuffled(1)).to_vecs();
        assert_ne!(shuffled, file.to_vecs());
        shuffled.sort();
        let mut plain = file.to_vecs();
        plain.sort();
        assert_eq!(shuffled, plain);
    }
}
