//! `futures` streams and sinks.

use crate::host::{Hand, block_on, inline, read_all};
use flux_io_connect::channel::{channel, outlet};
use flux_io_connect::{forward, sink, source};
use flux_io_core::{Batch, Sink, StageError};
use futures_core::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A stream that follows a script: `None` is "not now".
struct Script<T>(VecDeque<Option<T>>, Option<Waker>);

impl<T: Unpin> Stream for Script<T> {
    type Item = T;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(Some(x)) => Poll::Ready(Some(x)),
            Some(None) => {
                self.1 = Some(cx.waker().clone());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

fn script<T>(steps: impl IntoIterator<Item = Option<T>>) -> Script<T> {
    Script(steps.into_iter().collect(), None)
}

fn collect<S: Stream>(s: S) -> Vec<S::Item> {
    let mut s = pin!(s);
    let mut all = Vec::new();
    while let Some(x) = block_on(poll_fn(|cx| s.as_mut().poll_next(cx))) {
        all.push(x);
    }
    all
}

/// Row 29. Items in order; what is ready is given; only the end ends.
#[test]
fn streams_are_sources() {
    let steps = [None, Some(1), Some(2), None, None, Some(3), Some(4), Some(5), None];
    for max in [1, 2, 100] {
        let mut s = source::stream(script(steps));
        assert_eq!(read_all(&mut s, &inline(max), |r| *r).rows, [1, 2, 3, 4, 5]);
    }
    let mut s = source::stream(script([Some(1), Some(2), None, Some(3)]));
    let mut batch = Batch::default();
    block_on(flux_io_core::Source::fill(&mut s, &mut batch, &inline(100))).unwrap();
    assert_eq!(batch.col, [1, 2]);
}

/// Row 29. An error of the stream comes behind the rows before it, with its cause.
#[test]
fn failing_streams_are_errors() {
    let bad = || Err(std::io::Error::other("socket"));
    let mut s = source::try_stream(script([Some(Ok(1)), Some(bad()), Some(Ok(2))]));
    let cx = inline(10);
    let read = read_all(&mut s, &cx, |r| *r);
    let e = read.error.unwrap();
    assert_eq!(
        (read.rows, flux_io_core::chain(&e)),
        (vec![1], "the stream gave an error: socket".to_owned())
    );
    assert_eq!(read_all(&mut s, &cx, |r| *r).rows, [2]);
}

/// Row 28. A source is consumed by value, so that it has one reader; it ends once.
#[test]
fn b095_source_as_stream_is_consumed() {
    let batches = collect(source::into_stream(source::numbers(0..10), inline(4)));
    let sizes: Vec<usize> = batches.iter().map(|b| b.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
}

/// Rows that could not be read are an error of the stream, behind the rows.
#[cfg(feature = "lines")]
#[test]
fn b095_faults_of_a_source_show_in_its_stream() {
    let faulty = flux_io_connect::lines::reader("r", &b"ok\ntoo long\nok\n"[..]).record_limit(3);
    let got = collect(source::into_stream(faulty, inline(10)));
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].as_ref().unwrap().len(), 2);
    assert!(got[1].as_ref().unwrap_err().what.contains("line 2"));
}

/// Row 28. A pipeline's output as a stream of rows.
#[test]
fn receivers_are_streams() {
    let (sink, rx) = outlet(100);
    block_on(forward(source::numbers(0..5), sink, &inline(2))).unwrap();
    let rows: Result<Vec<u64>, StageError> = collect(rx).into_iter().collect();
    assert_eq!(rows.unwrap(), [0, 1, 2, 3, 4]);
}

/// A `futures` sink that is ready every other poll and remembers what it saw.
#[derive(Default)]
struct Slow {
    log: Arc<Mutex<Vec<String>>>,
    ready: bool,
    fail_at: Option<u64>,
}

impl futures_sink::Sink<u64> for Slow {
    type Error = std::io::Error;
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = !self.ready;
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
    fn start_send(self: Pin<&mut Self>, x: u64) -> Result<(), Self::Error> {
        if self.fail_at == Some(x) {
            return Err(std::io::Error::other("broken"));
        }
        self.log.lock().unwrap().push(x.to_string());
        Ok(())
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.log.lock().unwrap().push("flush".into());
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.log.lock().unwrap().push("close".into());
        Poll::Ready(Ok(()))
    }
}

/// Row 29. Rows in order, once each, also when writes are dropped; then the sink's own end.
#[test]
fn futures_sinks_are_sinks() {
    let log = Arc::default();
    let mut s = sink::from_sink(Slow { log: Arc::clone(&log), ..Slow::default() });
    let (cx, hand) = (inline(1), Hand::new());
    let mut batch = Batch::of(vec![1, 2, 3]);
    let mut polls = 0;
    while pin!(s.write(&mut batch, &cx)).poll(&mut hand.cx()).is_pending() {
        polls += 1;
    }
    block_on(s.flush(&cx)).unwrap();
    block_on(s.close(&cx)).unwrap();
    assert!(polls >= 2);
    assert_eq!(*log.lock().unwrap(), ["1", "2", "3", "flush", "close"]);
}

/// After an error the sink is not touched again, and rows it did not take stay.
#[test]
fn b096_broken_sinks_say_so() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let broken = Slow { log: Arc::clone(&log), fail_at: Some(2), ..Slow::default() };
    let mut s = sink::from_sink(broken);
    let cx = inline(1);
    let mut batch = Batch::of(vec![1, 2, 3]);
    let e = block_on(s.write(&mut batch, &cx)).unwrap_err();
    assert_eq!(flux_io_core::chain(&e), "the sink failed: broken");
    assert_eq!(batch.col, [3]);
    assert!(block_on(s.write(&mut batch, &cx)).unwrap_err().what.contains("failed before"));
    assert!(block_on(s.close(&cx)).is_err());
    assert_eq!(*log.lock().unwrap(), ["1"]);
}

/// Rows 28, 29. Stream in, stream out.
#[test]
fn streams_pass_through() {
    let (tx, rx) = channel(4);
    tx.try_send(1).unwrap();
    drop(tx);
    let (sink, out) = outlet(4);
    block_on(forward(rx, sink, &inline(2))).unwrap();
    assert_eq!(collect(out).len(), 1);
}

use std::future::Future;
