//! `If-Match` and `If-None-Match`, on reads and on writes.

use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// Whether a write may take place over what is there.
pub(super) fn check_write(
    existing: Option<&str>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    match if_none_match {
        Some(ETagCondition::Any) if existing.is_some() => return Err(s3_error!(PreconditionFailed)),
        Some(ETagCondition::ETag(_)) => return Err(s3_error!(NotImplemented, "If-None-Match takes *")),
        _ => {}
    }
    match (if_match, existing) {
        (Some(_), None) => Err(s3_error!(NoSuchKey)),
        (Some(condition), Some(etag)) if !holds(condition, etag) => Err(s3_error!(PreconditionFailed)),
        _ => Ok(()),
    }
}

/// Whether a read is to be answered with the object: else 412 or 304.
pub(super) fn check_read(
    etag: &str,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !holds(condition, etag)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(|condition| holds(condition, etag)) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}
