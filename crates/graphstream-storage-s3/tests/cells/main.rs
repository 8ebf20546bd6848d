//! Every operation, every fault, before and after the server has acted, on a real connection: no cell is empty. Bare (with a time-out)
//! and under the default decorators each ends in the right answer or in a typed error, never in a wrong byte, never in silence, and an
//! acknowledged put is there. `expected` says which end a cell may have; `cargo test --test cells -- --nocapture` prints the matrix.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod calls;
mod expected;
mod faults;
mod rig;
mod special;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use graphstream_storage::{Operation, StorageBackend, TimeoutBackend, TimeoutConfig};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::fault_proxy::FaultProxy;
use graphstream_testkit::s3::S3Server;

use calls::{Call, make};
use expected::{Column, End, expected};
use faults::{Kind, Moment, Row, rows};
use rig::{Lane, patience, stacked};

/// Cells under way at a time: most of them wait.
const LANES: usize = 8;

/// Bare once, decorated once, decorated for ever. (Bare nothing is repeated.)
const MODES: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

fn wrapped(backend: S3Backend, row: &Row, decorated: bool) -> Arc<dyn StorageBackend> {
    let limit = patience(row);
    let timeout = TimeoutConfig::default().with_answer_timeout(limit).with_body_timeout(limit);
    // The second more that a put's bytes are allowed at least is enough.
    let timeout = timeout.with_put_bytes_per_second_min(u64::MAX);
    match decorated {
        true => stacked(backend, timeout),
        false => Arc::new(TimeoutBackend::new(backend, timeout)),
    }
}

/// Runs one cell: how it ended, and what is wrong with that.
async fn run(lane: &Lane, column: Column, row: &Row) -> (End, Vec<String>) {
    let Column { call, request, decorated, always } = column;
    let backend = lane.prepare(call, row, request, always).await;
    let backend = wrapped(backend, row, decorated);
    let made = tokio::time::timeout(Duration::from_secs(60), make(call, lane, &*backend)).await;
    let made = made.unwrap_or_else(|_| panic!("{call:?} at {request}, {}: it hangs", row.name));
    let end = match (&made, call.refusal()) {
        (Err(error), Some(refusal)) if error.class() == refusal => End::Right,
        (Err(error), _) => End::Fails(error.class()),
        (Ok(true), None) => End::Right,
        (Ok(_), _) => End::Unseen,
    };
    let (struck, now) = (lane.proxy.struck(), lane.there().await);
    lane.land_late().await;
    let later = lane.there().await;

    // A definite error of a store that doesn't lie means that nothing was done.
    let lies = matches!(row.kind, Kind::Fails(Moment::After, _));
    let nothing_done = matches!(end, End::Fails(class) if !class.is_unknown()) && !lies;
    let may = expected(column, row);
    let checks = [
        (struck > 0, "the fault never struck".to_owned()),
        (may.contains(&end), format!("{end:?} instead of {may:?}")),
        (now == call.before() || now == call.after(), "neither the old object nor the new one".to_owned()),
        (!nothing_done || now == call.before(), "refused, and done".to_owned()),
        (later == now || (end != End::Right && later == call.after()), "undone by what came late".to_owned()),
    ];
    let name = format!("{call:?} at {request}, {}, decorated: {decorated}, always: {always}", row.name);
    let wrong = checks.into_iter().filter(|(holds, _)| !holds);
    (end, wrong.map(|(_, problem)| format!("{name}: {problem}: {made:?}")).collect())
}

/// All rows for some calls.
async fn matrix(test: &str, calls: &[Call]) {
    let server = S3Server::honest().unwrap();
    let elsewhere = FaultProxy::start(server.address()).unwrap();
    let lanes = join_all((0..LANES).map(|at| Lane::new(&server, format!("{test}-{at}")))).await;
    let mut columns = Vec::new();
    for call in calls {
        for request in call.requests() {
            for (decorated, always) in MODES {
                columns.push(Column { call: *call, request: *request, decorated, always });
            }
        }
    }
    let rows_of = |lane: &Lane| rows(&elsewhere.url(), &lane.other, &lane.key);
    let width = rows_of(&lanes[0]).len();
    let cells: Vec<(usize, usize)> =
        (0..columns.len()).flat_map(|column| (0..width).map(move |row| (column, row))).collect();
    let work = lanes.iter().enumerate().map(async |(at, lane)| {
        let rows = rows_of(lane);
        let mut ends = Vec::new();
        for (column, row) in cells.iter().skip(at).step_by(LANES) {
            ends.push(((*column, *row), run(lane, columns[*column], &rows[*row]).await));
        }
        ends
    });
    let ends: BTreeMap<_, _> = join_all(work).await.into_iter().flatten().collect();
    print(&columns, &rows_of(&lanes[0]), &ends);
    assert_eq!(ends.len(), columns.len() * width, "no cell is empty");
    let wrong: Vec<&String> = ends.values().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{} cells of {}:\n{wrong:#?}", wrong.len(), ends.len());
    assert!(elsewhere.seen().is_empty(), "redirects are not followed: {:?}", elsewhere.seen());
}

/// A table per call: a row per fault, the ends of all modes.
fn print(columns: &[Column], rows: &[Row], ends: &BTreeMap<(usize, usize), (End, Vec<String>)>) {
    let mut text = String::new();
    for (first, column) in columns.iter().enumerate().step_by(MODES.len()) {
        writeln!(text, "\n{:?} at {}: bare once | decorated once | always", column.call, column.request)
            .unwrap();
        for (at, row) in rows.iter().enumerate() {
            let modes = (0..MODES.len()).map(|mode| ends[&(first + mode, at)].0.as_str()).collect::<Vec<_>>();
            writeln!(text, "  {:<40} {}", row.name, modes.join(" | ")).unwrap();
        }
    }
    println!("{text}");
}

#[test]
fn every_operation_is_in_the_matrix() {
    let calls: Vec<Call> = [&Call::READS[..], &Call::PUTS, &Call::LARGE_PUTS, &Call::DELETES].concat();
    for operation in Operation::ALL {
        assert!(calls.iter().any(|call| call.operation() == operation), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_under_every_fault() {
    matrix("reads", &Call::READS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_under_every_fault() {
    matrix("puts", &Call::PUTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_in_parts_under_every_fault() {
    matrix("large", &Call::LARGE_PUTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_under_every_fault() {
    matrix("deletes", &Call::DELETES).await;
}
