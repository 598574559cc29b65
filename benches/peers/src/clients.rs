//! The clients, and how each is told to fetch a page.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A client that is installed.
#[derive(Clone)]
pub struct Client {
    pub name: String,
    /// What it is, with its version.
    pub about: String,
    /// The program and its arguments; the URL comes last.
    pub command: Vec<String>,
    /// What it is to the comparison.
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// connie, all at once, with this many sockets.
    AllAtOnce(usize),
    /// connie, as RFC 8305 has it.
    Staggered,
    Peer,
}

impl Kind {
    pub fn is_peer(self) -> bool {
        self == Kind::Peer
    }
}

const PYCURL: &str = "import pycurl,sys
c=pycurl.Curl()
c.setopt(c.URL,sys.argv[1])
c.setopt(c.WRITEFUNCTION,lambda b:None)
c.perform()";

const HTTP_CLIENT: &str = "import http.client,sys,urllib.parse
u=urllib.parse.urlsplit(sys.argv[1])
c=http.client.HTTPConnection(u.netloc)
c.request('GET','/')
c.getresponse().read()";

const AIOHTTP: &str = "import asyncio,sys,aiohttp
async def main():
    async with aiohttp.ClientSession() as s:
        async with s.get(sys.argv[1]) as r: await r.read()
asyncio.run(main())";

const NODE: &str = "require('http').get(process.argv[1],r=>r.resume())";

/// All that can be run here.
pub fn installed() -> Result<Vec<Client>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let connie = connie(&root)?;
    let mut clients = Vec::new();
    for sockets in [16, 8, 4, 2] {
        let options = ["--max-in-flight".to_owned(), sockets.to_string()];
        clients.push(ours(
            &connie,
            &format!("connie, {sockets} sockets"),
            Kind::AllAtOnce(sockets),
            &options,
        ));
    }
    let options = ["--pacing".to_owned(), "staggered".to_owned()];
    clients.push(ours(&connie, "connie, staggered", Kind::Staggered, &options));

    let python = python();
    let py = |name: &str, program: &str, version: &str| {
        let about = said(&python, &["-c", version])?;
        peer(name, &about, &[&python.to_string_lossy(), "-c", program])
    };
    clients.extend(py(
        "curl, newest",
        PYCURL,
        "import pycurl;print(pycurl.version.split()[1].replace('libcurl/','libcurl '),'by pycurl')",
    ));
    clients.extend(debian("curl, Debian's", "curl", "--version", &["-s", "-o", "/dev/null"]));
    clients.extend(chromium());
    clients.extend(debian("Node", "node", "--version", &["-e", NODE]));
    clients.extend(py("aiohttp", AIOHTTP, "import aiohttp;print('aiohttp',aiohttp.__version__)"));
    clients.extend(py("http.client", HTTP_CLIENT, "import sys;print('Python',sys.version.split()[0])"));
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    for (name, about) in [("reqwest", "reqwest 0.13, blocking"), ("ureq", "ureq 3.5")] {
        clients.extend(peer(name, about, &[&own.to_string_lossy(), "--fetch-with", name]));
    }
    Ok(clients)
}

/// Builds the program.
pub fn connie(root: &Path) -> Result<PathBuf, String> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--locked", "-p", "connie-cli"])
        .current_dir(root)
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("the program connie cannot be built".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/connie"))
}

fn ours(connie: &Path, name: &str, kind: Kind, options: &[String]) -> Client {
    let fixed = ["get", "-s", "-o", "/dev/null"].map(str::to_owned);
    let command =
        [connie.to_string_lossy().into_owned()].into_iter().chain(fixed).chain(options.iter().cloned());
    Client {
        name: name.to_owned(),
        about: "the release build of this tree".to_owned(),
        command: command.collect(),
        kind,
    }
}

fn peer(name: &str, about: &str, command: &[&str]) -> Option<Client> {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    Some(Client { name: name.to_owned(), about: about.to_owned(), command, kind: Kind::Peer })
}

fn debian(name: &str, program: &str, version: &str, options: &[&str]) -> Option<Client> {
    let about = said(Path::new(program), &[version])?;
    let command: Vec<&str> = [program].into_iter().chain(options.iter().copied()).collect();
    let about = about.split(" (").next().unwrap_or(&about).to_owned();
    peer(name, &about, &command)
}

fn chromium() -> Option<Client> {
    let about = said(Path::new("chromium"), &["--version"])?;
    let about = about.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    // Each run has a profile of its own, since the browser remembers which family was fast.
    let run = "p=$(mktemp -d) && chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-default-apps \
        --user-data-dir=$p --dump-dom \"$0\" >/dev/null 2>&1; rm -rf $p";
    peer("Chromium", &about, &["sh", "-c", run])
}

/// A Python with the clients in it, made once.
pub fn python() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
    let python = place.join("bin/python");
    if !python.exists() {
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&place).status();
        let _ = Command::new(&python).args(["-m", "pip", "install", "--quiet", "pycurl", "aiohttp"]).status();
    }
    python
}

/// The first line that a program prints; `None` where it is not there, or fails.
pub fn said(program: &Path, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}
