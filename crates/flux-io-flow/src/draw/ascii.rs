//! A graph as plain text: stages from top to bottom, each edge a line between them.
//!
//! ```text
//! o orders: source
//! |  8 batches, block
//! o split: branch
//! |-.
//! | |  from split.1: 8 batches, block
//! | o rest: sink
//! |
//! |  from split.0: 8 batches, block
//! o out: sink
//! ```

use super::{choice, lines};
use crate::explain::instances;
use flux_io_core::{Graph, GraphEdge, Parallelism, StageNode};

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns that text keeps, however many lines stand beside it.
const TEXT: usize = 24;

/// Draws a graph, a stage as soon as everything before it is drawn.
pub(crate) fn draw(g: &Graph) -> String {
    let mut d =
        Drawing { g, lanes: Vec::new(), drawn: vec![false; g.nodes.len()], text: String::new() };
    while let Some(next) = d.next() {
        d.stage(next);
    }
    d.text
}

struct Drawing<'a> {
    g: &'a Graph,
    /// The edge in each lane, by its number.
    lanes: Vec<Option<usize>>,
    drawn: Vec<bool>,
    text: String,
}

impl<'a> Drawing<'a> {
    /// The stage to draw next: one whose inputs are all drawn, on the newest lane if there is one;
    /// in a circle, the first that is left.
    fn next(&self) -> Option<usize> {
        let left = |n: &usize| !self.drawn[*n];
        let ready = |n: &usize| {
            left(n) && self.g.edges.iter().all(|e| e.to.0 != *n || self.is_drawn(e.from.0))
        };
        let waiting = self.lanes.iter().rev().flatten().filter_map(|e| self.g.edges.get(*e));
        waiting
            .map(|e| e.to.0)
            .filter(|n| *n < self.drawn.len())
            .find(ready)
            .or_else(|| (0..self.drawn.len()).find(ready))
            .or_else(|| (0..self.drawn.len()).find(left))
    }

    fn is_drawn(&self, n: usize) -> bool {
        self.drawn.get(n).copied().unwrap_or(false)
    }

    fn stage(&mut self, n: usize) {
        let g = self.g;
        let node = &g.nodes[n];
        let ins: Vec<(usize, &GraphEdge)> =
            g.edges.iter().enumerate().filter(|(_, e)| e.to.0 == n).collect();
        for (i, e) in &ins {
            let from =
                if node.ins.len() > 1 || several_outs(g, e) { port(g, e.from) } else { None };
            match self.lane_of(*i) {
                Some(lane) => self.line(lane, "|", &edge_text(g, e, from)),
                None => self.line(
                    self.lanes.len(),
                    "",
                    &format!("from {}, below", port(g, e.from).unwrap_or_default()),
                ),
            }
        }
        let mut mine: Vec<usize> = ins.iter().filter_map(|(i, _)| self.lane_of(*i)).collect();
        mine.sort_unstable();
        let lane = mine.first().copied().unwrap_or_else(|| self.free_lane());
        if mine.len() > 1 {
            let last = mine[mine.len() - 1];
            self.joint(lane, last, |l| mine.contains(&l), '\'');
        }
        for l in mine {
            self.lanes[l] = None;
        }
        self.drawn[n] = true;
        // A lane that ends here is drawn as the stage, so it stays taken for its line.
        self.lanes[lane] = Some(usize::MAX);
        self.line(lane, "o", &stage_text(node));
        self.lanes[lane] = None;
        self.fork(n, lane);
        while self.lanes.last().is_some_and(Option::is_none) {
            self.lanes.pop();
        }
    }

    /// Opens a lane for each edge that leaves a stage; edges to stages already drawn are told.
    fn fork(&mut self, n: usize, lane: usize) {
        let g = self.g;
        let outs = g.edges.iter().enumerate().filter(|(_, e)| e.from.0 == n);
        let (mut first, mut new) = (true, Vec::new());
        for (i, e) in outs {
            if self.is_drawn(e.to.0) {
                self.line(lane, "", &format!("back to {}", name(g, e.to.0)));
                continue;
            }
            let at = if std::mem::take(&mut first) { lane } else { self.free_lane_from(lane + 1) };
            self.lanes[at] = Some(i);
            if at != lane {
                new.push(at);
            }
        }
        if let Some(last) = new.last().copied() {
            self.joint(lane, last, |l| new.contains(&l), '.');
        }
    }

    fn lane_of(&self, edge: usize) -> Option<usize> {
        self.lanes.iter().position(|l| *l == Some(edge))
    }

    fn free_lane(&mut self) -> usize {
        self.free_lane_from(0)
    }

    fn free_lane_from(&mut self, from: usize) -> usize {
        let free = self.lanes.iter().skip(from).position(Option::is_none).map(|l| l + from);
        free.unwrap_or_else(|| {
            self.lanes.push(None);
            self.lanes.len() - 1
        })
    }

    /// A line across the lanes from `lane` to `last`, with `end` at the lanes that take part.
    fn joint(&mut self, lane: usize, last: usize, takes: impl Fn(usize) -> bool, end: char) {
        let mut t = String::new();
        for (l, edge) in self.lanes.iter().enumerate() {
            let across = l > lane && l <= last;
            t.push(match edge {
                _ if across && takes(l) => end,
                Some(_) => '|',
                None if across => '-',
                None => ' ',
            });
            t.push(if l >= lane && l < last { '-' } else { ' ' });
        }
        self.push(&t);
    }

    /// A line of lanes with text behind it, in as many lines as it takes.
    fn line(&mut self, lane: usize, sign: &str, text: &str) {
        let rails = |sign: &str| {
            let mut t = String::new();
            for (l, edge) in self.lanes.iter().enumerate() {
                match edge {
                    _ if l == lane => t.push_str(if sign.is_empty() { " " } else { sign }),
                    Some(_) => t.push('|'),
                    None => t.push(' '),
                }
                t.push(' ');
            }
            t
        };
        let (first, more) = (rails(sign), rails(if sign == "o" { " " } else { sign }));
        let indent = if sign == "o" { "" } else { " " };
        let room = WIDTH.saturating_sub(first.len() + 3).max(TEXT);
        let parts = wrap(text, room);
        for (i, part) in parts.iter().enumerate() {
            let (rails, hang) = if i == 0 { (&first, "") } else { (&more, "  ") };
            self.text.push_str(format!("{rails}{indent}{hang}{part}").trim_end());
            self.text.push('\n');
        }
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

fn name(g: &Graph, n: usize) -> &str {
    g.nodes.get(n).map_or("?", |n| n.name.as_str())
}

fn several_outs(g: &Graph, e: &GraphEdge) -> bool {
    g.nodes.get(e.from.0).is_some_and(|n| n.outs.len() > 1)
}

/// The name of an output, with its number where there are several.
fn port(g: &Graph, (stage, port): (usize, usize)) -> Option<String> {
    let n = g.nodes.get(stage)?;
    Some(if n.outs.len() > 1 { format!("{}.{port}", n.name) } else { n.name.clone() })
}

fn edge_text(g: &Graph, e: &GraphEdge, from: Option<String>) -> String {
    let buffer = g.effective_buffer(e);
    let from = from.map_or_else(String::new, |f| format!("from {f}: "));
    let how = choice(g, e).map_or_else(String::new, |how| format!(", {how}"));
    format!("{from}{} batches, {}{how}", buffer.capacity, buffer.when_full.as_str())
}

fn stage_text(n: &StageNode) -> String {
    let what = match lines(n).as_slice() {
        [_, word] if n.operators.len() == 1 => word.clone(),
        all if n.operators.len() > 1 => all.join(", "),
        _ => n.kind.as_str().to_owned(),
    };
    let many = match n.parallelism {
        Parallelism::Sequential => String::new(),
        p => format!(" ({})", instances(p)),
    };
    format!("{}{many}: {what}", n.name)
}

/// Cuts text at spaces into lines of at most `room` characters; a longer word is cut where it is.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > room {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut().filter(|_| used > 0) {
            line.push(' ');
            used += 1;
        }
        while rest.len() > room - used {
            let cut: String = rest.drain(..room - used).collect();
            if let Some(line) = lines.last_mut() {
                line.push_str(&cut);
            }
            lines.push(String::new());
            used = 0;
        }
        used += rest.len();
        if let Some(line) = lines.last_mut() {
            line.extend(rest);
        }
    }
    lines
}
