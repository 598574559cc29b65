//! A race in another process, and what `strace` sees it do.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use connie_tests::limits::Limited;
use connie_tests::skip;
use rustix::process::{Pid, Signal, kill_process};

/// The program `one-race`, running.
pub struct OneRace {
    child: Child,
    output: BufReader<ChildStdout>,
    _end: Limited,
}

/// What `one-race` said of its race.
pub struct Told {
    /// `connected ADDRESS CLIENT` or `failed WHY`.
    pub result: String,
    /// `ADDRESS OUTCOME` of each attempt.
    pub attempts: Vec<String>,
}

impl OneRace {
    /// Starts it, in the namespace of the calling thread.
    #[track_caller]
    pub fn start(sockets: usize, patience: Duration, addresses: &[SocketAddr]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_one-race")), sockets, patience, addresses)
    }

    #[track_caller]
    fn spawn(mut command: Command, sockets: usize, patience: Duration, addresses: &[SocketAddr]) -> Self {
        command.arg(sockets.to_string()).arg(patience.as_millis().to_string());
        command.args(addresses.iter().map(SocketAddr::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let _end = Limited::new(&child);
        Self { child, output, _end }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("a process to send a signal to");
    }

    /// Waits for the end of its race; it keeps the winner's connection until it is dropped.
    #[track_caller]
    pub fn told(&mut self) -> Told {
        let mut lines = self.output.by_ref().lines().map(|line| line.expect("text"));
        let result = lines.next().expect("a result");
        Told { result, attempts: lines.take_while(|line| line != "end").collect() }
    }
}

impl Drop for OneRace {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself, when its standard input does.
        let _ = self.child.wait();
    }
}

impl Told {
    /// The address that won, and the address of the winner's own socket.
    #[track_caller]
    pub fn connected(&self) -> (SocketAddr, SocketAddr) {
        let mut words =
            self.result.strip_prefix("connected ").unwrap_or_else(|| panic!("{}", self.result)).split(' ');
        let mut address = || words.next().and_then(|word| word.parse().ok());
        let (Some(remote), Some(client)) = (address(), address()) else { panic!("{}", self.result) };
        (remote, client)
    }

    /// How the attempts on this address ended.
    pub fn outcomes(&self, address: SocketAddr) -> Vec<&str> {
        let of = |line| str::strip_prefix(line, &format!("{address} "));
        self.attempts.iter().filter_map(|line| of(line)).collect()
    }
}

/// One system call, as `strace` writes it down.
#[derive(Clone, Debug)]
pub struct Call {
    /// The whole line.
    pub line: String,
    /// Its name.
    pub name: String,
    /// What it returned; -1 for an error.
    pub returned: i64,
}

/// Runs one race under `strace` to its end; what it told and the calls from its first `socket` to its last
/// `close`, but for those that allocate memory. `tampering` are options of `strace` that make calls fail.
/// `None` where there is no `strace`, or it may not trace: the test is skipped.
#[track_caller]
pub fn traced(
    tampering: &[&str],
    sockets: usize,
    patience: Duration,
    addresses: &[SocketAddr],
) -> Option<(Told, Vec<Call>)> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        skip(
            "strace",
            "apt-get install strace, and let processes be traced: sysctl kernel.yama.ptrace_scope=1",
        );
        return None;
    }
    let file = TraceFile::new();
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "signal=none", "-o"]).arg(&file.0);
    command.args(tampering).arg(env!("CARGO_BIN_EXE_one-race"));
    let mut race = OneRace::spawn(command, sockets, patience, addresses);
    let told = race.told();
    drop(race);
    Some((told, read_calls(&file.0)))
}

struct TraceFile(PathBuf);

impl TraceFile {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("connie-{}-{number}-trace", std::process::id())))
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        // A file left behind is no reason to fail a test.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[track_caller]
fn read_calls(file: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(file).expect("what strace has written");
    let calls = text.lines().filter_map(parse).filter(|call| !is_about_memory(&call.name));
    let mut calls: Vec<Call> = calls.skip_while(|call| call.name != "socket").collect();
    // Where the race ends, its result is printed.
    let end = calls.iter().position(|call| call.name == "write").unwrap_or(calls.len());
    calls.truncate(end);
    calls
}

fn is_about_memory(name: &str) -> bool {
    ["brk", "mmap", "mremap", "munmap", "madvise"].contains(&name)
}

/// `1234 name(arguments) = 5 remarks`.
fn parse(line: &str) -> Option<Call> {
    let (_process, call) = line.trim_start().split_once(' ')?;
    let (name, _) = call.trim_start().split_once('(')?;
    let (_, returned) = call.rsplit_once(" = ")?;
    let returned = returned.split(' ').next()?.parse().ok()?;
    Some(Call { line: line.to_owned(), name: name.to_owned(), returned })
}
