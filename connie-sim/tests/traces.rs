//! What a race is told and answers in 10,000 scenarios and in the project's list of cases, held against the
//! committed hashes. The program `traces` does the work, so that what fails here can be looked at there.

use std::process::{Command, Output};

fn traces(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_traces"))
        .args(arguments)
        .output()
        .expect("the program is built with its tests")
}

#[test]
fn the_race_does_what_was_accepted_in_every_scenario_and_case() {
    let output = traces(&[]);
    let (said, panicked) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "\n{said}{panicked}");
    assert!(said.starts_with("10000 scenarios and "), "{said}");
}

#[test]
fn a_scenario_and_a_case_are_shown_in_words_with_the_hashes_that_are_committed() {
    for (which, file) in [("17", "scenarios.txt"), ("case-75b", "cases.txt")] {
        let output = traces(&["show", which]);
        let said = String::from_utf8(output.stdout).unwrap();
        let path = format!("{}/tests/traces/{file}", env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(path).unwrap();
        let line = kept.lines().find(|line| line.split(' ').next() == Some(which)).expect("its line");
        let [_, trace, timeline] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(said.ends_with(&format!("hash {trace}, of the timeline {timeline}\n")), "{said}");
        assert!(said.contains(" < ") && said.contains(" > "), "{said}");
    }
}

#[test]
fn a_scenario_that_is_not_there_is_said_in_one_line() {
    for arguments in [&["show", "case-999"][..], &["--acept"], &["show"]] {
        let output = traces(arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    }
}
