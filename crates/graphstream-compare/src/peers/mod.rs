//! What stands beside the journal, and the journal as the measures open it.

pub(crate) mod bare;
pub(crate) mod okay;
pub(crate) mod old;
pub(crate) mod ours;

/// Open segments of both journals and files of the bare loops are left at this size, the default of both journals.
pub(crate) const SEGMENT: u64 = 4 << 20;
