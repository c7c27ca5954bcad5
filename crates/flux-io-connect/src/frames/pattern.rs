//! Glob patterns, one component of a path at a time.

/// Whether a component has characters with a meaning.
pub(super) fn is_pattern(component: &str) -> bool {
    component.contains(['*', '?', '['])
}

/// Whether `name` fits `pattern`: `*` any characters, `?` one, `[a-z_]` one of a set, `[!..]` one
/// outside it; to stand for themselves they stand in a set (`[*]`). A name that begins with a dot
/// is fitted by a pattern that does too alone.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut i) = (0, 0);
    // The last star, and how far the name went into it: trying again there alone is enough.
    let mut star: Option<(usize, usize)> = None;
    while i < n.len() {
        if p.get(at) == Some(&'*') {
            star = Some((at, i));
            at += 1;
        } else if let Some(behind) = one(&p, at, n[i]) {
            (at, i) = (behind, i + 1);
        } else if let Some((from, used)) = star {
            star = Some((from, used + 1));
            (at, i) = (from + 1, used + 1);
        } else {
            return false;
        }
    }
    p[at..].iter().all(|c| *c == '*')
}

/// Fits one character against what stands at `at`; where the pattern goes on.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let meant = *pattern.get(at)?;
    if meant == '['
        && let Some((set, behind)) = set(pattern, at)
    {
        let (no, set) = match set {
            ['!', rest @ ..] => (true, rest),
            all => (false, all),
        };
        return (holds(set, c) != no).then_some(behind);
    }
    (meant == '?' || meant == c).then_some(at + 1)
}

/// The set that opens at `at`, and where the pattern goes on; a `]` at its start is a member.
fn set(pattern: &[char], at: usize) -> Option<(&[char], usize)> {
    let first = at + 1 + usize::from(pattern.get(at + 1) == Some(&'!'));
    let close = pattern.iter().skip(first + 1).position(|c| *c == ']')? + first + 1;
    Some((&pattern[at + 1..close], close + 1))
}

fn holds(set: &[char], c: char) -> bool {
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            if (set[i]..=set[i + 2]).contains(&c) {
                return true;
            }
            i += 3;
        } else if set[i] == c {
            return true;
        } else {
            i += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_what_they_say() {
        for (pattern, name, yes) in [
            ("*", "a", true),
            ("*", "", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("*.json", "a.json", true),
            ("*.json", "a.json.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**", "ab", true),
            ("?", "ß", true),
            ("?", "ab", false),
            ("part-[0-9][0-9]", "part-07", true),
            ("part-[0-9][0-9]", "part-7", false),
            ("[!a-c]x", "dx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[*]", "*", true),
            ("[*]", "a", false),
            ("[open", "[open", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), yes, "{pattern} {name}");
        }
    }

    /// A pattern made to be slow costs the product of the lengths.
    #[test]
    fn many_stars_end() {
        assert!(!fits(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!fits(&("*a".repeat(100) + "b"), &"a".repeat(5000)));
    }
}
