//! What the fault proxy puts on the wire, seen by a client that knows no HTTP library, before a server of a few lines.
#![cfg(feature = "fault-proxy")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use graphstream_testkit::fault_proxy::{
    Answer, BodyFault, Failure, Fault, FaultProxy, Held, ListFault, Rule, S3Operation,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// The objects by path. A listing is two objects and a token.
type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

const LISTING: &str = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t2</NextContinuationToken>\
                       <Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></ListBucketResult>";

/// A server that ends with the test's process.
fn server() -> (SocketAddr, Objects) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let objects = Objects::default();
    let theirs = Arc::clone(&objects);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let objects = Arc::clone(&theirs);
                let service = service_fn(move |request| serve(Arc::clone(&objects), request));
                let line = TokioIo::new(stream);
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(line, service));
            }
        });
    });
    (address, objects)
}

async fn serve(objects: Objects, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers()["host"].clone();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut objects = objects.lock().unwrap();
    let found = match method.as_str() {
        "PUT" => objects.insert(path, body).map(|_| Bytes::new()).or(Some(Bytes::new())),
        _ if path == "/b/" => Some(LISTING.into()),
        _ => objects.get(&path).cloned(),
    };
    let status = if found.is_some() { 200 } else { 404 };
    let answer = Response::builder().status(status).header("etag", "\"e\"").header("seen-host", host);
    Ok(answer.body(Full::new(found.unwrap_or_default())).unwrap())
}

/// A proxy in front of a server that has an object `/b/k` of ten bytes and `/b/other`.
fn rig() -> (FaultProxy, Objects) {
    let (address, objects) = server();
    objects.lock().unwrap().insert("/b/k".into(), "0123456789".into());
    objects.lock().unwrap().insert("/b/other".into(), "another one".into());
    (FaultProxy::start(address).unwrap(), objects)
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &FaultProxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    fn send(&mut self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: as.signed\r\ncontent-length: {length}");
        self.0.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    }

    /// The head of an answer and so many bytes behind it.
    fn answer(&mut self, body_bytes: usize) -> String {
        let mut all = Vec::new();
        while !all.ends_with(b"\r\n\r\n") {
            all.push(0);
            self.0.read_exact(all.last_mut().map(std::slice::from_mut).unwrap()).unwrap();
        }
        let head = all.len();
        all.resize(head + body_bytes, 0);
        self.0.read_exact(&mut all[head..]).unwrap();
        String::from_utf8(all).unwrap()
    }

    /// The head and what it announces.
    fn whole(&mut self) -> String {
        let head = self.answer(0);
        let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        head + &String::from_utf8(body).unwrap()
    }

    fn until_end(&mut self) -> (String, End) {
        let mut all = Vec::new();
        let end = match self.0.read_to_end(&mut all) {
            Ok(_) => End::Closed,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("{error}"),
        };
        (String::from_utf8(all).unwrap(), end)
    }

    /// Open, and silent for a moment.
    fn is_silent(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        self.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }

    fn asking(proxy: &FaultProxy, method: &str, path: &str, body: &str) -> Self {
        let mut client = Self::connect(proxy);
        client.send(method, path, body);
        client
    }

    fn ask(proxy: &FaultProxy, method: &str, path: &str, body: &str) -> String {
        Self::asking(proxy, method, path, body).whole()
    }
}

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A get of `k` under a fault; `read` sees what comes.
fn get<T>(proxy: &FaultProxy, fault: BodyFault, read: impl FnOnce(&mut Client) -> T) -> T {
    proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(fault)));
    let seen = read(&mut Client::asking(proxy, "GET", "/b/k", ""));
    assert_eq!(proxy.struck(), 1);
    proxy.clear();
    seen
}

#[test]
fn without_a_rule_requests_and_answers_go_through_with_their_host() {
    let (proxy, objects) = rig();
    let answer = Client::ask(&proxy, "GET", "/b/k", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("seen-host: as.signed") && answer.contains("etag: \"e\""), "{answer}");
    assert_eq!(body_of(&answer), "0123456789");
    let answer = Client::ask(&proxy, "PUT", "/b/new", "body");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(objects.lock().unwrap()["/b/new"], "body");
    let mut client = Client::asking(&proxy, "HEAD", "/b/k", "");
    assert!(client.answer(0).contains("content-length: 10\r\n"));
    client.is_silent();
    assert!(Client::ask(&proxy, "GET", "/b/none", "").starts_with("HTTP/1.1 404"));
    use S3Operation::{GetObject, HeadObject, PutObject};
    let seen: Vec<_> = proxy.seen().iter().map(|seen| (seen.operation, seen.struck, seen.signed)).collect();
    assert_eq!(
        seen,
        [GetObject, PutObject, HeadObject, GetObject].map(|operation| (operation, false, false))
    );
}

#[test]
fn one_connection_carries_many_requests() {
    let (proxy, _) = rig();
    let mut client = Client::connect(&proxy);
    for _ in 0..3 {
        client.send("GET", "/b/k", "");
        assert_eq!(body_of(&client.whole()), "0123456789");
    }
    assert_eq!(proxy.count(S3Operation::GetObject), 3);
}

#[test]
fn before_keeps_the_server_out_and_after_does_not() {
    let (proxy, objects) = rig();
    for (fault, acted) in [(Fault::Before as fn(_) -> _, false), (Fault::After, true)] {
        let put = |failure| {
            objects.lock().unwrap().remove("/b/new");
            proxy.clear();
            proxy.inject(Rule::new(S3Operation::PutObject, fault(failure)));
            Client::asking(&proxy, "PUT", "/b/new", "body")
        };
        let has_acted = || {
            assert_eq!(proxy.struck(), 1);
            assert_eq!(objects.lock().unwrap().contains_key("/b/new"), acted);
        };
        assert_eq!(put(Failure::Reset).until_end(), (String::new(), End::Reset));
        has_acted();
        assert_eq!(put(Failure::Close).until_end(), (String::new(), End::Closed));
        has_acted();
        let slow = Answer::error(503, "SlowDown").with_header("retry-after", "7");
        let answer = put(Failure::Answer(slow)).whole();
        has_acted();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 7\r\n"), "{answer}");
        assert!(body_of(&answer).contains("<Code>SlowDown</Code>"), "{answer}");
        put(Failure::Hang).is_silent();
    }
}

#[test]
fn early_ends_the_connection_while_the_client_writes() {
    let (proxy, objects) = rig();
    let mut client = Client::connect(&proxy);
    let failure = Failure::Answer(Answer::error(412, "PreconditionFailed"));
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::Early { body_bytes: 3, failure }));
    client.0.write_all(b"PUT /b/new HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\nbody").unwrap();
    let (answer, end) = client.until_end();
    assert!(answer.starts_with("HTTP/1.1 412") && answer.contains("connection: close"), "{answer}");
    assert_eq!(end, End::Closed);
    assert!(!objects.lock().unwrap().contains_key("/b/new"));
}

#[test]
fn redirects_say_where() {
    let (proxy, _) = rig();
    let answer = Answer::redirect(307, "http://127.0.0.1:9/b/k");
    proxy.inject(Rule::any(Fault::Before(Failure::Answer(answer))));
    let answer = Client::ask(&proxy, "GET", "/b/k", "");
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    assert!(answer.contains("location: http://127.0.0.1:9/b/k\r\n"), "{answer}");
}

#[test]
fn bodies_are_cut_stalled_and_reset_behind_the_announced_length() {
    let (proxy, _) = rig();
    for (bytes, expected) in [(0, ""), (4, "0123")] {
        let (answer, end) = get(&proxy, BodyFault::Cut(bytes), Client::until_end);
        assert!(answer.contains("content-length: 10\r\n"), "{answer}");
        assert_eq!((body_of(&answer), end), (expected, End::Closed));

        let (answer, end) = get(&proxy, BodyFault::ResetAt(bytes), Client::until_end);
        assert_eq!(end, End::Reset);
        assert!(expected.starts_with(body_of(&answer)), "{answer}");

        let answer = get(&proxy, BodyFault::StallAt(bytes), |client| {
            let answer = client.answer(expected.len());
            client.is_silent();
            answer
        });
        assert!(answer.contains("content-length: 10\r\n"), "{answer}");
        assert_eq!(body_of(&answer), expected);
    }
}

#[test]
fn bodies_are_damaged_with_the_length_that_goes_with_it() {
    let (proxy, _) = rig();
    for (fault, length, body) in [
        (BodyFault::Truncate(4), 4, "0123"),
        (BodyFault::Extend("!!".into()), 12, "0123456789!!"),
        (BodyFault::Overrun("!!".into()), 10, "0123456789!!"),
        (BodyFault::FlipBit(9), 10, "0323456789"),
        (BodyFault::FlipBit(89), 10, "0323456789"),
        (BodyFault::Replace("xyz".into()), 3, "xyz"),
        (BodyFault::Drip { bytes: 3, pause: Duration::from_millis(1) }, 10, "0123456789"),
    ] {
        let name = format!("{fault:?}");
        let answer = get(&proxy, fault, |client| {
            let answer = client.answer(body.len());
            client.is_silent();
            answer
        });
        assert!(answer.contains(&format!("content-length: {length}\r\n")), "{name}: {answer}");
        assert_eq!(body_of(&answer), body, "{name}");
    }
}

#[test]
fn an_old_or_another_object_comes_with_its_own_headers() {
    let (proxy, objects) = rig();
    let replay = |key: &str| {
        proxy.inject(Rule::new(S3Operation::GetObject, Fault::Replay(key.into())).on_key("k").nth(2));
        Client::ask(&proxy, "GET", "/b/other", "");
        Client::ask(&proxy, "GET", "/b/k", "");
        objects.lock().unwrap().insert("/b/k".into(), "new".into());
        let answer = Client::ask(&proxy, "GET", "/b/k", "");
        proxy.clear();
        body_of(&answer).to_owned()
    };
    assert_eq!(replay("k"), "0123456789");
    assert_eq!(replay("other"), "another one");
    assert_eq!(replay("never seen"), "new");
}

#[test]
fn pages_of_a_listing_are_damaged() {
    let (proxy, _) = rig();
    let page = |fault| {
        proxy.clear();
        proxy.inject(Rule::new(S3Operation::ListObjectsV2, Fault::List(fault)));
        let answer = Client::ask(&proxy, "GET", "/b/?list-type=2&continuation-token=t1", "");
        assert_eq!(proxy.struck(), 1);
        assert!(answer.contains(&format!("content-length: {}\r\n", body_of(&answer).len())), "{answer}");
        body_of(&answer).to_owned()
    };
    assert!(page(ListFault::RepeatToken).contains("<NextContinuationToken>t1</NextContinuationToken>"));
    assert!(!page(ListFault::DropToken).contains("Token"));
    assert!(page(ListFault::Forget).contains("<IsTruncated>false</IsTruncated>"));
    assert!(page(ListFault::Reverse).contains("<Key>b</Key></Contents><Contents><Key>a"));
    assert!(page(ListFault::Duplicate).contains("<Key>b</Key></Contents><Contents><Key>b"));
    assert!(!page(ListFault::Omit("<Key>a".into())).contains("<Key>a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn late_requests_land_when_told_in_their_order() {
    let (proxy, objects) = rig();
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::Late(Failure::Reset)).first(2));
    for body in ["one", "two"] {
        assert_eq!(Client::asking(&proxy, "PUT", "/b/late", body).until_end().1, End::Reset);
    }
    assert!(!objects.lock().unwrap().contains_key("/b/late"));
    for body in ["one", "two"] {
        assert_eq!(proxy.land_late().await.unwrap().unwrap(), 200);
        assert_eq!(objects.lock().unwrap()["/b/late"], body);
    }
    assert!(proxy.land_late().await.is_none());
}

#[test]
fn what_is_held_goes_on_when_it_is_released() {
    for (held, expected) in [(Held::Request, None), (Held::Answer, Some("one"))] {
        let (proxy, objects) = rig();
        proxy.inject(Rule::new(S3Operation::PutObject, Fault::Hold(held)));
        let mut asking = Client::asking(&proxy, "PUT", "/b/held", "one");
        let stored = || objects.lock().unwrap().get("/b/held").cloned();
        while proxy.struck() == 0 || stored().is_none() && expected.is_some() {
            std::thread::yield_now();
        }
        assert_eq!(stored().as_deref(), expected.map(str::as_bytes), "{held:?}");
        asking.0.set_nonblocking(true).unwrap();
        assert_eq!(asking.0.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "{held:?}");
        asking.0.set_nonblocking(false).unwrap();
        proxy.release();
        assert!(asking.whole().starts_with("HTTP/1.1 200"), "{held:?}");
        assert_eq!(stored().unwrap(), "one");
    }
}

#[test]
fn connections_are_refused_until_they_are_accepted_again() {
    let (proxy, _) = rig();
    let mut open = Client::asking(&proxy, "GET", "/b/k", "");
    open.whole();
    proxy.refuse().unwrap();
    assert_eq!(open.until_end().0, "", "open connections end");
    let refused = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.accept().unwrap();
    assert_eq!(body_of(&Client::ask(&proxy, "GET", "/b/k", "")), "0123456789");
}

#[test]
fn rules_strike_the_nth_the_first_or_all_of_what_they_match() {
    let (proxy, _) = rig();
    let failed = |rule: Rule| {
        proxy.clear();
        proxy.inject(rule);
        let ask = |path| Client::ask(&proxy, "GET", path, "").starts_with("HTTP/1.1 500");
        ["/b/k", "/b/other", "/b/k", "/b/k"].map(ask)
    };
    let fault = || Fault::Before(Failure::Answer(Answer::error(500, "InternalError")));
    let rule = || Rule::new(S3Operation::GetObject, fault());
    assert_eq!(failed(rule()), [true, false, false, false]);
    assert_eq!(failed(rule().nth(3)), [false, false, true, false]);
    assert_eq!(failed(rule().on_key("k").nth(2)), [false, false, true, false]);
    assert_eq!(failed(rule().first(2)), [true, true, false, false]);
    assert_eq!(failed(rule().always().on_key("other")), [false, true, false, false]);
    assert_eq!(failed(Rule::any(fault()).always()), [true; 4]);
    assert_eq!(failed(Rule::new(S3Operation::PutObject, fault()).always()), [false; 4]);
}

#[test]
fn one_seed_is_one_row_of_faults() {
    let (address, _) = server();
    let row = |seed| {
        let proxy = FaultProxy::with_seed(address, seed).unwrap();
        let fault = Fault::Before(Failure::Answer(Answer::status(500)));
        proxy.inject(Rule::any(fault).per_mille(300));
        for _ in 0..100 {
            Client::ask(&proxy, "GET", "/b/none", "");
        }
        proxy.seen().iter().map(|seen| seen.struck).collect::<Vec<_>>()
    };
    let first = row(7);
    let struck = first.iter().filter(|struck| **struck).count();
    assert!((10..50).contains(&struck), "{struck} of 100 at 300 per mille");
    assert_eq!(first, row(7));
    assert_ne!(first, row(8));
}

#[test]
fn dropping_it_ends_what_hangs() {
    let (proxy, _) = rig();
    proxy.inject(Rule::any(Fault::Before(Failure::Hang)));
    let mut client = Client::asking(&proxy, "GET", "/b/k", "");
    client.is_silent();
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.until_end().0, "");
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
