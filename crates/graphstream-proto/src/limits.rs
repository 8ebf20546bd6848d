//! What an entry may be at most. The encoder refuses what the decoder would refuse, so nothing is journaled that can't be
//! read back.

/// The largest payload, in bytes: 16 MiB, as for every entry of a segment.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most parameters of one entry.
pub const PARAMS_MAX: usize = 65_536;

/// The most values of one entry, nested ones included: the memory of a decoded entry is at most about 80 times this, whatever
/// its bytes say.
pub const VALUES_MAX: usize = 1_048_576;

/// The deepest nesting of protobuf messages below the entry, which is the default of the other protobuf implementations
/// too. A parameter's value is at 2; a list takes 2 more and a map 3.
pub const MESSAGES_DEEP_MAX: usize = 100;
