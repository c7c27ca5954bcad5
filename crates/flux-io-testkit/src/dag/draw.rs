//! Plans out of a seed.

use super::expect::{Bundle, Eval};
use super::plan::{
    Acc, Answers, Breaks, CallsOf, Dag, Gives, IdJoin, Lose, Mood, Op, OpKind, Port, Setting,
    SourceKind, SourceOf, Step, What,
};
use flux_io_core::Draws;

/// What plans are drawn out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Rows of a source, at most.
    pub rows: u32,
    /// Steps, at most; the least is 2.
    pub steps: u32,
    /// Of 16 plans, in how many closures panic and rows fail for good.
    pub poison: u32,
    /// Whether joins may hold less than their inputs bring.
    pub tight: bool,
}

impl Default for Menu {
    fn default() -> Self {
        Self { rows: 120, steps: 15, poison: 8, tight: true }
    }
}

/// Tries for a step that fits.
const TRIES: u32 = 12;

impl Dag {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64, menu: Menu) -> Self {
        Artist::new(seed, menu).draw()
    }
}

struct Artist {
    draws: Draws,
    menu: Menu,
    poison: bool,
    eval: Eval,
    dag: Dag,
    open: Vec<Port>,
}

impl Artist {
    fn new(seed: u64, menu: Menu) -> Self {
        let mut draws = Draws(seed ^ 0x6461_6721);
        draws.next_u64();
        let poison = draws.below(16) < menu.poison;
        let setting = Setting {
            edge: 1 + draws.below(3) as usize,
            batch: 1 + draws.below(17) as usize,
            workers: 1 + draws.below(4),
            chain: draws.below(2) == 0,
            store: draws.below(3) > 0,
            ticks: [0, 0, 150, 40][draws.below(4) as usize],
            letters: draws.below(4) > 0,
            seed,
        };
        let (sources, steps, moods) = (Vec::new(), Vec::new(), Vec::new());
        let dag = Dag { sources, steps, moods, setting };
        Self { draws, menu, poison, eval: Eval::default(), dag, open: Vec::new() }
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.draws.below(of.len() as u32) as usize].clone()
    }

    fn often(&mut self, of: u32) -> bool {
        self.draws.below(of) > 0
    }

    fn seldom(&mut self, of: u32) -> bool {
        self.draws.below(of) == 0
    }

    fn poison(&mut self) -> bool {
        self.poison && self.seldom(3)
    }

    fn lose(&mut self) -> Lose {
        if self.seldom(3) { Lose::Drop } else { Lose::Letter }
    }

    fn draw(mut self) -> Dag {
        let woven = self.seldom(10);
        let sources = if woven { 2 } else { self.pick(&[1, 1, 2, 2, 3]) };
        for n in 0..sources {
            let mut source = self.source(n);
            if woven {
                source.rows += u64::from(self.menu.rows) / 2;
            }
            self.dag.sources.push(source);
            self.eval.source(n as usize, source);
            self.open.push((n as usize, 0));
        }
        if woven {
            self.weave();
        }
        let steps = 2 + self.draws.below(self.menu.steps.saturating_sub(1));
        for _ in 0..steps {
            for _ in 0..TRIES {
                if self.open.is_empty() || self.try_step() {
                    break;
                }
            }
        }
        for _ in 0..3 {
            let mood = Mood { sleeps: self.pick(&[0, 0, 3, 7]), fails: self.pick(&[0, 0, 2, 5]) };
            self.dag.moods.push(mood);
        }
        self.dag
    }

    fn source(&mut self, n: u32) -> SourceOf {
        use SourceKind as S;
        let rows = match self.draws.below(8) {
            0 => self.draws.below(4),
            1..=5 => self.draws.below(self.menu.rows / 3 + 1),
            _ => self.draws.below(self.menu.rows + 1),
        };
        let first = self.pick(&[0, 0, 1, 20, 1_000]);
        let first = if self.seldom(3) { u64::from(n) * 1_000_000 } else { first };
        let kind = self.pick(&[S::Iter, S::Iter, S::Fed, S::Awaited, S::Quiet]);
        let (apart, fails) = (self.pick(&[1, 1, 2]), self.pick(&[0, 0, 0, 2, 5]));
        let asks = self.pick(&[0, 0, 0, 1, 3]);
        SourceOf { kind, rows: u64::from(rows), first, apart, fails, asks }
    }

    /// Draws a step; keeps it if it is one that promises something.
    fn try_step(&mut self) -> bool {
        let joins = self.open.len() > 1 && self.draws.below(8) < self.open.len() as u32;
        let (ins, what) = if joins { self.joining() } else { self.single() };
        self.keep(ins, what)
    }

    /// A flow that forks, of which one branch meets another source before it meets the other branch:
    /// whoever waits there for a cut waits for both sources. Many cuts, small batches.
    fn weave(&mut self) {
        let (other, hold) = ((1, 0), None);
        let parts = match self.seldom(2) {
            true => What::Broadcast(2),
            false => What::Split { poison: false, lose: Lose::Letter },
        };
        let fork = self.dag.sources.len();
        let paired = self.pick(&[What::Zip { hold, rest: Lose::Drop }, What::Merge]);
        let all = [
            (vec![(0, 0)], parts),
            (vec![(fork, 0), other], paired),
            (vec![(fork, 1), (fork + 1, 0)], What::Merge),
        ];
        for (ins, what) in all {
            if !self.keep(ins, what) {
                return;
            }
        }
        let setting = &mut self.dag.setting;
        (setting.batch, setting.store, setting.ticks) = (1 + setting.batch % 3, true, 40);
    }

    /// Adds a step if it is one that promises something.
    fn keep(&mut self, ins: Vec<Port>, what: What) -> bool {
        let step = Step { ins, salt: u64::from(self.draws.next_u32()), what };
        let node = self.dag.sources.len() + self.dag.steps.len();
        let (dead, mut eval) = (self.open.len() + step.what.outs() > 6, self.eval.clone());
        if dead || eval.step(&self.dag, node, &step).is_err() {
            return false;
        }
        self.open.retain(|p| !step.ins.contains(p));
        let sure = |p: &Port| eval.flows.get(p).is_some_and(|b| b.may.is_none());
        let outs = (0..step.what.outs()).map(|p| (node, p));
        self.open.extend(outs.filter(sure));
        self.eval = eval;
        self.dag.steps.push(step);
        true
    }

    fn any_open(&mut self) -> Port {
        let n = self.open.len() as u32;
        let at = self.draws.below(n) as usize;
        self.open.get(at).copied().unwrap_or_default()
    }

    fn joining(&mut self) -> (Vec<Port>, What) {
        let n = (2 + self.draws.below(2) as usize).min(self.open.len());
        let mut from = self.open.clone();
        let mut ins: Vec<Port> = Vec::new();
        // Branches of one fork belong together more often than not.
        let first = from.swap_remove(self.draws.below(from.len() as u32) as usize);
        ins.push(first);
        let origin = self.flow(first).origin;
        let alike = self.often(3);
        while ins.len() < n && !from.is_empty() {
            let kin: Vec<usize> = (0..from.len())
                .filter(|i| !alike || self.flow(from[*i]).origin == origin)
                .collect();
            if kin.is_empty() {
                break;
            }
            let at = self.pick(&kin);
            ins.push(from.swap_remove(at));
        }
        if ins.len() < 2 {
            let at = self.draws.below(from.len() as u32) as usize;
            ins.push(from.swap_remove(at));
        }
        ins.sort_unstable();
        let rises = ins.iter().all(|p| self.flow(*p).rises() && self.flow(*p).origin == origin);
        let what = self.join(ins.len(), rises);
        if matches!(what, What::Zip { .. } | What::ZipLongest) {
            ins.truncate(2);
        }
        (ins, what)
    }

    fn flow(&self, port: Port) -> &Bundle {
        static NONE: Bundle = Bundle { cells: Vec::new(), origin: None, may: None };
        self.eval.flows.get(&port).unwrap_or(&NONE)
    }

    fn hold(&mut self) -> Option<usize> {
        let hold = 1 + self.draws.below(12) as usize;
        (self.menu.tight && self.seldom(2)).then_some(hold)
    }

    fn join(&mut self, inputs: usize, rises: bool) -> What {
        let (hold, rest) = (self.hold(), self.lose());
        if rises && self.often(3) {
            return match self.draws.below(2) {
                0 => What::MergeBySeq { hold, durable: self.often(3) },
                _ => What::JoinSeq { partial: self.often(2), hold, rest },
            };
        }
        match self.draws.below(14) {
            12.. => What::MergeByTime { hold, durable: self.often(3) },
            0..=3 => What::Merge,
            4 | 5 => What::Zip { hold, rest },
            6 => What::ZipLongest,
            7 => What::JoinPlace { rest },
            _ => {
                let how = match self.draws.below(4) {
                    0 => IdJoin::First,
                    1 => IdJoin::Quorum(1 + self.draws.below(inputs as u32) as usize),
                    _ => IdJoin::All,
                };
                let (partial, poison) = (self.seldom(2), self.poison());
                What::JoinId { how, partial, hold, poison, rest }
            }
        }
    }

    fn single(&mut self) -> (Vec<Port>, What) {
        let port = self.any_open();
        let scrambled = !self.flow(port).is_exact() && self.flow(port).origin.is_some();
        if scrambled && self.seldom(2) {
            return (vec![port], What::Resequence { durable: self.often(3) });
        }
        let what = match self.draws.below(25) {
            0..=6 => self.fused(),
            7 => What::Scan { poison: self.poison(), lose: self.lose(), durable: self.often(3) },
            8..=11 => What::Calls(self.calls()),
            12 => What::Batch(1 + self.draws.below(17) as usize),
            13 => What::Buffer(1 + self.draws.below(3) as usize),
            14 => What::Barrier,
            15 => What::Errors,
            16 | 17 => What::Split { poison: self.poison(), lose: self.lose() },
            18 => {
                let n = 2 + self.draws.below(2) as usize;
                What::Route { n, lose: self.lose(), poison: self.poison() }
            }
            19 | 20 => What::Broadcast(2 + self.draws.below(2) as usize),
            22 => What::EventTime { ordered: self.often(3) },
            21 => {
                let every = self.pick(&[1, 3, 10, 40]);
                What::Ask { every, policy: self.seldom(4) }
            }
            _ => What::Accumulate(self.acc()),
        };
        (vec![port], what)
    }

    fn fused(&mut self) -> What {
        let n = self.pick(&[1, 1, 2, 2, 3]);
        let mut ops: Vec<Op> = (0..n).map(|_| self.op()).collect();
        if let Some(third) = ops.get_mut(2) {
            // Every order of three would be a long build.
            third.kind = OpKind::Try(4, 40);
        }
        let most = if ops.len() < 3 && self.seldom(4) { 4 } else { 0 };
        let parallel = (most > 0).then(|| 1 + self.draws.below(most));
        What::Fused { ops, parallel }
    }

    fn op(&mut self) -> Op {
        let kind = match self.draws.below(10) {
            0..=2 => OpKind::Map,
            3 => OpKind::Filter(self.pick(&[2, 3, 7, -2, -5, -30])),
            4 => {
                let from = u64::from(self.draws.below(60));
                OpKind::Gap(from, from + u64::from(self.draws.below(100)))
            }
            5 | 6 => OpKind::Flat(self.pick(&[1, 2, 3])),
            _ => OpKind::Try(self.pick(&[2, 4, 5]), self.pick(&[0, 40, 200])),
        };
        let salt = u64::from(self.draws.next_u32());
        Op { kind, salt, poison: self.poison(), lose: self.lose() }
    }

    fn calls(&mut self) -> CallsOf {
        let attempts = self.pick(&[0, 0, 2, 4]);
        CallsOf {
            limit: self.pick(&[1, 2, 3, 8, 20]),
            ordered: self.often(3),
            answers: self.pick(&[Answers::Now, Answers::Yields, Answers::Yields, Answers::Sleeps]),
            timeout: self.seldom(3),
            hedge: attempts == 0 && self.seldom(4),
            attempts,
            poison: self.poison(),
            lose: self.lose(),
        }
    }

    fn acc(&mut self) -> Acc {
        use Breaks as B;
        let gives = match self.draws.below(8) {
            0 | 1 => Gives::Each,
            2 | 3 => Gives::Rounds(1 + self.draws.below(5)),
            4 | 5 => Gives::AtEnd,
            _ => Gives::Vars(1 + self.draws.below(4) as u16, self.seldom(2)),
        };
        let all = [B::Key, B::Var, B::TryMerge, B::Merge, B::Check, B::Weigh, B::Finish];
        let breaks = if self.poison && self.often(2) { self.pick(&all) } else { B::Nothing };
        let by_var = matches!(gives, Gives::Vars(..));
        let breaks = if breaks == B::Var && !by_var { B::Key } else { breaks };
        let (keys, parallel) = (self.pick(&[1, 3, 10, 40]), self.pick(&[1, 1, 2, 3]));
        Acc { keys, gives, breaks, parallel, durable: self.often(3) }
    }
}
