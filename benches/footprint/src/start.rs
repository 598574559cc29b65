//! How soon a whole program is at the server's door, and the most memory that it has by the end of a small
//! page, beside curl.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tools::{say, thousands};

const ROUNDS: usize = 50;

/// What a run shows of a program.
struct Seen {
    /// From the start of the process to its request.
    asked: Duration,
    /// The most memory that it had resident, in KiB, when all of the page but its last byte has been sent.
    peak: u64,
}

/// Fetches a page with `connie get` and with `curl`, in turn.
pub fn write(root: &Path, connie: &Path, page: &mut String) -> Result<(), String> {
    let server = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let url = format!("http://{}/", server.local_addr().map_err(|error| error.to_string())?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(fetch(Command::new(connie).args(["get", "-s", "-o", "/dev/null", &url]), &server)?);
        theirs.push(fetch(Command::new("curl").args(["-s", "-o", "/dev/null", &url]), &server)?);
    }
    say(page, "\n## Start and memory of the whole program\n");
    say(
        page,
        &format!(
            "{ROUNDS} runs of each in turn, medians: from the start of the process to its request at a loopback server, and the most memory resident by the end of the page.\n{}\n",
            crate::provenance::provenance(root)?
        ),
    );
    say(page, "| program | ms to the request | KiB |\n|---|--:|--:|");
    for (name, seen) in [("`connie get`", &mut ours), ("`curl -o /dev/null`", &mut theirs)] {
        seen.sort_by_key(|seen| seen.asked);
        let asked = seen[ROUNDS / 2].asked.as_secs_f64() * 1e3;
        seen.sort_by_key(|seen| seen.peak);
        say(page, &format!("| {name} | {asked:.2} | {} |", thousands(seen[ROUNDS / 2].peak)));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long a program takes to start is the matter here")]
fn fetch(command: &mut Command, server: &TcpListener) -> Result<Seen, String> {
    let begun = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let seen = serve(server, &child, begun);
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{command:?} failed: {status}"));
    }
    seen.map_err(|error| error.to_string())
}

/// Holds the last byte back until the program's memory has been read: a process that has ended has none.
#[expect(clippy::disallowed_methods, reason = "the program is given the time to read")]
fn serve(server: &TcpListener, child: &Child, begun: Instant) -> std::io::Result<Seen> {
    let (mut stream, _): (TcpStream, _) = server.accept()?;
    let _ = stream.read(&mut [0; 1024])?;
    let asked = begun.elapsed();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello")?;
    // Until it has read that it does not wait for more.
    std::thread::sleep(Duration::from_millis(5));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse().ok());
    stream.write_all(b"\n")?;
    let peak = peak.ok_or_else(|| std::io::Error::other("the kernel tells no VmHWM"))?;
    Ok(Seen { asked, peak })
}
