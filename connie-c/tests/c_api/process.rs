//! What happens to the process of a program that connects: forks, signals, a stop.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connie_lab::{Behaviour, Lab, in_namespace, ms, replace_files, v4};
use connie_servers::clock::pause;
use connie_servers::limits::Limited;
use rustix::process::{Pid, Signal, kill_process};

use crate::c::compile;
use crate::support::{Folder, PORT, library, passes, run, texts};

/// Hosts as those of [`World`](crate::support::World), one that answers after 300 ms, and a name server that
/// says nothing, for those whose `names` lead there.
fn set_up(lab: &Lab, names: &str) -> UdpSocket {
    lab.set(v4(1), Behaviour::black_hole());
    lab.set(v4(2), Behaviour::accept(ms(10)));
    lab.set(v4(3), Behaviour::refuse(ms(10)));
    lab.set(v4(5), Behaviour::accept(ms(300)));
    replace_files(&[
        (
            "/etc/hosts",
            "10.9.0.1 many.test\n10.9.0.2 many.test\n10.9.0.1 dead.test\n10.9.0.3 refused.test\n\
             10.9.0.5 slow.test\n",
        ),
        ("/etc/nsswitch.conf", names),
        ("/etc/host.conf", "multi on\n"),
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"),
    ]);
    let web = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("a port of our own");
    std::thread::spawn(move || web.incoming().for_each(drop));
    UdpSocket::bind("127.0.0.1:53").expect("the port of a name server")
}

#[track_caller]
fn passes_as(what: &'static str, names: &'static str) {
    let folder = Folder::new();
    let program = compile(&folder, "process.c", "cc", "-std=c11");
    in_namespace(move |lab| {
        let _folder = folder;
        let _names = set_up(lab, names);
        let output = run(program, |it| it.args([what, &PORT.to_string()]));
        eprint!("{}", texts(&output).1);
        assert_eq!(passes(&output), "passed\n");
    });
}

/// While other threads look names up, race, and stand in line for sockets: what they have locked at that
/// moment stays locked in the child.
#[test]
fn the_child_of_a_fork_never_waits_beyond_its_time() {
    passes_as("forks", "hosts: files dns\n");
}

#[test]
fn two_thousand_signals_a_second_change_nothing() {
    passes_as("signals", "hosts: files\n");
}

/// A program that can be stopped and continued.
struct Stoppable {
    child: Child,
    _limit: Limited,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Stoppable {
    fn start(program: &PathBuf) -> Self {
        let mut command = Command::new(program);
        command.args(["stopped", &PORT.to_string()]).env("LD_LIBRARY_PATH", library());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Stoppable { _limit: Limited::new(&child), child, lines }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("a child that is there");
    }

    /// Stops it a moment after it has begun to race, for this long.
    fn stop_for(&mut self, time: Duration) {
        assert_eq!(self.line(), "racing");
        pause(ms(100));
        self.signal(Signal::STOP);
        pause(time);
        self.signal(Signal::CONT);
    }
}

/// What became of a race, and after how many milliseconds.
#[track_caller]
fn ended(line: &str) -> (&str, u64) {
    let (what, after) = line.split_once(" after ").unwrap_or_else(|| panic!("{line}"));
    (what, after.trim_end_matches(" ms").parse().unwrap_or_else(|_| panic!("{line}")))
}

/// The handshake completes while the process is stopped, and its deadline passes too: what has answered wins.
/// Where nothing has, the deadline holds at once.
#[test]
fn what_has_answered_while_the_process_was_stopped_wins() {
    let folder = Folder::new();
    let program = compile(&folder, "process.c", "cc", "-std=c11");
    in_namespace(move |lab| {
        let _folder = folder;
        let _names = set_up(lab, "hosts: files\n");
        let mut program = Stoppable::start(&program);
        program.stop_for(ms(2_000));
        let line = program.line();
        let (what, after) = ended(&line);
        assert!(what == "connected", "{line}");
        assert!(after >= 2_000, "{line}");
        program.child.stdin.take().expect("its input").write_all(b"\n").expect("it reads");
        program.stop_for(ms(2_000));
        let line = program.line();
        let (what, after) = ended(&line);
        assert_eq!(what, "timed out");
        assert!((2_000..12_000).contains(&after), "{line}");
        assert_eq!(program.line(), "passed");
        assert!(program.child.wait().expect("its end").success());
    });
}
