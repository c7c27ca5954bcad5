//! The closures of an accumulator, each behind a small trait so that one that was not given costs
//! nothing: it is a type, not an option.

use crate::need::Need;
use crate::policy::PolicyFault;
use flux_io_core::{
    Accumulate, At, Column, Completeness, ErrorClass, ErrorKind, Key, RowError, StageError, Var,
};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Which variable a row is.
pub trait VarOf<C: Column>: Clone + Send + Sync {
    /// The row's variable; `need` knows the names.
    ///
    /// # Errors
    /// When the row is none.
    fn var(&self, row: C::Ref<'_>, need: Option<&Need>) -> Result<Var, RowError>;
}

/// Which bound a row declares.
pub trait BoundOf<C: Column>: Clone + Send + Sync {
    /// The bound's number and value.
    fn bound(&self, row: C::Ref<'_>) -> Option<(u16, u32)>;
    /// Looks the bounds' numbers up; adds those that the requirement does not name.
    fn resolve(&mut self, need: &Need, unknown: &mut Vec<PolicyFault>);
}

/// A fragment's own identity.
pub trait IdOf<C: Column>: Clone + Send + Sync {
    /// The identity.
    fn id(&self, row: C::Ref<'_>) -> u64;
}

/// How a row comes into the state.
pub trait MergeOf<C: Column, S>: Clone + Send + Sync {
    /// Merges.
    ///
    /// # Errors
    /// When the row does not fit; the state is as it was.
    fn merge(&self, state: &mut S, row: C::Mut<'_>) -> Result<(), RowError>;
}

/// What is emitted.
pub trait FinishOf<K, S>: Clone + Send + Sync {
    /// Its type.
    type Out: Send + 'static;
    /// Makes it; the state is fresh afterwards.
    fn finish(&self, key: &K, state: &mut S) -> Self::Out;
}

/// Heap bytes behind a state.
pub trait WeighOf<S>: Clone + Send + Sync {
    /// The bytes.
    fn weigh(&self, state: &S) -> usize;
}

/// How states are written and read.
pub trait CodecOf<S>: Clone + Send + Sync {
    /// Writes.
    ///
    /// # Errors
    /// When there is no codec.
    fn save(&self, state: &S, to: &mut Vec<u8>) -> Result<(), StageError>;
    /// Reads.
    ///
    /// # Errors
    /// When the bytes are of no state, or there is no codec.
    fn load(&self, from: &[u8]) -> Result<S, StageError>;
}

/// A verdict of the user's own.
pub trait CheckOf<S>: Clone + Send + Sync {
    /// The verdict.
    fn check(&self, state: &S, at: At) -> Option<Completeness>;
}

/// No variables: every row is the single first one.
#[derive(Clone, Copy, Debug)]
pub struct OneVar;
/// Variables by number.
#[derive(Clone, Copy, Debug)]
pub struct ByVar<F>(pub(crate) F);
/// Variables by number, where that can fail.
#[derive(Clone, Copy, Debug)]
pub struct ByTryVar<F>(pub(crate) F);
/// Variables by name.
#[derive(Clone, Copy, Debug)]
pub struct ByName<F>(pub(crate) F);

impl<C: Column> VarOf<C> for OneVar {
    #[inline(always)]
    fn var(&self, _: C::Ref<'_>, _: Option<&Need>) -> Result<Var, RowError> {
        Ok(Var::one(0))
    }
}
impl<C: Column, F: for<'a> Fn(C::Ref<'a>) -> Var + Clone + Send + Sync> VarOf<C> for ByVar<F> {
    #[inline(always)]
    fn var(&self, row: C::Ref<'_>, _: Option<&Need>) -> Result<Var, RowError> {
        Ok((self.0)(row))
    }
}
impl<C, F> VarOf<C> for ByTryVar<F>
where
    C: Column,
    F: for<'a> Fn(C::Ref<'a>) -> Result<Var, RowError> + Clone + Send + Sync,
{
    #[inline(always)]
    fn var(&self, row: C::Ref<'_>, _: Option<&Need>) -> Result<Var, RowError> {
        (self.0)(row)
    }
}
impl<T: Send + 'static, F> VarOf<Vec<T>> for ByName<F>
where
    F: for<'a> Fn(&'a T) -> &'a str + Clone + Send + Sync,
{
    fn var(&self, row: &T, need: Option<&Need>) -> Result<Var, RowError> {
        match need {
            Some(need) => need.parse_var((self.0)(row)),
            None => Err(RowError::wrong_type("the requirement was not compiled")),
        }
    }
}

/// No bounds.
#[derive(Clone, Copy, Debug)]
pub struct NoBound;
/// A bound by name, and those said before it.
#[derive(Clone, Debug)]
pub struct Declares<B, F> {
    pub(crate) before: B,
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) f: F,
}

impl<C: Column> BoundOf<C> for NoBound {
    #[inline(always)]
    fn bound(&self, _: C::Ref<'_>) -> Option<(u16, u32)> {
        None
    }
    fn resolve(&mut self, _: &Need, _: &mut Vec<PolicyFault>) {}
}
impl<C: Column, B: BoundOf<C>, F> BoundOf<C> for Declares<B, F>
where
    F: for<'a> Fn(C::Ref<'a>) -> Option<u32> + Clone + Send + Sync,
{
    #[inline]
    fn bound(&self, row: C::Ref<'_>) -> Option<(u16, u32)> {
        self.before.bound(row).or_else(|| Some((self.number, (self.f)(row)?)))
    }
    fn resolve(&mut self, need: &Need, unknown: &mut Vec<PolicyFault>) {
        self.before.resolve(need, unknown);
        match need.bound(&self.name) {
            Some(n) => self.number = n,
            None => unknown.push(PolicyFault::UnknownBound { name: self.name.clone() }),
        }
    }
}

/// No identity of its own.
#[derive(Clone, Copy, Debug)]
pub struct NoId;
/// An identity by closure.
#[derive(Clone, Copy, Debug)]
pub struct ById<F>(pub(crate) F);

impl<C: Column> IdOf<C> for NoId {
    fn id(&self, _: C::Ref<'_>) -> u64 {
        0
    }
}
impl<C: Column, F: for<'a> Fn(C::Ref<'a>) -> u64 + Clone + Send + Sync> IdOf<C> for ById<F> {
    fn id(&self, row: C::Ref<'_>) -> u64 {
        (self.0)(row)
    }
}

/// A merge that cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct ByMerge<F>(pub(crate) F);
/// A merge that can.
#[derive(Clone, Copy, Debug)]
pub struct ByTryMerge<F>(pub(crate) F);

impl<C, S, F> MergeOf<C, S> for ByMerge<F>
where
    C: Column,
    F: for<'a> Fn(&mut S, C::Mut<'a>) + Clone + Send + Sync,
{
    #[inline(always)]
    fn merge(&self, state: &mut S, row: C::Mut<'_>) -> Result<(), RowError> {
        (self.0)(state, row);
        Ok(())
    }
}
impl<C, S, F> MergeOf<C, S> for ByTryMerge<F>
where
    C: Column,
    F: for<'a> Fn(&mut S, C::Mut<'a>) -> Result<(), RowError> + Clone + Send + Sync,
{
    #[inline(always)]
    fn merge(&self, state: &mut S, row: C::Mut<'_>) -> Result<(), RowError> {
        (self.0)(state, row)
    }
}

/// The state itself is emitted.
#[derive(Clone, Copy, Debug)]
pub struct TakeState;
/// A value made by a closure is emitted.
#[derive(Clone, Copy, Debug)]
pub struct ByFinish<F>(pub(crate) F);

impl<K, S: Default + Send + 'static> FinishOf<K, S> for TakeState {
    type Out = S;
    #[inline(always)]
    fn finish(&self, _: &K, state: &mut S) -> S {
        std::mem::take(state)
    }
}
impl<K, S: Default, O: Send + 'static, F> FinishOf<K, S> for ByFinish<F>
where
    F: Fn(&K, &mut S) -> O + Clone + Send + Sync,
{
    type Out = O;
    #[inline(always)]
    fn finish(&self, key: &K, state: &mut S) -> O {
        let out = (self.0)(key, state);
        *state = S::default();
        out
    }
}

/// States are taken to have no heap.
#[derive(Clone, Copy, Debug)]
pub struct NoWeight;
/// Heap bytes by closure.
#[derive(Clone, Copy, Debug)]
pub struct ByWeight<F>(pub(crate) F);

impl<S> WeighOf<S> for NoWeight {
    fn weigh(&self, _: &S) -> usize {
        0
    }
}
impl<S, F: Fn(&S) -> usize + Clone + Send + Sync> WeighOf<S> for ByWeight<F> {
    fn weigh(&self, state: &S) -> usize {
        (self.0)(state)
    }
}

/// States cannot be written.
#[derive(Clone, Copy, Debug)]
pub struct NoCodec;
/// States are written and read by closures.
#[derive(Clone, Copy, Debug)]
pub struct Saved<G, L> {
    pub(crate) save: G,
    pub(crate) load: L,
}

fn no_codec() -> StageError {
    StageError::permanent("this accumulator has no state codec; give it `.durable(save, load)`")
}

impl<S> CodecOf<S> for NoCodec {
    fn save(&self, _: &S, _: &mut Vec<u8>) -> Result<(), StageError> {
        Err(no_codec())
    }
    fn load(&self, _: &[u8]) -> Result<S, StageError> {
        Err(no_codec())
    }
}
impl<S, G, L> CodecOf<S> for Saved<G, L>
where
    G: Fn(&S, &mut Vec<u8>) + Clone + Send + Sync,
    L: Fn(&[u8]) -> Option<S> + Clone + Send + Sync,
{
    fn save(&self, state: &S, to: &mut Vec<u8>) -> Result<(), StageError> {
        (self.save)(state, to);
        Ok(())
    }
    fn load(&self, from: &[u8]) -> Result<S, StageError> {
        (self.load)(from).ok_or_else(|| {
            let what = format!("{} bytes are no state of this accumulator", from.len());
            StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what)
        })
    }
}

/// The requirement alone decides.
#[derive(Clone, Copy, Debug)]
pub struct NoCheck;
/// A closure decides too.
#[derive(Clone, Copy, Debug)]
pub struct ByCheck<F>(pub(crate) F);

impl<S> CheckOf<S> for NoCheck {
    #[inline(always)]
    fn check(&self, _: &S, _: At) -> Option<Completeness> {
        None
    }
}
impl<S, F: Fn(&S, At) -> Option<Completeness> + Clone + Send + Sync> CheckOf<S> for ByCheck<F> {
    #[inline(always)]
    fn check(&self, state: &S, at: At) -> Option<Completeness> {
        (self.0)(state, at)
    }
}

/// All closures of an accumulator; made by `Assembly` and `Assembled`.
pub struct Closures<K, S, V, B, I, M, F, W, D, X> {
    pub(crate) var: V,
    pub(crate) bound: B,
    pub(crate) id: I,
    pub(crate) merge: M,
    pub(crate) finish: F,
    pub(crate) weigh: W,
    pub(crate) codec: D,
    pub(crate) check: X,
    pub(crate) names: Option<Arc<Need>>,
    pub(crate) types: PhantomData<fn() -> (K, S)>,
}

impl<K, S, V, B, I, M, F, W, D, X> fmt::Debug for Closures<K, S, V, B, I, M, F, W, D, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closures")
    }
}

impl<K, S, V, B, I, M, F, W, D, X> Clone for Closures<K, S, V, B, I, M, F, W, D, X>
where
    V: Clone,
    B: Clone,
    I: Clone,
    M: Clone,
    F: Clone,
    W: Clone,
    D: Clone,
    X: Clone,
{
    fn clone(&self) -> Self {
        Self {
            var: self.var.clone(),
            bound: self.bound.clone(),
            id: self.id.clone(),
            merge: self.merge.clone(),
            finish: self.finish.clone(),
            weigh: self.weigh.clone(),
            codec: self.codec.clone(),
            check: self.check.clone(),
            names: self.names.clone(),
            types: PhantomData,
        }
    }
}

impl<C, K, S, V, B, I, M, F, W, D, X> Accumulate<C> for Closures<K, S, V, B, I, M, F, W, D, X>
where
    C: Column,
    K: Key,
    S: Default + Send + 'static,
    V: VarOf<C>,
    B: BoundOf<C>,
    I: IdOf<C>,
    M: MergeOf<C, S>,
    F: FinishOf<K, S>,
    W: WeighOf<S>,
    D: CodecOf<S>,
    X: CheckOf<S>,
{
    type Key = K;
    type State = S;
    type Out = F::Out;

    fn init(&self) -> S {
        S::default()
    }
    #[inline(always)]
    fn var(&self, row: C::Ref<'_>) -> Result<Var, RowError> {
        self.var.var(row, self.names.as_deref())
    }
    #[inline(always)]
    fn bound(&self, row: C::Ref<'_>) -> Option<(u16, u32)> {
        self.bound.bound(row)
    }
    fn identity(&self, row: C::Ref<'_>) -> u64 {
        self.id.id(row)
    }
    #[inline(always)]
    fn check(&self, state: &S, at: At) -> Option<Completeness> {
        self.check.check(state, at)
    }
    #[inline(always)]
    fn update(&self, state: &mut S, row: C::Mut<'_>, _: At) -> Result<(), RowError> {
        self.merge.merge(state, row)
    }
    #[inline(always)]
    fn finish(&self, key: &K, state: &mut S) -> F::Out {
        self.finish.finish(key, state)
    }
    fn weight(&self, state: &S) -> usize {
        self.weigh.weigh(state)
    }
    fn save(&self, state: &S, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.codec.save(state, to)
    }
    fn load(&self, from: &[u8]) -> Result<S, StageError> {
        self.codec.load(from)
    }
}
