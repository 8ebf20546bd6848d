//! What must never be seen: erased when dropped, without a `Debug` that shows anything.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// A key pair, perhaps with a session's token.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Zeroizing<String>,
    pub(crate) session_token: Option<Zeroizing<String>>,
}

impl StaticCredentials {
    /// A long-lived key pair.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Zeroizing::new(secret_access_key.into()),
            session_token: None,
        }
    }

    /// The token of a session whose key pair this is.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(token.into()));
        self
    }
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// The key of SSE-C: the store encrypts with it and forgets it. Whoever loses it has lost the objects.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey(Zeroizing<[u8; 32]>);

impl CustomerKey {
    /// The algorithm that S3 knows.
    pub(crate) const ALGORITHM: &str = "AES256";

    /// 256 bits.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// As the header has it. The SDK takes plain strings: copies live as long as a request.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.0.as_slice())
    }

    /// Proves to the store that the key has arrived whole.
    pub(crate) fn md5(&self) -> String {
        STANDARD.encode(Md5::digest(self.0.as_slice()))
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let credentials = StaticCredentials::new("AKID", "canary-secret").with_session_token("canary-token");
        let key = CustomerKey::new([b'k'; 32]);
        let shown = format!("{credentials:?} {key:?}");
        assert_eq!(shown, "StaticCredentials { access_key_id: \"AKID\", .. } CustomerKey");
    }
}
