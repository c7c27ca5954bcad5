//! `${NAME}` and `${NAME:-default}` in texts; `$$` is a dollar.

/// Why a text could not be expanded: offset in it, what, and what to do.
pub(super) type EnvError = (usize, String, String);

/// `text` with the environment filled in.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, EnvError> {
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while let Some(n) = text[i..].find('$') {
        out.push_str(&text[i..i + n]);
        i += n;
        let rest = &text[i + 1..];
        if rest.starts_with('$') {
            out.push('$');
            i += 2;
            continue;
        }
        let Some(inner) = rest.strip_prefix('{') else {
            let fix = "write `${NAME}` for a variable, `$$` for the character itself";
            return Err((i, "a `$` that begins nothing".to_owned(), fix.to_owned()));
        };
        let Some(end) = inner.find('}') else {
            let fix = "close it: `${NAME}` or `${NAME:-default}`";
            return Err((i, "`${` is not closed".to_owned(), fix.to_owned()));
        };
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        let good = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !good {
            let what = format!("`{name}` cannot be the name of an environment variable");
            let fix = "use letters, digits and underscores: `${NAME}` or `${NAME:-default}`";
            return Err((i, what, fix.to_owned()));
        }
        match env(name).filter(|v| default.is_none() || !v.is_empty()) {
            Some(value) => out.push_str(&value),
            None => match default {
                Some(default) => out.push_str(default),
                None => {
                    let what = format!("the environment variable `{name}` is not set");
                    let fix = format!("set it, or give a default: `${{{name}:-default}}`");
                    return Err((i, what, fix));
                }
            },
        }
        i += end + 3;
    }
    out.push_str(&text[i..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_defaults_and_dollars() {
        let env = |name: &str| match name {
            "HOME_2" => Some("/x".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let ok = |t: &str| expand(t, &env).unwrap();
        assert_eq!(ok("plain"), "plain");
        assert_eq!(ok("${HOME_2}/a${HOME_2}"), "/x/a/x");
        assert_eq!(ok("${NO:-d}${NO:-}${EMPTY:-e}[${EMPTY}]"), "de[]");
        assert_eq!(ok("$$5 $${NO}"), "$5 ${NO}");
        let at = |t: &str| expand(t, &env).unwrap_err().0;
        assert_eq!((at("a${NO}"), at("$5"), at("${NO"), at("x${}"), at("${1A}")), (1, 0, 0, 1, 0));
    }
}
