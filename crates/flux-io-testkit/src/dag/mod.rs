//! Random plans: a graph of sources, steps and sinks as data, drawn from a seed, and what it must
//! give, evaluated plainly.
//!
//! - [`Dag::draw`] makes a plan out of everything the builder has; [`Dag`] prints as text.
//! - [`Dag::expect`] says what comes out: the rows of each sink with the order that is promised,
//!   the dead letters, what is dropped and why.
//! - [`Expect::judge`] compares a run with it.
//! - [`Dag::smaller`] lists plans with one thing less, for making a failure short.
//!
//! Nothing here builds or runs a plan: whoever can see the builder turns the data into its words.

mod accumulate;
mod draw;
mod expect;
mod join;
mod judge;
mod plan;
mod row;
mod shrink;
mod step;

pub use draw::Menu;
pub use expect::{Bundle, Cell, Expect, Invalid};
pub use judge::Seen;
pub use plan::{
    Acc, Answers, Breaks, CallsOf, Dag, Gives, IdJoin, Lose, Mood, Op, OpKind, Port, Setting,
    SourceKind, SourceOf, Step, What,
};
pub use row::{Luck, Row, Sum, mix};
