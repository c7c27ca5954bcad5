//! Fragments as a column of our own: the values of a batch in one buffer.

use bench_common::{key_and_variable, value64};
use flux_io::core::{ByteColumn, Column};

/// Fragments side by side.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    keys: Vec<u64>,
    variables: Vec<u8>,
    values: ByteColumn,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct FragmentRef<'a> {
    pub(super) key: u64,
    pub(super) variable: u8,
    pub(super) value: &'a [u8],
}

impl Fragments {
    /// Adds the fragment at `index` of the input.
    #[inline(always)]
    pub(super) fn push_at(&mut self, index: u64) {
        let (key, variable) = key_and_variable(index);
        self.keys.push(key);
        self.variables.push(variable);
        self.values.push(&value64(key, variable));
    }
}

impl Column for Fragments {
    type Ref<'a> = FragmentRef<'a>;
    type Mut<'a> = FragmentRef<'a>;

    #[inline(always)]
    fn rows(&self) -> usize {
        self.keys.len()
    }

    #[inline(always)]
    fn row(&self, i: usize) -> FragmentRef<'_> {
        let (key, variable) = (self.keys[i], self.variables[i]);
        FragmentRef { key, variable, value: self.values.row(i) }
    }

    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> FragmentRef<'_> {
        self.row(i)
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.variables.clear();
        self.values.clear();
    }

    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (i, &part) in to.iter().enumerate() {
            let row = self.row(i);
            let out = &mut outs[part as usize];
            out.keys.push(row.key);
            out.variables.push(row.variable);
            out.values.push(row.value);
        }
        self.clear();
    }

    fn append(&mut self, other: &mut Self) {
        self.keys.append(&mut other.keys);
        self.variables.append(&mut other.variables);
        self.values.append(&mut other.values);
    }

    fn bytes(&self) -> usize {
        self.keys.capacity() * 8 + self.variables.capacity() + self.values.bytes()
    }
}
