//! Listings, a page at a time.

use aws_sdk_s3::types::EncodingType;
use graphstream_storage::{
    self as storage, KEY_BYTES_MAX, Key, ListPage, ListRequest, ObjectMeta, Operation, Token,
};

use crate::S3Backend;
use crate::error::Failure;
use crate::get::{milliseconds, version};
use crate::verdict::Effect;

const LIST: &str = "ListObjectsV2";
const PAGE_MAX: usize = 1000;

impl S3Backend {
    pub(crate) async fn list_page(&self, request: ListRequest) -> storage::Result<ListPage> {
        let ListRequest { prefix, start_after, limit, delimiter, continuation, .. } = request;
        if !may_begin_a_key(&prefix) {
            return Ok(ListPage::default());
        }
        let start_after = start_after.filter(|text| !text.is_empty()).map(shortened);
        let limit = limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let request = self
            .client()
            .list_objects_v2()
            .bucket(&self.config().bucket)
            .prefix(&prefix)
            .set_start_after(start_after)
            .max_keys(i32::try_from(limit).unwrap_or(1000))
            .set_delimiter(delimiter.then(|| "/".to_owned()))
            .set_continuation_token(continuation.map(|token| token.as_str().to_owned()))
            // XML can't carry every character, and some servers escape too little.
            .encoding_type(EncodingType::Url);
        let broken =
            |problem| self.failed(Failure::protocol(LIST, Effect::Unseen, problem), Operation::List, &prefix);
        let page = request.send().await.map_err(|error| {
            self.failed(Failure::of(LIST, Effect::Unseen, error), Operation::List, &prefix)
        })?;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        let decoded = |text: &str| if encoded { url_decoded(text) } else { text.to_owned() };
        let mut objects = Vec::with_capacity(page.contents().len());
        for object in page.contents() {
            let name = object.key().ok_or_else(|| broken("an object without a key"))?;
            // Not ours: `folder/` and other names that are no keys.
            let Ok(key) = Key::new(decoded(name)) else { continue };
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let size = size.ok_or_else(|| broken("an object without a size"))?;
            let version = version(object.e_tag()).ok_or_else(|| broken("an object without a usable ETag"))?;
            objects.push(ObjectMeta::new(key, size, version, milliseconds(object.last_modified())));
        }
        let prefixes = page.common_prefixes().iter().filter_map(|common| common.prefix()).map(decoded);
        let prefixes =
            prefixes.filter(|common| common.strip_suffix('/').is_some_and(|key| Key::new(key).is_ok()));
        let next = match (page.is_truncated(), page.next_continuation_token()) {
            (Some(true), Some(token)) => Some(Token::new(token)),
            (Some(true), None) => return Err(broken("there is more, but no token to ask for it")),
            _ => None,
        };
        Ok(ListPage::new(objects, prefixes.collect(), next))
    }
}

/// Whether any key can start with it; S3 refuses some of the others.
fn may_begin_a_key(prefix: &str) -> bool {
    prefix.is_empty() || Key::new(prefix).is_ok() || Key::new(format!("{prefix}x")).is_ok()
}

/// No key is longer than this many bytes, so none lies between a longer text and its beginning.
fn shortened(mut text: String) -> String {
    if text.len() > KEY_BYTES_MAX {
        let mut end = KEY_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
    }
    text
}

/// As `encoding-type=url` has it: a blank is `+`.
pub(crate) fn url_decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_names_are_decoded() {
        assert_eq!(url_decoded("a+b/c%2Bd%25%C3%A9"), "a b/c+d%é");
    }

    #[test]
    fn prefixes_that_begin_no_key_are_not_asked_for() {
        for fine in ["", "a", "a/", "a/b", "a/..", ".", "a b", "é"] {
            assert!(may_begin_a_key(fine), "{fine}");
        }
        for odd in ["/", "../", "a//", "a/../", "./", "a\0", "\n", &"x".repeat(2000)] {
            assert!(!may_begin_a_key(odd), "{odd}");
        }
    }

    #[test]
    fn long_starts_are_cut_at_a_character() {
        assert_eq!(shortened("é".repeat(600)).len(), KEY_BYTES_MAX);
        assert_eq!(shortened(format!("a{}", "é".repeat(600))).len(), KEY_BYTES_MAX - 1);
    }
}
