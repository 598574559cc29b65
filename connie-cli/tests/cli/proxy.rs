//! `connie proxy`: what it listens on, which clients it serves, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use connie_servers::clock::poll_until;
use connie_servers::{find, skip};
use rustix::process::{Pid, Signal, kill_process};

use crate::site::{Reply, Site};
use crate::support::{connie, fresh_path, program};

const LIMIT: Duration = Duration::from_secs(20);

/// The program as a proxy, which ends with it.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Running {
    #[track_caller]
    fn start(arguments: &[&str]) -> Self {
        let mut command = program();
        command.args(["proxy", "--listen", "127.0.0.1:0", "--stop-timeout", "1"]).args(arguments);
        Self::started(&mut command)
    }

    #[track_caller]
    fn started(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|it| it.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line:?}"));
        Running { child, stdout, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Its exit code once it has been told to stop, and what it said on stderr.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let _ = self.stdout.read_line(&mut String::new());
        assert!(poll_until(LIMIT, || self.child.try_wait().unwrap().is_some()), "it goes on");
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn site() -> Site {
    Site::start(|_| Reply::ok("the page\n"))
}

/// A request for a page of the site, by its name.
fn get(site: &Site) -> (String, String) {
    let port = site.address().port();
    let request = format!("GET http://name.test:{port}/ HTTP/1.1\r\nHost: name.test:{port}\r\n\r\n");
    (request, format!("name.test:{port}:{}", site.address().ip()))
}

#[test]
fn a_page_comes_through_it_until_it_is_told_to_stop() {
    let site = site();
    let (request, resolve) = get(&site);
    let proxy = Running::start(&["--allow-private", "--resolve", &resolve]);
    assert!(proxy.ask(&request).ends_with("\r\n\r\nthe page\n"));
    // connie itself is a client of proxies.
    let url = format!("http://name.test:{}/", site.address().port());
    for scheme in ["http", "socks5h"] {
        let by = format!("{scheme}://{}", proxy.address);
        connie(["get", "-x", &by, &url]).exits(0).prints("the page\n");
    }
    assert_eq!(proxy.stop(), (Some(0), String::new()));
}

/// The first lets connections end, for an hour here. The second ends them.
#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM), (Signal::TERM, Signal::INT)]
    {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut proxy = Running::start(&["--allow-private", "--stop-timeout", "3600"]);
        let mut client = TcpStream::connect(proxy.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        write!(client, "CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", server.local_addr().unwrap()).unwrap();
        let mut answer = [0; 26];
        client.read_exact(&mut answer).unwrap();
        proxy.signal(first);
        // It has heard of it: it listens no longer.
        assert!(poll_until(LIMIT, || TcpStream::connect(proxy.address).is_err()), "it goes on listening");
        assert!(proxy.child.try_wait().unwrap().is_none(), "it does not wait for the connection");
        proxy.signal(second);
        assert!(
            poll_until(LIMIT, || proxy.child.try_wait().unwrap().is_some()),
            "it waits for the connection"
        );
        assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
        let end = client.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset), "nobody takes what came for the whole");
    }
}

#[test]
fn what_is_private_is_refused_unless_it_is_allowed() {
    let site = site();
    let (request, resolve) = get(&site);
    let proxy = Running::start(&["--resolve", &resolve]);
    let answer = proxy.ask(&request);
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("destination_ip_prohibited"), "{answer}");
    assert!(site.asked().is_empty());
}

#[test]
fn it_is_no_open_proxy_by_accident() {
    let ran = connie(["proxy", "--listen", "0.0.0.0:0"]);
    ran.exits(2)
        .says_lines(1)
        .says("connie: on 0.0.0.0:")
        .says(" anyone could use the proxy")
        .says("--allow CIDR");
    let file = fresh_path("users");
    std::fs::write(&file, "# nobody\n\n").unwrap();
    let path = file.to_str().unwrap();
    connie(["proxy", "--user-file", path]).exits(2).says("names nobody who may log in");
    std::fs::write(&file, "me:secret\n").unwrap();
    let mut command = program();
    command.args(["proxy", "--listen", "0.0.0.0:0", "--user-file", path]);
    let proxy = Running::started(&mut command);
    assert!(proxy.ask("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 407 "));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn it_shows_what_it_does_and_does_not_connect_there() {
    let site = site();
    let (request, resolve) = get(&site);
    let mut proxy = Running::start(&["--allow-private", "--resolve", &resolve, "--status", "127.0.0.1:0"]);
    let mut line = String::new();
    proxy.stdout.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("status on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    proxy.ask(&request);
    let shown = connie(["get", &format!("{url}status.json")]);
    assert_eq!(shown.exits(0).json()["races"][0]["race"]["host"], "name.test");
    // A page that goes through the proxy must not see it.
    let by = format!("http://{}", proxy.address);
    connie(["get", "-f", "-x", &by, "--noproxy", "", &url]).exits(22).says("502");
    assert_eq!(proxy.stop().0, Some(0));
    connie(["proxy", "--listen", "127.0.0.1:0", "--status", "0.0.0.0:0"]).exits(2).says("loopback address");
}

impl Running {
    fn memory(file: &str, resolve: &str) -> Self {
        Self::start(&["--allow-private", "--resolve", resolve, "--memory", file])
    }
}

#[test]
fn what_is_learnt_is_kept_and_can_be_forgotten() {
    let site = site();
    let (request, resolve) = get(&site);
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    let entries = || connie(["memory", "--json", file]).exits(0).json()["addresses"].clone();
    let proxy = Running::memory(file, &resolve);
    proxy.ask(&request);
    assert_eq!(proxy.stop().0, Some(0));
    assert_eq!(entries().as_array().map(Vec::len), Some(1), "{}", entries());
    let proxy = Running::memory(file, &resolve);
    proxy.signal(Signal::HUP);
    assert!(poll_until(LIMIT, || entries().as_array().is_some_and(Vec::is_empty)), "it still knows");
    proxy.ask(&request);
    assert_eq!(proxy.stop().0, Some(0));
    assert_eq!(entries().as_array().map(Vec::len), Some(1));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_systemd_hands_over_is_listened_on() {
    let Some(python) = find("python3") else { return skip("python3", "apt-get install python3") };
    let site = site();
    let (request, resolve) = get(&site);
    // As sd_listen_fds(3) says: the descriptors from 3 on, for the process of this number.
    const SCRIPT: &str = "import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
if listener.fileno() != 3: os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ['LISTEN_FDS'] = '1'
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])";
    let own = program();
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(own.get_program()).args([
        "proxy",
        "--allow-private",
        "--resolve",
        &resolve,
    ]);
    let proxy = Running::started(&mut command);
    assert_ne!(proxy.address.port(), 1080);
    assert!(proxy.ask(&request).ends_with("the page\n"));
    assert_eq!(proxy.stop().0, Some(0));
}

#[test]
fn systemd_is_told_how_it_is() {
    use std::os::linux::net::SocketAddrExt as _;
    let path = fresh_path("notify");
    let name = format!("connie-proxy-test-{}", std::process::id());
    let abstract_name = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, name) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
    ] {
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let told = || {
            let mut room = [0; 256];
            let length = socket.recv(&mut room).unwrap();
            String::from_utf8(room[..length].to_vec()).unwrap()
        };
        let mut command = program();
        command.args(["proxy", "--listen", "127.0.0.1:0", "--stop-timeout", "1"]).env("NOTIFY_SOCKET", name);
        let proxy = Running::started(&mut command);
        assert_eq!(told(), "READY=1");
        proxy.signal(Signal::HUP);
        let reloading = told();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(micros.is_some_and(|it| it.parse::<u64>().is_ok_and(|it| it > 0)), "{reloading}");
        assert_eq!(told(), "READY=1");
        let end = proxy.stop();
        assert_eq!(told(), "STOPPING=1");
        assert_eq!(end, (Some(0), String::new()));
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_cannot_be_is_an_error_of_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    connie(["proxy", "--listen", &address]).exits(7).says_lines(1).says("could not listen on");
    connie(["proxy", "--listen", "1080"]).exits(2).says("give an address and a port");
    connie(["proxy", "--allow", "10.0.0.1/8"]).exits(2).says("a network is an address");
    connie(["proxy", "--user", "hunter2"]).exits(2).says_lines(1).says("--user wants NAME:PASSWORD");
    connie(["proxy", "--user-file", "/no/such/file"]).exits(26).says("could not read /no/such/file");
    connie(["proxy", "--memory", "/etc/passwd"]).exits(26).says("not a memory");
}
