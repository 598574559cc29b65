//! Which file of a crate uses which, read from its `use` lines and paths. Re-exports are followed: an arrow
//! points to the file that defines a name, not to one that passes it on.
//!
//! Code under `#[cfg(test)]` does not count, and neither does what stands inside a macro's braces.

mod circles;
mod crates;
mod modules;
mod page;
mod uses;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use circles::circles;
pub use crates::{Package, packages, picture};
pub use page::updated;

/// The arrows of one crate: from a file to each file that it uses, with the first line that does so and the
/// name it uses there.
///
/// Files are named by their path under the crate's `src`.
pub type Arrows = BTreeMap<String, BTreeMap<String, Use>>;

/// Where an arrow was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The line, from 1.
    pub line: usize,
    /// The name that is used.
    pub name: String,
    /// Whether one of the two files is the other's parent (`race/mod.rs` and `race/gate.rs`).
    pub kin: bool,
}

/// The arrows of the crate whose root is `root`, such as `connie-core/src/lib.rs`.
///
/// # Errors
///
/// A file that is missing or does not parse, in one line.
pub fn arrows(root: &Path) -> Result<Arrows, String> {
    let krate = modules::read(root)?;
    let mut arrows = Arrows::new();
    for module in &krate.modules {
        let from = &krate.files[module.file];
        arrows.entry(name(&krate.base, &from.path)).or_default();
        for used in uses::paths(&module.items) {
            let Some(target) = krate.defining_file(&module.path, &used.path) else { continue };
            if target == module.file {
                continue;
            }
            let to = name(&krate.base, &krate.files[target].path);
            let seen = Use {
                line: used.line,
                name: used.path.last().cloned().unwrap_or_default(),
                kin: krate.are_parent_and_child(module.file, target),
            };
            arrows.entry(name(&krate.base, &from.path)).or_default().entry(to).or_insert(seen);
        }
    }
    Ok(arrows)
}

fn name(base: &Path, file: &Path) -> String {
    let relative: PathBuf = file.strip_prefix(base).unwrap_or(file).to_path_buf();
    relative.to_string_lossy().replace('\\', "/")
}
