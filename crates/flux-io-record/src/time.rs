//! Instants from text: `2013-01-01T10:15:00Z` (RFC 3339) and `1996-03-13`.

use thiserror::Error;

/// A text that is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// It is not written as a date or an instant.
    #[error("expected a time like 2013-01-31T10:15:00Z or a date like 2013-01-31")]
    Form,
    /// A month, day, hour, minute, second or offset that no calendar has.
    #[error("no such {0} in the calendar")]
    Calendar(&'static str),
    /// Before 1677 or after 2262: the nanoseconds do not fit 64 bits.
    #[error("the time is out of range: years 1678 to 2261 fit")]
    Range,
}

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since 1970-01-01T00:00:00Z of an RFC 3339 instant or of the midnight (UTC) that
/// begins a date.
///
/// `t`, `z` and a blank for `T` are accepted; an offset is honoured; fractions beyond nanoseconds
/// are cut; a leap second (`:60`) counts as the second after `:59`.
///
/// # Errors
/// [`TimeError`] when the text is something else.
pub fn parse_time(text: &str) -> Result<i64, TimeError> {
    let b = text.as_bytes();
    let (Some(year), Some(month), Some(day)) = (number(b, 0, 4), number(b, 5, 2), number(b, 8, 2))
    else {
        return Err(TimeError::Form);
    };
    if b[4] != b'-' || b[7] != b'-' {
        return Err(TimeError::Form);
    }
    let midnight = days(year, month, day)? * 86_400;
    if b.len() == 10 {
        return midnight.checked_mul(SECOND).ok_or(TimeError::Range);
    }
    if b.len() < 20 || !matches!(b[10], b'T' | b't' | b' ') || b[13] != b':' || b[16] != b':' {
        return Err(TimeError::Form);
    }
    let (Some(h), Some(m), Some(s)) = (number(b, 11, 2), number(b, 14, 2), number(b, 17, 2)) else {
        return Err(TimeError::Form);
    };
    check(h <= 23, "hour")?;
    check(m <= 59, "minute")?;
    check(s <= 60, "second")?;
    let (nanos, zone) = fraction(b, 19)?;
    let seconds = midnight + h * 3600 + m * 60 + s - offset(b, zone)?;
    let whole = i128::from(seconds) * i128::from(SECOND) + i128::from(nanos);
    i64::try_from(whole).map_err(|_| TimeError::Range)
}

fn check(right: bool, what: &'static str) -> Result<(), TimeError> {
    if right { Ok(()) } else { Err(TimeError::Calendar(what)) }
}

fn number(b: &[u8], at: usize, len: usize) -> Option<i64> {
    b.get(at..at + len)?
        .iter()
        .try_fold(0, |n, c| c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0')))
}

/// Nanoseconds of `.123` at `at`, if it is there, and where the zone begins.
fn fraction(b: &[u8], at: usize) -> Result<(i64, usize), TimeError> {
    if b[at] != b'.' {
        return Ok((0, at));
    }
    let digits = b[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    if digits == 0 {
        return Err(TimeError::Form);
    }
    let nanos = (0..9)
        .fold(0, |n, i| n * 10 + if i < digits { i64::from(b[at + 1 + i] - b'0') } else { 0 });
    Ok((nanos, at + 1 + digits))
}

/// Seconds that the zone at `at` is ahead of UTC.
fn offset(b: &[u8], at: usize) -> Result<i64, TimeError> {
    let sign = match b.get(at) {
        Some(b'Z' | b'z') if b.len() == at + 1 => return Ok(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(TimeError::Form),
    };
    if b.len() != at + 6 || b[at + 3] != b':' {
        return Err(TimeError::Form);
    }
    let (Some(h), Some(m)) = (number(b, at + 1, 2), number(b, at + 4, 2)) else {
        return Err(TimeError::Form);
    };
    check(h <= 23 && m <= 59, "offset")?;
    Ok(sign * (h * 3600 + m * 60))
}

/// Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", days_from_civil).
fn days(year: i64, month: i64, day: i64) -> Result<i64, TimeError> {
    check((1..=12).contains(&month), "month")?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    check((1..=length).contains(&day), "day")?;
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_dates() {
        let day = 86_400 * SECOND;
        for (text, ns) in [
            ("1970-01-01", 0),
            ("1970-01-02", day),
            ("1969-12-31", -day),
            ("2000-03-01", 11_017 * day),
            ("1970-01-01T00:00:01Z", SECOND),
            ("1970-01-01t00:00:01.5z", SECOND + SECOND / 2),
            ("1970-01-01 01:00:00.0000000019+01:00", 1),
            ("1969-12-31T23:00:00-01:00", 0),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
        ] {
            assert_eq!(parse_time(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant() {
        use TimeError::{Calendar, Form, Range};
        for (text, error) in [
            ("", Form),
            ("1970", Form),
            ("1970-1-01", Form),
            ("1970/01/01", Form),
            ("1970-13-01", Calendar("month")),
            ("1970-00-01", Calendar("month")),
            ("1970-02-29", Calendar("day")),
            ("2000-02-30", Calendar("day")),
            ("1900-02-29", Calendar("day")),
            ("1970-01-01T24:00:00Z", Calendar("hour")),
            ("1970-01-01T00:60:00Z", Calendar("minute")),
            ("1970-01-01T00:00:61Z", Calendar("second")),
            ("1970-01-01T00:00:00", Form),
            ("1970-01-01T00:00:00.Z", Form),
            ("1970-01-01T00:00:00+1:00", Form),
            ("1970-01-01T00:00:00+24:00", Calendar("offset")),
            ("1970-01-01T00:00:00Zx", Form),
            ("2262-04-11T23:47:16.854775808Z", Range),
            ("9999-01-01", Range),
            ("1970-01-0é", Form),
        ] {
            assert_eq!(parse_time(text), Err(error), "{text}");
        }
    }
}
