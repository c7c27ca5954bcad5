//! Keyed accumulation, and the word that puts it behind a keyed flow.

#[doc(inline)]
pub use flux_io_accumulate::*;

use flux_io_core::{Accumulate, KeyOf, Outcome, StageKind};
use flux_io_flow::{Flow, Keyed, Raw};

/// `.accumulate(..)` on a keyed flow. The builder does not know accumulators and accumulators do
/// not know the builder: they meet here.
pub trait AccumulateExt<'env>: Sized {
    /// Holds rows by key until what the policy requires is there; gives one [`Outcome`] a key.
    ///
    /// `describe` gets an empty policy typed by the flow's column and key, so its closures need no
    /// annotations. Faults of the policy are reported by `plan()`, with the stage's path.
    ///
    /// Shape: n rows in, one outcome per key and life of it. Ordered per key.
    fn accumulate<P>(
        self,
        name: &str,
        describe: impl FnOnce(Assembly<Self::Col, <Self::KeyOf as KeyOf<Self::Col>>::Key>) -> P,
    ) -> Flow<'env, Vec<OutcomeOf<'env, Self, P>>, Raw>
    where
        Self: Keyed<'env>,
        P: Spec<Self::Col, Self::KeyOf>,
        P::Acc: 'env,
    {
        let key = self.key_of();
        match describe(Assembly::new()).blueprint(key) {
            Ok(blueprint) => {
                let keyed = match blueprint.default_key() {
                    Some(key) => self.default_key(key),
                    None => self,
                };
                let notes = blueprint.policy().schedule_dependent();
                let (descriptor, exact_seq) = (blueprint.describe(), blueprint.exact_seq());
                let describe = |n: &mut flux_io_core::StageNode| {
                    n.kind = StageKind::Accumulator;
                    n.accumulation = Some(descriptor);
                    n.hints.schedule_dependent = notes;
                    n.hints.exact_seq = exact_seq;
                };
                keyed.keyed_stage(name, describe, move |_shard| blueprint.make())
            }
            Err(faults) => {
                let told = faults
                    .into_iter()
                    .map(|f| (f.to_string(), "change the policy of the accumulator".to_owned()));
                self.refused(name, told)
            }
        }
    }
}

impl<T> AccumulateExt<'_> for T {}

/// What an accumulator of specification `P` on flow `F` emits.
pub type OutcomeOf<'env, F, P> = Outcome<
    <<F as Keyed<'env>>::KeyOf as KeyOf<<F as Keyed<'env>>::Col>>::Key,
    <<P as Spec<<F as Keyed<'env>>::Col, <F as Keyed<'env>>::KeyOf>>::Acc as Accumulate<
        <F as Keyed<'env>>::Col,
    >>::Out,
>;
