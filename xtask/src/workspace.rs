//! What cargo knows about the workspace.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::run::{cargo, output};

/// A package of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// The features it declares, without `default`.
    pub(crate) features: BTreeSet<String>,
    /// Whether `default` enables any.
    pub(crate) has_default: bool,
}

/// A dependency on another package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    /// Of the library or binary, or of its build script.
    NormalOrBuild,
    /// Of its tests, examples and benches.
    Dev,
}

/// The workspace's packages.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps", "--all-features"])?)?;
    parse(&serde_json::from_str(&text).context("reading the output of cargo metadata")?)
}

fn parse(metadata: &Value) -> Result<Vec<Package>> {
    let list = |value: &Value, key: &str| -> Result<Vec<Value>> {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .with_context(|| format!("cargo metadata without {key}"))
    };
    let text = |value: &Value, key: &str| -> Result<String> {
        let text = value.get(key).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("cargo metadata without {key}"))
    };
    let packages = list(metadata, "packages")?;
    let names = packages.iter().map(|package| text(package, "name")).collect::<Result<BTreeSet<_>>>()?;
    packages
        .iter()
        .map(|package| {
            let mut dependencies = Vec::new();
            for dependency in list(package, "dependencies")? {
                let name = text(&dependency, "name")?;
                if names.contains(&name) {
                    let dev = dependency.get("kind").and_then(Value::as_str) == Some("dev");
                    let kind = if dev { DependencyKind::Dev } else { DependencyKind::NormalOrBuild };
                    dependencies.push(Dependency { name, kind });
                }
            }
            let features = package.get("features").and_then(Value::as_object).cloned().unwrap_or_default();
            let default = features.get("default").and_then(Value::as_array);
            let has_default = default.is_some_and(|default| !default.is_empty());
            let features =
                features.into_iter().map(|(name, _)| name).filter(|name| name != "default").collect();
            Ok(Package { name: text(package, "name")?, dependencies, features, has_default })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_that_matter_are_read() {
        let metadata = serde_json::json!({"packages": [
            {
                "name": "a",
                "dependencies": [
                    {"name": "b", "kind": null}, {"name": "b", "kind": "dev"}, {"name": "b", "kind": "build"},
                    {"name": "serde", "kind": null},
                ],
                "features": {"default": ["json"], "json": []},
            },
            {"name": "b", "dependencies": [], "features": {}},
        ]});
        let packages = parse(&metadata).unwrap();
        let kinds: Vec<_> = packages[0].dependencies.iter().map(|dependency| dependency.kind).collect();
        assert_eq!(
            kinds,
            [DependencyKind::NormalOrBuild, DependencyKind::Dev, DependencyKind::NormalOrBuild]
        );
        assert!(packages[0].dependencies.iter().all(|dependency| dependency.name == "b"));
        assert_eq!(packages[0].features, BTreeSet::from(["json".to_owned()]));
        assert!(packages[0].has_default && !packages[1].has_default);
        assert!(parse(&serde_json::json!({})).is_err());
    }
}
