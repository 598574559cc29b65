//! Proxies that are not plain HTTP.

use std::io::Write;

use connie_servers::{Authority, TlsServer};

use super::Table;
use crate::https_proxy::HttpsProxy;
use crate::site::{Reply, Site};
use crate::socks5::{Manner, SocksProxy};

/// A site behind a SOCKS5 proxy of this manner, asked with these options, in which `PROXY` is the proxy.
fn behind(table: &mut Table, what: &str, manner: Manner, url: &str, options: &[&str]) {
    table.row(what, |run| {
        let site = Site::start(|asked| {
            Reply::ok(format!("{} {:?}\n", asked.line(), asked.header("proxy-authorization")))
        });
        let names = manner.names.is_none().then(|| site.address());
        let proxy = SocksProxy::start(Manner { names, ..manner });
        let address = proxy.address().to_string();
        let url = url.replace("SITE", &site.address().to_string());
        let options: Vec<String> = options.iter().map(|option| option.replace("PROXY", &address)).collect();
        let all: Vec<&str> = [url.as_str(), "-A", "a", "-w", "%{http_code}"]
            .into_iter()
            .chain(options.iter().map(String::as_str))
            .collect();
        run(&all);
    });
}

pub fn socks5(table: &mut Table) {
    let open = Manner::default();
    let closed = Manner { login: Some(("me", "secret")), ..open };
    behind(table, "socks5", open, "http://SITE/a?b", &["-x", "socks5://PROXY"]);
    behind(table, "socks5h", open, "http://SITE/", &["-x", "socks5h://PROXY"]);
    behind(table, "socks5h, a name", open, "http://name.test/", &["-x", "socks5h://PROXY"]);
    behind(table, "--socks5", open, "http://SITE/", &["--socks5", "PROXY"]);
    behind(table, "--socks5-hostname", open, "http://name.test/", &["--socks5-hostname", "PROXY"]);
    behind(table, "--socks5 http://", open, "http://SITE/", &["--socks5", "http://PROXY"]);
    behind(table, "socks5 -p", open, "http://SITE/", &["-p", "-x", "socks5://PROXY"]);
    behind(table, "the last one counts", open, "http://SITE/", &["-x", "127.0.0.1:1", "--socks5", "PROXY"]);
    behind(table, "--noproxy", open, "http://SITE/", &["--socks5", "127.0.0.1:1", "--noproxy", "127.0.0.4"]);
    behind(table, "a login", closed, "http://SITE/", &["-x", "socks5://me:secret@PROXY"]);
    behind(table, "-U", closed, "http://SITE/", &["--socks5", "PROXY", "-U", "me:secret"]);
    behind(table, "a wrong login", closed, "http://SITE/", &["--socks5", "PROXY", "-U", "me:x"]);
    behind(table, "no login", closed, "http://SITE/", &["--socks5", "PROXY"]);
    behind(table, "an unknown name", open, "http://no-such.invalid/", &["--socks5", "PROXY"]);
    for reply in [1, 2, 5, 8, 200] {
        let manner = Manner { reply: Some(reply), ..open };
        behind(table, &format!("reply {reply}"), manner, "http://SITE/", &["--socks5", "PROXY"]);
    }
    table.line(&["http://127.0.0.4/", "--socks5", "127.0.0.1:1"]);
    table.line(&["http://127.0.0.4/", "-x", "socks6://127.0.0.1:1"]);
    for said in ["HTTP/1.1 400 Bad Request\r\n\r\n", "", "\u{5}"] {
        table.row(&format!("a proxy that says {said:?}"), |run| {
            let server = TlsServer::raw(move |mut stream| {
                std::io::Read::read(&mut stream, &mut [0; 64])?;
                stream.write_all(said.as_bytes())
            });
            run(&["http://127.0.0.4:81/", "--socks5", &server.address().to_string()]);
        });
    }
    table.row("a mute proxy", |run| {
        let server = TlsServer::raw(|mut stream| std::io::copy(&mut stream, &mut std::io::sink()).map(drop));
        run(&["http://127.0.0.4:81/", "-m", "1", "--socks5", &server.address().to_string()]);
    });
}

/// An https proxy asked with these options, in which `FILE` has its authority and `SITE` is a site behind it.
fn within_tls(table: &mut Table, what: &str, options: &[&str]) {
    table.row(what, |run| {
        let site = Site::start(|asked| Reply::ok(format!("{}\n", asked.line())));
        let proxy = HttpsProxy::start(None);
        let (url, address) = (proxy.url(), site.address().to_string());
        let options = options.iter().map(|text| text.replace("FILE", proxy.file()).replace("SITE", &address));
        let options: Vec<String> = options.collect();
        let all: Vec<&str> =
            ["-x", url.as_str()].into_iter().chain(options.iter().map(String::as_str)).collect();
        run(&all);
    });
}

pub fn https(table: &mut Table) {
    within_tls(table, "an https proxy", &["--proxy-cacert", "FILE", "http://name.test/a"]);
    within_tls(table, "--proxy-insecure", &["--proxy-insecure", "http://name.test/a"]);
    within_tls(table, "an unknown https proxy", &["http://name.test/"]);
    within_tls(table, "an https proxy, -k", &["-k", "http://name.test/"]);
    within_tls(table, "an https proxy, --cacert", &["--cacert", "FILE", "http://name.test/"]);
    within_tls(table, "an https proxy, -p", &["--proxy-cacert", "FILE", "-p", "http://SITE/a"]);
    within_tls(table, "no tunnel", &["--proxy-cacert", "FILE", "https://name.test/"]);
    within_tls(table, "no such file", &["--proxy-cacert", "/nonexistent", "http://name.test/"]);
    table.row("an https proxy that is not", |run| {
        let plain = TlsServer::plain_http();
        run(&["-x", &format!("https://{}", plain.address()), "http://name.test/"]);
    });
    table.row("TLS within TLS", |run| {
        let authority = Authority::new();
        let server = TlsServer::start(&authority.certify(&["name.test"]), |served| {
            served.read_head()?;
            served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwithin")?;
            served.close()
        });
        let proxy = HttpsProxy::start(Some(server.address()));
        let file = authority.file();
        let trust = ["--cacert", file.path().to_str().unwrap(), "--proxy-cacert", proxy.file()];
        run(&[&trust[..], &["-x", &proxy.url(), "https://name.test/"]].concat());
    });
}
