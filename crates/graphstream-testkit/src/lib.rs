//! Fault file systems, scratch directories and end-to-end rigs for the tests.
