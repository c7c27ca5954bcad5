//! How many operators one segment may fuse, counted in types.
//!
//! Compile time of a segment grows faster than its length (0.75 s for 30 closures and 4.7 s for
//! 100 in the trial behind CONTRACTS section 9), so the builder closes a segment by itself when it
//! is full. The count is a type, not a number, since what a word answers depends on it.

use super::{Kernel, Raw};
use crate::flow::{Chain, Flow};
use flux_io_core::Column;

/// Operators of a full segment.
pub const SEGMENT_OPERATORS: usize = 32;

/// How many operators may still be fused.
pub trait Room {
    /// One less.
    type Less: Room;
    /// What a flow whose kernel has this much room is: itself, or closed.
    type Flow<'env, C: Column, K: Chain<C> + 'env>;
    /// Closes a flow that has no room left.
    fn settle<'env, C: Column, K: Chain<C> + 'env>(
        flow: Flow<'env, C, K>,
    ) -> Self::Flow<'env, C, K>;
}

/// What a word that adds an operator answers: the open flow, or, when that operator was the last
/// one that fits, the closed one.
pub type Next<'env, C, K> = <<K as Kernel<C>>::Room as Room>::Flow<'env, C, K>;

/// No room: the segment is closed.
#[derive(Debug)]
pub struct NoRoom;

impl Room for NoRoom {
    type Less = Self;
    type Flow<'env, C: Column, K: Chain<C> + 'env> = Flow<'env, K::Col, Raw>;

    fn settle<'env, C: Column, K: Chain<C> + 'env>(
        flow: Flow<'env, C, K>,
    ) -> Self::Flow<'env, C, K> {
        flow.close()
    }
}

macro_rules! rooms {
    ($first:ident $($room:ident)*) => {
        rooms!(@each $first $($room)*);
    };
    (@each $more:ident $less:ident $($rest:ident)*) => {
        #[doc = concat!("Room counted by its name: ", stringify!($more), ".")]
        #[derive(Debug)]
        pub struct $more;
        impl Room for $more {
            type Less = $less;
            type Flow<'env, C: Column, K: Chain<C> + 'env> = Flow<'env, C, K>;

            #[inline(always)]
            fn settle<'env, C: Column, K: Chain<C> + 'env>(
                flow: Flow<'env, C, K>,
            ) -> Self::Flow<'env, C, K> {
                flow
            }
        }
        rooms!(@each $less $($rest)*);
    };
    (@each NoRoom) => {};
}
rooms!(Room32 Room31 Room30 Room29 Room28 Room27 Room26 Room25 Room24 Room23 Room22 Room21 Room20
    Room19 Room18 Room17 Room16 Room15 Room14 Room13 Room12 Room11 Room10 Room9 Room8 Room7 Room6
    Room5 Room4 Room3 Room2 Room1 NoRoom);

/// The room of an empty segment: [`SEGMENT_OPERATORS`].
pub type FullRoom = Room32;
