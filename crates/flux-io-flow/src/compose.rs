//! Composing: pieces of pipeline as functions, and the pair of a fan-out and a fan-in.

use crate::branch::SharedRows;
use crate::flow::{Chain, Flow};
use crate::join::{Hold, Leftover};
use crate::kernel::{Kernel, MapK, Next, Raw};
use flux_io_core::Column;
use std::fmt;

/// The two sides of a fan-out, to be combined, ended, or taken apart.
#[must_use = "both sides of a fan-out need an end"]
pub struct Fan<'env, A: Column, B: Column> {
    left: Flow<'env, A, Raw>,
    right: Flow<'env, B, Raw>,
}

impl<A: Column, B: Column> fmt::Debug for Fan<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fan({:?}, {:?})", self.left, self.right)
    }
}

impl<'env, A: Column, B: Column> Fan<'env, A, B> {
    /// The two flows.
    pub fn both(self) -> (Flow<'env, A, Raw>, Flow<'env, B, Raw>) {
        (self.left, self.right)
    }

    /// The left flow; the rows of the right one are counted and dropped at its end, which is called
    /// `name`: a side that is there for its effect.
    pub fn ignore_right(self, name: &str) -> Flow<'env, A, Raw> {
        drop(self.right.discard(name));
        self.left
    }
}

impl<'env, T: Send + 'static, U: Send + 'static> Fan<'env, Vec<T>, Vec<U>> {
    /// Each row of the left side with the one of the right side that came from the same row of the
    /// input; `f` makes one of them. The zip in front of it is called `name/zip`.
    ///
    /// Both sides give a row for each row: the planner refuses sides of which it does not know that
    /// (P021), and the run fails when one has more. Sides that drop rows are joined by number:
    /// [`Fan::both`], then [`Flow::join`].
    pub fn combine<V, F>(
        self,
        name: &str,
        mut f: F,
    ) -> Next<'env, Vec<(T, U)>, MapK<Raw, impl FnMut((T, U)) -> V + Send + 'env>>
    where
        V: Send + 'static,
        F: FnMut(T, U) -> V + Send + 'env,
    {
        let zip = format!("{name}/zip");
        let (left, right) = (Hold::default(), Hold::default());
        let pairs = self.left.zip_with(&zip, self.right, Leftover::Fail, left, right);
        pairs.map(name, move |(t, u)| f(t, u))
    }
}

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// Puts a piece of pipeline behind this flow: a function from flow to flow, or to an end. Names
    /// given in it are called `name/…` in the plan, in reports and in errors, so that a piece may
    /// be used many times; pieces nest. The open segment is closed.
    ///
    /// ```
    /// use flux_io_flow::{Flow, Pipeline, Raw};
    /// # use flux_io_core::{Batch, Filled, IoCx, Source, StageError};
    /// # struct Words;
    /// # impl Source for Words {
    /// #     type Col = Vec<String>;
    /// #     async fn fill(&mut self, _: &mut Batch<Vec<String>>, _: &IoCx) -> Result<Filled, StageError> {
    /// #         Ok(Filled::End)
    /// #     }
    /// # }
    /// fn clean(flow: Flow<'_, Vec<String>, Raw>) -> Flow<'_, Vec<String>, Raw> {
    ///     flow.map("trim", |s| s.trim().to_owned()).filter("some", |s| !s.is_empty()).closed()
    /// }
    /// let end = Pipeline::new().source("words", Words).piece("first", clean).piece("again", clean);
    /// let plan = end.discard("end").plan()?;
    /// assert_eq!(plan.graph.nodes[1].name, "first/trim+first/some");
    /// # Ok::<(), flux_io_flow::PlanFaults>(())
    /// ```
    pub fn piece<R>(self, name: &str, f: impl FnOnce(Flow<'env, K::Col, Raw>) -> R) -> R {
        let flow = self.close();
        let draft = std::rc::Rc::clone(&flow.draft);
        draft.borrow_mut().pieces.push(name.to_owned());
        let end = f(flow);
        draft.borrow_mut().pieces.pop();
        end
    }

    /// Closes the open segment, so that the flow has a type that can be named: what functions take
    /// and give, and what is collected into vectors.
    pub fn closed(self) -> Flow<'env, K::Col, Raw> {
        self.close()
    }

    /// Gives the same rows to two pieces, shared and not copied; they are called `name/left` and
    /// `name/right`. The pair is combined, or taken apart; see [`Fan`].
    pub fn fan_out<CL, KL, CR, KR>(
        self,
        name: &str,
        left: impl FnOnce(Flow<'env, SharedRows<K::Col>, Raw>) -> Flow<'env, CL, KL>,
        right: impl FnOnce(Flow<'env, SharedRows<K::Col>, Raw>) -> Flow<'env, CR, KR>,
    ) -> Fan<'env, KL::Col, KR::Col>
    where
        K::Col: Sync,
        CL: Column,
        CR: Column,
        KL: Chain<CL> + 'env,
        KR: Chain<CR> + 'env,
    {
        let (l, r) = self.broadcast_two(name);
        let left = l.piece(&format!("{name}/left"), |flow| left(flow).close());
        let right = r.piece(&format!("{name}/right"), |flow| right(flow).close());
        Fan { left, right }
    }
}

impl<'env, C: Column, K> Flow<'env, C, K> {
    /// Every row with what `lookup` finds for it: a table, a cache, a model in memory. What may be
    /// missing is an `Option`, and `filter_map` or `route_or` says what becomes of it.
    pub fn enrich<E, F>(
        self,
        name: &str,
        mut lookup: F,
    ) -> Next<'env, C, MapK<K, impl FnMut(K::Out) -> (K::Out, E) + Send + 'env>>
    where
        K: Kernel<C> + 'env,
        K::Out: Send + 'static,
        E: Send + 'static,
        F: FnMut(&K::Out) -> E + Send + 'env,
    {
        let with = move |row| {
            let found = lookup(&row);
            (row, found)
        };
        self.operator(name, "enrich", |a| MapK::new(a, with))
    }
}
