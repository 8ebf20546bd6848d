//! What a cell may end in. For most there is one end.

use graphstream_storage::ErrorClass;
use graphstream_testkit::fault_proxy::S3Operation;

use crate::calls::Call;
use crate::faults::{Damage, Kind, Moment, Row, Says};

/// What a call ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As if there were no fault: of a call that is refused, the refusal.
    Right,
    /// An error of this class.
    Fails(ErrorClass),
    /// An answer that is wrong and that no client can tell from a right one.
    Unseen,
}
use End::{Fails, Right, Unseen};

impl End {
    /// In few letters.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Right => "right",
            Unseen => "UNSEEN",
            Fails(class) => class.as_str(),
        }
    }
}

/// A cell but for its row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) call: Call,
    pub(crate) request: S3Operation,
    /// Under the default decorators; else with a time-out only.
    pub(crate) decorated: bool,
    /// The fault strikes every time.
    pub(crate) always: bool,
}

impl Column {
    /// Whether the request itself changes what others see.
    fn is_seen(self) -> bool {
        !self.call.is_read()
            && !matches!(self.request, S3Operation::CreateMultipartUpload | S3Operation::UploadPart)
    }

    /// The class of a call that is given up: which of its requests it was at, nobody knows.
    fn silent(self) -> ErrorClass {
        if self.call.is_read() { ErrorClass::Unavailable } else { ErrorClass::TimeoutUnknown }
    }

    /// The class of an answer that never comes.
    fn lost(self) -> ErrorClass {
        if self.is_seen() { ErrorClass::TimeoutUnknown } else { ErrorClass::Unavailable }
    }
}

/// What the cell may end in.
pub(crate) fn expected(column: Column, row: &Row) -> Vec<End> {
    match row.kind {
        // Giving up takes too long.
        _ if column.call == Call::Abort && matches!(row.kind, Kind::Fails(_, Says::Silence)) => {
            vec![Fails(ErrorClass::TimeoutUnknown)]
        }
        // Whatever comes of giving up, the call has failed already.
        _ if column.call == Call::Abort => vec![Right],
        Kind::Fails(..) if column.call == Call::Head && row.status.is_some() => head(column, row),
        Kind::Fails(moment, says) => failure(column, moment, says),
        Kind::Damaged(damage) => damaged(column, damage),
    }
}

/// The answer to a head has no body and so no code: what may mean several things is asked again, with a get.
fn head(column: Column, row: &Row) -> Vec<End> {
    let bare = match row.status {
        Some(400 | 403 | 404 | 409) => return vec![Right],
        Some(429) => ErrorClass::Throttled,
        Some(408 | 499 | 500 | 502 | 503 | 504) => ErrorClass::Unavailable,
        Some(200) => ErrorClass::Corrupt,
        _ => ErrorClass::Other,
    };
    ends(column, Moment::Before, bare)
}

fn failure(column: Column, moment: Moment, says: Says) -> Vec<End> {
    let bare = match says {
        Says::Nothing => column.lost(),
        Says::Silence => column.silent(),
        Says::Refused(class) => class,
        Says::Precondition => match column.call {
            Call::Create | Call::CreateRefused => ErrorClass::Exists,
            Call::CreateLarge if column.is_seen() => ErrorClass::Exists,
            Call::Match | Call::MatchRefused => ErrorClass::VersionMismatch,
            _ => ErrorClass::Other,
        },
        Says::NoSuchKey => match column.call {
            Call::Get | Call::GetRange | Call::GetIfChanged => ErrorClass::NotFound,
            Call::Match | Call::MatchRefused => ErrorClass::NotFound,
            // It is what was wanted; the store lies if it has not acted.
            Call::Delete => return vec![if moment == Moment::Before { Unseen } else { Right }],
            _ => ErrorClass::Other,
        },
        // Asked for by one, it is refused by all, and then one goes by one.
        Says::NotImplemented if column.call == Call::DeleteMany => return vec![Right],
        Says::NotImplemented => ErrorClass::Other,
        // Of an object it could be the body.
        Says::Failure if !column.call.is_read() || column.call == Call::List => column.lost(),
        Says::Rubbish | Says::Failure => match column.call {
            Call::Get | Call::GetRange | Call::GetIfChanged | Call::Head | Call::List => ErrorClass::Corrupt,
            Call::Delete => return vec![if moment == Moment::Before { Unseen } else { Right }],
            _ if !column.is_seen() => ErrorClass::Corrupt,
            _ => column.lost(),
        },
    };
    ends(column, moment, bare)
}

/// Of a call whose answer was, or seemed to be, of this class.
fn ends(column: Column, moment: Moment, bare: ErrorClass) -> Vec<End> {
    let passes = matches!(bare, ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::TimeoutUnknown);
    let as_refused = column.call.refusal() == Some(bare);
    if as_refused {
        return vec![Right];
    }
    if !column.decorated || !passes {
        return vec![Fails(bare)];
    }
    let acted = moment == Moment::After && column.is_seen();
    let unknown = bare == ErrorClass::TimeoutUnknown;
    match (column.call, column.always) {
        // It was refused, but that answer was lost, and what is there is another's: nobody knows (O9).
        (Call::CreateRefused | Call::MatchRefused, _) if unknown => vec![Fails(ErrorClass::TimeoutUnknown)],
        // Found by reading back.
        (Call::Create | Call::CreateLarge | Call::Match, _) if acted && unknown => vec![Right],
        // The store said that it had not acted, and had: its lie makes the repeat a refusal, and no put that was acknowledged is lost.
        (Call::Create | Call::CreateLarge, false) if acted => vec![Fails(ErrorClass::Exists)],
        (Call::Match, false) if acted => vec![Fails(ErrorClass::VersionMismatch)],
        (_, false) => vec![Right],
        (_, true) => vec![Fails(bare)],
    }
}

fn damaged(column: Column, damage: Damage) -> Vec<End> {
    let lost = column.lost();
    let any = |ends: &[End]| ends.to_vec();
    match (column.call, damage) {
        // What followed the first page is on the connection that the second is asked for on.
        (Call::List, Damage::Harmless) if !column.decorated => any(&[Right, Fails(lost)]),
        (_, Damage::Harmless) => vec![Right],
        // No body, no page: nothing to damage.
        (
            Call::GetIfChanged | Call::Head,
            Damage::Broken(_) | Damage::Stalls(_) | Damage::Length | Damage::Bytes,
        ) => vec![Right],
        // A token that nobody gave is refused by the server.
        (Call::List, Damage::Page) => any(&[Fails(ErrorClass::Corrupt), Fails(ErrorClass::Other)]),
        (Call::List, Damage::Hole) => vec![Unseen],
        (_, Damage::Page | Damage::Hole) => vec![Right],
        (Call::Get | Call::GetRange, Damage::Broken(bytes) | Damage::Stalls(bytes)) => {
            match (column.decorated, column.always) {
                (false, _) => vec![Fails(ErrorClass::Unavailable)],
                // What comes in parts comes.
                (true, true) if bytes == 0 => vec![Fails(ErrorClass::Unavailable)],
                (true, _) => vec![Right],
            }
        }
        // Checksums are of whole objects.
        (Call::Get, Damage::Length | Damage::Bytes) => vec![Fails(ErrorClass::Corrupt)],
        (Call::GetRange, Damage::Length) => vec![Fails(ErrorClass::Corrupt)],
        (Call::GetRange, Damage::Bytes) => vec![Unseen],
        // It does not contradict itself: segments and heads have checksums and positions of their own.
        (Call::Get | Call::Head, Damage::Other) => vec![Unseen],
        // A whole object where a part was asked for.
        (Call::GetRange, Damage::Other) => vec![Fails(ErrorClass::Corrupt)],
        (Call::GetIfChanged, Damage::Other) => vec![Unseen],
        // XML that breaks off, or isn't any.
        (Call::List, Damage::Broken(_) | Damage::Stalls(_)) => match (column.decorated, column.always) {
            (true, false) => vec![Right],
            _ => vec![Fails(ErrorClass::Unavailable)],
        },
        // Where the page still says what it said, nothing is lost.
        (Call::List, _) => any(&[Fails(ErrorClass::Corrupt), Right]),
        // Where the answer's body says something, it may be missed; what was done is done.
        (_, Damage::Broken(_)) if column.decorated && !column.always => vec![Right],
        (_, Damage::Stalls(_)) if column.decorated && !column.always => vec![Right],
        (_, Damage::Stalls(_)) => any(&[Right, Fails(column.silent())]),
        (_, Damage::Broken(_)) => any(&[Right, Fails(lost)]),
        (_, _) if column.is_seen() && column.decorated && !column.always => vec![Right],
        (_, _) if column.is_seen() => any(&[Right, Fails(lost)]),
        (_, _) => any(&[Right, Fails(ErrorClass::Corrupt)]),
    }
}
