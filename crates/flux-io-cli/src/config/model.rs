//! A pipeline file, read and checked.

use super::choice::choices;
use std::ops::Range;
use std::time::Duration;

/// A value and where it stands in the file, for messages of later phases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place, as offsets in bytes into the text.
    pub at: Range<usize>,
}

/// A text in the language of fields, templates, filters or jq.
pub type Expr = Located<String>;

/// A whole pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Its name; `pipeline` when none is given.
    pub name: String,
    /// Engine and bounds.
    pub run: Run,
    /// Where records come from, by name.
    pub sources: Vec<Source>,
    /// What is done to each record, in order.
    pub stages: Vec<Stage>,
    /// The time of a record.
    pub event_time: Option<EventTime>,
    /// What is assembled.
    pub accumulate: Option<Accumulate>,
    /// Where results go that satisfy a filter, before the sinks' own `takes`.
    pub routes: Vec<Route>,
    /// Where results go, by name.
    pub sinks: Vec<Sink>,
    /// Inputs with their expected outcomes.
    pub tests: Vec<Fixture>,
}

/// Engine and bounds of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Memory for keyed state, in bytes; 256 MiB.
    pub budget: Located<u64>,
    /// Which engine; tokio.
    pub engine: Engine,
    /// Instances of the accumulator; `None`: one a core.
    pub workers: Option<u32>,
    /// Rows of a batch at most; 1,024.
    pub batch_rows: u32,
    /// How long the run may stand still before that is told; 30 s. `None`: it is not looked at.
    pub max_stall: Option<Duration>,
}

choices! {
    /// An engine.
    Engine {
        /// One thread.
        Sync = "sync",
        /// A pool of asynchronous workers.
        Tokio = "tokio",
        /// A pool of work-stealing threads.
        Rayon = "rayon",
    }
    /// Where bytes come from.
    SourceKind {
        /// Files.
        File = "file",
        /// Standard input.
        Stdin = "stdin",
    }
    /// How bytes are records.
    Format {
        /// One JSON object a line.
        Ndjson = "ndjson",
        /// Comma-separated values with a header.
        Csv = "csv",
        /// One text a line, as the field `line`.
        Lines = "lines",
        /// Length-prefixed frames, each a JSON object.
        Frames = "frames",
    }
    /// How bytes are compressed.
    Compression {
        /// By the name's end: `.gz`, `.zst`, else not.
        Auto = "auto",
        /// Not.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// zstd.
        Zstd = "zstd",
    }
    /// The length in front of a frame.
    FrameLength {
        /// 16 bits, big end first.
        U16Be = "u16be",
        /// 16 bits, little end first.
        U16Le = "u16le",
        /// 32 bits, big end first.
        U32Be = "u32be",
        /// 32 bits, little end first.
        U32Le = "u32le",
        /// 7 bits a byte, low first, as protocol buffers delimit messages.
        Varint = "varint",
    }
    /// What happens to a record that fails.
    OnBad {
        /// It goes to the dead letters.
        DeadLetter = "dead_letter",
        /// It is dropped and counted.
        Skip = "skip",
        /// The run ends.
        Fail = "fail",
    }
    /// What a cast makes of a value.
    CastTo {
        /// A text.
        Text = "text",
        /// An integer of 64 bits.
        Integer = "integer",
        /// A number.
        Float = "float",
        /// A boolean.
        Bool = "bool",
    }
    /// Where results are written.
    SinkKind {
        /// A file.
        File = "file",
        /// Standard output.
        Stdout = "stdout",
        /// Nowhere; they are counted.
        Null = "null",
    }
    /// How results are written.
    OutFormat {
        /// One JSON object a line.
        Ndjson = "ndjson",
        /// Comma-separated values; fields as texts.
        Csv = "csv",
    }
    /// A class of results.
    Takes {
        /// Everything required was there.
        Complete = "complete",
        /// It left before it was complete.
        Partial = "partial",
        /// New fragments of keys that had left.
        Late = "late",
        /// Results corrected by late fragments.
        Corrected = "corrected",
        /// Records of a pipeline without an accumulator.
        Records = "records",
        /// What could not be read or used, with the reason.
        DeadLetters = "dead_letters",
    }
    /// What a complete or partial result holds.
    Emit {
        /// The fragments, in the order of the requirement.
        Fragments = "fragments",
        /// One object with the fields of all fragments; of a repeated field the last fragment's.
        Merged = "merged",
    }
    /// What follows the last extension of a deadline.
    Then {
        /// A partial result.
        Partial = "partial",
        /// A dead letter.
        DeadLetter = "dead_letter",
        /// Nothing; counted.
        Drop = "drop",
        /// The run fails.
        Abort = "abort",
    }
    /// What stays of a key that has left.
    After {
        /// A tombstone: copies are duplicates, new fragments are late.
        Tombstone = "tombstone",
        /// Its generation number.
        Reset = "reset",
        /// Nothing.
        Remove = "remove",
    }
    /// What happens to a new fragment of a key that has left.
    OnLate {
        /// It is emitted alone.
        SideOutput = "side_output",
        /// It is counted and forgotten.
        Drop = "drop",
        /// It opens the key again.
        NewGeneration = "new_generation",
        /// The result is emitted again with it.
        Correct = "correct",
    }
    /// What happens to a copy.
    OnDuplicate {
        /// It is counted.
        Count = "count",
        /// It becomes a dead letter.
        DeadLetter = "dead_letter",
    }
    /// What happens to open keys at the end of input.
    OnEnd {
        /// They leave as partials.
        Partial = "partial",
        /// They leave as dead letters.
        DeadLetter = "dead_letter",
        /// They leave without a result.
        Drop = "drop",
        /// They stay open for the next run.
        Keep = "keep",
    }
    /// What happens at a limit.
    OnLimit {
        /// The key longest without a new fragment leaves, as `evict` says.
        Evict = "evict",
        /// New keys are refused as dead letters.
        Refuse = "refuse",
    }
    /// How a key leaves that makes room.
    Evict {
        /// As a partial.
        Partial = "partial",
        /// As a dead letter.
        DeadLetter = "dead_letter",
    }
    /// When a spilled key completes.
    Completion {
        /// Prompt while the index fits, then deferred.
        Auto = "auto",
        /// As its last fragment comes.
        Prompt = "prompt",
        /// When its partition is swept.
        Deferred = "deferred",
    }
    /// How a key of a fixture leaves.
    ExpectStatus {
        /// Complete.
        Complete = "complete",
        /// Partial.
        Partial = "partial",
        /// Late.
        Late = "late",
    }
}

/// A source.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: Located<String>,
    /// Where bytes come from.
    pub kind: SourceKind,
    /// File or glob; `None` for standard input.
    pub path: Option<Located<String>>,
    /// How bytes are records.
    pub format: Format,
    /// How bytes are compressed.
    pub compression: Compression,
    /// Bytes of a record at most; 1 MiB.
    pub record_limit: u64,
    /// What happens to a record that cannot be read; dead letter.
    pub on_bad: OnBad,
    /// How CSV is written.
    pub csv: CsvShape,
    /// The length in front of a frame.
    pub frame_length: FrameLength,
}

/// How CSV is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvShape {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Names of the fields; `None`: the first record.
    pub names: Option<Vec<String>>,
}

impl Default for CsvShape {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"', names: None }
    }
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: Located<String>,
    /// The sources whose records it handles; empty: all.
    pub of: Vec<Located<String>>,
    /// What it does.
    pub op: Op,
    /// What happens to a record that fails in it; dead letter.
    pub on_bad: OnBad,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Only records that pass go on.
    Filter(Expr),
    /// Only these fields stay, in this order.
    Select(Vec<String>),
    /// These fields go.
    Drop(Vec<String>),
    /// Fields get new names: (old, new).
    Rename(Vec<(String, String)>),
    /// Values become another kind.
    Cast(Vec<(String, CastTo)>),
    /// Fields get values.
    Set(Vec<(String, SetValue)>),
    /// Texts become nanoseconds since 1970.
    ParseTime(Vec<String>),
    /// A jq program makes the record anew.
    Jq(Expr),
}

/// A value that a field is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text made of fields.
    Template(Expr),
}

/// The time of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// The field with an RFC 3339 instant, a date, or nanoseconds since 1970.
    pub field: Expr,
    /// How far records may be out of order; 0.
    pub lag: Duration,
    /// A source without records this long does not hold the others up; never.
    pub idle_after: Option<Duration>,
}

/// One required variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// For one that comes once a line: the numbers 1 up to this.
    pub each: Option<UpTo>,
}

/// How far the numbers of a variable go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// As far as a fragment declares; a name of `bounds`.
    Declared(String),
    /// A fixed number, at least 1.
    Fixed(u32),
}

/// When a key is complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// All of these.
    All(Vec<Part>),
    /// At least one of these.
    Any(Vec<Part>),
    /// At least so many of these.
    KOfN(u32, Vec<Part>),
    /// So many fragments.
    Count(u32),
    /// As many fragments as this bound says.
    CountFrom(String),
    /// The weights of those that are there reach this.
    Weighted(f64, Vec<(Part, f64)>),
    /// All of these rules.
    And(Vec<Rule>),
    /// At least one of these rules.
    Or(Vec<Rule>),
}

/// Where a bound is declared: `lines = "header.lines"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its name.
    pub name: String,
    /// The variable whose fragment declares it.
    pub variable: String,
    /// The field of that fragment, an integer.
    pub field: Expr,
}

/// What makes two fragments the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Their variable.
    Variable,
    /// Source and sequence number.
    SourceSeq,
    /// A field.
    Field(Expr),
}

/// What happens at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpire {
    /// The key leaves.
    Leave(Then),
    /// The deadline moves by its own length, so often; then the key leaves.
    Extend {
        /// How often.
        times: u32,
        /// How it leaves.
        then: Then,
    },
}

/// How long a tombstone stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// To the end of input.
    ToEnd,
    /// This long in event time.
    For(Duration),
}

/// What happens to a record without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnUnkeyed {
    /// A dead letter.
    DeadLetter,
    /// It counts as of this key.
    Key(String),
}

/// The gate for new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKeys {
    /// Keys a second.
    pub per_second: u32,
    /// Keys at once.
    pub burst: u32,
}

/// What is assembled, and the whole policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulate {
    /// Its name, the identity of its state.
    pub name: String,
    /// The key: a field, or a template when it holds `{`.
    pub key: Expr,
    /// The variable: a field, or a template when it holds `{`.
    pub variable: Expr,
    /// When a key is complete.
    pub required: Located<Rule>,
    /// Where bounds are declared.
    pub bounds: Vec<Bound>,
    /// What a result holds.
    pub emit: Emit,
    /// What makes two fragments the same.
    pub identity: Identity,
    /// Deadline in event time from the key's first fragment.
    pub expire_after: Option<Duration>,
    /// Inactivity in event time.
    pub inactive_after: Option<Duration>,
    /// Deadline by the clock.
    pub timeout: Option<Duration>,
    /// Inactivity by the clock.
    pub idle_timeout: Option<Duration>,
    /// A partial leaves this long after the key opened, by the clock.
    pub flush_after: Option<Duration>,
    /// What happens at a deadline.
    pub on_expire: OnExpire,
    /// What stays of a key.
    pub after: After,
    /// How long a tombstone stays.
    pub tombstone_ttl: Keep,
    /// Tombstones at most.
    pub max_tombstones: Option<u64>,
    /// New fragments of keys that have left.
    pub on_late: OnLate,
    /// Copies.
    pub on_duplicate: OnDuplicate,
    /// Records without a key.
    pub on_unkeyed: OnUnkeyed,
    /// Open keys at the end.
    pub on_end: OnEnd,
    /// Open keys at most.
    pub max_keys: Option<u64>,
    /// Bytes of open keys at most.
    pub max_bytes: Option<u64>,
    /// Fragments held at most.
    pub max_items: Option<u64>,
    /// Fragments of one key at most.
    pub max_key_items: Option<u64>,
    /// Bytes of one key at most.
    pub max_key_bytes: Option<u64>,
    /// The gate for new keys.
    pub new_keys: Option<NewKeys>,
    /// What happens at a limit.
    pub on_limit: OnLimit,
    /// How a key leaves that makes room.
    pub evict: Evict,
    /// Largest number of a numbered variable.
    pub max_index: Option<u32>,
    /// When a spilled key completes.
    pub completion: Completion,
}

/// Results that satisfy a filter go to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: Located<String>,
    /// The classes it looks at; empty: all.
    pub of: Vec<Takes>,
    /// The filter.
    pub when: Expr,
    /// The sink.
    pub to: Located<String>,
}

/// A sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name.
    pub name: Located<String>,
    /// Where to.
    pub kind: SinkKind,
    /// The file.
    pub path: Option<Located<String>>,
    /// How.
    pub format: OutFormat,
    /// Compressed.
    pub compression: Compression,
    /// Columns of CSV, in order; `None`: the fields of the first result.
    pub columns: Option<Vec<String>>,
    /// The classes that go here unless a route took them.
    pub takes: Vec<Takes>,
}

/// An input with its expected outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixture {
    /// Its name.
    pub name: Located<String>,
    /// The source that reads it; the only one when not given.
    pub source: Option<Located<String>>,
    /// The bytes.
    pub input: String,
    /// What must come out, by key.
    pub expect: Vec<Expect>,
    /// Dead letters, when counted.
    pub dead_letters: Option<u64>,
    /// Duplicates, when counted.
    pub duplicates: Option<u64>,
}

/// One expected outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The key, as text.
    pub key: String,
    /// How it leaves.
    pub status: ExpectStatus,
    /// What is missing.
    pub missing: Vec<String>,
}
