//! The keys of the language, written once: the reader asks for nothing else, unknown keys are told
//! by it, and the JSON Schema is made of it.

use super::model as m;

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Form {
    /// A text.
    Text,
    /// `true` or `false`.
    Bool,
    /// An integer in a range.
    Integer(u64, u64),
    /// A finite number above 0.
    Number,
    /// `"15min"`.
    Duration,
    /// `"64MiB"`.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these.
    List(&'static Form),
    /// A table with any names.
    Map(&'static Form),
    /// A table.
    Table(&'static Shape),
    /// Tables by name: `[source.NAME]`.
    Named(&'static Shape),
    /// Several tables: `[[stage]]`.
    Tables(&'static Shape),
    /// One of these.
    Either(&'static [Form]),
    /// A rule inside a rule.
    Rule,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

impl Shape {
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, form, required: false, about }
}
const fn must(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, form, required: true, about }
}

const U32: u64 = u32::MAX as u64;
const I64: u64 = i64::MAX as u64;
const TEXTS: Form = Form::List(&Form::Text);
const BAD: &str = "What happens to a record that fails: dead_letter (default), skip or fail.";

pub(super) static PIPELINE: Shape = Shape {
    about: "A flux-io pipeline.",
    keys: &[
        must("version", Form::Integer(1, 1), "Version of this language: 1."),
        key("name", Form::Text, "Name of the pipeline, for plans and reports."),
        key("run", Form::Table(&RUN), "Engine and bounds."),
        must("source", Form::Named(&SOURCE), "Where records come from, by name."),
        key("stage", Form::Tables(&STAGE), "What is done to each record, in order."),
        key("event_time", Form::Table(&EVENT_TIME), "The time of a record."),
        key("accumulate", Form::Table(&ACCUMULATE), "What is assembled, and its policy."),
        key("route", Form::Tables(&ROUTE), "Where results go that satisfy a filter."),
        must("sink", Form::Named(&SINK), "Where results go, by name."),
        key("test", Form::Tables(&TEST), "Inputs with their expected outcomes."),
    ],
};

static RUN: Shape = Shape {
    about: "Engine and bounds of a run.",
    keys: &[
        key("budget", Form::Size, "Memory for keyed state; 256MiB when not given."),
        key("engine", Form::Word(m::Engine::WORDS), "Which engine runs it; tokio when not given."),
        key(
            "workers",
            Form::Integer(1, 1024),
            "Instances of the accumulator; one a core when not given.",
        ),
        key(
            "batch_rows",
            Form::Integer(1, 16_384),
            "Rows of a batch at most; 1024 when not given.",
        ),
        key(
            "max_stall",
            Form::Either(&[Form::Word(&["off"]), Form::Duration]),
            "A run that stands still so long is told why, and fails if it can never go on; 30s when not given.",
        ),
    ],
};

static SOURCE: Shape = Shape {
    about: "A source of records.",
    keys: &[
        key(
            "kind",
            Form::Word(m::SourceKind::WORDS),
            "Where bytes come from; file when not given.",
        ),
        key("path", Form::Text, "File, or glob with * ? [..] and **."),
        must("format", Form::Word(m::Format::WORDS), "How bytes are records."),
        key("compression", Form::Word(m::Compression::WORDS), "By the name's end when not given."),
        key("record_limit", Form::Size, "Bytes of a record at most; 1MiB when not given."),
        key("on_bad", Form::Word(m::OnBad::WORDS), BAD),
        key("delimiter", Form::Text, "csv: the character between fields; a comma when not given."),
        key(
            "quote",
            Form::Text,
            "csv: the character around fields; a double quote when not given.",
        ),
        key("names", TEXTS, "csv: names of the fields; the first record when not given."),
        key(
            "length",
            Form::Word(m::FrameLength::WORDS),
            "frames: the length in front; u32be when not given.",
        ),
    ],
};

static STAGE: Shape = Shape {
    about: "One step: a name and exactly one of filter, select, drop, rename, cast, set, parse_time, jq.",
    keys: &[
        must("name", Form::Text, "Its name; it stands in reports and dead letters."),
        key("of", TEXTS, "The sources whose records it handles; all when not given."),
        key(
            "filter",
            Form::Text,
            "Only records that pass go on: \"dep_delay > 15 and carrier == 'UA'\".",
        ),
        key("select", TEXTS, "Only these fields stay, in this order."),
        key("drop", TEXTS, "These fields go."),
        key("rename", Form::Map(&Form::Text), "Fields get new names: { old = \"new\" }."),
        key(
            "cast",
            Form::Map(&Form::Word(m::CastTo::WORDS)),
            "Values become another kind: { price = \"float\" }.",
        ),
        key(
            "set",
            Form::Map(&Form::Either(&[
                Form::Text,
                Form::Bool,
                Form::Integer(0, I64),
                Form::Number,
            ])),
            "Fields get values; a text may hold fields in braces.",
        ),
        key("parse_time", TEXTS, "Instants and dates become nanoseconds since 1970."),
        key("jq", Form::Text, "A jq program makes the record anew."),
        key("on_bad", Form::Word(m::OnBad::WORDS), BAD),
    ],
};

static EVENT_TIME: Shape = Shape {
    about: "The time of a record.",
    keys: &[
        must(
            "field",
            Form::Text,
            "The field with an RFC 3339 instant, a date, or nanoseconds since 1970.",
        ),
        key("lag", Form::Duration, "How far records may be out of order; 0s when not given."),
        key("idle_after", Form::Duration, "A source silent this long does not hold the others up."),
    ],
};

pub(super) static ACCUMULATE: Shape = Shape {
    about: "What is assembled, and its policy.",
    keys: &[
        key("name", Form::Text, "Its name, the identity of its state; assemble when not given."),
        must(
            "key",
            Form::Text,
            "What fragments belong to: a field, or a template like \"{date}/{flight}\".",
        ),
        must(
            "variable",
            Form::Text,
            "What a fragment is: a field, or a template like \"{kind}:{line}\"; an absent field is left out with the text in front of it.",
        ),
        must(
            "required",
            Form::Rule,
            "When a key is complete: [\"header\", \"shipped:1..{lines}\"], or a rule.",
        ),
        key(
            "bounds",
            Form::Map(&Form::Text),
            "Where the names in braces are declared: { lines = \"header.lines\" }.",
        ),
        key("emit", Form::Word(m::Emit::WORDS), "What a result holds; fragments when not given."),
        key(
            "identity",
            Form::Either(&[Form::Word(&["variable", "source_seq"]), Form::Table(&IDENTITY)]),
            "What makes two fragments the same; variable when not given.",
        ),
        key(
            "expire_after",
            Form::Duration,
            "Deadline in event time from the key's first fragment.",
        ),
        key("inactive_after", Form::Duration, "Inactivity in event time."),
        key("timeout", Form::Duration, "Deadline by the clock."),
        key("idle_timeout", Form::Duration, "Inactivity by the clock."),
        key(
            "flush_after",
            Form::Duration,
            "A partial leaves this long after the key opened, by the clock.",
        ),
        key(
            "on_expire",
            Form::Either(&[Form::Word(m::Then::WORDS), Form::Table(&EXTEND)]),
            "What happens at a deadline; partial when not given.",
        ),
        key(
            "after",
            Form::Word(m::After::WORDS),
            "What stays of a key that has left; tombstone when not given.",
        ),
        key(
            "tombstone_ttl",
            Form::Either(&[Form::Word(&["end"]), Form::Duration]),
            "How long a tombstone stays, in event time; end (of input) when not given.",
        ),
        key("max_tombstones", Form::Integer(1, I64), "Tombstones at most; the oldest goes first."),
        key(
            "on_late",
            Form::Word(m::OnLate::WORDS),
            "New fragments of keys that have left; side_output when not given.",
        ),
        key("on_duplicate", Form::Word(m::OnDuplicate::WORDS), "Copies; count when not given."),
        key(
            "on_unkeyed",
            Form::Either(&[Form::Word(&["dead_letter"]), Form::Table(&UNKEYED)]),
            "Records without a key; dead_letter when not given.",
        ),
        key(
            "on_end",
            Form::Word(m::OnEnd::WORDS),
            "Open keys at the end of input; partial when not given.",
        ),
        key("max_keys", Form::Integer(1, I64), "Open keys at most."),
        key("max_bytes", Form::Size, "Bytes of open keys at most."),
        key("max_items", Form::Integer(1, I64), "Fragments held at most."),
        key(
            "max_key_items",
            Form::Integer(1, I64),
            "Fragments of one key at most; reaching it flushes the key.",
        ),
        key("max_key_bytes", Form::Size, "Bytes of one key at most; reaching it flushes the key."),
        key("new_keys", Form::Table(&NEW_KEYS), "The gate for new keys."),
        key(
            "on_limit",
            Form::Word(m::OnLimit::WORDS),
            "What happens at a limit; evict when not given.",
        ),
        key(
            "evict",
            Form::Word(m::Evict::WORDS),
            "How a key leaves that makes room; partial when not given.",
        ),
        key(
            "max_index",
            Form::Integer(1, U32),
            "Largest number of a numbered variable; 1048576 when not given.",
        ),
        key(
            "completion",
            Form::Word(m::Completion::WORDS),
            "When a spilled key completes; auto when not given.",
        ),
    ],
};

pub(super) static RULE: Shape = Shape {
    about: "A rule: exactly one of all, any, at_least (with of), count, count_from, weight (with of), and, or.",
    keys: &[
        key("all", TEXTS, "All of these."),
        key("any", TEXTS, "At least one of these."),
        key("at_least", Form::Integer(1, U32), "At least so many of the variables in `of`."),
        key("count", Form::Integer(1, U32), "So many fragments, whatever they are."),
        key("count_from", Form::Text, "As many fragments as this name of `bounds` declares."),
        key("weight", Form::Number, "The weights in `of` of those that are there reach this."),
        key(
            "of",
            Form::Either(&[TEXTS, Form::Map(&Form::Number)]),
            "Variables of at_least; variables with weights of weight.",
        ),
        key("and", Form::List(&Form::Rule), "All of these rules."),
        key("or", Form::List(&Form::Rule), "At least one of these rules."),
    ],
};

pub(super) static IDENTITY: Shape = Shape {
    about: "A user's own identity.",
    keys: &[must("field", Form::Text, "The field that tells fragments of a key apart.")],
};

pub(super) static EXTEND: Shape = Shape {
    about: "A deadline that moves.",
    keys: &[
        must("extend", Form::Integer(1, U32), "How often it moves by its own length."),
        key("then", Form::Word(m::Then::WORDS), "What follows; partial when not given."),
    ],
};

pub(super) static UNKEYED: Shape = Shape {
    about: "A key for records without one.",
    keys: &[must("key", Form::Text, "The key they count as of.")],
};

pub(super) static NEW_KEYS: Shape = Shape {
    about: "How many new keys may open.",
    keys: &[
        must("per_second", Form::Integer(1, U32), "Keys a second."),
        must("burst", Form::Integer(1, U32), "Keys at once."),
    ],
};

static ROUTE: Shape = Shape {
    about: "Results that satisfy a filter go to a sink, before the sinks' own takes.",
    keys: &[
        must("name", Form::Text, "Its name."),
        key(
            "of",
            Form::List(&Form::Word(m::Takes::WORDS)),
            "The classes it looks at; all when not given.",
        ),
        must(
            "when",
            Form::Text,
            "The filter, on what the sink gets: \"record.kwh > 3.5\" when merged.",
        ),
        must("to", Form::Text, "The sink."),
    ],
};

static SINK: Shape = Shape {
    about: "A sink of results.",
    keys: &[
        key("kind", Form::Word(m::SinkKind::WORDS), "Where to; file when not given."),
        key("path", Form::Text, "The file."),
        key("format", Form::Word(m::OutFormat::WORDS), "ndjson when not given."),
        key("compression", Form::Word(m::Compression::WORDS), "By the name's end when not given."),
        key(
            "columns",
            Form::List(&Form::Text),
            "Columns of csv, in order; the first result's fields when not given.",
        ),
        key("takes", Form::List(&Form::Word(m::Takes::WORDS)), "The classes that go here."),
    ],
};

static TEST: Shape = Shape {
    about: "An input with its expected outcome.",
    keys: &[
        must("name", Form::Text, "Its name."),
        key("source", Form::Text, "The source that reads it; the only one when not given."),
        must("input", Form::Text, "The bytes the source reads, uncompressed."),
        key("expect", Form::Tables(&EXPECT), "What must come out."),
        key("dead_letters", Form::Integer(0, I64), "How many dead letters."),
        key("duplicates", Form::Integer(0, I64), "How many duplicates."),
    ],
};

static EXPECT: Shape = Shape {
    about: "An expected outcome.",
    keys: &[
        must("key", Form::Text, "The key, as text."),
        must("status", Form::Word(m::ExpectStatus::WORDS), "How it leaves."),
        key("missing", TEXTS, "What is missing of a partial."),
    ],
};
