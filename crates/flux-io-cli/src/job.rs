//! From the checked pipeline file to a plan that an engine runs.
//!
//! Per source: bytes, records and fragments in one stage (`read`), event time; then one flow:
//! key, accumulator, and the stage that gives results to sinks (`deliver`). Describing touches
//! nothing outside.

mod cap;
mod csv;
mod dead;
mod deliver;
mod fates;
mod fragment;
mod held;
mod judged;
mod kept;
mod merge;
mod policy;
mod read;
mod records;
mod render;
mod shape;
mod sinks;
mod sources;
mod tally;

pub(crate) use cap::Cap;
pub use fates::LedgerFile;
pub use kept::Kept;
pub(crate) use render::json_text;
pub(crate) use sources::is_pattern;
pub use tally::Tally;
pub(crate) use tally::TallyPlace;

use crate::config::{Accumulate, Pipeline as File, Takes};
use deliver::Deliver;
use flux_io::accumulate::{AccumulateExt, Policy};
use flux_io::connect::frames::Meter;
use flux_io::core::{
    Body, Budget, ByteColumn, ChannelDescriptor, ChannelOrdering, Column, ColumnType,
    ExecutionPlan, StageKind, StageNode, Timestamp,
};
use flux_io::flow::{Flow, Pipeline, PlanFaults, Port, Raw};
use fragment::{FragmentKey, Fragments};
use held::Assemble;
use render::{Plain, Render, Results};
use shape::Shape;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Settings that the command line may give in the file's stead.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Instances of the accumulator.
    pub workers: u32,
    /// The ledger file.
    pub ledger: Option<LedgerFile>,
    /// What the sources read in place of their own inputs, by name; one without bytes reads nothing.
    pub inputs: Option<BTreeMap<String, Vec<u8>>>,
    /// Where results go in place of the sinks.
    pub kept: Option<Kept>,
}

/// A described job.
#[derive(Debug)]
pub struct Job {
    /// What an engine runs.
    pub plan: ExecutionPlan<'static>,
    /// Results counted, there when the run has ended.
    pub(crate) tally: TallyPlace,
    /// The sources, in the order of the file.
    pub(crate) sources: Vec<Reading>,
    /// What is lawful and should be known.
    pub(crate) notes: Vec<String>,
    /// Name of the accumulator.
    pub(crate) accumulator: Option<String>,
}

/// A source while it is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Its name, which is its stage's.
    pub(crate) name: String,
    /// Records that it skipped since they could not be read.
    pub(crate) skipped: Arc<AtomicU64>,
    /// Stored bytes read so far.
    pub(crate) read: Meter,
    /// Stored bytes there are, where the input is one file.
    pub(crate) size: Option<u64>,
}

/// Why a checked file gives no plan.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// The planner found faults.
    #[error("the plan was refused")]
    Plan(#[from] PlanFaults),
    /// A part of the file could not be used.
    #[error("{0}")]
    Part(String),
}

/// Describes the job of a pipeline file.
///
/// # Errors
/// [`DescribeError`]: a defect, for a file that passed every check.
pub fn describe(file: &File, settings: &Settings) -> Result<Job, DescribeError> {
    let pipeline = Pipeline::new()
        .max_rows(file.run.batch_rows as usize)
        .budget(Budget::bytes(file.run.budget.value))
        .metadata("name", &file.name);
    let policy = file.accumulate.as_ref().map(policy::policy);
    let keyed = file.accumulate.as_ref().zip(policy.as_ref());
    let shape = Shape::new(file.event_time.as_ref(), keyed).map_err(DescribeError::Part)?;
    let mut sources = Vec::new();
    let mut flows = Vec::new();
    for source in &file.sources {
        let name = source.name.value.clone();
        let file_of = |path: &str| std::fs::metadata(path).ok().filter(|m| m.is_file());
        let size = source.path.as_ref().and_then(|p| file_of(&p.value)).map(|m| m.len());
        let reading = Reading { name, skipped: Arc::default(), read: Meter::new(), size };
        let flow = sources::records(&pipeline, file, settings, source, &shape, &reading);
        flows.push(timed(flow.map_err(DescribeError::Part)?, file, &reading.name));
        sources.push(reading);
    }
    let flow = merged(&pipeline, flows)?;
    let tally = TallyPlace::default();
    let notes = policy.as_ref().map(Policy::warnings).unwrap_or_default();
    match (&file.accumulate, policy) {
        (Some(a), Some(policy)) => {
            let keyed = flow.key_by_with(&format!("{}.key", a.name), FragmentKey);
            let results =
                keyed.accumulate(&a.name, |_| (policy, Assemble)).parallel(settings.workers);
            deliver(&pipeline, file, settings, results, Results::new(a.emit), &tally)?;
        }
        _ => deliver(&pipeline, file, settings, flow, Plain, &tally)?,
    }
    let pipeline = sinks::dead_letters(pipeline, file, settings);
    let accumulator = file.accumulate.as_ref().map(|a: &Accumulate| a.name.clone());
    Ok(Job { plan: pipeline.plan()?, tally, sources, notes, accumulator })
}

type Records = Flow<'static, Fragments, Raw>;

fn timed(flow: Records, file: &File, source: &str) -> Records {
    let Some(time) = &file.event_time else { return flow };
    let flow = flow
        .event_time(&format!("{source}.time"), |row: fragment::FragmentRef<'_>| {
            Timestamp(row.traits.time)
        })
        .lag(time.lag);
    match time.idle_after {
        Some(after) => flow.idle_after(after),
        None => flow,
    }
}

/// All sources as one flow.
fn merged(pipeline: &Pipeline<'static>, mut flows: Vec<Records>) -> Result<Records, DescribeError> {
    if flows.len() == 1
        && let Some(only) = flows.pop()
    {
        return Ok(only);
    }
    let column = ColumnType::of::<Fragments>();
    let node = StageNode::new("merge", StageKind::Merge, vec![column; flows.len()], vec![column]);
    let inputs = flows.into_iter().map(Flow::into_port).collect();
    let any = ChannelDescriptor { ordering: ChannelOrdering::Unordered, ..Default::default() };
    let body = Body::One(Box::new(merge::Merge));
    typed(pipeline.attach(node, body, inputs, any).pop())
}

fn typed<C: Column>(port: Option<Port<'static>>) -> Result<Flow<'static, C, Raw>, DescribeError> {
    let port = port.ok_or_else(|| DescribeError::Part("a stage has no output".to_owned()))?;
    port.into_flow().map_err(|e| DescribeError::Part(e.to_string()))
}

/// Gives results to the sinks.
fn deliver<R: Render>(
    pipeline: &Pipeline<'static>,
    file: &File,
    settings: &Settings,
    flow: Flow<'static, R::Col, Raw>,
    render: R,
    tally: &TallyPlace,
) -> Result<(), DescribeError> {
    let (ports, sinks) = sinks::ports(file, settings).map_err(DescribeError::Part)?;
    if sinks.is_empty() {
        // Every result is untaken; the stage still counts them, and its port ends here.
        drop(flow.discard("untaken"));
        return Ok(());
    }
    let ins = vec![ColumnType::of::<R::Col>()];
    let outs = vec![ColumnType::of::<ByteColumn>(); sinks.len()];
    let kind = if outs.len() > 1 { StageKind::Branch } else { StageKind::Transform };
    let mut node = StageNode::new("deliver", kind, ins, outs);
    for route in &ports.routes {
        node.params.insert(format!("route {}", route.name), route.port.to_string());
    }
    let body = Deliver::new(render, ports, sinks.len(), tally.clone());
    let body = Body::One(Box::new(body));
    let ends = pipeline.attach(node, body, vec![flow.into_port()], ChannelDescriptor::default());
    for (port, sink) in ends.into_iter().zip(sinks) {
        sink.end(typed(Some(port))?);
    }
    Ok(())
}

/// Whether a class is one that [`deliver`] gives out.
const fn is_result(class: Takes) -> bool {
    !matches!(class, Takes::DeadLetters)
}
