//! Sources and sinks of random plans on real engines.

use crate::random::build::{Ends, Rows};
use crate::random::parts::{Moody, Quiet, Restless, Taken, awaited};
use flux_io::connect::channel;
use flux_io::core::{ErrorRecord, RunHandle};
use flux_io::flow::Pipeline;
use flux_io::prelude::{sink, source};
use flux_io_testkit::dag::{Dag, Row, SourceKind, SourceOf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(x) => return x,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A channel that a thread feeds until all rows are sent or nobody takes them.
#[expect(clippy::disallowed_methods, reason = "the other side of a channel is a thread")]
fn fed(of: SourceOf) -> channel::ChannelSource<Row> {
    let (tx, rx) = channel::channel(1 + of.rows as usize % 5);
    std::thread::spawn(move || {
        for row in of.all() {
            if wait(tx.send(row)).is_err() {
                break;
            }
        }
    });
    rx
}

/// Real sources and sinks.
#[derive(Default)]
pub(crate) struct Real {
    pub(crate) handle: RunHandle,
    pub(crate) taken: Vec<Taken>,
    pub(crate) dead: Option<sink::Collected<ErrorRecord>>,
}

impl Ends for Real {
    fn source(&mut self, pipeline: &Pipeline<'static>, dag: &Dag, n: usize) -> Rows {
        let (name, of) = (format!("n{n}"), dag.sources[n]);
        let asks = self.handle();
        match of.kind {
            SourceKind::Iter => {
                pipeline.source(&name, Restless::new(source::iter(of.all()), of, asks))
            }
            SourceKind::Fed => pipeline.source(&name, Restless::new(fed(of), of, asks)),
            SourceKind::Awaited => pipeline.source(&name, Restless::new(awaited(of), of, asks)),
            SourceKind::Quiet => pipeline.source(&name, Restless::new(Quiet::new(of), of, asks)),
        }
    }

    fn sink(&mut self, flow: Rows, dag: &Dag, n: usize) {
        let to = Taken::default();
        let mood = dag.moods.get(n % dag.moods.len().max(1)).copied().unwrap_or_default();
        _ = flow.sink(&format!("out {n}"), Moody::new(&to, mood));
        self.taken.push(to);
    }

    fn letters(&mut self, pipeline: Pipeline<'static>) -> Pipeline<'static> {
        let (sink, dead) = sink::collect();
        self.dead = Some(dead);
        pipeline.dead_letters("dead", sink)
    }

    fn handle(&self) -> Option<RunHandle> {
        Some(self.handle.clone())
    }
}
