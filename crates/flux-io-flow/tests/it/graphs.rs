//! Random graphs: valid ones are found valid, and one broken thing is found and nothing else.
//!
//! Row 273.

use flux_io_core::{ChannelDescriptor, ColumnType, Graph, GraphEdge, StageKind, StageNode};
use flux_io_flow::{Explain, validate};
use proptest::prelude::*;

/// For each stage behind the source: how many open outputs it takes (at least one) and gives.
pub(crate) fn dag(shape: &[(usize, usize)], wild: bool) -> Graph {
    let column = |k: usize| match k % 3 {
        0 => ColumnType::of::<Vec<u64>>(),
        1 => ColumnType::of::<Vec<u8>>(),
        _ => ColumnType::of::<Vec<String>>(),
    };
    let mut g = Graph::default();
    let out = |k: usize| if wild { column(k) } else { column(0) };
    g.nodes.push(StageNode::new("s0", StageKind::Source, vec![], vec![out(0), out(1)]));
    let mut open = vec![(0, 0), (0, 1)];
    for (k, (takes, gives)) in shape.iter().enumerate() {
        let i = g.nodes.len();
        let taken: Vec<_> = open.drain(..(*takes).min(open.len())).collect();
        if taken.is_empty() {
            break;
        }
        let ins = taken.iter().map(|(n, p)| g.nodes[*n].outs[*p]).collect();
        let outs: Vec<_> = (0..*gives).map(|p| out(k + p)).collect();
        let kind = match (taken.len(), gives) {
            (_, 0) => StageKind::Sink,
            (1, 1) => StageKind::Transform,
            (1, _) => StageKind::Branch,
            _ => StageKind::Merge,
        };
        g.nodes.push(StageNode::new(format!("s{i}"), kind, ins, outs));
        let link =
            |(p, from)| GraphEdge { from, to: (i, p), channel: ChannelDescriptor::default() };
        g.edges.extend(taken.into_iter().enumerate().map(link));
        open.extend((0..*gives).map(|p| (i, p)));
    }
    for from in open {
        let i = g.nodes.len();
        let ins = vec![g.nodes[from.0].outs[from.1]];
        g.nodes.push(StageNode::new(format!("s{i}"), StageKind::Sink, ins, vec![]));
        g.edges.push(GraphEdge { from, to: (i, 0), channel: ChannelDescriptor::default() });
    }
    g
}

fn codes(g: &Graph) -> Vec<&'static str> {
    validate(g, None).err().map_or_else(Vec::new, |e| e.0.iter().map(|f| f.code).collect())
}

pub(crate) fn shapes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((1..4usize, 0..4usize), 0..15)
}

proptest! {
    #![proptest_config(crate::kit::cases(200))]

    /// Row 273.
    #[test]
    fn described_graphs_are_connected_and_continuous(shape in shapes()) {
        let g = dag(&shape, true);
        prop_assert_eq!(codes(&g), Vec::<&str>::new());
        // Drawing never fails, and shows everything.
        prop_assert_eq!(g.mermaid().lines().count(), 1 + g.nodes.len() + g.edges.len());
        prop_assert_eq!(g.dot().lines().count(), 4 + g.nodes.len() + g.edges.len());
        let text = g.ascii();
        let kinds = ["source", "transform", "branch", "merge", "sink"];
        let stages = text.lines().filter(|l| kinds.iter().any(|k| l.ends_with(k))).count();
        prop_assert_eq!(stages, g.nodes.len(), "{}", text);
        prop_assert_eq!(text.matches(" batches, block").count(), g.edges.len(), "{}", text);
        prop_assert!(text.lines().all(|l| l.len() <= 80.max(2 * g.edges.len() + 30)), "{}", text);
    }

    /// Row 273: an edge back makes a cycle, and that is all that is found.
    #[test]
    fn cycles_are_found_and_nothing_else(shape in shapes(), a in any::<usize>(), b in any::<usize>()) {
        let mut g = dag(&shape, false);
        let (a, b) = (a % g.nodes.len(), b % g.nodes.len());
        let column = ColumnType::of::<Vec<u64>>();
        let reaches = {
            let mut seen = vec![b];
            let mut at = 0;
            while let Some(&i) = seen.get(at) {
                at += 1;
                let next = g.edges.iter().filter(|e| e.from.0 == i).map(|e| e.to.0);
                seen.extend(next.filter(|n| !seen.contains(n)).collect::<Vec<_>>());
            }
            seen.contains(&a)
        };
        g.nodes[a].outs.push(column);
        g.nodes[b].ins.push(column);
        let from = (a, g.nodes[a].outs.len() - 1);
        let to = (b, g.nodes[b].ins.len() - 1);
        g.edges.push(GraphEdge { from, to, channel: ChannelDescriptor::default() });
        let want = if reaches { vec!["P004"] } else { vec![] };
        prop_assert_eq!(codes(&g), want);
    }

    /// Row 273: a missing edge leaves an output without end and an input without beginning.
    #[test]
    fn a_missing_edge_is_an_orphan(shape in shapes(), k in any::<usize>()) {
        let mut g = dag(&shape, true);
        g.edges.remove(k % g.edges.len());
        prop_assert_eq!(codes(&g), ["P002", "P005"]);
    }

    #[test]
    fn a_wrong_column_is_found_at_its_edge(shape in shapes(), k in any::<usize>()) {
        let mut g = dag(&shape, true);
        let (i, port) = g.edges[k % g.edges.len()].to;
        g.nodes[i].ins[port] = ColumnType::of::<Vec<f64>>();
        prop_assert_eq!(codes(&g), ["P006"]);
    }

    /// Row 67: the hash is that of the graph, not of the order in which it was described.
    #[test]
    fn b061_the_hash_does_not_depend_on_the_order(shape in shapes(), seed in any::<u64>()) {
        let g = dag(&shape, true);
        // A permutation by multiplication with a number without common factor.
        let n = g.nodes.len();
        let place = |i: usize| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|k| (*k as u64 + 1).wrapping_mul(seed | 1));
            order.iter().position(|k| *k == i).unwrap_or(0)
        };
        let places: Vec<usize> = (0..n).map(place).collect();
        let mut h = g.clone();
        for (i, p) in places.iter().enumerate() {
            h.nodes[*p] = g.nodes[i].clone();
        }
        for e in &mut h.edges {
            e.from.0 = places[e.from.0];
            e.to.0 = places[e.to.0];
        }
        h.edges.reverse();
        prop_assert_eq!(g.canonical_hash(), h.canonical_hash());
    }
}
