//! A store's URL, taken apart as far as all schemes agree.
//!
//! ```text
//!   s3://bucket/some/prefix?region=eu-central-1&path_style=true
//!   scheme   ://authority/path                 ?parameters            path and parameters percent-encoded
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::error::OpenError;

/// What [`StoreUrl::file`] encodes: all that would end a path, and the sign of encoding itself.
const PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// The URL of a store. Never with user and password: credentials come from the environment or files, not from URLs.
///
/// `Display` and `Debug` leave the parameters out, so that nothing ends in a log that somebody took for a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    text: String,
    scheme: String,
}

impl StoreUrl {
    /// Takes `text` apart; which schemes and parameters there are is the registry's business.
    ///
    /// # Errors
    /// [`OpenError::NotAUrl`], [`OpenError::CredentialsInUrl`], [`OpenError::Fragment`].
    pub fn new(text: impl Into<String>) -> Result<Self, OpenError> {
        let text = text.into();
        let (scheme, rest) = text.split_once(':').ok_or(OpenError::NotAUrl)?;
        let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !starts || !scheme.chars().all(is_scheme) || text.chars().any(char::is_control) {
            return Err(OpenError::NotAUrl);
        }
        let scheme = scheme.to_ascii_lowercase();
        if parts(rest).authority.is_some_and(|authority| authority.contains('@')) {
            return Err(OpenError::CredentialsInUrl { scheme });
        }
        if rest.contains('#') {
            return Err(OpenError::Fragment { scheme });
        }
        Ok(Self { scheme, text })
    }

    /// The URL of the directory `path`, which should be absolute.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        let encoded = percent_encode(path.as_os_str().as_encoded_bytes(), PATH);
        Self { text: format!("file://{encoded}"), scheme: "file".to_owned() }
    }

    /// The whole URL as it was given, parameters included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the colon, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between `//` and the next slash: a host or a bucket. `None` without `//`.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.parts().authority
    }

    /// The path, decoded; with its leading slash.
    ///
    /// # Errors
    /// [`OpenError::Location`] if it is not UTF-8 when decoded.
    pub fn path(&self) -> Result<Cow<'_, str>, OpenError> {
        let decoded = percent_decode_str(self.parts().path).decode_utf8();
        decoded.map_err(|_| self.location("a path that is UTF-8 once decoded"))
    }

    /// The path, decoded, in whatever encoding it may be.
    #[must_use]
    pub fn path_bytes(&self) -> Cow<'_, [u8]> {
        percent_decode_str(self.parts().path).into()
    }

    /// The parameters after `?`, to be taken by name.
    ///
    /// # Errors
    /// [`OpenError::RepeatedParameter`].
    pub fn parameters(&self) -> Result<Parameters, OpenError> {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(self.parts().query.unwrap_or_default().as_bytes()) {
            if values.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(OpenError::RepeatedParameter {
                    scheme: self.scheme.clone(),
                    name: name.into_owned(),
                });
            }
        }
        Ok(Parameters { scheme: self.scheme.clone(), values, asked: Vec::new() })
    }

    /// The error for a URL whose authority or path is not what its scheme takes.
    #[must_use]
    pub fn location(&self, expected: &'static str) -> OpenError {
        OpenError::Location { scheme: self.scheme.clone(), expected }
    }

    fn parts(&self) -> Parts<'_> {
        parts(self.text.get(self.scheme.len() + 1..).unwrap_or_default())
    }
}

struct Parts<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

/// The parts of what follows the scheme's colon.
fn parts(rest: &str) -> Parts<'_> {
    let (location, query) = match rest.split_once('?') {
        Some((location, query)) => (location, Some(query)),
        None => (rest, None),
    };
    match location.strip_prefix("//") {
        Some(location) => {
            let (authority, path) = location.split_at(location.find('/').unwrap_or(location.len()));
            Parts { authority: Some(authority), path, query }
        }
        None => Parts { authority: None, path: location, query },
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.split_once('?').map_or(&self.text, |(location, _)| location))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

impl FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        Self::new(text)
    }
}

/// The parameters of a URL. An opener takes those that it knows and then [ends](Self::end): what is left is unknown.
#[derive(Clone)]
pub struct Parameters {
    scheme: String,
    values: BTreeMap<String, String>,
    asked: Vec<&'static str>,
}

impl Parameters {
    /// The value of `name`, decoded.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        self.values.remove(name)
    }

    /// The value of `name` in the type wanted; `expected` says in an error how it should look.
    ///
    /// # Errors
    /// [`OpenError::InvalidParameter`].
    pub fn take_parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, OpenError> {
        let parsed = self.take(name).map(|value| value.parse());
        parsed.transpose().map_err(|_| OpenError::InvalidParameter {
            scheme: self.scheme.clone(),
            name,
            expected,
        })
    }

    /// All that have not been taken, for a backend that knows its parameters itself.
    pub fn take_rest(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.values)
    }

    /// Refuses what has not been taken.
    ///
    /// # Errors
    /// [`OpenError::UnknownParameter`], with the names that were asked for.
    pub fn end(mut self) -> Result<(), OpenError> {
        match self.values.pop_first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(OpenError::UnknownParameter { scheme: self.scheme, name, known: self.asked })
            }
        }
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}
