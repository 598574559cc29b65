//! What a client is told, in its protocol.

use connie_http::parts::RequestKind;
use connie_http::reason_phrase;

use crate::http_request::HttpFault;
use crate::protocol::Protocol;
use crate::refusal::Refusal;
use crate::socks5;

/// To a client of HTTP that has to log in (RFC 9110 section 15.5.8).
pub(crate) const LOGIN_WANTED: &str = concat!(
    "HTTP/1.1 407 Proxy Authentication Required\r\n",
    "Proxy-Authenticate: Basic realm=\"connie\", charset=\"UTF-8\"\r\n",
    "Content-Length: 0\r\nConnection: close\r\n\r\n"
);

/// The reply that the host is connected; empty where the server's answer shows it.
pub(crate) fn connected(protocol: &Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Socks5 => socks5::reply(0).to_vec(),
        // RFC 9110 section 9.3.6: neither Content-Length nor Transfer-Encoding.
        Protocol::Tunnel => b"HTTP/1.1 200 Connected\r\n\r\n".to_vec(),
        Protocol::Forward(_) => Vec::new(),
    }
}

/// The reply that the host is not connected, and why.
pub(crate) fn refused(protocol: &Protocol, refusal: Refusal, why: &str) -> Vec<u8> {
    match protocol {
        Protocol::Socks5 => socks5::reply(refusal.socks5_reply()).to_vec(),
        Protocol::Tunnel | Protocol::Forward(_) => {
            // RFC 9209.
            let mut fields = format!("Proxy-Status: connie; error={}\r\n", refusal.name());
            if refusal == Refusal::Busy {
                fields.push_str("Retry-After: 1\r\n");
            }
            let mut answer = answer(refusal.status(), &fields, why);
            if matches!(protocol, Protocol::Forward(request) if request.kind == RequestKind::Head) {
                without_content(&mut answer);
            }
            answer
        }
    }
}

/// The answer to a request of HTTP that cannot be served.
pub(crate) fn http_fault(fault: HttpFault) -> Vec<u8> {
    let fields = format!("Proxy-Status: connie; error={}\r\n", fault.name());
    answer(fault.status(), &fields, &fault.to_string())
}

/// An answer with a status and no content.
pub(crate) fn empty(status: u16) -> Vec<u8> {
    let reason = reason_phrase(status).unwrap_or("Error");
    format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

/// RFC 9110 section 9.3.2: to HEAD "the server MUST NOT send content in the response".
fn without_content(answer: &mut Vec<u8>) {
    if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
        answer.truncate(at + 4);
    }
}

fn answer(status: u16, fields: &str, text: &str) -> Vec<u8> {
    let reason = reason_phrase(status).unwrap_or("Error");
    // A host's name may come from anywhere, and the text may end on a terminal.
    let mut text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    text.push('\n');
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\n{fields}Connection: close\r\n\r\n",
        text.len()
    );
    (head + &text).into_bytes()
}
