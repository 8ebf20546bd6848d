//! Damaged bodies.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::error::{Error, Result};
use crate::faults::BodyFault;
use crate::{ByteStream, GetOptions, GetOutcome, Key, Object, ObjectMeta, StorageBackend};

/// Gets from `inner` and damages the body; `lost` is the error of a cut connection.
pub(super) async fn damaged_get(
    inner: &dyn StorageBackend,
    key: &Key,
    options: GetOptions,
    fault: BodyFault,
    lost: Error,
) -> Result<GetOutcome> {
    if let BodyFault::Swap(other) = &fault {
        return Ok(match inner.get(other, options).await? {
            GetOutcome::Found(object) => {
                let meta = ObjectMeta { key: key.clone(), ..object.meta };
                GetOutcome::Found(Object::new(meta, object.range, object.body))
            }
            unchanged @ GetOutcome::NotModified => unchanged,
        });
    }
    let GetOutcome::Found(object) = inner.get(key, options).await? else {
        return Ok(GetOutcome::NotModified);
    };
    let Object { mut meta, mut range, body } = object;
    let body = match fault {
        BodyFault::Cut(keep) => {
            let kept = first_bytes(body, keep).await?;
            ByteStream::new(futures_util::stream::iter([Ok(kept), Err(lost)]))
        }
        BodyFault::Truncate(keep) => ByteStream::from_bytes(first_bytes(body, keep).await?),
        BodyFault::Extend(more) => ByteStream::new(body.chain(futures_util::stream::iter([Ok(more)]))),
        BodyFault::FlipBit(bit) => ByteStream::from_bytes(flipped(first_bytes(body, u64::MAX).await?, bit)),
        BodyFault::Replace(bytes) => {
            meta.size = bytes.len() as u64;
            range = 0..meta.size;
            ByteStream::from_bytes(bytes)
        }
        BodyFault::Swap(_) => body,
    };
    Ok(GetOutcome::Found(Object::new(meta, range, body)))
}

async fn first_bytes(mut body: ByteStream, keep: u64) -> Result<Bytes> {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let mut all = BytesMut::new();
    while all.len() < keep {
        let Some(chunk) = body.next_chunk().await? else { break };
        all.extend_from_slice(&chunk);
    }
    all.truncate(keep);
    Ok(all.freeze())
}

fn flipped(bytes: Bytes, bit: u64) -> Bytes {
    let mut bytes = BytesMut::from(bytes);
    let bits = (bytes.len() as u64).saturating_mul(8);
    let bit = bit.checked_rem(bits).unwrap_or(0);
    let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (bit % 8);
    }
    bytes.freeze()
}
