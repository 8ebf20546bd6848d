//! How calls of S3 fail, and how callers of the trait see it.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use graphstream_storage::{self as storage, ErrorClass, Operation};

use crate::verdict::{Effect, Verdict, verdict};

type Boxed = Box<dyn StdError + Send + Sync>;

/// The errors of S3 and of the way there; the source in [`graphstream_storage::Error::Backend`], except at open. Messages repeat
/// what a server says only as far as it names a code or a request, never bodies: a server may send back what it was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or failed.
    #[error("{call} was answered with {status}{}{}", part(" ", code), part(", request id ", request_id))]
    Answer {
        /// The call in S3's words.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// S3's code of the error, if it gave one.
        code: Option<String>,
        /// How the store's operator finds the request.
        request_id: Option<String>,
    },
    /// There is no such bucket.
    #[error("there is no bucket {bucket} at {endpoint} ({call})")]
    NoSuchBucket {
        /// The call in S3's words.
        call: &'static str,
        /// Its name.
        bucket: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The store is elsewhere, it says. Nothing was sent there.
    #[error(
        "{call} was answered with {status}, a redirect{}, which is not followed: credentials go to the configured endpoint only{}",
        part(" to ", location),
        part("; the bucket's region is ", region)
    )]
    Redirect {
        /// The call in S3's words.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The other host.
        location: Option<String>,
        /// The region that the bucket is in, if the store says.
        region: Option<String>,
    },
    /// The bucket is in another region than the requests were signed for.
    #[error("{call} was answered with {status} {code}: {}", match region {
        Some(region) => format!("the bucket is in the region {region}"),
        None => "the region that the request was signed for is wrong".to_owned(),
    })]
    WrongRegion {
        /// The call in S3's words.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// S3's code of the error.
        code: String,
        /// The right one, if the store says it.
        region: Option<String>,
    },
    /// The store's certificate is not trusted, is not for this host, or there is no TLS. It was told nothing.
    #[error("{call}: the store could not be identified")]
    Tls {
        /// The call in S3's words.
        call: &'static str,
        /// What is wrong.
        source: Boxed,
    },
    /// No answer came.
    #[error("{call} {}", if *connected { "was cut off before its answer" } else { "found no connection to the store" })]
    Transport {
        /// The call in S3's words.
        call: &'static str,
        /// Whether there was a connection; if not, nothing was sent.
        connected: bool,
        /// Why.
        source: Boxed,
    },
    /// An answer that makes no sense.
    #[error("{call}: {problem}")]
    Protocol {
        /// The call in S3's words.
        call: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// There are no credentials, or they could not be renewed.
    #[error("{call}: no credentials could be had")]
    Credentials {
        /// The call in S3's words.
        call: &'static str,
        /// Why.
        source: Boxed,
    },
    /// A request that can't be built from what is configured.
    #[error("{call}: the request could not be built")]
    Request {
        /// The call in S3's words.
        call: &'static str,
        /// Why.
        source: Boxed,
    },
    /// The body broke off.
    #[error("the body broke off at byte {at}")]
    Cut {
        /// Bytes of the body that had come.
        at: u64,
        /// Why, if the connection said so.
        source: Option<Boxed>,
    },
    /// The whole body's checksum is not the one that was stored with it.
    #[error("the body is not what was put: its checksum is another")]
    Checksum {
        /// Both checksums.
        source: Boxed,
    },
    /// A key's outcome is that of the whole request.
    #[error("{call} failed as a whole, see {with}")]
    Together {
        /// The call in S3's words.
        call: &'static str,
        /// The key that has the request's error.
        with: String,
    },
    /// No region is configured, and none can be guessed.
    #[error("no region: set region=.. in the URL, AWS_REGION, or a profile")]
    NoRegion,
    /// This build can't do it.
    #[error("this build lacks the feature `{feature}`, which {what} needs")]
    NotBuilt {
        /// The feature to build with.
        feature: &'static str,
        /// What needs it.
        what: &'static str,
    },
    /// An endpoint that is not `http[s]://host[:port]`.
    #[error("the endpoint is not http://host[:port] or https://host[:port]")]
    InvalidEndpoint,
    /// A file of trusted certificates that can't be used.
    #[error("the certificates in {} can't be used", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Boxed,
    },
    /// A bucket's name that can't be one.
    #[error("the bucket's name is not 3 to 63 lower-case letters, digits, dots and hyphens")]
    InvalidBucket,
    /// SSE-C would send the key in the clear.
    #[error("a customer's key is not sent to an http: endpoint on another machine")]
    KeyInTheClear,
    /// Called outside of a tokio runtime, or while it shuts down.
    #[error("the tokio runtime is gone")]
    NoRuntime,
}

fn part(before: &str, text: &Option<String>) -> String {
    text.as_ref().map_or(String::new(), |text| format!("{before}{text}"))
}

/// A failed call: what it was, what it means, and when to come back.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) verdict: Verdict,
    retry_after: Option<Duration>,
    /// Of a range that holds nothing: the object's size.
    pub(crate) size: Option<u64>,
}

impl Failure {
    pub(crate) fn new(error: Error, class: ErrorClass) -> Self {
        Self { error, verdict: Verdict::Class(class), retry_after: None, size: None }
    }

    /// An answer that was a success and makes no sense.
    pub(crate) fn protocol(call: &'static str, effect: Effect, problem: &'static str) -> Self {
        let class = match effect {
            Effect::Unseen => ErrorClass::Corrupt,
            Effect::Seen => ErrorClass::TimeoutUnknown,
        };
        Self::new(Error::Protocol { call, problem }, class)
    }

    pub(crate) fn of<E>(call: &'static str, effect: Effect, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (code, expected) = match &error {
            SdkError::ServiceError(answer) => {
                (answer.err().code().map(clean), answer.err().message().and_then(region_in))
            }
            _ => (None, None),
        };
        // Also a body that is no error of S3's (a proxy's page), as far as the status says that it failed.
        if let Some(response) = error.raw_response()
            && (code.is_some() || !response.status().is_success())
        {
            return Self::of_answer(call, effect, response, code, expected);
        }
        match &error {
            // It broke off on its way: nothing is known to be wrong with it.
            SdkError::ResponseError(_) => {
                let source = boxed(error);
                Self::new(Error::Transport { call, connected: true, source }, effect.of_silence())
            }
            SdkError::ServiceError(_) => Self::protocol(call, effect, "the answer can't be read"),
            _ if chain(&error).any(|cause| cause.is::<CredentialsError>()) => {
                let passing =
                    chain(&error).filter_map(|cause| cause.downcast_ref::<CredentialsError>()).any(|cause| {
                        matches!(
                            cause,
                            CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)
                        )
                    });
                let class = if passing { ErrorClass::Unavailable } else { ErrorClass::Denied };
                Self::new(Error::Credentials { call, source: boxed(error) }, class)
            }
            SdkError::DispatchFailure(_) if is_handshake(&error) => {
                Self::new(Error::Tls { call, source: boxed(error) }, ErrorClass::Other)
            }
            SdkError::DispatchFailure(failure)
                if failure.is_io() || failure.is_timeout() || failure.is_other() =>
            {
                let connected = !chain(&error).any(is_connect);
                let class = if connected { effect.of_silence() } else { ErrorClass::Unavailable };
                Self::new(Error::Transport { call, connected, source: boxed(error) }, class)
            }
            SdkError::TimeoutError(_) => {
                let source = boxed(error);
                Self::new(Error::Transport { call, connected: true, source }, effect.of_silence())
            }
            SdkError::ConstructionFailure(_) => {
                Self::new(Error::Request { call, source: boxed(error) }, ErrorClass::Other)
            }
            _ => {
                let source = boxed(error);
                Self::new(Error::Transport { call, connected: true, source }, effect.of_silence())
            }
        }
    }

    fn of_answer(
        call: &'static str,
        effect: Effect,
        response: &HttpResponse,
        code: Option<String>,
        expected: Option<String>,
    ) -> Self {
        let header = |name: &str| response.headers().get(name).map(clean).filter(|text| !text.is_empty());
        let status = response.status().as_u16();
        let verdict = verdict(effect, status, code.as_deref());
        let region = || header("x-amz-bucket-region");
        let error = match (verdict, code) {
            (Verdict::Redirected, _) => {
                let location = response.headers().get("location").and_then(host);
                Error::Redirect { call, status, location, region: region() }
            }
            (_, Some(code)) if WRONG_REGION.contains(&code.as_str()) => {
                Error::WrongRegion { call, status, code, region: expected.or_else(region) }
            }
            (_, code) => Error::Answer { call, status, code, request_id: header("x-amz-request-id") },
        };
        let seconds = response.headers().get("retry-after").and_then(|text| text.parse::<u64>().ok());
        let size = response.headers().get("content-range");
        let size = size.and_then(|text| text.strip_prefix("bytes */")?.parse().ok());
        Self { error, verdict, retry_after: seconds.map(Duration::from_secs), size }
    }

    /// The class, where the operation makes nothing else of the verdict.
    fn class(&self) -> ErrorClass {
        match self.verdict {
            Verdict::Class(class) => class,
            // The credentials are asked for again before the next call.
            Verdict::Expired => ErrorClass::Unavailable,
            Verdict::NoSuchKey
            | Verdict::NoSuchBucket
            | Verdict::NoSuchThing
            | Verdict::Precondition
            | Verdict::NotModified
            | Verdict::Range
            | Verdict::Redirected
            | Verdict::NotImplemented => ErrorClass::Other,
        }
    }

    /// The error as the trait's callers see it.
    pub(crate) fn fold(self, operation: Operation, subject: &str, backend: &str) -> storage::Error {
        let class = self.class();
        let error = storage::Error::backend(class, operation, subject, backend, self.error);
        match self.retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }
}

fn boxed<E: StdError + Send + Sync + 'static>(error: SdkError<E, HttpResponse>) -> Boxed {
    // The SDK's own words for it ("dispatch failure") say less than ours.
    error.into_source().unwrap_or_else(|error| Box::new(error))
}

/// An error and its causes.
pub(crate) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// Whether the connection was never made.
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
}

/// Whether the store was not identified over TLS.
#[cfg(feature = "tls")]
fn is_handshake(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(crate::trust::is_handshake)
}

#[cfg(not(feature = "tls"))]
fn is_handshake(_: &(dyn StdError + 'static)) -> bool {
    false
}

/// The codes with which S3 refuses a signature for another region.
const WRONG_REGION: &[&str] = &["AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

/// The region in `the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn region_in(message: &str) -> Option<String> {
    let (_, expected) = message.split_once("expecting '")?;
    let (region, _) = expected.split_once('\'')?;
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!region.is_empty() && region.len() <= 64 && region.chars().all(known)).then(|| region.to_owned())
}

/// A server's text, as far as it can be a code, an id or a region.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '='))
        .take(128)
        .collect()
}

/// The host of a URL.
fn host(location: &str) -> Option<String> {
    let (_, rest) = location.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    Some(host.chars().filter(known).take(256).collect())
}
