//! Envelopes, what they carry, and time.

use crate::kit::check;
use flux_io_core::{
    Attribute, Batch, Context, Cost, Envelope, EnvelopeMeta, Headers, Mark, Meta, Missing, Moment,
    Reason, Seq, Timestamp, TraceContext, Uniform, nanos_i64,
};
use proptest::prelude::any;
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn full_meta() -> EnvelopeMeta {
    let context = Context {
        headers: vec![("tenant".into(), "a".into())],
        trace: Some(TraceContext::parse(TRACE).unwrap()),
        attributes: vec![("score".into(), Attribute::Float(0.5))],
    };
    EnvelopeMeta {
        seq: 7,
        time: Timestamp(11),
        cost: Cost { bytes: 5_000_000_000, cpu_hint: 3 },
        context: Some(Arc::new(context)),
    }
}

/// Rows 1, 3. An envelope has payload, sequence number, time, cost, headers, trace and attributes;
/// mapping the payload keeps all of it, in any number of steps.
#[test]
fn map_keeps_the_metadata() {
    let e = Envelope::new("17", full_meta());
    let mapped = e.clone().map(|s| s.parse::<u32>().unwrap()).map(|n| n + 1);
    assert_eq!(mapped.payload, 18);
    assert_eq!(mapped.meta, full_meta());
    let at_once = e.map(|s| s.parse::<u32>().unwrap() + 1);
    assert_eq!(mapped, at_once, "map(f).map(g) == map(g . f)");
    let context = mapped.meta.context.unwrap();
    assert_eq!(context.header("tenant"), Some("a"));
    assert_eq!(context.attribute("score"), Some(&Attribute::Float(0.5)));
    assert_eq!(context.trace.as_ref().unwrap().to_string(), TRACE);
}

/// Row 2. Every envelope has a cost; bytes beyond 32 bits fit.
#[test]
fn cost_is_on_every_envelope() {
    assert_eq!(EnvelopeMeta::default().cost, Cost { bytes: 0, cpu_hint: 0 });
    let meta = Meta::default().envelope(0, Cost { bytes: u64::MAX, cpu_hint: u32::MAX });
    assert_eq!(meta.cost, Cost { bytes: u64::MAX, cpu_hint: u32::MAX });
}

/// Row 1. Of repeated headers and attributes the last one counts, and order is kept.
#[test]
fn the_last_header_wins() {
    let mut c =
        Context::default().with_header("a", "1").with_header("b", "2").with_header("a", "3");
    assert_eq!(c.header("a"), Some("3"));
    assert_eq!(c.header("b"), Some("2"));
    assert_eq!(c.header("A"), None);
    assert_eq!(c.headers.len(), 3);
    c.attributes = vec![
        ("x".into(), Attribute::Int(1)),
        ("x".into(), Attribute::List(vec![Attribute::Bool(true), Attribute::Text("t".into())])),
    ];
    assert!(matches!(c.attribute("x"), Some(Attribute::List(l)) if l.len() == 2));
    assert_eq!(c.attribute("y"), None);
}

/// Row 4. The W3C text of a trace context is read and written back unchanged.
#[test]
fn trace_context_goes_round() {
    check(4, &(any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>()), |(t, s, flags)| {
        let (mut trace_id, mut span_id) = (t, s);
        trace_id[15] |= 1;
        span_id[0] |= 1;
        let c = TraceContext { trace_id, span_id, flags, baggage: Vec::new() };
        assert_eq!(c.to_string().len(), 55);
        assert_eq!(TraceContext::parse(&c.to_string()).unwrap(), c);
    });
    let c = TraceContext::parse(TRACE).unwrap();
    assert_eq!((c.trace_id[0], c.span_id[7], c.flags), (0x4b, 0xb7, 1));
    assert!(c.baggage.is_empty());
}

/// Row 4. An empty or malformed id is refused with its place; untraced is `None`, never an empty id.
#[test]
fn b102_an_empty_trace_id_is_no_id() {
    assert_eq!(Context::default().trace, None);
    let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
    let golden = [
        (String::new(), 0, "wrong length"),
        (TRACE[..54].to_owned(), 54, "wrong length"),
        (format!("{TRACE}0"), 55, "wrong length"),
        (TRACE.replacen("00-", "01-", 1), 0, "unknown version"),
        (TRACE.replacen("6-0", "6_0", 1), 35, "missing separator"),
        (TRACE.replacen("b7-01", "b7_01", 1), 52, "missing separator"),
        (TRACE.replacen("4b", "4B", 1), 4, "not a hex digit"),
        (TRACE.replacen("-00f0", "-g0f0", 1), 36, "not a hex digit"),
        (TRACE.replacen("-01", "-0x", 1), 54, "not a hex digit"),
        (zero_trace, 3, "trace id is all zero"),
        (zero_span, 36, "span id is all zero"),
    ];
    for (text, at, why) in golden {
        let e = TraceContext::parse(&text).unwrap_err();
        assert_eq!((e.at, e.why), (at, why), "{text}");
    }
    assert_eq!(
        TraceContext::parse("").unwrap_err().to_string(),
        "bad traceparent at byte 0: wrong length; expected 00-<32 hex>-<16 hex>-<2 hex>"
    );
}

/// Row 4. No text of any bytes makes the reader panic.
#[test]
fn any_text_is_answered() {
    check(44, &"\\PC{0,60}", |text| {
        if let Ok(c) = TraceContext::parse(&text) {
            assert_eq!(c.to_string(), text);
        }
    });
    assert!(TraceContext::parse(&"\u{e4}".repeat(27)).is_err());
}

/// Row 5. A timestamp is a whole number; milliseconds of the original documents convert.
#[test]
fn timestamps_are_nanoseconds() {
    assert_eq!(Timestamp::from_millis(1_500), Timestamp(1_500_000_000));
    assert_eq!(Timestamp::from_secs(-2), Timestamp(-2_000_000_000));
    assert_eq!(Timestamp::from_secs(2), Timestamp::from_millis(2_000));
    assert!(Timestamp::MIN < Timestamp(0) && Timestamp(0) < Timestamp::MAX);
    assert_eq!(Timestamp(-3).to_string(), "-3ns");
}

/// Row 5. Wall or event time is data, waiting is measured by another type; both saturate, so that
/// no deadline is in the past by overflow.
#[test]
fn b103_two_clocks_are_two_types() {
    assert_ne!(TypeId::of::<Timestamp>(), TypeId::of::<Moment>());
    assert_eq!(Timestamp::from_secs(i64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::from_millis(i64::MIN), Timestamp::MIN);
    assert_eq!(nanos_i64(Duration::MAX), i64::MAX);
    assert_eq!(Moment(u64::MAX - 1).plus(Duration::MAX), Moment(u64::MAX));
    assert_eq!(Moment(3).since(Moment(5)), Duration::ZERO);
    check(103, &(any::<i64>(), any::<u64>(), any::<u32>()), |(t, m, ns)| {
        let d = Duration::from_nanos(u64::from(ns));
        assert!(Timestamp(t).plus(d) >= Timestamp(t));
        assert!(Timestamp(t).minus(d) <= Timestamp(t));
        assert!(Timestamp(t).plus(Duration::MAX) >= Timestamp(t));
        let later = Moment(m).plus(d);
        assert!(later >= Moment(m));
        assert!(later.since(Moment(m)) <= d);
        if later != Moment(u64::MAX) {
            assert_eq!(later.since(Moment(m)), d);
        }
    });
}

/// Row 7. A batch is a stream of envelopes: payload and metadata of each row, in order.
#[test]
fn a_batch_is_read_as_envelopes() {
    let shared = Arc::new(Context::default().with_header("k", "shared"));
    let own = Arc::new(Context::default().with_header("k", "own"));
    let mut b = Batch::of(vec!["a", "b", "c"]);
    b.meta.seq = Seq::Rows { base: 100, rows: vec![0, 3, 4] };
    b.meta.time = Uniform::Rows(vec![Timestamp(5), Timestamp(4), Timestamp(9)]);
    b.meta.context = Some(shared);
    b.meta.exceptional = vec![(1, own)];
    b.meta.marks = vec![Mark { at: 1, watermark: Timestamp(1) }];
    let cost = Cost { bytes: 1, cpu_hint: 1 };
    let stream: Vec<_> = b
        .col
        .iter()
        .enumerate()
        .map(|(i, &p)| Envelope::new(p, b.meta.envelope(i, cost)))
        .collect();
    let seen: Vec<_> = stream
        .iter()
        .map(|e| {
            let header = e.meta.context.as_ref().and_then(|c| c.header("k"));
            (e.payload, e.meta.seq, e.meta.time.0, header.unwrap())
        })
        .collect();
    let want = [("a", 100, 5, "shared"), ("b", 103, 4, "own"), ("c", 104, 9, "shared")];
    assert_eq!(seen, want);
}

/// Row 10. The text form of an outcome's headers has the four names of the documents.
#[test]
fn headers_have_a_text_form() {
    let missing = vec![
        Missing { name: "limit".into(), index: None },
        Missing { name: "line".into(), index: Some(2) },
    ];
    let h = Headers {
        completeness: 0.5,
        missing: Some(missing.into_boxed_slice()),
        spilled: true,
        reason: Reason::Ttl,
        fragments: 2,
        generation: 0,
    };
    let want = [
        ("acc.completeness", "0.5"),
        ("acc.missingVars", "limit,line:2"),
        ("acc.spilled", "true"),
        ("acc.reason", "ttl"),
    ];
    assert_eq!(h.to_text().map(|(n, v)| (n, v.to_owned())), want.map(|(n, v)| (n, v.to_owned())));
    let whole = Headers { completeness: 1.0, missing: None, spilled: false, ..h };
    assert_eq!(whole.to_text()[0].1, "1");
    assert_eq!(whole.missing_vars(), "");
}
