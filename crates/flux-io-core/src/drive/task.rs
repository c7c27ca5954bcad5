//! The body of a task.

use super::chain::{Chain, Woke};
use super::head::{EdgesHead, Head, SourceHead};
use super::link::Input;
use super::tail::{io_of, poll_guarded, recover};
use super::{Halt, let_go, panic_text, yield_now};
use crate::batch::{AnyBatch, Mark, push_mark};
use crate::error::{ErrorClass, ErrorKind, StageError};
use crate::host::ChoiceKind;
use crate::io::{CheckpointToken, Filled, IoCx};
use crate::mutant;
use crate::run::{Phase, RunFailure, StageState, TaskReport};
use crate::stage::{Control, Removed};
use crate::sync::Arc;
use crate::time::Moment;
use crate::watchdog::Doing;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Turns between two yields to the executor, if the host's slice is over.
const TURNS_PER_YIELD: u32 = 64;
/// Turns after which a task yields also when no time passes: the clock may be paused.
const MOST_TURNS: u32 = 64 * TURNS_PER_YIELD;
/// Turns between two readings of the clock while nothing waits.
const TURNS_PER_CLOCK: u32 = 8;

pub(super) struct TaskBody<'env> {
    pub(super) head: Head<'env>,
    pub(super) chain: Chain<'env>,
}

impl TaskBody<'_> {
    /// Runs the task to its end, whatever the end is.
    pub(super) async fn run(mut self) -> TaskReport {
        let end = match &mut self.head {
            Head::Source(s) => drive_source(s, &mut self.chain).await,
            Head::Edges(e) => drive_edges(e, &mut self.chain).await,
        };
        if let Err(Halt::Failed(f)) = end {
            self.chain.run.handle.fail(*f);
            self.finish(false)
        } else {
            self.finish(end.is_ok())
        }
    }

    fn finish(mut self, clean: bool) -> TaskReport {
        let now = self.chain.run.host.now();
        match &mut self.head {
            Head::Source(s) => {
                if clean {
                    s.state.phase = Phase::Done;
                }
                self.chain.report.stages.push(s.state.clone());
            }
            Head::Edges(e) => e.ins.iter().for_each(|i| i.edge.close(now)),
        }
        self.chain.leave(clean);
        let Self { head, chain } = self;
        if let Head::Source(s) = head {
            let SourceHead { source, state, .. } = *s;
            let_go(&chain.run, &state.name, 0, source);
        }
        chain.let_go()
    }
}

/// Once a turn: yields, looks at the clock and at the handle.
async fn turn(n: &mut u32, chain: &mut Chain<'_>) -> Result<(), Halt> {
    *n = n.wrapping_add(1);
    if n.is_multiple_of(TURNS_PER_YIELD) {
        if chain.slice_over() || n.is_multiple_of(MOST_TURNS) {
            yield_now().await;
        }
        chain.publish();
    }
    if n.is_multiple_of(TURNS_PER_CLOCK) {
        chain.now = chain.run.host.now();
    }
    if chain.called() {
        chain.serve().await?;
    }
    if chain.timers_due() {
        chain.on_time().await?;
    }
    if chain.has_calls() {
        // Calls in flight go on while input keeps coming.
        let done = poll_fn(|cx| Poll::Ready(chain.poll_calls(cx))).await;
        if let Poll::Ready(r) = done {
            r?;
            chain.on_time().await?;
        }
    }
    Ok(())
}

/// Gives the chain something, when its first link is done with what it was given before: a control
/// may be held back like a batch.
async fn give(chain: &mut Chain<'_>, input: Input) -> Result<(), Halt> {
    until_free(chain).await?;
    chain.feed(input).await
}

/// Waits while the first link holds its input back (a retry that backs off, calls in flight).
async fn until_free(chain: &mut Chain<'_>) -> Result<(), Halt> {
    wait_while(chain, |c| c.busy()).await
}

/// Serves deadlines, calls in flight and the handle while `waiting` holds.
async fn wait_while(
    chain: &mut Chain<'_>,
    waiting: impl Fn(&Chain<'_>) -> bool,
) -> Result<(), Halt> {
    if !waiting(chain) {
        return Ok(());
    }
    let waited_for = std::mem::replace(&mut chain.waits_for, Doing::Stage);
    let ended = serve_while(chain, waiting).await;
    chain.waits_for = waited_for;
    ended
}

async fn serve_while(
    chain: &mut Chain<'_>,
    waiting: impl Fn(&Chain<'_>) -> bool,
) -> Result<(), Halt> {
    while waiting(chain) {
        // What is finished does not wait for what is not: it is sent before the task waits (S5).
        let open = chain.has_open();
        let woke = poll_fn(|cx| match chain.poll_wait(cx, |_| Poll::<()>::Pending) {
            Poll::Pending if open => Poll::Ready(None),
            woke => woke.map(Some),
        });
        match woke.await {
            None => chain.idle().await?,
            Some(Woke::Ready(())) => {}
            Some(Woke::Timer) => {
                chain.check_drain();
                chain.on_time().await?;
            }
            Some(Woke::Handle) => chain.serve().await?,
        }
    }
    Ok(())
}

async fn drive_edges(head: &mut EdgesHead, chain: &mut Chain<'_>) -> Result<(), Halt> {
    chain.start()?;
    if chain.run.restore {
        let (run, slot) = (Arc::clone(&chain.run), chain.slot);
        recover(&mut chain.tail, &run, slot).await?;
    }
    head.held = chain.held();
    let mut n = 0;
    while !chain.finished {
        turn(&mut n, chain).await?;
        until_free(chain).await?;
        // Calls in flight may have held the end back, and ended since.
        if chain.finished && !mutant!(EndOverlooked) {
            break;
        }
        let Some(event) = next_event(head, chain).await? else { continue };
        let from = event.from;
        give(chain, event.input).await?;
        // A batch that is held back is still used up before the next event: it must go back over
        // the edge it came from, whose column it has.
        until_free(chain).await?;
        if let (Some(used), Some(e)) = (chain.returned.take(), head.ins.get_mut(from)) {
            e.used = Some(used);
        }
    }
    Ok(())
}

async fn next_event(
    head: &mut EdgesHead,
    chain: &mut Chain<'_>,
) -> Result<Option<super::head::Event>, Halt> {
    // Which ports the node takes changes only when the node is called, so it is asked once.
    head.ask(|port| chain.accepts(port));
    let follows_time = chain.links.first().is_some_and(|l| l.node.follows_time());
    let now = chain.now;
    let first = poll_fn(|cx| {
        Poll::Ready(match head.poll_event(cx, now, follows_time) {
            Poll::Ready(e) => Some(e),
            Poll::Pending => None,
        })
    })
    .await;
    if first.is_some() {
        return Ok(first);
    }
    chain.idle().await?;
    // What was sealed may have moved the end out: nothing would wake the task any more.
    if chain.finished && !mutant!(EndOverlooked) {
        return Ok(None);
    }
    let woke = poll_fn(|cx| {
        let now = chain.run.host.now();
        chain.poll_wait(cx, |cx| head.poll_event(cx, now, follows_time))
    })
    .await;
    // The clock is read again after every wait (S7).
    if !mutant!(ClockCachedOverWait) {
        chain.now = chain.run.host.now();
    }
    match woke {
        Woke::Ready(e) => Ok(Some(e)),
        Woke::Timer => {
            chain.check_drain();
            chain.on_time().await?;
            Ok(None)
        }
        Woke::Handle => {
            chain.serve().await?;
            Ok(None)
        }
    }
}

/// Shows how a source stands to whoever watches.
fn publish(state: &StageState, chain: &Chain<'_>) {
    if chain.run.handle.watched() {
        chain.run.handle.publish(state);
    }
}

async fn drive_source(s: &mut SourceHead<'_>, chain: &mut Chain<'_>) -> Result<(), Halt> {
    chain.start()?;
    if chain.run.restore {
        let (run, slot) = (Arc::clone(&chain.run), chain.slot);
        recover(&mut chain.tail, &run, slot).await?;
    }
    chain.run.handle.publish(&s.state);
    chain.waits_for = Doing::Outside;
    restore(s, chain)?;
    let io = io_of(&chain.run);
    let mut n = 0;
    loop {
        turn(&mut n, chain).await?;
        if n.is_multiple_of(TURNS_PER_YIELD) {
            publish(&s.state, chain);
        }
        until_free(chain).await?;
        announce(s, chain).await?;
        if chain.run.handle.draining() {
            chain.run.handle.source_stopped(s.barrier);
            break;
        }
        let mut batch = s.spare.take().unwrap_or_else(|| {
            chain.report.batches.made += 1;
            (s.source.column().new)()
        });
        let max = split(chain);
        let filled = match try_fill(s, &mut batch, max) {
            Some(r) => Some(r),
            None => fill(s, chain, &mut batch, &IoCx { max_rows: max, ..io.clone() }).await?,
        };
        let end = matches!(filled, Some(Ok(Filled::End)));
        if mutant!(DropLosesRows) && filled.is_none() {
            batch.clear();
        }
        let failed = if let Some(Err(e)) = filled {
            Some(e)
        } else {
            s.attempt = 0;
            None
        };
        pass_on(s, chain, batch).await?;
        if let Some(e) = failed {
            answer(s, chain, e).await?;
        }
        if end {
            break;
        }
    }
    if let (Some(_), Some(at)) = (&chain.run.snapshots, s.source.position()) {
        chain.run.handle.source_ended(&s.state.name, s.barrier, at.0);
    }
    give(chain, Input::Control(Control::End)).await?;
    wait_while(chain, |c| !c.finished).await
}

fn restore(s: &mut SourceHead<'_>, chain: &Chain<'_>) -> Result<(), Halt> {
    if !chain.run.restore || mutant!(SourceNotRewound) {
        return Ok(());
    }
    let saved = chain.run.snapshots.as_ref().and_then(|st| st.get(&s.state.name, 0));
    let Some(bytes) = saved else { return Ok(()) };
    s.source.seek(&CheckpointToken(bytes)).map_err(|e| failure(s, e))?;
    Ok(())
}

/// Rows the source may give now: all, or fewer where the engine chooses so.
fn split(chain: &Chain<'_>) -> usize {
    let max = chain.run.max_rows;
    match chain.run.host.choose(ChoiceKind::BatchSplit, u32::try_from(max).unwrap_or(u32::MAX)) {
        0 => max,
        k => k as usize,
    }
}

fn try_fill(
    s: &mut SourceHead<'_>,
    batch: &mut AnyBatch,
    max: usize,
) -> Option<Result<Filled, StageError>> {
    let source = &mut s.source;
    catch_unwind(AssertUnwindSafe(|| source.try_fill(batch, max))).unwrap_or_else(|p| {
        let what = format!("panicked: {}", panic_text(&*p));
        Some(Err(StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what)))
    })
}

/// Waits for the source. Deadlines of the chain fire meanwhile, with the future kept alive (I3);
/// it is dropped only for a stop, a barrier or a policy change. `None` = it was dropped.
async fn fill(
    s: &mut SourceHead<'_>,
    chain: &mut Chain<'_>,
    batch: &mut AnyBatch,
    io: &IoCx,
) -> Result<Option<Result<Filled, StageError>>, Halt> {
    let (barrier, policy, state) = (s.barrier, s.policy, &s.state);
    let mut future = s.source.fill(batch, io);
    let now = poll_fn(|cx| {
        Poll::Ready(match poll_guarded(future.as_mut(), cx) {
            Poll::Ready(r) => Some(r),
            Poll::Pending => None,
        })
    })
    .await;
    if now.is_some() {
        return Ok(now);
    }
    chain.idle().await?;
    publish(state, chain);
    loop {
        let woke = poll_fn(|cx| chain.poll_wait(cx, |cx| poll_guarded(future.as_mut(), cx))).await;
        chain.now = chain.run.host.now();
        match woke {
            Woke::Ready(r) => return Ok(Some(r)),
            Woke::Timer => {
                chain.check_drain();
                chain.on_time().await?;
                chain.idle().await?;
                if mutant!(FutureRemade) {
                    return Ok(None);
                }
            }
            Woke::Handle => {
                chain.serve().await?;
                chain.idle().await?;
                publish(state, chain);
                let h = &chain.run.handle;
                if h.draining() || h.wanted_barrier() > barrier || h.wanted_policy() > policy {
                    return Ok(None);
                }
            }
        }
    }
}

/// Sends what was read on: faults first, then the rows, marked with what the source promises.
async fn pass_on(
    s: &mut SourceHead<'_>,
    chain: &mut Chain<'_>,
    mut batch: AnyBatch,
) -> Result<(), Halt> {
    let dead = s.source.take_faults();
    if !dead.is_empty() {
        let removed = Removed { dead, dropped: Vec::new() };
        s.state.note_removed(&removed);
        let name = s.state.name.clone();
        chain.take_removed(&name, removed);
    }
    if let Some(w) = s.source.watermark().filter(|w| s.watermark.is_none_or(|o| *w > o)) {
        s.watermark = Some(w);
        let at = if mutant!(MarkBeforeRows) { 0 } else { batch.len() as u32 };
        push_mark(&mut batch.meta_mut().marks, Mark { at, watermark: w });
    }
    if batch.is_empty() && batch.meta().marks.is_empty() {
        s.spare = Some(batch);
        return chain.settle().await;
    }
    let rows = batch.len() as u64;
    s.state.counts.rows_in += rows;
    s.state.counts.rows_out += rows;
    give(chain, Input::Batch(0, batch)).await?;
    until_free(chain).await?;
    s.spare = chain.returned.take();
    if let Some(b) = &mut s.spare {
        b.clear();
        chain.report.batches.reused += 1;
    }
    Ok(())
}

/// Barriers and policy versions asked for at the handle enter the flow here, between batches.
async fn announce(s: &mut SourceHead<'_>, chain: &mut Chain<'_>) -> Result<(), Halt> {
    let policy = chain.run.handle.wanted_policy();
    if policy > s.policy {
        s.policy = policy;
        give(chain, Input::Control(Control::Policy(policy))).await?;
    }
    let barrier = chain.run.handle.wanted_barrier();
    if barrier > s.barrier {
        s.barrier = barrier;
        if let (Some(store), Some(at)) = (&chain.run.snapshots, s.source.position())
            && let Err(e) = store.put(barrier, &s.state.name, 0, at.0)
        {
            // The checkpoint is given up, not the run.
            s.state.errors += 1;
            s.state.last_error = Some(crate::error::chain(&e));
            chain.run.handle.give_up(barrier);
        }
        give(chain, Input::Control(Control::Barrier(barrier))).await?;
    }
    Ok(())
}

/// A source's error: transient ones are tried again by its policy, others end the run.
async fn answer(s: &mut SourceHead<'_>, chain: &mut Chain<'_>, e: StageError) -> Result<(), Halt> {
    s.state.errors += 1;
    s.state.last_error = Some(crate::error::chain(&e));
    s.attempt += 1;
    let unit = s.draws.next_u32();
    let Some(wait) = s.on_error.retry_after(e.class, s.attempt, unit) else {
        s.state.phase = Phase::Failed;
        return Err(failure(s, e).into());
    };
    s.state.retries += 1;
    let at = chain.run.host.now().plus(wait);
    chain.idle().await?;
    chain.waits_for = Doing::Time;
    let paused = pause(chain, at).await;
    chain.waits_for = Doing::Outside;
    paused
}

/// Waits until a moment, or until the run is drained.
async fn pause(chain: &mut Chain<'_>, at: Moment) -> Result<(), Halt> {
    let mut sleep = crate::host::Sleep::until(&chain.run.host, at);
    loop {
        let woke =
            poll_fn(|cx| chain.poll_wait(cx, |cx| Future::poll(Pin::new(&mut sleep), cx))).await;
        chain.now = chain.run.host.now();
        match woke {
            Woke::Ready(()) => return Ok(()),
            Woke::Timer => {
                chain.check_drain();
                chain.on_time().await?;
            }
            Woke::Handle => {
                chain.serve().await?;
                if chain.run.handle.draining() {
                    return Ok(());
                }
            }
        }
    }
}

fn failure(s: &SourceHead<'_>, error: StageError) -> RunFailure {
    RunFailure { stage: s.state.name.clone(), shard: 0, error }
}
