//! Threads that encode and decode frames. This crate starts none by itself: a caller who wants some makes them, shares them between
//! readers and writers, and joins them by dropping the last handle.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::frame::Codec;
use crate::error::{Error, Result};

/// A number of threads for [`Writer::with_workers`](super::Writer::with_workers) and
/// [`SegmentReader::with_workers`](crate::SegmentReader::with_workers). Clones are handles of the same threads, which end when the last
/// handle is dropped. Results do not depend on their number: bytes and entries are the same as without them.
///
/// A writer has at most one frame per thread, and one more, under way, a reader two per thread and two more: memory is bounded by that
/// many frames.
#[derive(Clone, Debug)]
pub struct Workers {
    pool: Arc<Pool>,
}

type Job = Box<dyn FnOnce(&mut Codec) + Send>;

#[derive(Debug)]
struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Workers {
    /// Starts this many threads.
    ///
    /// # Errors
    /// What the system reports when it can't start a thread.
    pub fn new(threads: NonZeroUsize) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Pool { jobs: Some(jobs), threads: Vec::new() };
        for _ in 0..threads.get() {
            let queue = Arc::clone(&queue);
            pool.threads.push(Builder::new().name("segment-frames".to_owned()).spawn(move || work(&queue))?);
        }
        Ok(Self { pool: Arc::new(pool) })
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads.len()
    }

    /// Gives work to whichever thread is free first.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Codec) -> T + Send + 'static,
    ) -> UnderWay<T> {
        let (done, result): (SyncSender<T>, _) = sync_channel(1);
        if let Some(jobs) = &self.pool.jobs {
            // A lost queue, like a lost result, shows when the result is waited for.
            let _ = jobs.send(Box::new(move |codec| drop(done.send(work(codec)))));
        }
        UnderWay(result)
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut codec = Codec::default();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(&mut codec),
            Err(_) => return,
        }
    }
}

/// The result of something a thread works on.
#[derive(Debug)]
pub(crate) struct UnderWay<T>(Receiver<T>);

impl<T> UnderWay<T> {
    pub(crate) fn wait(self) -> Result<T> {
        self.0.recv().map_err(|_| Error::WorkerLost)
    }
}
