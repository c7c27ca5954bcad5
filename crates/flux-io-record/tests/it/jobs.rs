//! The two standing jobs' data, read as a pipeline file reads it, against the kit's slow and sure
//! reading: same dead letters with the same causes, same key, variable, time and canonical text.

use flux_io_core::{DeadCause, RowError};
use flux_io_record::{
    Decode, Limits, NdjsonDecoder, Path, RecordColumn, RecordRef, Template, parse_time,
};
use flux_io_testkit::jobs::data_dir;
use flux_io_testkit::jobs::fragment::{DeadCause as KitCause, Fragment, Job, MAX_ORDER_LINES};
use flux_io_testkit::jobs::lines::Lines;

/// What a pipeline file says of a job.
struct Reading {
    job: Job,
    key: Template,
    variable: Template,
    ts: Path,
    lines: Path,
}

impl Reading {
    fn of(job: Job) -> Self {
        let (key, variable) = match job {
            Job::Flights => ("{flight}", "{kind}"),
            Job::Orders => ("{order}", "{kind}:{line}"),
        };
        let template = |text| Template::parse(text).unwrap();
        let (ts, lines) = (Path::field("ts"), Path::field("lines"));
        Self { job, key: template(key), variable: template(variable), ts, lines }
    }

    fn read(&self, record: RecordRef<'_>) -> Result<Fragment, RowError> {
        let (mut key, mut variable, mut canonical) = <(String, String, String)>::default();
        self.key.render(record, &mut key)?;
        self.variable.render_present(record, &mut variable)?;
        let ts = parse_time(&record.read_str(&self.ts)?);
        let ts = ts.map_err(|e| RowError::wrong_type(e.to_string()))?;
        let bit = (0..=2 * MAX_ORDER_LINES)
            .find(|&bit| self.job.variable(bit).as_deref() == Some(variable.as_str()))
            .ok_or_else(|| RowError::wrong_type("the variable is unknown"))?;
        let declares = match (self.job, bit) {
            (Job::Orders, 0) => Some(record.read_u64(&self.lines)? as u32),
            _ => None,
        };
        record.canonical_json(&mut canonical);
        Ok(Fragment { key, bit, ts, declares, canonical: canonical.into_bytes() })
    }
}

fn cause(kit: KitCause) -> DeadCause {
    match kit {
        KitCause::Oversize => DeadCause::Oversize,
        KitCause::Poison => DeadCause::Poison,
        KitCause::Type => DeadCause::Type,
        KitCause::NoKey => DeadCause::NoKey,
    }
}

/// Reads a file in blocks of 64 KiB and compares each line; returns (fragments, dead letters).
fn compare(job: Job, file: &str) -> (usize, usize) {
    let lines = Lines::read(&data_dir().join(file)).unwrap();
    let reading = Reading::of(job);
    let mut decoder = NdjsonDecoder::new(Limits::default());
    let (mut column, mut refused) = (RecordColumn::default(), vec![]);
    for block in lines.as_ndjson().chunks(65_536) {
        let mut bad =
            |r: flux_io_record::Rejected<'_>| refused.push((r.place.record, r.error.cause));
        assert_eq!(decoder.decode(block, &mut column, usize::MAX, &mut bad), block.len());
    }
    decoder.finish(&mut column, &mut |r| refused.push((r.place.record, r.error.cause)));
    let (mut records, mut refused) = (column.iter(), refused.into_iter().peekable());
    let (mut good, mut dead) = (0, 0);
    for (i, line) in lines.iter().enumerate() {
        let ours = match refused.next_if(|(record, _)| *record == i as u64 + 1) {
            Some((_, cause)) => Err(cause),
            None => reading.read(records.next().unwrap()).map_err(|e| e.cause),
        };
        let theirs = job.parse(line).map_err(cause);
        assert_eq!(ours, theirs, "{file}, line {}", i + 1);
        *if ours.is_ok() { &mut good } else { &mut dead } += 1;
    }
    assert_eq!((records.next().is_none(), refused.next()), (true, None));
    (good, dead)
}

/// A week of real flights: every line is a fragment.
#[test]
fn flights_read_as_the_kit_reads_them() {
    let (good, dead) = compare(Job::Flights, "flights-week.ndjson.gz");
    assert!(good > 20_000, "{good}");
    assert_eq!(dead, 0);
}

/// Orders with chaos: torn lines, wrong types and records over the limit are told apart.
#[test]
fn orders_with_chaos_read_as_the_kit_reads_them() {
    let (good, dead) = compare(Job::Orders, "orders-0.01-time-chaos.ndjson.gz");
    assert!(good > 100_000 && dead > 10, "{good} {dead}");
}
