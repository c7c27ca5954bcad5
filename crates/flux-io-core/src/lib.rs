//! The nouns and contracts of flux-io.
