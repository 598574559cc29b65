//! A server for the examples, and what they print.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

/// A server on the loopback interface, and nothing on the same port of ::1.
pub fn server() -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n");
        }
    });
    good
}

#[track_caller]
pub fn expect(output: &Output, line: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(out.contains(line), "{out}{err}");
}
