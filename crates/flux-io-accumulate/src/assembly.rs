//! The policy with its closures, built word by word: what `|p| p.require(..).var(..).merge(..)`
//! builds. The column is known, so closures need no type annotations.

use crate::closures::{
    BoundOf, ByCheck, ByFinish, ById, ByMerge, ByName, ByTryMerge, ByTryVar, ByVar, ByWeight,
    CheckOf, Closures, CodecOf, Declares, FinishOf, IdOf, MergeOf, NoBound, NoCheck, NoCodec, NoId,
    NoWeight, OneVar, Saved, TakeState, VarOf, WeighOf,
};
use crate::need::Need;
use crate::operator::Blueprint;
use crate::policy::{Identity, OnUnkeyed, Policy, PolicyFault, policy_words};
use crate::require::Require;
use flux_io_core::{At, Column, Completeness, Key, KeyOf, RowError, Var};
use std::fmt;
use std::marker::PhantomData;

/// A policy that does not know yet how fragments are merged; end it with [`Assembly::merge`].
///
/// `C` is the column of the rows, `K` the key.
pub struct Assembly<C, K, V = OneVar, B = NoBound, I = NoId> {
    policy: Policy,
    var: V,
    bound: B,
    id: I,
    types: PhantomData<fn() -> (C, K)>,
}

impl<C, K, V, B, I> fmt::Debug for Assembly<C, K, V, B, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assembly({})", self.policy)
    }
}

impl<C: Column, K: Key> Default for Assembly<C, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Column, K: Key> Assembly<C, K> {
    /// Nothing required yet, every other word at its default (see [`Policy::new`]).
    #[must_use]
    pub fn new() -> Self {
        let policy = Policy { weighed: false, durable: false, ..Policy::new(Require::new()) };
        Self { policy, var: OneVar, bound: NoBound, id: NoId, types: PhantomData }
    }
}

impl<C: Column, K: Key, V, B, I> Assembly<C, K, V, B, I> {
    policy_words!(policy);

    /// Takes over the words of a policy kept as data; closures stay.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Policy { weighed: false, durable: false, ..policy };
        self
    }

    /// Rows without a key count as of `key`, together with rows that carry it.
    #[must_use]
    pub fn default_key(mut self, key: &K) -> Self {
        self.policy.on_unkeyed = OnUnkeyed::Default(key.to_key_bytes());
        self
    }

    fn with_var<V2>(self, var: V2) -> Assembly<C, K, V2, B, I> {
        let Self { policy, bound, id, .. } = self;
        Assembly { policy, var, bound, id, types: PhantomData }
    }

    /// Which variable a row is, by numbers.
    #[must_use]
    pub fn var<F>(self, f: F) -> Assembly<C, K, ByVar<F>, B, I>
    where
        F: for<'a> Fn(C::Ref<'a>) -> Var + Clone + Send + Sync,
    {
        self.with_var(ByVar(f))
    }

    /// Which variable a row is, where that can fail; a failing row is a dead letter.
    #[must_use]
    pub fn try_var<F>(self, f: F) -> Assembly<C, K, ByTryVar<F>, B, I>
    where
        F: for<'a> Fn(C::Ref<'a>) -> Result<Var, RowError> + Clone + Send + Sync,
    {
        self.with_var(ByTryVar(f))
    }

    /// The number that a row declares under `bound`, if it declares one. May be said for several
    /// bounds; of one row, the first that answers counts.
    #[must_use]
    pub fn bound<F>(self, bound: &str, f: F) -> Assembly<C, K, V, Declares<B, F>, I>
    where
        F: for<'a> Fn(C::Ref<'a>) -> Option<u32> + Clone + Send + Sync,
    {
        let Self { policy, var, bound: before, id, .. } = self;
        let bound = Declares { before, name: bound.to_owned(), number: 0, f };
        Assembly { policy, var, bound, id, types: PhantomData }
    }

    /// Fragments are told apart by a number of their own.
    #[must_use]
    pub fn identity_by<F>(self, f: F) -> Assembly<C, K, V, B, ById<F>>
    where
        F: for<'a> Fn(C::Ref<'a>) -> u64 + Clone + Send + Sync,
    {
        let Self { policy, var, bound, .. } = self;
        let policy = Policy { identity: Identity::Id, ..policy };
        Assembly { policy, var, bound, id: ById(f), types: PhantomData }
    }

    /// How a row comes into the state; it may take the row's fields.
    #[must_use]
    pub fn merge<S, M>(self, f: M) -> Assembled<C, K, Start<K, S, V, B, I, ByMerge<M>>>
    where
        S: Default + Send + 'static,
        M: for<'a> Fn(&mut S, C::Mut<'a>) + Clone + Send + Sync,
    {
        self.merged(ByMerge(f))
    }

    /// The same where it can fail: a failing row is a dead letter and must leave the state as it
    /// was.
    #[must_use]
    pub fn try_merge<S, M>(self, f: M) -> Assembled<C, K, Start<K, S, V, B, I, ByTryMerge<M>>>
    where
        S: Default + Send + 'static,
        M: for<'a> Fn(&mut S, C::Mut<'a>) -> Result<(), RowError> + Clone + Send + Sync,
    {
        self.merged(ByTryMerge(f))
    }

    fn merged<S, M>(self, merge: M) -> Assembled<C, K, Start<K, S, V, B, I, M>> {
        let Self { policy, var, bound, id, .. } = self;
        let closures = Closures {
            var,
            bound,
            id,
            merge,
            finish: TakeState,
            weigh: NoWeight,
            codec: NoCodec,
            check: NoCheck,
            names: None,
            types: PhantomData,
        };
        Assembled { policy, closures, types: PhantomData }
    }
}

impl<T: Send + 'static, K: Key, V, B, I> Assembly<Vec<T>, K, V, B, I> {
    /// Which variable a row is, by its name in the requirement: `header`, or `shipped:3` for a
    /// numbered one. An unknown name is a dead letter, cause `type`.
    #[must_use]
    pub fn var_name<F>(self, f: F) -> Assembly<Vec<T>, K, ByName<F>, B, I>
    where
        F: for<'a> Fn(&'a T) -> &'a str + Clone + Send + Sync,
    {
        self.with_var(ByName(f))
    }
}

/// The closures right after `merge`: nothing else is said yet.
pub type Start<K, S, V, B, I, M> =
    Closures<K, S, V, B, I, M, TakeState, NoWeight, NoCodec, NoCheck>;

/// A whole accumulator: policy and closures. [`Assembled::accumulator`] makes it ready to run.
pub struct Assembled<C, K, P> {
    policy: Policy,
    closures: P,
    types: PhantomData<fn() -> (C, K)>,
}

impl<C, K, P> fmt::Debug for Assembled<C, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assembled({})", self.policy)
    }
}

impl<C, K, P> Assembled<C, K, P> {
    policy_words!(policy);

    /// The policy as data.
    #[must_use]
    pub const fn as_policy(&self) -> &Policy {
        &self.policy
    }
}

impl<C, K, S, V, B, I, M, F, W, D, X> Assembled<C, K, Closures<K, S, V, B, I, M, F, W, D, X>>
where
    C: Column,
    K: Key,
    S: Default + Send + 'static,
{
    /// Makes the value that is emitted; without it the state itself is emitted.
    #[must_use]
    pub fn finish<O, G>(
        self,
        f: G,
    ) -> Assembled<C, K, Closures<K, S, V, B, I, M, ByFinish<G>, W, D, X>>
    where
        O: Send + 'static,
        G: Fn(&K, &mut S) -> O + Clone + Send + Sync,
    {
        let Closures { var, bound, id, merge, weigh, codec, check, names, .. } = self.closures;
        let finish = ByFinish(f);
        let closures = Closures {
            var,
            bound,
            id,
            merge,
            finish,
            weigh,
            codec,
            check,
            names,
            types: PhantomData,
        };
        Assembled { policy: self.policy, closures, types: PhantomData }
    }

    /// Heap bytes behind a state, for the budget and the byte limits.
    #[must_use]
    pub fn weigh<G>(self, f: G) -> Assembled<C, K, Closures<K, S, V, B, I, M, F, ByWeight<G>, D, X>>
    where
        G: Fn(&S) -> usize + Clone + Send + Sync,
    {
        let Closures { var, bound, id, merge, finish, codec, check, names, .. } = self.closures;
        let weigh = ByWeight(f);
        let closures = Closures {
            var,
            bound,
            id,
            merge,
            finish,
            weigh,
            codec,
            check,
            names,
            types: PhantomData,
        };
        let policy = Policy { weighed: true, ..self.policy };
        Assembled { policy, closures, types: PhantomData }
    }

    /// How a state is written and read back, for checkpoints and corrections. `load` gives `None`
    /// for bytes that are no state.
    #[must_use]
    pub fn durable<G, L>(
        self,
        save: G,
        load: L,
    ) -> Assembled<C, K, Closures<K, S, V, B, I, M, F, W, Saved<G, L>, X>>
    where
        G: Fn(&S, &mut Vec<u8>) + Clone + Send + Sync,
        L: Fn(&[u8]) -> Option<S> + Clone + Send + Sync,
    {
        let Closures { var, bound, id, merge, finish, weigh, check, names, .. } = self.closures;
        let codec = Saved { save, load };
        let closures = Closures {
            var,
            bound,
            id,
            merge,
            finish,
            weigh,
            codec,
            check,
            names,
            types: PhantomData,
        };
        let policy = Policy { durable: true, ..self.policy };
        Assembled { policy, closures, types: PhantomData }
    }

    /// A verdict of your own after each fragment; `None` leaves it to the requirement.
    #[must_use]
    pub fn check<G>(self, f: G) -> Assembled<C, K, Closures<K, S, V, B, I, M, F, W, D, ByCheck<G>>>
    where
        G: Fn(&S, At) -> Option<Completeness> + Clone + Send + Sync,
    {
        let Closures { var, bound, id, merge, finish, weigh, codec, names, .. } = self.closures;
        let check = ByCheck(f);
        let closures = Closures {
            var,
            bound,
            id,
            merge,
            finish,
            weigh,
            codec,
            check,
            names,
            types: PhantomData,
        };
        Assembled { policy: self.policy, closures, types: PhantomData }
    }

    /// Checks everything and gives what instances are made of.
    ///
    /// # Errors
    /// Everything that is wrong with the policy, at once.
    pub fn accumulator<KO>(
        mut self,
        key: KO,
    ) -> Result<Blueprint<C, KO, Closures<K, S, V, B, I, M, F, W, D, X>>, Vec<PolicyFault>>
    where
        KO: KeyOf<C, Key = K>,
        V: VarOf<C>,
        B: BoundOf<C>,
        I: IdOf<C>,
        M: MergeOf<C, S>,
        F: FinishOf<K, S>,
        W: WeighOf<S>,
        D: CodecOf<S>,
        X: CheckOf<S>,
    {
        self.policy.validate()?;
        let need = Need::compile(&self.policy.require).map_err(|e| vec![e.into()])?;
        let mut unknown = Vec::new();
        self.closures.bound.resolve(&need, &mut unknown);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        self.closures.names = Some(std::sync::Arc::new(need));
        Blueprint::new(self.policy, key, self.closures)
    }
}
