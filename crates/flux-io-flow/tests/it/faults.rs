//! Every fault of a plan: found, all at once, in these words.

use crate::kit::nothing;
use flux_io_core::{
    AccumulationDescriptor, Batch, BufferPolicy, ChannelDescriptor, ColumnType, GiveUp, Graph,
    GraphEdge, IoCx, OnError, Parallelism, PlanFault, PlannerPass, Retry, Sink, StageError,
    StageKind, StageNode, WhenFull,
};
use flux_io_flow::stages::Pass;
use flux_io_flow::{Batching, Keyed, Pipeline, PlanFaults, validate};

fn faults(r: Result<impl Sized, PlanFaults>) -> String {
    match r {
        Ok(_) => "valid".to_owned(),
        Err(e) => e.to_string(),
    }
}

fn node(name: &str, kind: StageKind, ins: usize, outs: usize) -> StageNode {
    let c = ColumnType::of::<Vec<u64>>();
    StageNode::new(name, kind, vec![c; ins], vec![c; outs])
}

fn edge(from: (usize, usize), to: (usize, usize)) -> GraphEdge {
    GraphEdge { from, to, channel: ChannelDescriptor::default() }
}

/// A source, a transform, a sink.
fn line() -> Graph {
    Graph {
        nodes: vec![
            node("source", StageKind::Source, 0, 1),
            node("middle", StageKind::Transform, 1, 1),
            node("end", StageKind::Sink, 1, 0),
        ],
        edges: vec![edge((0, 0), (1, 0)), edge((1, 0), (2, 0))],
        ..Graph::default()
    }
}

fn broken(change: impl FnOnce(&mut Graph)) -> String {
    let mut g = line();
    assert_eq!(faults(validate(&g, None)), "valid");
    change(&mut g);
    faults(validate(&g, None))
}

/// Rows 54, 64: unique names.
#[test]
fn p001_names_are_unique() {
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let plan = f.map("b", |x| x).map("c", |x| x).fusion_barrier().map("b", |x| x).discard("a");
    assert_eq!(
        faults(plan.plan()),
        "2 faults in the plan\n  \
         P001: two stages are called `b` (at a -> b+c -> b); rename one: a stage's name is the \
         identity of its state\n  \
         P001: two stages are called `a` (at a -> b+c -> b -> a); rename one: a stage's name is the \
         identity of its state"
    );
}

/// Row 65: connectivity.
#[test]
fn p002_outputs_lead_somewhere() {
    let p = Pipeline::new();
    let end = p.source("a", nothing::<Vec<u64>>()).discard("end");
    drop(p.source("b", nothing::<Vec<u64>>()).map("lost", |x| x).fusion_barrier());
    assert_eq!(
        faults(end.plan()),
        "1 fault in the plan\n  \
         P002: output 0 of stage `lost` leads nowhere (at b -> lost); end it with \
         `.sink(name, ..)`, `.fold(name, ..)` or `.discard(name)`"
    );
}

#[test]
fn p003_there_is_a_source() {
    assert_eq!(
        faults(Pipeline::new().plan()),
        "1 fault in the plan\n  \
         P003: the plan has no source (at the plan); start with `.source(name, ..)`"
    );
}

/// Row 65: cycles.
#[test]
fn p004_cycles_are_named() {
    let text = broken(|g| {
        g.nodes[1] = node("middle", StageKind::Merge, 2, 2);
        g.nodes.push(node("back", StageKind::Transform, 1, 1));
        g.edges.extend([edge((1, 1), (3, 0)), edge((3, 0), (1, 1))]);
    });
    assert_eq!(
        text,
        "1 fault in the plan\n  \
         P004: 2 stages form a cycle (at middle -> back -> middle); cut it: rows flow from sources \
         to sinks"
    );
}

/// Each of several cycles is named, a stage that leads to itself too.
#[test]
fn p004_every_cycle_is_named() {
    let text = broken(|g| {
        for name in ["x", "y"] {
            g.nodes.push(node(name, StageKind::Transform, 1, 1));
        }
        g.nodes.push(node("self", StageKind::Transform, 1, 1));
        g.edges.extend([edge((3, 0), (4, 0)), edge((4, 0), (3, 0)), edge((5, 0), (5, 0))]);
    });
    let paths: Vec<_> = text.lines().filter_map(|l| l.split(['(', ')']).nth(1)).collect();
    assert_eq!(paths, ["at x -> y -> x", "at self -> self"]);
}

/// Row 65: no orphan nodes.
#[test]
fn p005_orphans_are_found() {
    let text = broken(|g| {
        g.nodes.push(node("alone", StageKind::Sink, 1, 0));
        g.nodes.push(node("odd", StageKind::Sink, 0, 0));
    });
    assert_eq!(
        text,
        "2 faults in the plan\n  \
         P005: nothing leads to input 0 of stage `alone` (at alone); join a flow to it, or leave it \
         out\n  \
         P005: nothing leads to stage `odd`: it has no input (at odd); give it an input port, or \
         leave it out"
    );
}

/// Row 64: type continuity.
#[test]
fn p006_columns_continue() {
    let text = broken(|g| g.nodes[1].ins[0] = ColumnType::of::<Vec<u8>>());
    assert_eq!(
        text,
        "1 fault in the plan\n  \
         P006: `source` gives `alloc::vec::Vec<u64>`, but `middle` takes `alloc::vec::Vec<u8>` (at \
         source -> middle); put a stage between them that turns the one into the other"
    );
    assert!(broken(|g| g.edges[1].to.1 = 7).contains("P006: an edge joins output 0 of `middle`"));
}

#[test]
fn p007_nothing_holds_nothing() {
    let zero = |b: &mut Option<BufferPolicy>| {
        *b = Some(BufferPolicy { capacity: 0, when_full: WhenFull::Block });
    };
    let text = broken(|g| {
        g.max_rows = 0;
        g.buffer.capacity = 0;
        zero(&mut g.nodes[1].buffer);
        zero(&mut g.edges[1].channel.buffer);
    });
    assert_eq!(
        text,
        "4 faults in the plan\n  \
         P007: batches of the plan hold 0 rows (at the plan); give at least 1\n  \
         P007: the plan's buffer holds 0 batches (at the plan); give at least 1\n  \
         P007: the buffer in front of `middle` holds 0 batches (at source -> middle); give at least \
         1\n  \
         P007: the buffer between `middle` and `end` holds 0 batches (at source -> middle -> end); \
         give at least 1"
    );
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let text = faults(f.batch("b", Batching::Fixed(0)).discard("c").plan());
    assert!(text.contains("P007: `b` makes batches of 0 rows"), "{text}");
}

/// Row 66: buffers that drop rows where all rows are promised.
#[test]
fn p008_drops_break_no_promise() {
    let dropping = |policy: &str| {
        let p = Pipeline::new().source("a", nothing::<Vec<u64>>()).when_full(WhenFull::DropOldest);
        let keyed = p.map("b", |x| x).key_by("key", |x| *x);
        let describe = |n: &mut StageNode| {
            n.kind = StageKind::Accumulator;
            let words = [("on_expire", policy), ("expire_after", "1s")];
            let policy = words.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            n.accumulation = Some(AccumulationDescriptor { policy, ..Default::default() });
        };
        faults(keyed.keyed_stage("acc", describe, |_| Pass::default()).discard("end").plan())
    };
    assert_eq!(dropping("Partial"), "valid");
    assert_eq!(
        dropping("Drop"),
        "1 fault in the plan\n  \
         P008: the buffer between `a` and `b` may drop rows (drop_oldest), but `acc` promises \
         complete results only (at a -> b); let it block (`.when_full(WhenFull::Block)`), or give \
         up the promise"
    );
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let text =
        faults(f.map("b", |x| x).parallel(2).when_full(WhenFull::DropNewest).discard("c").plan());
    assert!(text.contains("`b` runs in parallel and its order is restored"), "{text}");
}

#[test]
fn p009_only_copies_run_in_parallel() {
    let f = || Pipeline::new().source("a", nothing::<Vec<u64>>());
    let text = faults(f().stage("b", Pass::default()).parallel(2).discard("c").plan());
    assert_eq!(
        text,
        "1 fault in the plan\n  \
         P009: `b` is to run in parallel, but there is one of it (at a -> b); put `.parallel(n)` \
         right behind a keyed stage or behind closures that are `Clone`"
    );
    let text = faults(f().map("b", |x| x).parallel(0).discard("c").plan());
    assert!(text.contains("P009: `b` is to have 0 instances"), "{text}");
    assert_eq!(
        faults(f().map("b", |x| x).parallelism(Parallelism::CpuBound).discard("c").plan()),
        "valid"
    );
}

#[test]
fn p010_keys_can_leave() {
    let with = |words: &[(&str, &str)]| {
        let f = Pipeline::new().source("a", nothing::<Vec<u64>>()).key_by("key", |x| *x);
        let describe = |n: &mut StageNode| {
            let policy = words.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            n.accumulation = Some(AccumulationDescriptor { policy, ..Default::default() });
        };
        faults(f.keyed_stage("acc", describe, |_| Pass::default()).discard("end").plan())
    };
    assert_eq!(with(&[("on_end", "Partial")]), "valid");
    assert_eq!(with(&[("on_end", "Keep"), ("timeout", "1s")]), "valid");
    assert_eq!(
        with(&[("on_end", "Keep")]),
        "1 fault in the plan\n  \
         P010: incomplete keys of `acc` never leave (at a -> key -> acc); give it a deadline, a \
         limit, or a flush at the end of input"
    );
}

#[test]
fn p012_names_are_not_empty() {
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    assert_eq!(
        faults(f.map("", |x| x).discard("end").plan()),
        "1 fault in the plan\n  \
         P012: a transform has an empty name (at a -> ); name it: the name is its identity"
    );
}

#[test]
fn p013_options_stand_behind_what_has_them() {
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let text = faults(f.lag(std::time::Duration::ZERO).discard("end").plan());
    assert_eq!(
        text,
        "1 fault in the plan\n  \
         P013: `lag` stands behind a stage that gives no event times (at a); put it right behind \
         `.event_time(name, |row| ..)`"
    );
}

#[test]
fn p014_p015_one_pipeline_and_one_place_for_dead_letters() {
    struct Letters;
    impl Sink for Letters {
        type Col = Vec<flux_io_core::ErrorRecord>;
        async fn write(&mut self, b: &mut Batch<Self::Col>, _: &IoCx) -> Result<(), StageError> {
            b.clear();
            Ok(())
        }
    }
    let end = || Pipeline::new().source("a", nothing::<Vec<u64>>()).discard("end");
    assert!(faults(end().and(end()).plan()).contains("P014"));
    let p = Pipeline::new().dead_letters("dead", Letters);
    let one = p.source("a", nothing::<Vec<u64>>()).discard("end").plan().expect("valid");
    assert_eq!(one.dead_letters, Some(0));
    let p = Pipeline::new().dead_letters("dead", Letters).dead_letters("more", Letters);
    let text = faults(p.source("a", nothing::<Vec<u64>>()).discard("end").plan());
    assert!(text.contains("P015: a second dead-letter sink `more` (at dead)"), "{text}");
}

#[test]
fn p017_retries_try() {
    let never =
        OnError::Retry { retry: Retry { attempts: 0, ..Retry::default() }, then: GiveUp::Skip };
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let text = faults(f.map("b", |x| x).on_error(never).discard("end").plan());
    assert_eq!(
        text,
        "1 fault in the plan\n  \
         P017: `b` retries, with 0 attempts (at a -> b); give at least 1 attempt"
    );
}

/// What the description of a keyed stage refuses is a fault of the plan, with its path.
#[test]
fn p016_policies_are_checked() {
    let keyed = Pipeline::new().source("a", nothing::<Vec<u64>>()).key_by("key", |x| *x);
    let told = [("no deadline".to_owned(), "give one".to_owned())];
    assert_eq!(
        faults(keyed.refused::<Vec<u64>>("acc", told).discard("end").plan()),
        "1 fault in the plan\n  P016: no deadline (at a -> key -> acc); give one"
    );
}

/// An invalid description gives no plan, and says everything that is wrong.
#[test]
fn b101_an_invalid_graph_cannot_run() {
    let p = Pipeline::new().max_rows(0);
    drop(p.source("", nothing::<Vec<u64>>()));
    let text = faults(p.source("a", nothing::<Vec<u64>>()).discard("a").plan());
    for code in ["P001", "P002", "P007", "P012"] {
        assert!(text.contains(code), "{code} is missing in {text}");
    }
}

/// Row 102: passes of the user's own tune and refuse; what they break is found.
#[test]
fn passes_run_before_lowering() {
    struct Tune(usize);
    impl PlannerPass for Tune {
        fn name(&self) -> &str {
            "tune"
        }
        fn run(&self, g: &mut Graph) -> Result<(), Vec<PlanFault>> {
            g.max_rows = self.0;
            g.decide("tune", "", format!("batches of {} rows", self.0), "a test".into());
            let fault = |code| PlanFault { code, path: vec![], what: "x".into(), fix: "y".into() };
            if self.0 == 13 { Err(vec![fault("U001"), fault("U002")]) } else { Ok(()) }
        }
    }
    let plan = |n| {
        let p = Pipeline::new().pass(Tune(n));
        p.source("a", nothing::<Vec<u64>>()).discard("end").plan()
    };
    let tuned = plan(77).expect("valid");
    assert_eq!((tuned.graph.max_rows, tuned.graph.decisions.len()), (77, 1));
    assert_eq!(plan(13).expect_err("refused").0.len(), 2);
    assert!(faults(plan(0)).contains("P007"));
}
