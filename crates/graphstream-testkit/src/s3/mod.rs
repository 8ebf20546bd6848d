//! S3 servers on the loopback interface, for tests: the protocol (XML, signatures, chunked uploads) is that of the crate `s3s`.
//!
//! ```text
//!   client ──HTTP, SigV4──▶ s3s ──▶ access: counts, refuses on demand ──▶ one table of objects in memory, under one lock
//! ```
//! - **honest** keeps S3's promises by construction: a condition is checked and the object replaced under the same lock.
//! - **ignoring** answers 200 to `If-None-Match` and `If-Match` on writes and overwrites, as Garage does.
//! - **racing** looks whether the condition holds, takes the time of a disk, and writes whatever is there by then, as `s3s-fs` does.
//! - **keeping** answers 412 where it should, and has written nevertheless.
//! - **hasty** keeps its promises, but answers 412 before it has read the body, and closes while the client still writes, as `s3s-fs` does.
//!
//! `s3s-fs` itself is not used: it would have to be wrapped in every call (it races, ignores conditional reads, refuses `a` beside
//! `a/b` and long names, keeps what it rejected, makes buckets by putting, lists in another order and without ETags).

mod access;
mod conditions;
mod listing;
mod object;
mod process;
mod service;
mod table;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use access::Access;
pub use process::{S3Process, serve, serve_if_asked};
use service::Service;
use table::Table;
use tokio::sync::oneshot;

/// The key id that every server knows.
pub const ACCESS_KEY_ID: &str = "GSTESTKEYID000000001";
/// Its secret; for canary tests too: it must never be seen anywhere.
pub const SECRET_ACCESS_KEY: &str = "canary-secret-7f3a9c1e5b2d4860";
/// The region that the servers' URLs name.
pub const REGION: &str = "us-east-1";
/// The bucket that exists from the start.
pub const BUCKET: &str = "graphstream-test";

/// What a server makes of conditions on writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Keeps them, atomically.
    Honest,
    /// Checks them, and writes later.
    Racing,
    /// Says 200 and overwrites.
    Ignoring,
    /// Says 412 and overwrites.
    Keeping,
    /// Keeps them; says 412 and closes without having read the body.
    Hasty,
}

impl Conduct {
    /// Every conduct.
    pub const ALL: [Self; 5] = [Self::Honest, Self::Racing, Self::Ignoring, Self::Keeping, Self::Hasty];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Racing => "racing",
            Self::Ignoring => "ignoring",
            Self::Keeping => "keeping",
            Self::Hasty => "hasty",
        }
    }
}

/// A running server. Dropping it closes all connections.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    conduct: Conduct,
    access: Access,
    table: Arc<Table>,
    /// Of a server with TLS: the certificate.
    certificate: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Starts a server on a free port of 127.0.0.1, in threads of its own.
    ///
    /// # Errors
    /// No port, no threads.
    pub fn start(conduct: Conduct) -> io::Result<Self> {
        Self::start_behind(conduct, Door::open())
    }

    /// The same over TLS, with a certificate of its own for these host names and addresses.
    ///
    /// # Errors
    /// As [`start`](Self::start); names that are none.
    #[cfg(feature = "tls")]
    pub fn start_with_tls(conduct: Conduct, names: &[&str]) -> io::Result<Self> {
        Self::start_behind(conduct, tls::Certified::new(names)?.into_door())
    }

    fn start_behind(conduct: Conduct, door: Door) -> io::Result<Self> {
        let Door { certificate, shake_hands } = door;
        let access = Access::default();
        let table = Arc::new(Table::new(BUCKET, conduct));
        let service = protocol(Service::new(Arc::clone(&table)), access.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // A runtime must not be dropped within another one, where tests are: this thread outlives no server.
        let thread = std::thread::Builder::new().name("s3-server".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = accept(listener, service, shake_hands) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, conduct, access, table, certificate, stop: Some(stop), thread: Some(thread) })
    }

    /// A server that keeps conditions.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn honest() -> io::Result<Self> {
        Self::start(Conduct::Honest)
    }

    /// What it makes of conditions.
    #[must_use]
    pub fn conduct(&self) -> Conduct {
        self.conduct
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, with TLS `https:`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Of a server with TLS: its certificate in PEM, which is its own authority.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// The URL of a store in the bucket: `s3://bucket/prefix?endpoint=..`; the credentials come from elsewhere ([`environment`]).
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        url(&self.endpoint(), BUCKET, prefix)
    }

    /// How often an operation was asked for, by its name in S3's reference: `PutObject`. Refused and unsigned requests count too.
    #[must_use]
    pub fn count(&self, operation: &str) -> u64 {
        self.access.count(operation)
    }

    /// From now on this operation (`DeleteObject`) is answered with 403.
    pub fn refuse(&self, operation: &str) {
        self.access.refuse(operation);
    }

    /// Ends [`refuse`](Self::refuse).
    pub fn allow(&self, operation: &str) {
        self.access.allow(operation);
    }

    /// From now on this operation is answered with 501: a store that lacks it.
    pub fn lack(&self, operation: &str) {
        self.access.lack(operation);
    }

    /// From now on deletes of this key fail, those of others in the same request don't.
    pub fn protect(&self, key: &str) {
        self.table.protect(key);
    }

    /// Multipart uploads that are neither complete nor aborted.
    #[must_use]
    pub fn unfinished_uploads(&self) -> usize {
        self.table.unfinished_uploads(BUCKET)
    }

    /// Makes all unfinished uploads this much older than they are.
    pub fn age_uploads(&self, by: std::time::Duration) {
        self.table.age_uploads(BUCKET, by);
    }

    /// A header that the object was put with, in lower case (`x-amz-storage-class`); `None` without the object or header.
    #[must_use]
    pub fn header_of(&self, key: &str, header: &str) -> Option<String> {
        self.table.header_of(BUCKET, key, header)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The environment in which clients find the servers' credentials; nothing else of `AWS_*` then has a say.
#[must_use]
pub fn environment() -> [(&'static str, &'static str); 5] {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
}

/// The URL of a store behind `endpoint`.
fn url(endpoint: &str, bucket: &str, prefix: &str) -> String {
    let path = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    format!("s3://{bucket}{path}?endpoint={endpoint}&region={REGION}&path_style=true")
}

fn protocol(store: impl s3s::S3, access: Access) -> S3Service {
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    builder.set_access(access);
    builder.build()
}

/// A connection as the protocol reads and writes it.
trait Connection: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Connection for T {}

type Shaken = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// What a connection has to pass before the first request.
struct Door {
    certificate: Option<String>,
    shake_hands: Arc<dyn Fn(tokio::net::TcpStream) -> Shaken + Send + Sync>,
}

impl Door {
    /// Nothing.
    fn open() -> Self {
        let shake_hands =
            |socket| -> Shaken { Box::pin(async { Ok(Box::new(socket) as Box<dyn Connection>) }) };
        Self { certificate: None, shake_hands: Arc::new(shake_hands) }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    service: S3Service,
    shake_hands: Arc<dyn Fn(tokio::net::TcpStream) -> Shaken + Send + Sync>,
) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        // Without it small answers wait for the client's delayed acknowledgement.
        let _ = socket.set_nodelay(true);
        let (service, shaken) = (service.clone(), shake_hands(socket));
        tokio::spawn(async move {
            // A client that does not trust the server goes.
            let Ok(socket) = shaken.await else { return };
            let connection = auto::Builder::new(TokioExecutor::new());
            let _ = connection.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
