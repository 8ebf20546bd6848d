//! A proxy between an S3 client and a server that makes the way between them, or the server, fail as a test says.
//!
//! ```text
//!            ┌──────────────────── FaultProxy, on a thread of its own ────────────────────┐
//!   client ──► which operation on what? ── the script: rules, the first that fires decides │
//!            │    │ none     Before, Early, Late        After          Body, List          │
//!            │    ▼             │                         │               │                │
//!            │  request ────────┼───────────────────────► request ──────► request ─────────┼──► server
//!   client ◄──  answer ◄────────┼──────────────────────── answer ◄─────── answer ◄─────────┼───
//!            │                  ▼                         ▼               ▼                │
//!   client ◄──────────── failure: reset, close,   failure in its place   damaged           │
//!            │           hang, or an answer                                                │
//!            └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Requests go on as they came, `Host` included, so that signatures stay valid; the client must use path style. Bodies are held in
//! memory whole. Every request opens a connection of its own to the server.

mod fault;
mod line;
mod listing;
mod operation;
mod rule;
mod sent;
mod serve;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

pub use fault::{Answer, BodyFault, Failure, Fault, Held, ListFault};
pub use operation::S3Operation;
pub use rule::Rule;

use rule::Script;
use serve::{Request, Response};

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// What was asked.
    pub operation: S3Operation,
    /// The key, or of a listing the prefix.
    pub subject: String,
    /// Whether a rule struck it.
    pub struck: bool,
    /// Whether it carried credentials (an `Authorization` header).
    pub signed: bool,
}

/// A running proxy. It stops when dropped, and whatever is under way ends.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    /// Changes whenever what is held may go on.
    released: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    script: Script,
    seen: Vec<Seen>,
    /// The last whole object that came from each key.
    objects: HashMap<String, Response>,
    late: VecDeque<Request>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the handle asks of the thread.
#[derive(Debug)]
enum Order {
    Refuse(SyncSender<io::Result<()>>),
    Accept(SyncSender<io::Result<()>>),
    Land(Box<Request>, oneshot::Sender<io::Result<u16>>),
}

impl FaultProxy {
    /// Starts a proxy on a free port of the loopback in front of a server, without any fault yet.
    ///
    /// # Errors
    /// No port, no thread.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        Self::with_seed(server, 0)
    }

    /// As [`start`](Self::start); rules by chance draw from this seed.
    ///
    /// # Errors
    /// No port, no thread.
    pub fn with_seed(server: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = State {
            script: Script::new(seed),
            seen: Vec::new(),
            objects: HashMap::new(),
            late: VecDeque::new(),
        };
        let shared = Arc::new(Shared { server, state: Mutex::new(state), released: watch::Sender::new(()) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, received) = mpsc::unbounded_channel();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fault-proxy".into())
            .spawn(move || runtime.block_on(serve::serve(listener, address, theirs, received)))?;
        Ok(Self { shared, address, orders: Some(orders), thread: Some(thread) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule.
    pub fn inject(&self, rule: Rule) {
        self.shared.state().script.add(rule);
    }

    /// Removes all rules, and forgets what was seen, remembered and late.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.script.clear();
        state.seen.clear();
        state.objects.clear();
        state.late.clear();
    }

    /// What came, in its order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests of an operation came.
    #[must_use]
    pub fn count(&self, operation: S3Operation) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.operation == operation).count()
    }

    /// How many requests a rule struck.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.struck).count()
    }

    /// What is held now ([`Fault::Hold`]) goes on.
    pub fn release(&self) {
        self.shared.released.send_replace(());
    }

    /// From now on connections are refused; those that are open end.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn refuse(&self) -> io::Result<()> {
        let (done, answer) = sync_channel(1);
        self.order(Order::Refuse(done))?;
        answer.recv().map_err(|_| ended())?
    }

    /// Ends [`refuse`](Self::refuse), on the same port.
    ///
    /// # Errors
    /// Somebody else has taken the port, or the thread has ended.
    pub fn accept(&self) -> io::Result<()> {
        let (done, answer) = sync_channel(1);
        self.order(Order::Accept(done))?;
        answer.recv().map_err(|_| ended())?
    }

    /// The server gets the oldest late request; its status. `None` when there is none.
    ///
    /// # Errors
    /// The server can't be reached, or the thread has ended.
    pub async fn land_late(&self) -> Option<io::Result<u16>> {
        let request = self.shared.state().late.pop_front()?;
        let (done, answer) = oneshot::channel();
        let sent = self.order(Order::Land(Box::new(request), done));
        Some(match sent {
            Ok(()) => answer.await.map_err(|_| ended()).and_then(|status| status),
            Err(error) => Err(error),
        })
    }

    fn order(&self, order: Order) -> io::Result<()> {
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).ok_or_else(ended)
    }
}

fn ended() -> io::Error {
    io::Error::other("the fault proxy has ended")
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}
