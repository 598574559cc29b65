//! An HTTP connection between a client that does anything in any order and a peer that says anything at any time.

use std::time::Duration;

use connie_core::http::{Host, HttpConnection, HttpError, RequestBody};

use crate::draw::Draw;
use crate::exchange::exchange;
use crate::peer::Handle;
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
/// What may stand in a request: what the connection writes itself, and the good ones of `FIELDS`.
const NAMES: [&str; 6] = ["Host", "Content-Length", "Transfer-Encoding", "Accept", "Connection", "X-Empty"];

/// Plays an HTTP connection. The first byte decides whether one answer is read in two ways or anything happens, the second how many
/// decisions follow; after them comes what the peer says.
///
/// # Panics
///
/// Where a socket is not released exactly once, somebody asks without end, an error leaves the connection in another state than it
/// promises, a request says what nobody asked for, or the way an answer arrives decides what it says.
pub fn connection(data: &[u8]) {
    let mut draw = Draw::new(data);
    let method = draw.pick(&["", "", "GET", "HEAD", "CONNECT", "", "GET", ""]);
    let count = draw.byte();
    let decisions = draw.take(count.into());
    match method {
        "" => Client::play(Draw::new(decisions), draw.rest()),
        method => exchange(method, decisions, count.into(), draw.rest()),
    }
}

struct Client<'a> {
    net: Handle<'a>,
    connection: HttpConnection<Handle<'a>, Handle<'a>, Vec<u8>>,
    /// How many requests were begun to be sent.
    begun: usize,
}

/// What an operation may do to the connection when it fails.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sends,
    Reads,
}

impl<'a> Client<'a> {
    fn play(mut draw: Draw<'a>, says: &'a [u8]) {
        let room = draw.pick(&[512, 64, 100, 20, 5, 0, 2_000]);
        let name = draw.pick(&["name.test", "::1", "a b", "[fe80::1%25eth0]", ""]);
        let net = Handle::new(draw, says);
        let (socket, host) = (net.connected(), Host::http(name, 80));
        let made = HttpConnection::owning(net.clone(), net.clone(), socket, host, vec![0xa5; room]);
        if let Ok(connection) = made {
            let mut client = Client { net: net.clone(), connection, begun: 0 };
            client.run();
        }
        assert_eq!(net.open(), 0, "a socket was left open");
    }

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
        let sent: usize = self.net.sent().iter().map(|sent| requests(sent, &NAMES)).sum();
        assert!(sent <= self.begun, "{sent} requests were sent, and {} were asked for", self.begun);
    }

    fn act(&mut self) {
        match self.net.decide(|draw| draw.below(20)) {
            0..=2 => self.request(),
            3 => self.put_request(),
            4 | 5 => self.put_header(),
            6 | 7 => self.end_headers(),
            8 | 9 => self.send(),
            10 => self.finish_body(),
            11..=15 => self.response(),
            16 => self.limit_time(),
            17 => self.change_socket(),
            18 => self.take_socket(),
            _ => {
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
                assert_eq!(after, before, "{error} ends the connection");
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
        let headers: Vec<_> = (0..count).map(|_| self.net.decide(|draw| draw.pick(&FIELDS))).collect();
        let body = vec![BODY; usize::from(body) * 7];
        self.begun += 1;
        let _ = self.tried(Kind::Sends, |client| client.connection.request(method, target, &headers, &body));
    }

    fn put_request(&mut self) {
        let (method, target) = self.net.decide(|draw| (draw.pick(&METHODS), draw.pick(&TARGETS)));
        let _ = self.tried(Kind::Sends, |client| client.connection.put_request(method, target));
    }

    fn put_header(&mut self) {
        let (name, value) = self.net.decide(|draw| draw.pick(&FIELDS));
        let _ = self.tried(Kind::Sends, |client| client.connection.put_header(name, value.as_bytes()));
    }

    fn end_headers(&mut self) {
        let body = self.net.decide(|draw| match draw.below(3) {
            0 => RequestBody::None,
            1 => RequestBody::Length(draw.byte().into()),
            _ => RequestBody::Chunked,
        });
        self.begun += 1;
        let _ = self.tried(Kind::Sends, |client| client.connection.end_headers(body));
    }

    fn send(&mut self) {
        let data = vec![BODY; self.net.decide(|draw| draw.byte()).into()];
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
        self.begun += 1;
        self.tried(Kind::Sends, |client| client.connection.request("GET", "/", &[], b""))?;
        self.tried(Kind::Reads, |client| client.connection.response()?.discard())
    }

    fn limit_time(&mut self) {
        let (timeout, deadline) = self.net.decide(|draw| (draw.byte(), draw.byte()));
        let some = |byte: u8| (byte & 3 != 0).then(|| Duration::from_millis(u64::from(byte >> 2) * 100));
        self.connection.set_timeout(some(timeout));
        let now = self.net.time();
        self.connection.set_deadline(some(deadline).map(|deadline| now + deadline));
    }

    /// Goes on over another socket, or over none.
    fn change_socket(&mut self) {
        match self.net.decide(|draw| draw.flag()) {
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
