//! The graph payload of a journal entry: queries, typed parameters, protobuf and JSON.
