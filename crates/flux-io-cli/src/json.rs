//! Lines of JSON that the program itself writes.

use crate::job::json_text;
use std::fmt::Display;

/// One object, written member by member, in order.
#[derive(Clone, Debug)]
pub(crate) struct Object(Vec<u8>);

impl Object {
    /// An event; every line that the program reports has its name first.
    pub(crate) fn event(name: &str) -> Self {
        Self::new().text("event", name)
    }

    pub(crate) fn new() -> Self {
        Self(b"{".to_vec())
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        json_text(name.as_bytes(), &mut self.0);
        self.0.push(b':');
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        json_text(value.as_bytes(), &mut self.0);
        self
    }

    /// A list of texts.
    pub(crate) fn texts<'a>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.name(name);
        self.0.push(b'[');
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                self.0.push(b',');
            }
            json_text(value.as_bytes(), &mut self.0);
        }
        self.0.push(b']');
        self
    }

    /// A number or boolean.
    pub(crate) fn plain(mut self, name: &str, value: impl Display) -> Self {
        self.name(name);
        self.0.extend_from_slice(value.to_string().as_bytes());
        self
    }

    pub(crate) fn object(mut self, name: &str, value: Self) -> Self {
        self.name(name);
        self.0.extend_from_slice(&value.end());
        self
    }

    /// Counts by name.
    pub(crate) fn counts<N: Display>(
        self,
        name: &str,
        counts: impl IntoIterator<Item = (N, u64)>,
    ) -> Self {
        let all = counts.into_iter();
        let object = all.fold(Self::new(), |o, (of, n)| o.plain(&of.to_string(), n));
        self.object(name, object)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// The object as a line without its end.
    pub(crate) fn line(self) -> String {
        String::from_utf8_lossy(&self.end()).into_owned()
    }
}
