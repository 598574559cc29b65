//! The committed corpus is decoded to the inputs that it was kept for. The program `decoded` does the work.

use std::process::{Command, Output};

fn decoded(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_decoded"))
        .args(arguments)
        .output()
        .expect("the program is built with its tests")
}

#[test]
fn every_file_of_the_corpus_is_decoded_as_it_was() {
    let output = decoded(&[]);
    let (said, panicked) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "\n{said}{panicked}");
    let count = said.split(' ').next().and_then(|count| count.parse::<u32>().ok());
    assert!(count.is_some_and(|count| count > 2_000), "{said}");
}

/// So that the hashes are of something.
#[test]
fn each_target_says_what_it_has_decoded() {
    for (name, words) in [
        ("chunked/", "chunked, pieces of "),
        ("connect/", "connect of 16, 4, 8, 16 at "),
        ("connection/", "room "),
        ("dns_client/", "client of 2, 3, 40, 64 at "),
        ("dns_lookups/", "look up a.test below "),
        ("memory/", "succeed "),
        ("memory_bytes/", "read "),
        ("race/", "race of 16, 4, 8 at "),
        ("response_head/", "HEAD, steps of "),
        ("url/", "URL: "),
    ] {
        let folder = format!("{}/../corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap();
        let shows = |file: std::io::Result<std::fs::DirEntry>| {
            let file = format!("{name}{}", file.unwrap().file_name().to_string_lossy());
            let output = decoded(&["show", &file]);
            assert!(output.status.success(), "{file}");
            String::from_utf8(output.stdout).unwrap().contains(words)
        };
        assert!({ files }.any(shows), "no file of {name} is decoded to {words:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_said_in_one_line() {
    let output = decoded(&["show", "race/no such"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
}
