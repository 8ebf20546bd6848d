//! The faults of the matrix, and what each says to a client.

use std::time::Duration;

use graphstream_storage::{ErrorClass, Key};
use graphstream_testkit::fault_proxy::{Answer, BodyFault, Failure, Fault, ListFault};

/// What a client can make of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing, and goes on saying it.
    Silence,
    /// Nothing that can be relied on: the request may have been carried out.
    Nothing,
    /// That nothing was done, for this reason.
    Refused(ErrorClass),
    /// That a condition does not hold.
    Precondition,
    /// That there is no such object.
    NoSuchKey,
    /// That it can't do that.
    NotImplemented,
    /// That all is well, in no answer that S3 gives.
    Rubbish,
    /// That it failed, after it had begun to say that all is well: S3 does that when it takes long.
    Failure,
}

/// When a failure comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The server has not acted, and never will.
    Before,
    /// The server has acted.
    After,
    /// The server acts when the call has ended.
    Late,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It ends before its announced end; so many bytes had come.
    Broken(u64),
    /// It goes on, but nothing comes; so many bytes had come.
    Stalls(u64),
    /// Slow, or followed by what does not belong to it: nothing is wrong with it.
    Harmless,
    /// Another length than the object has, announced.
    Length,
    /// Other bytes of the same length.
    Bytes,
    /// Whole, and of another object or time.
    Other,
    /// A page that contradicts itself or another page.
    Page,
    /// A page without something, that shows nothing of it.
    Hole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fails(Moment, Says),
    Damaged(Damage),
}

/// A row of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    /// The status of the answer, if it is scripted.
    pub(crate) status: Option<u16>,
    /// It ends by a time-out, so that is short.
    pub(crate) silent: bool,
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

fn failures(elsewhere: &str) -> Vec<(&'static str, Failure, Says)> {
    use ErrorClass::{Denied, Other, Throttled, Unavailable};
    let error = |status, code| Failure::Answer(Answer::error(status, code));
    let status = |status| Failure::Answer(Answer::status(status));
    let inside = |code| {
        let body = format!("{XML}<Error><Code>{code}</Code><Message>scripted</Message></Error>");
        Failure::Answer(Answer::status(200).with_header("content-type", "application/xml").with_body(body))
    };
    vec![
        ("reset", Failure::Reset, Says::Nothing),
        ("close", Failure::Close, Says::Nothing),
        ("hang", Failure::Hang, Says::Silence),
        ("500 InternalError", error(500, "InternalError"), Says::Nothing),
        ("502", status(502), Says::Nothing),
        ("503 ServiceUnavailable", error(503, "ServiceUnavailable"), Says::Nothing),
        ("504", status(504), Says::Nothing),
        ("408", status(408), Says::Nothing),
        ("499", status(499), Says::Nothing),
        ("400 BadDigest", error(400, "BadDigest"), Says::Nothing),
        ("503 SlowDown", error(503, "SlowDown"), Says::Refused(Throttled)),
        ("429", status(429), Says::Refused(Throttled)),
        (
            "409 ConditionalRequestConflict",
            error(409, "ConditionalRequestConflict"),
            Says::Refused(Unavailable),
        ),
        ("403 ExpiredToken", error(403, "ExpiredToken"), Says::Refused(Unavailable)),
        ("403 RequestTimeTooSkewed", error(403, "RequestTimeTooSkewed"), Says::Refused(Unavailable)),
        ("403 AccessDenied", error(403, "AccessDenied"), Says::Refused(Denied)),
        ("301 elsewhere", Failure::Answer(Answer::redirect(301, elsewhere)), Says::Refused(Other)),
        ("307 elsewhere", Failure::Answer(Answer::redirect(307, elsewhere)), Says::Refused(Other)),
        ("404 NoSuchBucket", error(404, "NoSuchBucket"), Says::Refused(Other)),
        ("501 NotImplemented", error(501, "NotImplemented"), Says::NotImplemented),
        ("412", error(412, "PreconditionFailed"), Says::Precondition),
        ("404 NoSuchKey", error(404, "NoSuchKey"), Says::NoSuchKey),
        ("200 of nothing", status(200), Says::Rubbish),
        ("200 of rubbish", Failure::Answer(Answer::status(200).with_body("rubbish")), Says::Rubbish),
        ("200 with InternalError", inside("InternalError"), Says::Failure),
    ]
}

/// All rows. `other` and `own` are the keys of another object and of the object itself.
pub(crate) fn rows(elsewhere: &str, other: &Key, own: &Key) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, failure, says) in failures(elsewhere) {
        for (moment, fault) in [
            (Moment::Before, Fault::Before(failure.clone())),
            (Moment::After, Fault::After(failure.clone())),
            (Moment::Late, Fault::Late(failure.clone())),
        ] {
            // A request that a server refused never lands later.
            let open = matches!(says, Says::Silence | Says::Nothing);
            if moment == Moment::Late && !open {
                continue;
            }
            let name = format!("{name}, {}", format!("{moment:?}").to_lowercase());
            let status = match &failure {
                Failure::Answer(answer) => Some(answer.status),
                _ => None,
            };
            let silent = matches!(failure, Failure::Hang);
            rows.push(Row { name, kind: Kind::Fails(moment, says), fault, status, silent });
        }
    }
    let pause = Duration::from_millis(1);
    for (name, damage, fault) in [
        ("cut at 0", Damage::Broken(0), BodyFault::Cut(0)),
        ("cut at 400", Damage::Broken(400), BodyFault::Cut(400)),
        ("reset at 0", Damage::Broken(0), BodyFault::ResetAt(0)),
        ("stalls at 0", Damage::Stalls(0), BodyFault::StallAt(0)),
        ("stalls at 400", Damage::Stalls(400), BodyFault::StallAt(400)),
        ("drips", Damage::Harmless, BodyFault::Drip { bytes: 100, pause }),
        ("is overrun", Damage::Harmless, BodyFault::Overrun("!!".into())),
        ("is truncated to 0", Damage::Length, BodyFault::Truncate(0)),
        ("is truncated to 100", Damage::Length, BodyFault::Truncate(100)),
        ("is extended", Damage::Length, BodyFault::Extend("!".into())),
        ("has a bit flipped", Damage::Bytes, BodyFault::FlipBit(77)),
        ("is rubbish", Damage::Length, BodyFault::Replace("rubbish".into())),
    ] {
        let silent = matches!(fault, BodyFault::StallAt(_));
        let name = format!("body {name}");
        rows.push(Row { name, kind: Kind::Damaged(damage), fault: Fault::Body(fault), status: None, silent });
    }
    for (name, damage, fault) in [
        ("page repeats its token", Damage::Page, ListFault::RepeatToken),
        ("page lacks its token", Damage::Page, ListFault::DropToken),
        ("page is descending", Damage::Page, ListFault::Reverse),
        ("page has a duplicate", Damage::Page, ListFault::Duplicate),
        ("page says it is the last", Damage::Hole, ListFault::Forget),
        ("page omits an object", Damage::Hole, ListFault::Omit(own.to_string())),
    ] {
        let (name, fault) = (name.to_owned(), Fault::List(fault));
        rows.push(Row { name, kind: Kind::Damaged(damage), fault, status: None, silent: false });
    }
    for (name, damage, fault) in [
        ("another object's answer", Damage::Other, Fault::Replay(other.to_string())),
        ("an old answer", Damage::Other, Fault::Replay(own.to_string())),
        ("a delay", Damage::Harmless, Fault::Delay(pause)),
    ] {
        rows.push(Row {
            name: name.to_owned(),
            kind: Kind::Damaged(damage),
            fault,
            status: None,
            silent: false,
        });
    }
    rows
}
