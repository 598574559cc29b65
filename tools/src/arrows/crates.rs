//! The crates of the workspace, and the picture of what uses what.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its root files: the library's, else those of its programs.
    pub roots: Vec<PathBuf>,
    /// The packages of the workspace that it is built on, sorted; those of its tests are left out.
    pub uses: Vec<String>,
    /// Whether it may be published.
    pub is_published: bool,
}

/// The packages of the workspace in `root`, by name.
///
/// # Errors
///
/// That cargo does not run, or what it said.
pub fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
    let output = cargo.output().map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let empty = Vec::new();
    let all = metadata["packages"].as_array().unwrap_or(&empty);
    let names: Vec<&str> = all.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut packages: Vec<Package> = all.iter().map(|package| read(package, &names)).collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

fn read(package: &serde_json::Value, names: &[&str]) -> Package {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let is = |target: &serde_json::Value, kinds: &[&str]| {
        list(&target["kind"]).iter().any(|kind| kinds.iter().any(|wanted| kind == wanted))
    };
    let targets = list(&package["targets"]);
    let libraries = ["lib", "rlib", "cdylib", "staticlib"];
    let roots = targets.iter().filter(|target| is(target, &libraries) || is(target, &["bin"]));
    let mut uses: Vec<String> = list(&package["dependencies"])
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| text(&dependency["name"]))
        .filter(|name| names.contains(&name.as_str()))
        .collect();
    uses.sort();
    uses.dedup();
    Package {
        name: text(&package["name"]),
        // `null` where nothing is said; a list of registries, empty for none.
        is_published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        roots: roots.map(|target| PathBuf::from(text(&target["src_path"]))).collect(),
        uses,
    }
}

/// The picture of the arrows: the packages in layers, and what each is built on. A package is built only on
/// such as stand above it. Those that are published come first.
///
/// # Errors
///
/// That packages are built on each other in a circle.
pub fn picture(packages: &[Package]) -> Result<String, String> {
    let graph = packages.iter().map(|package| (package.name.clone(), package.uses.clone())).collect();
    let order: Vec<String> = layers(graph)?.into_iter().flatten().collect();
    let widest = order.iter().map(String::len).max().unwrap_or(0);
    let mut parts = [String::new(), String::new()];
    for package in order.iter().filter_map(|name| packages.iter().find(|package| package.name == *name)) {
        let Package { name, uses, is_published, .. } = package;
        let part = &mut parts[usize::from(!is_published)];
        let _ = match uses.is_empty() {
            true => writeln!(part, "{name}"),
            false => writeln!(part, "{name:widest$} ──▶ {}", uses.join(", ")),
        };
    }
    let [published, own] = parts;
    Ok(format!("{published}\nnot published:\n{own}"))
}

/// In layers: each name uses only names of layers before its own.
fn layers(mut open: Vec<(String, Vec<String>)>) -> Result<Vec<Vec<String>>, String> {
    let mut layers = Vec::new();
    while !open.is_empty() {
        let names: Vec<String> = open.iter().map(|(name, _)| name.clone()).collect();
        let (now, later): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|(name, uses)| !uses.iter().any(|used| used != name && names.contains(used)));
        if now.is_empty() {
            return Err(format!("a circle among {}", names.join(", ")));
        }
        layers.push(now.into_iter().map(|(name, _)| name).collect());
        open = later;
    }
    Ok(layers)
}
