//! Bodies pass through: a gibibyte takes no more memory than a page.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::support::{Ran, fresh_path, program, run};

const GIBIBYTE: u64 = 1 << 30;
/// All the memory that the program may map, its own code included: KiB, as `ulimit` counts.
const LIMIT: u64 = 48 << 10;

/// The program, with no more memory than that.
fn limited(arguments: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    let inner = program();
    let script = format!("ulimit -v {LIMIT}; exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(inner.get_program()).arg("get").args(arguments);
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    run(&mut command, b"")
}

/// Serves one connection with this.
fn serve(behave: impl FnOnce(TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.4:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.accept().and_then(|(stream, _)| behave(stream)));
    address
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

#[test]
fn the_limit_is_one() {
    // What holds the body in memory cannot do with it.
    let path = fresh_path("data");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(LIMIT << 10).unwrap();
    let at = format!("@{}", path.display());
    limited(&["-G", "--data-binary", &at, "http://127.0.0.1:1/"]).exits(26).says("memory");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_gibibyte_comes_in_constant_memory() {
    for chunked in [false, true] {
        let address = serve(move |mut stream| {
            read_head(&mut stream)?;
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {GIBIBYTE}")
            };
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes())?;
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..GIBIBYTE >> 20 {
                if chunked {
                    stream.write_all(b"100000\r\n")?;
                }
                stream.write_all(&piece)?;
                if chunked {
                    stream.write_all(b"\r\n")?;
                }
            }
            if chunked { stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
        });
        let path = fresh_path("json");
        let ran = limited(&["--report", "json", "-o", "/dev/null", &format!("http://{address}/")]);
        assert_eq!(ran.exits(0).json()["body_bytes"], GIBIBYTE);
        drop(path);
    }
}

#[test]
fn a_gibibyte_goes_in_constant_memory() {
    let path = fresh_path("gibibyte");
    std::fs::File::create(&path).unwrap().set_len(GIBIBYTE).unwrap();
    let file = path.to_str().unwrap();
    let at = format!("@{file}");
    for options in [["-T", file], ["--data-binary", &at]] {
        let address = serve(|mut stream| {
            read_head(&mut stream)?;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            let received = std::io::copy(&mut (&stream).take(GIBIBYTE), &mut std::io::sink())?;
            let body = received.to_string();
            stream.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
            )
        });
        let url = format!("http://{address}/");
        limited(&[&url, options[0], options[1]]).exits(0).prints(&GIBIBYTE.to_string());
    }
    std::fs::remove_file(path).unwrap();
}
