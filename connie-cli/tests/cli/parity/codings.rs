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
/// By zlib, and then by gzip.
const TWICE: [u8; 38] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x98, 0x73, 0xda, 0xe3, 0xec, 0xc9,
    0x93, 0xe1, 0x27, 0x1c, 0xd4, 0x77, 0x32, 0x14, 0xec, 0xe3, 0xd8, 0x0d, 0x00, 0x12, 0xb8, 0xf9, 0x45,
    0x11, 0x00, 0x00, 0x00,
];
/// By gzip twice.
const BOTH: [u8; 46] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x93, 0xef, 0xe6, 0x60, 0x00, 0x01, 0x26,
    0xe6, 0xd3, 0x1e, 0x67, 0x4f, 0x9e, 0x0c, 0x3f, 0xe1, 0xa0, 0xbe, 0x93, 0x81, 0xa1, 0x23, 0x92, 0x5b,
    0x02, 0x28, 0x08, 0x00, 0x11, 0xb2, 0xf6, 0x6f, 0x1d, 0x00, 0x00, 0x00,
];

pub fn codings(table: &mut Table) {
    for path in ["/br", "/zstd", "/gzip", "/none", "/identity", "/compress", "/bad-zstd"] {
        table.site(&format!("{path} undone"), coded, path, &["--compressed"]);
        table.site(&format!("{path} as it is"), coded, path, &[]);
    }
    for path in ["/gzip", "/twice", "/lines", "/close", "/bad"] {
        table.site(&format!("transfer coding {path}"), transferred, path, &[]);
    }
    table.site("transfer and content coding", transferred, "/both", &["--compressed"]);
    table.site("transfer and content coding as it is", transferred, "/both", &[]);
    table.site("the head of a transfer coding", transferred, "/gzip", &["-I"]);
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

/// Bodies that were compressed for sending, which nobody has asked for.
fn transferred(asked: &Asked) -> Reply {
    let (fields, body) = match asked.target() {
        "/twice" => ("Transfer-Encoding: deflate, gzip, chunked\r\n", &TWICE[..]),
        "/lines" => ("Transfer-Encoding: X-GZip\r\nTransfer-Encoding: chunked\r\n", &GZIP[..]),
        "/close" => ("Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", &GZIP[..]),
        "/bad" => ("Transfer-Encoding: gzip, chunked\r\n", &b"hello"[..]),
        "/both" => ("Content-Encoding: gzip\r\nTransfer-Encoding: gzip, chunked\r\n", &BOTH[..]),
        _ => ("Transfer-Encoding: gzip, chunked\r\n", &GZIP[..]),
    };
    let chunked = fields.contains("chunked");
    let (size, end) = match chunked {
        true => (format!("{:x}\r\n", body.len()), "\r\n0\r\n\r\n"),
        false => (String::new(), ""),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    Reply::Close(match asked.method() {
        "HEAD" => head.into_bytes(),
        _ => [head.as_bytes(), size.as_bytes(), body, end.as_bytes()].concat(),
    })
}

/// The codings of Accept-Encoding, sorted, since nobody ranks them.
fn asked(asked: &Asked) -> Reply {
    let mut codings: Vec<_> = asked.header("accept-encoding").unwrap_or_default().split(", ").collect();
    codings.sort_unstable();
    Reply::ok(codings.join("\n"))
}
