//! The hybrid engine by itself: where stages go and why, measured costs, engines that stand in.
#![cfg(test)]

mod assignment;
mod costs;
mod fallback;
mod kit;
