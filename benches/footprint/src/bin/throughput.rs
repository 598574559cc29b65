//! Measures how fast `connie get` passes a body through, beside curl, and writes it to `docs/throughput.md`:
//!
//! ```text
//! cargo run --release -p connie-footprint --bin throughput
//! ```
//!
//! Both programs run in turn against a server in this process, over loopback; what counts are the ratios of
//! the medians. Processor time is the kernel's own account of the whole process.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("throughput: needs Linux, for the kernel's account of processor time");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), String> {
    linux::main()
}

#[cfg(target_os = "linux")]
#[path = "../provenance.rs"]
mod provenance;

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, BufRead as _, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use connie_servers::{Authority, TlsServer};
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    const ROUNDS: usize = 21;
    const MIB: usize = 1 << 20;
    const BODY: usize = 256 * MIB;

    pub fn main() -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let connie = build(&root)?;
        let file = std::env::temp_dir().join(format!("connie-throughput-{}", std::process::id()));
        let made = std::fs::write(&file, vec![b'x'; BODY]);
        made.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let measured = measure(&connie, &file);
        // A file left behind is no reason to lose the figures.
        let _ = std::fs::remove_file(&file);
        let page = measured?;
        let path = root.join("docs/throughput.md");
        std::fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        print!("{page}");
        Ok(())
    }

    const HEAD: &str = "# How fast a body passes through\n\n\
        Written by `cargo run --release -p connie-footprint --bin throughput`, which needs curl. Do not edit.\n\n";

    fn measure(connie: &Path, file: &Path) -> Result<String, String> {
        let address = serve().map_err(|error| error.to_string())?;
        let identity = Authority::new().certify(&["127.0.0.1"]);
        let secure = TlsServer::start(&identity, |served| {
            served.read_head()?;
            served.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").as_bytes())?;
            let piece = vec![b'x'; MIB];
            (0..BODY / MIB).try_for_each(|_| served.write_all(&piece))?;
            served.close()
        });
        let http = |path: &str| format!("http://{address}{path}");
        let upload = file.to_str().ok_or("the temporary directory has no name that is text")?;
        let rows = [
            ("a body with its length", vec![http("/length")]),
            ("a body in chunks", vec![http("/chunked")]),
            ("an upload", vec![http("/upload"), "-T".to_owned(), upload.to_owned()]),
            ("a body within TLS", vec![format!("https://{}/", secure.address()), "-k".to_owned()]),
        ];
        let mut page = HEAD.to_owned();
        page.push_str(&format!(
            "{} MiB over loopback, {ROUNDS} runs of `connie get` and curl {} in turn, whole processes, `-s -o /dev/null`;\n\
             medians. The targets are at least 0.9 of curl's speed, and at most 1.2 of its processor time.\n\n{}\n\n",
            BODY / MIB,
            version()?,
            crate::provenance::provenance(Path::new(env!("CARGO_MANIFEST_DIR")))?
        ));
        page.push_str("| what | connie MiB/s | curl MiB/s | speed, of curl's | connie CPU ms | curl CPU ms | CPU, of curl's |\n");
        page.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
        for (what, arguments) in rows {
            let (mut ours, mut theirs) = (Times::default(), Times::default());
            for _ in 0..ROUNDS {
                ours.add(time(Command::new(connie).arg("get"), &arguments)?);
                theirs.add(time(Command::new("curl").arg("-q"), &arguments)?);
            }
            page.push_str(&row(what, ours, theirs));
        }
        Ok(page)
    }

    /// Milliseconds, of the clock and of the processor.
    #[derive(Default)]
    struct Times {
        wall: Vec<f64>,
        cpu: Vec<f64>,
    }

    impl Times {
        fn add(&mut self, (wall, cpu): (f64, f64)) {
            self.wall.push(wall);
            self.cpu.push(cpu);
        }
    }

    fn row(what: &str, mut ours: Times, mut theirs: Times) -> String {
        let [our_wall, our_cpu, their_wall, their_cpu] =
            [&mut ours.wall, &mut ours.cpu, &mut theirs.wall, &mut theirs.cpu].map(|times| median(times));
        let speed = |wall: f64| (BODY / MIB) as f64 / wall * 1e3;
        format!(
            "| {what} | {:.0} | {:.0} | {:.2} | {our_cpu:.0} | {their_cpu:.0} | {:.2} |\n",
            speed(our_wall),
            speed(their_wall),
            their_wall / our_wall,
            our_cpu / their_cpu,
        )
    }

    fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// A server that sends what the path asks for, and takes uploads.
    fn serve() -> io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // A client that goes away early shows in its exit code.
                std::thread::spawn(move || answer(stream));
            }
        });
        Ok(address)
    }

    fn answer(stream: impl Read + Write) -> io::Result<()> {
        let mut stream = BufReader::with_capacity(MIB, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let piece = vec![b'x'; MIB];
        if head.starts_with("PUT") {
            if head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n") {
                stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let mut into = vec![0; MIB];
            let mut left = BODY;
            while left > 0 {
                match stream.read(&mut into)? {
                    0 => return Ok(()),
                    count => left = left.saturating_sub(count),
                }
            }
            return stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        let out = stream.get_mut();
        if head.starts_with("GET /chunked ") {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            // As large as servers make them.
            let mut chunk = b"4000\r\n".to_vec();
            chunk.extend_from_slice(&piece[..0x4000]);
            chunk.extend_from_slice(b"\r\n");
            let chunks = chunk.repeat(64);
            (0..BODY / 0x4000 / 64).try_for_each(|_| out.write_all(&chunks))?;
            return out.write_all(b"0\r\n\r\n");
        }
        out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").as_bytes())?;
        (0..BODY / MIB).try_for_each(|_| out.write_all(&piece))
    }

    /// How long the program takes, and how much of the processor.
    #[expect(clippy::disallowed_methods, reason = "this measures time")]
    fn time(command: &mut Command, arguments: &[String]) -> Result<(f64, f64), String> {
        command.args(["-s", "-o", "/dev/null"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("cannot run {command:?}: {error}"))?;
        // A process that has ended but was not waited for still has its account.
        let ended =
            waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let wall = start.elapsed().as_secs_f64() * 1e3;
        ended.map_err(|error| format!("cannot wait: {error}"))?;
        let account = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()));
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("{command:?} failed: {status}"));
        }
        let nanos = account.ok().and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        let nanos = nanos.ok_or_else(|| "the kernel keeps no schedstat".to_owned())?;
        Ok((wall, nanos / 1e6))
    }

    /// The program as it ships.
    fn build(root: &Path) -> Result<PathBuf, String> {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "-p", "connie-cli"])
            .current_dir(root)
            .status()
            .map_err(|error| error.to_string())?;
        if !status.success() {
            return Err("cargo build failed".to_owned());
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(target.join("release/connie"))
    }

    fn version() -> Result<String, String> {
        let output = Command::new("curl").arg("--version").output();
        let output = output.map_err(|error| format!("cannot run curl: {error}: install it"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split_whitespace().nth(1).unwrap_or("?").to_owned())
    }
}
