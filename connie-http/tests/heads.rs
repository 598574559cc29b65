//! Heads that are kept as they came, beside what is read of them.

#![cfg(feature = "raw-heads")]

mod support;
use support::{Clock, Random, Say, Script, bytes, connect, cut_at};

use connie_http::{Authority, HttpConnection, HttpError, OpenConnection, OpenContext};

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\tb\r\n\r\n";
const FOLDED: &str = "HTTP/1.1 200 OK\r\nA:  b \r\n\t c\r\nContent-Length: 4\r\n\r\n";

/// What came of an exchange: the heads as they came, the trailers, and the body or why there is none.
#[derive(Debug, PartialEq)]
struct Heads {
    raw: String,
    trailers: String,
    body: Result<String, HttpError>,
}

fn read<S, W, B, O>(connection: &mut HttpConnection<S, W, B, O>) -> Result<(String, String), HttpError>
where
    S: connie_core::RaceStack,
    W: connie_core::Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    let mut response = connection.response()?;
    let mut body = [0; 64];
    let length = response.read_to_end(&mut body)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&body[..length]), text(response.raw_trailers())))
}

/// What comes of this answer, in a buffer of this size.
fn heads_in(room: usize, says: Vec<Say>, keeps_heads: bool) -> Heads {
    let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), vec![0; room]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.set_keeps_heads(keeps_heads);
    connection.request("GET", "/", &[], b"").unwrap();
    assert_eq!(connection.raw_heads(), b"", "nothing has come");
    let read = read(&mut connection);
    let raw = String::from_utf8_lossy(connection.raw_heads()).into_owned();
    let (body, trailers) =
        read.map_or_else(|error| (Err(error), String::new()), |(body, rest)| (Ok(body), rest));
    Heads { raw, trailers, body }
}

fn heads(raw: &str) -> Heads {
    heads_in(512, cut_at(raw.as_bytes(), &[]), true)
}

#[track_caller]
fn keeps(heads_only: &str, rest: &str, body: &str) {
    let is = |heads: Heads| {
        assert_eq!(heads.raw, heads_only);
        assert_eq!(heads.body.as_deref(), Ok(body), "{heads_only:?}");
    };
    let raw = format!("{heads_only}{rest}");
    is(heads(&raw));
    for cut in 0..raw.len() {
        is(heads_in(512, cut_at(raw.as_bytes(), &[cut]), true));
    }
    let without = heads_in(512, cut_at(raw.as_bytes(), &[]), false);
    assert_eq!((without.raw.as_str(), without.body.as_deref()), ("", Ok(body)), "they are not kept unasked");
}

#[test]
fn a_head_is_kept_octet_for_octet() {
    keeps(PAGE, "page", "page");
    keeps("HTTP/1.0 200\nA:b\nB :c\nno colon\nContent-Length:4\n\r\n", "page", "page");
    keeps(FOLDED, "page", "page");
    keeps("HTTP/1.1 204 No\r\nA:\r\n \r\n\r\n", "", "");
}

#[test]
fn heads_of_status_1xx_are_kept_before_it() {
    keeps(&format!("HTTP/1.1 100 Continue\r\n\r\n{PAGE}"), "page", "page");
    for last in [PAGE, FOLDED] {
        keeps(&format!("{HINTS}{last}"), "page", "page");
        keeps(&format!("{HINTS}HTTP/1.1 102 Wait\r\n\r\n{HINTS}{last}"), "page", "page");
    }
}

#[test]
fn a_folded_field_is_read_joined_and_kept_as_it_came() {
    let says = cut_at(format!("{HINTS}{FOLDED}page").as_bytes(), &[]);
    let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.set_keeps_heads(true);
    connection.request("GET", "/", &[], b"").unwrap();
    let response = connection.response().unwrap();
    assert_eq!(response.header("a"), Some(&b"b   \t c"[..]));
    assert_eq!(response.header("link"), None, "that is of another head");
    assert_eq!((response.status(), response.headers().count()), (200, 2));
}

#[test]
fn what_has_come_of_a_head_is_there_where_it_cannot_be_read() {
    let fails = |raw: &str, kept: &str, error: HttpError| {
        let heads = heads(raw);
        assert_eq!((heads.raw.as_str(), heads.body), (kept, Err(error)), "{raw:?}");
    };
    fails("HTTP/1.1 200 OK\r\nA: b\r\nC", "HTTP/1.1 200 OK\r\nA: b\r\n", HttpError::IncompleteHead);
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    fails(&format!("{hints}HTTP/1.1"), hints, HttpError::IncompleteHead);
    fails(hints, hints, HttpError::EmptyReply);
    fails("", "", HttpError::EmptyReply);
    fails("SSH-2.0\r\n", "", HttpError::NotHttp);
    for fault in ["Content-Length: x\r\n", "A:\r\n b\r\nContent-Length: x\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{fault}\r\n");
        fails(&format!("{hints}{head}page"), &format!("{hints}{head}"), HttpError::InvalidContentLength);
    }
    for fault in ["A: b\0c\r\n", "A:\r\n b\0c\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{fault}\r\n");
        fails(&format!("{head}page"), &head, HttpError::MalformedHeader);
    }
}

/// Heads that are kept, and the copy of one with folded lines, have to fit the buffer.
#[test]
fn a_buffer_that_is_too_small_for_them_is_an_error() {
    for raw in [format!("{HINTS}{PAGE}page"), format!("{FOLDED}page"), format!("{HINTS}{HINTS}{FOLDED}page")]
    {
        let mut outcomes = [0, 0];
        for room in 60..300 {
            let heads = heads_in(room, cut_at(raw.as_bytes(), &[]), true);
            match heads.body {
                Ok(body) => {
                    outcomes[0] += 1;
                    assert_eq!((heads.raw + &body, body.as_str()), (raw.clone(), "page"));
                }
                Err(error) => {
                    outcomes[1] += 1;
                    assert!(matches!(error, HttpError::HeadTooLarge { .. }), "{error}");
                    assert_eq!(outcomes[0], 0, "what fits a buffer fits a larger one");
                }
            }
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    }
}

#[test]
fn the_next_response_has_its_own() {
    let second = "HTTP/1.1 200 Again\r\nContent-Length: 2\r\n\r\n";
    let says = [Say::Asked, bytes(format!("{HINTS}{FOLDED}page")), Say::Asked, bytes(format!("{second}ok"))];
    let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.set_keeps_heads(true);
    for (heads, body) in [(format!("{HINTS}{FOLDED}"), "page"), (second.to_owned(), "ok")] {
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read(&mut connection).unwrap().0, body);
        assert_eq!(connection.raw_heads(), heads.as_bytes());
    }
    assert!(connection.is_open());
}

#[test]
fn trailers_are_there_as_they_came() {
    let chunks = |trailers: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        heads(&format!("{HINTS}{head}4\r\npage\r\n0\r\n{trailers}\r\n"))
    };
    assert_eq!(chunks("A:  b\r\nC : d\n").trailers, "A:  b\r\nC : d\n\r\n");
    assert_eq!(chunks("").trailers, "\r\n");
}

/// Keeping them changes nothing else.
#[test]
fn keeping_them_changes_nothing_else() {
    let mut random = Random::seeded(20);
    let lines =
        ["A: b", "A:\r\n b", "\tx", "no colon", "B:\t c ", "Content-Length: 4", "X: a\0b", "Link: 1\n 2"];
    for _ in 0..2_000 {
        let mut raw = String::new();
        for status in ["100 C", "103 E", "200 OK"].iter().skip(random.below(3)) {
            raw.push_str(&format!("HTTP/1.1 {status}\r\n"));
            for _ in 0..random.below(4) {
                raw.push_str(lines[random.below(lines.len())]);
                raw.push_str(if random.one_in(4) { "\n" } else { "\r\n" });
            }
            raw.push_str("\r\n");
        }
        let head = raw.clone();
        raw.push_str("page");
        let mut cuts = [random.below(raw.len()), random.below(raw.len())];
        cuts.sort_unstable();
        let kept = heads_in(1024, cut_at(raw.as_bytes(), &cuts), true);
        let plain = heads_in(1024, cut_at(raw.as_bytes(), &cuts), false);
        assert_eq!(kept.body, plain.body, "{raw:?}");
        if kept.body.is_ok() {
            assert_eq!(kept.raw, head, "{raw:?}");
        }
    }
}

/// Opens what the next connection leads to, and keeps what the proxy said.
struct Proxied<O> {
    inner: O,
    heads: Vec<u8>,
}

impl<S: connie_core::RaceStack, W, O: OpenConnection<S, W>> OpenConnection<S, W> for Proxied<O> {
    fn open(
        &mut self,
        stack: &mut S,
        poller: &mut W,
        context: OpenContext,
    ) -> Result<S::TcpSocket, connie_core::Failure> {
        self.inner.open(stack, poller, context)
    }

    fn on_tunnel_heads(&mut self, raw: &[u8]) {
        self.heads = raw.to_vec();
    }
}

#[test]
fn the_opener_is_given_those_of_a_proxy() {
    for (answer, status) in
        [("HTTP/1.1 200 Yes\r\nVia:\r\n a\r\n\r\n", 200), ("HTTP/1.1 403 No\r\nA:b\r\n\r\n", 403)]
    {
        for keeps_heads in [true, false] {
            let says = [Say::Asked, bytes(answer), Say::Asked, bytes(format!("{PAGE}page"))];
            let (mut script, mut clock) = (Script::with_peers([Script::new(says)]), Clock::default());
            let addresses = [std::net::SocketAddr::from(([192, 0, 2, 1], 80))];
            let inner = connie_http::RaceAddresses::<_>::new(addresses, connie_core::Config::all_at_once());
            let opener = Proxied { inner, heads: Vec::new() };
            let (host, poller) = (Authority::http("proxy.test", 80), connie_http::ByRef(&mut clock));
            let mut connection =
                HttpConnection::with_opener(&mut script, poller, opener, host, vec![0; 512]).unwrap();
            connection.set_keeps_heads(keeps_heads);
            connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
            let sent = connection.request("GET", "/", &[], b"");
            let expected = if keeps_heads { answer } else { "" };
            assert_eq!(connection.opener().heads, expected.as_bytes());
            if status == 200 {
                sent.unwrap();
                assert_eq!(read(&mut connection).unwrap().0, "page");
                assert_eq!(connection.raw_heads(), if keeps_heads { PAGE.as_bytes() } else { b"" });
            } else {
                assert_eq!(sent, Err(HttpError::TunnelRefused { status }));
            }
        }
    }
}
