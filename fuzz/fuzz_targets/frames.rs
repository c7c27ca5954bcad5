//! Framings: frames end at the same places however the bytes come, and a frame's marks lie in it.
#![no_main]

use flux_io_connect::frames::{
    CsvFraming, Cut, Delimited, Framing, LengthKind, LengthPrefix, LineFraming,
};
use libfuzzer_sys::fuzz_target;

/// Ends of frames; whether the framing lost its way behind the last one.
fn ends(framing: &mut dyn Framing, input: &[u8], block: usize) -> (Vec<usize>, bool) {
    framing.reset(true);
    let (mut ends, mut at) = (Vec::new(), 0);
    while at < input.len() {
        let to = input.len().min(at.saturating_add(block));
        match framing.find(&input[at..to]) {
            Cut::More => at = to,
            Cut::End(n) => {
                at += n;
                let first = ends.is_empty();
                let frame = &input[ends.last().copied().unwrap_or(0)..at];
                let (front, behind) = framing.trim(frame, first);
                assert!(front + behind <= frame.len());
                ends.push(at);
                framing.reset(false);
            }
            Cut::Lost(_) => return (ends, true),
        }
    }
    (ends, false)
}

fuzz_target!(|input: &[u8]| {
    let mut framings: Vec<Box<dyn Framing>> = vec![
        Box::new(LineFraming),
        Box::new(CsvFraming::new(b',', b'"')),
    ];
    if let Ok(delimited) = Delimited::new(b"--") {
        framings.push(Box::new(delimited));
    }
    for kind in [
        LengthKind::U16Be,
        LengthKind::U16Le,
        LengthKind::U32Be,
        LengthKind::U32Le,
        LengthKind::Varint,
    ] {
        framings.push(Box::new(LengthPrefix::new(kind)));
    }
    for mut framing in framings {
        let whole = ends(&mut framing, input, usize::MAX);
        assert_eq!(ends(&mut framing, input, 1), whole, "{framing:?}");
        assert_eq!(ends(&mut framing, input, 3), whole, "{framing:?}");
    }
});
