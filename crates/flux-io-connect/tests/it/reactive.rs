//! Publishers as sources and subscribers as sinks: rules of Reactive Streams 1.0.4, in the spirit
//! of its compatibility kit. A test names the rules it shows.

use crate::host::{Hand, block_on, inline};
use flux_io_connect::forward;
use flux_io_connect::reactive::{
    Inlet, Publisher, PublisherSource, Subscriber, Subscription, from_publisher, to_subscriber,
};
use flux_io_core::{Batch, Filled, Sink, Source, StageError};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// What a subscriber was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Subscribed,
    Next(u64),
    Error(String),
    Complete,
}

#[derive(Default)]
struct Diary {
    told: Vec<Told>,
    subscription: Option<Box<dyn Subscription>>,
}

/// A subscriber that writes down what it is told, and requests what the test says: `at_first` when
/// it is subscribed, `each` inside every `on_next`.
#[derive(Clone)]
struct Reader {
    diary: Arc<Mutex<Diary>>,
    at_first: u64,
    each: u64,
}

impl Reader {
    fn new(at_first: u64, each: u64) -> Self {
        Self { diary: Arc::default(), at_first, each }
    }

    fn told(&self) -> Vec<Told> {
        self.diary.lock().unwrap().told.clone()
    }

    fn note(&self, told: Told) {
        self.diary.lock().unwrap().told.push(told);
    }

    /// Uses the subscription outside of the lock, as a signal may come back inside the call.
    fn with(&self, f: impl FnOnce(&mut dyn Subscription)) {
        let taken = self.diary.lock().unwrap().subscription.take();
        let mut subscription = taken.unwrap();
        f(&mut *subscription);
        self.diary.lock().unwrap().subscription = Some(subscription);
    }
}

impl Subscriber<u64> for Reader {
    fn on_subscribe(&mut self, subscription: Box<dyn Subscription>) {
        self.diary.lock().unwrap().subscription = Some(subscription);
        self.note(Told::Subscribed);
        if self.at_first > 0 {
            self.with(|s| s.request(self.at_first));
        }
    }
    fn on_next(&mut self, item: u64) {
        self.note(Told::Next(item));
        if self.each > 0 {
            self.with(|s| s.request(self.each));
        }
    }
    fn on_error(&mut self, error: StageError) {
        self.note(Told::Error(error.to_string()));
    }
    fn on_complete(&mut self) {
        self.note(Told::Complete);
    }
}

fn items(range: std::ops::Range<u64>) -> Vec<Told> {
    range.map(Told::Next).collect()
}

/// Row 320. Rules 1.01, 1.02, 1.09, 3.08: a subscriber is subscribed first and never gets more than
/// it requested; the pipeline waits meanwhile, and goes on with the next request.
#[test]
fn a_sink_gives_what_was_requested() {
    let reader = Reader::new(2, 0);
    let mut sink = to_subscriber(reader.clone());
    assert_eq!(reader.told(), [Told::Subscribed]);
    let (hand, cx) = (Hand::new(), inline(10));
    let mut batch = Batch::of((0..6).collect::<Vec<u64>>());
    {
        let mut write = pin!(sink.write(&mut batch, &cx));
        assert!(write.as_mut().poll(&mut hand.cx()).is_pending());
        assert_eq!(reader.told()[1..], items(0..2));
        reader.with(|s| s.request(3));
        assert!(hand.flag.take(), "a request wakes the pipeline");
        assert!(write.as_mut().poll(&mut hand.cx()).is_pending());
        assert_eq!(reader.told()[1..], items(0..5));
    }
    // A write that is dropped has lost nothing: the row not requested is still in the batch.
    assert_eq!(batch.col, [5]);
    reader.with(|s| s.request(1));
    block_on(sink.write(&mut batch, &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    drop(sink);
    // Rules 1.05, 1.07: complete, once, and nothing behind it.
    assert_eq!(reader.told()[6..], [Told::Next(5), Told::Complete]);
}

/// Row 320. Rules 3.03, 3.17: a subscriber may request inside `on_next` without bound on the number
/// of items, and demand beyond `u64::MAX` is demand without end.
#[test]
fn requests_may_come_from_inside_and_add_up() {
    for reader in [Reader::new(1, 1), Reader::new(u64::MAX, 0), Reader::new(u64::MAX, u64::MAX)] {
        let mut sink = to_subscriber(reader.clone());
        let mut batch = Batch::of((0..100_000).collect::<Vec<u64>>());
        block_on(sink.write(&mut batch, &inline(10))).unwrap();
        assert_eq!(reader.told().len(), 100_001);
    }
}

/// Row 320. Rules 1.08, 3.05, 3.06, 3.07, 3.12: after a cancel nothing is signalled; the pipeline
/// learns it; cancelling and requesting again does nothing.
#[test]
fn a_cancelled_subscriber_hears_nothing_more() {
    let reader = Reader::new(2, 0);
    let mut sink = to_subscriber(reader.clone());
    let (hand, cx) = (Hand::new(), inline(10));
    let mut batch = Batch::of((0..6).collect::<Vec<u64>>());
    let failed = {
        let mut write = pin!(sink.write(&mut batch, &cx));
        assert!(write.as_mut().poll(&mut hand.cx()).is_pending());
        reader.with(|s| {
            s.cancel();
            s.cancel();
            s.request(7);
        });
        assert!(hand.flag.take());
        write.as_mut().poll(&mut hand.cx())
    };
    let Poll::Ready(Err(e)) = failed else { panic!("{failed:?}") };
    assert_eq!(e.what, "the subscriber cancelled; it takes nothing more");
    assert_eq!(batch.col, [2, 3, 4, 5]);
    sink.abort();
    drop(sink);
    assert_eq!(reader.told()[1..], items(0..2));
}

/// Row 320. Rule 3.09: a request of nothing is a fault that the subscriber is told. Rules 1.04,
/// 1.07: an aborted run is an error, once.
#[test]
fn faults_are_signalled_once() {
    let reader = Reader::new(0, 0);
    let mut sink = to_subscriber(reader.clone());
    reader.with(|s| s.request(0));
    let mut batch = Batch::of(vec![1]);
    let e = block_on(sink.write(&mut batch, &inline(1))).unwrap_err();
    let what = "the subscriber requested 0 items; request at least 1 (rule 3.09)";
    assert_eq!(e.what, what);
    sink.abort();
    drop(sink);
    assert_eq!(reader.told(), [Told::Subscribed, Told::Error(what.into())]);

    let reader = Reader::new(1, 0);
    let mut sink = to_subscriber(reader.clone());
    block_on(sink.write(&mut Batch::of(vec![1]), &inline(1))).unwrap();
    sink.abort();
    sink.abort();
    drop(sink);
    let error = Told::Error("the run that publishes stopped before its end".into());
    assert_eq!(reader.told(), [Told::Subscribed, Told::Next(1), error]);
}

/// What a publisher was asked.
#[derive(Default)]
struct Asked {
    requests: Vec<u64>,
    cancelled: u32,
}

#[derive(Clone, Default)]
struct Line(Arc<Mutex<Asked>>);

impl Subscription for Line {
    fn request(&mut self, n: u64) {
        self.0.lock().unwrap().requests.push(n);
    }
    fn cancel(&mut self) {
        self.0.lock().unwrap().cancelled += 1;
    }
}

fn subscribed(capacity: u64) -> (Inlet<u64>, PublisherSource<u64>, Line) {
    let (mut inlet, source) = from_publisher(capacity);
    let line = Line::default();
    inlet.on_subscribe(Box::new(line.clone()));
    (inlet, source, line)
}

fn read(source: &mut PublisherSource<u64>, max: usize) -> (Vec<u64>, Result<Filled, String>) {
    let mut batch = Batch::default();
    let filled = block_on(source.fill(&mut batch, &inline(max)));
    (batch.col, filled.map_err(|e| e.what))
}

/// Row 320. Rule 2.01, credits: what is requested and what waits never exceed the capacity, and
/// more is requested as rows are taken, in portions of at least half of it; the tail never hangs
/// for want of a request.
#[test]
fn b041_a_source_requests_what_it_has_room_for() {
    for capacity in [1, 2, 3, 8] {
        let (mut inlet, mut source, line) = subscribed(capacity);
        assert_eq!(line.0.lock().unwrap().requests, [capacity]);
        let mut given = 0;
        let mut taken = Vec::new();
        while taken.len() < 100 {
            let asked: u64 = line.0.lock().unwrap().requests.iter().sum();
            assert!(asked - taken.len() as u64 <= capacity, "{asked} with {} taken", taken.len());
            assert!(asked > given, "the publisher waits and so does the source");
            inlet.on_next(given);
            given += 1;
            // Every third item waits for company.
            if given % 3 != 0 || given == asked {
                taken.extend(read(&mut source, 2).0);
            }
        }
        inlet.on_complete();
        while let (rows, Ok(Filled::More)) = read(&mut source, 2) {
            taken.extend(rows);
        }
        assert_eq!(taken, (0..given).collect::<Vec<_>>());
        let requests = line.0.lock().unwrap().requests.clone();
        assert!(requests.iter().all(|n| *n >= 1 && *n <= capacity), "{requests:?}");
        drop(source);
        assert_eq!(line.0.lock().unwrap().cancelled, 0, "rule 2.04: it had ended by itself");
    }
}

/// Row 320. Rules 1.01, 2.05, 2.08, 2.09, 2.10, 2.12: too many items, a second subscription,
/// signals after the end, errors behind the items before them.
#[test]
fn a_source_keeps_to_its_role() {
    // More than requested: the items that were requested come, then the fault; it is cancelled.
    let (mut inlet, mut source, line) = subscribed(2);
    (0..4).for_each(|i| inlet.on_next(i));
    assert_eq!(line.0.lock().unwrap().cancelled, 1);
    assert_eq!(read(&mut source, 10), (vec![0, 1], Ok(Filled::More)));
    let what = "the publisher gave more items than were requested (rule 1.01)";
    assert_eq!(read(&mut source, 10), (vec![], Err(what.into())));
    assert_eq!(read(&mut source, 10), (vec![], Ok(Filled::End)));

    // A second subscription is cancelled, the first one goes on.
    let (mut inlet, mut source, line) = subscribed(2);
    let second = Line::default();
    inlet.on_subscribe(Box::new(second.clone()));
    assert_eq!(second.0.lock().unwrap().cancelled, 1);
    assert!(second.0.lock().unwrap().requests.is_empty());
    inlet.on_next(7);
    inlet.on_error(StageError::permanent("the disk is gone"));
    inlet.on_next(8);
    assert_eq!(read(&mut source, 10), (vec![7], Ok(Filled::More)));
    assert_eq!(read(&mut source, 10), (vec![], Err("the disk is gone".into())));
    assert_eq!(line.0.lock().unwrap().cancelled, 0);

    // The source goes away: cancelled, and late items are dropped without a fault (2.08).
    let (mut inlet, source, line) = subscribed(2);
    drop(source);
    assert_eq!(line.0.lock().unwrap().cancelled, 1);
    inlet.on_next(1);
    let late = Line::default();
    inlet.on_subscribe(Box::new(late.clone()));
    assert_eq!(late.0.lock().unwrap().cancelled, 1);

    // A publisher that goes away without a word is no clean end.
    let (inlet, mut source, _) = subscribed(2);
    drop(inlet);
    assert!(read(&mut source, 1).1.unwrap_err().contains("without a last signal"));
}

/// Gives the numbers below `end`, inside `request`: the worst a publisher may do.
struct Eager {
    end: u64,
}

#[derive(Default)]
struct Stage {
    next: u64,
    end: u64,
    demand: u64,
    to: Option<Box<dyn Subscriber<u64>>>,
}

struct EagerLine(Arc<Mutex<Stage>>);

impl EagerLine {
    /// Gives items while they are wanted; a request from inside one only adds to the demand.
    fn pump(&self) {
        loop {
            let mut s = self.0.lock().unwrap();
            if s.demand == 0 {
                return;
            }
            let Some(mut to) = s.to.take() else { return };
            if s.next == s.end {
                drop(s);
                to.on_complete();
                return;
            }
            let item = s.next;
            (s.demand, s.next) = (s.demand - 1, item + 1);
            drop(s);
            to.on_next(item);
            self.0.lock().unwrap().to = Some(to);
        }
    }
}

impl Subscription for EagerLine {
    fn request(&mut self, n: u64) {
        self.0.lock().unwrap().demand += n;
        self.pump();
    }
    fn cancel(&mut self) {
        self.0.lock().unwrap().to = None;
    }
}

impl Publisher<u64> for Eager {
    fn subscribe(self, mut subscriber: Box<dyn Subscriber<u64>>) {
        let stage = Arc::new(Mutex::new(Stage { end: self.end, ..Stage::default() }));
        subscriber.on_subscribe(Box::new(EagerLine(Arc::clone(&stage))));
        stage.lock().unwrap().to = Some(subscriber);
        EagerLine(stage).pump();
    }
}

/// Rows 300, 320. A library of reactive operators is joined at both ends: a publisher through a
/// source and a sink to a subscriber, every item once and in order, at any demand.
#[test]
fn a_publisher_flows_to_a_subscriber() {
    let cx = inline(7);
    for (capacity, at_first, each) in [(1, 1, 1), (3, 2, 1), (64, u64::MAX, 0)] {
        let (inlet, source) = from_publisher(capacity);
        Eager { end: 500 }.subscribe(Box::new(inlet));
        let reader = Reader::new(at_first, each);
        let moving = forward(source, to_subscriber(reader.clone()), &cx);
        assert_eq!(block_on(moving).unwrap(), 500);
        let told = reader.told();
        assert_eq!(told[1..501], items(0..500));
        assert_eq!(told[501..], [Told::Complete]);
    }
}
