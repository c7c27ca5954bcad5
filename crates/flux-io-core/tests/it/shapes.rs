//! What may cross threads, and what may stand behind `dyn`.

use flux_io_core::*;
use std::sync::Arc;

fn send<T: Send>() {}
fn both<T: Send + Sync>() {}

/// Rows 14, 207. Everything that moves between tasks may cross threads; what is shared may be
/// seen from several.
#[test]
fn auto_traits_are_kept() {
    send::<AnyBatch>();
    send::<Batch<Vec<std::cell::Cell<u8>>>>();
    send::<Outbox>();
    send::<Parcel>();
    send::<Slot>();
    send::<EdgeQueue>();
    send::<Pushed>();
    send::<Removed>();
    send::<ErrorRecord>();
    send::<DeadLetter<std::cell::Cell<u8>>>();
    send::<Original>();
    send::<Body<'static>>();
    send::<ExecutionPlan<'static>>();
    send::<Task<'static>>();
    send::<TaskReport>();
    send::<RunReport>();
    send::<Blocking<u8>>();
    send::<Out<'static, Vec<u8>>>();
    both::<StageError>();
    both::<RowError>();
    both::<RunFailure>();
    both::<WrongColumn>();
    both::<Meta>();
    both::<Envelope<u8>>();
    both::<Context>();
    both::<ByteColumn>();
    both::<RangeColumn>();
    both::<ColumnType>();
    both::<Control>();
    both::<Controls>();
    both::<EdgeStats>();
    both::<QueueView>();
    both::<Graph>();
    both::<StageNode>();
    both::<PlanFault>();
    both::<RunHandle>();
    both::<RunOptions>();
    both::<StageHome>();
    both::<StageState>();
    both::<Ledger>();
    both::<Command>();
    both::<Reply<u8>>();
    both::<Outcome<u8, u8>>();
    both::<Reservation>();
    both::<ReserveError>();
    both::<SpillError>();
    both::<PoolStats>();
    both::<IoCx>();
    both::<Sleep>();
    both::<MakeNode<'static>>();
}

struct Any;

impl Engine for Any {
    fn name(&self) -> &'static str {
        "any"
    }
    fn run_plan(&self, _plan: ExecutionPlan<'static>, _options: RunOptions) -> RunReport {
        RunReport::default()
    }
}

impl Choices for Any {
    fn choose(&mut self, _kind: ChoiceKind, _n: u32) -> u32 {
        0
    }
}

impl Observer for Any {}

impl PlannerPass for Any {
    fn name(&self) -> &str {
        "any"
    }
    fn run(&self, _graph: &mut Graph) -> Result<(), Vec<PlanFault>> {
        Ok(())
    }
}

impl FlowControl for Any {
    fn admit(&mut self, _cost: Cost, _now: Moment) -> Admission {
        Admission::Admit
    }
    fn release(&mut self, _cost: Cost, _now: Moment) {}
}

/// Rows 102, 169, 201, 254, 331. Every extension point may stand behind `dyn`, so that it can be
/// chosen at run time.
#[test]
fn extension_points_may_be_dyn() {
    fn takes<T: ?Sized>() {}
    takes::<Box<dyn Node>>();
    takes::<Box<dyn DynSource>>();
    takes::<Box<dyn DynSink>>();
    takes::<Arc<dyn Host>>();
    takes::<Arc<dyn MemoryPool>>();
    takes::<Arc<dyn BufferPool>>();
    takes::<Arc<dyn SnapshotStore>>();
    takes::<Box<dyn SpillStore>>();
    takes::<Box<dyn StageDecorator>>();
    takes::<Box<dyn Validator<Vec<u8>>>>();
    let engine: Arc<dyn Engine> = Arc::new(Any);
    assert_eq!(engine.name(), "any");
    let mut choices: Box<dyn Choices> = Box::new(Any);
    assert_eq!(choices.choose(ChoiceKind::NextTask, 3), 0);
    let observer: Arc<dyn Observer> = Arc::new(Any);
    observer.on_stage_start("s", 0);
    let pass: Box<dyn PlannerPass> = Box::new(Any);
    assert_eq!(format!("{pass:?}"), "PlannerPass(any)");
    assert!(pass.run(&mut Graph::default()).is_ok());
    let mut flow: Box<dyn FlowControl> = Box::new(Any);
    assert_eq!(flow.admit(Cost::default(), Moment::START), Admission::Admit);
    assert_eq!(flow.balance(), None);
}

/// Row 102. What a pass finds wrong has a code, a place and the nearest fix.
#[test]
fn faults_say_where_and_what_to_do() {
    let f = PlanFault {
        code: "P001",
        path: vec!["read".into(), "sum".into()],
        what: "two stages are called sum".into(),
        fix: "give one of them another name".into(),
    };
    assert_eq!(
        f.to_string(),
        "P001: two stages are called sum (at read -> sum); give one of them another name"
    );
}
