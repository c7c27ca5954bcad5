//! The bad inputs of the config row, each with its exact message.

use crate::golden::golden;
use crate::read;
use flux_io_cli::config::Code;
use std::fmt::Write as _;

const BASE: &str = r#"version = 1
[source.in]
path = "in.ndjson"
format = "ndjson"
[accumulate]
key = "k"
variable = "v"
required = ["a", "b"]
[sink.out]
path = "out.ndjson"
takes = ["complete"]
"#;

/// The base with `from` replaced.
fn change(from: &str, to: &str) -> Vec<u8> {
    assert!(BASE.contains(from), "{from}");
    BASE.replacen(from, to, 1).into_bytes()
}

/// The base with a line more in the accumulator.
fn policy(line: &str) -> Vec<u8> {
    change("required = [\"a\", \"b\"]", &format!("required = [\"a\", \"b\"]\n{line}"))
}

fn required(value: &str) -> Vec<u8> {
    change("[\"a\", \"b\"]", value)
}

/// The base with more behind it.
fn more(text: &str) -> Vec<u8> {
    format!("{BASE}{text}\n").into_bytes()
}

/// The base with a line more in the source.
fn source(line: &str) -> Vec<u8> {
    change("format = \"ndjson\"", &format!("format = \"ndjson\"\n{line}"))
}

/// The base with a table [run].
fn run(line: &str) -> Vec<u8> {
    more(&format!("[run]\n{line}"))
}

/// The base with two columns of one name in the sink.
fn columns(lines: &str) -> Vec<u8> {
    let takes = "takes = [\"complete\"]";
    change(takes, &format!("{lines}columns = [\"a\", \"a\"]\n{takes}"))
}

fn stage(lines: &str) -> Vec<u8> {
    more(&format!("[[stage]]\n{lines}"))
}

pub(crate) fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = bytes();
    all.extend(toml());
    all.extend(keys());
    all.extend(values());
    all.extend(environment());
    all.extend(requirements());
    all.extend(policies());
    all.extend(parts());
    all
}

fn bytes() -> Vec<(&'static str, Vec<u8>)> {
    let mut latin = BASE.as_bytes().to_vec();
    latin.extend_from_slice(b"# caf\xE9\n");
    vec![
        ("valid", BASE.into()),
        ("valid with byte order mark", format!("\u{feff}{BASE}").into()),
        ("valid with crlf", BASE.replace('\n', "\r\n").into()),
        ("empty", vec![]),
        ("blanks only", b"  \n\t\n".to_vec()),
        ("byte order mark only", b"\xEF\xBB\xBF".to_vec()),
        ("not utf-8", latin),
        ("utf-16", b"\xFF\xFEv\0e\0r\0".to_vec()),
        ("nul", change("\"k\"", "\"\0\"")),
        ("over a mebibyte", vec![b'#'; (1 << 20) + 1]),
        ("json", b"{\"version\": 1}\n".to_vec()),
        ("yaml", b"version: 1\n".to_vec()),
    ]
}

fn toml() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("unclosed text", change("\"k\"", "\"k")),
        ("text without quotes", change("\"k\"", "k")),
        ("unclosed list", required("[\"a\", \"b\"")),
        ("unclosed table name", change("[accumulate]", "[accumulate")),
        ("no value", change("\"k\"", "")),
        ("no equals sign", change("key = \"k\"", "key \"k\"")),
        ("unknown escape", change("\"k\"", "\"\\k\"")),
        ("two on a line", change("key = \"k\"\n", "key = \"k\" ")),
        ("key twice", policy("key = \"z\"")),
        ("table twice", more("[accumulate]\nkey = \"x\"")),
        ("leading zero", run("workers = 08")),
        ("lists 10,000 deep", required(&"[".repeat(10_000))),
        ("two lines broken", change("key = \"k\"\nvariable = \"v\"", "key = k\nvariable = v")),
        (
            "crlf and an error",
            change("\"k\"", "5")
                .into_iter()
                .flat_map(|c| if c == b'\n' { vec![b'\r', b'\n'] } else { vec![c] })
                .collect(),
        ),
        (
            "byte order mark and an error",
            [b"\xEF\xBB\xBF".to_vec(), change("version = 1", "version = 2")].concat(),
        ),
    ]
}

fn keys() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no version", change("version = 1\n", "")),
        ("unknown version", change("version = 1", "version = 2")),
        ("version as text", change("version = 1", "version = \"1\"")),
        ("unknown key, near", policy("requird = [\"a\"]")),
        ("unknown key, far", policy("banana = 1")),
        ("unknown key with dashes", policy("on-late = \"drop\"")),
        ("unknown table", more("[sinks.x]\npath = \"y\"")),
        ("unknown key at the top", change("version = 1", "version = 1\nbudget = \"64MiB\"")),
        ("no source", change("[source.in]\npath = \"in.ndjson\"\nformat = \"ndjson\"\n", "")),
        ("no sink", change("[sink.out]\npath = \"out.ndjson\"\ntakes = [\"complete\"]\n", "")),
        ("no format", change("format = \"ndjson\"\n", "")),
        ("no key", change("key = \"k\"\n", "")),
        ("no required", change("required = [\"a\", \"b\"]\n", "")),
        ("source without a name", change("[source.in]", "[source]")),
        ("sink as a list", change("[sink.out]", "[[sink]]")),
        ("stage as a table", more("[stage]\nname = \"s\"\nfilter = \"a\"")),
        (
            "empty source table",
            change("[source.in]\npath = \"in.ndjson\"\nformat = \"ndjson\"\n", "source = {}\n"),
        ),
        ("bad name", change("[sink.out]", "[sink.\"a b\"]")),
        ("empty name", change("[sink.out]", "[sink.\"\"]")),
    ]
}

fn values() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("number for a text", change("\"k\"", "5")),
        ("text for a number", run("workers = \"four\"")),
        ("number in quotes", run("workers = \"4\"")),
        ("fraction for an integer", run("workers = 1.5")),
        ("negative", run("workers = -1")),
        ("zero workers", run("workers = 0")),
        ("2^64", policy("max_keys = 18446744073709551616")),
        ("2^63", policy("max_keys = 9223372036854775808")),
        ("nan", required("{ weight = nan, of = { a = 1 } }")),
        ("infinity", required("{ weight = 1, of = { a = inf } }")),
        ("hexadecimal is fine", policy("max_keys = 0xFF")),
        ("zero rows", run("batch_rows = 0")),
        ("no stall at all", run("max_stall = \"0s\"")),
        ("a stall that is no length", run("max_stall = \"never\"")),
        ("a stall that is off is fine", run("max_stall = \"off\"")),
        ("unknown word, near", run("engine = \"tokyo\"")),
        ("unknown word, far", run("engine = \"spark\"")),
        ("word in upper case", change("\"ndjson\"", "\"NDJSON\"")),
        ("boolean for a word", run("engine = true")),
        ("date for a duration", policy("timeout = 1979-05-27")),
        ("duration as a number", policy("timeout = 5")),
        ("duration without a unit", policy("timeout = \"5\"")),
        ("duration with a blank", policy("timeout = \"5 sec\"")),
        ("duration in minutes or milliseconds", policy("timeout = \"5m\"")),
        ("duration spelt out", policy("timeout = \"5minutes\"")),
        ("duration negative", policy("timeout = \"-5s\"")),
        ("duration with a fraction", policy("timeout = \"1.5h\"")),
        ("duration of zero", policy("timeout = \"0s\"")),
        ("duration too long", policy("timeout = \"999999999999d\"")),
        ("duration in weeks", policy("timeout = \"2w\"")),
        ("duration empty", policy("timeout = \"\"")),
        ("duration out of order", policy("timeout = \"5s1h\"")),
        ("size as a number", run("budget = 67108864")),
        ("size without a unit", run("budget = \"64\"")),
        ("size with a blank", run("budget = \"64 MiB\"")),
        ("size with half a unit", run("budget = \"64M\"")),
        ("size in lower case", run("budget = \"64mib\"")),
        ("size of zero", run("budget = \"0B\"")),
        ("size too large", run("budget = \"99999999TiB\"")),
        ("size negative", run("budget = \"-1MiB\"")),
        ("list as a text", change("[\"complete\"]", "\"complete\"")),
        ("list empty", change("[\"complete\"]", "[]")),
        ("list of numbers", change("[\"complete\"]", "[1]")),
        ("a very long line", change("\"k\"", &format!("\"{}!\"", "k".repeat(300)))),
        ("wide characters before the caret", policy("\"größe\" = 1")),
    ]
}

fn environment() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("variable with a default", change("\"in.ndjson\"", "\"${DIR:-.}/in.ndjson\"")),
        ("variable for a number", run("workers = \"${WORKERS}\"")),
        ("variable for a word", run("engine = \"${ENGINE:-sync}\"")),
        ("variable that is no number", run("workers = \"${WORDS}\"")),
        ("variable not set", change("\"in.ndjson\"", "\"${DIR}/in.ndjson\"")),
        ("variable not closed", change("\"in.ndjson\"", "\"${DIR\"")),
        ("variable without braces", change("\"in.ndjson\"", "\"$DIR/in\"")),
        ("variable with a bad name", change("\"in.ndjson\"", "\"${MY DIR}\"")),
        ("default that is wrong", run("budget = \"${B:-64M}\"")),
    ]
}

fn requirements() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing required", required("[]")),
        ("required as a text", required("\"a\"")),
        ("required twice", required("[\"a\", \"a\"]")),
        ("required empty name", required("[\"\"]")),
        ("range from 0", required("[\"a:0..5\"]")),
        ("range to 0", required("[\"a:1..0\"]")),
        ("range without an end", required("[\"a:1..\"]")),
        ("range without a name", required("[\":1..5\"]")),
        ("range with an empty bound", required("[\"a:1..{}\"]")),
        ("template as a variable", required("[\"a:{line}\"]")),
        ("bound not declared", required("[\"h\", \"a:1..{lines}\"]")),
        ("bound misspelt", required("[\"h\", \"a:1..{line}\"]\nbounds = { lines = \"h.n\" }")),
        ("bound not used", policy("bounds = { lines = \"a.n\" }")),
        ("bound without a field", required("[\"h\", \"a:1..{n}\"]\nbounds = { n = \"h\" }")),
        ("bound of a variable not required", required("[\"a:1..{n}\"]\nbounds = { n = \"h.n\" }")),
        ("rule of nothing", required("{}")),
        ("rule of two things", required("{ all = [\"a\"], any = [\"b\"] }")),
        ("rule unknown", required("{ most = [\"a\"] }")),
        ("at least without of", required("{ at_least = 1 }")),
        ("of without at least", required("{ all = [\"a\"], of = [\"b\"] }")),
        ("at least more than there are", required("{ at_least = 3, of = [\"a\", \"b\"] }")),
        ("weights too small", required("{ weight = 3, of = { a = 1, b = 1 } }")),
        ("and of nothing", required("{ and = [] }")),
        (
            "rules too deep",
            required(&format!("{}[\"a\"]{}", "{ and = [".repeat(17), "] }".repeat(17))),
        ),
    ]
}

fn policies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("event-time deadline without event time", policy("expire_after = \"72h\"")),
        ("inactivity longer than the deadline", policy("timeout = \"1h\"\nidle_timeout = \"2h\"")),
        ("expiry without a deadline", policy("on_expire = \"drop\"")),
        ("tombstones that are not kept", policy("after = \"remove\"\ntombstone_ttl = \"1h\"")),
        ("late without tombstones", policy("after = \"reset\"\non_late = \"drop\"")),
        ("one key over all keys", policy("max_items = 10\nmax_key_items = 11")),
        ("one key's bytes over all", policy("max_bytes = \"1KiB\"\nmax_key_bytes = \"1MiB\"")),
        ("bytes over the budget", policy("max_bytes = \"1TiB\"")),
        ("refuse without a limit", policy("on_limit = \"refuse\"")),
        (
            "evict where nothing is evicted",
            policy("max_keys = 5\non_limit = \"refuse\"\nevict = \"partial\""),
        ),
        ("gate without a burst", policy("new_keys = { per_second = 5 }")),
        ("gate of zero", policy("new_keys = { per_second = 0, burst = 1 }")),
        ("extend zero times", policy("timeout = \"1h\"\non_expire = { extend = 0 }")),
        (
            "extend then what",
            policy("timeout = \"1h\"\non_expire = { extend = 1, then = \"stop\" }"),
        ),
        ("identity unknown", policy("identity = \"hash\"")),
        ("unkeyed unknown", policy("on_unkeyed = \"drop\"")),
        ("ttl for ever", policy("tombstone_ttl = \"forever\"")),
        ("template not readable", change("\"k\"", "\"{a}!\"")),
        ("field not readable", change("\"v\"", "\"a!b\"")),
        ("key empty", change("\"k\"", "\"\"")),
    ]
}

fn parts() -> Vec<(&'static str, Vec<u8>)> {
    let sink = "[sink.two]\npath = \"two.ndjson\"\ntakes = [\"partial\"]\n";
    vec![
        ("file without a path", change("path = \"in.ndjson\"\n", "")),
        ("stdin with a path", source("kind = \"stdin\"")),
        (
            "two read standard input",
            more(
                "[source.a]\nkind = \"stdin\"\nformat = \"csv\"\n[source.b]\nkind = \"stdin\"\nformat = \"csv\"",
            ),
        ),
        ("delimiter for ndjson", source("delimiter = \";\"")),
        ("length for ndjson", source("length = \"u16le\"")),
        ("delimiter of two characters", change("\"ndjson\"", "\"csv\"\ndelimiter = \"||\"")),
        ("delimiter and quote the same", change("\"ndjson\"", "\"csv\"\nquote = \",\"")),
        ("csv name twice", change("\"ndjson\"", "\"csv\"\nnames = [\"a\", \"a\"]")),
        ("record limit over the budget", source("record_limit = \"1GiB\"")),
        ("two sinks, one file", more("[sink.two]\npath = \"out.ndjson\"\ntakes = [\"partial\"]")),
        ("two sinks, one class", more("[sink.two]\npath = \"two.ndjson\"\ntakes = [\"complete\"]")),
        ("path of nothing", change("path = \"in.ndjson\"", "path = \"\"")),
        ("columns for ndjson", columns("")),
        ("csv column twice", columns("format = \"csv\"\n")),
        ("sink that takes nothing", more("[sink.two]\npath = \"two.ndjson\"")),
        (
            "records behind an accumulator",
            more("[sink.two]\nkind = \"stdout\"\ntakes = [\"records\"]"),
        ),
        (
            "complete without an accumulator",
            change("[accumulate]\nkey = \"k\"\nvariable = \"v\"\nrequired = [\"a\", \"b\"]\n", ""),
        ),
        ("stage that does nothing", stage("name = \"s\"")),
        ("stage that does two things", stage("name = \"s\"\nselect = [\"a\"]\ndrop = [\"b\"]")),
        ("stage of an unknown source", stage("name = \"s\"\nof = [\"inn\"]\nselect = [\"a\"]")),
        (
            "stage name twice",
            stage("name = \"s\"\nselect = [\"a\"]\n[[stage]]\nname = \"s\"\ndrop = [\"b\"]"),
        ),
        ("cast to an unknown kind", stage("name = \"s\"\ncast = { a = \"int\" }")),
        ("rename two to one", stage("name = \"s\"\nrename = { a = \"c\", b = \"c\" }")),
        ("set to a list", stage("name = \"s\"\nset = { a = [1] }")),
        ("set to nan", stage("name = \"s\"\nset = { a = nan }")),
        ("filter not readable", stage("name = \"s\"\nfilter = \"a ! b\"")),
        ("route to nowhere", more("[[route]]\nname = \"r\"\nwhen = \"a\"\nto = \"ouch\"")),
        ("route without a filter", more("[[route]]\nname = \"r\"\nto = \"out\"")),
        (
            "test of which source",
            more(&format!(
                "[source.b]\nkind = \"stdin\"\nformat = \"csv\"\n{sink}[[test]]\nname = \"t\"\ninput = \"\""
            )),
        ),
        (
            "test with an unknown status",
            more(
                "[[test]]\nname = \"t\"\ninput = \"\"\nexpect = [{ key = \"1\", status = \"done\" }]",
            ),
        ),
        ("lag with a word", more("[event_time]\nfield = \"ts\"\nlag = \"a while\"")),
    ]
}

/// Every bad file is answered with code, place, line and caret, why, and what to write instead.
#[test]
fn catalogue() {
    let mut log = String::new();
    for (name, file) in cases() {
        writeln!(log, "== {name}").unwrap();
        match read(&file) {
            Ok(_) => writeln!(log, "accepted").unwrap(),
            Err(problems) => writeln!(log, "{problems}").unwrap(),
        }
    }
    assert!(cases().len() >= 60);
    golden("config.txt", &log);
}

/// Every code has its section in the documentation, and a case shows each that the text of a file
/// can have.
#[test]
fn every_code_is_explained_and_shown() {
    let doc = include_str!("../../../../docs/errors.md");
    let sections: Vec<&str> = doc.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    let codes: Vec<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(sections, codes);
    let mut shown = std::collections::BTreeSet::new();
    for (_, file) in cases() {
        if let Err(problems) = read(&file) {
            shown.extend(problems.list().iter().map(|p| p.code));
        }
    }
    let of_the_text = Code::ALL.iter().filter(|code| code.is_of_the_text());
    assert!(of_the_text.clone().all(|code| shown.contains(code)), "{shown:?}");
}
