//! Stored graphs: text and back, what is refused, and pipelines made of named parts.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use crate::graphs::{dag, shapes};
use crate::kit::{Flow, hole, nothing, probe, rows};
use flux_io_core::{
    Body, Budget, BufferPolicy, ErrorRecord, GiveUp, Graph, OnError, Parallelism, Retry, RowError,
    WhenFull,
};
use flux_io_flow::spec::{GraphSpec, Registry, SpecError};
use flux_io_flow::stages::Pass;
use flux_io_flow::{Ended, Explain, Pipeline, validate};
use proptest::prelude::*;
use std::time::Duration;

type Row = Vec<u64>;

const RETRY: Retry = Retry {
    attempts: 3,
    first: Duration::from_millis(5),
    factor: 2,
    longest: Duration::from_secs(1),
    jitter_percent: 50,
};

fn described() -> Ended<'static> {
    Pipeline::new()
        .metadata("owner", "tests")
        .max_rows(512)
        .default_buffer(4, WhenFull::Block)
        .budget(Budget::bytes(1 << 20))
        .dead_letters("dead", hole::<Vec<ErrorRecord>>())
        .source("numbers", nothing::<Row>())
        .map("double", |x| 2 * x)
        .pure()
        .try_map("check", |x| if *x < 100 { Ok(*x) } else { Err(RowError::transient("big")) })
        .on_error(OnError::Retry { retry: RETRY, then: GiveUp::DeadLetter })
        .parallel(2)
        .buffer(2)
        .sink("out", hole::<Row>())
}

fn parts() -> Registry<'static> {
    let mut parts = Registry::new();
    parts.source("numbers", |_| Ok(nothing::<Row>()));
    parts.flow("double+check", |flow: Flow<Row>, _| {
        let flow = flow.map("twice", |x: u64| 2 * x);
        let check = |x: &u64| if *x < 100 { Ok(*x) } else { Err(RowError::transient("big")) };
        Ok(flow.try_map("small", check).parallel(1))
    });
    parts.sink("out", |_| Ok(hole::<Row>()));
    parts.sink("dead", |_| Ok(hole::<Vec<ErrorRecord>>()));
    parts
}

const STORED: &str = r#"{
  "version": 1,
  "metadata": {
    "owner": "tests"
  },
  "max_rows": 512,
  "buffer": {
    "capacity": 4,
    "when_full": "block"
  },
  "budget_bytes": 1048576,
  "dead_letters": "dead",
  "stages": [
    {
      "name": "dead",
      "kind": "sink",
      "ins": [
        "alloc::vec::Vec<flux_io_core::error::ErrorRecord>"
      ]
    },
    {
      "name": "double+check",
      "kind": "transform",
      "operators": [
        {
          "name": "double",
          "word": "map"
        },
        {
          "name": "check",
          "word": "try_map",
          "on_error": {
            "retry": {
              "attempts": 3,
              "first_ns": 5000000,
              "factor": 2,
              "longest_ns": 1000000000,
              "jitter_percent": 50,
              "then": "dead_letter"
            }
          }
        }
      ],
      "ins": [
        "alloc::vec::Vec<u64>"
      ],
      "outs": [
        "alloc::vec::Vec<u64>"
      ],
      "parallelism": {
        "fixed": 2
      }
    },
    {
      "name": "numbers",
      "kind": "source",
      "outs": [
        "alloc::vec::Vec<u64>"
      ]
    },
    {
      "name": "out",
      "kind": "sink",
      "ins": [
        "alloc::vec::Vec<u64>"
      ]
    }
  ],
  "edges": [
    {
      "from": "double+check",
      "to": "out",
      "buffer": {
        "capacity": 2,
        "when_full": "block"
      }
    },
    {
      "from": "numbers",
      "to": "double+check",
      "route": "round_robin"
    }
  ]
}
"#;

/// Row 69: a described pipeline is stored as this text, and the pipeline made from the text is the
/// same graph, by its canonical hash; it is stored as the same text again.
#[test]
fn a_stored_graph_is_made_again() {
    let plan = described().plan().expect("valid");
    let text = GraphSpec::of_plan(&plan).to_json();
    assert_eq!(text, STORED);
    let spec = GraphSpec::from_json(&text).expect("just written");
    let again = parts().pipeline(&spec).expect("all parts are there").plan().expect("valid");
    assert_eq!(again.graph.canonical_hash(), plan.graph.canonical_hash());
    assert_eq!(again.dead_letters.map(|n| again.graph.nodes[n].name.clone()), Some("dead".into()));
    assert_eq!(GraphSpec::of_plan(&again).to_json(), STORED);
    // What a person reads of it is the same too, but for the order of description.
    let lines = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(again.explain()), lines(plan.explain()));
}

/// Names and error policies of operators are those of the spec, not those the part was written
/// with: they show in what happens to rows.
#[test]
fn policies_come_from_the_spec() {
    let mut spec = GraphSpec::from_json(STORED).expect("valid");
    for skip in [false, true] {
        if skip {
            spec.stages[1].operators[1].on_error = OnError::Skip.into();
        }
        let made = parts().pipeline(&spec).expect("all parts are there");
        let mut s = probe::<Row, u64>(made, "double+check", 16);
        s.feed(rows(0, vec![1, 60, 2])).expect("a row that fails is no error");
        assert_eq!(s.stage.values(), [2, 4]);
        let dead: Vec<_> = s.take_dead().into_iter().map(|d| (d.stage_name, d.attempts)).collect();
        let dropped = s.take_dropped();
        if skip {
            assert_eq!((dead, dropped), (vec![], vec![("skip", 1)]));
        } else {
            assert_eq!((dead, dropped), (vec![("check".to_owned(), 3)], vec![]));
        }
    }
}

fn refused(text: &str) -> String {
    GraphSpec::from_json(text).map_err(|e: SpecError| e.to_string()).expect_err("broken")
}

/// Row 69: what this release does not know is refused with its place and what to do.
#[test]
fn unknown_things_are_refused_with_their_place() {
    let broken = |from: &str, to: &str| {
        assert!(STORED.contains(from), "{from}");
        refused(&STORED.replacen(from, to, 1))
    };
    for (from, to, want) in [
        (
            "\"version\": 1",
            "\"version\": 2",
            "graph spec, line 2, column 3: version 2 is not known here; this release reads version \
             1; store the graph again with it, or read it with the release that wrote it",
        ),
        (
            "  \"version\": 1,\n",
            "",
            "graph spec, line 83, column 1: missing field `version`; add it",
        ),
        (
            "\"max_rows\"",
            "\"max_row\"",
            "graph spec, line 6, column 11: unknown field `max_row`, expected one of `version`, \
             `metadata`, `max_rows`, `buffer`, `budget_bytes`, `dead_letters`, `stages`, `edges`; \
             correct the name or take it out",
        ),
        (
            "\"round_robin\"",
            "\"at random\"",
            "graph spec, line 81, column 26: unknown variant `at random`, expected one of \
             `forward`, `hash`, `round_robin`; correct the name or take it out",
        ),
        (
            "\"capacity\": 4",
            "\"capacity\": \"4\"",
            "graph spec, line 8, column 19: invalid type: string \"4\", expected usize; give a \
             value of that type",
        ),
        (
            "\"factor\": 2",
            "\"factor\": 2, \"cap\": 1",
            "graph spec, line 36, column 32: unknown field `cap`, expected one of `attempts`, \
             `first_ns`, `factor`, `longest_ns`, `jitter_percent`, `then`; correct the name or \
             take it out",
        ),
        (
            "\"max_rows\": 512",
            "\"max_rows\": 512, \"max_rows\": 1",
            "graph spec, line 6, column 29: duplicate field `max_rows`; keep one of them",
        ),
    ] {
        assert_eq!(broken(from, to), want);
    }
    assert_eq!(
        refused("{\"version\": 1,"),
        "graph spec, line 1, column 14: EOF while parsing a value; correct the JSON there"
    );
}

/// All faults of a spec against a registry at once, each with its stage and what to do.
#[test]
fn faults_against_the_registry_are_all_found() {
    let mut spec = GraphSpec::from_json(STORED).expect("valid");
    spec.stages[0].part = Some("cellar".to_owned());
    spec.stages[1].operators[1].word = "filter".to_owned();
    spec.stages[1].params.insert("rows".to_owned(), "7".to_owned());
    spec.stages[3].ins = vec!["alloc::vec::Vec<u8>".to_owned()];
    spec.edges[0].to = "nowhere".to_owned();
    spec.dead_letters = Some("grave".to_owned());
    let mut parts = parts();
    parts.source("numbers", |s| {
        if s.params.is_empty() { Err("it has no path".to_owned()) } else { Ok(nothing::<Row>()) }
    });
    let faults = parts.pipeline(&spec).expect_err("six faults").to_string();
    let want = r#"7 faults in the plan
  P022: there is no part `cellar` (at dead); register it, or name one of: dead, double+check, numbers, out
  P023: operators: the spec says ["map", "filter"], the part has ["map", "try_map"] (at double+check); make them agree: change the spec, or register another part
  P023: parameters: the spec says {"rows": "7"}, the part has {} (at double+check); make them agree: change the spec, or register another part
  P022: the part `numbers` refuses the stage: it has no path (at numbers); change what it says is wrong
  P023: input columns: the spec says ["alloc::vec::Vec<u8>"], the part has ["alloc::vec::Vec<u64>"] (at out); make them agree: change the spec, or register another part
  P024: the edge from `double+check` to `nowhere` needs a stage `nowhere`, which is not there (at nowhere); correct the name or add the stage
  P024: dead letters go to a stage `grave`, which is not there (at grave); correct the name or add the stage"#;
    assert_eq!(faults, want);
    let mut two = Registry::new();
    two.flow("double+check", |flow: Flow<Row>, _| {
        Ok(flow.map("a", |x: u64| x).fusion_barrier().map("b", |x| x).fusion_barrier())
    });
    let faults = two.pipeline(&spec).expect_err("many").to_string();
    let why = "the part `double+check` refuses the stage: its words make 2 stages; a part is one";
    assert!(faults.contains(why), "{faults}");
}

/// Values for the fields of a graph, drawn from a few numbers.
fn decorated(mut g: Graph, seed: u64) -> Graph {
    let pick = |i: usize, n: u64| (seed.rotate_left(i as u32 * 7) ^ (i as u64 * 0x9E37)) % n;
    g.max_rows = 1 + pick(1, 4096) as usize;
    g.budget = (pick(2, 2) == 1).then(|| Budget::bytes(1 + pick(3, 1 << 40)));
    for (i, n) in g.nodes.iter_mut().enumerate() {
        n.on_error = match pick(i, 4) {
            0 => OnError::Fail,
            1 => OnError::Skip,
            2 => OnError::DeadLetter,
            _ => OnError::Retry { retry: RETRY, then: GiveUp::Skip },
        };
        n.parallelism = match pick(i + 1, 4) {
            0 => Parallelism::CpuBound,
            1 => Parallelism::IoBound,
            2 => Parallelism::Fixed(3),
            _ => Parallelism::Sequential,
        };
        n.scalable = true;
        n.hints.rows_out_per_in =
            (pick(i + 2, 2) == 0).then(|| 1.0 / (1 + pick(i + 3, 999)) as f32);
        n.hints.schedule_dependent =
            vec![format!("\"{seed}\" \\ \u{1F980}"); pick(i + 4, 3) as usize];
        let when_full = if pick(i + 5, 2) == 0 { WhenFull::Block } else { WhenFull::DropOldest };
        n.buffer = Some(BufferPolicy { capacity: 1 + pick(i + 6, 9) as usize, when_full });
    }
    g
}

proptest! {
    #![proptest_config(crate::kit::cases(100))]

    /// Row 69: any graph goes to text and back without a difference, in whatever order it was
    /// described; a pipeline made of it has the same canonical hash.
    #[test]
    fn any_graph_goes_round(shape in shapes(), seed in any::<u64>()) {
        let g = decorated(dag(&shape, true), seed);
        let spec = GraphSpec::of(&g, None);
        let text = spec.to_json();
        prop_assert_eq!(&GraphSpec::from_json(&text).expect("just written"), &spec);
        let mut turned = spec.clone();
        turned.stages.reverse();
        turned.edges.reverse();
        prop_assert_eq!(turned.to_json(), text);
        let mut parts = Registry::new();
        for n in &g.nodes {
            parts.node(&n.name, n.ins.clone(), n.outs.clone(), |_| {
                let make = |_| Box::new(flux_io_core::Erased(Pass::<Row>::default())) as Box<_>;
                Ok(Body::Many(std::sync::Arc::new(make)))
            });
        }
        let made = parts.pipeline(&spec).expect("all parts are there");
        let valid = validate(&g, None).is_ok();
        match made.plan() {
            Ok(plan) => prop_assert_eq!(plan.graph.canonical_hash(), g.canonical_hash()),
            Err(e) => prop_assert!(!valid, "{e}"),
        }
    }
}
