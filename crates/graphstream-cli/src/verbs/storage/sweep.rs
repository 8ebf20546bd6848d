//! `graphstream storage sweep`: uploads in parts that a process which died has left in S3.

use std::time::Duration;

use crate::failure::Failure;
use crate::store::{self, StoreUrl};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream storage sweep 's3://bucket/prefix?region=eu-central-1'                    what there is
  graphstream storage sweep 's3://bucket/prefix?region=eu-central-1' --confirm          abort it

A process that dies while it sends a large object in parts leaves them in the bucket: they cost storage, and no listing of objects shows
them. Looks below the URL's prefix only, and at uploads of every program that writes there. Needs the rights s3:ListBucketMultipartUploads
and s3:AbortMultipartUpload. Other stores than S3 have no such uploads.")]
pub(super) struct Sweep {
    /// The object store
    #[arg(value_name = "URL", value_parser = store::parse_url)]
    url: StoreUrl,
    /// Only uploads that were begun longer ago: one that is still being sent fails when it is aborted
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::times::parse_duration)]
    older_than: Duration,
    /// Abort them
    #[arg(long)]
    confirm: bool,
    /// A line of JSON for each upload, and one for all
    #[arg(long)]
    pub(super) json: bool,
}

#[cfg(not(feature = "s3"))]
pub(super) fn run(_: &Sweep) -> Result<(), Failure> {
    Err(Failure::new(
        crate::failure::Kind::Usage,
        "this build has no s3: stores, and others need no sweeping",
    ))
}

#[cfg(feature = "s3")]
pub(super) fn run(sweep: &Sweep) -> Result<(), Failure> {
    s3::run(sweep)
}

#[cfg(feature = "s3")]
mod s3 {
    use std::time::Duration;

    use graphstream::storage_s3::{S3Backend, S3Config, UnfinishedUpload};
    use serde::Serialize;

    use super::Sweep;
    use crate::failure::{Failure, Kind, warn};
    use crate::out::Out;
    use crate::store;
    use crate::terminal::counted;
    use crate::times;

    /// A store that says nothing for so long is not waited for.
    const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

    #[derive(Serialize)]
    struct Row<'a> {
        key: &'a str,
        begun_ms: i64,
        aborted: bool,
    }

    #[derive(Serialize)]
    struct Last {
        summary: Summary,
    }

    #[derive(Serialize)]
    struct Summary {
        store: String,
        uploads: u64,
        aborted: u64,
    }

    pub(super) fn run(sweep: &Sweep) -> Result<(), Failure> {
        let url = &sweep.url;
        if url.scheme() != "s3" {
            let told = format!("{url} has no uploads in parts");
            return Err(Failure::new(Kind::Usage, told).hint("an s3:// URL; other stores need no sweeping"));
        }
        let (config, prefix) = S3Config::from_url(url)?;
        let prefix = prefix.map_or_else(String::new, |prefix| prefix.as_prefix());
        store::runtime()?.block_on(async {
            let opened = S3Backend::open(config).await;
            let backend =
                opened.map_err(|error| Failure::of(Kind::Store, &error).hint_or(error.hint(), None))?;
            let mut out = Out::new();
            let mut summary = Summary { store: url.to_string(), uploads: 0, aborted: 0 };
            let mut from = None;
            loop {
                let page = answered(backend.unfinished_uploads(&prefix, sweep.older_than, from)).await?;
                for upload in &page.uploads {
                    if sweep.confirm {
                        answered(backend.abort_upload(upload)).await?;
                        summary.aborted += 1;
                    }
                    summary.uploads += 1;
                    print(&mut out, sweep, upload)?;
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            last(&mut out, sweep, summary)
        })
    }

    async fn answered<T>(call: impl Future<Output = graphstream::storage::Result<T>>) -> Result<T, Failure> {
        match tokio::time::timeout(ANSWER_TIME_MAX, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                Err(Failure::new(Kind::Store, format!("the store did not answer within {ANSWER_TIME_MAX:?}")))
            }
        }
    }

    fn print(out: &mut Out, sweep: &Sweep, upload: &UnfinishedUpload) -> Result<(), Failure> {
        let UnfinishedUpload { key, begun_ms, .. } = upload;
        if sweep.json {
            return out.json(&Row { key, begun_ms: *begun_ms, aborted: sweep.confirm });
        }
        // A key is another program's text.
        out.line(format_args!("{}  {}", times::rfc3339(*begun_ms), key.escape_debug()))
    }

    fn last(out: &mut Out, sweep: &Sweep, summary: Summary) -> Result<(), Failure> {
        let (uploads, confirmed) = (summary.uploads, sweep.confirm);
        if sweep.json {
            out.json(&Last { summary })?;
        } else {
            let found = counted(uploads, "unfinished upload", "unfinished uploads");
            let done = if confirmed { "aborted" } else { "found" };
            out.line(format_args!("{found} {done} in {}", sweep.url))?;
        }
        out.flush()?;
        if !confirmed && uploads > 0 {
            warn("nothing was aborted: --confirm does it");
        }
        Ok(())
    }
}
