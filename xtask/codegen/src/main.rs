//! Generates the Rust messages of `proto/` into `crates/graphstream-proto/src/generated`.
//!
//! The generated code is checked in, so that nobody who builds graphstream needs a protobuf compiler. With `--check`
//! nothing is written: the program fails when what is checked in is not what would be generated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

/// The schemas, and the file each package's messages go to.
const SCHEMAS: [(&str, &str, &str); 2] = [
    ("graphstream/v1/journal.proto", "graphstream.v1", "v1.rs"),
    ("graphd/graphd.proto", "graphd", "graphd.rs"),
];

/// Where the schemas are, below the workspace's root.
const SOURCE: &str = "proto";

/// Where the messages go, below the workspace's root.
const OUTPUT: &str = "crates/graphstream-proto/src/generated";

fn main() -> Result<ExitCode> {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        other => bail!("unknown arguments {other:?}: usage is `cargo xtask codegen [--check]`"),
    };
    let root = workspace_root()?;
    let wanted = generate(&root.join(SOURCE))?;
    let directory = root.join(OUTPUT);
    if check { compare(&directory, &wanted) } else { write(&directory, &wanted) }
}

/// The workspace's root, two directories above this package.
fn workspace_root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).map(Path::to_path_buf).context("this package lies in xtask/codegen")
}

/// The generated files by name.
fn generate(source: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for (schema, package, file) in SCHEMAS {
        let descriptors = protox::compile([schema], [source])
            .map_err(|error| anyhow::anyhow!("compiling {schema}: {error:?}"))?;
        let modules = descriptors
            .file
            .into_iter()
            .map(|descriptor| (prost_build::Module::from_protobuf_package_name(package), descriptor))
            .collect();
        let mut config = prost_build::Config::new();
        let generated =
            config.generate(modules).with_context(|| format!("generating the messages of {schema}"))?;
        let mut text = format!(
            "// Generated from proto/{schema} by `cargo xtask codegen`. Do not edit: change the schema and run it again.\n\n"
        );
        for code in generated.into_values() {
            text.push_str(&code);
        }
        files.insert(file.to_owned(), text);
    }
    Ok(files)
}

fn write(directory: &Path, wanted: &BTreeMap<String, String>) -> Result<ExitCode> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    for (name, text) in wanted {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("wrote {OUTPUT}/{name}");
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(directory: &Path, wanted: &BTreeMap<String, String>) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (name, text) in wanted {
        let path = directory.join(name);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if &found != text {
            let line = found.lines().zip(text.lines()).position(|(a, b)| a != b);
            let line = line.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
            eprintln!(
                "{OUTPUT}/{name}: not what proto/ generates, first in line {line}: run `cargo xtask codegen`"
            );
            code = ExitCode::FAILURE;
        }
    }
    for entry in std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !wanted.contains_key(&name) {
            eprintln!("{OUTPUT}/{name}: no schema in proto/ generates this file: remove it");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
