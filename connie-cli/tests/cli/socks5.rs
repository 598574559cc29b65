//! SOCKS5 proxies: what they are asked for, and what comes of what they say.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use connie_servers::{Authority, TlsServer};

use crate::site::{Reply, Site, relay};
use crate::support::{connie, program, resolve, run};

/// How a [`SocksProxy`] behaves.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// Whom it lets in; `None` for all.
    pub login: Option<(&'static str, &'static str)>,
    /// What it replies in place of connecting.
    pub reply: Option<u8>,
    /// Where names lead.
    pub names: Option<SocketAddr>,
}

/// A SOCKS5 proxy on this machine, which remembers what it was asked for.
pub struct SocksProxy {
    server: TlsServer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    pub fn start(manner: Manner) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        let server = TlsServer::raw(move |mut stream| serve(&mut stream, manner, &log));
        SocksProxy { server, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL of it.
    pub fn url(&self, kind: &str) -> String {
        format!("{kind}://{}", self.address())
    }

    /// What it was asked for: the login, then the host and port.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).map(|()| bytes)
}

fn text(stream: &mut TcpStream) -> io::Result<String> {
    let [length] = read(stream)?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn serve(stream: &mut TcpStream, manner: Manner, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let note = |line: String| log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let [_, count] = read(stream)?;
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods)?;
    if let Some(login) = manner.login {
        if !methods.contains(&2) {
            return stream.write_all(&[5, 0xff]);
        }
        stream.write_all(&[5, 2])?;
        read::<1>(stream)?;
        let (user, password) = (text(stream)?, text(stream)?);
        note(format!("{user}:{password}"));
        let let_in = (user.as_str(), password.as_str()) == login;
        stream.write_all(&[1, u8::from(!let_in)])?;
        if !let_in {
            return Ok(());
        }
    } else {
        stream.write_all(&[5, 0])?;
    }
    let [_, _, _, kind] = read(stream)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(stream)?).to_string(),
        4 => format!("[{}]", Ipv6Addr::from(read::<16>(stream)?)),
        _ => text(stream)?,
    };
    let port = u16::from_be_bytes(read(stream)?);
    let asked = format!("{host}:{port}");
    note(asked.clone());
    let reply = manner.reply.unwrap_or(0);
    stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])?;
    match (reply, asked.parse().ok().or(manner.names)) {
        (0, Some(to)) => relay(stream, to),
        _ => Ok(()),
    }
}

fn server() -> Site {
    Site::start(|asked| Reply::ok(format!("{} {}\n", asked.target(), asked.header("host").unwrap_or("-"))))
}

#[test]
fn a_socks5_proxy_connects_to_the_server() {
    let (proxy, server) = (SocksProxy::start(Manner::default()), server());
    let host = server.address().to_string();
    for option in [["-x", "socks5"], ["-x", "socks5h"], ["--socks5", ""], ["--socks5-hostname", "http"]] {
        let [option, kind] = option;
        let value = if kind.is_empty() { proxy.address().to_string() } else { proxy.url(kind) };
        connie(["get", option, &value, "-p", &server.url("/1"), &server.url("/2")])
            .exits(0)
            .prints(&format!("/1 {host}\n/2 {host}\n"))
            .is_quiet();
    }
    assert_eq!(proxy.asked(), vec![host; 4], "one connection for both URLs");
    assert_eq!(server.connections(), 4);
    assert!(server.asked().iter().all(|asked| asked.header("proxy-authorization").is_none()));
}

#[test]
fn names_are_looked_up_where_the_kind_says() {
    let server = server();
    let port = server.address().port();
    let proxy = SocksProxy::start(Manner { names: Some(server.address()), ..Manner::default() });
    let url = format!("http://name.test:{port}/");
    let here = resolve(port, "127.0.0.4");
    let page = format!("/ name.test:{port}\n");
    connie(["get", "-x", &proxy.url("socks5h"), &url].iter().chain(&["--resolve", &here[1]]))
        .exits(0)
        .prints(&page);
    connie(["get", "-x", &proxy.url("socks5"), &url, "--resolve", &here[1]]).exits(0).prints(&page);
    connie(["get", "-x", &proxy.url("socks5"), "http://no-such.invalid/"])
        .exits(97)
        .says_lines(1)
        .says("could not resolve no-such.invalid");
    connie(["get", "-x", &proxy.url("socks5"), &url, "--resolve", &here[1], "--deny-private"])
        .exits(7)
        .says("--deny-private");
    assert_eq!(proxy.asked(), [format!("name.test:{port}"), format!("127.0.0.4:{port}")]);
}

#[test]
fn a_login_goes_to_the_proxy_alone() {
    let (proxy, server) =
        (SocksProxy::start(Manner { login: Some(("me", "secret")), ..Manner::default() }), server());
    let with_login = format!("socks5h://me:secret@{}", proxy.address());
    let url = server.url("/");
    let ran = connie(["get", "-v", "-x", &with_login, &url]);
    ran.exits(0).says(&format!("tunnel through {} to 127.0.0.4", proxy.url("socks5h")));
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    connie(["get", "--socks5", &proxy.address().to_string(), "-U", "me:secret", &url]).exits(0);
    connie(["get", "--socks5", &proxy.address().to_string(), "-U", "me:wrong", &url])
        .exits(97)
        .says("refused the user name or the password; log in to it with -U");
    connie(["get", "--socks5", &proxy.address().to_string(), &url])
        .exits(97)
        .says("asks for a login; log in to it with -U");
    let host = server.address().to_string();
    assert_eq!(proxy.asked(), ["me:secret", &host, "me:secret", &host, "me:wrong"]);
    assert!(server.asked().iter().all(|asked| !asked.head.contains("uthorization")));
}

#[test]
fn tls_is_spoken_with_the_server() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["name.test"]), |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwithin")?;
        served.close()
    });
    let proxy = SocksProxy::start(Manner { names: Some(server.address()), ..Manner::default() });
    let file = authority.file();
    let options = ["--cacert", file.path().to_str().unwrap(), "-x"];
    let get = |url: &str| connie(["get", url].iter().chain(&options).chain(&[proxy.url("socks5h").as_str()]));
    get("https://name.test/").exits(0).prints("within").is_quiet();
    get("https://other.test/").exits(60).says(&format!("through the proxy {}", proxy.url("socks5h")));
}

#[test]
fn what_a_proxy_refuses_is_an_error_of_its_own() {
    let words = [
        (1, "failed"),
        (2, "does not allow"),
        (3, "network unreachable"),
        (4, "could not reach the host"),
        (5, "refused the connection"),
        (6, "time to live"),
        (7, "does not open"),
        (8, "type of address"),
        (9, "reply 9"),
    ];
    for (reply, words) in words {
        let proxy = SocksProxy::start(Manner { reply: Some(reply), ..Manner::default() });
        let start = format!("through the proxy {} to 127.0.0.4 port 81: ", proxy.url("socks5"));
        let ran = connie(["get", "-x", &proxy.url("socks5"), "http://127.0.0.4:81/"]);
        ran.exits(97).prints("").says_lines(1).says(&start).says(words);
    }
    let other = Site::start(|_| Reply::ok("not SOCKS"));
    let web = TlsServer::raw(|mut stream| {
        read::<3>(&mut stream)?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let proxy = format!("socks5://{}", web.address());
    connie(["get", "-x", &proxy, &other.url("/")])
        .exits(97)
        .says("does not speak SOCKS5; check that the port");
    let mute = TlsServer::raw(|mut stream| io::copy(&mut stream, &mut io::sink()).map(drop));
    let proxy = format!("socks5://{}", mute.address());
    connie(["get", "-x", &proxy, &other.url("/"), "--connect-timeout", "1"]).exits(28).says_lines(1);
    let gone = TlsServer::raw(|mut stream| read::<3>(&mut stream).map(drop));
    let proxy = format!("socks5://{}", gone.address());
    connie(["get", "-x", &proxy, &other.url("/")])
        .exits(97)
        .says("closed the connection before it had connected");
    assert_eq!(other.connections(), 0);
}

#[test]
fn the_proxy_is_raced_like_any_server() {
    let (proxy, server) = (SocksProxy::start(Manner::default()), server());
    let port = proxy.address().port();
    // Nothing listens on the first of its addresses.
    let entry = resolve(port, "127.0.0.9,127.0.0.1");
    let value = format!("socks5h://name.test:{port}");
    let ran = connie(["get", "-v", "-x", &value, &server.url("/"), &entry[0], &entry[1]]);
    ran.exits(0).says("127.0.0.9").says("127.0.0.1");
}

#[test]
fn the_environment_names_socks5_proxies_too() {
    let (proxy, server) = (SocksProxy::start(Manner::default()), server());
    let mut command = program();
    command.args(["get", &server.url("/")]).env("all_proxy", proxy.url("socks5h"));
    run(&mut command, b"").exits(0);
    let mut command = program();
    let excepted = ["get", "--noproxy", "127.0.0.4", "--socks5", "127.0.0.1:1"];
    command.args(excepted).arg(server.url("/"));
    run(&mut command, b"").exits(0);
    // The last one counts.
    let last = ["get", "-x", "127.0.0.1:1", "--socks5", "127.0.0.1:1", "--socks5-hostname"];
    connie(last.iter().chain(&[proxy.address().to_string().as_str(), &server.url("/")])).exits(0);
    assert_eq!(proxy.asked().len(), 2);
}
