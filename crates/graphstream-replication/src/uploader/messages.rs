//! What a running uploader is asked to do.

use graphstream_remote::Committed;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result, Stop};

/// Requests that wait; further ones wait for room.
const ROOM: usize = 64;

/// A request to a running [`Uploader`](crate::Uploader).
#[derive(Debug)]
#[non_exhaustive]
pub enum UploadMessage {
    /// Seal what was appended (in the process that appends), upload and publish it. Several that wait are one.
    Upload,
    /// As `Upload`, and say when it is *stored*.
    UploadWithAck(UploadAck),
    /// Seal, upload and publish what there is, and end.
    Shutdown,
}

/// Who waits for an upload.
#[derive(Debug)]
pub struct UploadAck(oneshot::Sender<Committed>);

impl UploadAck {
    /// An acknowledgement, and where it arrives: an error there means that the uploader has ended without it.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Committed>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

/// Asks a running uploader. Clones ask the same one; dropping them all asks for nothing.
#[derive(Debug, Clone)]
pub struct UploaderHandle {
    requests: mpsc::Sender<Option<UploadAck>>,
    shutdown: Stop,
}

impl UploaderHandle {
    /// Hands the request over. While the store fails it waits with the uploader, which tries again at its own pace.
    ///
    /// # Errors
    /// [`Error::Ended`] when the uploader has.
    pub async fn send(&self, message: UploadMessage) -> Result<()> {
        let ended = || Error::Ended("the uploader");
        match message {
            UploadMessage::Upload => match self.requests.try_send(None) {
                // Whatever waits is an upload, too.
                Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
                Err(TrySendError::Closed(_)) => Err(ended()),
            },
            UploadMessage::UploadWithAck(ack) => self.requests.send(Some(ack)).await.map_err(|_| ended()),
            UploadMessage::Shutdown => {
                self.shutdown.cancel();
                Ok(())
            }
        }
    }

    /// Seals, uploads and publishes what was appended before the call, and waits until it is *stored*: [`UploadMessage::UploadWithAck`].
    ///
    /// # Errors
    /// [`Error::Ended`] when the uploader has, or does before.
    pub async fn upload(&self) -> Result<Committed> {
        let (ack, stored) = UploadAck::new();
        self.send(UploadMessage::UploadWithAck(ack)).await?;
        stored.await.map_err(|_| Error::Ended("the uploader"))
    }
}

/// The uploader's end.
#[derive(Debug)]
pub(super) struct Requests {
    handle: UploaderHandle,
    waiting: mpsc::Receiver<Option<UploadAck>>,
    /// Who was promised an answer.
    acks: Vec<UploadAck>,
}

impl Requests {
    pub(super) fn new() -> Self {
        let (requests, waiting) = mpsc::channel(ROOM);
        // The sender kept here keeps the channel open, whoever drops theirs.
        let handle = UploaderHandle { requests, shutdown: Stop::new() };
        Self { handle, waiting, acks: Vec::new() }
    }

    pub(super) fn handle(&self) -> UploaderHandle {
        self.handle.clone()
    }

    pub(super) fn shutdown(&self) -> Stop {
        self.handle.shutdown.clone()
    }

    /// Waits for a request. Cancelling loses none.
    pub(super) async fn next(&mut self) {
        match self.waiting.recv().await {
            Some(ack) => self.acks.extend(ack),
            None => std::future::pending().await,
        }
    }

    /// Takes what waits, and says whether anything did.
    pub(super) fn take(&mut self) -> bool {
        let mut any = false;
        while let Ok(ack) = self.waiting.try_recv() {
            self.acks.extend(ack);
            any = true;
        }
        any
    }

    /// Everything that was asked for is stored.
    pub(super) fn answer(&mut self, committed: Committed) {
        for UploadAck(ack) in self.acks.drain(..) {
            // Whoever asked may have gone.
            let _ = ack.send(committed);
        }
    }
}
