//! Odd answers of a server over loopback, as `connie_std::http1` gives them to a program.

use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use connie_http::{HttpError, StatusClass};
use connie_std::http1::{Client, ClientError, HttpConnection};
use connie_std::{Options, OsStack};

/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(20);

/// A connection to a server that takes one connection and answers each request on it with these octets.
fn to_server(answer: impl AsRef<[u8]>) -> HttpConnection {
    let answer = answer.as_ref().to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte)? == 0 {
                    return Ok(());
                }
                head.push(byte[0]);
            }
            stream.write_all(&answer)?;
        }
    });
    let mut connection = HttpConnection::with_options("127.0.0.1", port, Options::default()).expect("a host");
    connection.set_timeout(Some(LONG));
    connection
}

fn get_status(answer: impl AsRef<[u8]>) -> (u16, StatusClass) {
    let mut connection = to_server(answer);
    connection.request("GET", "/", &[], b"").expect("the server listens");
    let response = connection.response().expect("an answer");
    (response.status(), response.class())
}

fn get(connection: &mut Client<OsStack>, headers: &[(&str, &str)]) -> Result<(u16, String), ClientError> {
    connection.request("GET", "/", headers, b"")?;
    let mut response = connection.response()?;
    let mut body = String::new();
    response.read_to_string(&mut body).expect("the body is good");
    Ok((response.status(), body))
}

#[track_caller]
fn fails(answer: impl AsRef<[u8]>) -> HttpError {
    match get(&mut to_server(answer), &[]) {
        Err(ClientError::Http(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_may_have_ten_thousand_fields() {
    let fields = "A: b\r\n".repeat(10_000);
    let mut connection = to_server(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\npage"));
    for _ in 0..2 {
        assert_eq!(get(&mut connection, &[]).unwrap(), (200, "page".to_owned()));
        assert_eq!(connection.response().unwrap().headers().count(), 10_001);
    }
}

#[test]
fn a_head_that_is_too_large_tells_the_limit() {
    let fields = "A: b\r\n".repeat(11_000);
    let error = fails(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    // The buffer less the `Host` value, of which the port's length is not known.
    let HttpError::HeadTooLarge { capacity } = error else { panic!("{error:?}") };
    assert!((65_500..65_536).contains(&capacity), "{capacity}");
    assert_eq!(
        error.to_string(),
        format!("the response head does not fit in the buffer of {capacity} bytes")
    );
}

#[test]
fn a_line_that_is_no_field_is_dropped_and_can_be_had() {
    let mut connection =
        to_server("HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n\r\npage");
    assert_eq!(get(&mut connection, &[]).unwrap(), (200, "page".to_owned()));
    assert!(!connection.is_open(), "what follows is not trusted");
    let response = connection.response().unwrap();
    let headers = response.headers();
    assert_eq!(headers.clone().map(|field| field.name).collect::<Vec<_>>(), ["Content-Length"]);
    assert_eq!(headers.dropped().collect::<Vec<_>>(), [b"PHP Warning: no such file"]);
}

#[test]
fn a_line_that_may_be_a_length_to_somebody_is_not_dropped() {
    let error = fails("HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\npage");
    assert_eq!(error, HttpError::MalformedHeader);
}

#[test]
fn a_body_that_would_come_out_coded_is_an_error_that_names_the_coding() {
    let error = fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
    let HttpError::UnsupportedTransferCoding(coding) = error else { panic!("{error:?}") };
    assert_eq!(coding.name(), "gzip");
}

#[test]
fn a_switch_to_another_protocol_needs_a_request_for_it() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(fails(switch), HttpError::UnaskedSwitch);
    let asks = [("Connection", "upgrade"), ("Upgrade", "x")];
    assert_eq!(get(&mut to_server(switch), &asks).unwrap(), (101, String::new()));
}

#[test]
fn a_status_that_is_none_is_a_server_s_error() {
    for (status, number) in [("000", 0), ("099", 99), ("600", 600)] {
        let found = get_status(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(found, (number, StatusClass::ServerError));
    }
}
