//! Between our values and the generated messages, for those who speak protobuf themselves.
