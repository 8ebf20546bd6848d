//! The StorageBackend trait, an in-memory backend and the conformance suite.
