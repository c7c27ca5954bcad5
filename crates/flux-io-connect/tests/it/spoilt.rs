//! Bytes spoilt at random, seeded: frames end at the same places however they come.

use flux_io_connect::frames::{
    CsvFraming, Cut, Delimited, Framing, LengthKind, LengthPrefix, LineFraming,
};

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Ends of frames in blocks of the lengths `cut` yields; whether the framing lost its way.
fn ends(
    framing: &mut dyn Framing,
    input: &[u8],
    mut cut: impl FnMut() -> usize,
) -> (Vec<usize>, bool) {
    framing.reset(true);
    let (mut ends, mut at) = (Vec::new(), 0);
    while at < input.len() {
        let to = input.len().min(at.saturating_add(cut().max(1)));
        match framing.find(&input[at..to]) {
            Cut::More => at = to,
            Cut::End(n) => {
                assert!(n > 0 && at + n <= to, "{framing:?}");
                at += n;
                let frame = &input[ends.last().copied().unwrap_or(0)..at];
                let (front, behind) = framing.trim(frame, ends.is_empty());
                assert!(front + behind <= frame.len(), "{framing:?}: {frame:?}");
                assert!(front + behind <= framing.overhead(), "{framing:?}");
                ends.push(at);
                framing.reset(false);
            }
            Cut::Lost(why) => {
                assert!(!why.is_empty());
                return (ends, true);
            }
        }
    }
    (ends, false)
}

#[test]
fn spoilt_frames_keep_the_laws() {
    const ODD: &[u8] = b"\"',;\n\r\0\x01\x02\x7F\x80\x81\xFF--ab\xEF\xBB\xBF";
    let mut random = Lcg(41);
    let kinds = [
        LengthKind::U16Be,
        LengthKind::U16Le,
        LengthKind::U32Be,
        LengthKind::U32Le,
        LengthKind::Varint,
    ];
    for round in 0..3_000 {
        let mut framings: Vec<Box<dyn Framing>> = vec![
            Box::new(LineFraming),
            Box::new(Delimited::new(b"--").unwrap()),
            Box::new(CsvFraming::new(b',', b'"')),
            Box::new(LengthPrefix::new(kinds[round % kinds.len()])),
        ];
        for framing in &mut framings {
            // A few good frames, then spoilt.
            let mut input = Vec::new();
            for _ in 0..random.below(5) {
                let content: Vec<u8> =
                    (0..random.below(12)).map(|_| ODD[random.below(ODD.len())]).collect();
                let before = input.len();
                if framing.write(&content, &mut input).is_err() {
                    input.truncate(before);
                }
            }
            for _ in 0..random.below(4) {
                let at = random.below(input.len() + 1);
                match random.below(3) {
                    0 => input.truncate(at),
                    1 => input.insert(at, ODD[random.below(ODD.len())]),
                    _ if at < input.len() => drop(input.remove(at)),
                    _ => {}
                }
            }
            let whole = ends(framing, &input, || usize::MAX);
            assert_eq!(ends(framing, &input, || 1), whole, "{framing:?}: {input:?}");
            let pieces = ends(framing, &input, || 1 + random.below(5));
            assert_eq!(pieces, whole, "{framing:?}: {input:?}");
        }
    }
}
