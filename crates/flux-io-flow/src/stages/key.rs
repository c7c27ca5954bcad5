//! `key_by`: adds the column of key hashes; rows move without a copy.

use super::row_wise::Judging;
use flux_io_core::{
    Batch, Column, Control, KeyOf, OnError, Out, Stage, StageCx, StageError, Step, UNKEYED,
};
use std::fmt;
use std::marker::PhantomData;

/// The hash of a key under a seed.
pub(crate) type HashUnder = Box<dyn Fn(u64) -> u64 + Send>;

/// The stage of `key_by`. A row without a key gets [`UNKEYED`], or the hash of the keyed stage's default
/// key, and goes on: what happens to it is for the keyed stage to say, which counts it (B76).
pub struct KeyRows<C, KO> {
    key: KO,
    default: Option<HashUnder>,
    /// The hash of rows without a key.
    unkeyed: u64,
    judging: Judging,
    hash: Vec<u64>,
    column: PhantomData<fn() -> C>,
}

impl<C, KO> fmt::Debug for KeyRows<C, KO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRows")
    }
}

impl<C, KO> KeyRows<C, KO> {
    /// Keys by `key`; `on` is for rows on which its closure panics.
    pub fn new(key: KO, on: OnError) -> Self {
        let (judging, hash) = (Judging::new(on), Vec::new());
        Self { key, default: None, unkeyed: UNKEYED, judging, hash, column: PhantomData }
    }

    /// Rows without a key go to the owner of the key whose hash this is.
    pub(crate) fn or(self, default: Option<HashUnder>) -> Self {
        Self { default, ..self }
    }
}

impl<C: Column, KO: KeyOf<C>> Stage for KeyRows<C, KO> {
    type In = C;
    type Out = C;

    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.unkeyed = self.default.as_ref().map_or(UNKEYED, |hash| hash(cx.home().hash_seed));
        Ok(())
    }

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let seed = cx.home().hash_seed;
        let Self { key, judging, hash, unkeyed, .. } = self;
        hash.resize(input.len(), *unkeyed);
        let judge = &mut |row: C::Ref<'_>, i: usize| {
            hash[i] = key.hash(row, seed).unwrap_or(*unkeyed);
            Ok(true)
        };
        if let Some(at) = judging.all(&input.col, &input.meta, cx, judge)? {
            return Ok(Step::Wait(at));
        }
        std::mem::swap(&mut input.meta.hash, hash);
        hash.clear();
        judging.finish(input);
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.control(Control::Passed(number));
        Ok(Step::Done)
    }
}
