//! Flows with a key: `key_by` and what stands behind it.

use crate::draft::Place;
use crate::flow::{Chain, Flow};
use crate::kernel::{Kernel, Raw};
use crate::stages::{Discard, HashUnder, KeyRows};
use crate::words::transform;
use flux_io_core::{
    Always, AlwaysBytes, AlwaysStr, Body, ByBytes, ByStr, ByValue, ByteColumn, Column, ColumnType,
    Erased, Hints, Key, KeyOf, Node, OnError, Route, Stage, StageKind, StageNode, hash_of,
};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

/// A flow whose rows carry the hash of a key. Keyed stages (accumulators, windows) stand behind it.
#[must_use = "a flow does nothing until it ends in a sink and its plan is run"]
pub struct KeyedFlow<'env, C: Column, KO> {
    flow: Flow<'env, C, Raw>,
    key: KO,
    /// Whose hash rows without a key get; said by the keyed stage, asked for when the plan is made.
    default: Rc<Cell<Option<HashUnder>>>,
    column: PhantomData<fn() -> C>,
}

impl<C: Column, KO> fmt::Debug for KeyedFlow<'_, C, KO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedFlow({:?})", self.flow)
    }
}

/// A flow that has a key: the bound of words that need one, with a message for flows that do not.
#[diagnostic::on_unimplemented(
    message = "this flow has no key",
    label = "needs a keyed flow",
    note = "put `.key_by(name, |row| ..)` before it"
)]
pub trait Keyed<'env>: Sized {
    /// Column of the rows.
    type Col: Column;
    /// How their key is found.
    type KeyOf: KeyOf<Self::Col> + 'env;

    /// How their key is found.
    fn key_of(&self) -> Self::KeyOf;

    /// Rows without a key go to the instance that owns `key`. The keyed stage must take them for rows
    /// of it.
    #[must_use]
    fn default_key(self, key: <Self::KeyOf as KeyOf<Self::Col>>::Key) -> Self;

    /// Puts a keyed stage behind: `make` gives the instance with the given number, and each key has
    /// one owner among them. `describe` completes what is said of the stage: its kind, policy as
    /// data, hints.
    fn keyed_stage<S>(
        self,
        name: &str,
        describe: impl FnOnce(&mut StageNode),
        make: impl Fn(u32) -> S + Send + Sync + 'env,
    ) -> Flow<'env, S::Out, Raw>
    where
        S: Stage<In = Self::Col> + 'env;

    /// Stands in for a keyed stage whose description has faults (code P016): the plan is refused
    /// and says each of them with the stage's path. `faults` are (what is wrong, nearest fix).
    fn refused<C2: Column>(
        self,
        name: &str,
        faults: impl IntoIterator<Item = (String, String)>,
    ) -> Flow<'env, C2, Raw>;
}

impl<'env, C: Column, KO: KeyOf<C> + 'env> Keyed<'env> for KeyedFlow<'env, C, KO> {
    type Col = C;
    type KeyOf = KO;

    fn key_of(&self) -> KO {
        self.key.clone()
    }

    fn default_key(self, key: KO::Key) -> Self {
        self.default.set(Some(Box::new(move |seed| hash_of(&key, seed))));
        self
    }

    fn keyed_stage<S>(
        self,
        name: &str,
        describe: impl FnOnce(&mut StageNode),
        make: impl Fn(u32) -> S + Send + Sync + 'env,
    ) -> Flow<'env, S::Out, Raw>
    where
        S: Stage<In = C> + 'env,
    {
        let node = |c| {
            let outs = vec![ColumnType::of::<S::Out>()];
            let mut n = StageNode::new(name, StageKind::Transform, vec![c], outs);
            n.scalable = true;
            n.hints.stateful = true;
            describe(&mut n);
            n
        };
        let body = |_: &Place<'_>| {
            Body::Many(Arc::new(move |shard| Box::new(Erased(make(shard))) as Box<dyn Node + 'env>))
        };
        self.flow.then(node, Route::Hash, Box::new(body))
    }

    fn refused<C2: Column>(
        self,
        name: &str,
        faults: impl IntoIterator<Item = (String, String)>,
    ) -> Flow<'env, C2, Raw> {
        let node = |c| {
            let outs = vec![ColumnType::of::<C2>()];
            StageNode::new(name, StageKind::Transform, vec![c], outs)
        };
        // The plan never runs, so what would run is a stage that gives nothing.
        let body = |_: &Place<'_>| Body::One(Box::new(Discard));
        let flow = self.flow.then(node, Route::Hash, Box::new(body));
        for (what, fix) in faults {
            flow.draft.borrow_mut().fault("P016", flow.at.0, what, &fix);
        }
        flow
    }
}

/// Options of `key_by`.
impl<C: Column, KO> KeyedFlow<'_, C, KO> {
    /// What happens to rows on which the key's closure panics. Rows without a key are not failed
    /// rows: they go on, and the keyed stage counts them.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.flow = self.flow.on_error(on_error);
        self
    }

    /// Declares something about it.
    pub fn hint(mut self, declare: impl FnOnce(&mut Hints)) -> Self {
        self.flow = self.flow.hint(declare);
        self
    }
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// Gives rows a key as `key` finds it: the general form, for columns and keys of one's own.
    pub fn key_by_with<KO>(self, name: &str, key: KO) -> KeyedFlow<'env, K::Col, KO>
    where
        KO: KeyOf<K::Col> + 'env,
    {
        let of = key.clone();
        let default: Rc<Cell<Option<HashUnder>>> = Rc::default();
        let said = Rc::clone(&default);
        let make = Box::new(move |p: &Place<'_>| {
            Body::One(Box::new(Erased(KeyRows::new(of, p.node.on_error).or(said.take()))))
        });
        let flow = self.then(|c| transform(name, "key_by", c, c), Route::Forward, make);
        KeyedFlow { flow, key, default, column: PhantomData }
    }

    /// Gives rows a key by value: numbers, small tuples, owned text.
    pub fn key_by<Q, F>(self, name: &str, key: F) -> KeyedFlow<'env, K::Col, Always<F>>
    where
        Q: Key,
        F: for<'a> Fn(<K::Col as Column>::Ref<'a>) -> Q + Clone + Send + Sync + 'env,
    {
        self.key_by_with(name, Always(key))
    }

    /// Like [`Flow::key_by`]; rows may be without a key, and the keyed stage says what becomes of
    /// them.
    pub fn try_key_by<Q, F>(self, name: &str, key: F) -> KeyedFlow<'env, K::Col, ByValue<F>>
    where
        Q: Key,
        F: for<'a> Fn(<K::Col as Column>::Ref<'a>) -> Option<Q> + Clone + Send + Sync + 'env,
    {
        self.key_by_with(name, ByValue(key))
    }
}

/// Borrowed keys: a known key costs no allocation.
macro_rules! borrowed_keys {
    ($col:ty, $row:ty) => {
        /// Gives rows a key that is text inside the row.
        pub fn key_by_str<F>(self, name: &str, key: F) -> KeyedFlow<'env, $col, AlwaysStr<F>>
        where
            F: for<'a> Fn(&'a $row) -> &'a str + Clone + Send + Sync + 'env,
        {
            self.key_by_with(name, AlwaysStr(key))
        }

        /// Like `key_by_str`; rows may be without a key.
        pub fn try_key_by_str<F>(self, name: &str, key: F) -> KeyedFlow<'env, $col, ByStr<F>>
        where
            F: for<'a> Fn(&'a $row) -> Option<&'a str> + Clone + Send + Sync + 'env,
        {
            self.key_by_with(name, ByStr(key))
        }

        /// Gives rows a key that is bytes inside the row.
        pub fn key_by_bytes<F>(self, name: &str, key: F) -> KeyedFlow<'env, $col, AlwaysBytes<F>>
        where
            F: for<'a> Fn(&'a $row) -> &'a [u8] + Clone + Send + Sync + 'env,
        {
            self.key_by_with(name, AlwaysBytes(key))
        }

        /// Like `key_by_bytes`; rows may be without a key.
        pub fn try_key_by_bytes<F>(self, name: &str, key: F) -> KeyedFlow<'env, $col, ByBytes<F>>
        where
            F: for<'a> Fn(&'a $row) -> Option<&'a [u8]> + Clone + Send + Sync + 'env,
        {
            self.key_by_with(name, ByBytes(key))
        }
    };
}

impl<'env, C, T, K> Flow<'env, C, K>
where
    C: Column,
    T: Send + 'static,
    K: Kernel<C, Out = T> + Chain<C, Col = Vec<T>> + 'env,
{
    borrowed_keys!(Vec<T>, T);
}

impl<'env> Flow<'env, ByteColumn, Raw> {
    borrowed_keys!(ByteColumn, [u8]);
}
