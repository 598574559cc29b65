//! The modules of a crate: where each stands, and what its names mean.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemMod, Meta};

use super::uses;

/// A crate that was read.
pub struct Crate {
    /// The directory of the crate's root file.
    pub base: PathBuf,
    pub files: Vec<File>,
    /// One for each module and file: a module with one file for each system stands here more than once.
    pub modules: Vec<Module>,
}

/// A source file, and the module whose file it is.
pub struct File {
    pub path: PathBuf,
    pub module: Vec<String>,
}

pub struct Module {
    /// From the crate's root, which is the empty path.
    pub path: Vec<String>,
    /// An index into the crate's files.
    pub file: usize,
    /// Its items, without those only for tests and without its submodules.
    pub items: Vec<Item>,
    /// A name may mean a module and a function at once.
    names: HashMap<String, Vec<Binding>>,
    /// What it imports by `*`.
    globs: Vec<Vec<String>>,
}

/// What a name means in a module.
enum Binding {
    Defined,
    Imported(Vec<String>),
}

/// The names on the way from a name to what it means, each with its module. One that comes up again is a
/// circle of re-exports.
type Way<'w> = &'w mut Vec<(Vec<String>, String)>;

/// Reads the crate whose root file is `root`.
pub fn read(root: &Path) -> Result<Crate, String> {
    let base = root.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut krate = Crate { base: base.clone(), files: Vec::new(), modules: Vec::new() };
    krate.read_file(root, &base, Vec::new())?;
    Ok(krate)
}

impl Crate {
    /// Reads `path`, the file of `module`, whose submodules' files stand in `below`.
    fn read_file(&mut self, path: &Path, below: &Path, module: Vec<String>) -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let syntax = syn::parse_file(&text)
            .map_err(|error| format!("{}:{}: {error}", path.display(), error.span().start().line))?;
        self.files.push(File { path: path.to_path_buf(), module: module.clone() });
        self.read_module(self.files.len() - 1, below, module, syntax.items)
    }

    fn read_module(
        &mut self,
        file: usize,
        below: &Path,
        path: Vec<String>,
        items: Vec<Item>,
    ) -> Result<(), String> {
        let mut module = Module { path, file, items: Vec::new(), names: HashMap::new(), globs: Vec::new() };
        for item in items {
            match item {
                item if is_for_tests(uses::attributes(&item)) => {}
                Item::Mod(submodule) => self.read_submodule(file, below, &module.path, submodule)?,
                item => module.take(item),
            }
        }
        self.modules.push(module);
        Ok(())
    }

    fn read_submodule(
        &mut self,
        file: usize,
        below: &Path,
        parent: &[String],
        item: ItemMod,
    ) -> Result<(), String> {
        let name = item.ident.to_string();
        let path = joined(parent, &name);
        if let Some((_, items)) = item.content {
            return self.read_module(file, &below.join(&name), path, items);
        }
        let (plain, directory) = (below.join(format!("{name}.rs")), below.join(&name));
        let nested = directory.join("mod.rs");
        if plain.exists() {
            self.read_file(&plain, &directory, path.clone())?;
        } else if nested.exists() {
            self.read_file(&nested, &directory, path.clone())?;
        }
        // `#[path]`, and `#[cfg_attr(.., path)]`, are relative to the directory of the file that has them.
        let here = self.files[file].path.parent().map(Path::to_path_buf).unwrap_or_default();
        for other in other_paths(&item.attrs) {
            self.read_file(&here.join(other), &directory, path.clone())?;
        }
        Ok(())
    }

    /// The file that defines what `path` names in the module `from`; none where that is not of this crate, or
    /// a module.
    pub fn defining_file(&self, from: &[String], path: &[String]) -> Option<usize> {
        self.follow(from, path, &mut Vec::new())
    }

    fn follow(&self, from: &[String], path: &[String], way: Way<'_>) -> Option<usize> {
        let mut at = from.to_vec();
        for (index, segment) in path.iter().enumerate() {
            match segment.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()?),
                name if self.is_module(&joined(&at, name)) => {
                    // A function may have a module's name; what a path ends in is no module here.
                    let is_last = index + 1 == path.len();
                    match is_last.then(|| self.name_in(&at, name, &[], way)).flatten() {
                        Some(file) => return Some(file),
                        None => at.push(name.to_string()),
                    }
                }
                name => return self.name_in(&at, name, &path[index + 1..], way),
            }
        }
        None
    }

    /// Where `name` of the module `at` is defined. Where it is an import of a module, the `rest` of the path
    /// goes on in that.
    fn name_in(&self, at: &[String], name: &str, rest: &[String], way: Way<'_>) -> Option<usize> {
        let here = (at.to_vec(), name.to_string());
        if way.contains(&here) {
            return None;
        }
        way.push(here);
        let found = self.meanings(at, name, rest, way);
        way.pop();
        found
    }

    fn meanings(&self, at: &[String], name: &str, rest: &[String], way: Way<'_>) -> Option<usize> {
        let modules = || self.modules.iter().filter(|module| module.path == at);
        for module in modules() {
            for binding in module.names.get(name).into_iter().flatten() {
                let found = match binding {
                    Binding::Defined => Some(module.file),
                    // `pub use rustls;`: another crate by its own name, which leads to itself here.
                    Binding::Imported(path) if path.iter().eq([name]) => None,
                    Binding::Imported(path) => {
                        let whole: Vec<String> = path.iter().chain(rest).cloned().collect();
                        // A variant or an associated item is where its type is.
                        self.follow(at, &whole, way).or_else(|| self.follow(at, path, way))
                    }
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        let globs = modules().flat_map(|module| &module.globs);
        globs.map(|glob| joined(glob, name)).find_map(|path| self.follow(at, &path, way))
    }

    fn is_module(&self, path: &[String]) -> bool {
        self.modules.iter().any(|module| module.path == path)
    }

    /// Whether one file's module is the other's parent.
    pub fn are_parent_and_child(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.files[one].module, &self.files[other].module);
        let is_parent = |parent: &[String], child: &[String]| {
            child.len() == parent.len() + 1 && child.starts_with(parent)
        };
        one == other || is_parent(one, other) || is_parent(other, one)
    }
}

impl Module {
    /// Takes an item in: the names that it makes, and the item itself.
    fn take(&mut self, item: Item) {
        if let Item::Use(item) = &item {
            for used in uses::leaves(&item.tree) {
                match used.name {
                    Some(name) => self.names.entry(name).or_default().push(Binding::Imported(used.path)),
                    None => self.globs.push(used.path),
                }
            }
        }
        if let Some(name) = uses::defined_name(&item) {
            self.names.entry(name).or_default().push(Binding::Defined);
        }
        self.items.push(item);
    }
}

fn joined(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_string()]).collect()
}

/// Whether an item is compiled only for tests.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            let words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
            !condition.contains("not(test)")
                && words.into_iter().any(|word| word == "test" || word == "doctest")
        }
        _ => false,
    })
}

/// The files that `path` attributes name, under any condition.
fn other_paths(attributes: &[Attribute]) -> Vec<String> {
    let mut paths = Vec::new();
    for attribute in attributes {
        let words = match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => {
                let value = &pair.value;
                if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = value {
                    paths.push(text.value());
                }
                continue;
            }
            Meta::List(list) if list.path.is_ident("cfg_attr") => list.tokens.to_string(),
            _ => continue,
        };
        if let Some((_, path)) = words.rsplit_once("path = \"") {
            paths.extend(path.split('"').next().map(str::to_string));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::super::arrows;

    /// The files that `lib.rs` uses, of a crate of these files.
    fn used(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let base = std::env::temp_dir().join(format!("connie-arrows-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        for (file, text) in files {
            std::fs::write(base.join(file), text).unwrap();
        }
        let found = arrows(&base.join("lib.rs"));
        std::fs::remove_dir_all(&base).unwrap();
        found.unwrap()["lib.rs"].keys().cloned().collect()
    }

    #[test]
    fn a_function_may_have_the_name_of_its_module() {
        let lib = "mod race; mod tokio; use race::{self, race}; fn f() { race(); race::other(); }";
        let race = "pub use crate::tokio::other; pub fn race() {}";
        let files = [("lib.rs", lib), ("race.rs", race), ("tokio.rs", "pub fn other() {}")];
        assert_eq!(used("function", &files), ["race.rs", "tokio.rs"]);
    }

    #[test]
    fn a_circle_of_imports_ends() {
        let lib = "mod one; mod two; use one::{self, name}; use two::name as other;";
        let one = "pub use crate::two::{self, name};";
        let two = "pub use crate::one::{self, name};";
        assert!(used("circle", &[("lib.rs", lib), ("one.rs", one), ("two.rs", two)]).is_empty());
    }
}
