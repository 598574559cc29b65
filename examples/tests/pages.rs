//! Each block of code in the pages for firmware, and for those who come from another client, is of a file
//! that is built or run, and each command is one that some test runs: with the same features, counts and
//! targets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 4] =
    ["docs/async.md", "docs/tls-on-firmware.md", "docs/your-board.md", "examples/README.md"];

/// [`PAGES`], and those below docs/from.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    files(&root().join("docs/from"), ".md", &mut found);
    let name = |path: &PathBuf| format!("docs/from/{}", path.file_name().expect("a name").to_string_lossy());
    assert!(found.len() >= 4, "{found:?}");
    PAGES.map(str::to_owned).into_iter().chain(found.iter().map(name)).collect()
}

/// Which tests run a program, as `tests/all_tests.txt` names them; or what builds it, where it needs a board.
const RUN_BY: &[(&str, &str, &str)] = &[
    ("connie-examples", "connect", "connie-examples tests/run.rs connect"),
    ("connie-examples", "fetch", "connie-examples tests/run.rs fetch"),
    ("connie-examples", "own_loop", "connie-examples tests/run.rs own_loop"),
    ("connie-examples", "event_loop", "connie-examples tests/run.rs event_loop"),
    ("connie-examples", "foreign_stack", "connie-examples tests/run.rs foreign_stack"),
    ("connie-examples", "crawl", "connie-examples tests/run.rs crawl"),
    ("connie-examples", "observe", "connie-examples tests/run.rs observe"),
    ("connie-examples", "reqwless", "connie-examples tests/run.rs reqwless"),
    ("connie-examples", "smoltcp_wire", "connie-examples tests/run.rs smoltcp_wire"),
    (
        "connie-examples",
        "smoltcp_tap",
        "connie-examples tests/smoltcp_tap.rs a_page_comes_from_the_address_that_answers",
    ),
    ("connie-example-clients", "https", "connie-example-clients tests/run.rs https"),
    ("connie-example-clients", "ureq", "connie-example-clients tests/run.rs ureq"),
    ("connie-example-clients", "hyper", "connie-example-clients tests/run.rs hyper_with_tls"),
    ("connie-example-clients", "hyper_https", "connie-example-clients tests/run.rs hyper_https"),
    ("connie-example-clients", "hyper_ordered", "connie-example-clients tests/run.rs hyper_ordered"),
    ("connie-example-clients", "reqwest", "connie-example-clients tests/run.rs reqwest"),
    (
        "connie-example-clients",
        "postgres",
        "connie-example-clients tests/postgres.rs the_replica_that_answers_is_asked",
    ),
    (
        "connie-c",
        "",
        "connie-c tests/c_api/main.rs c::the_example_fetches_a_page_though_the_first_address_is_dead",
    ),
    (
        "connie-firmware-qemu",
        "race",
        "connie-tests tests/firmware.rs network_sh_brings_all_that_the_firmware_needs",
    ),
    (
        "connie-firmware-qemu",
        "single",
        "connie-tests tests/firmware.rs without_the_race_the_first_address_decides",
    ),
    (
        "connie-firmware-qemu",
        "first",
        "connie-tests tests/firmware.rs without_connie_the_first_address_decides",
    ),
    (
        "connie-firmware-embassy",
        "embassy",
        "connie-tests tests/firmware_embassy.rs more_dead_addresses_than_sockets",
    ),
    // Built by tools/checks.txt.
    ("connie-firmware-stm32", "nucleo", ""),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of a page that are of one of these kinds.
fn blocks<'a>(page: &'a str, kinds: &[&str]) -> Vec<&'a str> {
    let inner = page.split("```").skip(1).step_by(2);
    inner
        .filter_map(|block| block.split_once('\n'))
        .filter(|(kind, _)| kinds.contains(kind))
        .map(|(_, code)| code)
        .collect()
}

/// All files below `path` with this end, but for what cargo has built.
fn files(path: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            files(&path, end, found);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
}

fn sources(end: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root().join("examples"), end, &mut found);
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a text");
            (path, text)
        })
        .collect()
}

/// Asserts that each paragraph of code of this `kind` is in a file whose name ends with `end`, whatever its
/// indent: what is between paragraphs may be left out. Returns how many there are.
#[track_caller]
fn paragraphs_are_of_programs(kind: &str, end: &str) -> usize {
    let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let sources: Vec<String> = sources(end).iter().map(|(_, text)| trimmed(text)).collect();
    let mut seen = 0;
    for name in pages() {
        let page = read(&name);
        for paragraph in blocks(&page, &[kind]).iter().flat_map(|block| block.trim_end().split("\n\n")) {
            seen += 1;
            let is_built = sources.iter().any(|source| source.contains(&trimmed(paragraph)));
            assert!(is_built, "{name}: this is in no program:\n{paragraph}");
        }
    }
    seen
}

#[test]
fn every_line_of_rust_is_of_a_program_that_is_built() {
    let seen = paragraphs_are_of_programs("rust", ".rs");
    assert!(seen >= 15, "{seen} paragraphs");
}

#[test]
fn every_line_of_python_is_of_a_program_that_is_run() {
    let seen = paragraphs_are_of_programs("python", ".py");
    assert!(seen >= 6, "{seen} paragraphs");
}

#[test]
fn every_line_of_c_is_of_a_program_that_is_run() {
    let seen = paragraphs_are_of_programs("c", ".c");
    assert!(seen >= 3, "{seen} paragraphs");
}

/// Whether the test that a command runs exists: `cargo test ... --test FILE NAME`.
fn is_there(command: &str, all_tests: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (file, test) = (after(&words, "--test").expect("a file"), words.last().expect("a test"));
    match after(&words, "--manifest-path") {
        Some(manifest) => {
            let tests = format!("{}/tests/{file}.rs", manifest.trim_end_matches("/Cargo.toml"));
            read(&tests).contains(&format!("fn {test}()"))
        }
        None => {
            let package = after(&words, "-p").expect("a package");
            all_tests.lines().any(|line| line == format!("{package} tests/{file}.rs {test}"))
        }
    }
}

/// By a command of cargo's in its text; or by the script that tries the wheel, which has the name of each
/// Python program that the page links to.
#[test]
fn each_page_for_those_who_come_from_elsewhere_names_the_test_of_its_programs() {
    let (all_tests, wheel) = (read("tests/all_tests.txt"), read("packaging/try_wheel.sh"));
    for name in pages().iter().filter(|name| name.starts_with("docs/from/") && !name.ends_with("README.md")) {
        let page = read(name);
        let commands = page.split('`').filter(|span| span.starts_with("cargo test ")).collect::<Vec<_>>();
        for command in &commands {
            assert!(is_there(command, &all_tests), "{name}: there is no such test: {command}");
        }
        let scripts = page.split("examples/python/from/").skip(1).filter_map(|rest| rest.split('_').next());
        let scripts = scripts.collect::<Vec<_>>();
        for script in &scripts {
            assert!(wheel.contains(&format!("(\"{script}")), "{name}: nothing runs {script}");
        }
        assert!(!commands.is_empty() || !scripts.is_empty(), "{name} names no test");
    }
}

/// A dependency as a manifest has it: its name, its version if it is not of this workspace, whether it has
/// its default features, and its features.
fn dependency(line: &str) -> Option<(String, Option<String>, bool, BTreeSet<String>)> {
    let line = line.split(" # ").next().unwrap_or(line).trim();
    let (name, rest) = line.split_once(" = ")?;
    if name.starts_with(['#', '[']) || !rest.starts_with(['{', '"']) {
        return None;
    }
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let version = match rest.strip_prefix('"') {
        Some(version) => Some(version.trim_end_matches('"').to_owned()),
        None => rest.split_once("version = ").and_then(|(_, rest)| quoted(rest)),
    };
    let list =
        rest.split_once("features = [").and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    let features = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    // The workspace takes none of its own members' and smoltcp's.
    let defaults = !rest.contains("default-features = false") && !rest.contains("workspace = true");
    Some((name.to_owned(), version.filter(|_| !name.starts_with("connie-")), defaults, features))
}

/// The counts that firmware must choose are features, too.
#[test]
fn every_dependency_is_as_a_program_that_is_built_has_it() {
    let workspace = read("Cargo.toml");
    let of_workspace = |name: &str| {
        let line = workspace.lines().find(|line| line.starts_with(&format!("{name} = ")));
        line.and_then(dependency).and_then(|it| it.1)
    };
    let mut built = Vec::new();
    for (_, text) in sources("Cargo.toml") {
        for line in text.lines() {
            let Some(mut it) = dependency(line) else { continue };
            if line.contains("workspace = true") {
                it.1 = of_workspace(&it.0);
            }
            built.push(it);
        }
    }
    let mut seen = 0;
    for name in pages() {
        for line in blocks(&read(&name), &["toml"]).iter().flat_map(|block| block.lines()) {
            let Some(mut shown) = dependency(line) else { continue };
            seen += 1;
            if shown.0.starts_with("connie-") {
                // A path or a git repository stands in the place of the workspace. A page of docs/from shows
                // one program of several in a package, which may need fewer features than all of them.
                let is_one_of_several = name.contains("from/");
                let has_it = |it: &&(String, Option<String>, bool, BTreeSet<String>)| {
                    it.0 == shown.0 && (shown.3 == it.3 || is_one_of_several && shown.3.is_subset(&it.3))
                };
                let found = built.iter().find(has_it).map(|it| (it.2, it.3.clone()));
                (shown.2, shown.3) = found.unwrap_or((shown.2, shown.3));
            }
            assert!(built.contains(&shown), "{name}: no program that is built has\n{line}\n{shown:?}");
        }
    }
    assert!(seen >= 3, "{seen} dependencies");
}

/// The commands of the pages: the lines of their blocks for a shell, and what stands in code font and begins
/// as one.
fn commands() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in pages() {
        let page = read(&name);
        let lines = blocks(&page, &["sh", "console"]).into_iter().flat_map(str::lines);
        let spans = page.lines().filter(|line| line.starts_with("| ")).flat_map(|line| {
            line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("cargo ")).collect::<Vec<_>>()
        });
        for line in lines.chain(spans) {
            let line = line.trim().trim_start_matches("$ ");
            if !line.is_empty() && !line.starts_with('#') {
                found.extend(line.split(" && ").map(|part| (name.clone(), part.to_owned())));
            }
        }
    }
    found
}

/// The word after `option`.
fn after<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1)).copied()
}

/// The manifest of a package of this workspace.
fn manifest(package: &str) -> String {
    let is_it = |text: &String| text.lines().any(|line| line == format!("name = \"{package}\""));
    let own = sources("Cargo.toml").into_iter().map(|(_, text)| text).find(is_it);
    own.unwrap_or_else(|| read(&format!("{package}/Cargo.toml")))
}

#[test]
fn every_command_is_run_by_a_test_with_features_and_targets_that_are_built() {
    let all_tests = read("tests/all_tests.txt");
    let (workspace, checks) = (read("Cargo.toml"), read("tools/checks.txt"));
    let (mut seen, mut folder) = (0, "");
    for (page, command) in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let Some(path) = command.strip_prefix("cd ") {
            folder = if path.ends_with("stm32") { "connie-firmware-stm32" } else { "connie-firmware-qemu" };
            assert!(root().join(path).is_dir(), "{page}: {command}");
        }
        for script in words.iter().filter(|word| word.ends_with(".sh")) {
            assert!(root().join("examples/firmware-qemu").join(script).is_file(), "{page}: {command}");
        }
        if let Some(target) = after(&words, "--target") {
            let is_built = checks.lines().any(|line| line.split_whitespace().any(|word| word == target));
            assert!(is_built, "{page}: nothing is built for {target}");
        }
        if let Some(profile) = after(&words, "--profile") {
            assert!(workspace.contains(&format!("[profile.{profile}]")), "{page}: there is no {profile}");
        }
        // What stands behind `--` is the program's.
        let own: Vec<&str> = words.iter().copied().take_while(|word| *word != "--").collect();
        let Some(verb) = own.iter().position(|word| *word == "cargo").and_then(|at| own.get(at + 1)) else {
            continue;
        };
        if !matches!(*verb, "run" | "build") {
            continue;
        }
        let package = after(&own, "-p").unwrap_or(folder);
        let manifest = manifest(package);
        for feature in after(&own, "--features").into_iter().flat_map(|list| list.split(',')) {
            let is_there = manifest.lines().any(|line| line.starts_with(&format!("{feature} = [")));
            assert!(is_there, "{page}: {package} has no feature {feature}");
        }
        let default = manifest.split_once("default-run = \"").and_then(|(_, rest)| rest.split('"').next());
        let only = manifest.rsplit_once("[[bin]]").and_then(|(_, rest)| rest.split("name = \"").nth(1));
        let program = after(&own, "--bin").or(default).or(only.and_then(|rest| rest.split('"').next()));
        let program = program.unwrap_or_default();
        let row = RUN_BY.iter().find(|row| (row.0, row.1) == (package, program));
        let (.., test) = row.unwrap_or_else(|| panic!("{page}: no test runs {package} {program}: {command}"));
        assert!(all_tests.contains(test), "there is no test `{test}`");
        seen += 1;
    }
    assert!(seen >= 25, "{seen} commands");
}
