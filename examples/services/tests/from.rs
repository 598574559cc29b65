//! The programs of docs/from for clients of services, before and after, against real servers: tonic's,
//! PostgreSQL, aiosmtpd, mosquitto and a web server. A server that is not installed is named, and its test is
//! skipped.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "not all of it is for these")]
#[path = "../../tests/support/from.rs"]
mod from;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connie_lab::{in_namespace, in_namespace_within, ms, v4};
use connie_servers::clock::{pause, poll_until, timed};
use connie_servers::{command_for, find, limits, skip, temporary_path};
use from::{arrives, server_address, set_up, waits};
use tokio_stream::wrappers::TcpListenerStream;

/// A server process. Dropping this ends it and removes its files.
struct Server {
    child: Option<Child>,
    files: PathBuf,
}

impl Server {
    /// Starts it, and waits until it listens.
    #[track_caller]
    fn start(command: &mut Command, address: SocketAddr, files: PathBuf) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut server = Server { child: Some(child.expect("the server")), files };
        let listens = poll_until(Duration::from_secs(60), || TcpStream::connect(address).is_ok());
        assert!(listens, "{command:?}: {}", server.end());
        server
    }

    /// Ends it, and returns what it has written.
    fn end(&mut self) -> String {
        let Some(mut child) = self.child.take() else { return String::new() };
        // An error only says that it has ended.
        let _ = child.kill();
        let output = limits::finish(child).expect("its output");
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_file(&self.files).or_else(|_| std::fs::remove_dir_all(&self.files));
    }
}

/// The path of the program; without it, says which package of Debian's has it.
fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        skip(program, &format!("apt-get install {package}"));
    }
    found
}

#[test]
fn tonic() {
    in_namespace(|lab| {
        set_up(lab);
        let listener = std::net::TcpListener::bind(server_address(50051)).expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let serving = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let (_reporter, health) = tonic_health::server::health_reporter();
                let server = tonic::transport::Server::builder().add_service(health);
                let stop = async { drop(ended.await) };
                server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop).await
            })
        });
        let [before, after] =
            &mut [env!("CARGO_BIN_EXE_tonic_before"), env!("CARGO_BIN_EXE_tonic_after")].map(Command::new);
        waits(lab, before.arg("http://name.test:50051"));
        arrives(after.arg("http://name.test:50051"), "SERVING\n");
        drop(end);
        serving.join().expect("no panic").expect("a server");
    });
}

/// A new PostgreSQL at the address of `name.test`. It does not run as root.
fn postgresql(bin: &Path) -> Server {
    let files = temporary_path("postgresql");
    let as_postgres = |program: &str| {
        let mut command = command_for(&find("setpriv").expect("util-linux"));
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(bin.join(program));
        command.current_dir("/").arg("-D").arg(&files);
        command
    };
    let options = ["-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"];
    let output = limits::output(as_postgres("initdb").args(options)).expect("initdb");
    assert!(output.status.success(), "{output:?}");
    std::fs::write(files.join("pg_hba.conf"), "host all all 10.8.0.0/15 trust\n").expect("its file");
    let address = server_address(5432);
    let mut server = as_postgres("postgres");
    server.args(["-p", "5432", "-k", "", "-F", "-h"]).arg(address.ip().to_string());
    Server::start(&mut server, address, files)
}

#[test]
fn postgres() {
    let Some(postgres) = installed("postgres", "postgresql") else { return };
    // initdb lies beside the file that the link leads to.
    let bin = std::fs::canonicalize(postgres).expect("a file").parent().expect("a folder").to_owned();
    in_namespace_within(limits::LIMIT, move |lab| {
        set_up(lab);
        let _server = postgresql(&bin);
        let [before, after] =
            &mut [env!("CARGO_BIN_EXE_postgres_before"), env!("CARGO_BIN_EXE_postgres_after")]
                .map(Command::new);
        waits(lab, before.arg("name.test"));
        arrives(after.arg("name.test"), "hello\n");
    });
}

#[test]
fn lettre() {
    let Some(aiosmtpd) = installed("aiosmtpd", "python3-aiosmtpd") else { return };
    in_namespace_within(limits::LIMIT, move |lab| {
        set_up(lab);
        let address = server_address(25);
        let mut command = command_for(&aiosmtpd);
        command.args(["-n", "-c", "aiosmtpd.handlers.Debugging", "stdout", "-l", &address.to_string()]);
        let mut server = Server::start(command.env("PYTHONUNBUFFERED", "1"), address, temporary_path("none"));
        let [before, after] =
            &mut [env!("CARGO_BIN_EXE_lettre_before"), env!("CARGO_BIN_EXE_lettre_after")].map(Command::new);
        waits(lab, before.arg("name.test"));
        arrives(after.arg("name.test"), "250\n");
        let told = server.end();
        assert_eq!(told.matches("the mail").count(), 1, "{told}");
        assert!(told.contains("Subject: hello"), "{told}");
    });
}

/// A new mosquitto at the address of `name.test`.
fn mosquitto(program: &Path) -> Server {
    let (files, address) = (temporary_path("mosquitto"), server_address(1883));
    let lines = format!("listener {} {}\nallow_anonymous true\n", address.port(), address.ip());
    std::fs::write(&files, lines).expect("a file");
    Server::start(command_for(program).arg("-c").arg(&files), address, files)
}

/// rumqttc gives all addresses together five seconds, and begins with the first one again.
#[test]
fn rumqttc() {
    let Some(program) = installed("mosquitto", "mosquitto") else { return };
    in_namespace_within(limits::LIMIT, move |lab| {
        set_up(lab);
        let _server = mosquitto(&program);
        let before = Command::new(env!("CARGO_BIN_EXE_rumqttc_before"))
            .arg("name.test")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut before = before.expect("the program");
        pause(ms(8_000));
        let _ = before.kill();
        let output = limits::finish(before).expect("its output");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty() && told.contains("imeout"), "{output:?}");
        let counts = [v4(1), v4(2)].map(|remote| lab.log().counts(remote).first_syns);
        assert_eq!(counts, [2, 0], "SYNs to the dead address and to the other");

        let socket = temporary_path("mqtt");
        arrives(Command::new(env!("CARGO_BIN_EXE_rumqttc_after")).arg("name.test").arg(&socket), "hello\n");
        let _ = std::fs::remove_file(socket);
    });
}

/// Its first program goes on to the next address after a delay of 250 ms; the second does not wait for that.
/// A busy machine may hold it up, so one time of five is enough.
#[test]
fn happy_eyeballs() {
    in_namespace(|lab| {
        set_up(lab);
        from::serve_to_the_end(server_address(80));
        let [before, after] =
            &mut [env!("CARGO_BIN_EXE_happy_eyeballs_before"), env!("CARGO_BIN_EXE_happy_eyeballs_after")]
                .map(Command::new);
        let ((), time) = timed(|| arrives(before.arg("name.test"), "the page\n"));
        assert!(time >= ms(250), "{time:?}");
        after.arg("name.test");
        let times = [0; 5].map(|_| timed(|| arrives(&mut *after, "the page\n")).1);
        assert!(times.iter().any(|time| *time < ms(250)), "{times:?}");
    });
}
