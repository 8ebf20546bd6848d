//! The proxy's thread: connections, the way to the server and back, and what the script makes of it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, StatusCode, http};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::line::{Line, Orders};
use super::operation::{classify, parameter};
use super::sent::{Broken, Sent};
use super::{Answer, Failure, Fault, Held, Order, S3Operation, Seen, Shared, listing};

/// A request, read whole.
pub(super) type Request = http::Request<Bytes>;
/// An answer, read whole.
pub(super) type Response = http::Response<Bytes>;

/// Until the handle is dropped.
pub(super) async fn serve(
    listener: StdListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut orders: UnboundedReceiver<Order>,
) {
    let mut listener = TcpListener::from_std(listener).ok();
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => {
                // A client that is gone again is none.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            order = orders.recv() => match order {
                None => return,
                Some(Order::Refuse(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    let _ = done.send(Ok(()));
                }
                Some(Order::Accept(done)) => {
                    let bound = TcpListener::bind(address).await;
                    let _ = done.send(bound.map(|bound| listener = Some(bound)));
                }
                Some(Order::Land(request, done)) => {
                    let server = shared.server;
                    connections.spawn(async move {
                        let _ = done.send(forward(server, *request).await.map(|answer| answer.status().as_u16()));
                    });
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let orders = Arc::new(Orders::default());
    let line = TokioIo::new(Line::new(stream, Arc::clone(&orders)));
    let service = service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&orders), request));
    // It ends with an error when the script says so, and when the client goes.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(line, service).await;
}

async fn answer(
    shared: Arc<Shared>,
    orders: Arc<Orders>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Sent>, Broken> {
    let (operation, subject) = classify(request.method(), request.uri());
    // Before anybody sees that the request is here, and may release it.
    let mut released = shared.released.subscribe();
    let fault = {
        let mut state = shared.state();
        let fault = state.script.fault(operation, &subject);
        let signed = request.headers().contains_key("authorization");
        state.seen.push(Seen { operation, subject: subject.clone(), struck: fault.is_some(), signed });
        fault
    };
    if let Some(Fault::Early { body_bytes, failure }) = fault {
        return early(request, body_bytes, failure, &orders).await;
    }
    let (head, body) = request.into_parts();
    // A client that goes while it sends never gets an answer.
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let request = http::Request::from_parts(head, body);
    let asked_by = request.method().clone();
    let token = parameter(request.uri(), "continuation-token");
    let forwarded = async |request| match forward(shared.server, request).await {
        Ok(response) => {
            if operation == S3Operation::GetObject && response.status() == StatusCode::OK {
                shared.state().objects.insert(subject.clone(), response.clone());
            }
            response
        }
        // The script has no part in this: it must not look like one of the server's own answers.
        Err(error) => {
            let mut response = Response::new(format!("the fault proxy's server: {error}").into());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    };
    let response = match fault {
        None | Some(Fault::Early { .. }) => forwarded(request).await,
        Some(Fault::Before(failure)) => return fail(failure, &orders, &asked_by).await,
        Some(Fault::After(failure)) => {
            // In a task of its own: it reaches the server also when the client goes meanwhile.
            let _ = tokio::spawn(forward(shared.server, request)).await;
            return fail(failure, &orders, &asked_by).await;
        }
        Some(Fault::Late(failure)) => {
            shared.state().late.push_back(request);
            return fail(failure, &orders, &asked_by).await;
        }
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            forwarded(request).await
        }
        Some(Fault::Hold(held)) => {
            let response = match held {
                Held::Request => None,
                Held::Answer => Some(forwarded(request.clone()).await),
            };
            // The handle that would release it lives longer than this thread.
            let _ = released.changed().await;
            match response {
                Some(response) => response,
                None => forwarded(request).await,
            }
        }
        Some(Fault::Body(fault)) => {
            let response = forwarded(request).await;
            if response.status().is_success() {
                return Ok(sent(response, &asked_by, |body| Sent::damaged(body, fault, &orders)));
            }
            response
        }
        Some(Fault::List(fault)) => {
            let page = forwarded(request).await;
            let is_page = operation == S3Operation::ListObjectsV2 && page.status().is_success();
            if !is_page {
                return Ok(sent(page, &asked_by, |body| Sent::whole(body, &orders)));
            }
            page.map(|page| {
                let page = String::from_utf8_lossy(&page);
                listing::damaged(&page, token.as_deref(), &fault).into()
            })
        }
        Some(Fault::Replay(key)) => {
            let remembered = shared.state().objects.get(&key).cloned();
            match remembered {
                Some(response) => response,
                None => forwarded(request).await,
            }
        }
    };
    Ok(sent(response, &asked_by, |body| Sent::whole(body, &orders)))
}

/// Reads a part of the body, fails, and closes.
async fn early(
    request: http::Request<Incoming>,
    body_bytes: u64,
    failure: Failure,
    orders: &Arc<Orders>,
) -> Result<http::Response<Sent>, Broken> {
    let asked_by = request.method().clone();
    let mut body = request.into_body();
    let mut read = 0;
    while read < body_bytes && !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        read += frame.map_err(|_| Broken)?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let mut response = fail(failure, orders, &asked_by).await?;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

async fn fail(
    failure: Failure,
    orders: &Arc<Orders>,
    asked_by: &Method,
) -> Result<http::Response<Sent>, Broken> {
    match failure {
        Failure::Reset => {
            orders.reset();
            Err(Broken)
        }
        Failure::Close => Err(Broken),
        Failure::Hang => std::future::pending().await,
        Failure::Answer(answer) => Ok(sent(response_of(answer), asked_by, |body| Sent::whole(body, orders))),
    }
}

fn response_of(answer: Answer) -> Response {
    let Answer { status, headers, body } = answer;
    let mut response = Response::new(body);
    // What is no status or header in the script shows as the tests' failure, not as a panic here.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The answer with its body as the client gets it.
fn sent(response: Response, asked_by: &Method, body: impl FnOnce(Bytes) -> Sent) -> http::Response<Sent> {
    let mut response = response.map(body);
    let announced = response.body().announced;
    response.headers_mut().remove(TRANSFER_ENCODING);
    response.headers_mut().remove(CONNECTION);
    // To HEAD the length is that of the object, and a 304 has none.
    let without_body = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if asked_by != Method::HEAD && !without_body {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(announced));
    }
    response
}

/// Asks the server, over a connection of its own.
async fn forward(server: SocketAddr, request: Request) -> io::Result<Response> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request.map(Full::new)).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end with the last byte of the answer, before the answer has been taken from it.
        _ = connection => exchange.await,
    }
}
