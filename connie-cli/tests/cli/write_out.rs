//! `-w`: what is told of a transfer. That it is told as curl tells it is for `parity.rs`.

use crate::site::{Reply, Site};
use crate::support::{connie, fresh_path};

const TIMES: &str = "%{num_connects} %{remote_port} %{time_namelookup} %{time_connect} %{time_appconnect} \
    %{time_pretransfer} %{time_starttransfer} %{time_total}\\n";

#[test]
fn times_count_from_the_start_and_a_kept_connection_takes_none() {
    let site = Site::start(|_| Reply::ok(""));
    let ran = connie(["get", &site.url("/1"), &site.url("/2"), "-w", TIMES]);
    let out = ran.exits(0).is_quiet().out();
    let lines: Vec<Vec<f64>> =
        out.lines().map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect()).collect();
    let [first, second] = lines.as_slice() else { panic!("{out}") };
    let port = f64::from(site.address().port());
    assert_eq!((first[0], first[1], second[0], second[1]), (1.0, port, 0.0, port), "{out}");
    // No name was looked up and no TLS spoken; the rest took its time, in this order.
    let [resolved, connected, secured, sent, answered, ended] = first[2..] else { panic!("{out}") };
    assert!(connected > 0.0 && resolved <= connected && secured == 0.0, "{out}");
    assert!(connected <= sent && sent <= answered && answered <= ended, "{out}");
    assert_eq!(second[2..5], [0.0; 3], "{out}");
    assert!(second[5] <= second[6] && second[6] <= second[7] && second[7] > 0.0, "{out}");
}

#[test]
fn addresses_are_told_without_what_logs_in() {
    let site = Site::start(|asked| match asked.target() {
        "/away" => Reply::to("302 Found", "/"),
        _ => Reply::ok(""),
    });
    let login = site.url("/away").replace("http://", "http://me:secret@");
    let told = format!("{} {} {}", site.url("/away"), site.url("/away"), site.url("/"));
    connie(["get", &login, "-o", "/dev/null", "-w", "%{url} %{url_effective} %{redirect_url}"])
        .exits(0)
        .prints(&told);
    connie(["get", &login, "-L", "-w", "%{url_effective} %{num_redirects}"])
        .exits(0)
        .prints(&format!("{} 1", site.url("/")));
}

#[test]
fn what_cannot_be_told_is_refused() {
    connie(["get", "http://127.0.0.1:1/", "-w", "@/nonexistent/file"]).exits(26).says_lines(1);
    connie(["get", "http://127.0.0.1:1/", "-o", "/dev/null", "--report", "json", "-w", "x"])
        .exits(2)
        .prints("")
        .says("--report json and -w")
        .says_lines(1);
}

#[test]
fn a_format_may_hold_any_octets() {
    let site = Site::start(|_| Reply::ok(""));
    let path = fresh_path("format");
    std::fs::write(&path, b"a\xfc%{http_code}\xff\n%{\xfc}b").unwrap();
    let ran = connie(["get", &site.url("/"), "-w", &format!("@{}", path.display())]);
    assert_eq!(ran.exits(0).stdout, b"a\xfc200\xffb");
}
