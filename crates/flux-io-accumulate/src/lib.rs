//! Keyed accumulation until complete: algebra, state table, deadlines, ledger.
