//! `key_by`: adds the column of key hashes; rows move without a copy.

use super::row_wise::Judging;
use flux_io_core::{
    Batch, Column, Control, KeyOf, OnError, Out, Stage, StageCx, StageError, Step, UNKEYED,
};
use std::fmt;
use std::marker::PhantomData;

/// The stage of `key_by`. A row without a key gets [`UNKEYED`] and goes on: what happens to it is
/// for the keyed stage to say, which counts it (B76).
pub struct KeyRows<C, KO> {
    key: KO,
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
        Self { key, judging: Judging::new(on), hash: Vec::new(), column: PhantomData }
    }
}

impl<C: Column, KO: KeyOf<C>> Stage for KeyRows<C, KO> {
    type In = C;
    type Out = C;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let seed = cx.home().hash_seed;
        let Self { key, judging, hash, .. } = self;
        hash.resize(input.len(), UNKEYED);
        let judge = &mut |row: C::Ref<'_>, i: usize| {
            hash[i] = key.hash(row, seed).unwrap_or(UNKEYED);
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
