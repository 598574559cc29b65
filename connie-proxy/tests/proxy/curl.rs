//! curl, through the proxy in each way that it knows.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use connie_proxy::Credentials;
use connie_servers::{BlackHole, Live, find, limits, skip};

use crate::support::{Running, config_with_name};

fn curl(program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.args(["-sS", "-q", "--noproxy", "", "-m", "15"]).args(arguments);
    let output = limits::output(&mut command).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_page_comes_though_most_addresses_are_dead() {
    let Some(program) = find("curl") else { return skip("curl", "apt-get install curl") };
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "the page");
    let port = live.address().port();
    let dead: Vec<_> = (2..=12).map(|last| BlackHole::open(([127, 0, 0, last], port))).collect();
    let mut addresses: Vec<IpAddr> = dead.iter().map(|hole| hole.address().ip()).collect();
    addresses.push(live.address().ip());
    let mut config = config_with_name("name.test", port, &addresses);
    config.users = vec![Credentials { user: "me".to_owned(), password: "secret".to_owned() }];
    let proxy = Running::start(config);
    let (url, address) = (format!("http://name.test:{port}/"), proxy.address.to_string());
    let [socks, http] = ["socks5h", "http"].map(|scheme| format!("{scheme}://me:secret@{address}"));
    for options in [&["-x", &*socks][..], &["-x", &http], &["-x", &http, "-p"], &["-x", &http, "--http1.0"]] {
        let arguments = [options, &[&*url]].concat();
        assert_eq!(curl(&program, &arguments), (Some(0), "the page".to_owned()), "{options:?}");
    }
    let wrong = format!("socks5h://me:guess@{address}");
    assert_eq!(curl(&program, &["-x", &wrong, &url]).0, Some(97));
    let upload = ["-x", &*http, "-d", "a=b", "-H", "Transfer-Encoding: chunked", &*url];
    assert_eq!(curl(&program, &upload), (Some(0), "the page".to_owned()));
}
