//! Laws of a [`Sink`].

use super::{MOST_POLLS, drive, poll_and_drop};
use crate::doubles::ManualHost;
use flux_io_core::{Batch, Column, Sink};
use std::fmt::Debug;

/// Checks the laws of a sink. `world` makes the place it writes to, anew; `make` the sink;
/// `read_back` reads what is visible there; `rows` gives rows, always the same.
pub fn laws<W, S: Sink, V: PartialEq + Debug>(
    world: impl Fn() -> W,
    make: impl Fn(&W) -> S,
    read_back: impl Fn(&W) -> Vec<V>,
    rows: impl Fn() -> S::Col,
) {
    what_was_accepted_is_there_at_the_close(&world, &make, &read_back, &rows);
    a_dropped_write_loses_nothing(&world, &make, &read_back, &rows);
    an_empty_output_is_finished_too(&world, &make, &read_back);
}

/// Writes `rows` in batches of `size` and closes.
fn written<W, S: Sink, V>(
    world: &W,
    make: &impl Fn(&W) -> S,
    read_back: &impl Fn(&W) -> Vec<V>,
    rows: S::Col,
    size: usize,
) -> Vec<V> {
    let host = ManualHost::new();
    let io = host.io(size);
    let mut sink = make(world);
    for mut part in super::stage::split(Batch::of(rows), size) {
        drive(&host, sink.write(&mut part, &io));
        assert!(part.is_empty(), "`write` takes all rows");
    }
    drive(&host, sink.flush(&io));
    drive(&host, sink.close(&io));
    read_back(world)
}

/// What was written is visible after the close, once, in order, whatever the batches.
pub fn what_was_accepted_is_there_at_the_close<W, S: Sink, V: PartialEq + Debug>(
    world: &impl Fn() -> W,
    make: &impl Fn(&W) -> S,
    read_back: &impl Fn(&W) -> Vec<V>,
    rows: &impl Fn() -> S::Col,
) {
    let n = rows().rows();
    let one = written(&world(), make, read_back, rows(), 1);
    assert_eq!(one.len(), n, "every row once");
    for size in [2, 7, n.max(1)] {
        assert_eq!(written(&world(), make, read_back, rows(), size), one, "batches of {size}");
    }
}

/// I5: a write that is dropped whenever it is pending, and offered what is left, loses nothing and
/// doubles nothing.
pub fn a_dropped_write_loses_nothing<W, S: Sink, V: PartialEq + Debug>(
    world: &impl Fn() -> W,
    make: &impl Fn(&W) -> S,
    read_back: &impl Fn(&W) -> Vec<V>,
    rows: &impl Fn() -> S::Col,
) {
    let expected = written(&world(), make, read_back, rows(), 3);
    let (host, place) = (ManualHost::new(), world());
    let io = host.io(3);
    let mut sink = make(&place);
    let mut polls = 0;
    for mut part in super::stage::split(Batch::of(rows()), 3) {
        loop {
            polls += 1;
            assert!(polls < MOST_POLLS, "dropped at every wait, the write never ends");
            match poll_and_drop(&host, polls % 7, sink.write(&mut part, &io)) {
                Some(Ok(())) => break,
                Some(Err(e)) => super::broken(&flux_io_core::chain(&e)),
                None => {}
            }
        }
        assert!(part.is_empty());
    }
    drive(&host, sink.close(&io));
    assert_eq!(read_back(&place), expected);
}

/// A sink that was given nothing can be closed, and an empty batch is no row.
pub fn an_empty_output_is_finished_too<W, S: Sink, V: PartialEq + Debug>(
    world: &impl Fn() -> W,
    make: &impl Fn(&W) -> S,
    read_back: &impl Fn(&W) -> Vec<V>,
) {
    for write in [false, true] {
        let (host, place) = (ManualHost::new(), world());
        let io = host.io(8);
        let mut sink = make(&place);
        if write {
            drive(&host, sink.write(&mut Batch::default(), &io));
        }
        drive(&host, sink.close(&io));
        assert_eq!(read_back(&place).len(), 0);
    }
}
