//! A hash-chained, group-committed local journal of .hadbj segments.
