//! What opens the database that `--target` names when it stands somewhere else: for snapshots and restores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::replay::{ExecOptions, ExecTarget};
use graphstream::replication::{Engine, JsonlEngine, OpenedBy};

use crate::failure::{Failure, Kind};
use crate::verbs::follow::Target;

/// The variable that tells the child of an exec target where its database is.
pub(crate) const PATH_VARIABLE: &str = "GRAPHSTREAM_TARGET_PATH";

/// What tells where an exec target's database is, and what it is called.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExecArgs {
    /// Where the database of an exec target is: a file (with PATH.wal) or a directory. The command finds it in $GRAPHSTREAM_TARGET_PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// What kind of database that is: only the same kind is restored from a snapshot
    #[arg(long, value_name = "NAME", default_value = "exec")]
    pub(crate) engine: String,
}

/// Where a database is, and what opens it.
pub(crate) type Placed = (PathBuf, Arc<dyn Engine>);

/// The database of a target: where it is, and what opens it. `None` for a target that is no file: standard output, or a command
/// without --path.
pub(crate) fn of(target: &Target, exec: &ExecArgs) -> Result<Option<Placed>, Failure> {
    if exec.path.is_some() && !matches!(target, Target::Exec(_)) {
        return Err(Failure::new(Kind::Usage, "--path is for exec targets: the others name their path")
            .hint("--target exec:COMMAND --path PATH, or --target without --path"));
    }
    Ok(match target {
        Target::Stdout => None,
        Target::Jsonl(path) => Some((path.clone(), Arc::new(JsonlEngine))),
        #[cfg(feature = "grafeo")]
        Target::Grafeo(path) => {
            use graphstream::target_grafeo::{GRAFEO_VERSION, GrafeoTarget};

            let open = |path: &Path| Ok(Box::new(GrafeoTarget::open(path)?) as Box<_>);
            Some((path.clone(), Arc::new(OpenedBy::new("grafeo", GRAFEO_VERSION, open))))
        }
        #[cfg(not(feature = "grafeo"))]
        Target::Grafeo(_) => return Err(Failure::new(Kind::Usage, "this build has no grafeo targets")),
        Target::Exec(command) => exec.path.as_ref().map(|path| {
            let command = command.clone();
            let open = move |path: &Path| {
                let told = format!("{PATH_VARIABLE}={}; export {PATH_VARIABLE}; {command}", quoted(path));
                Ok(Box::new(ExecTarget::spawn(told, ExecOptions::default())?) as Box<_>)
            };
            let engine: Arc<dyn Engine> = Arc::new(OpenedBy::new(exec.engine.clone(), "", open));
            (path.clone(), engine)
        }),
    })
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k01_a_path_stays_one_word_of_the_shell() {
        assert_eq!(quoted(Path::new("/a b/$x'; rm")), "'/a b/$x'\\''; rm'");
    }
}
