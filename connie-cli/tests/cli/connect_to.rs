//! `--connect-to`, `-H @FILE` and `--happy-eyeballs-timeout-ms`, beyond what the table beside curl shows.

use connie_servers::{Authority, TlsServer};

use crate::site::{Reply, Site};
use crate::support::{connie, resolve};

#[test]
fn a_certificate_is_that_of_the_host_in_the_url() {
    let authority = Authority::new();
    let page = |served: &mut connie_servers::Served| {
        let name = served.server_name().unwrap_or_default().to_owned();
        served.read_head()?;
        served.write_all(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()).as_bytes(),
        )?;
        served.close()
    };
    let (file, good) = (authority.file(), TlsServer::start(&authority.certify(&["name.test"]), page));
    let trusted = ["--cacert", file.path().to_str().unwrap()];
    let to = format!("name.test:443:127.0.0.1:{}", good.address().port());
    let get = |url: &str| connie(["get", url, "--connect-to", &to].iter().chain(&trusted));
    get("https://name.test/").exits(0).prints("name.test").is_quiet();
    let other = TlsServer::start(&authority.certify(&["127.0.0.1"]), page);
    let to = format!("::127.0.0.1:{}", other.address().port());
    let ran = connie(["get", "https://name.test/", "--connect-to", &to].iter().chain(&trusted));
    ran.exits(60).says("name");
}

#[test]
fn a_proxy_opens_a_tunnel_to_where_it_leads() {
    let proxy = Site::start(|_| Reply::status("403 Forbidden", "", ""));
    let address = proxy.address().to_string();
    connie(["get", "http://name.test/", "-x", &address, "--connect-to", "::other.test:81"]).exits(56);
    assert_eq!(proxy.lines(), ["CONNECT other.test:81"]);
}

#[test]
fn headers_of_a_file_that_cannot_be_read_are_an_error() {
    connie(["get", "http://127.0.0.1:1/", "-H", "@/nonexistent/file"])
        .exits(26)
        .says_lines(1)
        .says("No such file");
}

#[test]
fn the_delay_of_staggered_can_be_chosen() {
    let site = Site::start(|_| Reply::ok("page"));
    let port = site.address().port();
    let hole = connie_servers::BlackHole::open(([127, 0, 0, 6], port));
    let [option, addresses] = resolve(port, "127.0.0.6,127.0.0.4");
    let target = format!("name.test:{port}");
    let race = |ms: &str| {
        let words = ["race", "--json", "--pacing", "staggered", "--happy-eyeballs-timeout-ms", ms];
        let report = connie(words.iter().copied().chain([&*target, &*option, &*addresses])).exits(0).json();
        report["attempts"][1]["started_us"].as_u64().unwrap() / 1000
    };
    let (short, long) = (race("20"), race("600"));
    assert!((20..250).contains(&short) && (600..900).contains(&long), "{short} {long}");
    drop(hole);
}
