//! Options that scripts carry, beside curl: what they send, and where they connect to.

use super::Table;
use crate::site::{Asked, Reply, Site};
use crate::support::fresh_path;

pub fn options(table: &mut Table) {
    accepted(table);
    json(table);
    headers(table);
    elsewhere(table);
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
