//! Why a URL opened no store. No message repeats a value of a URL that might be a secret.

use std::fmt;

use crate::ErrorClass;

/// Why a URL opened no store. All but [`Store`](Self::Store) are about the URL itself, and are told before anything is asked of
/// a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No scheme, or a control character.
    #[error("not a URL: a store's URL begins with its scheme and a colon")]
    NotAUrl,
    /// User or password in the URL.
    #[error(
        "credentials don't belong in the URL of a {scheme} store, where logs and process lists show them: use the environment or a file"
    )]
    CredentialsInUrl {
        /// The URL's scheme.
        scheme: String,
    },
    /// A `#`, which in a URL ends the path.
    #[error("the URL of a {scheme} store has no fragment: write # as %23")]
    Fragment {
        /// The URL's scheme.
        scheme: String,
    },
    /// Nobody registered this scheme.
    #[error("there are no {scheme} stores; expected {known}")]
    UnknownScheme {
        /// The URL's scheme.
        scheme: String,
        /// The forms of URL that would do.
        known: Forms,
    },
    /// There are such stores, but not in this build.
    #[error("this build has no {scheme} stores (its feature `{feature}` is off); expected {known}")]
    NotBuilt {
        /// The URL's scheme.
        scheme: String,
        /// The feature to build with.
        feature: &'static str,
        /// The forms of URL that would do.
        known: Forms,
    },
    /// Host, bucket or path are not what the scheme takes.
    #[error("a {scheme} store takes {expected}")]
    Location {
        /// The URL's scheme.
        scheme: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A parameter that the scheme does not have.
    #[error("a {scheme} store has no parameter {name:?}; it has {}", names(known))]
    UnknownParameter {
        /// The URL's scheme.
        scheme: String,
        /// The name as given.
        name: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// A parameter twice.
    #[error("the parameter {name:?} of a {scheme} store is given twice")]
    RepeatedParameter {
        /// The URL's scheme.
        scheme: String,
        /// Its name.
        name: String,
    },
    /// A parameter whose value means nothing. The value is not repeated.
    #[error("the parameter {name:?} of a {scheme} store takes {expected}")]
    InvalidParameter {
        /// The URL's scheme.
        scheme: String,
        /// Its name.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The URL is fine, the store can't be opened.
    #[error("{store} can't be opened")]
    Store {
        /// The class on which to decide.
        class: ErrorClass,
        /// The store's URL without parameters.
        store: String,
        /// The backend's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// A store at `store` that can't be opened, as its backend classified it.
    pub fn store(
        class: ErrorClass,
        store: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Store { class, store: store.to_string(), source: source.into() }
    }

    /// The class of the store's failure; `None` when the URL is at fault.
    #[must_use]
    pub fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Store { class, .. } => Some(*class),
            _ => None,
        }
    }
}

fn names(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Forms of URL, as `file:///path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forms(pub(super) Vec<String>);

impl fmt::Display for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("no URL at all"),
            [one] => f.write_str(one),
            [first @ .., last] => write!(f, "{} or {last}", first.join(", ")),
        }
    }
}
