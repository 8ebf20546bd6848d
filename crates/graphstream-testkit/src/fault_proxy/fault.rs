//! What happens to a request: plain data.

use std::time::Duration;

use bytes::Bytes;

/// What happens to a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// The request is read whole, the server never sees it.
    Before(Failure),
    /// Of the request's body at least so many bytes are read; then this happens, and the connection is closed while the client may
    /// still be writing. The server never sees it.
    Early {
        /// Bytes of the body that are read first.
        body_bytes: u64,
        /// What happens then.
        failure: Failure,
    },
    /// The server acts; this happens in place of its answer.
    After(Failure),
    /// As [`Before`](Self::Before), but the server gets the request when the test calls
    /// [`land_late`](crate::fault_proxy::FaultProxy::land_late).
    Late(Failure),
    /// Waits, then all is well.
    Delay(Duration),
    /// Waits for the test to call [`release`](crate::fault_proxy::FaultProxy::release), then all is well.
    Hold(Held),
    /// The body of the answer is damaged, if the server says that all is well (2xx).
    Body(BodyFault),
    /// A page of a listing is damaged; other answers are not.
    List(ListFault),
    /// The last whole object that came from this key is the answer, with all its headers: another key's makes the wrong object,
    /// the request's own an old one. When none has come yet, nothing happens.
    Replay(String),
}

/// What is on its way while the test does something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The request: the server has not seen it.
    Request,
    /// The answer: the server has acted.
    Answer,
}

/// What comes of a request in place of the server's answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Failure {
    /// The connection is reset.
    Reset,
    /// The connection is closed in order, without an answer.
    Close,
    /// Nothing at all; the connection stays.
    Hang,
    /// This answer.
    Answer(Answer),
}

/// An answer of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Announced with its own length.
    pub body: Bytes,
}

impl Answer {
    /// Only a status, without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An error as S3 answers it: a status, and the code in a body of XML.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>scripted</Message>\
             <RequestId>SCRIPTED</RequestId></Error>"
        );
        Self::status(status)
            .with_header("content-type", "application/xml")
            .with_header("x-amz-request-id", "SCRIPTED")
            .with_body(text)
    }

    /// Go elsewhere: 301 or 307 to an address.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        let code = if status == 307 { "TemporaryRedirect" } else { "PermanentRedirect" };
        Self::error(status, code).with_header("location", location)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// What happens to the body of an answer. Headers stay as the server gave them, except for the length where that is said.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BodyFault {
    /// The connection is closed after so many bytes of what was announced.
    Cut(u64),
    /// The connection is reset after so many bytes of what was announced; not all of them may arrive.
    ResetAt(u64),
    /// Nothing more comes after so many bytes; the connection stays.
    StallAt(u64),
    /// So many bytes come, each time, and then a pause.
    Drip {
        /// Bytes at a time, at least 1.
        bytes: usize,
        /// The pause.
        pause: Duration,
    },
    /// So many bytes come, and they are what is announced.
    Truncate(u64),
    /// These bytes follow, and are announced with the rest.
    Extend(Bytes),
    /// These bytes follow what was announced, on the same connection.
    Overrun(Bytes),
    /// One bit is flipped, counted from the first bit of the body, modulo its length.
    FlipBit(u64),
    /// These bytes come instead, with their own length announced.
    Replace(Bytes),
}

/// What happens to a page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFault {
    /// The token that was sent (or a constant one) comes back as the next one.
    RepeatToken,
    /// The page says that there are more, but not where.
    DropToken,
    /// The page is the last one, whatever follows.
    Forget,
    /// The objects come in descending order.
    Reverse,
    /// The last object comes twice.
    Duplicate,
    /// Objects with this text in their element are missing.
    Omit(String),
}
