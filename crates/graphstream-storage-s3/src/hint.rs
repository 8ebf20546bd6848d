//! What an operator may try next, error by error.

use crate::Error;

impl Error {
    /// What an operator may try next, where this error says enough for that: a verb or a setting, without a full stop.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::WrongRegion { region: Some(region), .. } | Self::Redirect { region: Some(region), .. } => {
                return Some(format!("region={region} in the URL of the store, or AWS_REGION={region}"));
            }
            Self::WrongRegion { .. } => {
                "the bucket's own region as region=.. in the URL of the store, or in AWS_REGION"
            }
            Self::Redirect { .. } => {
                "the endpoint and the region of the bucket itself, in the URL of the store"
            }
            Self::NoSuchBucket { .. } => {
                "check the bucket's name and endpoint=.. in the URL of the store; buckets are not made in passing"
            }
            Self::Answer { code: Some(code), .. } => match code.as_str() {
                "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" => {
                    "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile"
                }
                "ExpiredToken" | "TokenRefreshRequired" => {
                    "fresh credentials: the session that these belong to has ended"
                }
                "RequestTimeTooSkewed" => "set this machine's clock: requests are signed with the time",
                _ => return None,
            },
            Self::Credentials { .. } => {
                "credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in AWS_PROFILE, or profile=.. in the URL of the store"
            }
            Self::Transport { connected: false, .. } => {
                "check endpoint=.. and region=.. in the URL of the store, name resolution, and the network"
            }
            Self::Tls { .. } => {
                "check endpoint=.. in the URL of the store; a store with a certificate of its own needs ca_file=/path/of/its.pem there, or AWS_CA_BUNDLE"
            }
            Self::CaFile { .. } => "a file of certificates in PEM as ca_file=.. or AWS_CA_BUNDLE",
            _ => return None,
        };
        Some(fixed.to_owned())
    }
}
