//! connie.h says what the library has, no less and no more.

use std::collections::BTreeSet;

use connie_servers::skip;

use crate::support::{has, library, passes, root, run};

fn header() -> String {
    std::fs::read_to_string(root().join("connie-c/include/connie.h")).expect("the header")
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = header();
    let code: String = header.split("/*").map(|part| part.split_once("*/").map_or(part, |it| it.1)).collect();
    let before = code.split('(').filter_map(|part| part.rsplit([' ', '*', '\n']).next());
    before.filter(|name| name.starts_with("connie_")).map(str::to_owned).collect()
}

#[test]
fn the_header_is_what_cbindgen_makes_of_the_source() {
    if !has("cbindgen") {
        return skip("cbindgen", "apt-get install cbindgen");
    }
    let made = passes(&run(root().join("connie-c/header.sh"), |it| it));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // Its versions differ in how they set their own comments off.
    assert!(words(&made) == words(&header()), "run connie-c/header.sh >connie-c/include/connie.h\n{made}");
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let declared = declared();
    for name in ["connie_connect", "connie_options_set_cancel_fd", "connie_strerror", "connie_version"] {
        assert!(declared.contains(name), "{declared:?}");
    }
    assert_eq!(declared.len(), 33, "{declared:?}");
    let shared = library().join("libconnie.so");
    let listed = passes(&run("nm", |it| it.args(["-D", "--defined-only"]).arg(shared)));
    let exported: BTreeSet<_> =
        listed.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect();
    assert_eq!(exported, declared);
}

/// A thread that looks a name up may run its code for a while yet.
#[test]
fn the_library_stays_in_memory_once_it_is_opened() {
    let shared = library().join("libconnie.so");
    let dynamic = passes(&run("readelf", |it| it.args(["-d", "--wide"]).arg(shared)));
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
