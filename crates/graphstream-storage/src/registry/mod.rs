//! From a URL to an open store, by its scheme; anybody may add schemes.
//!
//! ```text
//!   "s3://bucket/prefix?region=..." ─► StoreUrl ─► StoreRegistry ─► the scheme's opener ─► Arc<dyn StorageBackend>
//!                                        form         scheme          location, parameters      asks the store
//!                                      └───── said at once, without asking anybody ─────┘
//! ```

mod error;
mod url;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

pub use error::{Forms, OpenError};
pub use url::{Parameters, StoreUrl};

use crate::StorageBackend;

/// What the caller will do with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing is made or changed.
    Read,
    /// A missing store is made, where stores can be made in passing (a directory).
    Write,
}

/// A store on its way to be opened.
pub type OpenFuture = Pin<Box<dyn Future<Output = Result<Arc<dyn StorageBackend>, OpenError>> + Send>>;

/// Opens the stores of one scheme. Says at once what is wrong with the URL; only the future asks the store.
type Opener = dyn Fn(&StoreUrl, Access) -> Result<OpenFuture, OpenError> + Send + Sync;

/// The schemes that stores can be opened by. Empty at first; the facade `graphstream` offers one with all that it was built with.
///
/// ```
/// use std::sync::Arc;
/// use graphstream_storage::{Access, MemoryBackend, OpenFuture, StorageBackend, StoreRegistry, StoreUrl};
///
/// # async fn open() -> Result<(), graphstream_storage::OpenError> {
/// let mut registry = StoreRegistry::new();
/// registry.register("scratch", "scratch://name", |url, _access| {
///     if url.authority().is_none_or(str::is_empty) {
///         return Err(url.location("a name: scratch://name"));
///     }
///     url.parameters()?.end()?; // it has none
///     Ok(Box::pin(async { Ok(Arc::new(MemoryBackend::new()) as Arc<dyn StorageBackend>) }))
/// });
/// let store = registry.open(&StoreUrl::new("scratch://mine")?, Access::Write).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct StoreRegistry {
    schemes: BTreeMap<String, Scheme>,
}

#[derive(Clone)]
enum Scheme {
    Open { form: String, opener: Arc<Opener> },
    NotBuilt { feature: &'static str },
}

impl StoreRegistry {
    /// No schemes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scheme, or replaces it. `form` shows the operator what such a URL looks like (`s3://bucket/prefix`).
    pub fn register(
        &mut self,
        scheme: &str,
        form: &str,
        opener: impl Fn(&StoreUrl, Access) -> Result<OpenFuture, OpenError> + Send + Sync + 'static,
    ) -> &mut Self {
        let open = Scheme::Open { form: form.to_owned(), opener: Arc::new(opener) };
        self.schemes.insert(scheme.to_ascii_lowercase(), open);
        self
    }

    /// Notes that `scheme` would be there with `feature`, so that the error can say so. Keeps a scheme that is there.
    pub fn not_built(&mut self, scheme: &str, feature: &'static str) -> &mut Self {
        self.schemes.entry(scheme.to_ascii_lowercase()).or_insert(Scheme::NotBuilt { feature });
        self
    }

    /// The forms of URL that can be opened, in the order of their schemes; one that several schemes next to each other share, once.
    #[must_use]
    pub fn forms(&self) -> Forms {
        let forms = self.schemes.values().filter_map(|scheme| match scheme {
            Scheme::Open { form, .. } => Some(form.clone()),
            Scheme::NotBuilt { .. } => None,
        });
        let mut forms: Vec<String> = forms.collect();
        forms.dedup();
        Forms(forms)
    }

    /// Whether `url` could name a store here; asks no store.
    ///
    /// # Errors
    /// Any but [`OpenError::Store`].
    pub fn check(&self, url: &StoreUrl) -> Result<(), OpenError> {
        self.opening(url, Access::Read).map(drop)
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`OpenError::Store`] when the store itself is at fault, others when the URL is.
    pub async fn open(&self, url: &StoreUrl, access: Access) -> Result<Arc<dyn StorageBackend>, OpenError> {
        self.opening(url, access)?.await
    }

    fn opening(&self, url: &StoreUrl, access: Access) -> Result<OpenFuture, OpenError> {
        let scheme = url.scheme().to_owned();
        match self.schemes.get(&scheme) {
            Some(Scheme::Open { opener, .. }) => opener(url, access),
            Some(Scheme::NotBuilt { feature }) => {
                Err(OpenError::NotBuilt { scheme, feature, known: self.forms() })
            }
            None => Err(OpenError::UnknownScheme { scheme, known: self.forms() }),
        }
    }
}

impl fmt::Debug for StoreRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.forms().0).finish()
    }
}
