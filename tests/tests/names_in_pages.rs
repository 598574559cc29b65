//! What the pages name exists: a proof about code that was renamed proves nothing, nor does a test that is
//! gone, and a new name that does not exist is no help.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The page without its blocks of code, and those blocks.
fn prose_and_blocks(page: &str) -> (String, String) {
    let (mut prose, mut blocks) = (String::new(), String::new());
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 0 { &mut prose } else { &mut blocks }.push_str(part);
    }
    (prose, blocks)
}

/// What stands in code font.
fn code_spans(prose: &str) -> Vec<&str> {
    prose.split('`').skip(1).step_by(2).collect()
}

/// Whether `span` is the name of something in Rust. A single letter is a quantity of the proof.
fn is_name(span: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    span.len() > 1 && span.trim_end_matches("()").split("::").all(is_word)
}

/// All Rust files at `path`, itself or below, with their text.
fn sources(path: &Path, found: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(fs::read_to_string(path).unwrap());
    }
}

/// Whether `word` stands in `text` with nothing of a name around it.
fn has_word(text: &str, word: &str) -> bool {
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_a_name) && !text[at + word.len()..].starts_with(part_of_a_name)
    })
}

/// Whether `source` declares `name`: a function, a type, a constant, or a variant in a line of its own.
fn declares(source: &str, name: &str) -> bool {
    let declared = ["fn", "struct", "enum", "trait", "type", "const", "mod"]
        .iter()
        .any(|kind| has_word(source, &format!("{kind} {name}")));
    let is_variant = |line: &str| {
        line.trim_start()
            .strip_prefix(name)
            .is_some_and(|rest| rest == "," || rest == " {" || rest.starts_with('('))
    };
    declared || (name.starts_with(char::is_uppercase) && source.lines().any(is_variant))
}

/// The blocks of `source` that implement something for `owner`. Each ends with a brace at the start of a
/// line.
fn implementations<'a>(source: &'a str, owner: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("\nimpl") {
        let block = source[at..].split("\n}").next().unwrap_or_default();
        let head = block.split(" {").next().unwrap_or_default();
        if has_word(head, owner) {
            found.push(block);
        }
    }
    found
}

/// Whether `name`, with or without the type it belongs to, is declared in `files`.
fn is_declared(files: &[String], name: &str) -> bool {
    match name.rsplit_once("::") {
        None => files.iter().any(|source| declares(source, name)),
        Some((owner, member)) => {
            let owner = owner.rsplit("::").next().unwrap_or(owner);
            let mut blocks = files.iter().flat_map(|source| implementations(source, owner));
            blocks.any(|block| has_word(block, &format!("fn {member}")))
        }
    }
}

/// The page says: "All names are in `connie-core/src/race`, but for the driver's."
#[test]
fn every_function_and_type_that_the_proof_names_is_in_the_race() {
    let page = page("docs/never-stuck.md");
    let (prose, _) = prose_and_blocks(&page);
    let (mut race, mut driver) = (Vec::new(), Vec::new());
    sources(&root().join("connie-core/src/race"), &mut race);
    sources(&root().join("connie-core/src/driver.rs"), &mut driver);
    let names: Vec<_> = code_spans(&prose).into_iter().filter(|span| is_name(span)).collect();
    assert!(names.len() >= 12, "the page names more than {names:?}");
    for name in names {
        let name = name.trim_end_matches("()");
        let of_driver = ["RaceDriver", "Driver"].iter().any(|owner| name.starts_with(owner));
        let files = if of_driver { &driver } else { &race };
        assert!(
            is_declared(files, name),
            "docs/never-stuck.md names `{name}`, which connie-core does not have"
        );
    }
}

#[test]
fn every_folder_and_crate_that_the_proof_names_is_there() {
    let page = page("docs/never-stuck.md");
    let (prose, _) = prose_and_blocks(&page);
    let is_path = |span: &&str| span.starts_with("connie-") && !span.contains(' ');
    let paths: Vec<_> = code_spans(&prose).into_iter().filter(is_path).collect();
    assert!(!paths.is_empty());
    for path in paths {
        assert!(root().join(path).exists(), "docs/never-stuck.md names `{path}`, which is not there");
    }
}

/// The word after `option` in a command.
fn after<'a>(command: &'a str, option: &str) -> Option<&'a str> {
    let mut words = command.split_whitespace().skip_while(|word| *word != option);
    words.nth(1)
}

/// Whether cargo finds the `kind` (`bin` or `test`) called `name` in `package`, by its files' usual places.
fn is_target(package: &str, kind: &str, name: &str) -> bool {
    let folder = match package {
        "connie-footprint" => root().join("benches/footprint"),
        "connie-tests" => root().join("tests"),
        "connie-examples" => root().join("examples"),
        "connie-fuzz-targets" => root().join("fuzz/targets"),
        "connie-tools" => root().join("tools"),
        other => root().join(other),
    };
    let place = folder.join(if kind == "bin" { "src/bin" } else { "tests" });
    [format!("{name}.rs"), format!("{name}/main.rs")].iter().any(|file| place.join(file).is_file())
}

/// The programs and tests in the commands of the pages that say how connie is checked.
#[test]
fn every_test_and_program_in_the_commands_is_there() {
    for (name, least) in
        [("docs/never-stuck.md", 4), ("docs/checks.md", 5), ("docs/history.md", 1), ("docs/trust.md", 1)]
    {
        let page = page(name);
        let (prose, blocks) = prose_and_blocks(&page);
        let commands = code_spans(&prose).into_iter().chain(blocks.lines());
        let mut seen = 0;
        for command in commands.filter(|command| command.contains("cargo ")) {
            let Some(package) = after(command, "-p") else { continue };
            for kind in ["bin", "test"] {
                let Some(target) = after(command, &format!("--{kind}")) else { continue };
                seen += 1;
                assert!(is_target(package, kind, target), "{name}: there is no {kind} for `{command}`");
            }
        }
        assert!(seen >= least, "{name} has {seen} commands that name a test or a program");
    }
}

/// The rows of a page's tables, without their heads.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| clause |"))
}

/// The tests that a row names: a file, and each name that follows it in code font.
fn tests_of(row: &str) -> Vec<(&str, &str)> {
    let (mut tests, mut file) = (Vec::new(), None);
    for span in code_spans(row) {
        if span.ends_with(".rs") {
            file = Some(span);
        } else if let Some(file) = file {
            tests.push((file, span));
        }
    }
    tests
}

#[test]
fn every_test_that_stands_beside_a_clause_is_there() {
    let page = page("docs/history.md");
    let (met, not_met) = page.split_once("\n## Not met").expect("two parts");
    let without: Vec<_> = rows(met).filter(|row| tests_of(row).is_empty()).collect();
    assert!(without.is_empty(), "docs/history.md has clauses without a test: {without:#?}");
    let all: Vec<_> = rows(met).chain(rows(not_met)).flat_map(tests_of).collect();
    assert!(all.len() >= 40, "docs/history.md names {} tests", all.len());
    for (file, name) in all {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(has_word(&text, &format!("fn {name}")), "docs/history.md: {file} has no test `{name}`");
    }
}

/// The parts of docs/trust.md whose tables name a test in each row: where a part begins and ends, and how
/// many rows it has at least.
const TRUSTED: [(&str, &str, usize); 2] = [
    ("\n## What is promised", "\n### What is not promised", 25),
    ("\n## Faults that were found", "\n## Beside others", 15),
];

#[test]
fn every_promise_and_every_fault_has_a_test_that_is_there() {
    let page = page("docs/trust.md");
    for (start, end, least) in TRUSTED {
        let part = page.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect("the part").0;
        let heads = ["| promise |", "| mended |"];
        let rows: Vec<_> = rows(part).filter(|row| !heads.iter().any(|head| row.starts_with(head))).collect();
        assert!(rows.len() >= least, "docs/trust.md has {} rows after{start}", rows.len());
        for row in rows {
            let tests = tests_of(row);
            assert!(!tests.is_empty(), "docs/trust.md names no test beside {row}");
            for (file, name) in tests {
                let text =
                    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
                assert!(has_word(&text, &format!("fn {name}")), "docs/trust.md: {file} has no test `{name}`");
            }
        }
    }
}

/// Every page of the repository, but those about earlier states of it: mutants and names of the past.
fn pages(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && !matches!(name, "target" | "node_modules" | "venv") {
            pages(&path, found);
        } else if name.ends_with(".md") && !matches!(name, "checks.md" | "names.md" | "CHANGELOG.md") {
            found.push(path);
        }
    }
}

/// All Rust files below `path`.
fn rust_files(path: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path.to_str().unwrap_or_default().replace('\\', "/"));
        }
    }
}

#[test]
fn every_rust_file_that_a_page_names_is_there() {
    let (mut all, mut found) = (Vec::new(), Vec::new());
    pages(&root(), &mut all);
    rust_files(&root(), &mut found);
    let (mut seen, mut missing) = (0, Vec::new());
    for path in all {
        let page = fs::read_to_string(&path).unwrap();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-' | '.');
        // Neither a pattern such as `race_*.rs` nor a placeholder such as `race_NAME.rs`, nor the site of documentation,
        // nor a file of a library that is not ours, which begins with its name.
        let is_file = |word: &&str| {
            word.ends_with(".rs")
                && word.len() > 3
                && !word.contains(char::is_uppercase)
                && !word.contains(&format!("{}.rs", "docs"))
                && !["smoltcp/", "embedded-tls/"].iter().any(|library| word.starts_with(library))
        };
        for file in page.split(|c| !is_part(c)).filter(is_file) {
            let tail = format!("/{}", file.trim_start_matches("../").trim_start_matches('/'));
            seen += 1;
            if !found.iter().any(|path| path.ends_with(&tail)) {
                missing.push(format!("{}: {file}", path.display()));
            }
        }
    }
    assert!(seen >= 200, "the pages name {seen} files");
    assert!(missing.is_empty(), "pages name files that are not there: {missing:#?}");
}

/// The new names of the public tables of docs/names.md, each with the crate of its table.
fn new_names(page: &str) -> Vec<(&str, &str)> {
    let public = page.split("\n## Private names").next().unwrap_or_default();
    let (mut names, mut place) = (Vec::new(), "");
    for line in public.lines() {
        if let Some(head) = line.strip_prefix("### ") {
            place = head;
        } else if line.starts_with("| `") {
            let new = line.split(" | ").nth(1).and_then(|cell| cell.split('`').nth(1));
            names.push((place, new.unwrap_or_else(|| panic!("docs/names.md: no new name in {line:?}"))));
        }
    }
    names
}

/// Whether the code of `place` has `new`: a path of Rust, of which the last name is declared in the crate and
/// its owner too where that is a type; or, of the program, an option or a field of JSON.
fn is_new_name(place: &str, files: &[String], new: &str) -> bool {
    if place == "The program connie" {
        let has = |word: &str| {
            let name = word.trim_start_matches('-').replace('-', "_");
            files.iter().any(|file| has_word(file, &name))
        };
        return new.split_whitespace().all(has);
    }
    // Without arguments. A setter stands for all of them.
    let path = new.split(['(', ' ']).next().unwrap_or_default();
    let mut names: Vec<_> = path.split("::").collect();
    let last = names.pop().unwrap_or_default();
    let is_there = |name: &str| {
        // Or a crate that is passed on, or a constant of the C header.
        let passed_on =
            [format!("pub use {name};"), format!("pub use {name}::{{self,"), format!("  {name} = ")];
        is_declared(files, name)
            || files.iter().any(|file| passed_on.iter().any(|text| file.contains(text.as_str())))
    };
    let owners = names.into_iter().filter(|owner| owner.starts_with(char::is_uppercase));
    is_there(last) && owners.into_iter().all(is_there)
}

#[test]
fn every_new_name_of_a_public_table_is_declared_in_its_crate() {
    let page = page("docs/names.md");
    let names = new_names(&page);
    assert!(names.len() >= 120, "docs/names.md has {} public names", names.len());
    let (mut place, mut files) = ("", Vec::new());
    let mut missing = Vec::new();
    for (crate_of, new) in names {
        if crate_of != place {
            place = crate_of;
            let folder = if place == "The program connie" { "connie-cli" } else { place };
            files.clear();
            sources(&root().join(folder).join("src"), &mut files);
            let header = root().join(folder).join("include/connie.h");
            files.extend(fs::read_to_string(header));
            assert!(!files.is_empty(), "docs/names.md has a table for {place}, which is not there");
        }
        if !is_new_name(place, &files, new) {
            missing.push(format!("{place}: {new}"));
        }
    }
    assert!(missing.is_empty(), "docs/names.md has new names that do not exist: {missing:#?}");
}

#[test]
fn a_new_name_is_the_second_of_its_row_in_a_public_table() {
    let page = "## Public names\n\n### a\n\n| old | new |\n|---|---|\n| `B` | `c::D` |\n| `--e` | `--f`; or e |\n\
                \n## Private names\n\n### a\n\n| `G` | `H` |\n";
    assert_eq!(new_names(page), [("a", "c::D"), ("a", "--f")]);
    let files = ["pub struct D;\n\nimpl D {\n    pub fn go(&self) {}\n}\npub use other;\n".to_owned()];
    for new in ["D", "c::D", "D::go", "D::go(x, &D::new())", "c::other"] {
        assert!(is_new_name("a", &files, new), "{new}");
    }
    assert!(is_new_name("The program connie", &files, "go --other"));
    assert!(!is_new_name("The program connie", &files, "go --another"));
    for new in ["E", "E::go", "D::gone", "another"] {
        assert!(!is_new_name("a", &files, new), "{new}");
    }
}

#[test]
fn a_row_names_a_file_and_then_its_tests() {
    let row = "| `A::b` is met | `a/b.rs` `one` `two`; `c.rs` `three` |";
    assert_eq!(tests_of(row), [("a/b.rs", "one"), ("a/b.rs", "two"), ("c.rs", "three")]);
    assert!(tests_of("| `Config::staggered()` | |").is_empty());
}

#[test]
fn a_name_is_found_by_its_whole_word_in_its_own_type() {
    let source = "struct A;\n\nimpl A {\n    fn next_one(&self) {}\n}\n\n\
                  impl Iterator for B {\n    fn next(&mut self) {}\n}\n";
    let files = [source.to_owned()];
    assert!(
        is_declared(&files, "next") && is_declared(&files, "B::next") && is_declared(&files, "A::next_one")
    );
    assert!(
        !is_declared(&files, "A::next") && !is_declared(&files, "next_on") && !is_declared(&files, "C::next")
    );
    assert!(is_name("next_one") && is_name("A::next()") && !is_name("k") && !is_name("n − k"));
    let variants = ["enum E {\n    One,\n    Two {\n        x: u8,\n    },\n    Three(u8),\n}\n".to_owned()];
    assert!(["One", "Two", "Three"].iter().all(|name| is_declared(&variants, name)));
    assert!(!is_declared(&variants, "Four"));
}
