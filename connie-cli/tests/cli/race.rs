//! `connie race`, and the JSON that both commands print.

use connie_servers::BlackHole;
use serde_json::{Value, json};

use crate::server::{End, Server};
use crate::support::{connie, resolve};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

const RACE: [&str; 9] =
    ["attempts", "elapsed_us", "host", "max_in_flight", "outcome", "plan", "port", "resolved_us", "winner"];

#[test]
fn the_picture_goes_to_stdout() {
    let server = Server::serving("127.0.0.4:0", "");
    let [option, addresses] = resolve(server.port(), "127.0.0.3,127.0.0.4");
    let target = format!("name.test:{}", server.port());
    let ran = connie(["race", &target, &option, &addresses]);
    ran.exits(0).is_quiet();
    let picture = ran.out();
    assert!(picture.starts_with(&format!("connected to 127.0.0.4:{} in ", server.port())), "{picture}");
    assert!(picture.contains("  127.0.0.3  ") && picture.contains("  refused  "), "{picture}");
    assert!(picture.contains("  127.0.0.4  ") && picture.contains("  established  "), "{picture}");
    assert!(!picture.contains('\x1b'), "no colour in a pipe: {picture}");
    assert!(server.requests().is_empty(), "a race asks for nothing");
    connie(["race", "-s", &target, &option, &addresses]).exits(0).prints("").is_quiet();
    // With -v it goes to stderr, as that of `connie get` does, and leaves stdout to the JSON.
    let ran = connie(["race", "-v", &target, &option, &addresses]);
    ran.exits(0).prints("").says("* connected to 127.0.0.4:");
    connie(["race", "-v", "--json", &target, &option, &addresses]).exits(0).says("* connected to ").json();
}

#[test]
fn json_is_the_object_of_the_design() {
    let server = Server::serving("127.0.0.4:0", "");
    let port = server.port();
    let [option, addresses] = resolve(port, "127.0.0.3,127.0.0.4");
    let race = connie(["race", "--json", &format!("name.test:{port}"), &option, &addresses]).exits(0).json();
    assert_eq!(keys(&race), RACE);
    assert_eq!(race["host"], "name.test");
    assert_eq!(race["port"], port);
    assert_eq!(race["outcome"], "connected");
    assert_eq!(race["winner"], format!("127.0.0.4:{port}"));
    assert_eq!(race["max_in_flight"], 2);
    let attempts = race["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    for attempt in attempts {
        // The system's number stands where an error has one.
        let number: &[_] = if attempt["outcome"] == "refused" { &["error_number"] } else { &[] };
        let known = [&["destination", "ended_us"], number, &["family", "outcome", "started_us"]].concat();
        assert_eq!(keys(attempt), known);
        assert_eq!(attempt["family"], "ipv4");
        assert!(race["resolved_us"].as_u64() <= attempt["started_us"].as_u64());
        assert!(attempt["started_us"].as_u64() <= attempt["ended_us"].as_u64());
        assert!(attempt["ended_us"].as_u64() <= race["elapsed_us"].as_u64());
    }
    let outcomes: Vec<&Value> = attempts.iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["refused", "established"]);
    let refused = rustix::io::Errno::CONNREFUSED.raw_os_error();
    assert_eq!(attempts[0]["error_number"], refused);
}

#[test]
fn json_tells_failures_as_well() {
    let ran = connie(["race", "--json", "127.0.0.1:1"]);
    let race = ran.exits(7).says_lines(1).json();
    assert_eq!(keys(&race), RACE);
    assert_eq!((&race["outcome"], &race["winner"]), (&json!("failed"), &Value::Null));
    assert_eq!(race["attempts"][0]["outcome"], "refused");

    let race = connie(["race", "--json", "--interface", "no-such0", "127.0.0.1:1"]).exits(45).json();
    let attempt = &race["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["setup_step"]), (&json!("setup"), &json!(4)), "{attempt}");
    // Where there is no address there is nothing to plan.
    let race = connie(["race", "--json", "no-such-host.invalid:80"]).exits(6).json();
    assert_eq!(keys(&race), RACE.iter().copied().filter(|key| *key != "plan").collect::<Vec<_>>());
    assert_eq!((&race["resolved_us"], &race["attempts"]), (&Value::Null, &json!([])));
}

/// A zone is taken as it is written and as the program writes it; `%25` is an escape in URLs alone.
#[test]
fn an_address_that_was_printed_can_be_given_back() {
    let written = "[fe80::251%251]:8080";
    let first = connie(["race", "--json", written]).exits(7).json();
    let printed = first["attempts"][0]["destination"].as_str().unwrap();
    assert_eq!(printed, written);
    let second = connie(["race", "--json", printed]).exits(7).json();
    assert_eq!(second["attempts"][0]["destination"], written);
    connie(["get", "http://[fe80::251%25251]:8080/"]).exits(7).says(written);
}

/// RFC 7686: no name server learns them, and nobody waits for one.
#[test]
fn names_of_tor_are_refused_at_once() {
    let line = "could not resolve x.onion: AAAA and A queries failed: onion names are \
        Tor's and not in DNS (RFC 7686); use a proxy that is connected to Tor";
    // Where there is no address there is nothing to draw either.
    connie(["race", "x.onion:80"]).exits(6).prints("").says_lines(1).says(line);
}

#[test]
fn sockets_are_few_where_they_have_to_be() {
    let server = Server::serving("127.0.0.4:0", "");
    let port = server.port();
    let _holes = [8, 9, 10].map(|last| BlackHole::open(([127, 0, 0, last], port)));
    let [option, addresses] = resolve(port, "127.0.0.8,127.0.0.9,127.0.0.10,127.0.0.4");
    let arguments = ["--max-in-flight", "2", "--patience", "40"];
    let target = format!("name.test:{port}");
    let race =
        connie(["race", "--json", &target, &option, &addresses].iter().chain(&arguments)).exits(0).json();
    assert_eq!(race["max_in_flight"], 2);
    let evicted = |attempt: &&Value| attempt["outcome"] == "evicted";
    assert!(race["attempts"].as_array().unwrap().iter().filter(evicted).count() >= 2, "{race}");
}

#[test]
fn pacing_is_as_asked() {
    let server = Server::serving("127.0.0.4:0", "");
    let port = server.port();
    let _hole = BlackHole::open(([127, 0, 0, 11], port));
    let [option, addresses] = resolve(port, "127.0.0.11,127.0.0.4");
    let starts = |pacing: &str| {
        let target = format!("name.test:{port}");
        let arguments = ["--pacing", pacing, "--json", "--connect-timeout", "4"];
        let race = connie(["race", &target, &option, &addresses].iter().chain(&arguments)).exits(0).json();
        let start = |index: usize| race["attempts"][index]["started_us"].as_u64().unwrap();
        start(1) - start(0)
    };
    assert!(starts("all-at-once") < 100_000);
    assert!(starts("staggered") >= 250_000);
    // Half of the four seconds, which is also the least that it gives to an address.
    assert!(starts("one-by-one") >= 1_900_000);
}

#[test]
fn get_puts_the_race_into_its_own_object() {
    let server = Server::answering(
        "127.0.0.4:0",
        "HTTP/1.1 404 Not \"here\"\r\nContent-Length: 5\r\n\r\nsorry",
        End::Wait,
    );
    let ran = connie(["get", &server.url("/x"), "--report", "json", "-o", "/dev/null"]);
    let fetched = ran.exits(0).is_quiet().json();
    assert_eq!(fetched["url"], server.url("/x"));
    assert_eq!((&fetched["exit_code"], &fetched["error"]), (&json!(0), &Value::Null));
    assert_eq!((&fetched["status"], &fetched["reason"]), (&json!(404), &json!("Not \"here\"")));
    assert_eq!(fetched["body_bytes"], 5);
    assert_eq!(keys(&fetched["race"]), RACE);
    assert!(fetched["race"]["elapsed_us"].as_u64() <= fetched["elapsed_us"].as_u64());

    let login = server.url("/x").replace("http://", "http://me:secret@");
    let ran = connie(["get", &login, "--report", "json", "-o", "/dev/null"]);
    assert_eq!(ran.exits(0).json()["url"], server.url("/x"), "without what logs in");
    assert!(!ran.out().contains("secret"));
    let fetched =
        connie(["get", &server.url("/x"), "-f", "--report", "json", "-o", "/dev/null"]).exits(22).json();
    assert_eq!((&fetched["exit_code"], &fetched["status"]), (&json!(22), &json!(404)));
    let fetched =
        connie(["get", "http://127.0.0.1:1/", "--report", "json", "-o", "/dev/null"]).exits(7).json();
    assert_eq!((&fetched["status"], &fetched["race"]["outcome"]), (&Value::Null, &json!("failed")));
}

#[test]
fn a_race_that_is_watched_has_a_line_each_time_and_tries_all_addresses() {
    let server = Server::serving("127.0.0.4:0", "");
    let target = format!("name.test:{}", server.port());
    let [option, addresses] = resolve(server.port(), "127.0.0.2,127.0.0.4");
    let arguments = ["race", "--watch", "1", "-m", "2.5", &target, &option, &addresses];
    let text = connie(arguments).exits(0).is_quiet().out();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in &lines {
        assert!(line.contains(&format!("Z connected to 127.0.0.4:{} in ", server.port())), "{line}");
        assert!(line.ends_with("; failed: 127.0.0.2 connection refused"), "{line}");
    }
    let json = connie(arguments.iter().chain(&["--json"])).exits(0).out();
    let races: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(races.len(), 3);
    assert!(races.iter().all(|race| race["attempts"].as_array().unwrap().len() == 2), "{json}");
    // One that fails goes on all the same, and the last one counts.
    let ran = connie(["race", "--watch", "1", "-m", "1.5", "127.0.0.1:1"]);
    assert_eq!(ran.exits(7).out().matches("connection refused").count(), 2, "{}", ran.out());
    connie(["race", "--watch", "1", "--svg", "/dev/null", "127.0.0.1:1"]).exits(2).says("--watch");
}
