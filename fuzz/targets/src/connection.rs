//! An HTTP connection between a client that does anything in any order and a peer that says anything at any
//! time.

use std::time::Duration;

use connie_core::Failure;
use connie_http::{Authority, HttpConnection, HttpError, OpenConnection, OpenContext, RequestBody};
use connie_sim::words;

use crate::decoded::{end, event, hex, note};
use crate::draw::Draw;
use crate::exchange::exchange;
use crate::peer::{Handle, Socket};
use crate::sent::{BODY, requests};

/// The most that a client does.
const STEPS: u32 = 100;
const METHODS: [&str; 8] =
    ["GET", "HEAD", "POST", "CONNECT", "PUT", "OPTIONS", "", "GET / HTTP/1.1\r\nX: y\r\n"];
const TARGETS: [&str; 8] =
    ["/", "", "?q", "*", "name.test:443", "http://name.test/a", "/a b", "/\r\nX-Bad: 1"];
const FIELDS: [(&str, &str); 10] = [
    ("Accept", "*/*"),
    ("Connection", "close"),
    ("Host", "other.test"),
    ("Content-Length", "3"),
    ("X-Empty", ""),
    ("X-Bad", "a\r\nX-Worse: b"),
    ("X:Bad", "a"),
    ("transfer-encoding", "chunked"),
    ("Connection", "keep-alive, Close"),
    ("host", "a\r\nX-Worse: b"),
];
/// What a client that opens its connections gives besides.
const MORE_FIELDS: [(&str, &str); 5] = [
    ("Expect", "100-continue"),
    ("expect", "100-Continue, x"),
    ("Expect", "y"),
    ("Accept", "*/*"),
    ("Connection", "close"),
];
/// What may stand in a request: what the connection writes itself, and the good ones of the fields above.
const NAMES: [&str; 8] =
    ["Host", "Content-Length", "Transfer-Encoding", "Accept", "Connection", "X-Empty", "Expect", "expect"];
/// The methods whose requests may be sent twice (RFC 9110 section 9.2.2).
const IDEMPOTENT: [&str; 4] = ["GET", "HEAD", "PUT", "OPTIONS"];

/// Plays an HTTP connection. The first byte decides whether one answer is read in two ways or anything
/// happens, over a socket that is there or over as many as are opened; the second how many decisions follow;
/// after them comes what the peer says.
///
/// # Panics
///
/// Where a socket is not released exactly once, somebody asks without end, an error leaves the connection in
/// another state than it promises, a request says what nobody asked for, one is sent twice that may not be,
/// or the way an answer arrives decides what it says.
pub fn connection(data: &[u8]) {
    let mut draw = Draw::new(data);
    let how = draw.pick(&["", "", "GET", "HEAD", "CONNECT", "open", "GET", "open"]);
    let count = draw.byte();
    let decisions = draw.take(count.into());
    note(|| format!("{how:?} {} {}: {}", count, hex(decisions), hex(draw.clone().rest())));
    match how {
        "" => play(Draw::new(decisions), draw.rest()),
        "open" => play_opening(Draw::new(decisions), draw.rest()),
        method => {
            end();
            exchange(method, decisions, count.into(), draw.rest());
        }
    }
}

/// Plays over a socket that is there.
fn play<'a>(mut draw: Draw<'a>, says: &'a [u8]) {
    let (room, name) = room_and_name(&mut draw);
    let net = Handle::new(draw, says);
    let (socket, host) = (net.connected(), Authority::http(name, 80));
    let made = HttpConnection::owning(net.clone(), net.clone(), socket, host, vec![0xa5; room]);
    finish(net, made);
}

/// Plays over sockets that are opened when they are needed.
fn play_opening<'a>(mut draw: Draw<'a>, says: &'a [u8]) {
    let (room, name) = room_and_name(&mut draw);
    let net = Handle::new(draw, says);
    let (dial, host) = (Dial(net.clone()), Authority::http(name, 80));
    let made = HttpConnection::with_opener(net.clone(), net.clone(), dial, host, vec![0xa5; room]);
    finish(net, made);
}

fn room_and_name(draw: &mut Draw<'_>) -> (usize, &'static str) {
    let room = draw.pick(&[512, 64, 100, 20, 5, 0, 2_000]);
    let name = draw.pick(&["name.test", "::1", "a b", "[fe80::1%25eth0]", ""]);
    note(|| format!("room {room}, name {name:?}"));
    (room, name)
}

fn finish<'a, O: OpenConnection<Handle<'a>, Handle<'a>>>(
    net: Handle<'a>,
    made: Result<HttpConnection<Handle<'a>, Handle<'a>, Vec<u8>, O>, HttpError>,
) {
    if let Ok(connection) = made {
        let opens = connection.opener().opens();
        let mut client = Client { net: net.clone(), connection, opens, begun: Vec::new(), tunnels: false };
        client.run();
    }
    assert_eq!(net.open(), 0, "a socket was left open");
}

/// Opens a connection, or fails to.
struct Dial<'a>(Handle<'a>);

impl Dial<'_> {
    fn decide(&self) -> Result<(), Failure> {
        let all = [
            Failure::NoDestinations,
            Failure::AllAttemptsFailed,
            Failure::DeadlineExceeded,
            Failure::Canceled,
            Failure::StackGone,
        ];
        let decided = self.0.decide(|draw| if draw.byte() < 0xd0 { Ok(()) } else { Err(draw.pick(&all)) });
        event(|| format!("opens: {}", decided.map_or_else(words::failure, |()| "yes")));
        decided
    }
}

impl<'a> OpenConnection<Handle<'a>, Handle<'a>> for Dial<'a> {
    fn open(
        &mut self,
        _: &mut Handle<'a>,
        _: &mut Handle<'a>,
        context: OpenContext,
    ) -> Result<Socket, Failure> {
        assert_eq!(self.0.open(), 0, "a second connection is opened beside the first");
        assert!(context.until.is_none_or(|until| until >= self.0.time()), "there is no time left");
        self.decide().map(|()| self.0.connected())
    }

    fn enter_tunnel(
        &mut self,
        _: &mut Handle<'a>,
        _: &mut Handle<'a>,
        _: &mut Socket,
        context: OpenContext,
    ) -> Result<(), Failure> {
        assert!(context.tunnel, "there is a tunnel that the opener was not told of");
        self.decide()
    }
}

struct Client<'a, O> {
    net: Handle<'a>,
    connection: HttpConnection<Handle<'a>, Handle<'a>, Vec<u8>, O>,
    /// Whether the connection opens itself.
    opens: bool,
    /// The methods of the requests that were begun to be sent.
    begun: Vec<&'static str>,
    /// Whether a tunnel was ever asked for.
    tunnels: bool,
}

/// What an operation may do to the connection when it fails.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sends,
    Reads,
}

impl<'a, O: OpenConnection<Handle<'a>, Handle<'a>>> Client<'a, O> {
    fn run(&mut self) {
        for _ in 0..STEPS {
            if self.net.decide(|draw| draw.is_done()) {
                break;
            }
            self.act();
            let open = usize::from(self.connection.is_open());
            assert_eq!(self.net.open(), open, "the connection miscounts its sockets");
        }
        // Whatever has happened, the next answer or error comes.
        let _ = self.exchange();
        self.check_sent();
    }

    /// Sees that no more was sent than was asked for: each request once, and again where that is allowed.
    fn check_sent(&self) {
        let mut sent: Vec<String> = Vec::new();
        for each in self.net.sent() {
            let mut methods = requests(&each, &NAMES);
            if self.tunnels && methods.first().is_some_and(|method| "CONNECT".starts_with(method.as_str())) {
                methods.remove(0);
            }
            sent.append(&mut methods);
        }
        let twice = if self.opens { 2 } else { 1 };
        assert!(sent.len() <= self.begun.len() * twice, "{sent:?} was sent, and {:?} asked for", self.begun);
        for method in METHODS.iter().filter(|method| !method.is_empty() && !IDEMPOTENT.contains(method)) {
            let count =
                |methods: &mut dyn Iterator<Item = &str>| methods.filter(|other| other == method).count();
            let (sent, begun) =
                (count(&mut sent.iter().map(String::as_str)), count(&mut self.begun.iter().copied()));
            assert!(sent <= begun, "{method} was sent {sent} times, and asked for {begun} times");
        }
    }

    fn act(&mut self) {
        let acts = if self.opens { 30 } else { 20 };
        let act = self.net.decide(|draw| draw.below(acts));
        match act {
            0..=2 => self.request(),
            3 => self.put_request(),
            4 | 5 => self.put_header(),
            6 | 7 => self.end_headers(),
            8 | 9 => self.send(),
            10 => {
                note(|| "finish_body".to_owned());
                self.finish_body();
            }
            11..=15 => self.response(),
            16 => self.limit_time(),
            17 => self.change_socket(),
            18 => {
                note(|| "take_socket".to_owned());
                self.take_socket();
            }
            20 => {
                note(|| "connect".to_owned());
                let _ = self.tried(Kind::Sends, |client| client.connection.connect());
            }
            21 | 22 => self.set_tunnel(),
            23 => {
                let (open, wait) = self.net.decide(|draw| (draw.byte() & 3 != 0, draw.byte()));
                note(|| format!("set_auto_open {open}, set_expect_timeout {wait}"));
                self.connection.set_auto_open(open);
                self.connection.set_expect_timeout(Duration::from_millis(u64::from(wait) * 10));
            }
            24 => self.put_request_for(),
            _ => {
                note(|| "exchange".to_owned());
                let _ = self.exchange();
            }
        }
    }

    /// Does `act`, and checks that it leaves what it promises: see [`HttpError`].
    #[track_caller]
    fn tried<T>(
        &mut self,
        kind: Kind,
        act: impl FnOnce(&mut Self) -> Result<T, HttpError>,
    ) -> Result<T, HttpError> {
        let before = (self.net.sent_bytes(), self.connection.is_open());
        let result = act(self);
        let after = (self.net.sent_bytes(), self.connection.is_open());
        let Err(error) = &result else { return result };
        assert!(!error.to_string().contains(char::is_control), "{error}");
        match error {
            error if error.is_usage() => assert_eq!(after, before, "{error} changes something"),
            HttpError::TimedOut | HttpError::Canceled if kind == Kind::Reads => {
                // Unless the request was sent again.
                assert!(after == before || self.opens, "{error} ends the connection");
            }
            HttpError::BodyTooLarge { .. } => {}
            error => assert!(!after.1, "the connection stays open after {error}"),
        }
        result
    }

    fn request(&mut self) {
        let (method, target, body) =
            self.net.decide(|draw| (draw.pick(&METHODS), draw.pick(&TARGETS), draw.byte()));
        let count = self.net.decide(|draw| draw.below(4));
        let headers: Vec<_> = (0..count).map(|_| self.field()).collect();
        let body = vec![BODY; usize::from(body) * 7];
        note(|| format!("request {method:?} {target:?} {headers:?} {}", body.len()));
        self.begun.push(method);
        let _ = self.tried(Kind::Sends, |client| client.connection.request(method, target, &headers, &body));
    }

    fn field(&self) -> (&'static str, &'static str) {
        let more = self.opens;
        self.net.decide(|draw| if more && draw.flag() { draw.pick(&MORE_FIELDS) } else { draw.pick(&FIELDS) })
    }

    fn put_request(&mut self) {
        let (method, target) = self.net.decide(|draw| (draw.pick(&METHODS), draw.pick(&TARGETS)));
        note(|| format!("put_request {method:?} {target:?}"));
        self.begun.push(method);
        let _ = self.tried(Kind::Sends, |client| client.connection.put_request(method, target));
    }

    fn put_request_for(&mut self) {
        let (method, host) =
            self.net.decide(|draw| (draw.pick(&METHODS), draw.pick(&["other.test", "a b", ""])));
        note(|| format!("put_request_for {method:?} {host:?}"));
        self.begun.push(method);
        let _ = self.tried(Kind::Sends, |client| client.connection.put_request_for(method, "/", host));
    }

    fn set_tunnel(&mut self) {
        let (name, count) = self.net.decide(|draw| (draw.pick(&["far.test", "::2", "a b"]), draw.below(3)));
        let headers: Vec<_> = (0..count).map(|_| self.field()).collect();
        note(|| format!("set_tunnel {name:?} {headers:?}"));
        self.tunnels = true;
        let _ = self
            .tried(Kind::Sends, |client| client.connection.set_tunnel(Authority::http(name, 80), &headers));
    }

    fn put_header(&mut self) {
        let (name, value) = self.field();
        note(|| format!("put_header {name:?} {value:?}"));
        let _ = self.tried(Kind::Sends, |client| client.connection.put_header(name, value.as_bytes()));
    }

    fn end_headers(&mut self) {
        let body = self.net.decide(|draw| match draw.below(3) {
            0 => RequestBody::None,
            1 => RequestBody::Length(draw.byte().into()),
            _ => RequestBody::Chunked,
        });
        note(|| match body {
            RequestBody::None => "end_headers without a body".to_owned(),
            RequestBody::Length(length) => format!("end_headers, length {length}"),
            RequestBody::Chunked => "end_headers, chunked".to_owned(),
        });
        let _ = self.tried(Kind::Sends, |client| client.connection.end_headers(body));
    }

    fn send(&mut self) {
        let data = vec![BODY; self.net.decide(|draw| draw.byte()).into()];
        note(|| format!("send {}", data.len()));
        let _ = self.tried(Kind::Sends, |client| client.connection.send(&data));
    }

    fn finish_body(&mut self) {
        let _ = self.connection.wants_body();
        let _ = self.tried(Kind::Sends, |client| client.connection.finish_body());
    }

    /// Asks for the answer, and reads it some way.
    fn response(&mut self) {
        let how = self.net.decide(|draw| draw.below(5));
        let room = self.net.decide(|draw| usize::from(draw.byte()) * 3);
        note(|| format!("response, read in way {how} into {room}"));
        let _ = self.tried(Kind::Reads, |client| {
            let mut response = client.connection.response()?;
            let _ = (response.status(), response.headers().count(), response.will_close());
            let mut out = vec![0; room];
            match how {
                0 | 1 => {
                    let count = response.read(&mut out)?;
                    assert!(count <= room, "{count} bytes were put into {room}");
                    assert!(count > 0 || room == 0 || response.is_closed() || !client.connection.is_open());
                    return Ok(());
                }
                2 => {
                    let length = response.read_to_end(&mut out)?;
                    assert!(length <= room, "{length} bytes were put into {room}");
                }
                3 => response.discard()?,
                _ => {
                    let _ = response.remaining();
                    return Ok(());
                }
            }
            let _ = response.trailers().count();
            assert!(response.is_closed(), "the body was read to its end, and has not ended");
            // RFC 9112 section 6.3: what comes after the answer is no answer to anything.
            assert!(
                response.surplus() == 0 || response.will_close(),
                "another request may follow the surplus"
            );
            Ok(())
        });
    }

    /// Sends a plain request and reads all of the answer.
    fn exchange(&mut self) -> Result<(), HttpError> {
        self.begun.push("GET");
        self.tried(Kind::Sends, |client| client.connection.request("GET", "/", &[], b""))?;
        self.tried(Kind::Reads, |client| client.connection.response()?.discard())
    }

    fn limit_time(&mut self) {
        let (timeout, deadline) = self.net.decide(|draw| (draw.byte(), draw.byte()));
        note(|| format!("set_timeout {timeout}, set_deadline {deadline}"));
        let some = |byte: u8| (byte & 3 != 0).then(|| Duration::from_millis(u64::from(byte >> 2) * 100));
        self.connection.set_timeout(some(timeout));
        let now = self.net.time();
        self.connection.set_deadline(some(deadline).map(|deadline| now + deadline));
    }

    /// Goes on over another socket, or over none.
    fn change_socket(&mut self) {
        let closes = self.net.decide(|draw| draw.flag());
        note(|| if closes { "close" } else { "attach" }.to_owned());
        match closes {
            true => self.connection.close(),
            false => {
                let socket = self.net.connected();
                self.connection.attach(socket);
            }
        }
    }

    /// Takes the socket away and closes it, as a caller must.
    fn take_socket(&mut self) {
        let socket = self.connection.take_socket().map(|(socket, _)| socket);
        if let Some(socket) = socket {
            use connie_core::stack::TcpClientStack;
            assert!(!self.connection.is_open(), "the socket is gone, and the connection open");
            self.net.close(socket).expect("closing cannot fail");
        }
    }
}
