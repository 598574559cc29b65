//! What a module uses and defines, read from its items.

use syn::visit::{self, Visit};
use syn::{Attribute, Item, Macro, Path, UseTree};

/// A path that stands in the code.
pub struct Used {
    pub path: Vec<String>,
    pub line: usize,
}

/// One name that a `use` brings.
pub struct Leaf {
    pub path: Vec<String>,
    /// The name it has here; none for `*`.
    pub name: Option<String>,
}

/// All paths in `items`: those of `use` lines, and those with more than one segment elsewhere. A single
/// segment is a name that a `use` line has brought, or one of the module's own.
pub fn paths(items: &[Item]) -> Vec<Used> {
    let mut reader = Reader { found: Vec::new() };
    for item in items {
        reader.visit_item(item);
    }
    reader.found
}

struct Reader {
    found: Vec<Used>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.use_token.span.start().line;
        // A re-export hands a name on; whoever uses that has the arrow.
        if matches!(item.vis, syn::Visibility::Inherited) {
            self.found.extend(leaves(&item.tree).into_iter().map(|leaf| Used { path: leaf.path, line }));
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.segments.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.found.push(Used { path: segments, line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, _: &'ast Macro) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// The names that a tree of a `use` line brings, each with its whole path.
pub fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    gather(tree, &mut Vec::new(), &mut found);
    found
}

fn gather(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            gather(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push(Leaf { path: before.clone(), name: before.last().cloned() });
        }
        UseTree::Name(name) => found.push(leaf(before, &name.ident.to_string(), &name.ident.to_string())),
        UseTree::Rename(rename) if rename.ident == "self" => {
            found.push(Leaf { path: before.clone(), name: Some(rename.rename.to_string()) });
        }
        UseTree::Rename(rename) => {
            found.push(leaf(before, &rename.ident.to_string(), &rename.rename.to_string()));
        }
        UseTree::Glob(_) => found.push(Leaf { path: before.clone(), name: None }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| gather(tree, before, found)),
    }
}

fn leaf(before: &[String], last: &str, name: &str) -> Leaf {
    let path = before.iter().cloned().chain([last.to_string()]).collect();
    Leaf { path, name: Some(name.to_string()) }
}

/// The name that an item defines in its module.
pub fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => return item.ident.as_ref().map(ToString::to_string),
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// The attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
