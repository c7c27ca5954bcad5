//! What `.accumulate(..)` takes: everything that makes an accumulator but its key.

use crate::assembly::Assembled;
use crate::closures::{
    BoundOf, CheckOf, Closures, CodecOf, FinishOf, IdOf, MergeOf, VarOf, WeighOf,
};
use crate::operator::Blueprint;
use crate::policy::{Policy, PolicyFault};
use flux_io_core::{Accumulate, Column, KeyOf};

/// A policy together with the means to merge: closures, or an [`Accumulate`] of one's own beside a
/// [`Policy`].
pub trait Spec<C: Column, KO: KeyOf<C>> {
    /// The accumulator it makes.
    type Acc: Accumulate<C, Key = KO::Key>;

    /// Checks everything and gives what instances are made of.
    ///
    /// # Errors
    /// Everything that is wrong with the policy, at once.
    fn blueprint(self, key: KO) -> Result<Blueprint<C, KO, Self::Acc>, Vec<PolicyFault>>;
}

impl<C, KO, S, V, B, I, M, F, W, D, X> Spec<C, KO>
    for Assembled<C, KO::Key, Closures<KO::Key, S, V, B, I, M, F, W, D, X>>
where
    C: Column,
    KO: KeyOf<C>,
    S: Default + Send + 'static,
    V: VarOf<C>,
    B: BoundOf<C>,
    I: IdOf<C>,
    M: MergeOf<C, S>,
    F: FinishOf<KO::Key, S>,
    W: WeighOf<S>,
    D: CodecOf<S>,
    X: CheckOf<S>,
    Closures<KO::Key, S, V, B, I, M, F, W, D, X>: Accumulate<C, Key = KO::Key>,
{
    type Acc = Closures<KO::Key, S, V, B, I, M, F, W, D, X>;

    fn blueprint(self, key: KO) -> Result<Blueprint<C, KO, Self::Acc>, Vec<PolicyFault>> {
        self.accumulator(key)
    }
}

impl<C, KO, A> Spec<C, KO> for (Policy, A)
where
    C: Column,
    KO: KeyOf<C>,
    A: Accumulate<C, Key = KO::Key>,
{
    type Acc = A;

    fn blueprint(self, key: KO) -> Result<Blueprint<C, KO, A>, Vec<PolicyFault>> {
        Blueprint::new(self.0, key, self.1)
    }
}
