//! URL patterns beside curl: what they stand for, where the bodies go, and which are refused.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::Table;
use crate::site::{Asked, Reply, Site};
use crate::support::fresh_path;

pub fn patterns(table: &mut Table) {
    for pattern in [
        "/{a,b}",
        "/{a,b}{c,}",
        "/[1-3]",
        "/[1-8:3]",
        "/[08-11]",
        "/[a-e:2]{1,2}",
        "/\\{a\\}",
        "/{a\\,b,c}",
        "/[5-5]",
        "/[1- 3]",
        "/{x}?y=[1-2]",
    ] {
        table.site(pattern, echo, pattern, &[]);
    }
    for pattern in [
        "/{a",
        "/a}",
        "/a]",
        "/{}",
        "/{a,{b}}",
        "/{a]}",
        "/[?]",
        "/[]",
        "/[1-2",
        "/[3-1]",
        "/[1-3:5]",
        "/[1-3:0]",
        "/[a-Z]",
        "/[c-a]",
        "/[1-99999999999999999999]",
        "/[1-9]{",
    ] {
        table.site(pattern, echo, pattern, &[]);
    }
    table.site("braces as they stand", echo, "/{a,b}[1-2]", &["-g"]);
    table.site("a head for each", echo, "/[1-2]", &["-I"]);
    table.site("data for each", echo, "/[1-2]", &["-d", "x"]);
    table.site("one of several is gone", echo, "/{gone,here}", &["-f"]);
    table.site("the last one is gone", echo, "/{here,gone}", &["-f"]);
    table.site("the first one that fails ends it", echo, "/{gone,here}", &["-f", "--fail-early"]);
    named(table);
    sent(table);
    table.row("a bad pattern ends the run when it is its turn", |run| {
        let site = Site::start(echo);
        run(&[&site.url("/1"), &site.url("/{"), &site.url("/3")]);
    });
}

/// A page that says which one it is.
fn echo(asked: &Asked) -> Reply {
    match asked.target() {
        "/gone" => Reply::status("404 Not Found", "", "gone\n"),
        target => Reply::ok(format!("{target}\n")),
    }
}

/// Files that are named after what the pieces stood for.
fn named(table: &mut Table) {
    for (pattern, name) in [
        ("/{a,b}-[08-09]", "#2#1.txt"),
        ("/{a,b}", "#1"),
        ("/{a,b}", "#0#2#"),
        ("/{a,b}", "same"),
        ("/[a-c:2]", "#1#1"),
    ] {
        let what = format!("{pattern} into {name}");
        let files = RefCell::new(Vec::new());
        table.row(&what, |run| {
            let (site, folder) = (Site::start(echo), fresh_path("named"));
            std::fs::create_dir(&folder).unwrap();
            let written = "%{http_code} %{urlnum}\n";
            run(&[&site.url(pattern), "-o", name, "--output-dir", folder.to_str().unwrap(), "-w", written]);
            files.borrow_mut().push(content(&folder));
        });
        let files = files.into_inner();
        if files[0].is_empty() || files[0] != files[1] {
            table.differences.push(format!("{what}: curl writes {:?}, connie {:?}", files[0], files[1]));
        }
    }
    table.row("more -o than URLs", |run| {
        let site = Site::start(echo);
        run(&[&site.url("/a"), "-o", "-", "-o", "/nonexistent/b"]);
    });
    // Nobody listens there: no file is made.
    let urls = ["http://127.0.0.1:1/{a,b}", "http://127.0.0.1:1/[1-2]"];
    table.line(&[urls[0], urls[1], "-o", "x#1", "-w", "%{url} %{urlnum} %{filename_effective}\n"]);
}

/// The files of a folder, with what is in them.
fn content(folder: &Path) -> Vec<(PathBuf, String)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .map(|path| (path.file_name().unwrap().into(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn sent(table: &mut Table) {
    table.row("files to send that are a pattern", |run| {
        let site = Site::start(|asked| Reply::ok(format!("{} {}\n", asked.line(), asked.body())));
        let file = fresh_path("sent");
        for name in ["1", "2"] {
            std::fs::write(file.with_extension(name), name).unwrap();
        }
        let names = format!("{}.{{1,2}}", file.with_extension("").display());
        // With a name of their own: that of the file differs between the two.
        run(&["-T", &names, &site.url("/[a-b]")]);
    });
    table.row("a file to send that is no pattern", |run| {
        run(&["-T", "/nonexistent/[", "http://127.0.0.1:1/"]);
    });
    table.row("more files to send than URLs", |run| {
        let (site, file) = (Site::start(|asked| Reply::ok(asked.line())), fresh_path("sent"));
        std::fs::write(&file, "x").unwrap();
        let file = file.to_str().unwrap();
        run(&["-T", file, "-T", "/nonexistent/file", &site.url("/a")]);
    });
}
