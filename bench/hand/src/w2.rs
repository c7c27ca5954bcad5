//! W2: hand-off of the numbers 0..n from one thread to another, back-pressured. In batches: at
//! most 16 batches of 1,024 in flight. Item by item: at most 1,024 items in flight. The consumer
//! sums, so the right answer is n(n-1)/2.

use std::{hint, sync::mpsc, thread};

use bench_common::{BATCH_ITEMS, BenchError, Measured, Task, timed};

const BATCHES_IN_FLIGHT: usize = 16;
const ITEMS_IN_FLIGHT: usize = 1024;
const BATCH: u64 = BATCH_ITEMS as u64;

/// Runs one case of W2. Batched cases round the number of items down to whole batches.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let items = task.items / BATCH * BATCH;
    let (sum, seconds) = match task.case.as_str() {
        "vec-1t" => timed(|| Ok(one_thread(items))),
        "rtrb-recycled" => timed(|| rtrb_recycled(items)),
        "rtrb-vec" => timed(|| rtrb_vec(items)),
        "crossbeam-vec" => {
            let (to, from) = crossbeam_channel::bounded(BATCHES_IN_FLIGHT);
            timed(|| batches(items, move |v| to.send(v).is_ok(), move || from.recv().ok()))
        }
        "kanal-vec" => {
            let (to, from) = kanal::bounded(BATCHES_IN_FLIGHT);
            timed(|| batches(items, move |v| to.send(v).is_ok(), move || from.recv().ok()))
        }
        "flume-vec" => {
            let (to, from) = flume::bounded(BATCHES_IN_FLIGHT);
            timed(|| batches(items, move |v| to.send(v).is_ok(), move || from.recv().ok()))
        }
        "std-vec" => {
            let (to, from) = mpsc::sync_channel(BATCHES_IN_FLIGHT);
            timed(|| batches(items, move |v| to.send(v).is_ok(), move || from.recv().ok()))
        }
        "rtrb-item" => {
            let (mut to, mut from) = rtrb::RingBuffer::new(ITEMS_IN_FLIGHT);
            let send = move |x| spin_push(&mut to, x);
            timed(|| each(items, send, move || Some(spin(|| from.pop().ok()))))
        }
        "crossbeam-item" => {
            let (to, from) = crossbeam_channel::bounded(ITEMS_IN_FLIGHT);
            timed(|| each(items, move |x| to.send(x).is_ok(), move || from.recv().ok()))
        }
        "tokio-vec" => on_tokio(tokio_vec(items))?,
        "tokio-item" => on_tokio(tokio_item(items))?,
        _ => return Err(task.unknown()),
    };
    Ok(Measured::with_sum(items, (sum?, seconds)))
}

fn batch_at(start: u64) -> impl Iterator<Item = u64> {
    start..start + BATCH
}

fn add(sum: u64, batch: &[u64]) -> u64 {
    batch.iter().fold(sum, |sum, &x| sum.wrapping_add(x))
}

/// Tries until there is a value: spins first, then yields, as two cores may run more than us.
fn spin<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut tries = 0u32;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        tries += 1;
        if tries < 200 {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Pushes, waiting for room; false when the consumer has gone.
fn spin_push<T>(to: &mut rtrb::Producer<T>, value: T) -> bool {
    let mut waiting = Some(value);
    spin(|| match to.push(waiting.take()?) {
        Ok(()) => Some(true),
        Err(_) if to.is_abandoned() => Some(false),
        Err(rtrb::PushError::Full(value)) => {
            waiting = Some(value);
            None
        }
    })
}

/// No hand-off at all: a batch is made, summed and dropped by one thread.
fn one_thread(items: u64) -> u64 {
    (0..items / BATCH).fold(0, |sum, batch| {
        let batch: Vec<u64> = hint::black_box(batch_at(batch * BATCH).collect());
        add(sum, &batch)
    })
}

/// Runs a producer on a thread of its own and the consumer on this one.
fn pair(
    produce: impl FnOnce() + Send,
    consume: impl FnOnce() -> Option<u64>,
) -> Result<u64, BenchError> {
    thread::scope(|scope| {
        let producer = scope.spawn(produce);
        let sum = consume();
        producer.join().map_err(|_| BenchError::panicked("the producer"))?;
        sum.ok_or_else(|| BenchError::Failed {
            what: "the hand-off",
            detail: "the channel closed before the last item".to_owned(),
        })
    })
}

/// Batches made by the producer and freed by the consumer.
fn batches(
    items: u64,
    mut send: impl FnMut(Vec<u64>) -> bool + Send,
    mut receive: impl FnMut() -> Option<Vec<u64>>,
) -> Result<u64, BenchError> {
    let produce = move || {
        for batch in 0..items / BATCH {
            if !send(batch_at(batch * BATCH).collect()) {
                return;
            }
        }
    };
    pair(produce, || (0..items / BATCH).try_fold(0, |sum, _| Some(add(sum, &receive()?))))
}

fn each(
    items: u64,
    mut send: impl FnMut(u64) -> bool + Send,
    mut receive: impl FnMut() -> Option<u64>,
) -> Result<u64, BenchError> {
    let produce = move || {
        for x in 0..items {
            if !send(x) {
                return;
            }
        }
    };
    pair(produce, || (0..items).try_fold(0u64, |sum, _| Some(sum.wrapping_add(receive()?))))
}

fn rtrb_vec(items: u64) -> Result<u64, BenchError> {
    let (mut to, mut from) = rtrb::RingBuffer::new(BATCHES_IN_FLIGHT);
    let send = move |batch| spin_push(&mut to, batch);
    batches(items, send, move || Some(spin(|| from.pop().ok())))
}

/// The limit: batches go back to the producer by a second ring, so nothing is allocated or freed
/// once as many batches exist as can be in flight.
fn rtrb_recycled(items: u64) -> Result<u64, BenchError> {
    let (mut to, mut from) = rtrb::RingBuffer::<Vec<u64>>::new(BATCHES_IN_FLIGHT);
    let (mut give_back, mut empties) = rtrb::RingBuffer::<Vec<u64>>::new(2 * BATCHES_IN_FLIGHT);
    let produce = move || {
        for index in 0..items / BATCH {
            let mut batch = empties.pop().unwrap_or_else(|_| Vec::with_capacity(BATCH_ITEMS));
            batch.clear();
            batch.extend(batch_at(index * BATCH));
            if !spin_push(&mut to, batch) {
                return;
            }
        }
    };
    let consume = move || {
        (0..items / BATCH).try_fold(0, |sum, _| {
            let batch = spin(|| from.pop().ok());
            let sum = add(sum, &batch);
            // A full return ring only means one allocation more.
            let _ = give_back.push(batch);
            Some(sum)
        })
    };
    pair(produce, consume)
}

fn on_tokio(
    work: impl Future<Output = Result<u64, BenchError>>,
) -> Result<(Result<u64, BenchError>, f64), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let runtime = runtime.map_err(|source| BenchError::System { what: "start tokio", source })?;
    Ok(timed(|| runtime.block_on(work)))
}

async fn tokio_vec(items: u64) -> Result<u64, BenchError> {
    let (to, mut from) = tokio::sync::mpsc::channel::<Vec<u64>>(BATCHES_IN_FLIGHT);
    tokio::spawn(async move {
        for batch in 0..items / BATCH {
            if to.send(batch_at(batch * BATCH).collect()).await.is_err() {
                return;
            }
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(batch) = from.recv().await {
            sum = add(sum, &batch);
        }
        sum
    });
    consumer.await.map_err(|_| BenchError::panicked("w2 tokio-vec"))
}

async fn tokio_item(items: u64) -> Result<u64, BenchError> {
    let (to, mut from) = tokio::sync::mpsc::channel::<u64>(ITEMS_IN_FLIGHT);
    tokio::spawn(async move {
        for x in 0..items {
            if to.send(x).await.is_err() {
                return;
            }
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0u64;
        while let Some(x) = from.recv().await {
            sum = sum.wrapping_add(x);
        }
        sum
    });
    consumer.await.map_err(|_| BenchError::panicked("w2 tokio-item"))
}
