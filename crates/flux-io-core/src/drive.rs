//! The one task body that every engine polls.
