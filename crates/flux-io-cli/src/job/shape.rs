//! What an accumulator asks of a record, found once: its time, key, variable, bound and identity.

use super::fragment::{Declared, Fragments, Traits};
use crate::config::{self as file, Bound, EventTime};
use crate::expr::field_or_template;
use flux_io::accumulate::{Need, Policy, PolicyFault};
use flux_io::core::{RowError, Var, hash_of};
use flux_io::record::{Kind, Path, RecordRef, Template, parse_time};
use std::sync::Arc;

/// Seed of identities that are fields. They are compared inside one key only.
const ID_SEED: u64 = 0;

/// How a record becomes a fragment.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    time: Option<Path>,
    keyed: Option<Keyed>,
    key: String,
    variable: String,
}

#[derive(Clone, Debug)]
struct Keyed {
    key: Template,
    /// The key, when it is one field.
    field: Option<Path>,
    variable: Template,
    need: Arc<Need>,
    bounds: Vec<BoundOf>,
    id: Option<Path>,
}

/// A bound: whose fragment declares it, and in which field.
#[derive(Clone, Debug)]
struct BoundOf {
    variable: String,
    number: u16,
    field: Path,
}

impl Shape {
    /// The shape that a pipeline file describes.
    ///
    /// # Errors
    /// What of it cannot be read; a checked file has none of that.
    pub(crate) fn new(
        time: Option<&EventTime>,
        accumulate: Option<(&file::Accumulate, &Policy)>,
    ) -> Result<Self, String> {
        let path = |text: &str| Path::parse(text).map_err(|e| e.to_string());
        let time = time.map(|t| path(&t.field.value)).transpose()?;
        let keyed = accumulate.map(|(a, policy)| {
            let compiled = Need::compile(&policy.require).map_err(PolicyFault::from);
            let need = compiled.map_err(|e| e.to_string())?;
            let bound = |b: &Bound| {
                let number = need.bound(&b.name).ok_or_else(|| format!("no bound `{}`", b.name))?;
                Ok(BoundOf { variable: b.variable.clone(), number, field: path(&b.field.value)? })
            };
            let bounds = a.bounds.iter().map(bound).collect::<Result<_, String>>()?;
            let id = match &a.identity {
                file::Identity::Field(field) => Some(path(&field.value)?),
                file::Identity::Variable | file::Identity::SourceSeq => None,
            };
            let key = field_or_template(&a.key.value)?;
            let is_field = !a.key.value.contains(['{', '}']);
            let field = is_field.then(|| path(&a.key.value)).transpose()?;
            let variable = field_or_template(&a.variable.value)?;
            Ok::<_, String>(Keyed { key, field, variable, need: Arc::new(need), bounds, id })
        });
        let keyed = keyed.transpose()?;
        Ok(Self { time, keyed, key: String::new(), variable: String::new() })
    }

    /// Adds `record` to `out` as a fragment.
    ///
    /// # Errors
    /// Cause type: its time, variable, bound or identity is absent or of another kind. Nothing was
    /// added then. A record without a key is added without one.
    pub(crate) fn push(
        &mut self,
        record: RecordRef<'_>,
        line: u64,
        out: &mut Fragments,
    ) -> Result<(), RowError> {
        let time = self.time.as_ref().map_or(Ok(0), |path| time_of(record, path))?;
        let Some(keyed) = &self.keyed else {
            out.push(record.text().as_bytes(), None, Traits { time, line, ..Traits::default() });
            return Ok(());
        };
        self.variable.clear();
        let (var, bound) = keyed.variable(record, &mut self.variable)?;
        let id = keyed.id.as_ref().map_or(Ok(0), |path| id_of(record, path))?;
        self.key.clear();
        let has_key = keyed.key(record, &mut self.key)?;
        let key = has_key.then_some(self.key.as_bytes());
        out.push(record.text().as_bytes(), key, Traits { time, var, bound, id, line });
        Ok(())
    }
}

impl Keyed {
    fn variable(
        &self,
        record: RecordRef<'_>,
        text: &mut String,
    ) -> Result<(Var, Declared), RowError> {
        let named = self.need.groups() > 0;
        if !named && self.bounds.is_empty() {
            return Ok((Var::one(0), None));
        }
        self.variable.render_present(record, text)?;
        let var = if named { self.need.parse_var(text)? } else { Var::one(0) };
        for bound in &self.bounds {
            let of = text.strip_prefix(bound.variable.as_str());
            if of.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                return Ok((var, Some((bound.number, number(record, &bound.field)?))));
            }
        }
        Ok((var, None))
    }

    /// Appends the key; whether the record has one. A key that is one field is looked up once.
    #[inline]
    fn key(&self, record: RecordRef<'_>, text: &mut String) -> Result<bool, RowError> {
        let Some(field) = &self.field else {
            let absent = |path: &Path| record.find(path).is_none_or(|v| v.is_null());
            let has = !self.key.paths().any(absent);
            return if has { self.key.render(record, text).map(|()| true) } else { Ok(false) };
        };
        let Some(value) = record.find(field).filter(|v| !v.is_null()) else { return Ok(false) };
        match (value.kind(), value.as_str()) {
            (_, Some(inner)) => text.push_str(&inner),
            (Kind::Array | Kind::Object, _) => {
                return Err(value.wrong_type(field.as_str(), "a text or a number"));
            }
            _ => text.push_str(value.raw()),
        }
        Ok(true)
    }
}

fn number(record: RecordRef<'_>, field: &Path) -> Result<u32, RowError> {
    let value = record.need(field)?;
    let expected = "how many there are, an integer from 0 to 4294967295";
    let n = value.as_u64().and_then(|n| u32::try_from(n).ok());
    n.ok_or_else(|| value.wrong_type(field.as_str(), expected))
}

fn time_of(record: RecordRef<'_>, path: &Path) -> Result<i64, RowError> {
    let value = record.need(path)?;
    match value.kind() {
        Kind::Text => {
            let text = value.as_str().unwrap_or_default();
            parse_time(&text).map_err(|e| {
                let byte = value.at() + 1;
                RowError::wrong_type(format!("field `{path}` at byte {byte}: {e}"))
            })
        }
        _ => value.as_i64().ok_or_else(|| {
            value.wrong_type(path.as_str(), "an instant, a date or nanoseconds since 1970")
        }),
    }
}

fn id_of(record: RecordRef<'_>, path: &Path) -> Result<u64, RowError> {
    let value = record.need(path)?;
    let text = value.as_str();
    Ok(hash_of(text.as_deref().unwrap_or(value.raw()), ID_SEED))
}
