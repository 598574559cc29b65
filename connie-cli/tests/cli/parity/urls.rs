//! URLs beside curl: what a request is sent for each, and where a redirect to each leads.

use super::Table;
use crate::site::{Asked, Reply, Site};

/// What stands behind `http://127.0.0.4:PORT`.
const TAILS: &[&str] = &[
    "",
    "?q",
    "#f",
    "/#f?x",
    "/a?b#c",
    "/a#b#c",
    "#?/#",
    "//a",
    "/a//b",
    "/a/../b",
    "/..",
    "/../..",
    "/a/..",
    "/a/.",
    "/a/%2e%2e/b",
    "/...",
    "/a/..b",
    "/?a/../b",
    "?q=a/../b",
    "/a?b?c",
    "/a|b",
    "/a\"b",
    "/a<b>",
    "/a^b`c",
    "/a\\b",
    "/100%",
    "/%zz",
    "/a b",
    "/ ",
    "/a\tb",
    "/a\u{7f}",
    "/[a]",
    "/?[]",
    "/{a}",
    "/;a=b",
    "/a@b",
    "/a//../b",
    "/%00",
    "/a;b?c;d#e",
];

/// Whole URLs; `{}` is the port.
const WHOLE: &[&str] = &[
    "127.0.0.4:{}",
    "127.0.0.4:{}/x",
    "HTTP://127.0.0.4:{}/",
    "http:/127.0.0.4:{}/",
    "http:127.0.0.4:{}/",
    "http:///127.0.0.4:{}/",
    "http:////127.0.0.4:{}/",
    "//127.0.0.4:{}/",
    "://127.0.0.4:{}/",
    "1http://127.0.0.4/",
    "foo:/127.0.0.4:{}/",
    "mailto:/127.0.0.4:{}/",
    "localhost:/127.0.0.4:{}/",
    "127.0.0.4:/x:{}/",
    "http://u@127.0.0.4:{}/",
    "http://u:p@127.0.0.4:{}/",
    "http://u:@127.0.0.4:{}/",
    "http://:p@127.0.0.4:{}/",
    "http://u%40x:p%3a@127.0.0.4:{}/",
    "http://u:p:q@127.0.0.4:{}/",
    "http://u%:p@127.0.0.4:{}/",
    "http://u:p@127.0.0.4:{}/a@b",
    "http://127.0.0.4:0{}/",
    "http://127.0.0.4:+{}/",
    "http://127.0.0.4:{}x/",
    "http://127.0.4:{}/",
    "http://2130706436:{}/",
    "http://0x7f000004:{}/",
    "http://0177.0.0.4:{}/",
    "http://127.0.0.04:{}/",
    "http://127.0.0.%34:{}/",
    "http://%31%32%37.0.0.4:{}/",
    "http://[::ffff:127.0.0.4]:{}/",
    "http://[::1:{}/",
    "http://::1:{}/",
    "http://[]/",
    "http://[v1.x]/",
    "http://a!b/",
    "http://a*b/",
    "http://a,b/",
    "http://a(b/",
    "http://a=b/",
    "http://a&b/",
    "http://a;b/",
    "http://a$b/",
    "http://a%2fb/",
    "http://a%40b/",
    "http://",
    "http:",
    "/a",
    "?a",
    "#",
    "htt p://127.0.0.4/",
];

/// Where a page `/d/from?x=y` leads; `{}` is the port.
const LOCATIONS: &[&str] = &[
    "/to",
    "to",
    "./to",
    "../to",
    "../../../to",
    "?q",
    ".",
    "..",
    "./",
    "../",
    "//127.0.0.4:{}/z",
    "///127.0.0.4:{}/z",
    "////z",
    "http:/127.0.0.4:{}/z",
    "HTTP://127.0.0.4:{}",
    "http:z",
    "http://",
    "to?q#f",
    "/a/../b",
    "/a b",
    "a:b",
    "./a:b",
    "?a:b",
    "mailto:x",
    "/a\\b",
    "/%zz",
    "/a|b",
    "/[a]",
    "/\"",
    "/<a>",
    "g;x=1/../y",
    "g?y/../x",
    "/./g",
    "/../g",
    "g.",
    ".g",
    "..g",
    "./../g",
    "g/./h",
    "g/../h",
    "//127.0.0.4:{}?x",
    "http://127.0.0.4:{}/a%2F../b",
    "/%2e%2e/a",
];

pub fn urls(table: &mut Table) {
    for tail in TAILS {
        table.row(&format!("a URL that ends in {tail:?}"), |run| {
            let site = Site::start(asked_for);
            run(&["-g", &format!("http://{}{tail}", site.address())]);
        });
    }
    for url in WHOLE {
        table.row(&format!("the URL {url}"), |run| {
            let site = Site::start(asked_for);
            run(&["-g", "-m", "5", &url.replace("{}", &site.address().port().to_string())]);
        });
    }
    for location in LOCATIONS {
        table.row(&format!("a redirect to {location:?}"), |run| {
            let site = Site::start(|asked: &Asked| {
                let port = asked.header("host").and_then(|host| host.rsplit(':').next()).unwrap_or_default();
                match asked.target().split_once("/d/from?x=y&") {
                    Some((_, location)) => Reply::to("302 Found", &plain(location).replace("{}", port)),
                    None => asked_for(asked),
                }
            });
            let page = format!("http://u:p@{}/d/from?x=y&{}", site.address(), in_query(location));
            run(&["-gL", "--max-redirs", "3", &page]);
        });
    }
}

/// The target, and whether there was a login.
fn asked_for(asked: &Asked) -> Reply {
    Reply::ok(format!("{} {:?}", asked.target(), asked.header("authorization")))
}

/// A text as hexadecimal digits, which no client changes.
fn in_query(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn plain(digits: &str) -> String {
    let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    String::from_utf8((0..digits.len()).step_by(2).map(octet).collect()).unwrap()
}
