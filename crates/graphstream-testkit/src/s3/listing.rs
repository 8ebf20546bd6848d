//! One page of a listing: prefix, delimiter, start-after, tokens, URL encoding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use super::object::Stored;

/// What to list.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) start_after: String,
    pub(super) token: Option<String>,
    pub(super) limit: usize,
}

/// What was found; keys as they are.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    pub(super) objects: Vec<(&'a str, &'a Stored)>,
    pub(super) prefixes: Vec<String>,
    /// Opaque to clients.
    pub(super) next: Option<String>,
}

/// Lists; `None` for a token that no page has given.
pub(super) fn list<'a>(objects: &'a BTreeMap<String, Stored>, query: &Query) -> Option<Page<'a>> {
    let token = match &query.token {
        Some(token) => Some(String::from_utf8(hex::decode(token).ok()?).ok()?),
        None => None,
    };
    // A page ends with a key or with a prefix below which there is nothing more to list.
    let after = token.as_deref().unwrap_or(&query.start_after);
    let folded = token.as_deref().filter(|token| {
        query
            .delimiter
            .as_deref()
            .is_some_and(|delimiter| fold(token, &query.prefix, delimiter) == Some(token))
    });
    let mut page = Page::default();
    let mut last: Option<String> = None;
    let from = if after >= query.prefix.as_str() {
        Bound::Excluded(after)
    } else {
        Bound::Included(query.prefix.as_str())
    };
    for (key, object) in objects.range::<str, _>((from, Bound::Unbounded)) {
        if !key.starts_with(&query.prefix) {
            break;
        }
        if folded.is_some_and(|folded| key.starts_with(folded)) {
            continue;
        }
        let prefix = query.delimiter.as_deref().and_then(|delimiter| fold(key, &query.prefix, delimiter));
        if prefix.is_some() && page.prefixes.last().map(String::as_str) == prefix {
            continue;
        }
        if page.objects.len() + page.prefixes.len() >= query.limit {
            page.next = last.map(hex::encode);
            return Some(page);
        }
        match prefix {
            Some(prefix) => {
                page.prefixes.push(prefix.to_owned());
                last = Some(prefix.to_owned());
            }
            None => {
                page.objects.push((key, object));
                last = Some(key.clone());
            }
        }
    }
    Some(page)
}

/// What the key is folded into: up to and with the first delimiter behind the prefix.
fn fold<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter).filter(|_| !delimiter.is_empty())?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// As `encoding-type=url` has it: a blank is `+`, slashes stay.
pub(super) fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &Query) -> Vec<(Vec<String>, Vec<String>)> {
        let keys = ["a", "b/1", "b/2", "c", "d/1/x", "d/2", "e"];
        let objects = keys.iter().map(|key| ((*key).to_owned(), Stored::for_test(b"x"))).collect();
        let mut pages = Vec::new();
        let mut query = Query {
            prefix: query.prefix.clone(),
            delimiter: query.delimiter.clone(),
            start_after: query.start_after.clone(),
            token: None,
            limit: query.limit,
        };
        loop {
            let page = list(&objects, &query).unwrap();
            pages.push((
                page.objects.iter().map(|(key, _)| (*key).to_owned()).collect(),
                page.prefixes.clone(),
            ));
            let Some(next) = page.next else { return pages };
            query.token = Some(next);
        }
    }

    #[test]
    fn pages_hold_each_key_and_each_prefix_once() {
        let slash = || Some("/".to_owned());
        for limit in 1..9 {
            let pages = names(&Query { delimiter: slash(), limit, ..Query::default() });
            let objects: Vec<&str> =
                pages.iter().flat_map(|page| page.0.iter().map(String::as_str)).collect();
            let prefixes: Vec<&str> =
                pages.iter().flat_map(|page| page.1.iter().map(String::as_str)).collect();
            assert_eq!((objects, prefixes), (vec!["a", "c", "e"], vec!["b/", "d/"]), "{limit}");
            assert!(pages.iter().all(|page| page.0.len() + page.1.len() <= limit));
        }
        let below = names(&Query { prefix: "d/".into(), delimiter: slash(), limit: 10, ..Query::default() });
        assert_eq!(below, [(vec!["d/2".to_owned()], vec!["d/1/".to_owned()])]);
        let after =
            names(&Query { start_after: "b/1".into(), delimiter: slash(), limit: 10, ..Query::default() });
        assert_eq!(after[0].1, ["b/", "d/"]);
    }

    #[test]
    fn url_encoding_is_that_of_s3() {
        assert_eq!(url_encoded("a b/c+d%é"), "a+b/c%2Bd%25%C3%A9");
    }
}
