//! Functions that depend on the value's type, beside those the library brings for any type.

use super::meter;
use super::number::Number;
use super::value::Value;
use crate::value::Kind;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Error, RunPtr, ValR};
use jaq_std::ValT as _;

type Fault = Error<Value>;

/// What calls itself, before all other definitions. It does so behind `_loop`, as a tail call: run,
/// it takes no stack; as a path to assign to, which takes some for each turn, it is refused (`..`
/// and `walk` are for that).
pub(super) const LOOPS: &str = r#"
def _none: {}[] as $x | .;
def repeat(f): def rec: f, (_loop | rec); rec;
def recurse(f): def rec: ., (f | _loop | rec); rec;
def recurse: recurse(.[]?);
def recurse(f; cond): recurse(f | if cond then . else _none end);
def while(cond; update): def rec: if cond then ., (update | _loop | rec) else _none end; rec;
def until(cond; update): def rec: if cond then . else update | _loop | rec end; rec;
def getpath($path): if ($path | length) > 256 then "the path is longer than 256" | error_empty
  else reduce $path[] as $p (.; .[$p]) end;
"#;

/// What jq defines in its own language on top of [`functions`], behind all other definitions.
pub(super) const DEFINITIONS: &str = r#"
def tonumber: if isnumber then . elif isstring then _tonumber else error("cannot use \(type) as a number") end;
def toboolean: if isboolean then . elif . == "true" then true elif . == "false" then false
  else error("cannot use \(type) as a boolean") end;
def transpose: . as $rows | [range([.[] | length] | max // 0) as $i | [$rows[][$i]]];
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1];
def ascii: [.] | implode;
def @json: tojson;
def @csv: [.[] | if isstring then "\"" + (split("\"") | join("\"\"")) + "\"" elif . == null then "" else tostring end] | join(",");
def @tsv: [.[] | if isstring then split("\\") | join("\\\\") | split("\t") | join("\\t") | split("\n") | join("\\n") | split("\r") | join("\\r") elif . == null then "" else tostring end] | join("\t");
"#;

impl Value {
    fn length(&self) -> ValR<Self> {
        Ok(match self {
            Self::Null => Self::from(0_usize),
            Self::Number(Number::Int(i)) if *i != i64::MIN => Self::Number(Number::Int(i.abs())),
            Self::Number(n) => Self::from(n.as_f64().abs()),
            Self::Text(t) => {
                meter::steps(t.len() / 16);
                Self::from(t.chars().count())
            }
            Self::Array(a) => Self::from(a.items.len()),
            Self::Object(o) => Self::from(o.fields.len()),
            Self::Bool(_) => return Err(Fault::typ(self.clone(), "something with a length")),
        })
    }

    fn contains(&self, other: &Self) -> bool {
        meter::steps(1);
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => {
                meter::steps(a.len() / 16);
                a.contains(&**b)
            }
            (Self::Array(a), Self::Array(b)) => {
                b.items.iter().all(|b| a.items.iter().any(|a| a.contains(b)))
            }
            (Self::Object(a), Self::Object(b)) => {
                b.fields.iter().all(|(name, b)| a.get(name).is_some_and(|a| a.contains(b)))
            }
            (a, b) => a == b,
        }
    }

    /// Where `part` is found: of a text in characters.
    pub(super) fn indices(&self, part: &Self) -> ValR<Self> {
        Ok(match (self, part) {
            (Self::Text(t), Self::Text(p)) => {
                let mut found = Vec::new();
                for (n, (at, _)) in t.char_indices().enumerate() {
                    meter::steps(1);
                    if !p.is_empty() && t[at..].starts_with(&**p) {
                        found.push(n);
                    }
                }
                found.into_iter().map(Self::from).collect()
            }
            (Self::Array(a), Self::Array(p)) => {
                let windows = a.items.windows(p.items.len().max(1)).enumerate();
                windows.filter(|(_, w)| *w == p.items).map(|(i, _)| Self::from(i)).collect()
            }
            (Self::Array(a), p) => {
                let items = a.items.iter().enumerate();
                items.filter(|(_, item)| *item == p).map(|(i, _)| Self::from(i)).collect()
            }
            (Self::Null, _) => Self::Null,
            _ => return Err(Fault::index(self.clone(), part.clone())),
        })
    }

    /// The number that a text is.
    fn number(&self) -> ValR<Self> {
        let text = match self {
            Self::Text(text) => text.trim(),
            _ => "",
        };
        let number =
            Self::parse(text).ok().filter(|v| matches!(v.kind(), Kind::Integer | Kind::Float));
        number.ok_or_else(|| Fault::str("cannot use this text as a number"))
    }

    fn bsearch(&self, x: &Self) -> ValR<Self> {
        match self {
            Self::Array(a) => Ok(match a.items.binary_search(x) {
                Ok(i) => Self::from(i),
                Err(i) => Self::from(-1 - i as isize),
            }),
            other => Err(Fault::typ(other.clone(), "an array")),
        }
    }
}

/// A function of one number, on floats.
macro_rules! float {
    ($name:literal, $f:expr) => {
        ($name, v(0), |cv| {
            let f: fn(f64) -> f64 = $f;
            bome(match cv.1.as_f64() {
                Some(x) => Ok(Value::from(f(x))),
                None => Err(Fault::typ(cv.1, "a number")),
            })
        })
    };
}

/// The functions.
pub(super) fn functions() -> impl Iterator<Item = Fun<super::Program>> {
    let list: [Filter<RunPtr<super::Program>>; 20] = [
        ("_loop", v(0), |cv| bome(Ok(cv.1))),
        ("tojson", v(0), |cv| bome(Ok(Value::text(cv.1.to_json())))),
        ("fromjson", v(0), |cv| {
            bome(match &cv.1 {
                Value::Text(t) => {
                    Value::parse(t).map_err(|e| Fault::str(format_args!("not JSON: {e}")))
                }
                other => Err(Fault::typ(other.clone(), "a text")),
            })
        }),
        ("_tonumber", v(0), |cv| bome(cv.1.number())),
        ("length", v(0), |cv| bome(cv.1.length())),
        ("contains", v(1), |cv| unary(cv, |a, b| Ok(a.contains(&b).into()))),
        ("has", v(1), |cv| unary(cv, |a, k| a.at(&k).map(|found| found.is_some().into()))),
        ("indices", v(1), |cv| unary(cv, |a, b| a.indices(&b))),
        ("bsearch", v(1), |cv| unary(cv, |a, b| a.bsearch(&b))),
        ("isnan", v(0), |cv| bome(Ok(cv.1.as_f64().is_some_and(f64::is_nan).into()))),
        ("pow", v(2), |mut cv| {
            let (y, x) = (cv.0.pop_var(), cv.0.pop_var());
            bome(match (x.as_f64(), y.as_f64()) {
                (Some(x), Some(y)) => Ok(Value::from(x.powf(y))),
                _ => Err(Fault::math(x, jaq_core::ops::Math::Mul, y)),
            })
        }),
        float!("sqrt", f64::sqrt),
        float!("exp", f64::exp),
        float!("log", f64::ln),
        float!("log2", f64::log2),
        float!("log10", f64::log10),
        float!("sin", f64::sin),
        float!("cos", f64::cos),
        float!("trunc", f64::trunc),
        float!("fabs", f64::abs),
    ];
    list.into_iter().map(run::<super::Program>)
}
