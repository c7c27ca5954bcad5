//! Sources and sinks of flux-io: NDJSON files, stdin and stdout, iterators, channels, streams.
