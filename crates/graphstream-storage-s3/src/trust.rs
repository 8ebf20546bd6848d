//! Whose certificates an `https:` endpoint may show: those of a file, else those that the system trusts.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::S3Config;
use crate::error::Error;

/// What AWS's tools call such a file.
const VARIABLE: &str = "AWS_CA_BUNDLE";

/// `None`: the system's.
pub(crate) fn authorities(config: &S3Config) -> Result<Option<TlsContext>, Error> {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = config.ca_file.clone().or(named) else { return Ok(None) };
    let unusable = |source| Error::CaFile { path: path.clone(), source };
    let pem = read(&path).map_err(unusable)?;
    // Only these: who names a file means that nobody else is to be trusted with the credentials.
    let store = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    context.map(Some).map_err(|error| unusable(error.into()))
}

/// The certificates of the file that can be used, in PEM again: the client would panic over one that can't, as old bundles hold.
fn read(path: &Path) -> Result<String, Box<dyn StdError + Send + Sync>> {
    let mut usable = String::new();
    for certificate in CertificateDer::pem_slice_iter(&std::fs::read(path)?) {
        let certificate = certificate?;
        match RootCertStore::empty().add(certificate.clone()) {
            Ok(()) => usable.push_str(&pem(&certificate)?),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a certificate is left out"),
        }
    }
    if usable.is_empty() { Err("there is no certificate in it that can be used".into()) } else { Ok(usable) }
}

fn pem(certificate: &CertificateDer<'_>) -> Result<String, std::str::Utf8Error> {
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(std::str::from_utf8).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
}

/// Whether there is no connection because of certificates, names or protocols: nothing that passes by itself.
pub(crate) fn is_handshake(cause: &(dyn StdError + 'static)) -> bool {
    match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        // In I/O errors, one in another.
        Some(inner) => is_handshake(inner),
        None => cause.is::<rustls::Error>(),
    }
}
