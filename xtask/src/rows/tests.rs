//! Good and bad tables, and the small reader of Rust sources behind the proofs.

use super::*;

/// The full table of open rows with one line of it replaced.
fn with_line(number: u32, line: &str) -> String {
    let mut text = "| n | state | proof |\n|---|---|---|\n".to_owned();
    for n in 1..=table::LAST {
        match n == number {
            true => text.push_str(line),
            false => text.push_str(&format!("| {n} | open | |")),
        }
        text.push('\n');
    }
    text
}

fn faults(number: u32, line: &str) -> Vec<String> {
    table::parse(&with_line(number, line)).1
}

#[test]
fn every_state_is_read_and_counted() {
    let text = with_line(7, "| 7 | refused: needs a broker, see 12 | |");
    let text = text.replace("| 8 | open | |", "| 8 | shown | `a/b.rs::c`, docs/d.md |");
    let (rows, faults) = table::parse(&text);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(counts(&rows), "rows: 1 shown, 348 open, 1 refused");
    assert_eq!(rows[6].state, State::Refused("needs a broker, see 12".to_owned()));
    let proofs: Vec<String> = rows[7].proofs.iter().map(Proof::to_string).collect();
    assert_eq!(proofs, ["a/b.rs::c", "docs/d.md"]);
}

#[test]
fn missing_doubled_and_foreign_numbers_fail() {
    assert_eq!(faults(3, ""), ["row 3 is missing"]);
    let doubled = ["row 3 is missing", "row 4 stands in the table 2 times"];
    assert_eq!(faults(3, "| 4 | open | |"), doubled);
    assert!(faults(3, "| 3 | open | |\n| 351 | open | |")[0].contains("row 351 is not within"));
    assert!(faults(3, "| 3 | open | |\n| 0 | open | |")[0].contains("row 0 is not within"));
}

#[test]
fn malformed_rows_fail_and_say_where() {
    for (line, says) in [
        ("| 3 | shown | |", "names no proof"),
        ("| 3 | done | |", "`done` is none of"),
        ("| 3 | refused | |", "`refused` is none of"),
        ("| 3 | refused: | |", "is none of"),
        ("| three | open | |", "`three` is not the number"),
        ("| 3 | open |", "expected 3 cells, found 2"),
        ("| 3 | open | | |", "expected 3 cells, found 4"),
        ("| 3 | open | x", "does not end with"),
        ("| 3 | shown | see the tests |", "is not of the form"),
        ("| 3 | shown | ../a.rs::b |", "is not of the form"),
        ("| 3 | shown | /a.rs::b |", "is not of the form"),
        ("| 3 | shown | a.rs:: |", "is not of the form"),
        ("| 3 | shown | a.rs::b, |", "is not of the form"),
    ] {
        let faults = faults(3, line);
        assert!(faults[0].starts_with("line 5: ") && faults[0].contains(says), "{faults:?}");
    }
}

#[test]
fn the_table_of_this_repository_has_every_row_once() {
    let text = fs::read_to_string(process::root().join(TABLE)).unwrap();
    let (rows, faults) = table::parse(&text);
    assert_eq!((rows.len(), faults), (table::LAST as usize, Vec::new()));
}

#[test]
fn rows_are_named_one_by_one_in_lists_and_in_ranges() {
    let named = |text: &str| mention::rows(text).into_iter().collect::<Vec<_>>();
    assert_eq!(named("/// Row 113. 4 keys leave."), [113]);
    assert_eq!(named("/// Rows 105, 106, 113."), [105, 106, 113]);
    assert_eq!(named("/// Rows 105-108, 200 and 3: all"), [3, 105, 106, 107, 108, 200]);
    assert_eq!(named("/// Rows 105,\n    /// 106 and\n    /// 107. Row 9"), [9, 105, 106, 107]);
    assert_eq!(named("- Row 5"), [5]);
    assert_eq!(named("Row 5, 6"), [5]);
    assert_eq!(named("Rows 8-5"), [8]);
    assert_eq!(named("rows 5, Arrow 6, Rows_7, Row 'x', Row8, 9"), Vec::<u32>::new());
}

/// Source with tests in the shapes that stand in the tree.
const SOURCE: &str = r#"
/// Row 1. Belongs to the first.
#[test]
fn first() {
    let text = "
}";
    // Row 2 is in the body.
}

// Row 3 stands apart from any function.

#[test]
fn second() {}

proptest! {
    /// Rows 4, 5. In a macro.
    #[test]
    fn third(x in 0..9) {
        assert(x);
    }
}

/// Row 6. No test.
fn fourth() {
}

/// Row 7. With a long attribute.
#[tokio::test(
    flavor = "current_thread",
)]
#[expect(
    dead_code,
    reason = "none"
)]
pub(crate) async fn fifth() {
    // Row 8.
}
"#;

#[test]
fn functions_come_with_their_comment_attributes_and_body() {
    let functions = source::functions(SOURCE);
    let seen: Vec<_> = functions.iter().map(|f| (f.name, f.is_test())).collect();
    let expected =
        [("first", true), ("second", true), ("third", true), ("fourth", false), ("fifth", true)];
    assert_eq!(seen, expected);
    assert!(functions[1].head == "#[test]" && functions[1].body == "fn second() {}");
    assert!(functions[2].body.ends_with("assert(x);\n    }"));
    assert!(functions[4].head.starts_with("/// Row 7.") && functions[4].body.contains("Row 8"));
}

/// A tree with `SOURCE` as `a/it.rs` and one document; gone with its value.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let name = format!("xtask-rows-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("a/examples")).unwrap();
        fs::write(root.join("a/it.rs"), SOURCE).unwrap();
        fs::write(root.join("a/examples/e.rs"), "//! Row 10.\n").unwrap();
        fs::write(root.join("a/d.md"), "This shows Rows 11-13.\n").unwrap();
        Self(root)
    }

    fn fault(&self, row: u32, proof: &str) -> Option<String> {
        let line = format!("| {row} | shown | {proof} |");
        let (_, faults) = judge(&self.0, &with_line(row, &line));
        assert!(faults.len() < 2, "{faults:?}");
        faults.into_iter().next()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn proofs_that_exist_and_name_their_row_pass() {
    let tree = Tree::new("good");
    for (row, proof) in [
        (1, "a/it.rs::first"),
        (4, "a/it.rs::third"),
        (5, "a/it.rs::module::third"),
        (7, "a/it.rs::fifth"),
        (8, "`a/it.rs::fifth`"),
        (10, "a/examples/e.rs"),
        (12, "a/d.md"),
    ] {
        assert_eq!(tree.fault(row, proof), None);
    }
}

#[test]
fn proofs_that_are_absent_silent_or_no_tests_fail() {
    let tree = Tree::new("bad");
    for (row, proof, says) in [
        (1, "a/gone.rs::first", "is not a file"),
        (1, "a/it.rs::gone", "is not a function"),
        (1, "a/it.rs::firs", "is not a function"),
        (6, "a/it.rs::fourth", "is not a test that runs"),
        (3, "a/it.rs::second", "does not say `Row 3`"),
        (2, "a/it.rs::third", "does not say `Row 2`"),
        (1, "a/it.rs", "name the test in it"),
        (1, "a/examples/e.rs", "does not say `Row 1`"),
        (14, "a/d.md", "does not say `Row 14`"),
        (1, "a", "is not a file"),
    ] {
        let fault = tree.fault(row, proof).unwrap_or_default();
        assert!(fault.contains(says), "{proof}: {fault}");
    }
}

#[test]
fn ignored_test_is_no_proof() {
    let tree = Tree::new("ignored");
    let ignored = concat!("#[", "ignore = \"slow\"]\nfn first() {");
    fs::write(tree.0.join("a/it.rs"), SOURCE.replace("fn first() {", ignored)).unwrap();
    assert!(tree.fault(1, "a/it.rs::first").unwrap().contains("is not a test that runs"));
}

#[test]
fn fault_tests_are_found_by_their_names() {
    let text = "#[test]\nfn b002_a() {}\nfn b003_b() {}\nfn b112_c() {}\nfn b1_d() {}\n";
    let mut tree: Vec<Source> = vec![("a.rs".to_owned(), text.to_owned())];
    let tests = fault_tests(&tree);
    assert_eq!(strange_tests(&tests), Vec::<String>::new());
    assert_eq!(coverage(&tests), "faults: 3 of 112 have tests: B2-B3, B112");
    tree.push(("c.rs".to_owned(), "fn b113_x() {\n}\n    fn b000_y() {}".to_owned()));
    assert_eq!(strange_tests(&fault_tests(&tree)).len(), 2);
    assert_eq!(coverage(&BTreeMap::new()), "faults: 0 of 112 have tests");
}

#[test]
fn found_lists_each_row_with_the_tests_that_name_it() {
    let rows = found(&[("a/it.rs".to_owned(), SOURCE.to_owned())]);
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 5, 7, 8]);
    assert_eq!(rows[&4].first().unwrap().to_string(), "a/it.rs::third");
}
