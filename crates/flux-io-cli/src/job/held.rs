//! What an accumulator holds of a key: the texts of its fragments, one behind the other.

use super::fragment::{Declared, FragmentRef, Fragments};
use flux_io::core::{Accumulate, At, Original, RowError, StageError, Var};

/// Bytes in front of each text: group, number and length, little end first.
const HEAD: usize = 10;

/// Fragments of a key in the order they came. One allocation a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(Vec<u8>);

impl Held {
    fn push(&mut self, var: Var, text: &[u8]) {
        self.0.reserve(HEAD + text.len());
        self.0.extend_from_slice(&var.group.to_le_bytes());
        self.0.extend_from_slice(&var.index.to_le_bytes());
        self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.extend_from_slice(text);
    }

    /// The fragments as they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Var, &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (head, behind) = rest.split_first_chunk::<HEAD>()?;
            let [g0, g1, i0, i1, i2, i3, n0, n1, n2, n3] = *head;
            let group = u16::from_le_bytes([g0, g1]);
            let index = u32::from_le_bytes([i0, i1, i2, i3]);
            let len = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
            let (text, next) = behind.split_at_checked(len)?;
            rest = next;
            Some((Var { group, index }, text))
        })
    }

    /// Puts the fragments into `parts` in the order of the requirement, which is that of their
    /// variables; of one variable, in the order they came.
    pub(crate) fn ordered<'a>(&'a self, parts: &mut Vec<(Var, &'a [u8])>) {
        parts.extend(self.iter());
        parts.sort_by_key(|(var, _)| *var);
    }
}

/// A fragment that its key had merged before a bound ruled it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuledOut(pub(crate) Vec<u8>);

/// How fragments of pipeline files become results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assemble;

impl Accumulate<Fragments> for Assemble {
    type Key = Vec<u8>;
    type State = Held;
    type Out = Held;

    fn init(&self) -> Held {
        Held::default()
    }
    #[inline]
    fn var(&self, row: FragmentRef<'_>) -> Result<Var, RowError> {
        Ok(row.traits.var)
    }
    #[inline]
    fn bound(&self, row: FragmentRef<'_>) -> Declared {
        row.traits.bound
    }
    fn identity(&self, row: FragmentRef<'_>) -> u64 {
        row.traits.id
    }
    #[inline]
    fn update(&self, held: &mut Held, row: FragmentRef<'_>, _: At) -> Result<(), RowError> {
        held.push(row.traits.var, row.text);
        Ok(())
    }
    fn take_back(&self, held: &mut Held, group: u16, last: u32) -> Option<Vec<Original>> {
        let (mut kept, mut gone) = (Held::default(), Vec::new());
        for (var, text) in held.iter() {
            if var.group == group && var.index > last {
                gone.push(Original::value(RuledOut(text.to_vec())));
            } else {
                kept.push(var, text);
            }
        }
        *held = kept;
        Some(gone)
    }
    fn takes_back(&self) -> bool {
        true
    }
    fn finish(&self, _: &Vec<u8>, held: &mut Held) -> Held {
        std::mem::take(held)
    }
    fn weight(&self, held: &Held) -> usize {
        held.0.capacity()
    }
    fn save(&self, held: &Held, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend_from_slice(&held.0);
        Ok(())
    }
    fn load(&self, from: &[u8]) -> Result<Held, StageError> {
        Ok(Held(from.to_vec()))
    }
}
