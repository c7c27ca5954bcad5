//! The dataflows. Sources yield after a bounded number of items per scheduling, as timely programs
//! do to keep queues short.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use bench_common::{VARIABLES, burn, fragment_at, keep, map_first, map_second, mix, record_sum};
use hashbrown::{HashMap, hash_map::Entry};
use serde::{Deserialize, Serialize};
use timely::{
    Container,
    container::CapacityContainerBuilder,
    dataflow::{
        ProbeHandle, Scope, Stream,
        channels::pact::{Exchange, ParallelizationContract, Pipeline},
        operators::{
            Probe,
            generic::operator::{Operator, source},
            vec::{Filter, Map},
        },
    },
    worker::Worker,
};

use crate::Total;

pub(crate) type Seeded = foldhash::fast::RandomState;
const COMPLETE: u8 = (1 << VARIABLES) - 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OwnedFragment {
    key: u64,
    variable: u8,
    value: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Parts {
    seen: u8,
    values: [String; VARIABLES],
}

/// This worker's share of 0..n.
fn share(worker: &Worker, n: u64) -> Range<u64> {
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);
    n * index / peers..n * (index + 1) / peers
}

/// W1.
pub(crate) fn map_filter_map_sum(worker: &mut Worker, n: u64, total: Total) {
    let range = share(worker, n);
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let mapped = source_of(scope, range, 65_536).map(map_first).filter(keep).map(map_second);
        sum_into(mapped, Pipeline, |x| x, total, &probe);
    });
}

/// The workload `cpu`.
pub(crate) fn burn_sum(worker: &mut Worker, n: u64, total: Total) {
    let range = share(worker, n);
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let burnt = source_of(scope, range, 1024).map(burn);
        sum_into(burnt, Pipeline, |x| x, total, &probe);
    });
}

/// W2: worker 0 produces, every item is exchanged to worker 1.
pub(crate) fn exchange_to_second_worker(worker: &mut Worker, n: u64, total: Total) {
    let range = if worker.index() == 0 { 0..n } else { 0..0 };
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let numbers = source_of(scope, range, 16_384);
        sum_into(numbers, Exchange::new(|_: &u64| 1), |x| x, total, &probe);
    });
}

/// W5: fragments are exchanged by key and assembled in a map of owned values.
pub(crate) fn assemble(worker: &mut Worker, n: u64, total: Total) {
    let range = share(worker, n);
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let fragments = source_of(scope, range.map(owned_fragment), 8192);
        let by_key = Exchange::new(|fragment: &OwnedFragment| mix(fragment.key));
        let mut open: HashMap<u64, Parts, Seeded> = HashMap::default();
        let records = fragments.unary::<CapacityContainerBuilder<Vec<(u64, Parts)>>, _, _, _>(
            by_key,
            "assemble",
            move |_, _| {
                move |input, output| {
                    input.for_each_time(|time, batches| {
                        let mut session = output.session(&time);
                        for fragment in batches.flat_map(|batch| batch.drain(..)) {
                            if let Some(record) = apply(&mut open, fragment) {
                                session.give(record);
                            }
                        }
                    });
                }
            },
        );
        let checksum = |(key, parts): (u64, Parts)| {
            record_sum(key, parts.values.each_ref().map(|v| v.as_bytes()))
        };
        sum_into(records, Pipeline, checksum, total, &probe);
    });
}

fn owned_fragment(index: u64) -> OwnedFragment {
    let fragment = fragment_at(index);
    OwnedFragment { key: fragment.key, variable: fragment.variable, value: fragment.value }
}

/// Takes one fragment and gives the record that it completes.
fn apply(open: &mut HashMap<u64, Parts, Seeded>, fragment: OwnedFragment) -> Option<(u64, Parts)> {
    let (key, bit) = (fragment.key, 1u8 << fragment.variable);
    match open.entry(key) {
        Entry::Occupied(mut entry) => {
            let parts = entry.get_mut();
            parts.values[usize::from(fragment.variable)] = fragment.value;
            parts.seen |= bit;
            (parts.seen == COMPLETE).then(|| (key, entry.remove()))
        }
        Entry::Vacant(entry) => {
            let mut parts = Parts { seen: bit, ..Parts::default() };
            parts.values[usize::from(fragment.variable)] = fragment.value;
            entry.insert(parts);
            None
        }
    }
}

/// A source that gives at most `items_per_turn` items and then lets other operators run.
pub(crate) fn source_of<'s, T: Clone + 'static>(
    scope: Scope<'s, u64>,
    items: impl Iterator<Item = T> + 'static,
    items_per_turn: usize,
) -> Stream<'s, u64, Vec<T>>
where
    Vec<T>: Container,
{
    source::<_, CapacityContainerBuilder<Vec<T>>, _, _>(scope, "source", move |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut items = Some((capability, items.fuse()));
        move |output| {
            let Some((capability, rest)) = items.as_mut() else { return };
            let mut session = output.session(capability);
            for _ in 0..items_per_turn {
                let Some(item) = rest.next() else {
                    drop(session);
                    items = None;
                    return;
                };
                session.give(item);
            }
            activator.activate();
        }
    })
}

/// Sums what arrives and adds the sum to `total` when the input has ended.
fn sum_into<'s, T: Clone + 'static>(
    stream: Stream<'s, u64, Vec<T>>,
    pact: impl ParallelizationContract<u64, Vec<T>>,
    value_of: impl Fn(T) -> u64 + 'static,
    total: Total,
    probe: &ProbeHandle<u64>,
) where
    Vec<T>: Container,
{
    let sink = stream.unary_frontier::<CapacityContainerBuilder<Vec<u64>>, _, _, _>(
        pact,
        "sum",
        move |_, _| {
            let mut sum = 0u64;
            let mut ended = false;
            move |(input, frontier), _| {
                input.for_each_time(|_, batches| {
                    for item in batches.flat_map(|batch| batch.drain(..)) {
                        sum = sum.wrapping_add(value_of(item));
                    }
                });
                if frontier.is_empty() && !ended {
                    ended = true;
                    total.fetch_add(sum, Relaxed);
                }
            }
        },
    );
    sink.probe_with(probe);
}
