//! What an uploader knows before it asks the store: whose journal it is, where it ends, and what it has published.

use graphstream_journal::{Identity, JournalDir, ShipLock};
use graphstream_remote::{Floor, SessionOptions};

use super::chain::SealedChain;
use super::cursor::{UPLOADER_CURSOR, begin_to_hold};
use super::manifest::UploadManifest;
use crate::{Error, Result};

/// A journal that can be shipped.
pub(super) struct Opened {
    pub(super) lock: ShipLock,
    pub(super) identity: Identity,
    pub(super) chain: SealedChain,
    /// The committed sequence that the cursor says, and the manifest where there is something to say.
    pub(super) noted: Option<u64>,
    floor: Published,
    plain_up_to: u64,
}

/// What this journal is known to have published.
enum Published {
    /// Nothing: only such a journal may create the head.
    Nothing,
    /// The head can't be below this; `None` when the journal no longer knows its chain hash there.
    Something(Option<Floor>),
}

impl Opened {
    /// Blocks for the disk.
    pub(super) fn new(dir: &JournalDir, now_ms: i64) -> Result<Self> {
        let path = || dir.path().to_path_buf();
        let identity = dir.identity()?.ok_or_else(|| Error::NotAdopted { path: path() })?;
        dir.check_keys()?;
        if let Some(note) = dir.fenced()? {
            return Err(Error::FencedBefore { after: note.after });
        }
        let lock = dir.lock_shipper()?;
        let chain = SealedChain::open(dir.clone())?;
        begin_to_hold(dir, now_ms);
        let cursor = dir.cursor(UPLOADER_CURSOR)?.map(|cursor| cursor.sequence);
        let manifest =
            UploadManifest::read(dir)?.filter(|manifest| manifest.committed >= cursor.unwrap_or(0));
        let (floor, published) = match (&manifest, cursor.unwrap_or(0)) {
            (Some(manifest), _) => (Published::Something(Some(manifest.floor())), Some(manifest.committed)),
            (None, 0) => (Published::Nothing, Some(0)),
            (None, cursor) => {
                let hash = chain.hash_at(cursor)?;
                (Published::Something(hash.map(|hash| Floor::new(0, cursor, hash.into()))), None)
            }
        };
        let noted = published.filter(|published| cursor == Some(*published));
        // A head that is still plain is keyed by the claim, up to what the journal itself says is plain.
        let plain_up_to = identity.plain_up_to.unwrap_or(0);
        Ok(Self { lock, identity, chain, noted, floor, plain_up_to })
    }

    pub(super) fn session_options(&self) -> SessionOptions {
        let options = SessionOptions::default().with_plain_up_to(self.plain_up_to);
        match &self.floor {
            Published::Nothing => options.with_create(true),
            Published::Something(floor) => options.with_create(false).with_floor(*floor),
        }
    }
}
