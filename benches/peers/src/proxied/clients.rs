//! The programs, and how each is told of the proxy: as docs/proxy.md says.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::said;
use crate::scenarios::HOST;

/// Where the proxy listens.
pub const PROXY: &str = "127.0.0.1:1080";

/// A program that is installed.
#[derive(Clone)]
pub struct Client {
    pub name: &'static str,
    /// What it is, with its version.
    pub about: String,
    /// How it is told of the proxy.
    pub told: String,
    /// The program and its arguments: without the proxy, and by it.
    pub direct: Vec<String>,
    pub proxied: Vec<String>,
}

/// All, as the page orders them, whether they are installed or not.
pub const NAMES: [&str; 8] =
    ["Chromium", "Chromium, SOCKS", "curl", "curl, SOCKS", "git", "Java", "Python urllib", "Python requests"];

const URLLIB: &str = "import sys,urllib.request
urllib.request.urlopen(sys.argv[1]).read()";

const REQUESTS: &str = "import sys,requests
requests.get(sys.argv[1]).raise_for_status()";

/// Each run has a profile of its own, since the browser remembers much.
const CHROMIUM: &str = "p=$(mktemp -d) && chromium --headless --no-sandbox --disable-gpu --disable-quic \
    --no-first-run --disable-background-networking --disable-component-update --disable-sync \
    --disable-default-apps --user-data-dir=$p $1 --dump-dom \"$0\" 2>/dev/null; rm -rf $p";

/// All that can be run here.
pub fn installed() -> Vec<Client> {
    let (http, socks) = (format!("http://{PROXY}"), format!("socks5h://{PROXY}"));
    let (host, port) = PROXY.split_once(':').unwrap_or((PROXY, ""));
    let (page, git) = (format!("http://{HOST}/"), format!("http://{HOST}/a.git"));
    let python = python();
    let browser = |name, told: String| {
        let about = said(Path::new("chromium"), &["--version"])?;
        let about = about.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        client(name, about, &told, &["sh", "-c", CHROMIUM, &page], &["sh", "-c", CHROMIUM, &page, &told])
    };
    let curl = |name, by: &str| {
        let about = said(Path::new("curl"), &["--version"])?;
        let about = about.split(" (").next().unwrap_or_default().to_owned();
        let fetch = ["curl", "-sSf", "-q", &page];
        client(name, about, &format!("-x {by}"), &fetch, &[&fetch[..], &["-x", by]].concat())
    };
    let by_environment = |name, about: Option<String>, program: &str, by: &str| {
        let fetch = [&*python.to_string_lossy(), "-c", program, &page];
        let told = format!("http_proxy={by}");
        client(name, about?, &told, &fetch, &[&["env", &told][..], &fetch].concat())
    };
    let git_client = || {
        let about = said(Path::new("git"), &["--version"])?.replace("git version", "git");
        let told = format!("http.proxy={http}");
        let ask = ["ls-remote", &git];
        client(
            "git",
            about,
            &told,
            &[&["git"][..], &ask].concat(),
            &[&["git", "-c", &told][..], &ask].concat(),
        )
    };
    let requests = said(&python, &["-c", "import requests;print('requests',requests.__version__)"]);
    let urllib = said(&python, &["-c", "import sys;print('Python',sys.version.split()[0])"]);
    let all = [
        browser("Chromium", format!("--proxy-server={http}")),
        browser("Chromium, SOCKS", format!("--proxy-server=socks5://{PROXY}")),
        curl("curl", &http),
        curl("curl, SOCKS", &socks),
        git_client(),
        java(host, port, &page),
        by_environment("Python urllib", urllib, URLLIB, &http),
        by_environment("Python requests", requests, REQUESTS, &socks),
    ];
    let all: Vec<Client> = all.into_iter().flatten().collect();
    for name in NAMES.into_iter().filter(|name| all.iter().all(|client| client.name != *name)) {
        eprintln!("{name}: not to be had here");
    }
    all
}

fn client(
    name: &'static str,
    about: String,
    told: &str,
    direct: &[&str],
    proxied: &[&str],
) -> Option<Client> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Some(Client { name, about, told: told.to_owned(), direct: words(direct), proxied: words(proxied) })
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn java(host: &str, port: &str, page: &str) -> Option<Client> {
    let about = said(Path::new("java"), &["--version"])?;
    let about = about.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let classes = here().join("target/java");
    let source = here().join("visitors/Fetch.java");
    let built = Command::new("javac").arg("-d").arg(&classes).arg(source).status();
    let classes = classes.to_string_lossy().into_owned();
    let (by_host, by_port) = (format!("-Dhttp.proxyHost={host}"), format!("-Dhttp.proxyPort={port}"));
    let told = format!("{by_host} {by_port}");
    let (before, fetch) = (["java", "-cp", &classes], ["Fetch", page]);
    let direct = [&before[..], &fetch].concat();
    let proxied = [&before[..], &[&by_host, &by_port], &fetch].concat();
    let is_built = built.is_ok_and(|status| status.success());
    is_built.then(|| client("Java", about, &told, &direct, &proxied)).flatten()
}

/// A Python with requests in it, made once.
fn python() -> PathBuf {
    let place = here().join("target/python-requests");
    let python = place.join("bin/python");
    if !python.exists() {
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&place).status();
        let _ = Command::new(&python).args(["-m", "pip", "install", "--quiet", "requests[socks]"]).status();
    }
    python
}
