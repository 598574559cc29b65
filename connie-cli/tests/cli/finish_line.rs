//! `--finish-line response`: a server that shakes hands and then says nothing, or breaks off, is not the last
//! that is asked.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_servers::TlsServer;
use connie_servers::clock::{pause, timed};
use serde_json::Value;

use crate::support::{Ran, connie, fresh_path};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
/// How late a busy machine may be.
const LATE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Front {
    Silent,
    Reset,
    Answers(Duration),
}

const LIVE: Front = Front::Answers(Duration::ZERO);

impl Front {
    fn serve(self, mut stream: TcpStream, requests: &AtomicUsize) -> io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        requests.fetch_add(1, Ordering::SeqCst);
        match self {
            Front::Silent => io::copy(&mut stream, &mut io::sink()).map(|_| ()),
            // Closed with something unread, it is reset.
            Front::Reset => Ok(rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?),
            Front::Answers(after) => {
                pause(after);
                stream.write_all(PAGE)
            }
        }
    }
}

/// The servers of a host, of which the first wins the race of the handshakes.
struct Site(Vec<(TlsServer, Arc<AtomicUsize>)>);

impl Site {
    fn new(fronts: &[Front]) -> Self {
        let mut servers: Vec<(TlsServer, Arc<AtomicUsize>)> = Vec::new();
        for (number, front) in (1..).zip(fronts.iter().copied()) {
            let port = servers.first().map_or(0, |(server, _)| server.address().port());
            let (count, at) = (Arc::new(AtomicUsize::new(0)), SocketAddr::from(([127, 0, 0, number], port)));
            let requests = Arc::clone(&count);
            servers.push((TlsServer::raw_at(at, move |stream| front.serve(stream, &requests)), count));
        }
        Site(servers)
    }

    fn at(&self, index: usize) -> SocketAddr {
        self.0[index].0.address()
    }

    #[track_caller]
    fn had(&self, requests: &[usize]) {
        let had: Vec<_> = self.0.iter().map(|(_, count)| count.load(Ordering::SeqCst)).collect();
        assert_eq!(had, requests, "requests");
    }

    /// Gets the page with these options, and says how long that took.
    fn get(&self, options: &[&str]) -> (Ran, Duration) {
        let port = self.at(0).port();
        let addresses: Vec<_> = self.0.iter().map(|(server, _)| server.address().ip().to_string()).collect();
        let resolve = format!("name.test:{port}:{}", addresses.join(","));
        let url = format!("http://name.test:{port}/");
        let always = ["get", "--resolve", &resolve, "--pacing", "staggered", "-m", "20", &url];
        timed(|| connie(always.iter().chain(options)))
    }
}

#[test]
fn a_silent_server_is_given_a_second_and_then_another_is_asked() {
    let site = Site::new(&[Front::Silent, LIVE]);
    let (ran, took) = site.get(&["-v"]);
    let answered = format!("{} answered after 1", site.at(1));
    ran.exits(0).prints("hello").says(&answered).says("(2 requests)").says("silent");
    // Both races are shown.
    for index in [0, 1] {
        ran.says(&format!("connected to {}", site.at(index)));
    }
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + LATE, "{took:?}");
    site.had(&[1, 1]);
}

#[test]
fn other_finish_lines_ask_nobody_else() {
    for line in ["tls", "tcp"] {
        let site = Site::new(&[Front::Silent, LIVE]);
        site.get(&["--finish-line", line, "-m", "1.4"]).0.exits(28);
        site.had(&[1, 0]);
        let site = Site::new(&[Front::Reset, LIVE]);
        site.get(&["--finish-line", line]).0.exits(56);
        site.had(&[1, 0]);
    }
}

#[test]
fn a_connection_that_is_reset_is_repeated_elsewhere_for_get_and_head() {
    for options in [&["--finish-line", "response"][..], &["-I"], &["-X", "OPTIONS"], &["-L"]] {
        let site = Site::new(&[Front::Reset, LIVE]);
        let (ran, took) = site.get(options);
        ran.exits(0).is_quiet();
        assert!(took < LATE, "{took:?}");
        site.had(&[1, 1]);
    }
    for options in [&["-d", "x=1"][..], &["-X", "DELETE"], &["-X", "GET", "-d", "x=1"], &["-T", "-"]] {
        let site = Site::new(&[Front::Reset, LIVE]);
        // 55 where the reset came before the whole body was sent.
        assert!(matches!(site.get(options).0.code, Some(55 | 56)), "{options:?}");
        site.had(&[1, 0]);
    }
}

#[test]
fn when_both_are_silent_the_error_names_both() {
    let site = Site::new(&[Front::Silent, Front::Silent]);
    let (ran, took) = site.get(&["-m", "1.5"]);
    let [first, second] = [0, 1].map(|index| format!("{}: silent until time was up", site.at(index)));
    ran.exits(28).says(&first).says(&second).says("--max-time").says_lines(1);
    assert!(took < Duration::from_millis(1_500) + LATE, "{took:?}");
    site.had(&[1, 1]);
}

#[test]
fn when_both_break_off_the_error_names_both() {
    let site = Site::new(&[Front::Reset, Front::Reset]);
    let (ran, _) = site.get(&[]);
    let [first, second] = [0, 1].map(|index| format!("{}: connection reset", site.at(index)));
    ran.exits(56).says(&first).says(&second).says_lines(1);
    site.had(&[1, 1]);
}

#[test]
fn a_slow_page_is_asked_for_once_with_one_address_and_twice_with_two() {
    let slow = Front::Answers(Duration::from_millis(1_600));
    let site = Site::new(&[slow]);
    let (ran, _) = site.get(&["-v"]);
    ran.exits(0).prints("hello");
    assert!(!ran.stderr.contains("requests)"), "{}", ran.stderr);
    site.had(&[1]);
    let site = Site::new(&[slow, slow]);
    let (ran, _) = site.get(&["-v"]);
    ran.exits(0).prints("hello").says(&format!("{} answered after 1", site.at(0))).says("(2 requests)");
    site.had(&[1, 1]);
}

/// And what the first visit has found out is in the file.
#[test]
fn json_has_the_race_and_the_second_visit_goes_to_the_live_one() {
    let site = Site::new(&[Front::Silent, LIVE]);
    let memory = fresh_path("memory");
    let memory = memory.to_str().expect("a path in UTF-8");
    let options = ["--report", "json", "-o", "/dev/null", "--memory", memory];
    let (ran, _) = site.get(&options);
    let json = ran.exits(0).json();
    let response = &json["response"];
    let [first, second] = [0, 1].map(|index| Value::from(site.at(index).to_string()));
    assert_eq!((&response["first"], &response["kept"]), (&first, &second));
    assert_eq!((&response["requests"], &response["patience_us"]), (&2.into(), &1_000_000.into()));
    assert!(response["second"]["sent_us"].as_u64() >= Some(1_000_000), "{response}");
    assert_eq!((&response["first_error"], &response["second"]["error"]), (&Value::Null, &Value::Null));

    let (ran, took) = site.get(&options);
    let json = ran.exits(0).json();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((&json["response"]["first"], &json["response"]["second"]), (&second, &Value::Null));
    assert_eq!(json["response"]["requests"], 1);
    site.had(&[1, 2]);
}
