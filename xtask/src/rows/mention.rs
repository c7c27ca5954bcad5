//! Finds the rows that a text names: `Row 113`, `Rows 105, 106 and 113`, `Rows 105-108`.

use std::collections::BTreeSet;

use super::table::LAST;

/// Every row number the text names. Comment signs at the start of a line count as space, so a
/// list may go on in the next line of a comment.
pub(super) fn rows(text: &str) -> BTreeSet<u32> {
    let signs = ['/', '!', '#', '*'];
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(signs));
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut found = BTreeSet::new();
    for (at, word) in text.match_indices("Row") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &text[at + word.len()..];
        match after.strip_prefix('s') {
            Some(after) if after.starts_with(' ') => list(after, &mut found),
            None if after.starts_with(' ') => found.extend(number(after).map(|(row, _)| row)),
            _ => {}
        }
    }
    found
}

/// Reads `1, 2-4 and 7` from the start of the text, as far as it goes on so.
fn list(text: &str, found: &mut BTreeSet<u32>) {
    let mut rest = Some(text);
    while let Some((first, after)) = rest.and_then(number) {
        let (last, after) = range_end(after).unwrap_or((first, after));
        found.extend(first..=last.min(LAST).max(first));
        rest = separated(after);
    }
}

/// What follows a comma, an `and`, or both.
fn separated(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let after_comma = text.strip_prefix(',').map(str::trim_start);
    after_comma.unwrap_or(text).strip_prefix("and ").or(after_comma)
}

/// The end of a range whose start stands before the text, and what follows it.
fn range_end(text: &str) -> Option<(u32, &str)> {
    number(text.trim_start().strip_prefix(['-', '–'])?)
}

/// A number after spaces, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
