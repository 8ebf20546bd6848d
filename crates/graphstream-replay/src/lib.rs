//! The ReplayTarget trait, its conformance suite, and the jsonl and exec targets.
