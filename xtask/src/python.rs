//! The Python environment of the end-to-end tests: a real LadybugDB follows a journal through a small Python program, and moto is an
//! S3 server that nobody here has written.
//!
//! The environment lies below the target directory and is made once; it is made again when the requirements change. Where there is
//! no Python, or the package can't be installed, the tests that need it are skipped, and that is said loudly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{root, run, target_dir};

/// What the environment must contain, below the workspace's root: LadybugDB and moto.
const REQUIREMENTS: [&str; 2] =
    ["crates/graphstream/examples/requirements.txt", "crates/graphstream-testkit/requirements.txt"];

/// The variable that tells the tests where Python is.
pub(crate) const VARIABLE: &str = "GRAPHSTREAM_TEST_PYTHON";

/// A Python with the requirements, or the reason why there is none.
pub(crate) enum Python {
    Ready(PathBuf),
    Missing(String),
}

impl Python {
    /// The notice that the tests are skipped.
    pub(crate) fn notice(reason: &str) -> String {
        format!(
            "SKIPPED: the end-to-end tests with a real LadybugDB, and those of S3 with moto.\n\
             They need python3 with the packages of {}.\n\
             Reason: {reason}\n\
             To run them: install python3 with venv and pip, or set {VARIABLE} to such a Python.",
            REQUIREMENTS.join(" and ")
        )
    }
}

/// Finds or makes the environment.
pub(crate) fn prepare() -> Result<Python> {
    if let Some(python) = std::env::var_os(VARIABLE) {
        return Ok(Python::Ready(PathBuf::from(python)));
    }
    let root = root()?;
    let requirements = REQUIREMENTS.map(|file| root.join(file));
    let environment = target_dir()?.join("test-python");
    match make(&environment, &requirements) {
        Ok(python) => Ok(Python::Ready(python)),
        // Not an error: the other tests are worth running. The notice is not to be overlooked.
        Err(error) => Ok(Python::Missing(format!("{error:#}"))),
    }
}

fn make(environment: &Path, requirements: &[PathBuf]) -> Result<PathBuf> {
    let wanted = requirements
        .iter()
        .map(|file| fs::read_to_string(file).with_context(|| format!("reading {}", file.display())))
        .collect::<Result<String>>()?;
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last, so that an environment that was interrupted is made again.
    let stamp = environment.join("requirements.installed");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("making a virtual environment")?;
    let flags = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    let mut pip = Command::new(&python);
    pip.args(flags);
    for file in requirements {
        pip.arg("--requirement").arg(file);
    }
    run(&mut pip).context("installing the requirements")?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_once_and_again_when_the_requirements_change() {
        if !Command::new("python3").args(["-c", "import venv, ensurepip"]).status().is_ok_and(|s| s.success())
        {
            eprintln!("SKIPPED: no python3 with venv and pip");
            return;
        }
        let directory = std::env::temp_dir().join(format!("graphstream-xtask-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (environment, requirements) = (directory.join("environment"), directory.join("requirements.txt"));

        // Nothing to install, so no network is needed.
        fs::write(&requirements, "# nothing\n").unwrap();
        let requirements = [requirements];
        let python = make(&environment, &requirements).unwrap();
        assert!(Command::new(&python).args(["-c", "pass"]).status().unwrap().success());
        let stamp = environment.join("requirements.installed");
        let made = fs::metadata(&stamp).unwrap().modified().unwrap();
        make(&environment, &requirements).unwrap();
        assert_eq!(fs::metadata(&stamp).unwrap().modified().unwrap(), made, "not made again");

        // What can't be installed is an error, and leaves an environment that is not taken for a whole one.
        let missing = format!("{}\n", directory.join("no-such-package").display());
        fs::write(&requirements[0], &missing).unwrap();
        let error = make(&environment, &requirements).unwrap_err();
        assert!(format!("{error:#}").starts_with("installing the requirements"), "{error:#}");
        assert!(!stamp.exists());
        // Nor is a file that isn't there taken for an empty one.
        let error = make(&environment, &[directory.join("none.txt")]).unwrap_err();
        assert!(format!("{error:#}").starts_with("reading "), "{error:#}");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_notice_says_what_is_skipped_and_why() {
        let notice = Python::notice("no python3");
        assert!(notice.starts_with("SKIPPED"));
        for part in ["LadybugDB", "moto", "no python3", VARIABLE].iter().chain(&REQUIREMENTS) {
            assert!(notice.contains(part), "{notice}");
        }
        assert!(notice.lines().count() > 2);
    }
}
