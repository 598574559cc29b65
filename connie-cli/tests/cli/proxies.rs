//! Proxies: who is asked for what, as the options and the environment say.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_servers::TlsServer;

use crate::site::{Reply, Site};
use crate::support::{Ran, connie, program, run};

/// A proxy that answers for every server, and opens every tunnel that leads to one on this machine.
fn proxy() -> Site {
    Site::start(|asked| match (asked.method(), asked.target().parse()) {
        ("CONNECT", Ok(address)) => Reply::Tunnel(b"HTTP/1.1 200 Go\r\n\r\n".into(), address),
        ("CONNECT", Err(_)) => Reply::status("502 Bad Gateway", "", ""),
        _ => Reply::ok(format!("by proxy: {}\n", asked.target())),
    })
}

fn server() -> Site {
    Site::start(|asked| Reply::ok(format!("direct: {}\n", asked.target())))
}

fn with_environment(variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command: Command = program();
    command.arg("get").args(arguments).envs(variables.iter().copied());
    run(&mut command, b"")
}

#[test]
fn a_proxy_is_asked_in_absolute_form() {
    let proxy = proxy();
    let address = proxy.address().to_string();
    connie(["get", "-x", &address, "http://name.test/a?b", "http://other.test:81/"])
        .exits(0)
        .prints("by proxy: http://name.test/a?b\nby proxy: http://other.test:81/\n")
        .is_quiet();
    let asked = proxy.asked();
    assert_eq!(asked[0].line(), "GET http://name.test/a?b HTTP/1.1");
    assert_eq!(asked[0].header("host"), Some("name.test"));
    assert_eq!(asked[1].header("host"), Some("other.test:81"));
    assert_eq!(asked[0].header("proxy-connection"), None, "RFC 9112 appendix C.2.2");
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn logins_go_to_whom_they_are_for() {
    let proxy = proxy();
    let address = proxy.address();
    let with_login = format!("http://me:secret@{address}");
    connie(["get", "-x", &with_login, "http://you:there@name.test/"]).exits(0);
    connie(["get", "-x", &address.to_string(), "-U", "me:secret", "http://name.test/"]).exits(0);
    let asked = proxy.asked();
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(asked[0].header("authorization"), Some("Basic eW91OnRoZXJl"));
    assert_eq!(asked[0].target(), "http://name.test/", "no login in the URL");
    assert_eq!(asked[1].header("proxy-authorization"), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn a_tunnel_leads_to_the_server() {
    let (proxy, server) = (proxy(), server());
    let login = format!("http://me:secret@{}", proxy.address());
    let options = ["-p", "-x", &login, "-A", "me/1", "-H", "X-For: server"];
    connie(["get", &server.url("/1"), &server.url("/2")].iter().chain(&options))
        .exits(0)
        .prints("direct: /1\ndirect: /2\n")
        .is_quiet();
    let connect = proxy.one();
    let target = server.address().to_string();
    assert_eq!(
        connect.head,
        format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\nUser-Agent: me/1\r\n\r\n"
        )
    );
    assert_eq!(server.connections(), 1);
    assert!(server.asked().iter().all(|asked| asked.header("proxy-authorization").is_none()));
    assert_eq!(server.asked()[0].header("x-for"), Some("server"));
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_an_error() {
    for (status, advice) in [("403 Forbidden", "--noproxy"), ("407 Proxy Authentication Required", "-U")] {
        let proxy = Site::start(move |_| Reply::status(status, "", "the proxy's page"));
        let address = proxy.address().to_string();
        let ran = connie(["get", "-p", "-x", &address, "http://127.0.0.4:81/"]);
        ran.exits(56).prints("").says_lines(1).says(&status[..3]).says(advice);
    }
}

#[test]
fn a_proxy_that_is_not_there_is_an_error() {
    let fails = |proxy: &str, code: i32, part: &str| {
        connie(["get", "-x", proxy, "http://name.test/"]).exits(code).prints("").says(part);
    };
    fails("http://no-such-host.invalid:3128", 5, "could not resolve no-such-host.invalid");
    fails("127.0.0.1:1", 7, "127.0.0.1:1: connection refused");
    fails("socks4://127.0.0.1", 7, "socks4");
    fails("socks5://127.0.0.1:1", 7, "could not reach the proxy socks5://127.0.0.1:1");
    fails("socks5h://no-such-host.invalid", 5, "could not resolve no-such-host.invalid");
    fails("127.0.0.1:x", 5, "not a port");
}

#[test]
fn the_environment_names_proxies() {
    let (proxy, server) = (proxy(), server());
    let address = proxy.address().to_string();
    let url = server.url("/");
    let by_proxy = format!("by proxy: {url}\n");
    let is = |variables: &[(&str, &str)], options: &[&str], by: bool| {
        let ran = with_environment(variables, &[&[url.as_str()], options].concat());
        ran.exits(0).prints(if by { &by_proxy } else { "direct: /\n" }).is_quiet();
    };
    is(&[], &[], false);
    is(&[("http_proxy", &address)], &[], true);
    is(&[("HTTP_PROXY", &address)], &[], false);
    is(&[("https_proxy", &address)], &[], false);
    is(&[("all_proxy", &address)], &[], true);
    is(&[("ALL_PROXY", &address)], &[], true);
    is(&[("http_proxy", &address), ("no_proxy", "127.0.0.4")], &[], false);
    is(&[("http_proxy", &address), ("NO_PROXY", "127.0.0.0/8")], &[], false);
    is(&[("http_proxy", &address), ("no_proxy", "*")], &[], false);
    is(&[("http_proxy", &address), ("no_proxy", "name.test")], &[], true);
    is(&[("http_proxy", &address)], &["--noproxy", "127.0.0.4"], false);
    is(&[("http_proxy", &address), ("no_proxy", "*")], &["--noproxy", ""], true);
    is(&[("http_proxy", &address)], &["--proxy", ""], false);
    is(&[("http_proxy", "127.0.0.1:1")], &["--proxy", &address], true);
    is(&[("no_proxy", "*")], &["--proxy", &address], false);
}

#[test]
fn a_redirect_may_need_another_way() {
    let (proxy, server) = (proxy(), server());
    let to = server.url("/to");
    let first = Site::start(move |_| Reply::to("302 Found", &to));
    let address = proxy.address().to_string();
    let variables = [("http_proxy", address.as_str()), ("no_proxy", "localhost")];
    let port = first.address().port();
    let entry = format!("localhost:{port}:127.0.0.4");
    let ran =
        with_environment(&variables, &["-L", "--resolve", &entry, &format!("http://localhost:{port}/")]);
    ran.exits(0).prints(&format!("by proxy: {}\n", server.url("/to")));
}

#[test]
fn verbose_shows_no_passwords() {
    let proxy = proxy();
    let login = format!("http://me:proxypass@{}", proxy.address());
    let ran = connie(["get", "-v", "-x", &login, "-u", "me:userpass", "http://name.test/"]);
    ran.exits(0).says("> Proxy-Authorization: Basic (not shown)").says("> Authorization: Basic (not shown)");
    for secret in ["userpass", "proxypass", "bWU6"] {
        assert!(!ran.stderr.contains(secret), "{secret}: {}", ran.stderr);
    }
}

/// A proxy that reads the head of each request, and goes on as told. The number of the connection comes
/// first.
fn proxy_that(behave: impl Fn(usize, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> TlsServer {
    let count = AtomicUsize::new(0);
    TlsServer::raw(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 1024];
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                count => head.extend_from_slice(&piece[..count]),
            }
        }
        behave(count.fetch_add(1, Ordering::SeqCst), &mut stream)
    })
}

/// Says nothing more until the client is gone.
fn silence(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "a slow proxy is slow in real time")]
fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// How long a run took that asks `proxy` for a tunnel, and ended with 28 and a line that names the proxy.
#[track_caller]
fn times_out(proxy: &TlsServer, options: &[&str]) -> Duration {
    let address = proxy.address().to_string();
    let tunnel = ["get", "https://name.test/", "-x", &address, "--report", "json", "-o", "/dev/null"];
    let ran = connie(tunnel.iter().chain(options));
    ran.exits(28).says_lines(1).says(&format!("the proxy http://{address}")).says("--connect-timeout");
    Duration::from_micros(ran.json()["elapsed_us"].as_u64().unwrap())
}

#[test]
fn the_connect_timeout_holds_for_the_way_through_a_proxy() {
    let limit = |elapsed: Duration| {
        assert!(elapsed >= Duration::from_secs(1) && elapsed < Duration::from_secs(8), "{elapsed:?}");
    };
    let mute = proxy_that(|_, stream| silence(stream));
    limit(times_out(&mute, &["--connect-timeout", "1"]));
    limit(times_out(&mute, &["--max-time", "1"]));
    // An octet every third of a second, for half a minute: no silence is long.
    let trickling = proxy_that(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
        for _ in 0..90 {
            stream.write_all(b"x")?;
            pause(300);
        }
        Ok(())
    });
    limit(times_out(&trickling, &["--connect-timeout", "1"]));
    limit(times_out(&trickling, &["--max-time", "1"]));
    let tls = proxy_that(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        silence(stream)
    });
    limit(times_out(&tls, &["--connect-timeout", "1"]));
    // The tunnel for the first URL is refused; the one for the second is another connection.
    let second = proxy_that(|number, stream| match number {
        0 => stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        _ => silence(stream),
    });
    let address = second.address().to_string();
    let urls = ["get", "https://a.test/", "https://b.test/", "-x", &address, "--connect-timeout", "1"];
    connie(urls).exits(28).says("answered 403").says("b.test port 443 in the time allowed");
}

#[test]
fn all_of_a_connection_has_one_limit() {
    // The tunnel takes two seconds of three. TLS within it has one left, and not three.
    let slow = proxy_that(|_, stream| {
        pause(2_000);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        silence(stream)
    });
    let elapsed = times_out(&slow, &["--connect-timeout", "3"]);
    assert!(elapsed >= Duration::from_secs(3) && elapsed < Duration::from_millis(4_900), "{elapsed:?}");
}

#[test]
fn a_tunnel_that_is_there_has_no_more_limit() {
    let server = Site::start(|_| {
        pause(1_500);
        Reply::ok("late\n")
    });
    let proxy = proxy();
    let address = proxy.address().to_string();
    connie(["get", &server.url("/"), "-p", "-x", &address, "--connect-timeout", "1"])
        .exits(0)
        .prints("late\n");
}

#[test]
fn a_proxy_that_does_not_answer_as_one_is_named() {
    for (answer, part) in [
        ("", "closed the connection without an answer to CONNECT; it may not allow that host"),
        ("HTTP/1.1 200", "closed before the response head was complete; try again"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "the response is not HTTP; check that the port belongs to an http proxy"),
    ] {
        let proxy = proxy_that(move |_, stream| stream.write_all(answer.as_bytes()));
        let address = proxy.address().to_string();
        let ran = connie(["get", "https://name.test/", "-x", &address]);
        ran.exits(56).says_lines(1).says(&format!("the proxy http://{address}")).says(part);
    }
}
