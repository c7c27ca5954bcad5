//! A stage of a plan, driven by hand, and everything that comes out of it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test kit fails by panicking")]

use flux_io_core::{
    AnyBatch, Batch, Body, ByHand, Column, Command, Control, Counts, ExecutionPlan, Filled, IoCx,
    Mark, Node, Out, Outbox, Parcel, Seq, Sink, Source, Stage, StageCx, StageError, StageHome,
    Step, Timestamp, Uniform, push_mark,
};
use flux_io_flow::{Pipeline, Raw, Runnable};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use std::marker::PhantomData;

/// A flow behind a source or a closed segment.
pub(crate) type Flow<C> = flux_io_flow::Flow<'static, C, Raw>;

/// A source of column `C` that gives nothing: rows are fed by hand.
pub(crate) struct Nothing<C>(PhantomData<fn() -> C>);

impl<C: Column> Source for Nothing<C> {
    type Col = C;
    async fn fill(&mut self, _: &mut Batch<C>, _: &IoCx) -> Result<Filled, StageError> {
        Ok(Filled::End)
    }
}

pub(crate) fn nothing<C: Column>() -> Nothing<C> {
    Nothing(PhantomData)
}

/// A sink that takes everything.
pub(crate) struct Hole<C>(PhantomData<fn() -> C>);

impl<C> Default for Hole<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C: Column> Sink for Hole<C> {
    type Col = C;
    async fn write(&mut self, batch: &mut Batch<C>, _: &IoCx) -> Result<(), StageError> {
        batch.clear();
        Ok(())
    }
}

pub(crate) fn hole<C: Column>() -> Hole<C> {
    Hole(PhantomData)
}

/// What came out, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen<T> {
    Row { value: T, seq: u64, time: Timestamp },
    Mark(Timestamp),
    Control(Control),
}

/// A node as a stage that writes down what it gives.
pub(crate) struct Probe<C, T> {
    node: Box<dyn Node>,
    outs: Vec<Outbox>,
    pub(crate) seen: Vec<Seen<T>>,
    /// Rows of each batch that came out.
    pub(crate) sizes: Vec<usize>,
    /// Key hashes of the rows that came out, where they had any.
    pub(crate) hashes: Vec<u64>,
    /// The output stays open between inputs, as it does while input is there.
    pub(crate) hold: bool,
    /// Most batches that waited in the output at once.
    pub(crate) most: usize,
    columns: PhantomData<fn() -> C>,
}

impl<C: Column, T: Clone + Send + 'static> Probe<C, T> {
    fn drain(&mut self) -> Result<(), StageError> {
        let mut batches = 0;
        while let Some(out) = self.outs.first_mut()
            && let Some(parcel) = out.pop()
        {
            match parcel {
                Parcel::Control(Control::Watermark(w)) => self.seen.push(Seen::Mark(w)),
                Parcel::Control(c) => self.seen.push(Seen::Control(c)),
                Parcel::Batch(mut b) => {
                    batches += 1;
                    self.batch(b.get_mut()?);
                    self.outs[0].recycle(b);
                }
            }
        }
        self.most = self.most.max(batches);
        Ok(())
    }

    fn batch(&mut self, b: &mut Batch<Vec<T>>) {
        self.sizes.push(b.len());
        self.hashes.append(&mut b.meta.hash);
        assert!(b.meta.marks.windows(2).all(|m| m[0].at <= m[1].at), "marks out of order");
        if let Seq::Rows { rows, .. } = &b.meta.seq {
            assert_eq!(rows.len(), b.len(), "law C1: one offset a row");
        }
        if let Uniform::Rows(times) = &b.meta.time {
            assert_eq!(times.len(), b.len(), "law C1: one time a row");
        }
        let mut marks = b.meta.marks.iter().peekable();
        for i in 0..=b.len() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.seen.push(Seen::Mark(m.watermark));
            }
            if let Some(value) = b.col.get(i) {
                let (seq, time) = (b.meta.seq.at(i), b.meta.time.at(i));
                self.seen.push(Seen::Row { value: value.clone(), seq, time });
            }
        }
        assert!(marks.next().is_none(), "a mark behind the end of its batch");
    }

    pub(crate) fn values(&self) -> Vec<T> {
        let value = |s: &Seen<T>| match s {
            Seen::Row { value, .. } => Some(value.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(value).collect()
    }

    pub(crate) fn seqs(&self) -> Vec<u64> {
        let seq = |s: &Seen<T>| match s {
            Seen::Row { seq, .. } => Some(*seq),
            _ => None,
        };
        self.seen.iter().filter_map(seq).collect()
    }

    pub(crate) fn counts(&self) -> Vec<Counts> {
        let mut all = Vec::new();
        self.node.counts(&mut |i, c| {
            assert_eq!(i, all.len());
            all.push(c);
        });
        all
    }

    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>, StageError> {
        let mut bytes = Vec::new();
        self.node.snapshot(&mut bytes)?;
        Ok(bytes)
    }
}

impl<C: Column, T: Clone + Send + 'static> Stage for Probe<C, T> {
    type In = C;
    type Out = Vec<T>;

    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.node.on_start(cx)
    }
    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        _out: &mut Out<'_, Vec<T>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut any = AnyBatch::new(std::mem::take(input));
        let step = self.node.on_batch(0, &mut any, &mut self.outs, cx);
        if matches!(step, Ok(Step::Yield)) {
            assert!(self.outs[0].is_full(), "S3: a yield without a full output");
        }
        if !self.hold && !matches!(step, Ok(Step::Yield)) {
            self.outs.iter_mut().for_each(Outbox::seal);
        }
        self.drain()?;
        *input = std::mem::take(any.get_mut()?);
        step
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        _out: &mut Out<'_, Vec<T>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let step = self.node.on_watermark(w, &mut self.outs, cx)?;
        if let Some(w) = self.node.promise(w) {
            self.outs.iter_mut().for_each(|o| o.control(Control::Watermark(w)));
        }
        self.drain()?;
        Ok(step)
    }
    fn on_timer(
        &mut self,
        _out: &mut Out<'_, Vec<T>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let step = self.node.on_timer(&mut self.outs, cx)?;
        self.drain()?;
        Ok(step)
    }
    fn on_end(
        &mut self,
        _out: &mut Out<'_, Vec<T>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let step = self.node.on_end(&mut self.outs, cx)?;
        self.outs.iter_mut().for_each(Outbox::seal);
        self.drain()?;
        Ok(step)
    }
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.node.restore(from)
    }
    fn on_command(
        &mut self,
        _: &Command,
        _out: &mut Out<'_, Vec<T>>,
        _: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        Ok(false)
    }
}

/// The stage called `name` of a plan, its output in batches of `rows`.
pub(crate) fn probe<C: Column, T: Clone + Send + 'static>(
    plan: impl Runnable<'static>,
    name: &str,
    rows: usize,
) -> ByHand<Probe<C, T>> {
    let plan: ExecutionPlan<'static> = plan.into_plan().expect("a valid plan");
    let n = plan.graph.find(name).expect("the stage is there");
    let outs = plan.graph.nodes[n].outs.iter().map(|c| Outbox::new(*c, rows)).collect();
    let node = match plan.bodies.into_iter().nth(n) {
        Some(Body::One(node)) => node,
        Some(Body::Many(make)) => make(0),
        other => panic!("{name} is {other:?}"),
    };
    let columns = PhantomData;
    let (seen, sizes) = (Vec::new(), Vec::new());
    let probe =
        Probe { node, outs, seen, sizes, hashes: Vec::new(), hold: false, most: 0, columns };
    ByHand::at_home(probe, StageHome::alone(name))
}

/// The only stage that is not a source or sink of a flow over `Vec<T>`, described by `words`.
pub(crate) fn segment<C: Column, T: Clone + Send + 'static>(
    rows: usize,
    words: impl FnOnce(Flow<C>) -> Flow<Vec<T>>,
) -> ByHand<Probe<C, T>> {
    let flow = words(Pipeline::new().source("source", nothing::<C>()));
    let plan = flow.discard("end").plan().expect("a valid plan");
    let name = plan.graph.nodes[1].name.clone();
    probe(plan, &name, rows)
}

/// The batch of a source: rows with numbers from `seq`.
pub(crate) fn rows<C: Column>(seq: u64, col: C) -> Batch<C> {
    let mut b = Batch::of(col);
    b.meta.seq = Seq::Run(seq);
    b
}

/// What came out, with runs of marks joined: between two rows only the greatest counts, and only
/// if it advances.
pub(crate) fn canonical<T: Clone>(seen: &[Seen<T>]) -> Vec<Seen<T>> {
    let mut out: Vec<Seen<T>> = Vec::new();
    let mut now = Timestamp::MIN;
    for s in seen {
        match s {
            Seen::Mark(w) if *w <= now => {}
            Seen::Mark(w) => {
                now = *w;
                if let Some(Seen::Mark(last)) = out.last_mut() {
                    *last = *w;
                } else {
                    out.push(s.clone());
                }
            }
            _ => out.push(s.clone()),
        }
    }
    out
}

/// Cuts rows into batches of the given sizes, over and over; each row has its number, a time, and
/// the marks behind it.
pub(crate) fn batches<T: Clone + Send + 'static>(
    rows: &[(T, Timestamp, Option<Timestamp>)],
    sizes: &[usize],
) -> Vec<Batch<Vec<T>>> {
    let mut out = Vec::new();
    let mut from = 0;
    for size in sizes.iter().cycle().take_while(|_| !sizes.is_empty()) {
        if from >= rows.len() {
            break;
        }
        let to = (from + (*size).max(1)).min(rows.len());
        let part = &rows[from..to];
        let mut b = Batch::of(part.iter().map(|r| r.0.clone()).collect::<Vec<T>>());
        b.meta.seq = Seq::Run(from as u64);
        b.meta.time = Uniform::Rows(part.iter().map(|r| r.1).collect());
        for (i, r) in part.iter().enumerate() {
            if let Some(watermark) = r.2 {
                push_mark(&mut b.meta.marks, Mark { at: i as u32 + 1, watermark });
            }
        }
        out.push(b);
        from = to;
    }
    out
}

/// Property tests over `n` cases, the same ones in every run.
pub(crate) fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        cases: n,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_130_101),
        ..ProptestConfig::default()
    }
}
