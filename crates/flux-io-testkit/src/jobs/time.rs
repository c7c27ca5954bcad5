//! Civil dates and RFC 3339 instants as nanoseconds since 1970, in UTC only.
//!
//! The calendar arithmetic is Howard Hinnant's `days_from_civil` and `civil_from_days`
//! ("chrono-Compatible Low-Level Date Algorithms"), which hold for the proleptic Gregorian
//! calendar.

use thiserror::Error;

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Nanoseconds of a day of 24 hours.
pub const DAY: i64 = 24 * HOUR;

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The text has not the form that was asked for.
    #[error("not of the form {0}")]
    Form(&'static str),
    /// A part is outside its range, such as month 13 or 30 February.
    #[error("the {0} is out of range")]
    Range(&'static str),
}

/// Days from 1970-01-01 to the given day of the proleptic Gregorian calendar.
///
/// `month` is 1..=12 and `day` 1..=31; the caller has checked them.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of the day that lies `days` after 1970-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Nanoseconds since 1970 of the midnight that begins a date `YYYY-MM-DD`.
///
/// # Errors
/// [`TimeError`] when the text has another form or the day does not exist.
pub fn parse_date(text: &str) -> Result<i64, TimeError> {
    days(text.as_bytes())?.checked_mul(DAY).ok_or(TimeError::Range("year"))
}

/// Nanoseconds since 1970 of an instant `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
///
/// The fraction has one to nine digits. A leap second (`:60`) is out of range: event time here
/// has none.
///
/// # Errors
/// [`TimeError`] when the text has another form (an offset other than `Z` too), or a part is out
/// of range, or the instant lies outside 1677..2262, which is what 64-bit nanoseconds hold.
pub fn parse_instant(text: &str) -> Result<i64, TimeError> {
    const FORM: TimeError = TimeError::Form("YYYY-MM-DDTHH:MM:SS[.fraction]Z");
    let bytes = text.as_bytes();
    let (Some(date), Some(clock)) = (bytes.get(..10), bytes.get(10..19)) else { return Err(FORM) };
    let [b'T', h1, h0, b':', m1, m0, b':', s1, s0] = *clock else { return Err(FORM) };
    let hour = number(&[h1, h0]).ok_or(FORM)?;
    let minute = number(&[m1, m0]).ok_or(FORM)?;
    let second = number(&[s1, s0]).ok_or(FORM)?;
    let nanos = fraction(bytes.get(19..).unwrap_or_default()).ok_or(FORM)?;
    let limits = [(hour, 23, "hour"), (minute, 59, "minute"), (second, 59, "second")];
    if let Some(&(_, _, what)) = limits.iter().find(|&&(value, max, _)| value > max) {
        return Err(TimeError::Range(what));
    }
    let in_day = hour * HOUR + minute * MINUTE + second * SECOND + nanos;
    let midnight = days(date)?.checked_mul(DAY);
    midnight.and_then(|start| start.checked_add(in_day)).ok_or(TimeError::Range("year"))
}

fn days(date: &[u8]) -> Result<i64, TimeError> {
    const FORM: TimeError = TimeError::Form("YYYY-MM-DD");
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *date else { return Err(FORM) };
    let year = number(&[y3, y2, y1, y0]).ok_or(FORM)?;
    let month = number(&[m1, m0]).ok_or(FORM)?;
    let day = number(&[d1, d0]).ok_or(FORM)?;
    if !(1..=12).contains(&month) {
        return Err(TimeError::Range("month"));
    }
    let days = days_from_civil(year, month, day);
    if day < 1 || civil_from_days(days) != (year, month, day) {
        return Err(TimeError::Range("day"));
    }
    Ok(days)
}

/// What stands behind the seconds: `Z`, or a point, one to nine digits and `Z`.
fn fraction(rest: &[u8]) -> Option<i64> {
    let (&b'Z', digits) = rest.split_last()? else { return None };
    if digits.is_empty() {
        return Some(0);
    }
    let (&b'.', digits) = digits.split_first()? else { return None };
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let missing = 9 - u32::try_from(digits.len()).ok()?;
    Some(number(digits)? * 10_i64.pow(missing))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, &digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(days_from_civil(1992, 1, 1), 8035);
        assert_eq!(days_from_civil(1969, 12, 31), -1);
    }

    #[test]
    fn days_and_dates_are_inverse_and_dates_ascend() {
        let mut before = civil_from_days(-800_001);
        for day in -800_000..800_000 {
            let civil = civil_from_days(day);
            assert_eq!(days_from_civil(civil.0, civil.1, civil.2), day);
            assert!(civil > before, "{before:?} then {civil:?}");
            before = civil;
        }
    }

    #[test]
    fn instants() {
        assert_eq!(parse_instant("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse_instant("2013-01-01T10:15:00Z"), Ok(1_357_035_300 * SECOND));
        assert_eq!(parse_instant("1969-12-31T23:59:59.999999999Z"), Ok(-1));
        assert_eq!(parse_instant("1970-01-01T00:00:00.25Z"), Ok(SECOND / 4));
        assert_eq!(parse_date("1992-01-01"), Ok(8035 * DAY));
        assert_eq!(parse_date("2000-02-29"), Ok(11_016 * DAY));
    }

    #[test]
    fn what_is_no_instant() {
        let form = |text| assert!(matches!(parse_instant(text), Err(TimeError::Form(_))), "{text}");
        form("");
        form("2013-01-01");
        form("2013-01-01T10:15:00");
        form("2013-01-01T10:15:00+01:00");
        form("2013-01-01 10:15:00Z");
        form("2013-01-01T10:15:00.Z");
        form("2013-01-01T10:15:00.1234567890Z");
        form("2013-1-01T10:15:00Z");
        form("2013-01-01T10:+5:00Z");
        let range = |text, what| assert_eq!(parse_instant(text), Err(TimeError::Range(what)));
        range("2013-13-01T00:00:00Z", "month");
        range("2013-00-01T00:00:00Z", "month");
        range("2013-02-29T00:00:00Z", "day");
        range("2013-04-00T00:00:00Z", "day");
        range("2013-01-01T24:00:00Z", "hour");
        range("2013-01-01T00:60:00Z", "minute");
        range("2013-01-01T00:00:60Z", "second");
        range("9999-01-01T00:00:00Z", "year");
    }
}
