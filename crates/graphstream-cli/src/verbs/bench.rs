//! `bench`.

use crate::failure::Failure;

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(_args: &Args, _quiet: bool) -> Result<(), Failure> {
    Ok(())
}
