//! A tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

mod support;
use support::{Clock, OpenContext, Say, Script, Take, bytes, connect, opening};

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::TcpClientStack;
use connie_core::{AttemptErrorKind, Config, Failure, Instant, RaceStack};
use connie_http::{Authority, HttpConnection, HttpError, MAX_INTERIM, OpenConnection, RaceAddresses};

const CONNECT: &str = "CONNECT name.test:80 HTTP/1.1\r\nHost: name.test:80\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: name.test\r\n\r\n";
const OPENED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A proxy that gives these answers, one to each request.
fn proxy(answers: &[&str]) -> Script {
    Script::new(answers.iter().flat_map(|answer| [Say::Asked, Say::Pause, bytes(answer)]))
}

/// Runs `act` with a connection to these proxies, in turn, through which there is to be a tunnel to
/// name.test, and gives what each was sent.
#[track_caller]
fn through(proxies: impl IntoIterator<Item = Script>, act: impl FnOnce(&mut OpenContext<'_>)) -> Vec<String> {
    let (mut script, mut clock, mut buffer) = (Script::with_peers(proxies), Clock::default(), [0; 512]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    connection.set_timeout(Some(Duration::from_secs(5)));
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    act(&mut connection);
    drop(connection);
    assert_eq!(script.closed + script.aborted, script.sockets, "each socket is released exactly once");
    script.all_sent()
}

#[track_caller]
fn get(connection: &mut OpenContext<'_>) -> Result<u16, HttpError> {
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    let mut body = [0; 64];
    let length = response.read_to_end(&mut body)?;
    assert_eq!(&body[..length], b"ok");
    Ok(response.status())
}

/// The error of a request through a proxy that does this.
#[track_caller]
fn refused(proxy: Script) -> HttpError {
    let mut error = None;
    through([proxy], |connection| {
        error = connection.request("GET", "/", &[], b"").err();
        assert!(!connection.is_open());
        assert_eq!(connection.response().err(), error, "it is said again");
    });
    error.unwrap()
}

#[test]
fn it_is_opened_before_the_first_request_and_stays() {
    let sent = through([proxy(&[OPENED, OK, OK])], |connection| {
        assert_eq!(get(connection), Ok(200));
        assert_eq!(get(connection), Ok(200));
    });
    assert_eq!(sent, [format!("{CONNECT}{GET}{GET}")]);
}

/// What goes out with the head leaves room for the proxy's answer, should the request have to be repeated.
#[test]
fn a_request_that_fills_the_buffer_leaves_room_for_the_proxy_s_answer() {
    let losing = Script::new([Say::Asked, bytes(OPENED), Say::Asked, bytes(OK), Say::Asked, Say::Reset]);
    let mut script = Script::with_peers([losing, proxy(&[OPENED, OK])]);
    let (mut clock, mut buffer) = (Clock::default(), [0; 1024]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    assert_eq!(get(&mut connection), Ok(200));
    connection.request("PUT", "/", &[], &[b'x'; 300]).unwrap();
    assert_eq!(connection.response().unwrap().status(), 200);
    drop(connection);
    assert!(script.sent_text().ends_with(&"x".repeat(300)));
}

/// Were all of it in the buffer, the proxy's answer would find no room, and that would be told in place of
/// what has happened.
#[test]
fn a_request_that_would_fill_the_buffer_is_not_repeated() {
    let losing = Script::new([Say::Asked, bytes(OPENED), Say::Asked, bytes(OK), Say::Asked, Say::Reset]);
    let (mut script, mut clock) = (Script::with_peers([losing, proxy(&[OPENED, OK])]), Clock::default());
    let mut buffer = [0; 1024];
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    assert_eq!(get(&mut connection), Ok(200));
    connection.request("PUT", "/", &[], &[b'x'; 880]).unwrap();
    assert_eq!(connection.response().unwrap_err(), HttpError::Receive(AttemptErrorKind::Reset.into()));
}

#[test]
fn a_head_that_leaves_no_room_for_the_proxy_s_answer_is_told() {
    let sent = through([proxy(&[OPENED, OK])], |connection| {
        let long = "x".repeat(380);
        let error = connection.request("GET", "/", &[("A", &long)], b"").unwrap_err();
        assert!(matches!(error, HttpError::HeadTooLarge { capacity: 1..40 }), "{error}");
        assert!(!connection.is_open());
    });
    assert_eq!(sent, [CONNECT]);
}

#[test]
fn it_is_opened_by_connect_and_only_once() {
    let sent = through([proxy(&[OPENED, OK])], |connection| {
        connection.connect().unwrap();
        connection.connect().unwrap();
        assert_eq!(get(connection), Ok(200));
    });
    assert_eq!(sent, [format!("{CONNECT}{GET}")]);
}

#[test]
fn it_is_opened_anew_with_each_connection() {
    let ends = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let sent = through([proxy(&[OPENED, ends]), proxy(&[OPENED, OK])], |connection| {
        assert_eq!(get(connection), Ok(200));
        assert_eq!(get(connection), Ok(200));
    });
    assert_eq!(sent, [format!("{CONNECT}{GET}"), format!("{CONNECT}{GET}")]);
}

#[test]
fn a_lost_request_is_repeated_through_a_new_one() {
    let losing = Script::new([Say::Asked, bytes(OPENED), Say::Asked, bytes(OK), Say::Asked, Say::Reset]);
    let sent = through([losing, proxy(&[OPENED, OK])], |connection| {
        assert_eq!(get(connection), Ok(200));
        connection.request("PUT", "/", &[], b"with a body").unwrap();
        connection.response().unwrap().discard().unwrap();
    });
    let put = "PUT / HTTP/1.1\r\nHost: name.test\r\nContent-Length: 11\r\n\r\nwith a body";
    assert_eq!(sent, [format!("{CONNECT}{GET}{put}"), format!("{CONNECT}{put}")]);
}

#[test]
fn it_carries_the_caller_s_fields_and_the_port_always() {
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([proxy(&[OPENED, OK])]), Clock::default(), [0; 512]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    let fields = [("Proxy-Authorization", "Basic bWU6aXQ="), ("User-Agent", "connie")];
    connection.set_tunnel(Authority::https("2001:db8::1", 443), &fields).unwrap();
    assert_eq!(get(&mut connection), Ok(200));
    drop(connection);
    let connect = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\
                   Proxy-Authorization: Basic bWU6aXQ=\r\nUser-Agent: connie\r\n\r\n";
    assert_eq!(script.all_sent(), [format!("{connect}GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n")]);
}

#[test]
fn it_goes_over_a_socket_that_was_given_too() {
    let (mut script, mut clock, mut buffer) = (proxy(&[OPENED, OK]), Clock::default(), [0; 512]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    connection.request("GET", "/", &[], b"").unwrap();
    assert_eq!(connection.response().unwrap().status(), 200);
    drop(connection);
    assert_eq!(script.sent_text(), format!("{CONNECT}{GET}"));
}

#[test]
fn it_may_be_sent_and_answered_in_pieces() {
    let hinted = format!("HTTP/1.1 103 Hint\r\n\r\n{OPENED}");
    let says = hinted.bytes().flat_map(|byte| [Say::Pause, bytes([byte])]);
    let pieces = Script::new([Say::Asked].into_iter().chain(says).chain([Say::Asked, bytes(OK)]));
    let takes = [Take::AtMost(1), Take::BlockFor(1), Take::AtMost(30), Take::Zero];
    let sent = through([pieces.taking(takes)], |connection| assert_eq!(get(connection), Ok(200)));
    assert_eq!(sent, [format!("{CONNECT}{GET}")]);
}

/// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful
/// response to CONNECT", and nothing of what the host says is taken for the proxy's.
#[test]
fn what_follows_the_proxy_s_answer_is_the_host_s() {
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answers = format!("HTTP/1.1 299 Yes\r\n{fields}\r\n{OK}");
        let sent = through([proxy(&[&answers])], |connection| assert_eq!(get(connection), Ok(200)));
        assert_eq!(sent, [format!("{CONNECT}{GET}")]);
    }
}

#[test]
fn the_proxy_s_answer_may_have_many_fields_and_a_line_that_is_none() {
    let fields = "A: b\r\n".repeat(200);
    let opened = format!("HTTP/1.1 200 Yes\r\n{fields}PHP Warning: no such file\r\n\r\n");
    let peers = Script::with_peers([proxy(&[&opened, OK])]);
    let (mut script, mut clock, mut buffer) = (peers, Clock::default(), [0; 2048]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    assert_eq!(get(&mut connection), Ok(200));
}

#[test]
fn a_refusal_tells_its_status() {
    for status in [101, 300, 407, 503] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        let error = refused(proxy(&[&answer]));
        assert!(error == HttpError::TunnelRefused { status } && !error.is_usage());
        assert_eq!(error.to_string(), format!("the proxy refused to open the tunnel: status {status}"));
    }
}

#[test]
fn a_proxy_that_does_not_answer_as_it_should_is_told() {
    assert_eq!(refused(Script::new([Say::Asked, Say::Close])), HttpError::EmptyReply);
    assert_eq!(refused(Script::new([bytes("HTTP/1.1 2"), Say::Close])), HttpError::IncompleteHead);
    assert_eq!(refused(Script::new([Say::Reset])), HttpError::Receive(AttemptErrorKind::Reset.into()));
    assert_eq!(
        refused(Script::default().taking([Take::Fail])),
        HttpError::Send(AttemptErrorKind::Reset.into())
    );
    assert_eq!(refused(proxy(&["SSH-2.0"])), HttpError::NotHttp);
    assert_eq!(refused(proxy(&["HTTP/2.0 200 OK\r\n\r\n"])), HttpError::UnsupportedVersion);
    let hints = "HTTP/1.1 103 Hint\r\n\r\n".repeat(usize::from(MAX_INTERIM) + 1);
    assert_eq!(refused(proxy(&[&hints])), HttpError::TooManyInterim);
    let capacity = 512 - CONNECT.len() - "name.test".len() - GET.len();
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(500));
    assert_eq!(refused(proxy(&[&long])), HttpError::HeadTooLarge { capacity });
}

#[test]
fn a_silent_proxy_is_a_connection_that_could_not_be_opened() {
    assert_eq!(refused(Script::default()), HttpError::Connect(Failure::DeadlineExceeded));
    assert_eq!(
        refused(Script::default().taking([Take::Block])),
        HttpError::Connect(Failure::DeadlineExceeded)
    );
}

#[test]
fn what_cannot_be_kept_leaves_the_connection_as_it_was() {
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([proxy(&[OK])]), Clock::default(), [0; 100]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    let name = Authority::http("a", 80);
    for (host, fields, error) in [
        (Authority::http("a b", 80), &[][..], HttpError::InvalidHost),
        (name, &[("A", "b\r\nC: d")], HttpError::InvalidHeaderValue),
        (name, &[("Host", "b")], HttpError::ReservedHeader),
        (Authority::http("quite-a-long-name.test", 80), &[], HttpError::BufferTooSmall),
        (name, &[("Proxy-Authorization", "Basic bWU6aXQ=")], HttpError::BufferTooSmall),
    ] {
        assert_eq!(connection.set_tunnel(host, fields), Err(error));
        assert!(error.is_usage());
    }
    assert_eq!(get(&mut connection), Ok(200));
    drop(connection);
    assert_eq!(script.all_sent(), [GET]);
}

#[test]
fn it_can_be_set_as_long_as_the_connection_leads_nowhere() {
    let to = Authority::http("other.test", 81);
    let sent = through([proxy(&[OPENED, OK]), proxy(&[OPENED, OK])], |connection| {
        connection.connect().unwrap();
        assert_eq!(connection.set_tunnel(to, &[]), Err(HttpError::CannotSetTunnel));
        assert_eq!(get(connection), Ok(200));
        assert_eq!(connection.set_tunnel(to, &[]), Err(HttpError::CannotSetTunnel));
        connection.close();
        connection.set_tunnel(to, &[]).unwrap();
        assert_eq!(get(connection), Ok(200));
    });
    let other = "CONNECT other.test:81 HTTP/1.1\r\nHost: other.test:81\r\n\r\n\
                 GET / HTTP/1.1\r\nHost: other.test:81\r\n\r\n";
    assert_eq!(sent, [format!("{CONNECT}{GET}"), other.to_owned()]);
}

#[test]
fn it_cannot_be_set_on_a_connection_that_leads_to_a_host() {
    let (mut script, mut clock, mut buffer) = (proxy(&[OK]), Clock::default(), [0; 512]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.request("GET", "/", &[], b"").unwrap();
    let to = Authority::http("other.test", 81);
    assert_eq!(connection.set_tunnel(to, &[]), Err(HttpError::CannotSetTunnel));
    connection.response().unwrap().discard().unwrap();
    assert_eq!(connection.set_tunnel(to, &[]), Err(HttpError::CannotSetTunnel));
    assert_eq!(connection.response().unwrap().status(), 200, "the answer is still there");
}

/// An opener that speaks something of its own within the tunnel, as TLS does.
struct Inner {
    within: Result<(), Failure>,
    until: Option<Instant>,
    told: Vec<(bool, Option<Instant>)>,
}

impl<S: RaceStack, W> OpenConnection<S, W> for Inner {
    fn open(
        &mut self,
        stack: &mut S,
        _: &mut W,
        context: connie_http::OpenContext,
    ) -> Result<S::TcpSocket, Failure> {
        self.told.push((context.tunnel, context.until));
        let mut socket = stack.socket().map_err(|_| Failure::StackGone)?;
        let remote = SocketAddr::from(([192, 0, 2, 1], 3128));
        stack.connect(&mut socket, remote).map_err(|_| Failure::AllAttemptsFailed)?;
        Ok(socket)
    }

    fn enter_tunnel(
        &mut self,
        stack: &mut S,
        _: &mut W,
        socket: &mut S::TcpSocket,
        context: connie_http::OpenContext,
    ) -> Result<(), Failure> {
        self.told.push((context.tunnel, context.until));
        stack.send(socket, b"<handshake>").map_err(|_| Failure::StackGone)?;
        self.within
    }

    fn tunnel_until(&self) -> Option<Instant> {
        self.until
    }
}

#[test]
fn the_opener_is_told_when_it_stands() {
    for within in [Ok(()), Err(Failure::AllAttemptsFailed)] {
        let mut script = Script::with_peers([proxy(&[OPENED, OK])]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut inner = Inner { within, told: Vec::new(), until: None };
        let (lent, host) = (connie_http::ByRef(&mut clock), Authority::http("proxy.test", 3128));
        let mut connection =
            HttpConnection::with_opener(&mut script, lent, &mut inner, host, &mut buffer).unwrap();
        connection.set_deadline(Some(Instant::from_millis(100)));
        connection.set_tunnel(Authority::https("name.test", 443), &[]).unwrap();
        assert_eq!(connection.connect(), within.map_err(HttpError::Connect));
        assert_eq!(connection.is_open(), within.is_ok());
        drop(connection);
        assert_eq!(inner.told, [(true, Some(Instant::from_millis(100))); 2]);
        assert!(script.sent_text().ends_with("\r\n\r\n<handshake>"), "{}", script.sent_text());
        assert_eq!(script.closed + script.aborted, script.sockets);
    }
}

/// An opener that speaks TLS makes its handshake there and then where the socket leads to the host.
#[test]
fn the_opener_is_told_that_there_is_none() {
    let mut script = Script::with_peers([proxy(&[OK])]);
    let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
    let mut inner = Inner { within: Ok(()), told: Vec::new(), until: None };
    let (lent, host) = (connie_http::ByRef(&mut clock), Authority::http("name.test", 80));
    let mut connection =
        HttpConnection::with_opener(&mut script, lent, &mut inner, host, &mut buffer).unwrap();
    assert_eq!(connection.connect(), Ok(()));
    drop(connection);
    assert_eq!(inner.told, [(false, None)]);
}

/// A connection to a proxy, raced for `deadline` at most, through which there is to be a tunnel.
fn raced<'a>(
    script: &'a mut Script,
    clock: &'a mut Clock,
    buffer: &'a mut [u8],
    deadline: Duration,
) -> OpenContext<'a> {
    let config = Config::all_at_once().deadline(Some(deadline));
    let destinations = RaceAddresses::new([SocketAddr::from(([192, 0, 2, 1], 3128))], config);
    let host = Authority::http("proxy.test", 3128);
    let mut connection =
        HttpConnection::with_opener(script, connie_http::ByRef(clock), destinations, host, buffer).unwrap();
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    connection
}

#[test]
fn the_deadline_of_the_race_lasts_until_the_tunnel_stands() {
    let silent = || Script::new([]);
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([silent(), silent()]), Clock::default(), [0; 512]);
    let mut connection = raced(&mut script, &mut clock, &mut buffer, Duration::from_secs(3));
    let too_late = Err(HttpError::Connect(Failure::DeadlineExceeded));
    assert_eq!(connection.request("GET", "/", &[], b""), too_late);
    // The next one has as long again, where the connection's own limits do not end it before.
    connection.set_timeout(Some(Duration::from_secs(2)));
    assert_eq!(connection.request("GET", "/", &[], b""), too_late);
    drop(connection);
    assert_eq!(clock.now, Instant::from_millis(5_000));
    assert_eq!((script.sockets, script.aborted), (2, 2));
}

#[test]
fn the_deadline_of_a_race_that_is_lent_is_the_same() {
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([Script::new([])]), Clock::default(), [0; 512]);
    let config = Config::all_at_once().deadline(Some(Duration::from_secs(3)));
    let mut destinations: RaceAddresses<_> =
        RaceAddresses::new([SocketAddr::from(([192, 0, 2, 1], 3128))], config);
    let (lent, host) = (connie_http::ByRef(&mut clock), Authority::http("proxy.test", 3128));
    let mut connection =
        HttpConnection::with_opener(&mut script, lent, &mut destinations, host, &mut buffer).unwrap();
    connection.set_tunnel(Authority::http("name.test", 80), &[]).unwrap();
    assert_eq!(connection.connect(), Err(HttpError::Connect(Failure::DeadlineExceeded)));
    drop(connection);
    assert_eq!(clock.now, Instant::from_millis(3_000));
}

/// Gets a page through a proxy that does something each second, and with that has opened the tunnel after
/// `takes` seconds. A deadline in that moment has passed when it comes; one a millisecond later is for the
/// tunnel, and not for the page, which takes a second more.
#[track_caller]
fn is_in_time_or_not(proxy: &Script, takes: u64) {
    let takes = takes * 1000;
    for (deadline, in_time) in [(takes - 1, false), (takes, false), (takes + 1, true)] {
        let (mut script, mut buffer) = (Script::with_peers([proxy.clone()]), [0; 512]);
        let mut clock = Clock { tick: Duration::from_secs(1), ..Clock::default() };
        let mut connection = raced(&mut script, &mut clock, &mut buffer, Duration::from_millis(deadline));
        // A limit on each silence does not stop a proxy that trickles.
        connection.set_timeout(Some(Duration::from_secs(5)));
        let got = get(&mut connection);
        drop(connection);
        if in_time {
            assert_eq!((got, clock.now), (Ok(200), Instant::from_millis(takes + 1000)), "{deadline} ms");
        } else {
            let too_late = Err(HttpError::Connect(Failure::DeadlineExceeded));
            assert_eq!((got, clock.now), (too_late, Instant::from_millis(deadline)), "{deadline} ms");
            assert_eq!((script.sockets, script.aborted), (1, 1));
        }
    }
}

#[test]
fn a_proxy_that_is_mute_at_first_is_in_time_or_not() {
    is_in_time_or_not(&proxy(&[OPENED, OK]), 1);
}

#[test]
fn a_proxy_that_trickles_is_in_time_or_not() {
    let trickle = OPENED.bytes().flat_map(|byte| [Say::Pause, bytes([byte])]);
    let page = [Say::Asked, Say::Pause, bytes(OK)];
    let slow = Script::new([Say::Asked].into_iter().chain(trickle).chain(page));
    is_in_time_or_not(&slow, OPENED.len() as u64);
    // 1xx answers do not extend the limit.
    let hints = (0..MAX_INTERIM).flat_map(|_| [Say::Pause, bytes("HTTP/1.1 103 Hint\r\n\r\n")]);
    let opened = [Say::Pause, bytes(OPENED), Say::Asked, Say::Pause, bytes(OK)];
    let hinting = Script::new([Say::Asked].into_iter().chain(hints).chain(opened));
    is_in_time_or_not(&hinting, u64::from(MAX_INTERIM) + 1);
}

/// The CONNECT request itself may be taken byte by byte: a second each here. The answer comes at once.
#[test]
fn a_proxy_that_hardly_listens_is_in_time_or_not() {
    let takes = CONNECT.bytes().flat_map(|_| [Take::BlockFor(1), Take::AtMost(1)]);
    let deaf = Script::new([Say::Asked, bytes(OPENED), Say::Asked, Say::Pause, bytes(OK)]).taking(takes);
    is_in_time_or_not(&deaf, CONNECT.len() as u64);
}

/// An opener that has a deadline of its own, and within the tunnel speaks something that takes no time.
#[test]
fn what_begins_within_the_tunnel_has_the_same_deadline() {
    let earlier = Some(Instant::from_millis(40));
    let later = Some(Instant::from_millis(60));
    for (own, limit) in
        [(earlier, earlier), (later, Some(Instant::from_millis(50))), (None, Some(Instant::from_millis(50)))]
    {
        let mut script = Script::with_peers([proxy(&[OPENED, OK])]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut inner = Inner { within: Ok(()), told: Vec::new(), until: own };
        let (lent, host) = (connie_http::ByRef(&mut clock), Authority::http("proxy.test", 3128));
        let mut connection =
            HttpConnection::with_opener(&mut script, lent, &mut inner, host, &mut buffer).unwrap();
        connection.set_deadline(Some(Instant::from_millis(50)));
        connection.set_tunnel(Authority::https("name.test", 443), &[]).unwrap();
        assert_eq!(connection.connect(), Ok(()));
        drop(connection);
        assert_eq!(inner.told, [(true, Some(Instant::from_millis(50))), (true, limit)], "{own:?}");
    }
}

/// What was a deadline long ago says nothing about a socket that comes from elsewhere.
#[test]
fn the_deadline_of_a_race_is_not_for_a_socket_that_was_given() {
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([proxy(&[OPENED, OK]), proxy(&[OPENED, OK])]), Clock::default(), [0; 512]);
    let mut connection = raced(&mut script, &mut clock, &mut buffer, Duration::from_millis(100));
    assert_eq!(get(&mut connection), Ok(200));
    connection.close();
    let (stack, _) = connection.parts_mut();
    let mut socket = stack.socket().unwrap();
    stack.connect(&mut socket, SocketAddr::from(([192, 0, 2, 1], 3128))).unwrap();
    connection.parts_mut().1.0.now = Instant::from_millis(60_000);
    connection.attach(socket);
    assert_eq!(get(&mut connection), Ok(200));
}
