//! Every metric is in the text exactly once, with its help, and in the documented table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use graphstream_metrics::{GraphstreamMetrics, MetricKind, Role, StorageOperation, StorageOutcome};

/// The table in the crate's documentation.
const TABLE: &str = include_str!("../src/names.md");

fn table_row(description: &graphstream_metrics::Description) -> String {
    let total = if description.kind == MetricKind::Counter { "_total" } else { "" };
    format!("| `{}{total}` | {} | {} |", description.name, description.kind, description.help)
}

#[test]
fn the_documented_table_has_one_row_per_metric_and_no_other() {
    let expected: Vec<String> = GraphstreamMetrics::descriptions().iter().map(table_row).collect();
    let found: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(found, expected, "src/names.md should have these rows:\n{}\n", expected.join("\n"));
}

/// The table for operators, with units.
const OPERATIONS: &str = include_str!("../../../docs/operations.md");

fn unit(name: &str) -> &str {
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("ms") => "ms since 1970",
        Some(unit @ ("bytes" | "entries" | "segments" | "sequence" | "batches")) => unit,
        _ => "1",
    }
}

#[test]
fn the_operators_table_has_one_row_per_metric_with_its_unit_and_no_other() {
    let row = |description: &graphstream_metrics::Description| {
        let total = if description.kind == MetricKind::Counter { "_total" } else { "" };
        let (name, kind, help) = (description.name, description.kind, description.help);
        format!("| `{name}{total}` | {kind} | {} | {help} |", unit(name))
    };
    let expected: Vec<String> = GraphstreamMetrics::descriptions().iter().map(row).collect();
    let table = OPERATIONS.lines().skip_while(|line| *line != "## All metrics").skip(1);
    let table = table.take_while(|line| !line.starts_with("## "));
    let found: Vec<&str> = table.filter(|line| line.starts_with("| `")).collect();
    assert_eq!(found, expected, "docs/operations.md should have these rows:\n{}\n", expected.join("\n"));
}

#[test]
fn every_metric_is_in_the_text_exactly_once() {
    let text = GraphstreamMetrics::default().snapshot().to_prometheus();
    let descriptions = GraphstreamMetrics::descriptions();
    for description in &descriptions {
        let help = format!("# HELP {} {}", description.name, description.help);
        let kind = format!("# TYPE {} {}", description.name, description.kind);
        assert_eq!(text.lines().filter(|line| *line == help).count(), 1, "{help}\nin\n{text}");
        assert_eq!(text.lines().filter(|line| *line == kind).count(), 1, "{kind}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("# HELP")).count(), descriptions.len());
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn no_series_occurs_twice_and_every_series_belongs_to_a_described_metric() {
    let text = GraphstreamMetrics::default().snapshot().to_prometheus();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series.to_owned()), "{series} occurs twice");
        let name = series.split('{').next().unwrap();
        let described = GraphstreamMetrics::descriptions().iter().any(|description| {
            let endings: &[&str] = match description.kind {
                MetricKind::Counter => &["_total"],
                MetricKind::Gauge => &[""],
                MetricKind::Histogram => &["_bucket", "_sum", "_count"],
            };
            endings.iter().any(|ending| name == format!("{}{ending}", description.name))
        });
        assert!(described, "{series} belongs to no described metric");
    }
}

#[test]
fn names_have_the_prefix_and_are_lower_case_words() {
    for description in GraphstreamMetrics::descriptions() {
        let name = description.name;
        assert!(name.starts_with("graphstream_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        for unit in ["seconds", "bytes", "entries", "segments", "sequence", "ms", "batches"] {
            let inside = format!("_{unit}_");
            assert!(!name.contains(&inside), "{name}: the unit {unit} goes last");
        }
        assert!(description.help.ends_with('.'), "{name}: {}", description.help);
    }
}

#[test]
fn values_reach_the_snapshot_and_the_text() {
    let metrics = GraphstreamMetrics::shared();
    metrics.journal.entries_appended.add(7);
    metrics.journal.poisoned.set_bool(true);
    metrics.journal.written_sequence.set(u64::MAX);
    metrics.journal.sync_seconds.observe(Duration::from_millis(3));
    metrics.follower.lag_seconds.set(Duration::from_millis(1500));
    metrics.follower.applied_sequence.raise(9);
    metrics.follower.applied_sequence.raise(8);
    metrics.storage.record(StorageOperation::Put, StorageOutcome::Exists, Duration::from_millis(20));
    metrics.storage.bytes_written.add(100);

    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.journal.entries_appended, 7);
    assert_eq!(snapshot.journal.sync_seconds.count, 1);
    assert_eq!(snapshot.follower.applied_sequence, 9);
    assert_eq!(snapshot.storage.requests(StorageOperation::Put, StorageOutcome::Exists), 1);
    assert_eq!(snapshot.storage.requests(StorageOperation::Get, StorageOutcome::Exists), 0);

    let text = snapshot.to_prometheus();
    for line in [
        "graphstream_journal_appended_entries_total 7",
        "graphstream_journal_poisoned 1",
        "graphstream_journal_written_sequence 18446744073709551615",
        "graphstream_journal_sync_seconds_sum 0.003",
        "graphstream_journal_sync_seconds_bucket{le=\"0.0025\"} 0",
        "graphstream_journal_sync_seconds_bucket{le=\"0.005\"} 1",
        "graphstream_journal_sync_seconds_bucket{le=\"+Inf\"} 1",
        "graphstream_follower_lag_seconds 1.5",
        "graphstream_storage_requests_total{operation=\"put\",outcome=\"exists\"} 1",
        "graphstream_storage_request_seconds_count{operation=\"put\"} 1",
        "graphstream_storage_written_bytes_total 100",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nnot in\n{text}");
    }
}

#[test]
fn concurrent_updates_are_all_counted() {
    let metrics = GraphstreamMetrics::shared();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for count in 0..1000 {
                    metrics.journal.entries_appended.inc();
                    metrics.journal.group_entries.observe(count);
                }
            });
        }
    });
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.journal.entries_appended, 4000);
    assert_eq!(snapshot.journal.group_entries.count, 4000);
    assert_eq!(snapshot.journal.group_entries.sum, 4.0 * 499_500.0);
}

#[test]
fn several_databases_are_told_apart_by_a_label_and_the_process_has_none() {
    let (process, people, places) =
        (GraphstreamMetrics::default(), GraphstreamMetrics::default(), GraphstreamMetrics::default());
    people.leader.segments_uploaded.add(3);
    people.leader.upload_seconds.observe(Duration::from_millis(3));
    places.leader.segments_uploaded.add(4);
    process.storage.record(StorageOperation::Put, StorageOutcome::Ok, Duration::from_millis(3));
    let databases = vec![("people".to_owned(), people.snapshot()), ("places".to_owned(), places.snapshot())];
    let text = process.snapshot().to_prometheus_by_database(&[Role::Leader], databases.clone());
    for line in [
        "graphstream_leader_uploaded_segments_total{database=\"people\"} 3",
        "graphstream_leader_uploaded_segments_total{database=\"places\"} 4",
        "graphstream_leader_upload_seconds_count{database=\"people\"} 1",
        "graphstream_leader_upload_seconds_bucket{le=\"0.005\",database=\"people\"} 1",
        "graphstream_journal_appended_entries_total 0",
        "graphstream_storage_requests_total{operation=\"put\",outcome=\"ok\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nnot in\n{text}");
    }
    // Each metric is described once all the same.
    let help = |text: &str| text.lines().filter(|line| line.starts_with("# HELP")).count();
    assert_eq!(help(&text), GraphstreamMetrics::descriptions().len());
    let text = process.snapshot().to_prometheus_by_database(&[Role::Storage], databases);
    let line = "graphstream_storage_requests_total{database=\"places\",operation=\"put\",outcome=\"ok\"} 0";
    assert!(text.lines().any(|found| found == line), "{line}\nnot in\n{text}");
}
