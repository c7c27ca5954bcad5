//! Values into JSON, one a line.

use crate::output::{Encode, EncodeError};
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;

/// Each row as compact JSON with a line feed behind it.
pub struct JsonLines<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for JsonLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLines")
    }
}

impl<T> Default for JsonLines<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Serialize + Send + 'static> Encode for JsonLines<T> {
    type Col = Vec<T>;
    const KIND: &'static str = "ndjson";

    fn encode(&mut self, col: &Vec<T>, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (row, value) in col.iter().enumerate() {
            let start = to.len();
            if let Err(e) = serde_json::to_writer(&mut *to, value) {
                return Err(EncodeError { row, what: e.to_string() });
            }
            // Only raw values bring line feeds, and there they are white space: inside strings
            // JSON has them escaped.
            if let Some(i) = memchr::memchr(b'\n', &to[start..]) {
                to[start + i..].iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
            }
            to.push(b'\n');
        }
        Ok(())
    }
}
