//! A host for tests: blocking work in place or when the test says so, a clock that tests move.

use flux_io_core::{
    Batch, Column, ErrorRecord, Filled, Host, IoCx, Moment, Source, StageError, TimerId, Timestamp,
};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

type Job = Box<dyn FnOnce() + Send>;

/// Where blocking work runs.
#[derive(Default)]
pub(crate) struct TestHost {
    /// Jobs that wait for [`TestHost::work`]; `None`: in place.
    later: Option<Mutex<VecDeque<Job>>>,
    /// Jobs so far: those that may wait for ever, and the others.
    outside: AtomicUsize,
    bounded: AtomicUsize,
}

impl TestHost {
    /// Runs one waiting job; `false` when there is none.
    pub(crate) fn work(&self) -> bool {
        let job = self.later.as_ref().and_then(|q| q.lock().unwrap().pop_front());
        job.map(|j| j()).is_some()
    }

    /// Forgets all waiting jobs, as an engine that shuts down does.
    pub(crate) fn forget(&self) {
        if let Some(q) = &self.later {
            q.lock().unwrap().clear();
        }
    }
}

impl Host for TestHost {
    fn now(&self) -> Moment {
        Moment::START
    }
    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }
    fn arm(&self, _at: Moment, _waker: &Waker) -> TimerId {
        TimerId(0)
    }
    fn cancel(&self, _id: TimerId) {}
    fn blocking(&self, job: Job) {
        self.bounded.fetch_add(1, Ordering::SeqCst);
        self.give(job);
    }
    fn outside(&self, job: Job) {
        self.outside.fetch_add(1, Ordering::SeqCst);
        self.give(job);
    }
}

impl TestHost {
    fn give(&self, job: Job) {
        match &self.later {
            Some(q) => q.lock().unwrap().push_back(job),
            None => job(),
        }
    }

    /// Jobs so far: those that may wait for ever, and the others.
    pub(crate) fn jobs(&self) -> (usize, usize) {
        (self.outside.load(Ordering::SeqCst), self.bounded.load(Ordering::SeqCst))
    }
}

/// A context whose blocking work runs in place.
pub(crate) fn inline(max_rows: usize) -> IoCx {
    IoCx::new(Arc::new(TestHost::default()), max_rows)
}

/// A context whose blocking work runs when the test says so.
pub(crate) fn deferred(max_rows: usize) -> (Arc<TestHost>, IoCx) {
    let host = Arc::new(TestHost { later: Some(Mutex::default()), ..TestHost::default() });
    let cx = IoCx::new(Arc::clone(&host) as Arc<dyn Host>, max_rows);
    (host, cx)
}

/// Whether somebody woke the task.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Whether it was woken since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A task polled by hand.
pub(crate) struct Hand {
    pub(crate) flag: Arc<Flag>,
    waker: Waker,
}

impl Hand {
    pub(crate) fn new() -> Self {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        Self { flag, waker }
    }

    pub(crate) fn poll<F: Future + Unpin>(&self, f: &mut F) -> Poll<F::Output> {
        std::pin::Pin::new(f).poll(&mut Context::from_waker(&self.waker))
    }

    pub(crate) fn cx(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

/// Drives a future that needs nobody else: it must be ready whenever it is woken, and a future that
/// waits for something nobody will do is a failed test.
pub(crate) fn block_on<F: Future>(f: F) -> F::Output {
    let hand = Hand::new();
    let mut f = pin!(f);
    loop {
        if let Poll::Ready(r) = f.as_mut().poll(&mut hand.cx()) {
            return r;
        }
        assert!(hand.flag.take(), "it waits and nobody will wake it");
    }
}

/// What a source gave.
#[derive(Debug)]
pub(crate) struct Read<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) faults: Vec<ErrorRecord>,
    /// The error that ended it, if one did.
    pub(crate) error: Option<StageError>,
}

/// Reads a source to its end or its first error, a fresh batch a fill.
pub(crate) fn read_all<S: Source, R>(
    source: &mut S,
    cx: &IoCx,
    row: impl Fn(<S::Col as Column>::Ref<'_>) -> R,
) -> Read<R> {
    let mut read = Read { rows: Vec::new(), faults: Vec::new(), error: None };
    loop {
        let mut batch = Batch::<S::Col>::default();
        let filled = block_on(source.fill(&mut batch, cx));
        assert!(batch.len() <= cx.max_rows());
        read.rows.extend((0..batch.len()).map(|i| row(batch.col.row(i))));
        read.faults.extend(source.take_faults());
        match filled {
            Ok(Filled::More) => {}
            Ok(Filled::End) => return read,
            Err(e) => {
                read.error = Some(e);
                return read;
            }
        }
    }
}

/// Reads a source and drops the fill future after every poll that was not ready, one piece of
/// blocking work between polls.
pub(crate) fn read_all_cancelled<S: Source, R>(
    source: &mut S,
    host: &TestHost,
    cx: &IoCx,
    row: impl Fn(<S::Col as Column>::Ref<'_>) -> R,
) -> (Read<R>, usize) {
    let mut read = Read { rows: Vec::new(), faults: Vec::new(), error: None };
    let mut cancelled = 0;
    loop {
        let mut batch = Batch::<S::Col>::default();
        let polled = {
            let hand = Hand::new();
            let mut f = pin!(source.fill(&mut batch, cx));
            f.as_mut().poll(&mut hand.cx())
        };
        read.rows.extend((0..batch.len()).map(|i| row(batch.col.row(i))));
        read.faults.extend(source.take_faults());
        match polled {
            Poll::Pending => {
                cancelled += 1;
                // Every other time the future comes back before the work is done.
                if cancelled % 2 == 0 {
                    assert!(host.work(), "it waits for nothing");
                }
            }
            Poll::Ready(Ok(Filled::More)) => {}
            Poll::Ready(Ok(Filled::End)) => return (read, cancelled),
            Poll::Ready(Err(e)) => {
                read.error = Some(e);
                return (read, cancelled);
            }
        }
    }
}

/// Everything a column holds, as owned bytes.
pub(crate) fn bytes(row: &[u8]) -> Vec<u8> {
    row.to_vec()
}

/// A new, empty directory for one test.
#[cfg(feature = "lines")]
pub(crate) fn scratch(test: &str) -> std::path::PathBuf {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
