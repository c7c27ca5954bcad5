//! What instances of the operator are made of.

use super::Accumulator;
use super::traits::identity_of;
use crate::need::Need;
use crate::policy::{Identity, OnUnkeyed, Policy, PolicyFault};
use crate::pool::Shared;
use flux_io_core::{Accumulate, AccumulationDescriptor, Column, Key, KeyOf};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A checked policy with its closures: makes instances, one a shard.
pub struct Blueprint<C, KO, A> {
    pub(super) policy: Arc<Policy>,
    pub(super) need: Arc<Need>,
    pub(super) key: KO,
    pub(super) acc: A,
    pub(super) shared: Arc<Shared>,
    takes_back: bool,
    column: PhantomData<fn() -> C>,
}

impl<C, KO: Clone, A: Clone> Clone for Blueprint<C, KO, A> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            need: Arc::clone(&self.need),
            key: self.key.clone(),
            acc: self.acc.clone(),
            shared: Arc::clone(&self.shared),
            takes_back: self.takes_back,
            column: PhantomData,
        }
    }
}

impl<C, KO, A> fmt::Debug for Blueprint<C, KO, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blueprint({})", self.policy)
    }
}

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Blueprint<C, KO, A> {
    /// Checks a policy and keeps what instances are made of.
    ///
    /// # Errors
    /// Everything that [`Policy::validate`] finds, and a default key that is none.
    pub fn new(policy: Policy, key: KO, acc: A) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = policy.validate().err().unwrap_or_default();
        if let OnUnkeyed::Default(bytes) = &policy.on_unkeyed
            && KO::Key::read_bytes(bytes).is_none()
        {
            faults.push(PolicyFault::DefaultKey(bytes.clone()));
        }
        let need = match Need::compile(&policy.require) {
            Ok(need) if faults.is_empty() => need,
            _ => return Err(faults),
        };
        let shared = Arc::new(Shared::new(&policy));
        let (policy, need) = (Arc::new(policy), Arc::new(need));
        let takes_back = acc.takes_back();
        Ok(Self { policy, need, key, acc, shared, takes_back, column: PhantomData })
    }

    /// The key of rows without one, where the policy gives them one. Whoever spreads rows over several
    /// instances sends such rows to the owner of this key.
    #[must_use]
    pub fn default_key(&self) -> Option<KO::Key> {
        match &self.policy.on_unkeyed {
            OnUnkeyed::Default(bytes) => KO::Key::read_bytes(bytes),
            OnUnkeyed::DeadLetter => None,
        }
    }

    /// An instance that holds nothing. Instances of one blueprint share its limits: together they never
    /// hold more than these allow.
    #[must_use]
    pub fn make(&self) -> Accumulator<C, KO, A> {
        Accumulator::new(self.clone())
    }
}

impl<C, KO, A> Blueprint<C, KO, A> {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy, word by word, for the plan.
    #[must_use]
    pub fn describe(&self) -> AccumulationDescriptor {
        let mut said = self.policy.describe();
        if self.exact_seq() {
            said.policy.insert("identity".to_owned(), format!("{:?}", Identity::SourceSeq));
        }
        let mut order = self.policy.order_dependent();
        if self.need.declares_numbers() && !self.takes_back {
            let stays =
                "whether the value holds a part beyond its bound (class and verdict do not)";
            order.push(stays.to_owned());
        }
        if !order.is_empty() {
            said.policy.insert("order decides".to_owned(), order.join("; "));
        }
        said
    }

    /// Whether fragments are told apart by source and sequence number, because the policy says so or
    /// because its requirement names no variables. The stages before it must then keep the numbers
    /// exact ([`flux_io_core::Hints::exact_seq`]).
    #[must_use]
    pub fn exact_seq(&self) -> bool {
        identity_of(&self.policy, &self.need) == Identity::SourceSeq
    }
}
