//! Parts of one's own, and the original documents' first example.

use flux_io::connect::ndjson;
use flux_io::core::{Batch, ByteColumn, Column, IoCx, Out, StageCx, Step};
use flux_io::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Splits a byte stream into frames of one length byte and as many bytes, across any cut.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Stage for Frames {
    type In = ByteColumn;
    type Out = ByteColumn;

    fn on_batch(
        &mut self,
        input: &mut Batch<ByteColumn>,
        out: &mut Out<'_, ByteColumn>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for piece in input.col.iter() {
            self.0.extend_from_slice(piece);
        }
        let mut at = 0;
        while let Some(end) = self.0.get(at).map(|n| at + 1 + usize::from(*n)) {
            let Some(frame) = self.0.get(at + 1..end) else { break };
            out.batch().col.push(frame);
            at = end;
        }
        self.0.drain(..at);
        Ok(Step::Done)
    }

    fn on_end(
        &mut self,
        _out: &mut Out<'_, ByteColumn>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        match self.0.len() {
            0 => Ok(Step::Done),
            n => Err(StageError::permanent(format!("the stream ends inside a frame, {n} bytes"))),
        }
    }
}

/// A protocol of one's own is a stage; every cut of the stream gives the same frames, and a torn end
/// is an error of that stage. Rows 31, 32.
#[test]
fn a_protocol_of_ones_own_plugs_in() {
    let stream: &[u8] = b"\x03abc\x00\x05hello\x01x";
    for cut in 1..=stream.len() {
        let (collect, got) = sink::collect();
        let pieces = stream.chunks(cut).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let end = Pipeline::new()
            .source("socket", Pieces(pieces))
            .stage("frames", Frames::default())
            .map_rows("text", |f: &[u8]| String::from_utf8_lossy(f).into_owned())
            .sink("out", collect);
        engine::Sync::new().with(RunOptions::default().batch(1)).run(end).unwrap();
        assert_eq!(got.take(), ["abc", "", "hello", "x"], "cut {cut}");
    }
    let end = Pipeline::new()
        .source("socket", Pieces(vec![b"\x09abc".to_vec()]))
        .stage("frames", Frames::default())
        .discard("out");
    let RunError::Failed { failure, .. } = engine::Sync::new().run(end).unwrap_err() else {
        panic!("the run fails");
    };
    assert_eq!(failure.stage, "frames");
}

struct Pieces(Vec<Vec<u8>>);

impl Source for Pieces {
    type Col = ByteColumn;

    async fn fill(
        &mut self,
        out: &mut Batch<ByteColumn>,
        cx: &IoCx,
    ) -> Result<flux_io::core::Filled, StageError> {
        let n = cx.max_rows().min(self.0.len());
        self.0.drain(..n).for_each(|p| out.col.push(&p));
        let end = self.0.is_empty();
        Ok(if end { flux_io::core::Filled::End } else { flux_io::core::Filled::More })
    }
}

/// A graph store that is not there: nodes by id, with their properties.
type Graph = Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>;

struct GraphSink(Graph);

impl Sink for GraphSink {
    type Col = Vec<(String, BTreeMap<String, String>)>;

    async fn write(&mut self, batch: &mut Batch<Self::Col>, _cx: &IoCx) -> Result<(), StageError> {
        let mut graph = self.0.lock().map_err(|_| StageError::permanent("the store is broken"))?;
        graph.extend(batch.col.drain(..));
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Field {
    customer: String,
    name: String,
    value: String,
}

/// The first document's own job: JSON in, a customer's template assembled, projected, and written to
/// a graph store. Rows 34, 127, 303.
#[test]
fn json_to_template_to_graph() {
    let json = [
        r#"{"customer":"c1","name":"id","value":"7"}"#,
        r#"{"customer":"c2","name":"id","value":"8"}"#,
        r#"{"customer":"c1","name":"limit","value":"500"}"#,
        r#"{"customer":"c1","name":"name","value":"Ada"}"#,
        "{not json",
    ];
    let graph = Graph::default();
    let (faults, dead) = sink::collect::<ErrorRecord>();
    let pipeline = Pipeline::new().dead_letters("dead", faults);
    let lines = json.iter().map(|l| l.as_bytes().to_vec()).collect();
    let end = pipeline
        .source("json", Pieces(lines))
        .try_map_rows("parse", |line: &[u8]| ndjson::parse::<Field>(line))
        .on_error(OnError::DeadLetter)
        .key_by_str("customer", |f: &Field| &f.customer)
        .accumulate("template", |p| {
            p.require(Require::all(["id", "name", "limit"])).var_name(|f: &Field| &f.name).merge(
                |t: &mut BTreeMap<String, String>, f: &mut Field| {
                    t.insert(std::mem::take(&mut f.name), std::mem::take(&mut f.value));
                },
            )
        })
        .filter_map("project", |o| match o {
            Outcome::Complete { key, value, .. } => Some((key, value)),
            _ => None,
        })
        .sink("graph", GraphSink(Arc::clone(&graph)));
    let report = engine::Sync::new().run(end).unwrap();
    let nodes = graph.lock().unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes["c1"]["name"], "Ada");
    let dead = dead.take();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].cause, dead[0].seq), (DeadCause::Poison, 4));
    assert_eq!(dead[0].stage_name, "parse");
    assert_eq!(report.dead_letters[&DeadCause::Poison], 1);
}

/// The parts of the first delivery are all reachable from the facade, each under its own name, and
/// each alone. Rows 293, 294, 332, 333.
#[test]
fn the_facade_names_every_part() {
    fn is<T: ?Sized>() -> &'static str {
        std::any::type_name::<T>()
    }
    let parts = [
        is::<Timestamp>(),
        is::<Pipeline<'static>>(),
        is::<flux_io::core::ExecutionPlan<'static>>(),
        is::<flux_io::accumulate::Policy>(),
        is::<flux_io::core::WhenFull>(),
        is::<engine::Sync>(),
        is::<engine::Tokio>(),
        is::<flux_io::core::Reservation>(),
        is::<dyn flux_io::core::Observer>(),
        is::<dyn flux_io::core::PlannerPass>(),
        is::<sink::Collect<u8>>(),
    ];
    assert!(parts.iter().all(|p| p.contains("flux_io")), "{parts:?}");
    assert_eq!(<Vec<u8> as Column>::row_bytes(), 1);
}
