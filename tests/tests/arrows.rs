//! No two files of a package use each other in a circle, and ARCHITECTURE.md shows which package is built on
//! which.
//!
//! `cargo run -p connie-tools --bin arrows` shows both.

use std::path::{Path, PathBuf};

use connie_tools::arrows::{arrows, circles, packages, picture, updated};

/// Circles that stay: the package, the files, and why. At most four; this list may only shrink.
const EXCEPTIONS: &[(&str, &[&str], &str)] = &[];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn no_two_files_of_a_package_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for package in packages(&workspace()).unwrap() {
        for root in &package.roots {
            let arrows = arrows(root).unwrap();
            assert!(!arrows.is_empty(), "{}: nothing was read", root.display());
            found.extend(circles(&arrows).into_iter().map(|files| (package.name.clone(), files)));
        }
    }
    let is_known = |(package, files): &(String, Vec<String>)| {
        EXCEPTIONS.iter().any(|(known, members, _)| known == package && members == files)
    };
    let new: Vec<String> = found
        .iter()
        .filter(|circle| !is_known(circle))
        .map(|(package, files)| format!("{package}: {}", files.join(", ")))
        .collect();
    assert!(
        new.is_empty(),
        "these use each other in a circle (cargo run -p connie-tools --bin arrows has the lines):\n{}",
        new.join("\n")
    );
    for (package, files, _) in EXCEPTIONS {
        let stays = found.iter().any(|(name, circle)| name == package && circle == files);
        assert!(stays, "{package}: {files:?} are no circle any more: take them off the list");
    }
    assert!(EXCEPTIONS.len() <= 4, "at most four exceptions");
}

/// What the reader must see, so that the test above does not pass because nothing was read.
#[test]
fn arrows_follow_names_to_the_file_that_defines_them() {
    let core = arrows(&workspace().join("connie-core/src/lib.rs")).unwrap();
    // By `use crate::race::Outcome`, which `race/mod.rs` passes on.
    assert!(core["timeline/mod.rs"].contains_key("race/attempt.rs"), "{:?}", core["timeline/mod.rs"]);
    assert!(!core["timeline/mod.rs"].contains_key("race/mod.rs"), "{:?}", core["timeline/mod.rs"]);
    assert!(core["race/mod.rs"]["race/destinations.rs"].kin);
    assert!(!core["race/mod.rs"]["timeline/mod.rs"].kin);
    // Also where a module passes another crate on by its own name (`pub use rustls`).
    let std = arrows(&workspace().join("connie-std/src/lib.rs")).unwrap();
    assert!(std["tls/mod.rs"].contains_key("tls/stream.rs"), "{:?}", std["tls/mod.rs"]);
}

#[test]
fn the_page_shows_which_package_is_built_on_which() {
    let page = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let picture = picture(&packages(&workspace()).unwrap()).unwrap();
    let right = updated(&page, &picture).unwrap();
    // Only the lines that differ: the page is long.
    let lines = |of: &str, other: &str| {
        let other: Vec<&str> = other.lines().collect();
        of.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (stale, missing) = (lines(&page, &right), lines(&right, &page));
    assert!(
        page == right,
        "stale: {stale:#?}, missing: {missing:#?}; run: cargo run -p connie-tools --bin arrows -- --write"
    );
}
