//! The client's connection, which can be reset and can carry bytes that no HTTP server would send.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What the answer wants of its connection.
#[derive(Debug, Default)]
pub(super) struct Orders {
    reset: AtomicBool,
    overrun: Mutex<Bytes>,
}

impl Orders {
    /// When the connection ends, it is by a reset.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }

    /// These bytes follow what is written now.
    pub(super) fn overrun(&self, bytes: Bytes) {
        *self.overrun.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }
}

pub(super) struct Line {
    stream: TcpStream,
    orders: Arc<Orders>,
}

impl Line {
    pub(super) fn new(stream: TcpStream, orders: Arc<Orders>) -> Self {
        Self { stream, orders }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.orders.reset.load(Ordering::SeqCst) {
            // Where it can't be set the client sees an orderly end.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// hyper flushes when it has handed over all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, orders } = &mut *self;
        let mut overrun = orders.overrun.lock().unwrap_or_else(PoisonError::into_inner);
        while !overrun.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, &overrun))?;
            overrun.advance(written);
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.orders.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
