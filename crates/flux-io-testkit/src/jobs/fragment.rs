//! One input line of a job, read the slow and sure way: a whole JSON tree, every field by name.
//!
//! This is the reading of the oracles. Engines under test bring their own.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::outcome::canonical_json;
use super::time::{parse_date, parse_instant};

/// The largest line, in bytes without its line feed: 1 MiB. A longer one is a dead letter.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most lines that an order has (TPC-H 4.2.3: `O_LINECOUNT` is random in 1..=7).
pub const MAX_ORDER_LINES: u32 = 7;

/// The variables of a flight in bit order.
const FLIGHT_KINDS: [&str; 4] = ["schedule", "aircraft", "departure", "arrival"];

/// Which of the two standing jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Key `flight`, four static variables, instants as event time.
    Flights,
    /// Key `order`, a required set that the header declares, dates as event time.
    Orders,
}

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The key as its outcome line shows it.
    pub key: String,
    /// The variable's bit: see [`Job::variable`].
    pub bit: u32,
    /// Event time in nanoseconds since 1970.
    pub ts: i64,
    /// How many lines the order has, if this is its header.
    pub declares: Option<u32>,
    /// The whole fragment as canonical JSON.
    pub canonical: Vec<u8>,
}

/// Why a line is a dead letter, by the causes of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum DeadCause {
    /// Longer than [`MAX_RECORD_BYTES`]; it is not even parsed.
    #[error("oversize")]
    Oversize,
    /// Not one JSON document.
    #[error("poison")]
    Poison,
    /// JSON, but a field is missing, of another type or out of range.
    #[error("type")]
    Type,
    /// JSON, but without the job's key.
    #[error("no_key")]
    NoKey,
}

impl Job {
    /// Reads a line.
    ///
    /// # Errors
    /// The cause for which the line is a dead letter: size first, then syntax, key, types.
    pub fn parse(self, line: &[u8]) -> Result<Fragment, DeadCause> {
        if line.len() > MAX_RECORD_BYTES {
            return Err(DeadCause::Oversize);
        }
        let value: Value = serde_json::from_slice(line).map_err(|_| DeadCause::Poison)?;
        match self {
            Self::Flights => parse_flight(&value),
            Self::Orders => parse_order(&value),
        }
    }

    /// The name of a variable: `schedule`, `header`, `shipped:3`, ...
    ///
    /// Bits of flights are 0..=3. Bits of orders are 0 (`header`), 1..=7 (`shipped:1` ..) and
    /// 8..=14 (`received:1` ..). `None` for any other bit.
    #[must_use]
    pub fn variable(self, bit: u32) -> Option<String> {
        let lines = MAX_ORDER_LINES;
        match (self, bit) {
            (Self::Flights, bit) => FLIGHT_KINDS.get(bit as usize).map(|&kind| kind.to_owned()),
            (Self::Orders, 0) => Some("header".to_owned()),
            (Self::Orders, bit) if bit <= lines => Some(format!("shipped:{bit}")),
            (Self::Orders, bit) if bit <= 2 * lines => Some(format!("received:{}", bit - lines)),
            (Self::Orders, _) => None,
        }
    }

    /// The bits that a key needs, in order; `declares` is what its header said, if it came.
    ///
    /// An order without its header needs the header and nothing else is known.
    #[must_use]
    pub fn required(self, declares: Option<u32>) -> Vec<u32> {
        match (self, declares) {
            (Self::Flights, _) => (0..4).collect(),
            (Self::Orders, None) => vec![0],
            (Self::Orders, Some(lines)) => std::iter::once(0)
                .chain(1..=lines)
                .chain(MAX_ORDER_LINES + 1..=MAX_ORDER_LINES + lines)
                .collect(),
        }
    }

    /// The names of the required variables that `present` does not hold, in bit order.
    #[must_use]
    pub fn missing(self, declares: Option<u32>, present: impl Fn(u32) -> bool) -> Vec<String> {
        let absent = self.required(declares).into_iter().filter(|&bit| !present(bit));
        absent.filter_map(|bit| self.variable(bit)).collect()
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flights => "flights",
            Self::Orders => "orders",
        })
    }
}

fn parse_flight(value: &Value) -> Result<Fragment, DeadCause> {
    let key = value.get("flight").ok_or(DeadCause::NoKey)?;
    let key = key.as_str().ok_or(DeadCause::Type)?.to_owned();
    let kind = text(value, "kind")?;
    let bit = FLIGHT_KINDS.iter().position(|&known| known == kind).ok_or(DeadCause::Type)?;
    let ts = parse_instant(text(value, "ts")?).map_err(|_| DeadCause::Type)?;
    Ok(Fragment { key, bit: bit as u32, ts, declares: None, canonical: canonical_json(value) })
}

fn parse_order(value: &Value) -> Result<Fragment, DeadCause> {
    let key = value.get("order").ok_or(DeadCause::NoKey)?;
    let key = key.as_u64().ok_or(DeadCause::Type)?.to_string();
    let ts = parse_date(text(value, "ts")?).map_err(|_| DeadCause::Type)?;
    let (bit, declares) = match text(value, "kind")? {
        "header" => (0, Some(line_number(value, "lines")?)),
        "shipped" => (line_number(value, "line")?, None),
        "received" => (MAX_ORDER_LINES + line_number(value, "line")?, None),
        _ => return Err(DeadCause::Type),
    };
    Ok(Fragment { key, bit, ts, declares, canonical: canonical_json(value) })
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, DeadCause> {
    value.get(field).and_then(Value::as_str).ok_or(DeadCause::Type)
}

/// A line number or a number of lines: an integer in 1..=7.
fn line_number(value: &Value, field: &str) -> Result<u32, DeadCause> {
    let number = value.get(field).and_then(Value::as_u64).ok_or(DeadCause::Type)?;
    let number = u32::try_from(number).map_err(|_| DeadCause::Type)?;
    (1..=MAX_ORDER_LINES).contains(&number).then_some(number).ok_or(DeadCause::Type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::time::{DAY, HOUR};

    #[test]
    fn reads_a_flight() {
        let line = br#"{"flight":"f","kind":"departure","ts":"1970-01-01T01:00:00Z","dep_time":5}"#;
        let fragment = Job::Flights.parse(line).unwrap();
        assert_eq!((fragment.key.as_str(), fragment.bit, fragment.ts), ("f", 2, HOUR));
        assert_eq!(
            fragment.canonical,
            *br#"{"dep_time":5,"flight":"f","kind":"departure","ts":"1970-01-01T01:00:00Z"}"#
        );
    }

    #[test]
    fn reads_the_three_kinds_of_an_order() {
        let read = |line: &str| Job::Orders.parse(line.as_bytes()).unwrap();
        let header = read(r#"{"order":9,"kind":"header","ts":"1970-01-02","lines":2}"#);
        assert_eq!((header.bit, header.declares, header.ts), (0, Some(2), DAY));
        let shipped = read(r#"{"order":9,"kind":"shipped","line":7,"ts":"1970-01-01"}"#);
        let received = read(r#"{"order":9,"kind":"received","line":1,"ts":"1970-01-01"}"#);
        assert_eq!((shipped.bit, received.bit, received.declares), (7, 8, None));
        assert_eq!(received.key, "9");
    }

    #[test]
    fn dead_letters_have_their_cause() {
        let cause = |line: &str| Job::Orders.parse(line.as_bytes()).unwrap_err();
        assert_eq!(cause(r#"{"order":9,"kind""#), DeadCause::Poison);
        assert_eq!(cause("{} {}"), DeadCause::Poison);
        assert_eq!(cause(r#"{"kind":"header","ts":"1970-01-01","lines":1}"#), DeadCause::NoKey);
        for bad in [r#""x""#, "0", "8", "1.0", "-1", "null"] {
            let line = format!(r#"{{"order":9,"kind":"shipped","line":{bad},"ts":"1970-01-01"}}"#);
            assert_eq!(cause(&line), DeadCause::Type, "{line}");
        }
        let fits = format!(r#""{}""#, "x".repeat(MAX_RECORD_BYTES - 2));
        assert_eq!(cause(&fits), DeadCause::NoKey);
        assert_eq!(cause(&format!("{fits} ")), DeadCause::Oversize);
    }

    #[test]
    fn missing_follows_the_header() {
        let missing = |declares, bits: &[u32]| Job::Orders.missing(declares, |b| bits.contains(&b));
        assert_eq!(missing(None, &[1, 8]), ["header"]);
        assert_eq!(missing(Some(2), &[0, 2, 8]), ["shipped:1", "received:2"]);
        assert!(missing(Some(1), &[0, 1, 8]).is_empty());
        assert_eq!(Job::Flights.missing(None, |b| b < 2), ["departure", "arrival"]);
        assert_eq!(Job::Orders.variable(14).as_deref(), Some("received:7"));
        assert_eq!((Job::Orders.variable(15), Job::Flights.variable(4)), (None, None));
    }
}
