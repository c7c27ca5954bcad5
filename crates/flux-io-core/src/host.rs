//! What an engine gives to the tasks it polls: time, timers, a place for blocking work, choices.
//! Tasks themselves are plain futures and never spawn.

mod abroad;
mod deadlines;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod outside;

pub use abroad::VirtualTime;
pub(crate) use abroad::{Abroad, watched};
pub use deadlines::Deadlines;
pub use outside::Outside;

use crate::mutant;
use crate::sync::{Arc, Mutex, lock};
use crate::time::{Moment, Timestamp};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Work for another thread.
pub type Job = Box<dyn FnOnce() + Send>;

/// A boxed future that may borrow.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An armed timer of a [`Host`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// A decision that an engine makes: what a recorded run records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChoiceKind {
    /// Which of the ready tasks runs next.
    NextTask,
    /// How many rows a source may give now.
    BatchSplit,
    /// Which of the timers due at one moment fires first.
    TimerTie,
    /// Whether and which fault happens.
    Fault,
    /// How long something takes.
    Delay,
    /// The seed of the key hashes.
    HashSeed,
}

/// A stream of choices: the only source of variety in a run without outside input.
pub trait Choices: Send {
    /// A number in `0..n`; 0 when `n` is 0. Every call is one recorded choice.
    fn choose(&mut self, kind: ChoiceKind, n: u32) -> u32;
}

/// What an engine gives. Laws: `now` never goes back; an armed timer wakes its waker once, at or
/// after its moment, unless it is cancelled; a cancelled timer never wakes (H1).
pub trait Host: Send + Sync {
    /// The engine's time.
    fn now(&self) -> Moment;
    /// Wall-clock time, as data only.
    fn wall(&self) -> Timestamp;
    /// Wakes `waker` at `at`.
    fn arm(&self, at: Moment, waker: &Waker) -> TimerId;
    /// Withdraws a timer; unknown and fired ones are ignored.
    fn cancel(&self, id: TimerId);
    /// Runs work that blocks for a bounded time (a disk): in place, in a small pool, or as a
    /// scheduled step. Work that may wait for somebody else to do something belongs to
    /// [`Host::outside`]: here it would hold up everybody's.
    fn blocking(&self, job: Job);
    /// Runs work that may block for ever (a read from a pipe or a terminal): beside everything
    /// else, so that it holds up nothing, however many such jobs there are. Nobody waits for it to
    /// end, neither a stop nor the end of the run. Each connector has at most one at a time. Where
    /// no thread can be had the job is dropped unrun.
    ///
    /// Engines start a thread for it ([`Outside`] keeps those that are idle). A host whose every
    /// step is its own choice makes it one of them.
    fn outside(&self, job: Job);
    /// A choice in `0..n`. Engines that record nothing answer 0.
    fn choose(&self, kind: ChoiceKind, n: u32) -> u32 {
        let _ = (kind, n);
        0
    }
    /// How long a task that never waits may go on before it yields, so that others are polled. Tasks
    /// look at it every few dozen batches, and yield after some thousand of them whatever the clock
    /// says.
    fn slice(&self) -> Duration {
        Duration::ZERO
    }
    /// The host's time, when it is virtual and there is an outside that could be waited for: it must
    /// not jump while somebody outside is at work.
    fn virtual_time(&self) -> Option<&dyn VirtualTime> {
        None
    }
    /// Whether sockets and other reactor-bound input can be used here.
    fn has_reactor(&self) -> bool {
        false
    }
}

/// At most one armed timer; dropping it cancels. Setting the same moment again arms nothing.
pub(crate) struct Alarm {
    host: Arc<dyn Host>,
    /// With where its waker's data stand: no clone, which would look like somebody outside. While
    /// the timer is armed the host holds one, so nothing else can stand there.
    armed: Option<(Moment, TimerId, usize)>,
}

impl Alarm {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Self {
        Self { host: Arc::clone(host), armed: None }
    }

    pub(crate) fn set(&mut self, at: Moment, cx: &Context<'_>) {
        // Whoever polled last is woken: a future may be moved from one task to another.
        let whom = cx.waker().data().addr();
        if self.armed.is_some_and(|a| a.0 == at && a.2 == whom) {
            return;
        }
        if !mutant!(TimersWithoutCancel) {
            self.clear();
        }
        self.armed = Some((at, self.host.arm(at, cx.waker()), whom));
    }

    pub(crate) fn clear(&mut self) {
        if let Some((_, id, _)) = self.armed.take() {
            self.host.cancel(id);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Waits until a moment of the engine's clock. Cancel-safe: dropping it disarms the timer.
pub struct Sleep {
    at: Moment,
    alarm: Alarm,
    #[cfg(flux_io_mutants)]
    long: Duration,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep(until {:?})", self.at)
    }
}

impl Sleep {
    pub(crate) fn until(host: &Arc<dyn Host>, at: Moment) -> Self {
        Self {
            at,
            alarm: Alarm::new(host),
            #[cfg(flux_io_mutants)]
            long: at.since(host.now()),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.alarm.host.now() >= self.at {
            return Poll::Ready(());
        }
        #[cfg(flux_io_mutants)]
        if mutant!(RelativeSleep) {
            self.at = self.alarm.host.now().plus(self.long);
        }
        let at = self.at;
        self.alarm.set(at, cx);
        Poll::Pending
    }
}

/// The place where a blocking job leaves its result, and whom it wakes.
struct JobCell<T> {
    result: Option<T>,
    waker: Option<Waker>,
    gone: bool,
}

/// A blocking job under way; gives its result, or `None` when the host dropped the job or it
/// panicked. Cancel-safe only for jobs that keep nothing: the job itself is not stopped.
pub struct Blocking<T>(Arc<Mutex<JobCell<T>>>);

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

struct Finish<T>(Arc<Mutex<JobCell<T>>>);

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        let mut g = lock(&self.0);
        g.gone = true;
        let w = g.waker.take();
        drop(g);
        if let Some(w) = w {
            w.wake();
        }
    }
}

impl<T: Send + 'static> Blocking<T> {
    pub(crate) fn start(job: impl FnOnce() -> T + Send + 'static, run: impl FnOnce(Job)) -> Self {
        let cell = Arc::new(Mutex::new(JobCell { result: None, waker: None, gone: false }));
        let finish = Finish(Arc::clone(&cell));
        run(Box::new(move || {
            let r = job();
            lock(&finish.0).result = Some(r);
            drop(finish);
        }));
        Self(cell)
    }
}

impl<T> Future for Blocking<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut g = lock(&self.0);
        if let Some(r) = g.result.take() {
            return Poll::Ready(Some(r));
        }
        if g.gone {
            return Poll::Ready(None);
        }
        g.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
