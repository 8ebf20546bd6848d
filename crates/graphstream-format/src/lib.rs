//! The .hadbj segment format: header, entries, hash chain, compression.
