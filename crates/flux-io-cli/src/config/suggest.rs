//! "Did you mean": the known word nearest to a wrong one.

/// The nearest of `known`, when it is near: at most a third of the longer word's letters differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let far = |k: &str| distance(&lower, &k.to_lowercase());
    let best = known.into_iter().map(|k| (far(k), k)).min()?;
    let longer = lower.chars().count().max(best.1.chars().count());
    (best.0 <= (longer / 3).max(1)).then_some(best.1)
}

/// Optimal string alignment distance: insertions, deletions, replacements, neighbours swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[i - 2][j - 2] + 1);
            }
            row.push(d);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let known = ["required", "variable", "key", "on_late"];
        assert_eq!(nearest("requird", known), Some("required"));
        assert_eq!(nearest("variabel", known), Some("variable"));
        assert_eq!(nearest("On-Late", known), Some("on_late"));
        assert_eq!(nearest("kye", known), Some("key"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
    }
}
