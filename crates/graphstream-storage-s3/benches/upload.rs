//! `cargo bench -p graphstream-storage-s3 --bench upload [-- --turns N] [--parallel N]`: what the backend and the default decorators cost, and
//! what an open backend costs that has nothing to do.
//!
//! 256 objects of 4 MiB are created in an S3 server in a process of its own, in turns: through the backend, and by a bare loop over the
//! SDK. A ratio is of one turn's rates.
#![allow(clippy::print_stdout, reason = "a program that prints what it has measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use graphstream_storage::{GetOptions, GraphstreamMetrics, Key, PutMode, StackConfig, StorageBackend};
use graphstream_storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
use graphstream_testkit::s3::{
    ACCESS_KEY_ID, BUCKET, Conduct, REGION, S3Process, SECRET_ACCESS_KEY, serve_if_asked,
};

const OBJECTS: usize = 256;
const BYTES: usize = 4 << 20;
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    if serve_if_asked()? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: usize| -> Result<usize> {
        match arguments.iter().position(|argument| argument == name) {
            None => Ok(default),
            Some(at) => Ok(arguments.get(at + 1).context("a number is missing")?.parse()?),
        }
    };
    let (turns, parallel) = (number("--turns", 5)?, number("--parallel", 8)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(turns, parallel))
}

async fn measure(turns: usize, parallel: usize) -> Result<()> {
    let server = S3Process::start("", Conduct::Honest)?;
    let config = S3Config::new(BUCKET)
        .with_endpoint(server.endpoint())
        .with_region(REGION)
        .with_path_style(true)
        .with_credentials(Credentials::Static(StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY)));
    let backend = StackConfig::default().wrap(S3Backend::open(config).await?, &GraphstreamMetrics::shared());
    let bare = bare(server.endpoint());
    let body = body();

    println!("{OBJECTS} x {} MiB, {parallel} at a time, {turns} turns", BYTES >> 20);
    // What is first pays for connections and for the server's memory.
    upload(parallel, |at| put(&backend, "warm", at, &body)).await?;
    empty(&backend, "warm").await?;
    let mut ratios = Vec::new();
    for turn in 0..turns {
        let (ours, theirs) = (format!("backend-{turn}"), format!("bare-{turn}"));
        let (mut backend_rate, mut bare_rate) = (0.0, 0.0);
        // Who is first alternates too.
        for ours_now in [turn % 2 == 0, turn % 2 == 1] {
            if ours_now {
                backend_rate = upload(parallel, |at| put(&backend, &ours, at, &body)).await?;
                empty(&backend, &ours).await?;
            } else {
                bare_rate = upload(parallel, |at| put_bare(&bare, &theirs, at, &body)).await?;
                empty(&backend, &theirs).await?;
            }
        }
        let ratio = backend_rate / bare_rate;
        println!(
            "turn {turn}: backend {backend_rate:.0} MiB/s, bare SDK {bare_rate:.0} MiB/s, ratio {ratio:.3}"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios.first().context("no turn")?, ratios.last().context("no turn")?);
    let median = ratios.get(ratios.len() / 2).context("no turn")?;
    println!("ratio: median {median:.3} ({least:.3} to {most:.3})");

    // Open, with connections that were used a moment ago.
    let before = cpu()?;
    tokio::time::sleep(IDLE).await;
    let spent = cpu()?.saturating_sub(before);
    println!("idle for {IDLE:?}: {:.3} ms of processor time", spent.as_secs_f64() * 1e3);
    match backend.get(&Key::new("none")?, GetOptions::default()).await {
        Err(error) if error.class() == graphstream_storage::ErrorClass::NotFound => Ok(()),
        other => bail!("it was not open any more: {other:?}"),
    }
}

/// The SDK as it comes, over plain HTTP.
fn bare(endpoint: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(SdkCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "bench"))
        .region(Region::from_static(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

async fn put(backend: &Arc<dyn StorageBackend>, prefix: &str, at: usize, body: &Bytes) -> Result<()> {
    let key = Key::new(format!("{prefix}/{at:04}"))?;
    backend.put(&key, body.clone().into(), PutMode::Create).await?;
    Ok(())
}

async fn put_bare(client: &Client, prefix: &str, at: usize, body: &Bytes) -> Result<()> {
    let request = client.put_object().bucket(BUCKET).key(format!("{prefix}/{at:04}")).if_none_match("*");
    request.body(ByteStream::from(body.clone())).send().await?;
    Ok(())
}

/// MiB per second.
async fn upload<F: Future<Output = Result<()>>>(parallel: usize, put: impl Fn(usize) -> F) -> Result<f64> {
    let start = Instant::now();
    stream::iter(0..OBJECTS).map(put).buffer_unordered(parallel).try_collect::<()>().await?;
    let mebibytes = (OBJECTS * BYTES) as f64 / f64::from(1 << 20);
    Ok(mebibytes / start.elapsed().as_secs_f64())
}

async fn empty(backend: &Arc<dyn StorageBackend>, prefix: &str) -> Result<()> {
    let keys = (0..OBJECTS).map(|at| Key::new(format!("{prefix}/{at:04}"))).collect::<Result<Vec<_>, _>>()?;
    for (_, outcome) in backend.delete_many(&keys).await? {
        outcome?;
    }
    Ok(())
}

/// Bytes that look random and are the same in every run.
fn body() -> Bytes {
    let mut state = 1u64;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 24) as u8
    });
    words.take(BYTES).collect()
}

/// The processor time of all threads of this process so far, by the scheduler's own clock.
fn cpu() -> Result<Duration> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}
