//! The program beside curl: the same command line against the same server has the same exit code and the same
//! output.

mod certificates;
mod codings;
mod heads;
mod odd;
mod options;
mod parallel;
mod patterns;
mod proxies;
mod urls;

use std::process::Command;

use connie_servers::{Authority, BlackHole, Identity, PemFile, TlsServer, skip};

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::{Ran, fresh_path, program, run};

/// Runs curl. None of what it takes from the machine's configuration.
fn curl(arguments: &[String]) -> Ran {
    let mut command = Command::new("curl");
    command.arg("-q").args(arguments);
    // In which encoding it takes hosts of other scripts.
    command.env("LC_ALL", "C.UTF-8");
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    run(&mut command, b"from stdin\n")
}

fn ours(arguments: &[String]) -> Ran {
    run(program().arg("get").args(arguments), b"from stdin\n")
}

/// The rows of a table: what was run, and in what the two differ.
#[derive(Default)]
struct Table {
    rows: usize,
    differences: Vec<String>,
    codes: Vec<i32>,
}

impl Table {
    /// One situation, which `peer` makes anew for each program: it answers the arguments.
    fn row(&mut self, what: &str, peer: impl Fn(&mut dyn FnMut(&[&str]) -> Ran)) {
        let both = [curl as fn(&[String]) -> Ran, ours].map(|client| {
            let mut ran = None;
            peer(&mut |arguments: &[&str]| {
                let arguments: Vec<String> =
                    ["-s"].iter().chain(arguments).map(|&text| text.to_owned()).collect();
                let outcome = client(&arguments);
                let known = Ran { code: outcome.code, stdout: outcome.stdout.clone(), stderr: String::new() };
                ran = Some(outcome);
                known
            });
            ran.expect("the situation runs the client")
        });
        let [theirs, ours] = both;
        self.rows += 1;
        self.codes.push(theirs.code.unwrap_or(-1));
        if theirs.code != ours.code {
            self.differences.push(format!(
                "{what}: curl exits with {:?}, connie with {:?}: {}",
                theirs.code, ours.code, ours.stderr
            ));
        } else if theirs.stdout != ours.stdout {
            self.differences.push(format!("{what}: curl prints {:?}, connie {:?}", theirs.out(), ours.out()));
        }
    }

    /// One answer, octet for octet.
    fn answer(&mut self, what: &str, answer: &str, end: End, options: &[&str]) {
        self.row(what, |run| {
            let server = Server::answering("127.0.0.4:0", answer, end);
            run(&[&[server.url("/").as_str()], options].concat());
        });
    }

    /// A site that answers so.
    fn site(&mut self, what: &str, answer: fn(&crate::site::Asked) -> Reply, path: &str, options: &[&str]) {
        self.row(what, |run| {
            let site = Site::start(answer);
            run(&[&[site.url(path).as_str()], options].concat());
        });
    }

    /// Only arguments.
    fn line(&mut self, arguments: &[&str]) {
        self.row(&arguments.join(" "), |run| {
            run(arguments);
        });
    }
}

#[test]
fn the_two_agree() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("curl", "apt-get install curl");
    }
    let mut table = Table::default();
    answers(&mut table);
    lines(&mut table);
    redirects(&mut table);
    files(&mut table);
    tls(&mut table);
    written_out(&mut table);
    patterns::patterns(&mut table);
    codings::codings(&mut table);
    options::options(&mut table);
    parallel::parallel(&mut table);
    proxies::socks5(&mut table);
    proxies::https(&mut table);
    certificates::certificates(&mut table);
    heads::heads(&mut table);
    urls::urls(&mut table);
    odd::answers(&mut table);
    assert!(table.rows >= 700, "{} situations", table.rows);
    assert!(table.differences.is_empty(), "of {} rows:\n{}", table.rows, table.differences.join("\n"));
    for code in [0, 1, 3, 5, 6, 7, 8, 18, 22, 23, 26, 28, 33, 35, 45, 47, 52, 56, 58, 60, 61, 65, 77, 97] {
        assert!(table.codes.contains(&code), "no row has the exit code {code}");
    }
}

fn answers(table: &mut Table) {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    table.answer("a page", page, End::Wait, &[]);
    table.answer("its head", page, End::Close, &["-I"]);
    table.answer("head and body", page, End::Wait, &["-i"]);
    table.answer("until close", "HTTP/1.1 200 OK\r\n\r\npage", End::Close, &[]);
    table.answer("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\npage", End::Close, &[]);
    table.answer(
        "chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
        End::Wait,
        &[],
    );
    table.answer("204", "HTTP/1.1 204 No Content\r\n\r\n", End::Wait, &[]);
    table.answer(
        "early hints",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        End::Wait,
        &[],
    );
    odd_answers(table);
    cut_off(table);
    table.answer("a full disk", page, End::Wait, &["-o", "/dev/full"]);
    table.answer("no such folder", page, End::Wait, &["-o", "/nonexistent/file"]);
    table.answer("no name for a file", page, End::Wait, &["-O"]);
}

/// Answers that are not as the standard has them.
fn odd_answers(table: &mut Table) {
    let fields = "X: 1\r\n".repeat(200);
    let many = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\npage");
    table.answer("two hundred fields", &many, End::Wait, &[]);
    table.answer(
        "a script's warning among the fields",
        "HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n\r\npage",
        End::Wait,
        &[],
    );
    table.answer(
        "a NUL in a field",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 4\r\n\r\npage",
        End::Wait,
        &[],
    );
    table.answer(
        "a transfer coding that nobody knows",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: x-zip, chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
        End::Wait,
        &[],
    );
    let beyond = "HTTP/1.1 600 Beyond\r\nContent-Length: 4\r\n\r\npage";
    table.answer("a status beyond 599", beyond, End::Wait, &[]);
    table.answer("a status beyond 599, which fails", beyond, End::Wait, &["-f"]);
}

/// Answers that end early, or not at all.
fn cut_off(table: &mut Table) {
    table.answer("nothing", "", End::Close, &[]);
    table.answer("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", End::Close, &[]);
    table.answer(
        "half a chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        End::Close,
        &[],
    );
    table.answer(
        "no last chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        End::Close,
        &[],
    );
    table.answer(
        "a bad chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        End::Wait,
        &[],
    );
    table.answer("a bad length", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", End::Wait, &[]);
    table.answer(
        "a reset",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        End::Reset,
        &["-o", "/dev/null"],
    );
    table.answer("404", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry", End::Wait, &[]);
    table.answer(
        "404 with -f",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry",
        End::Wait,
        &["-f"],
    );
    table.answer(
        "404 with its body",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry",
        End::Wait,
        &["--fail-with-body"],
    );
    table.answer("silence", "", End::Wait, &["-m", "1"]);
    table.answer(
        "silence in the body",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        End::Wait,
        &["-m", "1"],
    );
}

fn lines(table: &mut Table) {
    table.line(&["ftq://h/"]);
    table.line(&["http://h:99999/"]);
    table.line(&["http://127.0.0.1:1/"]);
    table.line(&["http://no-such-host.invalid/"]);
    table.line(&["-x", "http://no-such-host.invalid:1", "http://h/"]);
    table.line(&["-x", "127.0.0.1:1", "http://h/"]);
    table.line(&["-x", "http://127.0.0.1:x", "http://h/"]);
    table.line(&["-T", "/nonexistent/file", "http://127.0.0.1:1/"]);
    table.line(&["--no-such-option", "http://127.0.0.1:1/"]);
    table.line(&["http://127.0.0.1:1/", "-m", "soon"]);
    for option in ["-m", "--connect-timeout", "--retry-delay", "--retry-max-time", "--expect100-timeout"] {
        table.line(&["http://127.0.0.1:1/", option, "9223372036854775"]);
        table.line(&["http://127.0.0.1:1/", option, "1000000000000000000"]);
    }
    table.line(&["http://127.0.0.1:1/", "--interface", "192.0.2.1"]);
    for options in [
        &["--interface", "127.0.0.9"][..],
        &["--interface", "host!127.0.0.9"],
        &["--interface", "lo"],
        &["--keepalive-time", "30"],
        &["--no-keepalive"],
    ] {
        table.row(&options.join(" "), |run| {
            let site = Site::start(|_| Reply::ok("page"));
            run(&[&[site.url("/").as_str()], options].concat());
        });
    }
    table.row("a server that asks for more patience than there is", |run| {
        let busy = Site::start(|_| Reply::status("503 Busy", "Retry-After: 9000\r\n", "busy"));
        run(&["--retry", "1", "--retry-max-time", "5", &busy.url("/")]);
    });
    table.row("a silent address", |run| {
        let hole = BlackHole::open(([127, 0, 0, 5], 0));
        run(&["--connect-timeout", "1", &format!("http://{}/", hole.address())]);
    });
    table.row("a proxy that refuses", |run| {
        let proxy = Site::start(|_| Reply::status("403 Forbidden", "", "no"));
        run(&["-p", "-x", &proxy.address().to_string(), "http://127.0.0.4:81/"]);
    });
    for (what, answer) in [
        ("a proxy that is mute", ""),
        ("a proxy that is slow", "HTTP/1.1 200 OK\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("a proxy that hangs up", ""),
        ("a proxy that hangs up within its head", "HTTP/1.1 200"),
        ("a proxy that is none", "SSH-2.0-OpenSSH\r\n\r\n"),
        ("a tunnel that ends", "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        table.row(what, |run| {
            let proxy = match what {
                "a proxy that is mute" => Server::answering("127.0.0.4:0", answer, End::Wait),
                "a proxy that is slow" => Server::dripping("127.0.0.4:0", answer, 1),
                _ => Server::answering("127.0.0.4:0", answer, End::Close),
            };
            run(&["--connect-timeout", "1", "-x", &proxy.url(""), "https://name.test/"]);
        });
    }
    table.row("two URLs, the first fails", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&["http://127.0.0.1:1/", &site.url("/")]);
    });
    table.row("two URLs, the last fails", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&site.url("/"), "http://127.0.0.1:1/"]);
    });
    table.row("two URLs, --fail-early", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&["--fail-early", "http://127.0.0.1:1/", &site.url("/")]);
    });
}

fn redirects(table: &mut Table) {
    let endless: fn(&crate::site::Asked) -> Reply =
        |asked| Reply::to("302 Found", &format!("/{}", asked.number + 1));
    table.site("more redirects than allowed", endless, "/0", &["-L", "--max-redirs", "3"]);
    table.site("no redirect allowed", endless, "/0", &["-L", "--max-redirs", "0"]);
    table.site("a loop", |_| Reply::to("302 Found", "/"), "/", &["-L"]);
    table.site("a redirect to another scheme", |_| Reply::to("302 Found", "ftq://h/"), "/", &["-L"]);
    table.site("a redirect not followed", |_| Reply::to("302 Found", "/"), "/", &[]);
    let echo: fn(&crate::site::Asked) -> Reply = |asked| match asked.target() {
        "/" => Reply::to("307 Again", "/to"),
        _ => Reply::ok(format!("{} {}", asked.method(), asked.body())),
    };
    table.site("stdin that is to be sent again", echo, "/", &["-L", "-T", "-"]);
    table.site("data that is sent again", echo, "/", &["-L", "-d", "@-"]);
    let found: fn(&crate::site::Asked) -> Reply = |asked| match asked.target() {
        "/" => Reply::to("302 Found", "/to"),
        _ => Reply::ok(format!("{} {}", asked.method(), asked.body())),
    };
    table.site("a POST that becomes a GET", found, "/", &["-L", "-d", "x"]);
    table.site("both heads", found, "/", &["-Li"]);
}

fn files(table: &mut Table) {
    resumed(table);
    ranges(table);
    bodies(table);
    headers(table);
}

fn resumed(table: &mut Table) {
    let resumes =
        |table: &mut Table, what: &str, answer: fn(&crate::site::Asked) -> Reply, options: &[&str]| {
            table.row(what, |run| {
                let (site, path) = (Site::start(answer), fresh_path("parity"));
                std::fs::write(&path, "0123").unwrap();
                let url = site.url("/");
                run(&[&[url.as_str(), "-C", "-", "-o", path.to_str().unwrap()], options].concat());
            });
        };
    resumes(
        table,
        "the rest",
        |_| Reply::status("206 Partial Content", "Content-Range: bytes 4-9/10\r\n", "456789"),
        &[],
    );
    resumes(
        table,
        "another part",
        |_| Reply::status("206 Partial Content", "Content-Range: bytes 3-9/10\r\n", "3456789"),
        &[],
    );
    resumes(table, "the whole", |_| Reply::ok("0123456789"), &[]);
    resumes(table, "a whole of that length", |_| Reply::ok("0123"), &[]);
    resumes(table, "416", |_| Reply::status("416 No", "Content-Range: bytes */4\r\n", "no"), &[]);
    // With -f, curl 7.88 calls a file that is complete an error (22). Here it is none: nothing is missing.
    resumes(table, "404", |_| Reply::status("404 No", "", "no"), &[]);
    resumes(table, "404 with -f", |_| Reply::status("404 No", "", "no"), &["-f"]);
}

fn ranges(table: &mut Table) {
    let ranged: fn(&crate::site::Asked) -> Reply = |asked| match asked.header("range") {
        Some("bytes=0-4") => Reply::status("206 P", "Content-Range: bytes 0-4/10\r\n", "01234"),
        Some("bytes=-3") => Reply::status("206 P", "Content-Range: bytes 7-9/10\r\n", "789"),
        Some("bytes=0-1,5-6") => Reply::status("206 P", "Content-Type: multipart/byteranges\r\n", "--x"),
        _ => Reply::ok("0123456789"),
    };
    // Where a 206 holds less than was asked for, or something else, curl is content. Here that is an error.
    table.site("a range", ranged, "/", &["-r", "0-4"]);
    table.site("the end", ranged, "/", &["-r", "-3"]);
    table.site("two ranges", ranged, "/", &["-r", "0-1,5-6"]);
    table.site("a range that is ignored", ranged, "/", &["-r", "0-5"]);
}

fn bodies(table: &mut Table) {
    let echo: fn(&crate::site::Asked) -> Reply =
        |asked| Reply::ok(format!("{} {} {}", asked.method(), asked.target(), asked.body()));
    table.site(
        "data",
        echo,
        "/",
        &["-d", "a=1", "-d", "@-", "--data-raw", "@x", "--data-urlencode", "n=a b"],
    );
    table.site("data in the URL", echo, "/?q", &["-G", "-d", "a=1", "-d", "b=2"]);
    table.site("stdin", echo, "/", &["-T", "-"]);
    table.site("binary data", echo, "/", &["--data-binary", "@-"]);
    table.site("another method", echo, "/", &["-X", "PATCH", "-d", "x"]);
    let packed: fn(&crate::site::Asked) -> Reply = |asked| {
        let hello =
            [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
        match asked.target() {
            "/" => Reply::status("200 OK", "Content-Encoding: gzip\r\n", hello),
            "/other" => Reply::status("200 OK", "Content-Encoding: other\r\n", hello),
            _ => Reply::status("200 OK", "Content-Encoding: gzip\r\n", "plain"),
        }
    };
    table.site("a compressed body", packed, "/", &["--compressed"]);
    table.site("one that was not asked for", packed, "/", &[]);
    table.site("one that is none", packed, "/bad", &["--compressed"]);
    table.site("an unknown coding", packed, "/other", &["--compressed"]);
}

fn headers(table: &mut Table) {
    let echo: fn(&crate::site::Asked) -> Reply =
        |asked| Reply::ok(format!("{} {} {}", asked.method(), asked.target(), asked.body()));
    let seen: fn(&crate::site::Asked) -> Reply = |asked| {
        let names = ["authorization", "user-agent", "referer", "range", "x-one", "content-type"];
        let values: Vec<String> =
            names.iter().map(|name| format!("{name}: {:?}", asked.header(name))).collect();
        Reply::ok(values.join("\n"))
    };
    table.site(
        "headers",
        seen,
        "/",
        &["-u", "me:secret", "-A", "me", "-e", "http://r/", "-r", "0-4", "-H", "X-One: 1", "-d", "x"],
    );
    table.site(
        "options given twice",
        seen,
        "/",
        &["-s", "-s", "-L", "-L", "-A", "a", "-A", "b", "-e", "http://a/", "-e", "http://b/", "-u", "a:b"],
    );
    table.site(
        "lists and single values",
        seen,
        "/",
        &["-A", "me", "-H", "X-One: 1", "-H", "X-Two: 2", "-r", "0-9", "-r", "0-1"],
    );
    table.site("methods given twice", echo, "/", &["-X", "PUT", "-X", "PATCH", "-d", "a", "-d", "b"]);
    table.site(
        "formats given twice",
        echo,
        "/",
        &["-w", "a", "-w", "b%{http_code}", "-m", "0.001", "-m", "9"],
    );
    table.site("headers left out", seen, "/", &["-A", "", "-H", "X-One;", "-d", "x", "-H", "Content-Type:"]);
}

/// What `-w` tells. Not the times, and not the port, which is another one for each of the two.
fn written_out(table: &mut Table) {
    const ALL: &str = "[%{http_code} %{response_code} %{http_version} %{method} %{content_type} %{num_connects} \
        %{num_redirects} %{num_headers} %{remote_ip} %{size_download} %{size_upload} %{size_header} %{exitcode} \
        %{urlnum} 100%% %d \\q \\\\n %{unfinished\\t\\r\\n";
    let site: fn(&crate::site::Asked) -> Reply = |asked| match asked.target() {
        "/gone" => Reply::status("404 Not Found", "Content-Type: text/plain\r\n", "no page"),
        "/away" => Reply::to("302 Found", "/"),
        _ => Reply::status("200 OK", "Content-Type: text/html; charset=utf-8\r\n", "page"),
    };
    table.site("written out", site, "/", &["-w", ALL]);
    table.site("written out, of a page that is gone", site, "/gone", &["-w", ALL]);
    table.site("written out, with -f", site, "/gone", &["-f", "-w", ALL]);
    table.site("written out, of a redirect", site, "/away", &["-w", ALL]);
    table.site("written out, after a redirect", site, "/away", &["-L", "-w", ALL]);
    table.site("written out, of data", site, "/", &["-d", "abc", "-w", ALL]);
    table.site("written out, of a head", site, "/", &["-I", "-w", ALL]);
    table.site("written out on failure", site, "/gone", &["-f", "-w", "a%{onerror}%{exitcode}"]);
    table.site("not written out on success", site, "/", &["-w", "a%{onerror}%{exitcode}"]);
    table.site("written out elsewhere", site, "/", &["-w", "%{stderr}%{http_code}%{stdout}%{no_such}-"]);
    table.row("written out, of two on one connection", |run| {
        let site = Site::start(site);
        run(&[&site.url("/"), &site.url("/gone"), "-w", ALL]);
    });
    table.row("written out, as a file says", |run| {
        let (site, path) = (Site::start(site), fresh_path("format"));
        std::fs::write(&path, "%{http_code}\n\\n%{size_download}").unwrap();
        run(&[&site.url("/"), "-w", &format!("@{}", path.display())]);
    });
    table.row("written out, as stdin says", |run| {
        let site = Site::start(site);
        run(&[&site.url("/"), "-w", "@-"]);
    });
    table.line(&[
        "http://127.0.0.1:1/",
        "-w",
        "%{http_code} %{num_connects} %{remote_ip} %{remote_port} %{time_connect}",
    ]);
    table.line(&["nonsense://h/", "-w", "%{http_code} %{exitcode}"]);
}

fn tls(table: &mut Table) {
    let authority = Authority::new();
    let page = |served: &mut connie_servers::Served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")?;
        served.close()
    };
    let row = |table: &mut Table, what: &str, identity: &Identity, options: &[&str]| {
        table.row(what, |run| {
            let server = TlsServer::start(identity, page);
            let url = format!("https://{}/", server.address());
            run(&[&[url.as_str()], options].concat());
        });
    };
    let file: PemFile = authority.file();
    let trusted = ["--cacert", file.path().to_str().unwrap()];
    let good = authority.certify(&["127.0.0.1"]);
    row(table, "https", &good, &trusted);
    row(table, "an authority that nobody trusts", &good, &[]);
    row(table, "any certificate", &good, &["-k"]);
    row(table, "a certificate of an old version", &Identity::of_version_1(), &["-k"]);
    row(table, "another name", &authority.certify(&["name.test"]), &trusted);
    row(table, "expired", &authority.certify_until_2001(&["127.0.0.1"]), &trusted);
    row(table, "not valid yet", &authority.certify_from_3001(&["127.0.0.1"]), &trusted);
    row(table, "no such file of authorities", &good, &["--cacert", "/nonexistent/file"]);
    table.row("an authority that nobody trusts, beside an address that refuses", |run| {
        let server = TlsServer::start(&good, page);
        let port = server.address().port();
        let resolve = format!("name.test:{port}:127.0.0.2,127.0.0.1");
        run(&["--resolve", &resolve, &format!("https://name.test:{port}/")]);
    });
    table.row("no TLS", |run| {
        let server = TlsServer::plain_http();
        run(&["-k", &format!("https://{}/", server.address())]);
    });
    table.row("TLS that breaks off in a body", |run| {
        let server = TlsServer::start(&good, |served| {
            served.read_head()?;
            served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
            served.close()
        });
        run(&["-k", &format!("https://{}/", server.address())]);
    });
}
