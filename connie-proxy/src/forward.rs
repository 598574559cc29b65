//! Passes one request of HTTP on to a server, and the answer back. Both connections end with it, so that no
//! byte of one exchange can be taken for a part of another.

use std::future::pending;
use std::io;
use std::time::Duration;

use connie_http::parts::{BodyDecoder, BodyFraming, BodyPart, HeadScanner, ParsedHead};
use connie_http::{HttpError, ResponseHead, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::http_request::{
    ForwardedRequest, MAX_HEAD, goes_on, named_by_connection, put, put_field, put_via,
};
use crate::moved::Moved;

/// How much is read at once.
const PIECE: usize = 16 * 1024;
/// RFC 9110 section 15.2: interim answers. No server has a reason to send more.
const MAX_INTERIM: usize = 32;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The answer has been passed on to the client.
    Answered { status: u16 },
    /// The server gave no answer that could be passed on, and the client has received no part of one.
    NoAnswer,
    /// The answer, or the client's request, broke off.
    BrokenOff,
}

/// Why an answer could not be passed on.
enum AnswerFault {
    /// Nothing of it went to the client.
    None,
    /// Part of it did, or the client is gone.
    Partial,
}

impl From<io::Error> for AnswerFault {
    fn from(_: io::Error) -> Self {
        AnswerFault::Partial
    }
}

/// Passes `request` on, whose body begins with `early` and goes on in `client`. A client that has closed its
/// direction waits this long for an answer, or for more of it.
pub(crate) async fn forward<R, W, S, T>(
    request: &ForwardedRequest,
    early: Vec<u8>,
    (mut client_read, mut client_write): (R, W),
    (mut server_read, mut server_write): (S, T),
    moved: &Moved,
    (via, half_closed): (Option<&str>, Duration),
) -> Forwarded
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: AsyncRead + Unpin,
    T: AsyncWrite + Unpin,
{
    let sending = async {
        if server_write.write_all(&request.head).await.is_err() {
            // The answer may be there all the same.
            return client_lost(&mut client_read, moved, half_closed).await;
        }
        moved.note_sent(request.head.len());
        match send_body(request.framing, early, &mut client_read, &mut server_write, moved).await {
            SentBody::Whole | SentBody::ServerLost => client_lost(&mut client_read, moved, half_closed).await,
            SentBody::ClientLost => Forwarded::BrokenOff,
        }
    };
    let answering = async {
        match answer(request, &mut server_read, &mut client_write, moved, via).await {
            Ok(status) => Forwarded::Answered { status },
            Err(AnswerFault::None) => Forwarded::NoAnswer,
            Err(AnswerFault::Partial) => Forwarded::BrokenOff,
        }
    };
    tokio::select! {
        // The request goes out first.
        biased;
        end = sending => end,
        end = answering => end,
    }
}

/// Ends when the client's connection breaks, or when the client has closed its direction and nothing has
/// moved for `half_closed`: it may still read until then. Its request is whole; what it sends after that is
/// discarded.
async fn client_lost(
    client: &mut (impl AsyncRead + Unpin),
    moved: &Moved,
    half_closed: Duration,
) -> Forwarded {
    let mut room = [0; 1024];
    for _ in 0..MAX_HEAD {
        match client.read(&mut room).await {
            Ok(0) => {
                moved.note_client_end();
                moved.silent(half_closed).await;
                return Forwarded::BrokenOff;
            }
            Ok(_) => {}
            Err(_) => return Forwarded::BrokenOff,
        }
    }
    pending().await
}

enum SentBody {
    Whole,
    ClientLost,
    ServerLost,
}

/// Sends the request's body, framed anew: chunk extensions and trailers of the client are dropped.
async fn send_body(
    framing: BodyFraming,
    early: Vec<u8>,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &Moved,
) -> SentBody {
    let (mut decoder, mut input) = (BodyDecoder::new(framing), early);
    while !decoder.is_done() {
        let Ok(framed) = content(&mut decoder, &input, framing == BodyFraming::Chunked) else {
            return SentBody::ClientLost;
        };
        if to.write_all(&framed).await.is_err() {
            return SentBody::ServerLost;
        }
        moved.note_sent(framed.len());
        input.clear();
        if decoder.is_done() {
            break;
        }
        // A fast client takes no turn from the answer, which may come early and end the request.
        tokio::task::yield_now().await;
        if !matches!(read_more(from, &mut input).await, Ok(1..)) {
            return SentBody::ClientLost;
        }
    }
    SentBody::Whole
}

/// The content in `input`, in chunks of our own where it is `chunked`.
fn content(decoder: &mut BodyDecoder, input: &[u8], chunked: bool) -> Result<Vec<u8>, HttpError> {
    let (mut out, mut rest) = (Vec::with_capacity(input.len() + 16), input);
    while !rest.is_empty() && !decoder.is_done() {
        let step = decoder.step(rest, usize::MAX)?;
        let piece = rest.get(step.skip..step.consumed()).unwrap_or_default();
        if step.part == BodyPart::Content && !piece.is_empty() {
            if chunked {
                put(&mut out, &format!("{:x}\r\n", piece.len()));
            }
            out.extend_from_slice(piece);
            put(&mut out, if chunked { "\r\n" } else { "" });
        }
        rest = rest.get(step.consumed()..).unwrap_or_default();
    }
    if chunked && decoder.is_done() {
        put(&mut out, "0\r\n\r\n");
    }
    Ok(out)
}

/// Passes the answer on, and returns its status.
async fn answer(
    request: &ForwardedRequest,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &Moved,
    via: Option<&str>,
) -> Result<u16, AnswerFault> {
    let mut input = Vec::new();
    // RFC 9110 section 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client."
    let knows_interim = request.version == Version::Http11;
    for interim in 0..=MAX_INTERIM {
        // Once the client has an interim answer, a fault can no longer be told by a status.
        let is_told = interim > 0 && knows_interim;
        let nothing_sent = |_| if is_told { AnswerFault::Partial } else { AnswerFault::None };
        let length = read_head(from, &mut input).await.map_err(nothing_sent)?;
        let mut rest = input.split_off(length);
        let head = passed_on(&mut input, request, via).map_err(nothing_sent)?;
        if head.status < 200 {
            if knows_interim {
                to.write_all(&head.bytes).await?;
            }
            // It is a sign of life, whoever gets it.
            moved.note_received(head.bytes.len());
            std::mem::swap(&mut input, &mut rest);
            continue;
        }
        to.write_all(&head.bytes).await?;
        moved.note_received(head.bytes.len());
        answer_body(head.framing, request.version, rest, from, to, moved).await?;
        return Ok(head.status);
    }
    Err(if knows_interim { AnswerFault::Partial } else { AnswerFault::None })
}

async fn answer_body(
    framing: BodyFraming,
    version: Version,
    mut input: Vec<u8>,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &Moved,
) -> Result<(), AnswerFault> {
    let mut decoder = BodyDecoder::new(framing);
    // HTTP/1.0 gets the content without chunks, ended by the close.
    let chunked = framing == BodyFraming::Chunked && version == Version::Http11;
    loop {
        let body = content(&mut decoder, &input, chunked).map_err(|_| AnswerFault::Partial)?;
        to.write_all(&body).await?;
        moved.note_received(body.len());
        if decoder.is_done() {
            return Ok(());
        }
        input.clear();
        if read_more(from, &mut input).await? == 0 {
            decoder.end_of_input().map_err(|_| AnswerFault::Partial)?;
            if chunked {
                to.write_all(b"0\r\n\r\n").await?;
            }
            return Ok(());
        }
    }
}

/// Reads until `input` begins with a whole head, and returns its length.
async fn read_head(from: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> Result<usize, HttpError> {
    let mut scanner = HeadScanner::new();
    loop {
        if let Some(length) = scanner.scan(input)? {
            return Ok(length);
        }
        if input.len() >= MAX_HEAD {
            return Err(HttpError::MalformedHeader);
        }
        if !matches!(read_more(from, input).await, Ok(1..)) {
            return Err(HttpError::EmptyReply);
        }
    }
}

async fn read_more(from: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> io::Result<usize> {
    input.reserve(PIECE);
    from.read_buf(input).await
}

/// The head of an answer as the client is to receive it.
struct AnswerHead {
    status: u16,
    framing: BodyFraming,
    bytes: Vec<u8>,
}

fn passed_on(raw: &mut [u8], request: &ForwardedRequest, via: Option<&str>) -> Result<AnswerHead, HttpError> {
    let ParsedHead::Complete(head) = ResponseHead::parse(raw)? else {
        return Err(HttpError::MalformedHeader);
    };
    let status = head.status();
    // The client's Upgrade field was not passed on, so no other protocol was asked for.
    if status == 101 || !(100..=999).contains(&status) {
        return Err(HttpError::MalformedStatusLine);
    }
    let framing = head.framing(request.kind)?;
    let mut bytes = Vec::with_capacity(head.len() + 64);
    put(&mut bytes, &format!("HTTP/1.1 {status:03} {}\r\n", head.reason()));
    let named = named_by_connection(head.headers().all("connection"));
    // Section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code
    // of 1xx (Informational) or 204 (No Content)."
    let keeps_length = framing == BodyFraming::Empty && status >= 200 && status != 204;
    for field in head.headers() {
        // In an answer to HEAD, or with a 304, it says how long the answer to GET would be.
        let is_length = field.name.eq_ignore_ascii_case("content-length");
        if (keeps_length || !is_length) && goes_on(&field, &named) {
            put_field(&mut bytes, &field);
        }
    }
    match framing {
        BodyFraming::Length(length) => put(&mut bytes, &format!("Content-Length: {length}\r\n")),
        BodyFraming::Chunked if request.version == Version::Http11 => {
            put(&mut bytes, "Transfer-Encoding: chunked\r\n");
        }
        _ => {}
    }
    put_via(&mut bytes, head.version(), via);
    put(&mut bytes, if status < 200 { "\r\n" } else { "Connection: close\r\n\r\n" });
    Ok(AnswerHead { status, framing, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_request::{HttpRequestKind, read_http_request};

    /// What the server receives of `request`, and what the client receives of `answer`.
    async fn pass(request: &str, answer: &[u8]) -> (Forwarded, String, String) {
        let mut raw = request.as_bytes().to_vec();
        let read = read_http_request(&mut raw, None).unwrap().unwrap();
        let HttpRequestKind::Forward(forwarded) = read.kind else { panic!("not a tunnel") };
        let early = raw[read.length..].to_vec();
        let (mut server, mut client) = (Vec::new(), Vec::new());
        let moved = Moved::new();
        // The client sends nothing more.
        let end = forward(
            &forwarded,
            early,
            (tokio::io::empty(), &mut client),
            (answer, &mut server),
            &moved,
            (None, Duration::from_secs(60)),
        )
        .await;
        (end, String::from_utf8(server).unwrap(), String::from_utf8(client).unwrap())
    }

    const GET: &str = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test]
    async fn an_answer_is_passed_on_without_what_is_for_one_hop() {
        let answer = b"HTTP/1.0 200 Fine\r\nConnection: X, close\r\nX: 1\r\nY: 2\r\nKeep-Alive: 3\r\nContent-Length: 2\r\n\r\nokMORE";
        let (end, _, client) = pass(GET, answer).await;
        assert_eq!(end, Forwarded::Answered { status: 200 });
        assert_eq!(client, "HTTP/1.1 200 Fine\r\nY: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }

    #[tokio::test]
    async fn chunks_are_framed_anew_and_undone_for_http_1_0() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        let (_, _, client) = pass(GET, answer).await;
        assert!(
            client.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n") && !client.contains("Content-Length"),
            "{client}"
        );
        let (_, _, client) = pass("GET http://a/ HTTP/1.0\r\n\r\n", answer).await;
        assert!(client.ends_with("\r\n\r\nabc") && !client.contains("chunked"), "{client}");
    }

    #[tokio::test]
    async fn a_request_with_a_body_is_sent_whole() {
        let request = "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: 1\r\n\r\nGET /hidden";
        let (end, server, _) = pass(request, b"HTTP/1.1 204 No\r\n\r\n").await;
        assert_eq!(end, Forwarded::Answered { status: 204 });
        assert!(server.ends_with("\r\n\r\n2\r\nab\r\n0\r\n\r\n"), "{server}");
    }

    #[tokio::test]
    async fn interim_answers_go_before_the_final_one() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (_, _, client) = pass(GET, answer).await;
        assert!(
            client.starts_with(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200"
            )
        );
        let (_, _, client) = pass("GET http://a/ HTTP/1.0\r\n\r\n", answer).await;
        assert!(client.starts_with("HTTP/1.1 200 OK"), "{client}");
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
        assert_eq!(pass(GET, &many).await.0, Forwarded::BrokenOff);
    }

    /// A server that works long on an answer says so, also where the client is not to hear it.
    #[tokio::test]
    async fn an_interim_answer_is_a_sign_of_life() {
        for request in [GET, "GET http://a/ HTTP/1.0\r\n\r\n"] {
            let read = read_http_request(&mut request.as_bytes().to_vec(), None).unwrap().unwrap();
            let HttpRequestKind::Forward(forwarded) = read.kind else { panic!("not a tunnel") };
            let moved = Moved::new();
            moved.note_sent(1);
            let mut server = &b"HTTP/1.1 102 Processing\r\n\r\n"[..];
            let end = answer(&forwarded, &mut server, &mut Vec::new(), &moved, None).await;
            assert!(end.is_err() && moved.owed_for().is_none() && moved.last_received_at().is_some());
        }
    }

    /// It has heard nothing yet, so that it can be told by a status.
    #[tokio::test]
    async fn after_an_interim_answer_a_client_of_http_1_0_is_told_that_no_answer_came() {
        let head = "GET http://a/ HTTP/1.0\r\n\r\n";
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
        for answer in
            [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], b"HTTP/1.1 103 Early\r\n\r\nSSH-2.0-x\r\n", &many]
        {
            let (end, _, client) = pass(head, answer).await;
            assert_eq!((end, &*client), (Forwarded::NoAnswer, ""), "{answer:?}");
            assert_eq!(pass(GET, answer).await.0, Forwarded::BrokenOff);
        }
    }

    /// RFC 9110 section 8.6.
    #[tokio::test]
    async fn an_answer_that_never_has_content_goes_on_without_a_length() {
        for status in ["100", "103", "204"] {
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            );
            let (_, _, client) = pass(GET, answer.as_bytes()).await;
            assert!(!client.contains("Content-Length: 7"), "{client}");
        }
        let (_, _, client) = pass(GET, b"HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n").await;
        assert!(client.contains("Content-Length: 7\r\n"), "{client}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told() {
        for answer in [
            &b""[..],
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 101 Other\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 099 No\r\n\r\n",
        ] {
            let (end, _, client) = pass(GET, answer).await;
            assert_eq!((end, &*client), (Forwarded::NoAnswer, ""), "{answer:?}");
        }
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
        ] {
            assert_eq!(pass(GET, answer).await.0, Forwarded::BrokenOff, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_body_may_end_with_the_connection() {
        let (end, _, client) = pass(GET, b"HTTP/1.1 200 OK\r\n\r\nabc").await;
        assert_eq!(end, Forwarded::Answered { status: 200 });
        assert!(client.ends_with("\r\n\r\nabc"), "{client}");
        let head = "HEAD http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
        let (_, _, client) = pass(head, b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").await;
        assert!(client.contains("Content-Length: 7\r\n"), "{client}");
    }
}
