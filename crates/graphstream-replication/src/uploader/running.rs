//! Shipping until told otherwise.

use super::Uploader;
use super::messages::UploaderHandle;
use crate::chance::backoff;
use crate::{Result, Stop};

impl Uploader {
    /// Asks this uploader while it [runs](Self::run).
    #[must_use]
    pub fn handle(&self) -> UploaderHandle {
        self.requests.handle()
    }

    /// Ships until `stop` (or [`UploadMessage::Shutdown`](crate::UploadMessage::Shutdown)), then once more, so that everything sealed by then is
    /// stored. While the store fails it backs off and tries for ever; so it does while the head is gone, which somebody has to put back.
    ///
    /// # Errors
    /// As [`ship`](Self::ship), but only what no retry mends; in the last look also what a retry might. The journal's own end
    /// when this process appends to it: everything sealed by then is stored.
    pub async fn run(&mut self, stop: &Stop) -> Result<()> {
        let mut backoff = backoff(&self.remote, self.options.retry_interval_max)?;
        let shutdown = self.requests.shutdown();
        let mut asked = false;
        loop {
            let last = stop.is_cancelled() || shutdown.is_cancelled();
            // What is asked for from here on is for the next look.
            asked |= self.requests.take();
            // Taken before the look: what is sealed during it may be missed, and is for the next one.
            let seen = self.writer.sealed();
            let sealed = if last || asked { self.writer.seal().await } else { Ok(()) };
            let began = tokio::time::Instant::now();
            let looked = self.ship().await;
            self.outages.looked(began, &looked, &self.writer).await;
            // A segment that can't be sealed, on a full disk say, does not hold up those that are.
            let pause = match looked.and_then(|shipped| sealed.map(|()| shipped)) {
                Ok(shipped) => {
                    if shipped.segments > 0 {
                        tracing::info!(
                            segments = shipped.segments,
                            bytes = shipped.bytes,
                            committed = shipped.committed.sequence,
                            "shipped"
                        );
                    }
                    self.requests.answer(shipped.committed);
                    asked = false;
                    backoff.reset();
                    self.options.upload_interval + backoff.jitter(self.options.upload_interval / 10)
                }
                Err(error) if (error.is_transient() || error.is_missing_head()) && !last => {
                    let pause = backoff.next_pause();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        ?pause,
                        "shipping failed, nothing is lost: trying again"
                    );
                    pause
                }
                Err(error) => return Err(error),
            };
            if last {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = shutdown.cancelled() => {}
                () = self.requests.next(), if backoff.failures() == 0 => asked = true,
                more = self.writer.sealed_beyond(seen), if backoff.failures() == 0 => more?,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
