//! Plans with one thing less.

use super::plan::{Dag, Mood, OpKind, Port, SourceKind, SourceOf, What};

impl Dag {
    /// Plans that are smaller in one thing, the greatest difference first. Not all of them are
    /// valid: ask [`Dag::expect`].
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let nodes = self.sources.len() + self.steps.len();
        all.extend((self.sources.len()..nodes).rev().filter_map(|n| self.without(n)));
        all.extend((0..self.sources.len()).rev().filter_map(|n| self.without_source(n)));
        for n in 0..self.sources.len() {
            let rows = self.sources[n].rows;
            let fewer = [rows / 2, rows.saturating_sub(1)].into_iter().filter(|r| *r < rows);
            for rows in fewer {
                let mut dag = self.clone();
                dag.sources[n].rows = rows;
                all.push(dag);
            }
            let calm = SourceOf { fails: 0, asks: 0, ..self.sources[n] };
            if calm != self.sources[n] {
                let mut dag = self.clone();
                dag.sources[n] = calm;
                all.push(dag);
            }
            if self.sources[n].kind != SourceKind::Iter {
                let mut dag = self.clone();
                dag.sources[n].kind = SourceKind::Iter;
                all.push(dag);
            }
        }
        for i in 0..self.steps.len() {
            all.extend(plainer(&self.steps[i].what).into_iter().map(|what| {
                let mut dag = self.clone();
                dag.steps[i].what = what;
                dag
            }));
        }
        all.extend(self.calmer());
        all
    }

    /// The plan with a setting at its plain value.
    fn calmer(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut dag = self.clone();
            change(&mut dag);
            if dag != *self {
                all.push(dag);
            }
        };
        with(&|d| d.moods = vec![Mood::default()]);
        with(&|d| d.setting.ticks = 0);
        with(&|d| d.setting.store = false);
        with(&|d| d.setting.letters = false);
        with(&|d| d.setting.chain = true);
        with(&|d| d.setting.workers = 1);
        all
    }

    /// The plan without a step: what took from it takes what it took.
    fn without(&self, node: usize) -> Option<Self> {
        let step = self.step(node)?;
        let ins = step.ins.clone();
        let other = |port: Port| -> Option<Port> {
            let (n, p) = if port.0 == node { *ins.get(p_of(port, ins.len()))? } else { port };
            Some((if n > node { n - 1 } else { n }, p))
        };
        let mut dag = self.clone();
        dag.steps.remove(node - self.sources.len());
        let mut taken: Vec<Port> = Vec::new();
        for s in &mut dag.steps {
            let mut to: Vec<Port> = Vec::new();
            for port in &s.ins {
                let port = other(*port)?;
                if !taken.contains(&port) && !to.contains(&port) {
                    to.push(port);
                }
            }
            if to.is_empty() {
                // Its only input was another flow of a fork that is gone.
                return None;
            }
            if s.what.joins() && to.len() == 1 {
                s.what = What::Barrier;
            }
            taken.extend(&to);
            s.ins = to;
        }
        Some(dag)
    }

    /// The plan without a source that nothing needs, or of which only a join is told.
    fn without_source(&self, node: usize) -> Option<Self> {
        if self.sources.len() < 2 {
            return None;
        }
        let mut dag = self.clone();
        dag.sources.remove(node);
        for s in &mut dag.steps {
            s.ins.retain(|p| p.0 != node);
            if s.ins.is_empty() {
                return None;
            }
            if s.what.joins() && s.ins.len() == 1 {
                s.what = What::Barrier;
            }
            s.ins.iter_mut().filter(|p| p.0 > node).for_each(|p| p.0 -= 1);
        }
        Some(dag)
    }
}

/// Which input stands for an output of a step that is gone.
const fn p_of(port: Port, ins: usize) -> usize {
    if port.1 < ins { port.1 } else { 0 }
}

/// The same step with less in it.
fn plainer(what: &What) -> Vec<What> {
    match what {
        What::Fused { ops, parallel } => {
            let mut all = Vec::new();
            if parallel.is_some() {
                all.push(What::Fused { ops: ops.clone(), parallel: None });
            }
            if ops.len() > 1 {
                for n in 0..ops.len() {
                    let mut ops = ops.clone();
                    ops.remove(n);
                    all.push(What::Fused { ops, parallel: *parallel });
                }
            }
            for n in 0..ops.len() {
                let mut ops = ops.clone();
                if std::mem::replace(&mut ops[n].kind, OpKind::Map) != OpKind::Map {
                    all.push(What::Fused { ops: ops.clone(), parallel: *parallel });
                }
                if std::mem::take(&mut ops[n].poison) {
                    all.push(What::Fused { ops, parallel: *parallel });
                }
            }
            all
        }
        What::Calls(c) => {
            let plain = [
                super::CallsOf { hedge: false, ..*c },
                super::CallsOf { timeout: false, ..*c },
                super::CallsOf { poison: false, ..*c },
                super::CallsOf { attempts: 0, ..*c },
                super::CallsOf { answers: super::Answers::Now, ..*c },
            ];
            plain.into_iter().filter(|p| p != c).map(What::Calls).collect()
        }
        What::Accumulate(a) => {
            let plain = [
                super::Acc { parallel: 1, ..*a },
                super::Acc { breaks: super::Breaks::Nothing, ..*a },
                super::Acc { durable: true, ..*a },
            ];
            plain.into_iter().filter(|p| p != a).map(What::Accumulate).collect()
        }
        _ => Vec::new(),
    }
}
