//! `gs:` URLs.

use graphstream_storage::{Access, OpenError, OpenFuture, StoreUrl};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::{bucket, endpoint, failed, not_built, once, opened, parse_endpoint};
use crate::ObjectStoreOptions;
use crate::client::StoreClient;

const EXPECTED: &str = "a bucket and perhaps a prefix: gs://bucket/prefix";
const ENDPOINT: &str = "https://storage.googleapis.com";

/// The opener of `gs://bucket/prefix` for a [`StoreRegistry`](graphstream_storage::StoreRegistry): Google Cloud Storage.
///
/// Parameters: `endpoint=http[s]://host[:port]` of a store that is not Google's, `anonymous=true` for requests without credentials.
/// Those come from the environment (`GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT` and the like), from what `gcloud auth
/// application-default login` left behind, or from the machine's metadata server. The store is not asked: a bucket that is not there
/// shows at the first call. The future needs a tokio runtime.
///
/// # Errors
/// Any but [`OpenError::Store`]; the future that one, when the credentials can't be read.
pub fn open_gcs_url(url: &StoreUrl, _access: Access) -> Result<OpenFuture, OpenError> {
    let (bucket, prefix) = bucket(url, EXPECTED)?;
    let mut parameters = url.parameters()?;
    let endpoint = endpoint(url, &mut parameters)?;
    let anonymous = parameters.take_parsed("anonymous", "true or false")?.unwrap_or(false);
    parameters.end()?;
    let store = url.to_string();
    Ok(Box::pin(async move {
        let mut builder = GoogleCloudStorageBuilder::from_env();
        if anonymous {
            // An empty token is not sent. Without any it would be asked for, for puts even with `skip_signature`.
            builder = GoogleCloudStorageBuilder::new().with_skip_signature(true).with_bearer_token("");
        }
        let endpoint = match (endpoint, builder.get_config_value(&GoogleConfigKey::BaseUrl)) {
            (Some(endpoint), _) => endpoint,
            (None, named) => parse_endpoint(named.as_deref().unwrap_or(ENDPOINT)).map_err(failed(&store))?,
        };
        let client = StoreClient::new(&endpoint, None).map_err(failed(&store))?;
        let built = builder
            .with_base_url(endpoint.to_string().trim_end_matches('/'))
            .with_bucket_name(&bucket)
            .with_retry(once())
            .with_http_connector(client)
            .build()
            .map_err(not_built(&store))?;
        let options = ObjectStoreOptions::default()
            .with_listing_is_ordered(true)
            .with_match_takes_generation(true)
            .with_etags_are_quoted(true);
        opened(built, options, &format!("gs://{bucket}"), prefix)
    }))
}
