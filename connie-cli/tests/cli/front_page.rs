//! Runs the commands of `docs/program.md` in a network of their own and compares the output: only times and
//! pictures may differ.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use connie_lab::in_namespace;

use crate::support::{Ran, connie};

/// Serves the web page of the examples at its address, for as long as the test runs.
fn serve() {
    let listener = TcpListener::bind("127.0.0.4:8080").expect("a port of the namespace's own");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 1024];
            // A client that only races sends nothing.
            if stream.read(&mut request).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nthe page\n",
                );
            }
        }
    });
}

/// The parts of a line that do not depend on time: words and addresses.
fn words(line: &str) -> Vec<&str> {
    let is_word = |word: &&str| word.contains(char::is_alphabetic) || word.matches('.').count() > 1;
    line.split_whitespace().filter(is_word).filter(|word| *word != "ms").collect()
}

#[track_caller]
fn shows(ran: &Ran, expected: &[&str]) {
    let out = format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
    let without_time = |lines: &mut dyn Iterator<Item = &str>| {
        lines.map(|line| words(line).join(" ")).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(without_time(&mut out.lines()), without_time(&mut expected.iter().copied()), "{out}");
}

#[test]
fn what_the_front_page_shows_is_what_the_program_prints() {
    in_namespace(|_| {
        serve();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/program.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let mut seen = 0;
        for (block, _) in blocks {
            let mut last = None;
            for part in block.split("$ ").skip(1) {
                let (command, shown) = part.split_once('\n').expect("a command and what it prints");
                let shown: Vec<_> = shown.lines().collect();
                seen += 1;
                if command == "echo $?" {
                    let code: i32 = shown[0].parse().expect("an exit code");
                    last.take().map(|ran: Ran| ran.exits(code).code).expect("a command before it");
                    continue;
                }
                let arguments =
                    command.strip_prefix("connie ").unwrap_or_else(|| panic!("not of connie: {command}"));
                let ran = connie(arguments.split_whitespace());
                shows(&ran, &shown);
                last = Some(ran);
            }
        }
        assert!(seen >= 3, "{seen} commands");
    });
}

/// The page of the installation shows the output of `-V`, and the script for static programs compares it.
#[test]
fn the_features_that_the_pages_name_are_those_that_connie_says() {
    let ran = connie(["-V"]);
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    let features = out.lines().find(|line| line.starts_with("features: ")).expect("a line with them");
    for page in ["docs/install.md", "packaging/static.sh"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = std::fs::read_to_string(path).expect("the page");
        assert!(text.contains(features), "{page} has another line than {features:?}");
    }
}
