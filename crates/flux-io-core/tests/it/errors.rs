//! Classes, kinds, policies and records of failures.

use crate::kit::{check, with_cx};
use flux_io_core::{
    Batch, ByHand, Context, DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError,
    Original, Out, Retry, RowError, SourceId, Stage, StageCx, StageError, StageId, Step,
    WrongColumn, chain,
};
use proptest::prelude::any;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

fn record<T: Send + 'static>(original: T) -> ErrorRecord {
    let mut r = ErrorRecord::new(DeadCause::Conflict, "two limits");
    r.stage = StageId(3);
    r.stage_name = "accumulate".into();
    r.source = SourceId(1);
    r.seq = 42;
    r.key = Some(b"customer".to_vec());
    r.items = 2;
    r.attempts = 3;
    r.context = Some(Arc::new(Context::default().with_header("correlation-id", "c-1")));
    r.original = Original::value(original);
    r
}

/// Row 8. One record replaces a failed item and keeps its place, key, headers and the item itself;
/// as a typed dead letter nothing of it is lost.
#[test]
fn b108_one_record_keeps_what_was_known() {
    let letter = record(String::from("row")).into_dead_letter::<String>().unwrap();
    assert_eq!(letter.original, "row");
    let r = &letter.record;
    assert!(matches!(r.original, Original::None), "the item stands beside the record");
    assert_eq!(
        (r.stage, r.source, r.seq, r.cause),
        (StageId(3), SourceId(1), 42, DeadCause::Conflict)
    );
    assert_eq!((r.stage_name.as_str(), r.what.as_str()), ("accumulate", "two limits"));
    assert_eq!((r.key.as_deref(), r.items, r.attempts), (Some(&b"customer"[..]), 2, 3));
    assert_eq!(r.context.as_ref().unwrap().header("correlation-id"), Some("c-1"));
}

/// Row 8. Asked for another type, or where nothing was kept, the record comes back unchanged.
#[test]
fn a_record_comes_back_from_a_wrong_question() {
    let back = record(7u32).into_dead_letter::<String>().unwrap_err();
    assert_eq!((back.seq, back.cause), (42, DeadCause::Conflict));
    assert_eq!(back.into_dead_letter::<u32>().unwrap().original, 7);
    let plain = ErrorRecord::new(DeadCause::Poison, "torn");
    assert_eq!((plain.items, plain.attempts, plain.seq), (1, 1, 0));
    assert!(plain.into_dead_letter::<u32>().is_err());
    let mut bytes = ErrorRecord::new(DeadCause::Oversize, "long");
    bytes.original = Original::Bytes(vec![1, 2]);
    let back = bytes.into_dead_letter::<Vec<u8>>().unwrap_err();
    assert!(matches!(&back.original, Original::Bytes(b) if b == &[1, 2]));
    assert_eq!(format!("{:?}", back.original), "Bytes(2)", "content is not printed");
}

/// Sends every row to the dead letters with the context of its row.
struct Refuse;

impl Stage for Refuse {
    type In = Vec<u8>;
    type Out = Vec<u8>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u8>>,
        _out: &mut Out<'_, Vec<u8>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for (i, row) in input.col.drain(..).enumerate() {
            let mut r = ErrorRecord::new(DeadCause::Failed, "refused");
            r.seq = input.meta.seq.at(i);
            r.context = input.meta.context_at(i).map(Arc::clone);
            r.original = Original::value(row);
            cx.dead(r);
        }
        cx.dropped("skip", 2);
        cx.dropped("skip", 1);
        Ok(Step::Done)
    }
}

/// Rows 8, 183, 339. The correlation headers of a row travel into its error record, in order, and
/// what a stage drops is counted by cause.
#[test]
fn correlation_headers_reach_the_record() {
    let mut b = Batch::of(vec![10, 11]);
    b.meta.context = Some(Arc::new(Context::default().with_header("correlation-id", "all")));
    b.meta.exceptional =
        vec![(1, Arc::new(Context::default().with_header("correlation-id", "own")))];
    let mut hand = ByHand::new(Refuse);
    assert!(hand.feed(b).unwrap().is_empty());
    let dead = hand.take_dead();
    let seen: Vec<_> = dead
        .iter()
        .map(|r| (r.seq, r.context.as_ref().unwrap().header("correlation-id").unwrap()))
        .collect();
    assert_eq!(seen, [(0, "all"), (1, "own")]);
    assert_eq!(hand.take_dropped(), [("skip", 3)]);
    assert!(hand.take_dead().is_empty() && hand.take_dropped().is_empty());
}

/// Row 178. Three classes; errors of reading and writing have theirs by kind.
#[test]
fn classes_are_three() {
    assert_eq!(StageError::transient("x").class, ErrorClass::Transient);
    assert_eq!(StageError::permanent("x").class, ErrorClass::Permanent);
    assert_eq!(StageError::catastrophic("x").class, ErrorClass::Catastrophic);
    for (kind, class) in [
        (io::ErrorKind::Interrupted, ErrorClass::Transient),
        (io::ErrorKind::TimedOut, ErrorClass::Transient),
        (io::ErrorKind::WouldBlock, ErrorClass::Transient),
        (io::ErrorKind::NotFound, ErrorClass::Permanent),
        (io::ErrorKind::UnexpectedEof, ErrorClass::Permanent),
    ] {
        let e = StageError::io("reading", kind.into());
        assert_eq!((e.class, e.kind), (class, ErrorKind::Io), "{kind:?}");
        assert!(e.source().is_some());
    }
    let e: StageError = WrongColumn { want: "a", got: "b" }.into();
    assert_eq!((e.class, e.kind), (ErrorClass::Catastrophic, ErrorKind::Plan));
}

/// Row 179. The four kinds of the documents exist, and a kind says nothing of the class.
#[test]
fn kinds_are_apart_from_classes() {
    let kinds = [
        ErrorKind::CompletenessDeadlock,
        ErrorKind::KeyExplosion,
        ErrorKind::SpillFailure,
        ErrorKind::Serialization,
    ];
    for kind in kinds {
        for class in [ErrorClass::Transient, ErrorClass::Permanent, ErrorClass::Catastrophic] {
            let e = StageError::new(class, kind, "what");
            assert_eq!((e.class, e.kind, e.to_string()), (class, kind, "what".to_owned()));
        }
    }
}

/// Row 253. An error prints itself alone; a chain prints its causes once each.
#[test]
fn causes_are_printed_once() {
    let e = StageError::io("cannot open the input", io::Error::other("no such disk"));
    assert_eq!(e.to_string(), "cannot open the input");
    assert_eq!(chain(&e), "cannot open the input: no such disk");
    let outer = StageError::permanent("start").because(e);
    assert_eq!(chain(&outer), "start: cannot open the input: no such disk");
}

/// Row 8. Any error becomes a row error with its causes; the named constructors say the cause.
#[test]
fn any_error_becomes_a_row_error() {
    fn read(text: &str) -> Result<u8, RowError> {
        Ok(text.parse::<u8>()?)
    }
    let e = read("x").unwrap_err();
    assert_eq!((e.cause, e.class), (DeadCause::Failed, ErrorClass::Permanent));
    assert_eq!(e.what, "invalid digit found in string");
    assert_eq!(RowError::poison("p").cause, DeadCause::Poison);
    assert_eq!(RowError::wrong_type("t").cause, DeadCause::Type);
    assert_eq!(RowError::transient("t").class, ErrorClass::Transient);
}

/// Row 183. The words of the causes are a closed list, each once.
#[test]
fn causes_have_words() {
    use DeadCause as D;
    let all = [
        (D::Poison, "poison"),
        (D::Type, "type"),
        (D::Oversize, "oversize"),
        (D::NoKey, "no_key"),
        (D::Conflict, "conflict"),
        (D::RefusedKey, "refused_key"),
        (D::Expired, "expired"),
        (D::Evicted, "evicted"),
        (D::SpillFailure, "spill_failure"),
        (D::Abort, "abort"),
        (D::Invalid, "invalid"),
        (D::Failed, "failed"),
        (D::Panicked, "panicked"),
    ];
    for (cause, word) in all {
        assert_eq!((cause.as_str(), cause.to_string()), (word, word.to_owned()));
    }
}

/// Row 180. What follows a failure, by policy and class: only transient ones are tried again, and
/// only by a policy that says so.
#[test]
fn b099_a_policy_has_a_last_action() {
    let retry = Retry { attempts: 3, jitter_percent: 0, ..Retry::default() };
    for (then, policy) in [
        (GiveUp::Fail, OnError::Fail),
        (GiveUp::DeadLetter, OnError::DeadLetter),
        (GiveUp::Skip, OnError::Skip),
        (GiveUp::Skip, OnError::Retry { retry, then: GiveUp::Skip }),
        (GiveUp::DeadLetter, OnError::Retry { retry, then: GiveUp::DeadLetter }),
    ] {
        assert_eq!(policy.finally(), then);
        for class in [ErrorClass::Transient, ErrorClass::Permanent, ErrorClass::Catastrophic] {
            let again: Vec<_> = (1..5).map(|a| policy.retry_after(class, a, 0)).collect();
            let tries = matches!(policy, OnError::Retry { .. }) && class == ErrorClass::Transient;
            let want = if tries {
                [Some(100), Some(200), None, None].map(|ms| ms.map(Duration::from_millis))
            } else {
                [None; 4]
            };
            assert_eq!(again, want, "{policy:?} {class:?}");
        }
    }
    assert_eq!(OnError::default(), OnError::Fail);
}

/// Row 181. Waits grow by the factor up to the longest; the jitter only shortens, by its percent.
#[test]
fn backoff_follows_its_table() {
    let r = Retry {
        attempts: 9,
        first: Duration::from_millis(10),
        factor: 3,
        longest: Duration::from_millis(200),
        jitter_percent: 50,
    };
    let table = [(1, 10), (2, 30), (3, 90), (4, 200), (5, 200), (1_000_000_000, 200)];
    for (attempt, ms) in table {
        assert_eq!(r.delay(attempt, 0), Duration::from_millis(ms));
        assert_eq!(r.delay(attempt, u32::MAX), Duration::from_millis(ms) / 2);
    }
    let full = Retry { jitter_percent: 1_000, ..r };
    assert_eq!(full.delay(2, u32::MAX), Duration::ZERO, "beyond 100 percent is 100");
    let flat = Retry { factor: 0, ..r };
    assert_eq!(flat.delay(7, 0), r.first, "a factor below 1 is 1");
    check(
        181,
        &(1..40u32, any::<u32>(), 0..=100u32, 1..5u32),
        |(attempt, unit, jitter, factor)| {
            let r = Retry { jitter_percent: jitter, factor, ..r };
            let (most, some) = (r.delay(attempt, 0), r.delay(attempt, unit));
            assert!(some <= most && most <= r.longest);
            assert!(
                some >= most
                    .mul_f64(f64::from(100 - jitter) / 100.0)
                    .saturating_sub(Duration::from_nanos(1))
            );
            assert!(r.delay(attempt + 1, 0) >= most, "never shorter than the one before");
        },
    );
    // Reckoned in a few steps, whatever the number of the attempt.
    let steady = Retry { factor: 1, ..r };
    assert_eq!(steady.delay(u32::MAX, 0), r.first);
    let at_once = Retry { first: Duration::ZERO, ..r };
    assert_eq!(at_once.delay(u32::MAX, 0), Duration::ZERO);
    let slow = Retry { first: Duration::from_nanos(1), factor: 2, longest: Duration::MAX, ..r };
    assert_eq!(slow.delay(u32::MAX, 0), Duration::from_nanos(u64::MAX), "the longest in u64 ns");
    let huge = Retry { first: Duration::MAX, longest: Duration::MAX, ..r };
    assert!(huge.delay(3, 7) > Duration::from_secs(u64::from(u32::MAX)), "no overflow");
}

/// Row 181. The jitter's draws come from the context and are the same in every run.
#[test]
fn draws_repeat() {
    let draws = || with_cx(|cx| [cx.draw(), cx.draw(), cx.draw()]);
    assert_eq!(draws(), draws());
    assert_ne!(draws()[0], draws()[1]);
}
