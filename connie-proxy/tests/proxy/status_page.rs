//! The status page: checks of its file, and of what Chromium shows.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use connie_servers::{find, skip, temporary_path};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::status::{fetch, page, visited};
use crate::support::Server;

const PAGE: &str = include_str!("../../src/status/page.html");

/// What stands between the tags of this name, which appear once.
#[track_caller]
fn between(tag: &str) -> &'static str {
    let rest = PAGE.split_once(&format!("<{tag}>")).expect(tag).1;
    let (inner, rest) = rest.split_once(&format!("</{tag}>")).expect(tag);
    assert!(!rest.contains(&format!("<{tag}")), "there is one {tag}");
    inner
}

#[test]
fn it_is_small_and_loads_nothing() {
    assert!(PAGE.len() < 40_000, "{}", PAGE.len());
    for needle in
        ["src=", "@import", "url(", "https:", "<iframe", "<object", "<form action", " on", "style=\""]
    {
        let found = PAGE.match_indices(needle).find(|(at, _)| {
            // An attribute such as onclick=.
            needle != " on"
                || PAGE[at + 3..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with("=\"")
        });
        assert_eq!(found.map(|(at, _)| &PAGE[at..at + 40]), None, "{needle}");
    }
}

#[test]
fn its_policy_lets_its_own_script_run_and_nothing_else() {
    let (_proxy, address) = visited(false);
    let answer = fetch(address, "/", &address.to_string());
    let policy = answer.split("Content-Security-Policy: ").nth(1).unwrap().lines().next().unwrap();
    for (directive, tag) in [("script-src", "script"), ("style-src", "style")] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(between(tag)));
        assert!(
            policy.contains(&format!("{directive} 'sha256-{hash}';")),
            "{directive} is 'sha256-{hash}', not as in {policy}"
        );
    }
    assert!(!policy.contains("unsafe") && policy.contains("connect-src 'self'"), "{policy}");
}

#[test]
fn all_text_is_set_as_text() {
    let script = between("script");
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
        "setHTML",
        "srcdoc",
        "createContextualFragment",
    ] {
        assert!(!script.contains(word), "{word}");
    }
}

#[test]
fn each_element_that_the_script_asks_for_is_there() {
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for piece in between("script").split("$(\"").skip(1) {
        asked.insert(piece.split('"').next().unwrap());
    }
    assert!(asked.len() > 15, "{asked:?}");
    for id in asked.iter().copied().filter(|id| !id.ends_with('-')) {
        assert_eq!(PAGE.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
    for view in ["races", "hosts", "numbers"] {
        assert!(PAGE.contains(&format!("id=\"view-{view}\"")) && PAGE.contains(&format!("id=\"to-{view}\"")));
    }
}

/// All names with an underscore are keys of the JSON: JavaScript's own names have none.
#[test]
fn each_key_that_the_script_reads_is_in_the_json() {
    let (_proxy, address) = visited(false);
    let text = page(address, "/status.json");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut read = BTreeSet::new();
    for piece in between("script").split('.').skip(1) {
        let name = piece.split(|c: char| !is_name(c)).next().unwrap();
        if name.contains('_') {
            read.insert(name);
        }
    }
    for name in [
        "saved", "races", "hosts", "running", "budget", "families", "memory", "refused", "compared",
        "hedges", "idle", "log",
    ] {
        assert!(between("script").contains(&format!(".{name}")), "{name}");
        read.insert(name);
    }
    assert!(read.len() > 25, "{read:?}");
    for name in read {
        assert!(text.contains(&format!("\"{name}\":")), "{name} is not in {text}");
    }
}

#[test]
#[ignore = "takes Chromium, which CI has not: -- --ignored chromium"]
fn chromium_shows_it() {
    let (_proxy, address) = visited(false);
    let Some(dom) = dom_of(&format!("http://{address}/")) else { return };
    let text = page(address, "/status.json");
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        dom.matches("<article class=\"race ").count(),
        status["races"].as_array().unwrap().len(),
        "{dom}"
    );
    for shown in [
        ">name.test</bdi>",
        "whole race: the host was never met here; 2 unknown",
        ">connection refused · </span>",
        ">established</td>",
        // What came from a client is text.
        ">evil\"\\u{1b}[2J\\u{9b}&lt;script&gt;</bdi>",
        ">live</span>",
    ] {
        assert!(dom.contains(shown), "{shown} is not in {dom}");
    }
    let Some(hosts) = dom_of(&format!("http://{address}/#hosts")) else { return };
    assert!(hosts.contains("Next time: lead: ") && hosts.contains(">lead</td>"), "{hosts}");
    let Some(numbers) = dom_of(&format!("http://{address}/#numbers")) else { return };
    assert!(numbers.contains(">connection refused</th><td>1</td>"), "{numbers}");
}

#[test]
#[ignore = "takes Chromium, which CI has not: -- --ignored chromium"]
fn chromium_shows_no_name_where_they_are_private() {
    let (_proxy, address) = visited(true);
    let Some(dom) = dom_of(&format!("http://{address}/")) else { return };
    assert!(dom.contains(">private</bdi>") && dom.contains(">established</td>"), "{dom}");
    assert!(!dom.contains("name.test") && !dom.contains("evil"), "{dom}");
}

/// A tab that stays open while the proxy is restarted shows the races of the new one, which have the same
/// numbers as the old ones.
#[test]
#[ignore = "takes Chromium, which CI has not: -- --ignored chromium"]
fn chromium_forgets_the_races_of_a_proxy_that_was_started_again() {
    let ((_old, old), (_new, new)) = (visited(true), visited(false));
    let [old, new] = [old, new].map(|address| page(address, "/status.json"));
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |mut stream| {
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        let text = match request[..length].starts_with(b"GET /status.json ") {
            false => PAGE,
            true if asked.fetch_add(1, Ordering::SeqCst) == 0 => &old,
            true => &new,
        };
        let kind = if text == PAGE { "text/html" } else { "application/json" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}", text.len());
        let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n{text}");
    });
    let Some(dom) = dom_of(&format!("http://{}/", server.address)) else { return };
    let (races, _) = dom.split_once("id=\"view-hosts\"").unwrap();
    assert!(races.contains(">name.test</bdi>") && !races.contains(">private</bdi>"), "{dom}");
}

/// The DOM of the page in Chromium after some seconds of virtual time.
fn dom_of(url: &str) -> Option<String> {
    let Some(chromium) = find("chromium") else {
        skip("chromium", "apt-get install chromium");
        return None;
    };
    let profile = temporary_path("chromium");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=3000", "--timeout=30000", "--dump-dom", url])
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(profile);
    // The script is left out: it may contain the same words.
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(
        dom.split_once("<script>")
            .map_or(dom.clone(), |(body, _)| body.split_once("</style>").unwrap().1.to_owned()),
    )
}
