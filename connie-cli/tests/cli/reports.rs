//! The files of `--qlog` and `--svg`.

use std::collections::HashMap;

use connie_servers::BlackHole;
use serde_json::Value;

use crate::server::Server;
use crate::support::{connie, fresh_path, resolve};

/// A race with everything in it: refused, evicted, established, canceled.
fn eventful_race(option: &str) -> String {
    let server = Server::serving("127.0.0.4:0", "");
    let port = server.port();
    let _holes = [12, 13].map(|last| BlackHole::open(([127, 0, 0, last], port)));
    let [resolve, addresses] = resolve(port, "127.0.0.3,127.0.0.12,127.0.0.13,127.0.0.4");
    let path = fresh_path("report");
    let path = path.to_str().unwrap();
    let arguments = ["-s", "--max-in-flight", "2", "--patience", "40", option, path];
    connie(["race", &format!("name.test:{port}"), &resolve, &addresses].iter().chain(&arguments)).exits(0);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn qlog_has_what_the_main_schema_demands() {
    let file: Value = serde_json::from_str(&eventful_race("--qlog")).unwrap();
    assert_eq!(file["file_schema"], "urn:ietf:params:qlog:file:contained");
    assert_eq!(file["serialization_format"], "application/qlog+json");
    let trace = &file["traces"][0];
    assert_eq!(trace["event_schemas"][0], "urn:ietf:params:qlog:events:hev3-00");
    assert_eq!(trace["vantage_point"]["type"], "client");
    let mut last = 0.0;
    for event in trace["events"].as_array().unwrap() {
        let time = event["time"].as_f64().unwrap();
        assert!(time >= last, "the order of time: {event}");
        last = time;
        assert!(event["name"].as_str().unwrap().starts_with("hev3:"), "{event}");
        assert_eq!(event["data"]["he_session_id"], trace["common_fields"]["group_id"]);
    }
}

#[test]
fn qlog_keeps_the_promises_of_the_draft() {
    let file: Value = serde_json::from_str(&eventful_race("--qlog")).unwrap();
    let events = file["traces"][0]["events"].as_array().unwrap();
    let named = |name: &str| {
        let name = format!("hev3:{name}");
        events
            .iter()
            .filter(move |event| event["name"] == name.as_str())
            .map(|event| &event["data"])
            .collect::<Vec<_>>()
    };
    // "Every attempt_started MUST have exactly one attempt_outcome."
    let mut outcomes: HashMap<&str, Vec<&Value>> = HashMap::new();
    for data in named("attempt_outcome") {
        outcomes.entry(data["attempt_id"].as_str().unwrap()).or_default().push(data);
    }
    let started = named("attempt_started");
    assert!(started.len() >= 4);
    assert_eq!(started.len(), outcomes.len());
    assert!(outcomes.values().all(|data| data.len() == 1), "{outcomes:?}");
    for data in &started {
        assert_eq!(data["target"]["transport"], "tcp");
        assert!(outcomes.contains_key(data["attempt_id"].as_str().unwrap()));
    }
    // "connection_selected MUST reference an attempt whose result is success."
    let selected = named("connection_selected");
    assert_eq!(selected.len(), 1);
    assert_eq!(outcomes[selected[0]["attempt_id"].as_str().unwrap()][0]["result"], "success");
    // "Exactly one metrics event SHOULD appear per HE session."
    let metrics = named("metrics");
    assert_eq!(metrics.len(), 1);
    assert_eq!(metrics[0]["outcome"], "success");
    assert_eq!(metrics[0]["attempts_total"], started.len());
    let evicted = |data: &&&Value| data["connie_evicted"] == true && data["result"] == "canceled";
    assert!(named("attempt_outcome").iter().filter(evicted).count() > 0);
    assert_eq!(named("config_set")[0]["policy"]["max_parallel_attempts"], 2);
    assert!(named("dns_query_started").is_empty(), "--resolve is no lookup");
}

#[test]
fn qlog_tells_a_failure_too() {
    let path = fresh_path("qlog");
    connie(["get", "http://no-such-host.invalid/", "--qlog", path.to_str().unwrap()]).exits(6);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let events = file["traces"][0]["events"].as_array().unwrap();
    let names: Vec<&str> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "hev3:config_set",
            "hev3:dns_query_started",
            "hev3:dns_query_finished",
            "hev3:connection_aborted",
            "hev3:metrics"
        ]
    );
}

#[test]
fn svg_is_well_formed_and_self_contained() {
    let svg = eventful_race("--svg");
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "), "{svg}");
    assert_eq!(open_elements(&svg), Vec::<&str>::new());
    for part in ["name.test port", "established", "refused", "evicted", "prefers-color-scheme: dark"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    for outside in ["href", "url(", "@import", "<script", "<image"] {
        assert!(!svg.contains(outside), "{outside}: {svg}");
    }
}

/// The elements that are not closed; panics where one is closed that is not open.
#[track_caller]
fn open_elements(xml: &str) -> Vec<&str> {
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let (tag, _text) = tag.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split_whitespace().next().unwrap().trim_end_matches('/');
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    open
}

#[test]
fn a_hyphen_is_stdout() {
    let server = Server::serving("127.0.0.4:0", "page");
    let target = format!("127.0.0.4:{}", server.port());
    let alone = |arguments: &[&str], start: &str, end: &str| {
        let ran = connie(arguments);
        let out = ran.exits(0).is_quiet().out();
        assert!(out.starts_with(start) && out.ends_with(end), "{arguments:?}: {out}");
    };
    alone(&["race", &target, "--svg", "-"], "<svg ", "</svg>\n");
    alone(&["race", &target, "--qlog", "-"], "{", "\n]}]}\n");
    alone(&["race", &target, "-s", "--svg", "-"], "<svg ", "</svg>\n");
    alone(&["demo", "--svg", "-"], "<svg ", "</svg>\n");
    alone(&["bench", "-s", "--sim", "--rounds", "1", "--svg", "-"], "<svg ", "</svg>\n");
    alone(&["bench", "-s", "--sim", "--rounds", "1", "--csv", "-"], "site,round,", "\n");
    let page = fresh_path("page");
    let kept = page.to_str().unwrap();
    alone(&["get", &server.url("/"), "-s", "-o", kept, "--svg", "-"], "<svg ", "</svg>\n");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "page");
    assert!(!std::path::Path::new("-").exists(), "a file of that name");
}
