//! How large a record may be. Input from outside meets these limits before it costs memory.

/// Limits of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its text; 1 MiB.
    pub bytes: usize,
    /// Objects and arrays inside each other, the record itself counted; 128, which is also the
    /// most that is honoured.
    pub depth: u32,
    /// Fields of the record itself; 4,096.
    pub fields: usize,
    /// Characters of one number; 1,024.
    pub number: usize,
}

/// The deepest nesting that any limit allows: values are walked by recursion.
pub(crate) const MAX_DEPTH: u32 = 128;

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: MAX_DEPTH, fields: 4096, number: 1024 }
    }
}
