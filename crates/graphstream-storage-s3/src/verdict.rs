//! What an answer of S3 means: one table of codes and statuses.
//!
//! ```text
//!   S3 code, else HTTP status ──▶ Verdict ──▶ the operation makes of it Exists, NotFound, a class, ..
//! ```
//! A definite class is only given where the store has certainly not acted: 4xx are refusals, 5xx mean anything.

use graphstream_storage::ErrorClass;

/// What a call changes, if it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing, or nothing that a reader sees: gets, listings, parts of an object that is not there yet.
    Unseen,
    /// An object appears, changes or goes.
    Seen,
}

impl Effect {
    /// The class of a call whose answer is missing.
    pub(crate) fn of_silence(self) -> ErrorClass {
        match self {
            Self::Unseen => ErrorClass::Unavailable,
            Self::Seen => ErrorClass::TimeoutUnknown,
        }
    }
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no such object, in a bucket that there is.
    NoSuchKey,
    /// There is no such bucket. Never taken for a missing object: that would be a new database.
    NoSuchBucket,
    /// 404 without a word: of the object or of the bucket.
    NoSuchThing,
    /// A condition does not hold.
    Precondition,
    /// A condition of a read holds.
    NotModified,
    /// No byte of the object lies in the range.
    Range,
    /// The store is somewhere else.
    Redirected,
    /// The credentials were good once.
    Expired,
    /// The store does not have this.
    NotImplemented,
    /// Everything else.
    Class(ErrorClass),
}

/// Sorts an answer that is not a success. `code` decides where S3 gave one that says anything.
pub(crate) fn verdict(effect: Effect, status: u16, code: Option<&str>) -> Verdict {
    use ErrorClass::{Denied, Other, Throttled, Unavailable};
    if let 300..=303 | 307..=399 = status {
        return Verdict::Redirected;
    }
    match code.unwrap_or_default() {
        "NoSuchKey" => return Verdict::NoSuchKey,
        "NoSuchBucket" => return Verdict::NoSuchBucket,
        "PreconditionFailed" => return Verdict::Precondition,
        "NotModified" => return Verdict::NotModified,
        "InvalidRange" => return Verdict::Range,
        "PermanentRedirect" | "TemporaryRedirect" | "Redirect" => return Verdict::Redirected,
        "ExpiredToken" | "TokenRefreshRequired" | "RequestExpired" => return Verdict::Expired,
        "NotImplemented" => return Verdict::NotImplemented,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "BandwidthLimitExceeded" => return Verdict::Class(Throttled),
        // Refused before anything was done, and different the next time: another conditional put was under way, the body came too
        // slowly, the clock is corrected by the SDK from the answer's date. A lost upload begins anew.
        "ConditionalRequestConflict"
        | "OperationAborted"
        | "RequestTimeout"
        | "RequestTimeTooSkewed"
        | "NoSuchUpload" => return Verdict::Class(Unavailable),
        "AccessDenied"
        | "AllAccessDisabled"
        | "AuthorizationHeaderMalformed"
        | "AccountProblem"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "MissingSecurityHeader" => return Verdict::Class(Denied),
        // Refused, they say. One server was seen to keep the object that it rejected so.
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch"
        | "IncompleteBody" => return Verdict::Class(effect.of_silence()),
        "InternalError" => return Verdict::Class(effect.of_silence()),
        _ => {}
    }
    match status {
        304 => Verdict::NotModified,
        401 | 403 => Verdict::Class(Denied),
        404 => Verdict::NoSuchThing,
        // From something in between, which may have passed the request on.
        408 | 499 => Verdict::Class(effect.of_silence()),
        412 => Verdict::Precondition,
        416 => Verdict::Range,
        429 => Verdict::Class(Throttled),
        501 => Verdict::NotImplemented,
        500..=599 => Verdict::Class(effect.of_silence()),
        _ => Verdict::Class(Other),
    }
}

#[cfg(test)]
mod tests {
    use ErrorClass::{Denied, Other, Throttled, TimeoutUnknown, Unavailable};
    use Verdict::*;

    use super::*;

    /// Status, code, what it means to a read, what it means to a write.
    const TABLE: &[(u16, &str, Verdict, Verdict)] = &[
        (404, "NoSuchKey", NoSuchKey, NoSuchKey),
        (404, "NoSuchBucket", NoSuchBucket, NoSuchBucket),
        (404, "", NoSuchThing, NoSuchThing),
        (404, "NotFound", NoSuchThing, NoSuchThing),
        (404, "NoSuchUpload", Class(Unavailable), Class(Unavailable)),
        (412, "PreconditionFailed", Precondition, Precondition),
        (412, "", Precondition, Precondition),
        (304, "", NotModified, NotModified),
        (304, "NotModified", NotModified, NotModified),
        (416, "InvalidRange", Range, Range),
        (416, "", Range, Range),
        (409, "ConditionalRequestConflict", Class(Unavailable), Class(Unavailable)),
        (409, "OperationAborted", Class(Unavailable), Class(Unavailable)),
        (409, "BucketNotEmpty", Class(Other), Class(Other)),
        (301, "PermanentRedirect", Redirected, Redirected),
        (307, "TemporaryRedirect", Redirected, Redirected),
        (302, "", Redirected, Redirected),
        (308, "", Redirected, Redirected),
        (400, "AuthorizationHeaderMalformed", Class(Denied), Class(Denied)),
        (400, "ExpiredToken", Expired, Expired),
        (403, "ExpiredToken", Expired, Expired),
        (400, "TokenRefreshRequired", Expired, Expired),
        (403, "RequestTimeTooSkewed", Class(Unavailable), Class(Unavailable)),
        (403, "AccessDenied", Class(Denied), Class(Denied)),
        (403, "SignatureDoesNotMatch", Class(Denied), Class(Denied)),
        (403, "InvalidAccessKeyId", Class(Denied), Class(Denied)),
        (400, "InvalidToken", Class(Denied), Class(Denied)),
        (403, "", Class(Denied), Class(Denied)),
        (401, "", Class(Denied), Class(Denied)),
        (503, "SlowDown", Class(Throttled), Class(Throttled)),
        (429, "", Class(Throttled), Class(Throttled)),
        (429, "TooManyRequests", Class(Throttled), Class(Throttled)),
        (500, "InternalError", Class(Unavailable), Class(TimeoutUnknown)),
        // CompleteMultipartUpload can fail after its 200.
        (200, "InternalError", Class(Unavailable), Class(TimeoutUnknown)),
        (200, "SlowDown", Class(Throttled), Class(Throttled)),
        (500, "", Class(Unavailable), Class(TimeoutUnknown)),
        (502, "", Class(Unavailable), Class(TimeoutUnknown)),
        (503, "ServiceUnavailable", Class(Unavailable), Class(TimeoutUnknown)),
        (504, "", Class(Unavailable), Class(TimeoutUnknown)),
        (408, "", Class(Unavailable), Class(TimeoutUnknown)),
        (499, "", Class(Unavailable), Class(TimeoutUnknown)),
        (400, "RequestTimeout", Class(Unavailable), Class(Unavailable)),
        (400, "BadDigest", Class(Unavailable), Class(TimeoutUnknown)),
        (400, "IncompleteBody", Class(Unavailable), Class(TimeoutUnknown)),
        (501, "NotImplemented", NotImplemented, NotImplemented),
        (501, "", NotImplemented, NotImplemented),
        (400, "InvalidArgument", Class(Other), Class(Other)),
        (400, "EntityTooSmall", Class(Other), Class(Other)),
        (405, "MethodNotAllowed", Class(Other), Class(Other)),
        (418, "", Class(Other), Class(Other)),
    ];

    #[test]
    fn s01_s04_s11_every_answer_has_a_class() {
        for (status, code, read, write) in TABLE {
            let code = Some(*code).filter(|code| !code.is_empty());
            let (found_read, found_write) =
                (verdict(Effect::Unseen, *status, code), verdict(Effect::Seen, *status, code));
            assert_eq!((found_read, found_write), (*read, *write), "{status} {code:?}");
        }
    }

    #[test]
    fn reads_are_never_unknown_and_no_status_is_without_a_verdict() {
        for status in 0..1000 {
            for code in [None, Some("InternalError"), Some("BadDigest"), Some("Whatever")] {
                let read = verdict(Effect::Unseen, status, code);
                assert_ne!(read, Class(TimeoutUnknown), "{status} {code:?}");
                let write = verdict(Effect::Seen, status, code);
                assert!(
                    write == read || write == Class(TimeoutUnknown),
                    "{status} {code:?}: {read:?} {write:?}"
                );
            }
        }
    }
}
