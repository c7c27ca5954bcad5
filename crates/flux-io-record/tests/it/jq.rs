//! jq programs: what they make of records, what is told of bad ones, and that none gets away.

use crate::golden::golden;
use flux_io_core::Column;
use flux_io_record::{Jq, JqLimits, Limits, Record, RecordColumn};
use std::fmt::Write as _;

const INPUT: &str =
    r#"{"a":1,"b":[1,2.50,"x"],"c":{"d":null},"big":123456789012345678901234567890}"#;

/// Small, so that runaway programs are stopped soon.
const SMALL: JqLimits = JqLimits {
    steps: 50_000,
    bytes: 1 << 20,
    record: Limits { bytes: 1 << 16, depth: 128, fields: 4096, number: 1024 },
};

fn apply(program: &mut Jq, record: &Record) -> String {
    let mut out = RecordColumn::default();
    out.push_json(b"{}", &Limits::default()).unwrap();
    match program.apply(record.view(), &mut out) {
        Ok(n) => {
            assert_eq!(n + 1, out.rows());
            out.iter().skip(1).map(|r| format!("{}\n", r.text())).collect()
        }
        Err(e) => {
            assert_eq!(out.rows(), 1);
            format!("{}: {}\n", e.cause.as_str(), e.what)
        }
    }
}

/// What `code` makes of `input`: a line for each result, or its error.
fn jq(code: &str, input: &str) -> String {
    let record = Record::parse(input.as_bytes(), &Limits::default()).unwrap();
    match Jq::compile(code, SMALL) {
        Ok(mut program) => apply(&mut program, &record),
        Err(e) => {
            assert!(e.at <= code.len(), "{code}: {}", e.at);
            format!("{e}\n")
        }
    }
}

/// Programs and what jq 1.7 prints for them, save where its documentation and ours differ.
#[test]
fn results_are_jqs() {
    let cases = [
        (".", INPUT),
        ("{a, n: (.b|length)}", r#"{"a":1,"n":3}"#),
        ("{v: .b[]}", "{\"v\":1}\n{\"v\":2.50}\n{\"v\":\"x\"}"),
        ("empty", ""),
        ("select(.a > 1)", ""),
        ("{a: (.b | map(tostring) | join(\"-\"))}", r#"{"a":"1-2.50-x"}"#),
        ("{b} | .b[1] |= . + 1", r#"{"b":[1,3.5,"x"]}"#),
        ("del(.a, .b, .big) | .x.y = 1", r#"{"c":{"d":null},"x":{"y":1}}"#),
        ("with_entries(select(.key == \"a\"))", r#"{"a":1}"#),
        ("{x: [range(1; 6; 2)], y: [limit(2; repeat(1))]}", r#"{"x":[1,3,5],"y":[1,1]}"#),
        ("{x: (1 | [recurse(if . < 4 then . + 1 else empty end)])}", r#"{"x":[1,2,3,4]}"#),
        (
            "{x: (0 | until(. > 9; . + 4)), y: [1 | while(. < 9; . * 2)]}",
            r#"{"x":12,"y":[1,2,4,8]}"#,
        ),
        ("{x: (\"12\" | tonumber), y: (\"x\" | tonumber? // 5)}", r#"{"x":12,"y":5}"#),
        (
            "{x: (.a / 0), y: (0 / 0 | isnan), z: (4 / 2), w: (5 / 2)}",
            r#"{"x":null,"y":true,"z":2,"w":2.5}"#,
        ),
        ("{x: (7 % 3), y: (-7 % 3), z: -(3)}", r#"{"x":1,"y":-1,"z":-3}"#),
        ("{x: (9223372036854775807 + 1)}", r#"{"x":9.223372036854776e+18}"#),
        ("{x: ([1, [2, [3]]] | flatten), y: ([.. | numbers] | length)}", r#"{"x":[1,2,3],"y":4}"#),
        (
            "{x: (\"añc\" | .[1:2]), y: ([1, 2, 3] | .[-2:]), z: (\"a,b\" | split(\",\"))}",
            r#"{"x":"ñ","y":[2,3],"z":["a","b"]}"#,
        ),
        (
            "{x: ([1, 2, 3] | .[1:] = [9]), y: ([{a: 1}, {a: 0}] | sort_by(.a))}",
            r#"{"x":[1,9],"y":[{"a":0},{"a":1}]}"#,
        ),
        (
            "{x: ([[1, 2], [3]] | transpose), y: (\"abcb\" | indices(\"b\"))}",
            r#"{"x":[[1,3],[2,null]],"y":[1,3]}"#,
        ),
        (
            "{x: ([1, 2, 1] | group_by(.) | map(length)), y: ([2, 1, 2] | unique)}",
            r#"{"x":[2,1],"y":[1,2]}"#,
        ),
        (
            "{f: first(.b[]), l: last(.b[]), any: any(.b[]; . == 1), all: all(.b[]; . == 1)}",
            r#"{"f":1,"l":"x","any":true,"all":false}"#,
        ),
        ("{x: try error(\"no\") catch ., y: (try error({b: 1}) catch .b)}", r#"{"x":"no","y":1}"#),
        ("label $out | {a: 1}, break $out, {a: 2}", r#"{"a":1}"#),
        (". as {a: $x, b: [$y]} | {$x, $y}", r#"{"x":1,"y":1}"#),
        ("def f($n): {n: $n}; f(1, 2)", "{\"n\":1}\n{\"n\":2}"),
        ("def f: {a: 1}; def g: f | .b = 2; g", r#"{"a":1,"b":2}"#),
        (
            "{x: reduce (1, 2) as $x (0; . + $x), y: [foreach (1, 2) as $x (0; . + $x; [$x, .])]}",
            r#"{"x":3,"y":[[1,1],[2,3]]}"#,
        ),
        ("{p: [paths]}", r#"{"p":[["a"],["b"],["b",0],["b",1],["b",2],["c"],["c","d"],["big"]]}"#),
        ("{x: setpath([\"p\", 1]; 7).p, y: getpath([\"c\", \"d\"])}", r#"{"x":[null,7],"y":null}"#),
        (
            "{x: ({a: {b: 1}} * {a: {c: 2}}), y: ([1, 2, 1] - [1])}",
            r#"{"x":{"a":{"b":1,"c":2}},"y":[2]}"#,
        ),
        (
            "{x: @csv \"\\([1, \"x\\\"y\", null])\", y: (.c | tojson | fromjson)}",
            r#"{"x":"1,\"x\"\"y\",","y":{"d":null}}"#,
        ),
        (
            "{x: ([1, 2] | contains([1])), y: (.c | has(\"d\")), z: (\"a\" | inside(\"abc\"))}",
            r#"{"x":true,"y":true,"z":true}"#,
        ),
        (
            "{x: (\"ab\" * 3), y: ({} | .a += 1), z: ([3, 1] | min)}",
            r#"{"x":"ababab","y":{"a":1},"z":1}"#,
        ),
        (
            "walk(if type == \"number\" then . + 1 else . end) | {a, b}",
            r#"{"a":2,"b":[2,3.5,"x"]}"#,
        ),
        ("{x: (2 | pow(.; 10)), y: (9 | sqrt), z: (2.7 | floor)}", r#"{"x":1024,"y":3,"z":2}"#),
        (
            "{x: ([1, null, \"a\", [], {}, true] | sort | map(type))}",
            r#"{"x":["null","boolean","number","string","array","object"]}"#,
        ),
    ];
    for (code, expected) in cases {
        assert_eq!(jq(code, INPUT).trim_end(), expected, "{code}");
    }
}

/// Fields that are only passed on keep the text of their numbers; a repeated name counts as the
/// last one, as everywhere.
#[test]
fn what_is_passed_on_is_not_changed() {
    assert_eq!(jq("{x: .a, y: .b}", r#"{"a":1.10,"b":-0,"a":2e3}"#), "{\"x\":2e3,\"y\":0}\n");
    assert_eq!(
        jq(".", r#"{"é":"\u00e9\n","a":{"b":1.0}}"#),
        "{\"é\":\"é\\n\",\"a\":{\"b\":1.0}}\n"
    );
}

/// Programs that are refused, with place and remedy; and those that fail on a record.
#[test]
fn bad_programs_catalogue() {
    let cases = [
        ("nothing", ""),
        ("only a comment", "# nothing"),
        ("not jq", "a && b"),
        ("bracket open", "{a: .a"),
        ("bracket closed twice", ".a)"),
        ("text open", "{a: \"x}"),
        ("escape unknown", "{a: \"\\q\"}"),
        ("operand missing", ".a +"),
        ("if without end", "if .a then .b"),
        ("number torn", "{a: 1.}"),
        ("dollar alone", "$"),
        ("unknown function", "foo"),
        ("a bare word for a text", "{kind: header}"),
        ("unknown arity", "map(.; .)"),
        ("unknown variable", ".a | {x: $x}"),
        ("unknown variable in turns", "reduce .b[] as $x (0; . + $y)"),
        ("unknown label", "break $out"),
        ("calls itself", "def f: if . then f else . end; f"),
        ("calls itself from inside", "def f: def g: f; g; f"),
        ("calls itself as an argument", "def f(g): g; def h: f(h); h"),
        ("a parameter is no call", "def f(f): f; f(.)"),
        ("input", "{a: input}"),
        ("environment", "{a: env}"),
        ("environment variable", "{a: $ENV.HOME}"),
        ("clock", "{a: now}"),
        ("halt", "halt"),
        ("debug", "debug"),
        ("import", "import \"a\" as a; ."),
        ("regular expression", "select(.a | test(\"x\"))"),
        ("too long", &format!("{{a: \"{}\"}}", "x".repeat(4096))),
        ("too many brackets", &"[".repeat(1000)),
        ("too many signs", &format!("{}1", "-".repeat(1000))),
        ("too long a pipe", &format!(".{}", "|.".repeat(100))),
        ("too many definitions", &format!("{}.", "def f: .;".repeat(100))),
        ("result is a number", ".a"),
        ("second result is a text", ".c, \"x\""),
        ("result is null", ".missing"),
        ("wrong type", "{a: (.b + .c)}"),
        ("index of a number", "{a: .a.b}"),
        ("not a number", "{a: (\"x\" | tonumber)}"),
        ("not JSON", "{a: (\"{\" | fromjson)}"),
        ("own message", "error(\"no carrier\\n\")"),
        ("own object", "error"),
        ("own null", "error(null)"),
        ("long message", "error(\"x\" * 1000)"),
        ("endless", "until(false; .)"),
        ("endless without results", "[repeat(1)]"),
        ("endless results", "repeat(.)"),
        ("endless numbers", "{a: [range(0; 1; 0)]}"),
        ("endless recursion", "{a: last(0 | recurse(. + 1, . + 2))}"),
        ("exponential", &format!("{}empty", "(.,.)|".repeat(30))),
        ("doubling text", "{a: reduce range(60) as $i (\"a\"; . + .)}"),
        ("doubling list", "{a: reduce range(60) as $i ([1]; . + .)}"),
        ("repeated text", "{a: (\"ab\" * 1e12)}"),
        ("far index", "{a: ([] | .[1e15] = 1)}"),
        ("deep value", "{a: reduce range(1000) as $i (1; [.])}"),
        ("deep path", "{a: ([range(1000) | \"a\"] as $p | {} | setpath($p; 1))}"),
        ("turns as a path", "(reduce range(9) as $i (.; .c)) = 1"),
        ("loop as a path", "recurse(.a) = 1"),
        ("result too deep", "{a: reduce range(200) as $i (1; [.])}"),
        ("result too long", "{a: (\"x\" * 70000)}"),
    ];
    let mut log = String::new();
    for (name, code) in cases {
        write!(log, "== {name}\n{}", jq(code, INPUT)).unwrap();
    }
    golden("jq.txt", &log);
}

/// Pieces of programs, to be put together at random.
const PIECES: [&str; 72] = [
    ".",
    "..",
    ".a",
    ".b[]",
    ".b[0]",
    ".c.d",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "|",
    ",",
    ":",
    ";",
    "+",
    "-",
    "*",
    "/",
    "%",
    "//",
    "|=",
    "=",
    "+=",
    "==",
    "<",
    "and",
    "or",
    "not",
    "if",
    "then",
    "elif",
    "else",
    "end",
    "reduce",
    "foreach",
    "as",
    "$x",
    "$y",
    "def f:",
    "def g($x):",
    "f",
    "g(1)",
    "map(",
    "select(",
    "recurse(",
    "repeat(",
    "until(",
    "while(",
    "range(9)",
    "limit(3;",
    "first(",
    "path(",
    "del(",
    "label $x|",
    "break $x",
    "try",
    "catch",
    "?",
    "\"x\"",
    "\"\\(",
    "1",
    "1e9",
    "-3",
    "null",
    "error",
    "sort",
    "keys",
    "length",
    "tojson",
    "flatten",
];

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A program that is well formed more often than not.
fn grow(random: &mut Lcg, depth: usize) -> String {
    const ATOMS: [&str; 24] = [
        ".", "..", ".a", ".b", ".b[]", ".c.d", ".[]?", "1", "-7", "2.5", "\"x\"", "null", "[]",
        "{}", "$x", "empty", "error", "range(3)", "keys", "length", "tostring", "tojson", "add",
        "sort",
    ];
    if depth == 0 {
        return ATOMS[random.below(ATOMS.len())].to_owned();
    }
    let mut a = || grow(random, depth - 1);
    let (p, q, r) = (a(), a(), a());
    match random.below(34) {
        0 => format!("({p} | {q})"),
        1 => format!("({p}, {q})"),
        2 => format!("[{p}]"),
        3 => format!("{{a: {p}, b: ({q})}}"),
        4 => format!("({p} + {q})"),
        5 => format!("({p} * {q})"),
        6 => format!("({p} - {q} / {r})"),
        7 => format!("if {p} then {q} else {r} end"),
        8 => format!("reduce ({p}) as $x ({q}; {r})"),
        9 => format!("foreach ({p}) as $x ({q}; {r})"),
        10 => format!("path({p})"),
        11 => format!("({p} |= {q})"),
        12 => format!("({p} = {q})"),
        13 => format!("({p} += {q})"),
        14 => format!("recurse({p})"),
        15 => format!("limit(3; {p})"),
        16 => format!("(try ({p}) catch {q})"),
        17 => format!("first({p})"),
        18 => format!("({p} as $x | {q})"),
        19 => format!("(label $y | {p}, break $y)"),
        20 => format!("({p} // {q})"),
        21 => format!("-({p})"),
        22 => format!(".[{p}]?"),
        23 => format!("(.[{p}:{q}])?"),
        24 => format!("\"\\({p})\""),
        25 => format!("map({p})"),
        26 => format!("del({p})"),
        27 => format!("until({p}; {q})"),
        28 => format!("walk({p})"),
        29 => format!("sort_by({p})"),
        30 => format!("(def f: {p}; {q} | f)"),
        31 => format!("[paths({p})]"),
        32 => format!("(({p}) == ({q}) and ({r}))"),
        _ => format!("getpath([{p}])"),
    }
}

/// No program, put together or spoilt at random, panics, runs away or leaves a half result.
#[test]
fn no_program_gets_away() {
    let seeds = include_str!("golden/jq_programs.txt");
    let seeds: Vec<&str> = seeds.lines().collect();
    let record = Record::parse(INPUT.as_bytes(), &Limits::default()).unwrap();
    let mut random = Lcg(17);
    let (mut compiled, mut ran) = (0, 0);
    let limits = JqLimits { steps: 2_000, ..SMALL };
    for round in 0..2_000 {
        let mut code = String::new();
        if round % 3 == 0 {
            let depth = 1 + random.below(4);
            let body = grow(&mut random, depth);
            code = format!("1 as $x | {{r: [{body}]}}");
        } else if round % 3 == 1 {
            for _ in 0..1 + random.below(12) {
                code.push_str(PIECES[random.below(PIECES.len())]);
                code.push(' ');
            }
        } else {
            let mut bytes = seeds[random.below(seeds.len())].as_bytes().to_vec();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes
                        .insert(at, b" .|,()[]{}:;$\"\\+-*/%=<>?#@019abfx\xC3"[random.below(34)]),
                    2 => bytes.truncate(at),
                    _ => {
                        let piece = PIECES[random.below(PIECES.len())];
                        bytes.splice(at..at, piece.bytes());
                    }
                }
                if bytes.is_empty() {
                    bytes.push(b'.');
                }
            }
            code = String::from_utf8_lossy(&bytes).into_owned();
        }
        match Jq::compile(&code, limits) {
            Ok(mut program) => {
                compiled += 1;
                let result = apply(&mut program, &record);
                assert!(!result.contains("broke"), "{code}: {result}");
                ran += usize::from(result.starts_with('{'));
            }
            Err(e) => assert!(e.at <= code.len(), "{code}: {e}"),
        }
    }
    assert!(compiled > 700 && ran > 150, "{compiled} compiled, {ran} gave records");
}

/// A program goes with its operator to other threads, and its copies run alone.
#[test]
fn programs_move_between_threads() {
    fn moves<T: Send + Sync + Clone>(_: &T) {}
    let program = Jq::compile("{a}", JqLimits::default()).unwrap();
    moves(&program);
    assert_eq!(format!("{program:?}"), "Jq { code: \"{a}\", .. }");
}
