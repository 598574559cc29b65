//! What the crate registry shows and ships of each crate that may be published: its texts, its licences, and
//! nothing that it could not build. And what no file of the repository says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The workspace's packages, as cargo reads their manifests.
#[track_caller]
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// `publish` is null where nothing was said, and an empty list where it is `false`.
fn may_be_published(package: &Value) -> bool {
    package["publish"].is_null()
}

fn published() -> Vec<Value> {
    let published: Vec<_> = packages().into_iter().filter(may_be_published).collect();
    assert!(published.len() >= 5, "the core, its adapters, the simulation and the program");
    published
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn folder(package: &Value) -> PathBuf {
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

#[test]
fn each_says_what_it_is() {
    for package in published() {
        let name = name(&package);
        assert!(package["description"].as_str().is_some_and(|text| text.len() > 20), "{name}: description");
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{name}: license");
        // What the crate registry takes.
        for (list, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[list].as_array().unwrap().len();
            assert!((1..=most).contains(&count), "{name}: {count} {list}");
        }
        for field in ["repository", "homepage"] {
            assert!(
                package[field].as_str().is_some_and(|url| url.starts_with("https://")),
                "{name}: {field}"
            );
        }
        let readme = package["readme"].as_str().unwrap_or_else(|| panic!("{name}: a README.md"));
        let text = fs::read_to_string(folder(&package).join(readme)).unwrap();
        assert!(text.starts_with("# ") && text.contains("MIT or Apache-2.0"), "{name}: its README.md");
        // In the crate registry they would lead nowhere.
        assert!(!text.contains("](../") && !text.contains("](docs"), "{name}: links out of the package");
    }
}

/// In its README or on its front page: in a table of features, or in a sentence.
#[test]
fn each_says_what_its_features_bring() {
    let mut read = 0;
    for package in published() {
        let (name, folder) = (name(&package), folder(&package));
        let [readme, front] = ["README.md", "src/lib.rs"].map(|file| fs::read_to_string(folder.join(file)));
        let front: String =
            front.unwrap_or_default().lines().filter(|line| line.starts_with("//!")).collect();
        let text = readme.unwrap() + &front;
        let features = package["features"].as_object().unwrap();
        for feature in features.keys().filter(|feature| *feature != "default") {
            assert!(text.contains(&format!("`{feature}`")), "{name}: what does {feature} bring?");
            read += 1;
        }
        // Where there are some, the documentation that is published has all of them, and says beside each
        // item which one it needs.
        let is_library = package["targets"][0]["kind"][0] == "lib";
        if is_library {
            assert_eq!(
                package["metadata"]["docs"]["rs"]["all-features"], true,
                "{name}: published documentation"
            );
        }
        if is_library && !features.is_empty() {
            let source = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
            assert!(source.contains("#![cfg_attr(docsrs, feature(doc_cfg))]"), "{name}: doc_cfg");
        }
    }
    assert!(read > 20, "only {read} features");
}

/// The oldest compiler stands in the manifest, in the README, and in the script that builds with it.
#[test]
fn each_is_built_with_the_oldest_compiler_that_it_promises() {
    let script = fs::read_to_string(root().join("tools/msrv.sh")).unwrap();
    for package in published() {
        let (name, version) = (name(&package), package["rust_version"].as_str().unwrap());
        let readme = fs::read_to_string(folder(&package).join("README.md")).unwrap();
        assert!(readme.contains(&format!("Rust {version} or newer")), "{name}: its README.md");
        let is_built = |line: &str| {
            line.starts_with(&format!("oldest {version} ")) && line.split(' ').any(|word| word == name)
        };
        assert!(script.lines().any(is_built), "{name}: tools/msrv.sh does not build it with Rust {version}");
    }
}

#[test]
fn each_carries_the_licences() {
    for package in published() {
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let wanted = fs::read_to_string(root().join(file)).unwrap();
            let carried = fs::read_to_string(folder(&package).join(file));
            assert!(carried.is_ok_and(|text| text == wanted), "{}: ln -s ../{file}", name(&package));
        }
    }
}

/// cargo leaves out a development dependency without a version, and refuses any other.
#[test]
fn none_needs_a_crate_that_is_not_published() {
    let packages = packages();
    let private: Vec<_> = packages.iter().filter(|package| !may_be_published(package)).map(name).collect();
    for package in packages.iter().filter(|package| may_be_published(package)) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let (needed, required) = (dependency["name"].as_str().unwrap(), dependency["req"].as_str());
            let by_path = required == Some("*") && !dependency["path"].is_null();
            let for_tests = dependency["kind"] == "dev";
            assert!(!by_path || for_tests, "{} needs {needed} without a version", name(package));
            assert!(!private.contains(&needed) || (by_path && for_tests), "{} needs {needed}", name(package));
        }
    }
}

/// smoltcp's build fails where two crates ask for two numbers of one kind: which numbers there are is left to
/// the program. One with other numbers than those of the programs here is built.
#[test]
fn a_program_chooses_the_numbers_of_smoltcp() {
    for package in published() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let features = dependency["features"].as_array().unwrap();
            let numbers: Vec<_> =
                features.iter().filter(|feature| feature.as_str().unwrap().contains("-count-")).collect();
            // What a crate tests itself with is its own.
            assert!(numbers.is_empty() || dependency["kind"] == "dev", "{}: {numbers:?}", name(&package));
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("other-numbers");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "#![no_std]\npub use connie_smoltcp::{Dns, Stack};\n").unwrap();
    let path = root().canonicalize().unwrap().join("connie-smoltcp");
    let manifest = format!(
        "[package]\nname = \"other-numbers\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         connie-smoltcp = {{ path = {path:?} }}\n\
         smoltcp = {{ version = \"0.14\", default-features = false, features = [\"iface-max-addr-count-8\", \"dns-max-server-count-2\"] }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(["check", "--quiet", "--offline"]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A build takes what it needs from wherever cargo and pip are told: a text that names one place is wrong on
/// the next machine. A manifest has to spell one host, in the key of a table that says how documentation is
/// built.
#[test]
fn no_text_names_the_host_of_a_registry() {
    // In parts, so that this file does not name them either.
    let hosts = [
        ["crates", ".io"],
        ["py", "pi"],
        ["python", "hosted"],
        ["docs", ".rs"],
        ["npm", "js"],
        ["ruby", "gems"],
        ["rs", "proxy"],
    ]
    .map(|parts| parts.concat());
    let key = format!("[package.metadata.{}]", hosts[3]);
    let mut read = 0;
    let mut named = Vec::new();
    for path in texts(&root()) {
        // What is no text, such as a fuzzer's input, names nobody.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        read += 1;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| *line != key) {
            let small = line.to_ascii_lowercase();
            // A file's name may end like a host: what stands before the host is no part of a word.
            let is_named = |host: &String| {
                let mut places = small.match_indices(host.as_str());
                places.any(|(at, _)| !small[..at].ends_with(|one: char| one.is_alphanumeric() || one == '_'))
            };
            if hosts.iter().any(is_named) {
                named.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(read > 300, "only {read} files were read");
    assert!(named.is_empty(), "say \"the crate registry\", or what it is for:\n{}", named.join("\n"));
}

/// The files below `folder`, without what is built, what git keeps, and the lists of locked versions, which
/// cargo writes.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if ["target", ".git", "Cargo.lock", "artifacts", "mutants.out"].iter().any(|skipped| name == *skipped)
        {
            continue;
        }
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(texts(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}
