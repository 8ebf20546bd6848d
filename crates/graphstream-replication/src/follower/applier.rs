//! The thread that owns the target.
//!
//! Targets block (a database call, a child's answer), so a target lives on a thread of its own and the follower talks
//! to it in requests. One request at a time: the order of entries is the order of calls.

use std::sync::{Arc, Mutex, PoisonError};

use graphstream_format::Position;
use graphstream_replay::ReplayTarget;
use tokio::sync::{mpsc, oneshot};

use super::batch::Content;
use crate::threads::is_inline;
use crate::{Error, Result};

type Reply<T> = oneshot::Sender<graphstream_replay::Result<T>>;

pub(crate) enum Request {
    Position(Reply<Option<Position>>),
    Apply(Box<Content>, Position, Reply<(bool, Content)>),
    Reopen(Reply<()>),
    Close(Reply<()>),
}

impl Request {
    fn answer(self, target: &mut dyn ReplayTarget) {
        // A caller that has gone away (a dropped follower) does not need the answer.
        match self {
            Self::Position(reply) => drop(reply.send(target.position())),
            Self::Apply(batch, position, reply) => {
                let applied = batch.apply(target, position);
                drop(reply.send(applied.map(|durable| (durable, *batch))));
            }
            Self::Reopen(reply) => drop(reply.send(target.reopen())),
            Self::Close(reply) => drop(reply.send(target.close())),
        }
    }
}

/// A target on its own thread.
#[derive(Clone)]
pub(crate) enum Applier {
    Thread(mpsc::Sender<Request>),
    /// In a simulation, on the thread of the follower.
    Inline(Arc<Mutex<Box<dyn ReplayTarget>>>),
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").finish_non_exhaustive()
    }
}

impl Applier {
    /// Starts the thread. It ends when the last handle is dropped.
    pub(crate) fn spawn(mut target: Box<dyn ReplayTarget>) -> Result<Self> {
        if is_inline() {
            return Ok(Self::Inline(Arc::new(Mutex::new(target))));
        }
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        std::thread::Builder::new()
            .name("graphstream-apply".to_owned())
            .spawn(move || {
                while let Some(request) = inbox.blocking_recv() {
                    request.answer(&mut *target);
                }
            })
            .map_err(|source| Error::Thread { thread: "graphstream-apply", source })?;
        Ok(Self::Thread(requests))
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        match self {
            Self::Thread(requests) => {
                requests.send(request).await.map_err(|_| Error::Ended("the target's thread"))?;
            }
            Self::Inline(target) => {
                request.answer(&mut **target.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
        Ok(answer.await.map_err(|_| Error::Ended("the target's thread"))??)
    }

    pub(crate) async fn position(&self) -> Result<Option<Position>> {
        self.ask(Request::Position).await
    }

    /// Returns whether it is durable, and its buffers. It is, in any case, when the target has been asked for its position.
    pub(crate) async fn apply(&self, batch: Content, position: Position) -> Result<(bool, Content)> {
        self.ask(|reply| Request::Apply(Box::new(batch), position, reply)).await
    }

    pub(crate) async fn reopen(&self) -> Result<()> {
        self.ask(Request::Reopen).await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.ask(Request::Close).await
    }
}
