//! The text form of a key: one line, in a file that only its owner can read.
//!
//! ```text
//! graphstream-key-1 <id, 32 hex digits> <key, 44 base64 characters>
//! ```
//!
//! Base64 is taken apart in constant time. The id says nothing new, it follows from the key: that is how a key that was copied wrong is
//! found out.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::key::{DATA_KEY_LEN, DataKey, KeyId};
use crate::error::{Error, KeyLineDefect, Result};

/// What the line begins with.
pub const KEY_FILE_LABEL: &str = "graphstream-key-1";

/// Length of a key in base64, padding included.
const BASE64_LEN: usize = DATA_KEY_LEN.div_ceil(3) * 4;

impl DataKey {
    /// The key of a key file's text: one line, with or without a line break behind it.
    ///
    /// # Errors
    /// [`Error::InvalidKeyLine`] for a text of another form; [`Error::WrongKey`] if the key is not the one of its id. No message
    /// contains any of the text but the id.
    pub fn from_line(text: &str) -> Result<Self> {
        let invalid = |defect| Error::InvalidKeyLine { defect };
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains(['\n', '\r']) {
            return Err(invalid(KeyLineDefect::Lines));
        }
        let mut fields = line.split(' ');
        if fields.next() != Some(KEY_FILE_LABEL) {
            return Err(invalid(KeyLineDefect::Label));
        }
        let (Some(id), Some(secret), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(invalid(KeyLineDefect::Fields));
        };
        let id: KeyId = id.parse().map_err(|_| invalid(KeyLineDefect::Id))?;
        let mut bytes = Zeroizing::new([0; DATA_KEY_LEN]);
        match Base64::decode(secret, bytes.as_mut()) {
            Ok(decoded) if decoded.len() == DATA_KEY_LEN => {}
            _ => return Err(invalid(KeyLineDefect::Secret)),
        }
        let key = Self::taking(&mut bytes);
        if key.id() == id { Ok(key) } else { Err(Error::WrongKey { expected: id, found: key.id() }) }
    }

    /// The line of a key file, with its line break. **This shows the key.** The text is overwritten when dropped.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        let mut base64 = Zeroizing::new([0; BASE64_LEN]);
        // The buffer has exactly the length that 32 bytes take.
        let secret = Base64::encode(self.secret(), base64.as_mut()).unwrap_or_default();
        // Room for all of it at once: a string that grows leaves copies behind.
        let mut line = Zeroizing::new(String::with_capacity(KEY_FILE_LABEL.len() + 2 * 16 + BASE64_LEN + 3));
        for part in [KEY_FILE_LABEL, " ", &self.id().to_string(), " ", secret, "\n"] {
            line.push_str(part);
        }
        line
    }
}
