//! Connectors and formats by name, so that a program's users choose them in text and a plug-in adds
//! its own without a change here.
//!
//! An address is `scheme:rest`; without a scheme it is a path, and `-` is standard input or output.
//! A format says how rows lie in bytes; it is ignored by schemes whose rows are not cut from bytes.
//! A registry is a value: there is none for the whole process.
//!
//! ```
//! use flux_io_connect::registry::{Registry, Settings};
//! let registry = Registry::standard();
//! let orders = registry.source("orders/*.csv", &Settings::of("csv"))?;
//! let e = registry.source("orders.csv", &Settings::of("cvs")).unwrap_err();
//! assert_eq!(e.to_string(), "no format is called `cvs`; did you mean `csv`?");
//! # Ok::<(), flux_io_connect::registry::RegistryError>(())
//! ```

mod erased;
mod error;
mod standard;

pub use erased::{AnySink, AnySource};
pub use error::RegistryError;

use crate::frames::{Framing, Inputs, RECORD_LIMIT, Rows, read};
use crate::output::Compression;
use error::unknown;
use flux_io_core::{ByteColumn, StageError};
use std::collections::BTreeMap;
use std::fmt;

/// What a scheme or format is, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its name: lower-case letters, digits, `+`, `-` and `.`, two at least.
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
    /// Whether it can be read from.
    pub source: bool,
    /// Whether it can be written to.
    pub sink: bool,
    /// Options it knows, each with what it says.
    pub options: Vec<(String, String)>,
}

/// How a connector is set up, beside its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the format. Default: `lines`.
    pub format: String,
    /// Options of the format.
    pub options: BTreeMap<String, String>,
    /// Bytes a record may have. Default 1 MiB.
    pub record_limit: usize,
    /// Whether a file that is there is replaced. Default: not.
    pub overwrite: bool,
    /// How output is compressed; input is looked at. Default: not.
    pub compression: Compression,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: "lines".to_owned(),
            options: BTreeMap::new(),
            record_limit: RECORD_LIMIT,
            overwrite: false,
            compression: Compression::None,
        }
    }
}

impl Settings {
    /// A format, everything else by default.
    #[must_use]
    pub fn of(format: &str) -> Self {
        Self { format: format.to_owned(), ..Self::default() }
    }

    /// Sets an option of the format.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// What a scheme is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The address behind the scheme and its colon; the whole address when it has no scheme.
    pub rest: &'a str,
    /// How it is set up.
    pub settings: &'a Settings,
    framing: Box<dyn Framing>,
}

impl Request<'_> {
    /// The source that cuts the bytes of `inputs` as the format says.
    #[must_use]
    pub fn read(self, inputs: impl Inputs) -> AnySource {
        AnySource::new(read(inputs, self.framing).record_limit(self.settings.record_limit))
    }

    /// The rows of a sink as bytes, as the format says.
    #[must_use]
    pub fn rows(self) -> Rows<ByteColumn, Box<dyn Framing>> {
        Rows::new(self.framing)
    }
}

type OpenSource = Box<dyn Fn(Request<'_>) -> Result<AnySource, StageError> + Send + Sync>;
type OpenSink = Box<dyn Fn(Request<'_>) -> Result<AnySink, StageError> + Send + Sync>;
type MakeFraming =
    Box<dyn Fn(&BTreeMap<String, String>) -> Result<Box<dyn Framing>, String> + Send + Sync>;

struct Scheme {
    about: Descriptor,
    source: Option<OpenSource>,
    sink: Option<OpenSink>,
}

struct Format {
    about: Descriptor,
    make: MakeFraming,
}

/// Schemes and formats by name. [`Registry::default`] has none.
#[derive(Default)]
pub struct Registry {
    schemes: BTreeMap<String, Scheme>,
    formats: BTreeMap<String, Format>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (schemes, formats) = (self.schemes.keys(), self.formats.keys());
        write!(f, "Registry({:?}, {:?})", schemes.collect::<Vec<_>>(), formats.collect::<Vec<_>>())
    }
}

impl Registry {
    /// Files, standard input and output; lines, NDJSON, CSV, delimited and length-prefixed frames.
    #[must_use]
    pub fn standard() -> Self {
        standard::registry()
    }

    /// Adds a scheme that can be read from. `open` is called when a pipeline is made: it checks the
    /// address and leaves the opening to the source's first fill.
    ///
    /// # Errors
    /// [`RegistryError::Taken`] or [`RegistryError::Name`].
    pub fn add_source(
        &mut self,
        name: &str,
        what: &str,
        open: impl Fn(Request<'_>) -> Result<AnySource, StageError> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        let scheme = self.scheme(name, what)?;
        if scheme.source.is_some() {
            return Err(RegistryError::Taken { kind: "source scheme", name: name.to_owned() });
        }
        scheme.about.source = true;
        scheme.source = Some(Box::new(open));
        Ok(())
    }

    /// Adds a scheme that can be written to; one that can be read from may have the same name.
    ///
    /// # Errors
    /// As [`add_source`](Self::add_source).
    pub fn add_sink(
        &mut self,
        name: &str,
        what: &str,
        open: impl Fn(Request<'_>) -> Result<AnySink, StageError> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        let scheme = self.scheme(name, what)?;
        if scheme.sink.is_some() {
            return Err(RegistryError::Taken { kind: "sink scheme", name: name.to_owned() });
        }
        scheme.about.sink = true;
        scheme.sink = Some(Box::new(open));
        Ok(())
    }

    /// Adds a format with the options it knows, each with what it says. `make` is given options of
    /// these names alone.
    ///
    /// # Errors
    /// [`RegistryError::Taken`] or [`RegistryError::Name`].
    pub fn add_format(
        &mut self,
        name: &str,
        what: &str,
        options: &[(&str, &str)],
        make: impl Fn(&BTreeMap<String, String>) -> Result<Box<dyn Framing>, String>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), RegistryError> {
        if self.formats.contains_key(name) {
            return Err(RegistryError::Taken { kind: "format", name: name.to_owned() });
        }
        let mut about = descriptor(name, what)?;
        (about.source, about.sink) = (true, true);
        about.options = options.iter().map(|(n, w)| ((*n).to_owned(), (*w).to_owned())).collect();
        self.formats.insert(name.to_owned(), Format { about, make: Box::new(make) });
        Ok(())
    }

    /// All schemes, by name.
    pub fn schemes(&self) -> impl Iterator<Item = &Descriptor> {
        self.schemes.values().map(|s| &s.about)
    }

    /// All formats, by name.
    pub fn formats(&self) -> impl Iterator<Item = &Descriptor> {
        self.formats.values().map(|f| &f.about)
    }

    /// A source at an address.
    ///
    /// # Errors
    /// When the scheme, the format or an option is unknown, or the address is refused.
    pub fn source(&self, address: &str, settings: &Settings) -> Result<AnySource, RegistryError> {
        let (name, rest) = split(address, "stdin");
        let open = self.schemes.get(name).and_then(|s| s.source.as_ref()).ok_or_else(|| {
            let known = self.schemes.iter().filter(|s| s.1.source.is_some());
            unknown("source scheme", name, known.map(|s| s.0.as_str()))
        })?;
        let framing = self.framing(settings)?;
        open(Request { rest, settings, framing }).map_err(RegistryError::Refused)
    }

    /// A sink at an address.
    ///
    /// # Errors
    /// As [`source`](Self::source).
    pub fn sink(&self, address: &str, settings: &Settings) -> Result<AnySink, RegistryError> {
        let (name, rest) = split(address, "stdout");
        let open = self.schemes.get(name).and_then(|s| s.sink.as_ref()).ok_or_else(|| {
            let known = self.schemes.iter().filter(|s| s.1.sink.is_some());
            unknown("sink scheme", name, known.map(|s| s.0.as_str()))
        })?;
        let framing = self.framing(settings)?;
        open(Request { rest, settings, framing }).map_err(RegistryError::Refused)
    }

    /// The framing that settings ask for.
    ///
    /// # Errors
    /// When the format or an option is unknown, or an option's value is refused.
    pub fn framing(&self, settings: &Settings) -> Result<Box<dyn Framing>, RegistryError> {
        let name = settings.format.as_str();
        let format = self
            .formats
            .get(name)
            .ok_or_else(|| unknown("format", name, self.formats.keys().map(String::as_str)))?;
        let known = || format.about.options.iter().map(|o| o.0.as_str());
        if let Some(option) = settings.options.keys().find(|o| known().all(|k| k != *o)) {
            return Err(unknown("option of this format", option, known()));
        }
        let refused = |what| RegistryError::Option { format: name.to_owned(), what };
        (format.make)(&settings.options).map_err(refused)
    }

    fn scheme(&mut self, name: &str, what: &str) -> Result<&mut Scheme, RegistryError> {
        let about = descriptor(name, what)?;
        let new = || Scheme { about, source: None, sink: None };
        Ok(self.schemes.entry(name.to_owned()).or_insert_with(new))
    }
}

fn descriptor(name: &str, what: &str) -> Result<Descriptor, RegistryError> {
    if !is_name(name) {
        return Err(RegistryError::Name { name: name.to_owned() });
    }
    let (name, what) = (name.to_owned(), what.to_owned());
    Ok(Descriptor { name, what, source: false, sink: false, options: Vec::new() })
}

/// Two characters at least, so that the drive of a path is no scheme.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    name.len() > 1 && name.as_bytes()[0].is_ascii_lowercase() && name.bytes().all(fits)
}

/// Scheme and rest of an address; `standard` is the scheme of `-`.
fn split<'a>(address: &'a str, standard: &'static str) -> (&'a str, &'a str) {
    match address.split_once(':') {
        Some((scheme, rest)) if is_name(scheme) => (scheme, rest),
        _ if address == "-" => (standard, ""),
        _ => ("file", address),
    }
}
