//! Every name of Python's `http.client` has its place in `connie_http::python`.
#![cfg(target_os = "linux")]

use std::process::Command;

use connie_http::reason_phrase;
use connie_tests::skip;

const PAGE: &str = include_str!("../../connie-http/src/python.rs");

/// Prints the public names of the module (its constants for status codes apart, and what it imports), of its
/// classes and of what they are made into.
const NAMES: &str = r#"
import http.client as h, io, types
codes = {status.name for status in h.http.HTTPStatus}
names = {name for name, value in vars(h).items()
         if name[0] != "_" and name not in codes and not isinstance(value, types.ModuleType)} - {"urlsplit"}
socket = types.SimpleNamespace(makefile=lambda mode: io.BytesIO(b"HTTP/1.1 200 OK\r\n\r\n"))
response = h.HTTPResponse(socket)
response.begin()
for thing in h.HTTPConnection("a"), h.HTTPSConnection("a"), response:
    names |= {name for name in dir(thing) if name[0] != "_"}
print(*sorted(names))
"#;

/// What Python prints when it runs `program`; `None` where there is no Python of the version whose names
/// these are.
fn python(program: &str) -> Option<String> {
    let program = format!("import sys; assert sys.version_info[:2] == (3, 11)\n{program}");
    let output = Command::new("python3").args(["-I", "-c", &program]).output().ok();
    match output.filter(|output| output.status.success()) {
        Some(output) => Some(String::from_utf8(output.stdout).expect("text")),
        None => {
            skip("Python 3.11, whose http.client is compared with", "apt-get install python3 (Debian 12)");
            None
        }
    }
}

/// Whether the left column has `name`, alone or as a call.
fn has_a_row(name: &str) -> bool {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let mut words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    words.any(|word| word.split('(').next() == Some(name))
}

#[test]
fn each_has_a_row() {
    assert!(has_a_row("getresponse") && has_a_row("read1") && !has_a_row("getrespons") && !has_a_row("here"));
    let Some(names) = python(NAMES) else { return };
    let names: Vec<_> = names.split_whitespace().collect();
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !has_a_row(name)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

#[test]
fn each_status_code_has_its_phrase() {
    let Some(codes) = python("import http.client; print(*http.client.responses)") else { return };
    let theirs: Vec<u16> = codes.split_whitespace().map(|code| code.parse().expect("a number")).collect();
    let ours: Vec<u16> = (0..=u16::MAX).filter(|code| reason_phrase(*code).is_some()).collect();
    assert_eq!(ours, theirs);
}
