//! Bodies that were sent compressed, beside curl.

use super::Table;
use crate::site::{Asked, Reply};

/// `hello hello hello hello` and a line's end, by the programs brotli 1.0.9, zstd 1.5.4 and gzip.
const BROTLI: [u8; 24] = [
    0xa1, 0xb8, 0x00, 0xc0, 0x6f, 0xa4, 0x74, 0xf3, 0x26, 0xaa, 0x32, 0xb4, 0x56, 0x00, 0x61, 0x7b, 0x53,
    0x8a, 0xc8, 0x13, 0x07, 0x74, 0xb5, 0x00,
];
const ZSTD: [u8; 26] = [
    0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x18, 0x6d, 0x00, 0x00, 0x38, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x0a,
    0x01, 0x00, 0x99, 0x4b, 0x11, 0xa8, 0x7c, 0x2e, 0xa8,
];
const GZIP: [u8; 29] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8,
    0x40, 0x27, 0xb9, 0x00, 0x00, 0x88, 0x59, 0x0b, 0x18, 0x00, 0x00, 0x00,
];

pub fn codings(table: &mut Table) {
    for path in ["/br", "/zstd", "/gzip", "/none", "/identity", "/compress", "/bad-zstd"] {
        table.site(&format!("{path} undone"), coded, path, &["--compressed"]);
        table.site(&format!("{path} as it is"), coded, path, &[]);
    }
    table.site("what is asked for has all of them", asked, "/", &["--compressed"]);
}

fn coded(asked: &Asked) -> Reply {
    let (coding, body) = match asked.target() {
        "/br" => ("br", &BROTLI[..]),
        "/zstd" => ("zstd", &ZSTD[..]),
        "/gzip" => ("x-gzip", &GZIP[..]),
        "/bad-zstd" => ("zstd", &b"hello"[..]),
        path => (&path[1..], &b"hello"[..]),
    };
    let coding = format!("Content-Encoding: {coding}\r\n");
    Reply::status("200 OK", &coding, body)
}

/// The codings of Accept-Encoding, sorted, since nobody ranks them.
fn asked(asked: &Asked) -> Reply {
    let mut codings: Vec<_> = asked.header("accept-encoding").unwrap_or_default().split(", ").collect();
    codings.sort_unstable();
    Reply::ok(codings.join("\n"))
}
