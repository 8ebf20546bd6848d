//! Open files: each database holds `SHIP` for as long as it is shipped, which is one. Why it does not let go while nothing
//! happens: docs/decisions/0023.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Kind};

/// For everything but the databases' locks: uploads, connections, pages, the runtime.
const OTHERS: u64 = 512;

/// Sees to it that so many databases can be shipped. The limit that a shell or systemd begins with is often 1,024.
pub(super) fn allow(databases: usize) -> Result<(), Failure> {
    let needed = OTHERS.saturating_add(databases as u64);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let refused = |allowed: u64| {
        let message =
            format!("{databases} databases take {needed} open files, and this process may have {allowed}");
        Failure::new(Kind::Usage, message).hint("ulimit -n, or LimitNOFILE of the systemd unit")
    };
    if let Some(maximum) = maximum.filter(|maximum| *maximum < needed) {
        return Err(refused(maximum));
    }
    let raised = Rlimit { current: Some(needed), maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| refused(current.unwrap_or(0)).because(&error))
}
