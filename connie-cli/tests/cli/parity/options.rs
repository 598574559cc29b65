//! Options that scripts carry, beside curl: what they send, and where they connect to.

use std::process::Command;

use connie_servers::skip;

use super::Table;
use crate::site::{Asked, Reply, Site};
use crate::support::{fresh_path, program, run};

pub fn options(table: &mut Table) {
    accepted(table);
    json(table);
    headers(table);
    methods(table);
    spelled(table);
    elsewhere(table);
}

/// Every option that curl has is either one of `connie get`, or is answered with what to do instead.
#[test]
fn each_option_of_curl_is_known() {
    let Ok(help) = Command::new("curl").args(["--help", "all"]).output() else {
        return skip("curl", "apt-get install curl");
    };
    let help = String::from_utf8(help.stdout).unwrap();
    let spellings = help.lines().skip(1).flat_map(|line| line.split_whitespace().take(2));
    let spellings = spellings.filter(|word| word.starts_with('-')).map(|word| word.trim_end_matches(','));
    let spellings: Vec<_> = spellings.collect();
    assert!(spellings.len() > 250, "{spellings:?}");
    for option in spellings {
        let ran = run(program().args(["get", option]), b"");
        assert!(!ran.stderr.contains("unknown option"), "{option}: {}", ran.stderr);
        if ran.stderr.contains("of curl is not supported: ") {
            ran.exits(2).says_lines(1);
        }
    }
}

/// The request: its line, what is asked of it here, and its body.
fn echo(asked: &Asked) -> Reply {
    let fields = ["content-type", "accept", "content-length", "x-a", "x-b", "x-c"];
    let fields = fields.map(|name| format!("{name}: {:?}\n", asked.header(name)));
    Reply::ok(format!("{}\n{}{}\n", asked.line(), fields.concat(), asked.body()))
}

fn accepted(table: &mut Table) {
    for options in [
        &["-q"][..],
        &["--http1.1"],
        &["--tlsv1.2"],
        &["--tlsv1"],
        &["--happy-eyeballs-timeout-ms", "100"],
        &["--happy-eyeballs-timeout-ms", "0"],
        &["--happy-eyeballs-timeout-ms", "soon"],
        &["--no-location", "-sS"],
        &["-L", "--no-location"],
        &["-f", "--no-fail"],
        &["--no-fail", "-f"],
        &["-i", "--no-include"],
        &["--no-keepalive"],
        &["--no-buffer"],
        &["--no-output"],
        &["--no-such-option"],
        &["--keepalive"],
        &["--no-keepalive", "--keepalive"],
        &["--buffer", "-N"],
        &["--progress-meter"],
        &["--no-progress-meter"],
        &["--no-progress-meter", "--progress-meter"],
        &["--no-no-buffer"],
        &["--no-ipv4"],
        &["--no-http1.1"],
        &["-#"],
        &["-1sf"],
        &["--progress-bar", "--clobber", "--tcp-nodelay", "--no-alpn", "--no-npn", "--sessionid"],
        &["--basic", "--proxy-basic", "--socks5-basic"],
    ] {
        table.site(&options.join(" "), redirect, "/", options);
    }
}

fn redirect(asked: &Asked) -> Reply {
    match asked.target() {
        "/" => Reply::to("302 Found", "/gone"),
        _ => Reply::status("404 Not Found", "", "gone\n"),
    }
}

/// What becomes of a method that is given with `-X`, and of a body, where a server leads elsewhere.
fn methods(table: &mut Table) {
    let led: fn(&Asked) -> Reply = |asked| match asked.target() {
        "/to" => Reply::ok(format!("{} {:?}\n", asked.line(), asked.body())),
        target => Reply::to(target.trim_start_matches('/'), "/to"),
    };
    for status in ["300", "301", "302", "303", "307", "308"] {
        for options in [
            &[][..],
            &["-d", "x"],
            &["-T", "-"],
            &["-X", "POST"],
            &["-X", "DELETE"],
            &["-d", "x", "-X", "POST"],
            &["-d", "x", "-X", "PUT"],
            &["--json", "1", "-X", "PATCH"],
        ] {
            if options.contains(&"-T") && ["300", "301", "302", "307", "308"].contains(&status) {
                // stdin cannot be sent twice: a row of `redirects`.
                continue;
            }
            let what = format!("{status} of {}", options.join(" "));
            table.site(&what, led, &format!("/{status}"), &[&["-L"], options].concat());
        }
    }
    table.row("a file that is sent again as another method", |run| {
        let (site, file) = (Site::start(led), fresh_path("upload"));
        std::fs::write(&file, "file").unwrap();
        run(&["-L", "-T", file.to_str().unwrap(), "-X", "POST", &site.url("/302")]);
    });
}

/// How a command line may be written.
fn spelled(table: &mut Table) {
    for options in [
        &["-d=x"][..],
        &["-d=x=y", "-sd=z"],
        &["-d", "-d=x"],
        &["-dx", "-XPUT"],
        &["-sXPUT", "-d", "x"],
        &["-m=3"],
        &["-r", "5"],
        &["-r", "5-"],
        &["-r", "5-,7"],
        &["-H", "X-A: 1", "-H", "X-A: 2"],
        &["-H", "Accept: a", "-H", "Accept: b"],
        &["-H", "Accept: a", "-H", "Accept:"],
        &["-A", "x", "-H", "User-Agent: y"],
        &["-u", "a:b", "-H", "Authorization: c"],
        &["-u", "a:b", "--basic"],
        &["--request-target", "*", "-X", "OPTIONS"],
        &["--request-target", "/../b"],
        &["--url-query", "a=b c"],
        &["--url-query", "a=b", "--url-query", "=c&d", "--url-query", "+e f=g"],
        &["--url-query", "a", "-d", "b"],
        &["--url-query", "a", "-d", "b", "-G"],
        &["-G"],
    ] {
        let lines: fn(&Asked) -> Reply = |asked| {
            let is_stable = |line: &&str| {
                let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
                !["host", "user-agent"].contains(&name.as_str()) || line.ends_with('y')
            };
            let mut lines: Vec<&str> = asked.head.lines().filter(is_stable).collect();
            lines.sort_unstable();
            Reply::ok(format!("{}\n{}\n", lines.join("\n"), asked.body()))
        };
        table.site(&options.join(" "), lines, "/?q", options);
        table.site(&format!("{} for a bare path", options.join(" ")), lines, "/p", options);
    }
    table.row("--url", |run| {
        let site = Site::start(|asked| Reply::ok(asked.target()));
        run(&["--url", &site.url("/a"), &site.url("/b"), "-d", "--url", "--url", &site.url("/c")]);
    });
    table.row("a file whose name begins with =", |run| {
        let (site, folder) = (Site::start(|asked| Reply::ok(asked.target())), fresh_path("folder"));
        std::fs::create_dir(&folder).unwrap();
        run(&["--output-dir", folder.to_str().unwrap(), "-so=a", &site.url("/a")]);
        assert_eq!(std::fs::read(folder.join("=a")).unwrap(), b"/a");
    });
}

fn json(table: &mut Table) {
    for options in [
        &["--json", "{\"a\": 1}"][..],
        &["--json", "[1,", "--json", "2]"],
        &["--json", "{}", "-d", "x"],
        &["-d", "x", "--json", "{}"],
        &["--json", "{}", "-H", "accept: text/plain"],
        &["--json", "{}", "-H", "Content-Type: text/plain", "-X", "PUT"],
        &["--json", "{}", "-H", "Accept:"],
        &["--json", ""],
        &["--json", "@/dev/null"],
        &["--json", "@-"],
    ] {
        table.site(&options.join(" "), echo, "/", options);
    }
    table.row("JSON of a file, with its line ends", |run| {
        let (site, file) = (Site::start(echo), fresh_path("json"));
        std::fs::write(&file, "{\r\n}\n").unwrap();
        run(&[&site.url("/"), "--json", &format!("@{}", file.display())]);
    });
}

fn headers(table: &mut Table) {
    for (what, content) in [
        ("headers of a file", "X-A: 1\nX-B: 2\r\n\nX-C;\n"),
        ("headers of a file without a last line's end", "X-A: 1\nAccept:"),
        ("headers of an empty file", ""),
    ] {
        table.row(what, |run| {
            let (site, file) = (Site::start(echo), fresh_path("headers"));
            std::fs::write(&file, content).unwrap();
            run(&[&site.url("/"), "-H", "X-C: 0", "-H", &format!("@{}", file.display())]);
        });
    }
}

/// Where a connection goes that is to go elsewhere.
fn elsewhere(table: &mut Table) {
    let to = |asked: &Asked| Reply::ok(format!("{} {:?}\n", asked.line(), asked.header("host")));
    for (entry, url) in [
        ("::{}", "http://name.test/a"),
        ("name.test:80:{}", "http://name.test/b"),
        ("::{}", "http://n%61me.test/"),
        ("::{}", "http://bücher.test/"),
        ("::{}", "http://BU\u{308}CHER.test/"),
        ("::{}", "http://fäß.test/"),
        ("xn--bcher-kva.test::{}", "http://b%C3%BCcher.test/"),
        ("::{}", "http://例え。テスト/"),
        ("::{}", "http://１２７.0.0.1/"),
        ("::{}", "http://-ä.test/"),
        ("NAME.test::{}", "http://name.test:81/"),
        (":81:{}", "http://name.test:81/"),
    ] {
        table.row(&format!("--connect-to {entry} for {url}"), |run| {
            let site = Site::start(to);
            run(&["--connect-to", &entry.replace("{}", &site.address().to_string()), url]);
        });
    }
    table.row("--connect-to for another host", |run| {
        let site = Site::start(to);
        run(&["--connect-to", &format!("other.test::{}", site.address()), "http://name.invalid/"]);
    });
    table.row("of several entries the first one counts", |run| {
        let site = Site::start(|asked| Reply::ok(asked.line()));
        let entry = format!("::{}", site.address());
        run(&["--connect-to", &entry, "--connect-to", "::127.0.0.1:1", "http://name.test/"]);
    });
}
