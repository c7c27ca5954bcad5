//! Writing an order's fragment as JSON text, by hand: the fields in their published order, and the
//! ways in which chaos breaks a line.

use super::{Fate, Kind, Orders, PAD_BYTES, Row};
use crate::jobs::fragment::DeadCause;
use crate::jobs::time::civil_from_days;

impl Orders {
    /// Writes `row` into `out`, which is emptied first, as `fate` has it.
    pub(super) fn write_row(&self, row: &Row, fate: Fate, out: &mut Vec<u8>) {
        out.clear();
        let broken = fate == Fate::Dead(DeadCause::Type);
        number_field(out, "{\"order\":", row.order.unsigned_abs());
        match row.kind {
            Kind::Header => self.write_header(row, broken, out),
            Kind::Shipped => self.write_shipped(row, broken, out),
            Kind::Received => self.write_received(row, broken, out),
        }
        match fate {
            Fate::Dead(DeadCause::Oversize) => {
                out.extend_from_slice(b",\"pad\":\"");
                out.resize(out.len() + PAD_BYTES, b'x');
                out.push(b'"');
            }
            Fate::Dead(DeadCause::Poison) => {
                out.truncate(out.len().div_ceil(2));
                return;
            }
            _ => {}
        }
        out.push(b'}');
    }

    fn write_header(&self, row: &Row, broken: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"kind\":\"header\"");
        date_field(out, row.day);
        number_field(out, ",\"customer\":", row.id.into());
        number_field(out, ",\"total\":", row.cents.into());
        line_field(out, ",\"lines\":", row.count, broken);
        text_field(out, ",\"priority\":\"", self.word(row));
        out.extend_from_slice(b",\"clerk\":\"Clerk#");
        padded(out, row.clerk.into(), 9);
        out.push(b'"');
    }

    fn write_shipped(&self, row: &Row, broken: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"kind\":\"shipped\"");
        line_field(out, ",\"line\":", row.line, broken);
        date_field(out, row.day);
        number_field(out, ",\"part\":", row.id.into());
        number_field(out, ",\"quantity\":", row.count.into());
        number_field(out, ",\"price\":", row.cents.into());
        text_field(out, ",\"mode\":\"", self.word(row));
    }

    fn write_received(&self, row: &Row, broken: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"kind\":\"received\"");
        line_field(out, ",\"line\":", row.line, broken);
        date_field(out, row.day);
        text_field(out, ",\"flag\":\"", self.word(row));
    }
}

fn number_field(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    padded(out, value, 1);
}

fn text_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn line_field(out: &mut Vec<u8>, name: &str, value: u8, broken: bool) {
    out.extend_from_slice(name.as_bytes());
    if broken {
        out.extend_from_slice(b"\"x\"");
    } else {
        padded(out, value.into(), 1);
    }
}

fn date_field(out: &mut Vec<u8>, day: u16) {
    let (year, month, day) = civil_from_days(day.into());
    out.extend_from_slice(b",\"ts\":\"");
    padded(out, year.unsigned_abs(), 4);
    out.push(b'-');
    padded(out, month.unsigned_abs(), 2);
    out.push(b'-');
    padded(out, day.unsigned_abs(), 2);
    out.push(b'"');
}

/// Writes a number in decimal with at least `width` digits.
fn padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 || digits.len() - start < width {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_width() {
        let text = |value, width| {
            let mut out = Vec::new();
            padded(&mut out, value, width);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            (text(0, 1), text(7, 2), text(1234, 2)),
            ("0".into(), "07".into(), "1234".into())
        );
        assert_eq!(text(u64::MAX, 9), u64::MAX.to_string());
    }
}
