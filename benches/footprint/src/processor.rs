//! The processor time of the whole program beside curl's.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::tools::{self, run, say};

/// What is timed begins with this, and goes on to the end of the page.
pub const TITLE: &str = "\n## Processor time of the whole program\n";

const ROUNDS: usize = 100;

/// `connie race` beside `curl`, to the same live loopback address.
pub fn processor_time(root: &Path, page: &mut String) -> Result<(), String> {
    let connie = tools::connie(root)?;
    let server = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = server.local_addr().map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
        }
    });
    let url = format!("http://{address}/");
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut fetch = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(time(Command::new(&connie).arg("race").arg(address.to_string()))?);
        theirs.push(time(Command::new("curl").args(["-s", "-o", "/dev/null", &url]))?);
        fetch.push(time(Command::new(&connie).args(["get", "-s", "-o", "/dev/null", &url]))?);
    }
    let version = run(Command::new("curl").arg("--version"), "install curl")?;
    let version = version.split_whitespace().nth(1).unwrap_or("?").to_owned();
    say(page, TITLE);
    say(
        page,
        &format!(
            "To one live loopback address; {ROUNDS} runs of each in turn; the kernel's account of user and system time.\n{}\n",
            crate::provenance::provenance(root)?
        ),
    );
    say(page, "| program | median ms | of curl's |\n|---|--:|--:|");
    let base = median(&mut theirs);
    for (what, times) in [("`connie race`", &mut ours), ("`connie get`", &mut fetch)] {
        let median = median(times);
        say(page, &format!("| {what} | {median:.2} | {:.2} |", median / base));
    }
    say(page, &format!("| `curl -o /dev/null` {version} | {base:.2} | 1.00 |"));
    crate::start::write(root, &connie, page)
}

/// Milliseconds of processor time that a process took in all.
fn time(command: &mut Command) -> Result<f64, String> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    // A process that has ended but was not waited for still has its account.
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        .map_err(|error| format!("cannot wait: {error}"))?;
    let account = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()));
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{command:?} failed: {status}"));
    }
    let nanos = account.ok().and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanos.map(|nanos| nanos / 1e6).ok_or_else(|| "the kernel keeps no schedstat".to_owned())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
