//! A source into a sink by hand.

use crate::host::{block_on, inline};
use flux_io_connect::{forward, sink, source};
use flux_io_core::{Batch, IoCx, Sink, StageError};

/// Row 29. It drives, counts and closes.
#[test]
fn b081_forward_moves_every_row() {
    let (sink, rows) = sink::collect();
    let moved = block_on(forward(source::numbers(0..1000), sink, &inline(64))).unwrap();
    assert_eq!((moved, rows.is_closed()), (1000, true));
    assert_eq!(rows.take(), (0..1000).collect::<Vec<_>>());
}

/// Errors of either side are passed on and the sink is aborted.
#[test]
fn b081_forward_passes_errors_on() {
    let (sink, rows) = sink::collect();
    let failing = source::from_fn(|| async { Err::<Option<u64>, _>(StageError::permanent("no")) });
    let e = block_on(forward(failing, sink, &inline(64))).unwrap_err();
    assert_eq!((e.what.as_str(), rows.is_aborted()), ("no", true));

    let (sink, rows) = sink::collect();
    let e = block_on(forward(source::numbers(0..10), sink.with_cap(9), &inline(5))).unwrap_err();
    assert!(e.what.contains("the cap is 9"));
    assert_eq!((rows.len(), rows.is_aborted(), rows.is_closed()), (5, true, false));
}

/// A row that could not be read is not passed over in silence.
#[cfg(feature = "lines")]
#[test]
fn b081_forward_stops_at_faults() {
    let (sink, rows) = sink::collect_column();
    let lines = flux_io_connect::lines::reader("r", &b"ok\ntoo long\n"[..]).record_limit(3);
    let e = block_on(forward(lines, sink, &inline(64))).unwrap_err();
    assert!(e.what.contains("r line 2 (byte 3)"), "{}", e.what);
    assert!(rows.is_aborted());
}

/// Row 20. A sink of one's own needs `write` alone.
#[test]
fn b081_sinks_have_defaults() {
    struct Sum(std::sync::Arc<std::sync::atomic::AtomicU64>);
    impl Sink for Sum {
        type Col = Vec<u64>;
        async fn write(&mut self, b: &mut Batch<Vec<u64>>, _cx: &IoCx) -> Result<(), StageError> {
            self.0.fetch_add(b.col.drain(..).sum(), std::sync::atomic::Ordering::Relaxed);
            Ok(())
        }
    }
    let sum = std::sync::Arc::default();
    block_on(forward(source::numbers(0..10), Sum(std::sync::Arc::clone(&sum)), &inline(3)))
        .unwrap();
    assert_eq!(sum.load(std::sync::atomic::Ordering::Relaxed), 45);
}
