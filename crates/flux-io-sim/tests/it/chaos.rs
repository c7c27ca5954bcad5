//! Correct pipelines under every kind of fault: nothing hangs, nothing is lost or comes twice where
//! that is promised, and every kind of fault really took effect.

use crate::parts::{
    Assembler, Bug, Fragment, Fragments, Job, Recipe, Seen, Whole, assembly, nothing_lost,
};
use flux_io_core::{
    Body, ChannelDescriptor, ColumnType, Ended, Erased, ErasedSink, ErasedSource, ExecutionPlan,
    GiveUp, Graph, GraphEdge, OnError, Retry, SourceId, StageKind, StageNode,
};
use flux_io_sim::{Answer, Fault, Faults, SimRun, SimStats, Strategy, Swarm, simulate};
use std::time::Duration;

const RETRY: OnError = OnError::Retry {
    retry: Retry {
        attempts: 4,
        first: Duration::from_millis(5),
        factor: 2,
        longest: Duration::from_secs(1),
        jitter_percent: 50,
    },
    then: GiveUp::Fail,
};

fn took_effect(stats: &SimStats, faults: &[Fault], least: u64) {
    for f in faults {
        assert!(stats.seeds_with(*f) >= least, "{} too seldom\n{stats}", f.as_str());
    }
}

/// Transient errors, partial writes, barriers, commands and deadlines.
#[test]
fn retried_faults_lose_nothing_and_repeat_nothing() {
    let recipe = Recipe { wait: true, on_error: RETRY, ..Recipe::plain(200) };
    let faults = Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Command);
    let stats = simulate(|s| assembly(s, recipe)).faults(faults).seeds(400).check(nothing_lost);
    let all = [
        Fault::ShortFill,
        Fault::SlowFill,
        Fault::TransientFill,
        Fault::SlowWrite,
        Fault::TransientWrite,
        Fault::PartialWrite,
        Fault::Spurious,
        Fault::SlowStep,
        Fault::Suspend,
        Fault::WallJump,
        Fault::Barrier,
        Fault::Policy,
        Fault::Command,
        Fault::DroppedFill,
    ];
    took_effect(&stats, &all, 10);
}

/// A drain at any step: what was accepted comes out, the rest was never read.
#[test]
fn a_drain_at_any_step_delivers_what_was_accepted() {
    let recipe = Recipe { wait: true, on_error: RETRY, ..Recipe::plain(200) };
    let stats = simulate(|s| assembly(s, recipe))
        .faults(Faults::harmless().with(Fault::Drain))
        .seeds(400)
        .check(|run, job| accepted_is_delivered(run, &job));
    took_effect(&stats, &[Fault::Drain], 40);
}

fn accepted_is_delivered(run: &SimRun, job: &Job) -> Result<(), String> {
    if !matches!(run.report.ended, Ended::Completed | Ended::Drained) {
        return Err(format!("ended {:?}", run.report.ended));
    }
    let out = job.seen.fragments().len() as u64;
    if out == run.items { Ok(()) } else { Err(format!("{} accepted, {out} delivered", run.items)) }
}

/// Aborts, panics and errors for good: the run ends, and nothing comes twice.
#[test]
fn whatever_happens_the_run_ends_and_nothing_is_doubled() {
    let recipe = Recipe { wait: true, ..Recipe::plain(120) };
    let faults = Faults::all().without(Fault::Duplicate);
    let stats = simulate(|s| assembly(s, recipe)).faults(faults).seeds(800).check(|_, job| {
        let got = job.seen.fragments();
        match got.windows(2).find(|w| w[0] == w[1]) {
            Some(w) => Err(format!("{:?} came twice", w[0])),
            None => Ok(()),
        }
    });
    took_effect(&stats, &[Fault::Abort, Fault::Panic, Fault::FailFill, Fault::FailWrite], 10);
}

/// Poison: panicking calls become dead letters, and accepted = delivered + dead.
#[test]
fn a_panic_costs_its_batch_and_is_counted() {
    let recipe = Recipe { on_error: OnError::DeadLetter, ..Recipe::plain(200) };
    let stats = simulate(|s| assembly(s, recipe))
        .faults(Faults::harmless().with(Fault::Panic))
        .seeds(400)
        .check(|run, job| {
            let dead: u64 = run.report.dead_letters.values().sum();
            let out = job.seen.fragments().len() as u64;
            if out + dead == run.items {
                Ok(())
            } else {
                Err(format!("{} accepted, {out} delivered, {dead} dead", run.items))
            }
        });
    took_effect(&stats, &[Fault::Panic], 10);
}

/// A sink that leaves rows and says that all is well loses none: they are delivered or dead, or the
/// run fails.
#[test]
fn rows_that_a_sink_leaves_are_delivered_or_dead() {
    for on_error in [OnError::DeadLetter, OnError::Fail] {
        let stats = simulate(|s| assembly(s, Recipe { on_error, ..Recipe::plain(200) }))
            .faults(Faults::harmless().with(Fault::LeaveRows))
            .seeds(300)
            .check(|run, job| {
                let left = run.effects.of(Fault::LeaveRows) > 0;
                let failed = run.report.ended == Ended::Failed;
                let out = job.seen.fragments().len() as u64;
                match on_error {
                    OnError::Fail if left == failed => Ok(()),
                    OnError::Fail => Err(format!("left rows: {left}, failed: {failed}")),
                    // A dead letter of a sink counts its rows, which are wholes.
                    _ if (out < run.items)
                        == (run.report.dead_letters.values().sum::<u64>() > 0) =>
                    {
                        Ok(())
                    }
                    _ => Err(format!("{} accepted, {out} delivered", run.items)),
                }
            });
        took_effect(&stats, &[Fault::LeaveRows], 10);
    }
}

/// Duplicates of a source that delivers at least once come out as what they are.
#[test]
fn duplicates_are_delivered_when_asked_for() {
    let stats = simulate(|s| assembly(s, Recipe::plain(100)))
        .faults(Faults::none().with(Fault::Duplicate))
        .seeds(300)
        .check(|run, job| {
            let twice = run.effects.of(Fault::Duplicate) > 0;
            let more = run.items > job.sent.len() as u64;
            if twice == more { Ok(()) } else { Err(format!("{} items", run.items)) }
        });
    took_effect(&stats, &[Fault::Duplicate], 10);
}

/// Each strategy runs the same correct pipeline.
#[test]
fn every_strategy_agrees() {
    for strategy in [
        Strategy::Uniform,
        Strategy::Sticky,
        Strategy::RoundRobin,
        Strategy::Pct { depth: 2 },
        Strategy::Pct { depth: 5 },
    ] {
        simulate(|s| assembly(s, Recipe::plain(200)))
            .strategy(strategy)
            .seeds(80)
            .check(nothing_lost);
    }
}

/// One source, an assembler with deadlines and a sink, all in one task.
fn chained(swarm: &mut Swarm) -> ExecutionPlan<'static> {
    swarm.chain = true;
    let n = swarm.pick(1, 60);
    let rows: Vec<Fragment> = (0..n).map(|i| (i, 0)).collect();
    let source = swarm.source("rows", Fragments(rows.into_iter()));
    let (frag, whole) = (ColumnType::of::<Vec<Fragment>>(), ColumnType::of::<Vec<Whole>>());
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![frag]));
    graph.nodes.push(StageNode::new("assemble", StageKind::Accumulator, vec![frag], vec![whole]));
    graph.nodes.push(StageNode::new("seen", StageKind::Sink, vec![whole], vec![]));
    for i in 0..2 {
        let channel = ChannelDescriptor::default();
        graph.edges.push(GraphEdge { from: (i, 0), to: (i + 1, 0), channel });
    }
    let wait = Some(Duration::from_millis(1));
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::One(Box::new(Erased(Assembler::new(wait, Bug::None)))),
        Body::Sink(Box::new(ErasedSink(Seen::default()))),
    ];
    ExecutionPlan { graph, bodies, dead_letters: None }
}

/// While deadlines of its chain fire, the future of a waiting source is kept (I3): only a stop, a
/// barrier or a new policy drops it, and there is none of these here.
#[test]
fn deadlines_do_not_drop_the_future_of_a_waiting_source() {
    let faults = Faults::none().with(Fault::SlowFill);
    let stats = simulate(|s| (chained(s), ())).faults(faults).seeds(500).check(|_, ()| Ok(()));
    assert!(stats.seeds_with(Fault::SlowFill) > 100, "{stats}");
    assert_eq!(stats.seeds_with(Fault::DroppedFill), 0, "{stats}");
}

/// Calls to somewhere else are slow, fail and are lost where that is asked for, and no other way.
#[test]
fn calls_get_every_answer_that_is_asked_for() {
    let faults = Faults::none().with(Fault::SlowCall).with(Fault::FailCall).with(Fault::LostCall);
    for allowed in [faults, faults.without(Fault::LostCall), Faults::none()] {
        let stats = simulate(|s| {
            let calls = s.calls("service");
            let answers: Vec<Answer> = (0..30).map(|_| calls.draw()).collect();
            (assembly(s, Recipe::plain(10)).0, (answers, s.has(Fault::FailCall)))
        })
        .faults(allowed)
        .seeds(200)
        .check(|run, (answers, may_fail)| {
            let count = |a: Answer| answers.iter().filter(|x| **x == a).count() as u64;
            let (failed, lost) = (count(Answer::Error), count(Answer::Never));
            let told = (run.effects.of(Fault::FailCall), run.effects.of(Fault::LostCall));
            if (failed, lost) == told && (may_fail || failed == 0) {
                Ok(())
            } else {
                Err(format!("{failed} failed and {lost} lost calls, told {told:?}"))
            }
        });
        for f in [Fault::SlowCall, Fault::FailCall, Fault::LostCall] {
            assert_eq!(stats.seeds_with(f) > 40, allowed.has(f), "{}\n{stats}", f.as_str());
        }
    }
}
