//! Durations (`15min`, `72h`, `1h30min`) and sizes (`64MiB`) as people write them.

use std::time::Duration;
use thiserror::Error;

/// A text that is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// It begins with no digit.
    #[error("expected a number with a unit")]
    Number,
    /// A number has no unit.
    #[error("the number has no unit")]
    NoUnit,
    /// A blank.
    #[error("a blank inside")]
    Blank,
    /// A minus.
    #[error("a negative value")]
    Negative,
    /// A fraction.
    #[error("a fraction")]
    Fraction,
    /// A unit that is unknown.
    #[error("unknown unit `{0}`")]
    Unit(String),
    /// Units out of order, or one twice.
    #[error("units stand from large to small, each once")]
    Order,
    /// More than 64 bits hold.
    #[error("too large")]
    TooLarge,
}

/// Nanoseconds of each unit, from large to small.
const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Bytes of each unit: powers of 1,024 with an `i`, powers of 1,000 without.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A duration: whole numbers with `d`, `h`, `min`, `s`, `ms`, `us` or `ns`, from large to small,
/// without blanks. At most 2^63 - 1 nanoseconds (292 years).
///
/// # Errors
/// [`UnitError`] when it is something else.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (mut rest, mut total, mut from) = (text, 0u64, 0);
    while !rest.is_empty() || from == 0 {
        let (n, behind) = number(rest)?;
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let Some(i) = TIMES.iter().position(|(name, _)| *name == unit) else {
            return Err(no_unit(unit, behind));
        };
        if i < from {
            return Err(UnitError::Order);
        }
        total = n
            .checked_mul(TIMES[i].1)
            .and_then(|ns| total.checked_add(ns))
            .filter(|&ns| ns <= i64::MAX as u64)
            .ok_or(UnitError::TooLarge)?;
        (rest, from) = (behind, i + 1);
    }
    Ok(Duration::from_nanos(total))
}

/// A size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB` or `TB`.
/// At most 2^63 - 1.
///
/// # Errors
/// [`UnitError`] when it is something else.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (n, unit) = number(text)?;
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (unit, behind) = unit.split_at(end);
        return Err(no_unit(unit, behind));
    };
    n.checked_mul(*bytes).filter(|&n| n <= i64::MAX as u64).ok_or(UnitError::TooLarge)
}

fn number(text: &str) -> Result<(u64, &str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Err(match text.chars().next() {
            Some('-') => UnitError::Negative,
            Some(c) if c.is_whitespace() => UnitError::Blank,
            _ => UnitError::Number,
        });
    }
    let n = text[..end].parse().map_err(|_| UnitError::TooLarge)?;
    Ok((n, &text[end..]))
}

#[cold]
fn no_unit(unit: &str, behind: &str) -> UnitError {
    match (unit, behind.chars().next()) {
        ("", Some(c)) if c.is_whitespace() => UnitError::Blank,
        ("", Some('.' | ',')) => UnitError::Fraction,
        ("", None) => UnitError::NoUnit,
        ("", Some(c)) => UnitError::Unit(c.to_string()),
        _ => UnitError::Unit(unit.to_owned()),
    }
}

/// What to write instead of a duration that is none.
pub(super) fn mend_duration(text: &str, error: &UnitError) -> String {
    let unit = match error {
        UnitError::Unit(unit) => unit.as_str(),
        UnitError::Blank => text.split_whitespace().nth(1).unwrap_or(""),
        UnitError::NoUnit => return format!("write \"{text}s\", \"{text}min\" or \"{text}h\""),
        UnitError::Fraction => return "use a smaller unit: \"1500ms\" for 1.5 s".to_owned(),
        _ => "",
    };
    let known = match unit.to_lowercase().as_str() {
        "m" | "mins" | "minute" | "minutes" => "min",
        "sec" | "secs" | "second" | "seconds" => "s",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "msec" | "millis" => "ms",
        "w" | "week" | "weeks" => return "write weeks as days: \"14d\"".to_owned(),
        _ => return "write it like \"15min\", \"72h\", \"5s\" or \"1h30min\"".to_owned(),
    };
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    if known == "min" && unit == "m" {
        return format!("write \"{digits}min\" for minutes (\"{digits}ms\" for milliseconds)");
    }
    format!("write \"{digits}{known}\"")
}

/// What to write instead of a size that is none.
pub(super) fn mend_size(text: &str, error: &UnitError) -> String {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    match error {
        UnitError::NoUnit => format!("write \"{digits}B\", \"{digits}KiB\" or \"{digits}MiB\""),
        UnitError::Unit(unit) if !digits.is_empty() => match unit.to_lowercase().chars().next() {
            Some(c @ ('k' | 'm' | 'g' | 't')) => {
                format!("write \"{digits}{}iB\"", c.to_ascii_uppercase())
            }
            _ => "write it like \"512KiB\", \"64MiB\" or \"2GiB\"".to_owned(),
        },
        _ => "write it like \"512KiB\", \"64MiB\" or \"2GiB\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UnitError as E;

    #[test]
    fn durations() {
        let ns = |t: &str| parse_duration(t).map(|d| d.as_nanos());
        let second = 1_000_000_000u128;
        assert_eq!(ns("5s"), Ok(5 * second));
        assert_eq!(ns("15min"), Ok(900 * second));
        assert_eq!(ns("72h"), Ok(72 * 3600 * second));
        assert_eq!(ns("152d"), Ok(152 * 86_400 * second));
        assert_eq!(ns("1h30min"), Ok(5400 * second));
        assert_eq!(ns("1s1ms1us1ns"), Ok(1_001_001_001));
        assert_eq!(ns("0s"), Ok(0));
        assert_eq!(ns("9223372036854775807ns"), Ok(i64::MAX as u128));
        for (text, error) in [
            ("", E::Number),
            ("s", E::Number),
            ("5", E::NoUnit),
            ("5 sec", E::Blank),
            (" 5s", E::Blank),
            ("5s ", E::Blank),
            ("5sec", E::Unit("sec".into())),
            ("5m", E::Unit("m".into())),
            ("5S", E::Unit("S".into())),
            ("5µs", E::Unit("µ".into())),
            ("-5s", E::Negative),
            ("1.5h", E::Fraction),
            ("30min1h", E::Order),
            ("1h1h", E::Order),
            ("9223372036854775808ns", E::TooLarge),
            ("18446744073709551616s", E::TooLarge),
            ("106752d", E::TooLarge),
        ] {
            assert_eq!(ns(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1kB"), Ok(1000));
        assert_eq!(parse_size("0B"), Ok(0));
        assert_eq!(parse_size("8388607TiB"), Ok(8_388_607 << 40));
        for (text, error) in [
            ("", E::Number),
            ("MiB", E::Number),
            ("64", E::NoUnit),
            ("64 MiB", E::Blank),
            ("64M", E::Unit("M".into())),
            ("64mib", E::Unit("mib".into())),
            ("64MiBs", E::Unit("MiBs".into())),
            ("1.5GiB", E::Fraction),
            ("-1B", E::Negative),
            ("8388608TiB", E::TooLarge),
        ] {
            assert_eq!(parse_size(text), Err(error), "{text}");
        }
    }
}
