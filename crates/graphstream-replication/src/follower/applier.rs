//! The thread that owns the target.
//!
//! Targets block (a database call, a child's answer), so a target lives on a thread of its own and the follower talks
//! to it in requests. One request at a time: the order of entries is the order of calls.

use graphstream_format::Position;
use graphstream_replay::{ReplayEntry, ReplayTarget};
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

type Reply<T> = oneshot::Sender<graphstream_replay::Result<T>>;

enum Request {
    Position(Reply<Option<Position>>),
    Apply(Vec<ReplayEntry>, Position, Reply<()>),
    Reopen(Reply<()>),
    Close(Reply<()>),
}

/// A target on its own thread.
#[derive(Debug, Clone)]
pub(crate) struct Applier {
    requests: mpsc::Sender<Request>,
}

impl Applier {
    /// Starts the thread. It ends when the last handle is dropped.
    pub(crate) fn spawn(mut target: Box<dyn ReplayTarget>) -> Result<Self> {
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        std::thread::Builder::new()
            .name("graphstream-apply".to_owned())
            .spawn(move || {
                while let Some(request) = inbox.blocking_recv() {
                    // A caller that has gone away (a dropped follower) does not need the answer.
                    match request {
                        Request::Position(reply) => drop(reply.send(target.position())),
                        Request::Apply(batch, position, reply) => {
                            drop(reply.send(target.apply(&batch, position)));
                        }
                        Request::Reopen(reply) => drop(reply.send(target.reopen())),
                        Request::Close(reply) => drop(reply.send(target.close())),
                    }
                }
            })
            .map_err(|source| Error::Thread { thread: "graphstream-apply", source })?;
        Ok(Self { requests })
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Ended("the target's thread"))?;
        Ok(answer.await.map_err(|_| Error::Ended("the target's thread"))??)
    }

    pub(crate) async fn position(&self) -> Result<Option<Position>> {
        self.ask(Request::Position).await
    }

    pub(crate) async fn apply(&self, batch: Vec<ReplayEntry>, position: Position) -> Result<()> {
        self.ask(|reply| Request::Apply(batch, position, reply)).await
    }

    pub(crate) async fn reopen(&self) -> Result<()> {
        self.ask(Request::Reopen).await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.ask(Request::Close).await
    }
}
