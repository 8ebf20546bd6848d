//! `graphstream storage`: what an object store really does, and what uploads have left in it.

mod sweep;

use graphstream::storage::check::{Capability, Finding, Report, Verdict, check};
use graphstream::storage::{TimeoutBackend, TimeoutConfig};
use serde::Serialize;

use crate::failure::{Failure, Kind, warn};
use crate::out::Out;
use crate::store::{self, StoreUrl};
use crate::terminal::{Palette, counted};

/// What to do with a store.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Find out what a store really does, conditional writes under races included
    Check(Check),
    /// Find uploads in parts that nobody finishes, and abort them (S3)
    Sweep(sweep::Sweep),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream storage check file:///srv/store
  graphstream storage check 's3://bucket/prefix?region=eu-central-1'
  graphstream storage check file:///srv/store --json | jq .can_lead

Puts, reads, lists and deletes small objects below a new prefix of its own, graphstream-check-..., and lets 16 writers race on 8 keys:
some 3,000 requests. Exits with 0 if a leader finds all that it needs, with 4 otherwise. Verdicts:
  works           as it should be
  unsupported     refused, and said so
  ignored         the condition is not looked at: a second writer replaces what the first one wrote
  races           checked first and written later: of several writers at once more than one is told that it won
  stores_refused  refused, and stored nevertheless
  wrong           other bytes, keys or order than there should be
  denied, fails   not with these credentials; not at all")]
struct Check {
    /// The object store
    #[arg(value_name = "URL", value_parser = store::parse_url)]
    url: StoreUrl,
    /// The report as one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            Verb::Check(check) => check.json,
            Verb::Sweep(sweep) => sweep.json,
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    store: String,
    /// Below which the objects of the check were.
    prefix: &'a str,
    can_lead: bool,
    /// Objects that may be left there.
    left: usize,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    capability: &'static str,
    verdict: &'static str,
    needed_to_lead: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Check(args) => run_check(args),
        Verb::Sweep(args) => sweep::run(args),
    }
}

fn run_check(Check { url, json }: &Check) -> Result<(), Failure> {
    let report = store::runtime()?.block_on(async {
        // No decorator that asks again: it would hide what the store says.
        let backend = TimeoutBackend::new(store::open_bare(url).await?, TimeoutConfig::default());
        check(&backend).await.map_err(Failure::from)
    })?;
    let mut out = Out::new();
    if *json {
        out.json(&told(url, &report))?;
    } else {
        print(&mut out, url, &report)?;
    }
    out.flush()?;
    if report.left > 0 {
        let left = counted(report.left as u64, "object", "objects");
        warn(format_args!("{left} below {}/ could not be deleted", report.prefix));
    }
    verdict(&report)
}

fn told<'a>(url: &StoreUrl, report: &'a Report) -> Told<'a> {
    let row = |finding: &'a Finding| Row {
        capability: finding.capability.as_str(),
        verdict: finding.verdict.as_str(),
        needed_to_lead: finding.capability.is_needed_to_lead(),
        detail: finding.detail.as_deref(),
    };
    Told {
        store: url.to_string(),
        prefix: report.prefix.as_str(),
        can_lead: report.lacking().next().is_none(),
        left: report.left,
        findings: report.findings.iter().map(row).collect(),
    }
}

fn print(out: &mut Out, url: &StoreUrl, report: &Report) -> Result<(), Failure> {
    let palette = Palette::stdout();
    out.line(palette.head(format_args!("store {url}")))?;
    for finding in &report.findings {
        let word = format!("{:<14}", finding.verdict.as_str());
        let word = match (finding.verdict, finding.capability.is_needed_to_lead()) {
            (Verdict::Works, _) => palette.good(word),
            (_, true) => palette.error(word),
            (_, false) => palette.warning(word),
        };
        let detail = finding.detail.as_deref().unwrap_or_default();
        let line = format!("  {:<19}{word}  {detail}", finding.capability.as_str());
        out.line(line.trim_end())?;
    }
    if report.lacking().next().is_none() {
        out.line(palette.good("a leader finds here all that it needs"))?;
    }
    Ok(())
}

/// The end: what a leader would miss, and what it would do then.
fn verdict(report: &Report) -> Result<(), Failure> {
    let lacking: Vec<&Finding> = report.lacking().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> =
        lacking.iter().map(|finding| format!("{} {}", finding.capability, finding.verdict)).collect();
    let failure = Failure::new(
        Kind::Store,
        format!("this store does not do what a leader needs: {}", missing.join(", ")),
    );
    let conditions =
        lacking.iter().all(|finding| matches!(finding.capability, Capability::Create | Capability::Match));
    Err(failure.hint(match conditions {
        true => "another store: where conditions are not kept, a second leader or a late request costs stored entries",
        false => "check the URL and the permissions of its credentials, or take another store",
    }))
}
