//! The body of an answer as it is sent: a row of steps.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

use super::BodyFault;
use super::line::Orders;

enum Step {
    Send(Bytes),
    Pause(Duration),
    /// What comes before is on the wire first: hyper flushes when it has to wait.
    Flush,
    /// Nothing more, for ever.
    Hang,
    /// The connection ends here.
    Break,
}

/// The connection is to end without an (or another) answer: hyper's way to be told so.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken by the script")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

pub(super) struct Sent {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
    overrun: Bytes,
    orders: Arc<Orders>,
    /// What is announced, in bytes.
    pub(super) announced: usize,
}

impl Sent {
    /// The bytes as they are.
    pub(super) fn whole(body: Bytes, orders: &Arc<Orders>) -> Self {
        let announced = body.len();
        let steps = VecDeque::from([Step::Send(body)]);
        Self { steps, pause: None, overrun: Bytes::new(), orders: Arc::clone(orders), announced }
    }

    /// The bytes damaged.
    pub(super) fn damaged(body: Bytes, fault: BodyFault, orders: &Arc<Orders>) -> Self {
        let upto =
            |bytes: u64| body.slice(..usize::try_from(bytes).map_or(body.len(), |n| n.min(body.len())));
        let mut sent = Self::whole(body.clone(), orders);
        let then = |step, bytes| VecDeque::from([Step::Send(upto(bytes)), Step::Flush, step]);
        match fault {
            BodyFault::Cut(bytes) => sent.steps = then(Step::Break, bytes),
            BodyFault::ResetAt(bytes) => {
                orders.reset();
                sent.steps = then(Step::Break, bytes);
            }
            BodyFault::StallAt(bytes) => sent.steps = then(Step::Hang, bytes),
            BodyFault::Drip { bytes, pause } => {
                let chunks = body.chunks(bytes.max(1));
                sent.steps = chunks
                    .flat_map(|chunk| [Step::Pause(pause), Step::Send(Bytes::copy_from_slice(chunk))])
                    .collect();
            }
            BodyFault::Truncate(bytes) => sent = Self::whole(upto(bytes), orders),
            BodyFault::Extend(more) => sent = Self::whole([body, more].concat().into(), orders),
            BodyFault::Overrun(more) => sent.overrun = more,
            BodyFault::FlipBit(bit) => sent = Self::whole(flipped(&body, bit), orders),
            BodyFault::Replace(other) => sent = Self::whole(other, orders),
        }
        sent
    }
}

fn flipped(body: &[u8], bit: u64) -> Bytes {
    let mut bytes = BytesMut::from(body);
    let bit = bit.checked_rem(bytes.len() as u64 * 8).unwrap_or(0);
    if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1 << (bit % 8);
    }
    bytes.freeze()
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) if bytes.is_empty() => {}
                Some(Step::Send(bytes)) => {
                    if self.steps.is_empty() {
                        let overrun = std::mem::take(&mut self.overrun);
                        self.orders.overrun(overrun);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pause(time)) => self.pause = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(Step::Break) => return Poll::Ready(Some(Err(Broken))),
            }
        }
    }
}
