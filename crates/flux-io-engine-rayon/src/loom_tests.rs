//! Every schedule of the engine's ready queue, its tickets, timers and I/O thread.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use crate::blocking::IoThread;
use crate::ready::{Next, Ready, Ticket};
use crate::sync::{Arc, Mutex, lock};
use crate::timers::Timers;
use flux_io_core::Moment;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::task::Waker;

/// A task that is done when `news` are there.
struct Cell {
    ticket: Arc<Ticket>,
    news: AtomicUsize,
}

fn cells(n: usize) -> (Arc<Ready>, Arc<Vec<Cell>>) {
    let ready = Arc::new(Ready::default());
    let cell = |id| Cell {
        ticket: Arc::new(Ticket::new(id, Arc::clone(&ready))),
        news: AtomicUsize::new(0),
    };
    let cells = Arc::new((0..n).map(cell).collect());
    ready.begin(n);
    (ready, cells)
}

/// A worker as the engine's: polls ready tasks until none is left.
fn work(ready: &Ready, cells: &[Cell], enough: usize) {
    while let Next::Task(id) = ready.next(|| None) {
        let cell = &cells[id];
        cell.ticket.running();
        if cell.news.load(Relaxed) < enough {
            cell.ticket.idle();
        } else {
            ready.one_done();
        }
    }
}

fn waker(cell: &Cell) -> Waker {
    Waker::from(Arc::clone(&cell.ticket))
}

/// What was published before a wake is seen by a poll behind it; the publication itself orders
/// nothing. Row 279.
///
/// Caught: `running` that stores relaxed or not at all; `idle` that stores idle; a wake of a queued
/// task that returns without its exchange; a wake of a running task that is forgotten; `push` that
/// wakes no sleeper.
#[test]
fn a_wake_is_never_lost() {
    loom::model(|| {
        let (ready, cells) = cells(1);
        let (theirs, queue) = (Arc::clone(&cells), Arc::clone(&ready));
        let worker = thread::spawn(move || work(&queue, &theirs, 2));
        for _ in 0..2 {
            cells[0].news.fetch_add(1, Relaxed);
            waker(&cells[0]).wake();
        }
        worker.join().unwrap();
    });
}

/// Two wakers at once: the task is polled behind both, and stands in the queue at most once.
///
/// Caught: a wake that queues a queued task again (it is then polled by two workers).
#[test]
fn two_wakes_queue_a_task_once() {
    loom::model(|| {
        let (ready, cells) = cells(1);
        let theirs = Arc::clone(&cells);
        let Next::Task(0) = ready.next(|| None) else { panic!("the task is not ready") };
        cells[0].ticket.running();
        cells[0].ticket.idle();
        let other = thread::spawn(move || waker(&theirs[0]).wake());
        waker(&cells[0]).wake();
        other.join().unwrap();
        ready.one_done();
        assert!(matches!(ready.next(|| None), Next::Task(0)));
        assert!(matches!(ready.next(|| None), Next::Done));
    });
}

/// Three workers share a task, and all go home when it is done.
///
/// Caught: `one_done` that wakes one sleeper, or none.
#[test]
fn every_worker_goes_home() {
    loom::model(|| {
        let (ready, cells) = cells(1);
        let start = || {
            let (queue, cells) = (Arc::clone(&ready), Arc::clone(&cells));
            thread::spawn(move || work(&queue, &cells, 0))
        };
        let others = [start(), start()];
        work(&ready, &cells, 0);
        others.into_iter().for_each(|w| w.join().unwrap());
    });
}

/// A worker that sleeps without a deadline reckons with a timer that is armed then.
///
/// Caught: `arm` that nudges nobody; `nudge` without the lock (the sleeper has read the deadlines
/// and does not wait yet).
#[test]
fn a_new_timer_is_reckoned_with() {
    loom::model(|| {
        let (ready, cells) = cells(1);
        let timers = Arc::new(Timers::new(Arc::clone(&ready)));
        let (theirs, queue, clock) = (Arc::clone(&cells), Arc::clone(&ready), Arc::clone(&timers));
        let worker = thread::spawn(move || {
            loop {
                match queue.next(|| clock.next_in(Moment(5))) {
                    Next::Task(id) if theirs[id].news.load(Relaxed) == 0 => {
                        theirs[id].ticket.running();
                        theirs[id].ticket.idle();
                    }
                    Next::Task(_) | Next::Done => return,
                    Next::Timer => {
                        theirs[0].news.store(1, Relaxed);
                        clock.fire(Moment(5));
                    }
                }
            }
        });
        timers.arm(Moment(5), &waker(&cells[0]));
        worker.join().unwrap();
    });
}

/// Blocking jobs run in order and once, without waiting for another one to come.
///
/// Caught: `run` that wakes nobody.
#[test]
fn blocking_jobs_run_in_order_and_once() {
    loom::model(|| {
        let (ran, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let io = IoThread::start();
        jobs(&io, &ran, &done);
        while lock(&ran).len() < 2 {
            done.wait();
        }
        drop(io);
        assert_eq!(*lock(&ran), [1, 2]);
    });
}

/// The thread ends when it is told to, behind the jobs it was given.
///
/// Caught: `drop` that wakes nobody; a thread that ends at once when it is told to.
#[test]
fn the_blocking_thread_ends_behind_its_jobs() {
    loom::model(|| {
        let (ran, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let io = IoThread::start();
        jobs(&io, &ran, &done);
        drop(io);
        while lock(&ran).len() < 2 {
            done.wait();
        }
    });
}

/// Two jobs; the second says when it is over.
fn jobs(io: &IoThread, ran: &Arc<Mutex<Vec<u32>>>, done: &Arc<Notify>) {
    let (first, second, over) = (Arc::clone(ran), Arc::clone(ran), Arc::clone(done));
    io.run(Box::new(move || lock(&first).push(1)));
    io.run(Box::new(move || {
        lock(&second).push(2);
        over.notify();
    }));
}
