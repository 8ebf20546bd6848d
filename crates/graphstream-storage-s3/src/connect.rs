//! From a configuration to a client of the SDK.

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector, ConnectorBuilder};

use crate::config::{Credentials, Encryption, S3Config};
use crate::error::Error;
use crate::secret::StaticCredentials;

/// The endpoints' name for stores that have regions in name only.
const ANY_REGION: &str = "us-east-1";

/// A client, and how its endpoint is called in messages.
pub(crate) async fn connect(config: &S3Config) -> Result<(Client, String), Error> {
    check_bucket(&config.bucket)?;
    let endpoint = config.endpoint.clone().or_else(endpoint_of_environment);
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint, config)?;
    }
    let http = http_client(config)?;
    let (credentials, region) = identity(config, &http).await?;
    let region = match (config.region.clone().or(region), &endpoint) {
        (Some(region), _) => region,
        (None, Some(_)) => ANY_REGION.to_owned(),
        (None, None) => return Err(Error::NoRegion),
    };
    let described = endpoint.clone().unwrap_or_else(|| format!("AWS, {region}"));
    let mut builder = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region))
        .force_path_style(config.path_style.unwrap_or(endpoint.is_some()))
        // One retry loop in the whole project, and one place for time-outs: the decorators of `graphstream-storage`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // What is put gets a CRC32C from us (one that also covers all parts together); what comes back is checked with whatever the
        // store has.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported)
        .identity_cache(IdentityCache::lazy().build());
    builder.set_endpoint_url(endpoint);
    builder = match credentials {
        Some(credentials) => builder.credentials_provider(credentials),
        None => builder.allow_no_auth(),
    };
    Ok((Client::from_conf(builder.build()), described))
}

/// The same client, and credentials that it has not asked for yet; connections are kept.
pub(crate) fn with_fresh_credentials(client: &Client) -> Client {
    Client::from_conf(client.config().to_builder().identity_cache(IdentityCache::lazy().build()).build())
}

#[cfg(feature = "tls")]
fn http_client(config: &S3Config) -> Result<SharedHttpClient, Error> {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

    let authorities = crate::trust::authorities(config)?;
    Ok(HttpBuilder::new().build_with_connector_fn(move |_, _| {
        let mut connector = connector().tls_provider(Provider::Rustls(CryptoMode::Ring));
        if let Some(authorities) = &authorities {
            connector.set_tls_context(authorities.clone());
        }
        connector.build()
    }))
}

#[cfg(not(feature = "tls"))]
fn http_client(config: &S3Config) -> Result<SharedHttpClient, Error> {
    match config.ca_file {
        Some(_) => Err(Error::NotBuilt { feature: "tls", what: "a file of certificates" }),
        None => Ok(HttpBuilder::new().build_with_connector_fn(|_, _| connector().build_http())),
    }
}

fn connector() -> ConnectorBuilder {
    // Without it the last bytes of a request wait for an acknowledgement of those before.
    Connector::builder().enable_tcp_nodelay(true)
}

fn check_bucket(bucket: &str) -> Result<(), Error> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fine = (3..=63).contains(&bucket.len())
        && bucket.chars().all(known)
        && ends(bucket.chars().next())
        && ends(bucket.chars().next_back())
        && !bucket.contains("..");
    if fine { Ok(()) } else { Err(Error::InvalidBucket) }
}

fn check_endpoint(endpoint: &str, config: &S3Config) -> Result<(), Error> {
    let (scheme, rest) = endpoint.split_once("://").ok_or(Error::InvalidEndpoint)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@' | '\\');
    if authority.is_empty() || authority.contains(odd) {
        return Err(Error::InvalidEndpoint);
    }
    match scheme {
        "https" if cfg!(feature = "tls") => Ok(()),
        "https" => Err(Error::NotBuilt { feature: "tls", what: "an https: endpoint" }),
        "http" if matches!(config.encryption, Encryption::Customer(_)) && !is_here(authority) => {
            Err(Error::KeyInTheClear)
        }
        "http" => Ok(()),
        _ => Err(Error::InvalidEndpoint),
    }
}

fn is_here(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn endpoint_of_environment() -> Option<String> {
    variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"))
}

type Identity = (Option<SharedCredentialsProvider>, Option<String>);

fn given(credentials: &StaticCredentials) -> SharedCredentialsProvider {
    let token = credentials.session_token.as_ref().map(|token| token.as_str().to_owned());
    let (id, secret) = (credentials.access_key_id.as_str(), credentials.secret_access_key.as_str());
    SharedCredentialsProvider::new(aws_credential_types::Credentials::new(id, secret, token, None, "given"))
}

fn region_of_environment() -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))
}

/// Where the credentials come from (`None`: no signature), and the region, if it is to be found at the same place.
async fn identity(config: &S3Config, http: &SharedHttpClient) -> Result<Identity, Error> {
    match &config.credentials {
        Credentials::Static(credentials) => Ok((Some(given(credentials)), region_of_environment())),
        Credentials::Anonymous => Ok((None, region_of_environment())),
        Credentials::Ambient => ambient(config, None, http).await,
        Credentials::Profile(name) => ambient(config, Some(name), http).await,
    }
}

#[cfg(feature = "ambient-credentials")]
async fn ambient(
    config: &S3Config,
    profile: Option<&str>,
    http: &SharedHttpClient,
) -> Result<Identity, Error> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
    // Else it is looked for everywhere, the metadata service of a cloud included.
    if let Some(region) = config.region.clone() {
        loader = loader.region(Region::new(region));
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let loaded = loader.load().await;
    Ok((loaded.credentials_provider(), loaded.region().map(ToString::to_string)))
}

#[cfg(not(feature = "ambient-credentials"))]
async fn ambient(
    _config: &S3Config,
    profile: Option<&str>,
    _http: &SharedHttpClient,
) -> Result<Identity, Error> {
    if profile.is_some() {
        return Err(Error::NotBuilt { feature: "ambient-credentials", what: "a profile" });
    }
    Ok((Some(SharedCredentialsProvider::new(FromEnvironment)), region_of_environment()))
}

/// The environment's credentials, read whenever they are needed.
#[cfg(not(feature = "ambient-credentials"))]
#[derive(Debug)]
struct FromEnvironment;

#[cfg(not(feature = "ambient-credentials"))]
impl aws_credential_types::provider::ProvideCredentials for FromEnvironment {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        use aws_credential_types::provider::future::ProvideCredentials;
        let found = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
        ProvideCredentials::ready(match found {
            (Some(id), Some(secret)) => {
                let token = variable("AWS_SESSION_TOKEN");
                Ok(aws_credential_types::Credentials::new(id, secret, token, None, "environment"))
            }
            _ => Err(CredentialsError::not_loaded("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CustomerKey;

    #[test]
    fn buckets_and_endpoints_are_checked_before_anything_is_sent() {
        for fine in ["abc", "a-b.c", "0bucket9"] {
            assert!(check_bucket(fine).is_ok(), "{fine}");
        }
        for bad in ["", "ab", "A-bucket", "-abc", "abc-", "a..b", "a/b", "a_b", "bücket", &"x".repeat(64)] {
            assert!(check_bucket(bad).is_err(), "{bad}");
        }
        let plain = S3Config::new("bucket");
        for fine in ["http://127.0.0.1:9000", "http://minio", "http://[::1]:9000/"] {
            assert!(check_endpoint(fine, &plain).is_ok(), "{fine}");
        }
        for bad in
            ["minio:9000", "ftp://x", "http://", "http://a/b", "http://a?b", "http://user:pw@a", "http://a b"]
        {
            assert!(matches!(check_endpoint(bad, &plain), Err(Error::InvalidEndpoint)), "{bad}");
        }
    }

    #[test]
    fn a_customers_key_does_not_leave_the_machine_in_the_clear() {
        let config = S3Config::new("bucket").with_encryption(Encryption::Customer(CustomerKey::new([1; 32])));
        for here in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000"] {
            assert!(check_endpoint(here, &config).is_ok(), "{here}");
        }
        for elsewhere in ["http://minio:9000", "http://10.0.0.1", "http://127.0.0.1.example"] {
            assert!(matches!(check_endpoint(elsewhere, &config), Err(Error::KeyInTheClear)), "{elsewhere}");
        }
    }
}
