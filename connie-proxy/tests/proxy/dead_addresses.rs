//! Programs use the proxy on a network of the kernel's where eleven of twelve addresses are dead. Their SYNs
//! are counted on the wire.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use connie_lab::{Behaviour, Lab, WireLog, in_namespace, ms, v4, v6};
use connie_servers::{Live, find, limits, skip};

use crate::support::{LIMIT, Running, config_with_name};

const URL: &str = "http://name.test/";

/// The round trip to the host.
const ROUND_TRIP: Duration = ms(200);

/// A host of which one address answers after that time, and a proxy that knows its addresses.
struct Site {
    _live: Live,
    proxy: Running,
}

impl Site {
    fn start(lab: &Lab) -> Self {
        let live = Live::http((Ipv4Addr::UNSPECIFIED, 0), "the page");
        let addresses: Vec<IpAddr> = (1..=6).map(v6).chain((1..=6).map(v4)).collect();
        lab.set(v4(6), Behaviour::accept(ROUND_TRIP).to_port(live.address().port()));
        Site { _live: live, proxy: Running::start(config_with_name("name.test", 80, &addresses)) }
    }

    /// What the wire saw of one visit.
    #[track_caller]
    fn visit(&self, lab: &Lab, program: &Path, words: &[&str], variables: &[(&str, &str)]) -> WireLog {
        lab.clear_log();
        let mut command = Command::new(program);
        command.env_remove("no_proxy").env_remove("NO_PROXY").envs(variables.iter().copied()).args(words);
        let output = limits::output(&mut command).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the page", "{words:?}: {said}");
        let log = lab.wait_until(LIMIT, |log| log.open().is_empty());
        let won: Vec<_> =
            log.attempts().iter().filter_map(|it| Some(it.established? - it.started())).collect();
        assert!(matches!(won[..], [took] if took < ROUND_TRIP * 5), "{words:?}: {log}");
        log
    }
}

fn syns(log: &WireLog) -> usize {
    log.attempts().iter().map(|attempt| attempt.syns.len()).sum()
}

/// The first visit tries all addresses, and the others one. On a busy machine the answer may come before the
/// last address is tried, or be so late that another is tried, or the same one again.
#[track_caller]
fn one_is_called_after_the_first(counts: &[usize]) {
    assert!(counts[0] > 6, "{counts:?}");
    let one = counts[1..].iter().filter(|count| **count == 1).count();
    assert!(one * 2 > counts.len() - 1, "{counts:?}");
}

#[test]
fn curl_costs_one_syn_after_the_first_visit() {
    if find("curl").is_none() {
        return skip("curl", "apt-get install curl");
    }
    in_namespace(|lab| {
        let curl = find("curl").unwrap();
        let site = Site::start(lab);
        let [socks, http] = ["socks5h", "http"].map(|scheme| format!("{scheme}://{}", site.proxy.address));
        let fetch = ["-sS", "-q", "--noproxy", "", "-m", "15", URL];
        let ways = [vec!["-x", &*socks], vec!["-x", &*http], vec!["-p", "-x", &*http], vec!["-x", &*socks]];
        let visit = |way: &Vec<&str>| syns(&site.visit(lab, &curl, &[&way[..], &fetch].concat(), &[]));
        one_is_called_after_the_first(&ways.iter().map(visit).collect::<Vec<_>>());
    });
}

#[test]
fn python_costs_one_syn_after_the_first_visit() {
    if find("python3").is_none() {
        return skip("python3", "apt-get install python3");
    }
    in_namespace(|lab| {
        let python = find("python3").unwrap();
        let site = Site::start(lab);
        let script =
            "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')";
        let by = format!("http://{}", site.proxy.address);
        let visit = |_| syns(&site.visit(lab, &python, &["-c", script, URL], &[("http_proxy", &*by)]));
        one_is_called_after_the_first(&(0..4).map(visit).collect::<Vec<_>>());
    });
}
