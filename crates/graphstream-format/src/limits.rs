//! Every bound this crate enforces, in one place. A length or count read from a file is compared with these *before*
//! anything is allocated for it; the writers refuse what the readers would refuse.

/// Largest payload of one entry, in bytes (16 MiB).
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Largest body of one record of an open segment, in bytes (32 MiB): one group, or one `append_batch`, with the
/// framing of its entries ([`ENTRY_OVERHEAD_BYTES_MAX`] each at most).
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// Most bytes that the framing of one entry takes inside a record of an open segment: a length of up to 4 and a
/// commit time delta of up to 10 bytes.
pub const ENTRY_OVERHEAD_BYTES_MAX: usize = 14;

/// Largest body of a sealed segment *before* compression, in bytes (4 GiB): what a body may decompress to at most.
/// [`ReadOptions::with_body_bytes_max`](crate::ReadOptions::with_body_bytes_max) lowers it for one reader.
pub const BODY_BYTES_MAX: u64 = 4 << 30;

/// Base 2 logarithm of the largest zstd window that is written or accepted (8 MiB): the memory a hostile body can
/// claim from a decoder.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Smallest and largest zstd level that can be asked for.
pub const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// The same for files of the predecessor, whose compaction could be told any level (128 MiB). They are read from local
/// files and by `import` only.
pub const ZSTD_WINDOW_LOG_LEGACY_MAX: u32 = 27;

/// How many sequences ahead an entry may be to be recognised behind damaged bytes in a predecessor's open segment.
pub const LEGACY_SEARCH_ENTRIES_MAX: u64 = 1 << 24;

/// Most bytes of a version 2 frame before compression (256 KiB), unless it holds one entry alone that is larger. Writers fill frames up to
/// it, so that every writer cuts the same entries at the same places.
pub const FRAME_RAW_BYTES_MAX: usize = 262_144;

/// Most frames of a version 2 segment. The largest body, cut as writers do, makes fewer than 32,770.
pub const FRAMES_MAX: u32 = 65_536;

/// Most shapes of a frame with columns (`docs/format.md`): a shape's number is one byte, and so is their count.
pub const FRAME_SHAPES_MAX: usize = 255;

/// Most operations of all shapes of a frame together: what a reader keeps of shapes and columns stays below a megabyte.
pub const FRAME_OPERATIONS_MAX: usize = 8_192;
