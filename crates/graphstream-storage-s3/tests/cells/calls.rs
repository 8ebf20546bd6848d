//! The calls of the matrix, what each asks S3 for, and whether it ended right.

use graphstream_storage::{
    Bytes, ErrorClass, GetOptions, GetOutcome, Key, ListRequest, Lister, Operation, PutMode, Result,
    StorageBackend,
};
use graphstream_testkit::fault_proxy::S3Operation;

use crate::rig::Lane;

/// A call of each operation, in its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Get,
    GetRange,
    GetIfChanged,
    Head,
    List,
    Overwrite,
    Create,
    /// Another object is there.
    CreateRefused,
    Match,
    /// Another version is there.
    MatchRefused,
    /// In parts.
    CreateLarge,
    /// In parts that are refused, so that it is given up.
    Abort,
    Delete,
    DeleteMany,
}
use Call::*;

impl Call {
    pub(crate) const READS: [Self; 5] = [Get, GetRange, GetIfChanged, Head, List];
    pub(crate) const PUTS: [Self; 5] = [Overwrite, Create, CreateRefused, Match, MatchRefused];
    pub(crate) const LARGE_PUTS: [Self; 2] = [CreateLarge, Abort];
    pub(crate) const DELETES: [Self; 2] = [Delete, DeleteMany];

    /// The requests it makes, each a column of the matrix.
    pub(crate) fn requests(self) -> &'static [S3Operation] {
        match self {
            Get | GetRange | GetIfChanged => &[S3Operation::GetObject],
            Head => &[S3Operation::HeadObject],
            List => &[S3Operation::ListObjectsV2],
            Overwrite | Create | CreateRefused | Match | MatchRefused => &[S3Operation::PutObject],
            CreateLarge => &[
                S3Operation::CreateMultipartUpload,
                S3Operation::UploadPart,
                S3Operation::CompleteMultipartUpload,
            ],
            Abort => &[S3Operation::AbortMultipartUpload],
            Delete => &[S3Operation::DeleteObject],
            DeleteMany => &[S3Operation::DeleteObjects],
        }
    }

    pub(crate) fn operation(self) -> Operation {
        match self {
            Get | GetRange | GetIfChanged => Operation::Get,
            Head => Operation::Head,
            List => Operation::List,
            Overwrite | Create | CreateRefused | Match | MatchRefused | CreateLarge | Abort => Operation::Put,
            Delete => Operation::Delete,
            DeleteMany => Operation::DeleteMany,
        }
    }

    pub(crate) fn is_read(self) -> bool {
        Self::READS.contains(&self)
    }

    /// What it ends in without any fault, if that is an error.
    pub(crate) fn refusal(self) -> Option<ErrorClass> {
        match self {
            CreateRefused => Some(ErrorClass::Exists),
            MatchRefused => Some(ErrorClass::VersionMismatch),
            Abort => Some(ErrorClass::Denied),
            _ => None,
        }
    }

    /// What is to be put.
    pub(crate) fn body(self) -> Bytes {
        match self {
            CreateLarge | Abort => large(),
            _ => small(),
        }
    }

    /// What is under the key before the call.
    pub(crate) fn before(self) -> Option<Bytes> {
        match self {
            Create | CreateLarge | Abort => None,
            Overwrite | Match | CreateRefused | MatchRefused => Some("before".into()),
            Get | GetRange | GetIfChanged | Head | List | Delete | DeleteMany => Some(small()),
        }
    }

    /// What is there when it has been done.
    pub(crate) fn after(self) -> Option<Bytes> {
        match self {
            _ if self.is_read() || self.refusal().is_some() => self.before(),
            Delete | DeleteMany => None,
            _ => Some(self.body()),
        }
    }
}

pub(crate) fn small() -> Bytes {
    (0..1000u32).map(|n| (n % 251) as u8).collect()
}

/// Two parts.
pub(crate) fn large() -> Bytes {
    static LARGE: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    LARGE.get_or_init(|| (0..(5u32 << 20) + 1000).map(|n| (n % 251) as u8).collect()).clone()
}

/// Makes the call, and says whether its answer was right.
pub(crate) async fn make(call: Call, lane: &Lane, backend: &dyn StorageBackend) -> Result<bool> {
    let key = &lane.key;
    let put = |mode| backend.put(key, call.body().into(), mode);
    let options = match call {
        GetRange => GetOptions::default().with_range(100..600),
        GetIfChanged => GetOptions::default().with_if_changed_from(lane.version().await),
        _ => GetOptions::default(),
    };
    let stored = match call {
        Get | GetRange => {
            let Some(object) = backend.get(key, options).await?.found() else { return Ok(false) };
            let range = if call == GetRange { 100..600 } else { 0..1000 };
            return Ok(object.bytes(10_000).await? == small().slice(range));
        }
        GetIfChanged => return Ok(matches!(backend.get(key, options).await?, GetOutcome::NotModified)),
        Head => {
            let meta = backend.head(key).await?;
            return Ok(meta.size == 1000 && meta.version == lane.version().await);
        }
        List => {
            let request = ListRequest::new(format!("{}/", lane.prefix)).with_limit(2);
            let objects = Lister::new(backend, request).objects().await?;
            return Ok(objects.iter().map(|object| &object.key).eq(lane.all_keys().iter()));
        }
        Overwrite => put(PutMode::Overwrite).await?,
        Create | CreateRefused | CreateLarge | Abort => put(PutMode::Create).await?,
        Match => put(PutMode::Match(lane.version().await)).await?,
        MatchRefused => put(PutMode::Match(lane.other_version().await)).await?,
        Delete => {
            backend.delete(key).await?;
            return Ok(lane.there().await.is_none());
        }
        DeleteMany => {
            // One key that is there and one that is not.
            let keys: [Key; 2] = [key.clone(), lane.missing()];
            let outcomes = backend.delete_many(&keys).await?;
            assert!(outcomes.iter().map(|(key, _)| key).eq(keys.iter()), "{outcomes:?}");
            for (_, outcome) in outcomes {
                outcome?;
            }
            return Ok(lane.there().await.is_none());
        }
    };
    // An acknowledged put is there, under the version that was said.
    Ok(lane.there().await == Some(call.body()) && lane.version().await == stored)
}
