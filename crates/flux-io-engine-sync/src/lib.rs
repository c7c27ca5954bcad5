//! The reference engine of flux-io: one thread, virtual clock, recorded choices.
