//! Web servers that are programs of their own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::poll_until;
use crate::{skip, temporary_path};

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Debian's nginx, serving files from a temporary directory on every address of the namespace.
pub struct Nginx {
    server: Program,
}

impl Nginx {
    /// Starts it on this port, over IPv4 and IPv6, with these files: a name and the content each. It is up
    /// when this returns. `None` where there is no nginx: the test is [skipped](skip()) and should return. It
    /// does not outlive the thread that starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, files: &[(&str, &[u8])]) -> Option<Self> {
        Self::configured(port, files, "")
    }

    /// As [`start`](Self::start), with these lines in its `server` block, in which `{files}` stands for the
    /// folder that it serves.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn configured(port: u16, files: &[(&str, &[u8])], directives: &str) -> Option<Self> {
        let Some(program) = find("nginx") else {
            skip("nginx", "apt-get install nginx-light");
            return None;
        };
        let directory = Directory::with(files);
        let root = directory.0.display();
        let directives = directives.replace("{files}", &format!("{root}/files"));
        // As root it would give its directories to `nobody`, whom an ordinary user's namespace does not know.
        let configuration = format!(
            "user root root; daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
               access_log off; default_type application/octet-stream;\n\
               client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
               uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
               server {{ listen 0.0.0.0:{port}; listen [::]:{port}; root {root}/files; {directives} }}\n\
             }}\n"
        );
        let file = directory.0.join("nginx.conf");
        fs::write(&file, configuration).expect("a configuration file");
        let mut command = command_for(&program);
        command.arg("-p").arg(&directory.0).arg("-c").arg(file).args(["-e", "stderr"]);
        Some(Self { server: Program::start(command, directory, port) })
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.server.child.id()
    }

    /// The folder that it serves.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.server.directory.0.join("files")
    }
}

/// Debian's tinyproxy, an HTTP proxy, on 127.0.0.1.
pub struct Tinyproxy {
    _server: Program,
}

impl Tinyproxy {
    /// Starts it on this port, with these lines in its configuration. It is up when this returns. `None`
    /// where there is none: the test is [skipped](skip()) and should return. It does not outlive the thread
    /// that starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, lines: &str) -> Option<Self> {
        let Some(program) = find("tinyproxy") else {
            skip("tinyproxy", "apt-get install tinyproxy-bin");
            return None;
        };
        let directory = Directory::with(&[]);
        let file = directory.0.join("tinyproxy.conf");
        let configuration =
            format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Error\n{lines}\n");
        fs::write(&file, configuration).expect("a configuration file");
        let mut command = command_for(&program);
        command.arg("-d").arg("-c").arg(file);
        Some(Self { _server: Program::start(command, directory, port) })
    }
}

/// A TCP port that nobody listens on for the moment, at any IPv4 address, and that no test gets by chance: it
/// lies below those that the kernel gives to who asks for any, and is given out once in a process.
///
/// # Panics
/// When there is none.
#[must_use]
#[track_caller]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // Far from where another process begins.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + begin.wrapping_add(step) % COUNT) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// `python3 -m http.server`, serving files from a temporary directory on every IPv4 address of the namespace.
pub struct PythonServer {
    server: Program,
}

impl PythonServer {
    /// Starts it on this port with these files: a name and the content each. It is up when this returns.
    /// `None` where there is no Python: the test is [skipped](skip()) and should return. It does not outlive
    /// the thread that starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, files: &[(&str, &[u8])]) -> Option<Self> {
        let Some(program) = find("python3") else {
            skip("python3", "apt-get install python3");
            return None;
        };
        let directory = Directory::with(files);
        let mut command = command_for(&program);
        command.args(["-m", "http.server", &port.to_string(), "--bind", "0.0.0.0", "--directory"]);
        command.arg(directory.0.join("files"));
        Some(Self { server: Program::start(command, directory, port) })
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.server.child.id()
    }
}

/// `openssl s_server`, which answers every request with a page about its TLS.
pub struct OpensslServer {
    _server: Program,
}

impl OpensslServer {
    /// Starts it on this port with this certificate and key (PEM), in TLS 1.3, and these options.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, certificate: &str, key: &str, options: &[&str]) -> Option<Self> {
        let Some(program) = find("openssl") else {
            skip("openssl", "apt-get install openssl");
            return None;
        };
        let files = [("cert.pem", certificate.as_bytes()), ("key.pem", key.as_bytes())];
        let directory = Directory::with(&files);
        let files = directory.0.join("files");
        let mut command = command_for(&program);
        command.args(["s_server", "-quiet", "-www", "-tls1_3", "-accept", &port.to_string()]);
        command.arg("-cert").arg(files.join("cert.pem")).arg("-key").arg(files.join("key.pem")).args(options);
        Some(Self { _server: Program::start(command, directory, port) })
    }
}

/// Debian's dnsmasq as a name server that knows what its options say, over UDP and TCP on 127.0.0.1.
pub struct Dnsmasq {
    server: Program,
}

impl Dnsmasq {
    /// Starts it on this port with options such as `--host-record=name.test,192.0.2.1`. It is up when this
    /// returns. `None` where there is no dnsmasq: the test is [skipped](skip()) and should return. It does
    /// not outlive the thread that starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, options: &[String]) -> Option<Self> {
        let Some(program) = find("dnsmasq") else {
            skip("dnsmasq", "apt-get install dnsmasq-base");
            return None;
        };
        let mut command = command_for(&program);
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
        ]);
        command.args(["--user=root", "--group=root", "--listen-address=127.0.0.1", "--bind-interfaces"]);
        command.args(["--log-facility=-", "--local=/test/"]).arg(format!("--port={port}")).args(options);
        Some(Self { server: Program::start(command, Directory::with(&[]), port) })
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.server.child.id()
    }
}

/// unbound, a DNS server, on 127.0.0.1, over UDP and TCP. It asks nobody.
pub struct Unbound {
    _server: Program,
}

impl Unbound {
    /// Starts it on this port with these records, such as `name.test. A 192.0.2.1`, of the zone `test`. It is
    /// up when this returns. `None` where there is no unbound: the test is [skipped](skip()) and should
    /// return. It does not outlive the thread that starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(port: u16, records: &[String]) -> Option<Self> {
        let Some(program) = find("unbound") else {
            skip("unbound", "apt-get install unbound");
            return None;
        };
        let directory = Directory::with(&[]);
        let file = directory.0.join("unbound.conf");
        let mut configuration = format!(
            "server:\n interface: 127.0.0.1@{port}\n do-daemonize: no\n \
             username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n module-config: \"iterator\"\n \
             local-zone: \"test.\" static\n"
        );
        for record in records {
            configuration += &format!(" local-data: \"{record}\"\n");
        }
        fs::write(&file, configuration).expect("a configuration file");
        let mut command = command_for(&program);
        command.arg("-c").arg(file);
        Some(Self { _server: Program::start(command, directory, port) })
    }
}

/// A child process that listens; it is killed and its directory removed in the end.
struct Program {
    child: Child,
    directory: Directory,
}

impl Program {
    #[track_caller]
    fn start(mut command: Command, directory: Directory, port: u16) -> Self {
        let log = directory.0.join("output");
        let output = fs::File::create(&log).expect("a file for what it says");
        let errors = output.try_clone().expect("a descriptor");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut program = Self { child, directory };
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut ended = false;
        let up = poll_until(START_LIMIT, || {
            ended = !matches!(program.child.try_wait(), Ok(None));
            ended || TcpStream::connect(here).is_ok()
        });
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(up && !ended, "{command:?} does not listen at {here}: {said}");
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Either fails only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A temporary directory with the files to serve in `files`.
struct Directory(PathBuf);

impl Directory {
    #[track_caller]
    fn with(files: &[(&str, &[u8])]) -> Self {
        let directory = Self(temporary_path("server"));
        let root = directory.0.join("files");
        fs::create_dir_all(&root).expect("a temporary directory");
        for (name, content) in files {
            fs::write(root.join(name), content).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        directory
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory left behind is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where a program is: on the PATH, or where Debian keeps servers.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// The command, told to die with the thread that starts it where util-linux has the means, so that nothing
/// stays behind when a test is killed.
#[must_use]
pub fn command_for(program: &Path) -> Command {
    let Some(setpriv) = find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
