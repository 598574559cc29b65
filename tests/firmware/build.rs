//! Writes the raw answers down for a program without allocation, and hands the memory map to the linker.

#![allow(dead_code, reason = "what differs from Python does not matter here")]

use std::path::PathBuf;

#[path = "../tests/http_differential/answers.rs"]
mod answers;
#[path = "../tests/http_differential/clauses.rs"]
mod clauses;

/// What is longer is left to machines with more memory.
const LONGEST: usize = 1000;
/// Answers that a machine of 32 bits could take for complete.
const MORE: [(&str, &str); 2] = [
    ("a length of 2^32 + 5", "HTTP/1.1 200 OK\r\nContent-Length: 4294967301\r\n\r\nhello"),
    (
        "a chunk of 2^32 + 5",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000005\r\nhello\r\n0\r\n\r\n",
    ),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=../tests/http_differential/answers.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let answers: Vec<_> = answers::all()
        .into_iter()
        .filter(|answer| answer.raw.len() <= LONGEST)
        .map(|answer| (answer.name, answer.method, answer.raw))
        .chain(MORE.map(|(name, raw)| (name, "GET", raw.as_bytes().to_vec())))
        .collect();
    let write = |name, content: &[u8]| std::fs::write(out.join(name), content).expect("OUT_DIR takes a file");
    let list: Vec<_> =
        answers.iter().map(|(name, method, raw)| format!("({name:?}, {method:?}, &{raw:?}),\n")).collect();
    write("answers.in", format!("&[\n{}]", list.concat()).as_bytes());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        write("memory.x", include_bytes!("memory.x"));
        println!("cargo:rustc-link-search={}", out.display());
        // cortex-m-rt's linker script, which includes memory.x.
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
}
