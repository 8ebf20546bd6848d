//! A certificate of the server's own.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{Connection, Door, Shaken};

/// What takes connections, and the certificate as a client's list of authorities has it.
pub(super) struct Certified {
    acceptor: TlsAcceptor,
    pem: String,
}

impl Certified {
    /// Good for these host names and addresses.
    pub(super) fn new(names: &[&str]) -> io::Result<Self> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .map_err(io::Error::other)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem: made.cert.pem() })
    }

    pub(super) fn into_door(self) -> Door {
        let Self { acceptor, pem } = self;
        let shake_hands = move |socket| -> Shaken {
            let accepting = acceptor.accept(socket);
            Box::pin(async { Ok(Box::new(accepting.await?) as Box<dyn Connection>) })
        };
        Door { certificate: Some(pem), shake_hands: Arc::new(shake_hands) }
    }
}
