//! Several transfers at a time, beside curl. What differs by which of them ends first is not compared.

use super::Table;
use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::fresh_path;

/// What curl needs to open a connection for each at once. Here it is so anyway.
const Z: [&str; 2] = ["-Z", "--parallel-immediate"];

const REFUSED: &str = "http://127.0.0.1:1/";

pub fn parallel(table: &mut Table) {
    limits(table);
    failures(table);
    outputs(table);
    bodies(table);
}

fn limits(table: &mut Table) {
    for most in ["1", "2", "0", "301", "9999999999999", "-1", "x"] {
        table.row(&format!("-Z --parallel-max {most}"), |run| {
            let site = Site::start(|_| Reply::ok("page\n"));
            run(&["-Z", "--parallel-max", most, &site.url("/[1-3]")]);
        });
    }
    table.row("--parallel-max without -Z", |run| {
        let site = Site::start(|asked| Reply::ok(asked.target()));
        run(&["--parallel-max", "3", &site.url("/[1-3]")]);
    });
    table.row("-Z --no-parallel", |run| {
        let site = Site::start(|asked| Reply::ok(asked.target()));
        run(&["-Z", "--no-parallel", &site.url("/[1-3]")]);
    });
    table.row("-Z, one at a time", |run| {
        let site = Site::start(|asked| Reply::ok(asked.target()));
        let format = " %{http_code} %{urlnum} %{exitcode} %{size_download} %{num_connects}\n";
        run(&["-Z", "--parallel-max", "1", "-w", format, &site.url("/[1-3]"), &site.url("/4")]);
    });
}

fn failures(table: &mut Table) {
    let slow_404 = || Server::dripping("127.0.0.4:0", "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", 10);
    for order in ["the first", "the last"] {
        table.row(&format!("-Z, {order} fails"), |run| {
            let site = Site::start(|_| Reply::ok("page"));
            let urls = [REFUSED, &site.url("/")];
            let urls = if order == "the first" { urls } else { [urls[1], urls[0]] };
            run(&[&Z[..], &urls].concat());
        });
        table.row(&format!("-Z, two fail, {order} later"), |run| {
            let slow = slow_404();
            let urls = [slow.url("/"), REFUSED.to_owned()];
            let urls = if order == "the first" { [&*urls[0], &urls[1]] } else { [&*urls[1], &urls[0]] };
            run(&[&["-f"], &Z[..], &urls].concat());
        });
    }
    table.row("-Z, all fail in the same way", |run| {
        run(&[&Z[..], &[REFUSED, REFUSED]].concat());
    });
    table.row("-Z, another scheme", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &["ftq://h/", &site.url("/")]].concat());
    });
    table.row("-Z, one is silent", |run| {
        let silent = Server::answering("127.0.0.4:0", "", End::Wait);
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &["-m", "1", &silent.url("/"), &site.url("/"), REFUSED]].concat());
    });
    table.row("-Z --fail-early", |run| {
        let silent = Server::answering("127.0.0.4:0", "", End::Wait);
        let options = ["--fail-early", "-m", "5", "-w", "%{exitcode}\n"];
        run(&[&Z[..], &options, &[&silent.url("/"), &silent.url("/"), REFUSED]].concat());
    });
    table.row("-Z, a bad pattern at the end", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &[&site.url("/"), &site.url("/{a")]].concat());
    });
    table.row("-Z, a bad pattern at the start", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &[&site.url("/[3-"), &site.url("/")]].concat());
    });
}

fn outputs(table: &mut Table) {
    table.row("-Z, a file for each", |run| {
        let (site, folder) = (Site::start(|asked| Reply::ok(asked.target())), fresh_path("parallel"));
        std::fs::create_dir(&folder).unwrap();
        let (file, url) = (folder.join("#1").display().to_string(), site.url("/{a,b}"));
        let ran = run(&[&Z[..], &["-o", &file, &url]].concat());
        let content = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert_eq!((ran.code, content("a"), content("b")), (Some(0), "/a".into(), "/b".into()));
    });
    table.row("-Z -O without a name", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &["-o", "/dev/null", &site.url("/"), "-O", &site.url("/")]].concat());
    });
    table.row("-Z, a full disk", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &["-o", "/dev/full", &site.url("/"), &site.url("/")]].concat());
    });
    table.row("-Z -i", |run| {
        let site = Site::start(|_| Reply::ok("page"));
        run(&[&Z[..], &["-i", &site.url("/[1-4]")]].concat());
    });
    table.row("-Z -I", |run| {
        let site = Site::start(|_| Reply::status("200 OK", "", ""));
        run(&[&Z[..], &["-I", &site.url("/[1-4]")]].concat());
    });
    table.row("-Z -C -", |run| {
        let site = Site::start(|_| Reply::status("206 Partial", "Content-Range: bytes 4-5/6\r\n", "45"));
        let files = [fresh_path("one"), fresh_path("two")];
        files.iter().for_each(|file| std::fs::write(file, "0123").unwrap());
        let [one, two] = files.each_ref().map(|file| file.to_str().unwrap());
        run(&[&Z[..], &["-C", "-", "-o", one, "-o", two, &site.url("/"), &site.url("/")]].concat());
        files.iter().for_each(|file| assert_eq!(std::fs::read_to_string(file).unwrap(), "012345"));
    });
}

fn bodies(table: &mut Table) {
    for data in ["x", "@-"] {
        table.row(&format!("-Z -d {data}"), |run| {
            let site = Site::start(|asked| Reply::ok(format!("{} {}", asked.method(), asked.body())));
            run(&[&Z[..], &["-d", data, &site.url("/"), &site.url("/")]].concat());
        });
    }
    table.row("-Z -T", |run| {
        let (site, file) = (Site::start(|asked| Reply::ok(asked.body())), fresh_path("upload"));
        std::fs::write(&file, "content").unwrap();
        let file = file.to_str().unwrap();
        run(&[&Z[..], &["-T", file, "-T", file, &site.url("/"), &site.url("/")]].concat());
    });
    table.row("-Z -L", |run| {
        let site = Site::start(|asked| match asked.target() {
            "/page" => Reply::ok("page"),
            _ => Reply::to("302 Found", "/page"),
        });
        run(&[&Z[..], &["-L", &site.url("/[1-4]")]].concat());
    });
    table.row("-Z --retry", |run| {
        let site = Site::start(|_| Reply::status("503 Busy", "Retry-After: 0\r\n", ""));
        run(&[&Z[..], &["--retry", "1", &site.url("/[1-2]")]].concat());
    });
}
