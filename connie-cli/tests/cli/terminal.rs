//! What the program does when it talks to a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use connie_servers::limits::Limited;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::program;

/// Runs the program on a terminal of so many columns, and answers all that appears there.
fn on_a_terminal(columns: u16, command: &mut Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let program_side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let stdio = || Stdio::from(program_side.try_clone().unwrap());
    let mut child = command.stdout(stdio()).stderr(stdio()).spawn().unwrap();
    let _end = Limited::new(&child);
    // `Command` keeps its copies: without this the terminal would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    drop(program_side);
    let mut shown = Vec::new();
    // Linux ends a terminal that nobody has open any more with EIO.
    let _ = File::from(terminal).read_to_end(&mut shown);
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

/// Runs the program in a session of its own whose terminal this is, types `line` when something asks for it,
/// and answers all that appears there.
fn typing(arguments: &[&str], line: &str) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let program_side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let stdio = || Stdio::from(program_side.try_clone().unwrap());
    // From util-linux: the program finds its terminal by the name /dev/tty.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(program().get_program()).args(arguments);
    let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    let _end = Limited::new(&child);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(program_side);
    let mut terminal = File::from(terminal);
    let (mut shown, mut byte) = (Vec::new(), [0]);
    let mut typed = false;
    while let Ok(1) = terminal.read(&mut byte) {
        shown.push(byte[0]);
        if !typed && shown.ends_with(b"': ") {
            typed = true;
            wait_for_silence(&terminal);
            terminal.write_all(line.as_bytes()).unwrap();
        }
    }
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

/// Waits until what is typed is not shown any more. A person is never as quick with the first letter.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a terminal tells nobody that its modes have changed")]
fn wait_for_silence(terminal: &File) {
    for _ in 0..2_000 {
        if !tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the terminal shows what is typed");
}

#[test]
fn a_password_that_was_left_away_is_asked_for_and_not_shown() {
    for (option, header, of) in [("-u", "authorization", "host"), ("-U", "proxy-authorization", "proxy")] {
        let site = Site::start(|_| Reply::ok("page\n"));
        let address = site.address().to_string();
        let shown = typing(&["get", &site.url("/"), option, "me", "-x", &address], "open sesame\n");
        assert_eq!(shown, format!("Enter {of} password for user 'me': \npage\n"));
        // "me:open sesame".
        assert_eq!(site.one().header(header), Some("Basic bWU6b3BlbiBzZXNhbWU="));
    }
    let site = Site::start(|_| Reply::ok("page\n"));
    assert_eq!(typing(&["get", &site.url("/"), "-u", "me:"], ""), "page\n");
}

fn race(server: &Server) -> Command {
    let mut command = program();
    command.args(["race", &format!("127.0.0.4:{}", server.port())]);
    command
}

fn widest(picture: &str) -> usize {
    picture.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn a_terminal_gets_colour_unless_it_is_not_wanted() {
    let server = Server::serving("127.0.0.4:0", "");
    assert!(on_a_terminal(80, &mut race(&server)).contains("\x1b[32mestablished\x1b[0m"));
    assert!(
        on_a_terminal(80, race(&server).env("NO_COLOR", "")).contains('\x1b'),
        "an empty NO_COLOR says nothing"
    );
    assert!(!on_a_terminal(80, race(&server).env("NO_COLOR", "1")).contains('\x1b'));
    assert!(!on_a_terminal(80, race(&server).env("TERM", "dumb")).contains('\x1b'));
}

#[test]
fn the_picture_is_as_wide_as_the_terminal() {
    let server = Server::serving("127.0.0.4:0", "");
    for columns in [40_u16, 59, 72, 120] {
        let picture = on_a_terminal(columns, race(&server).env("NO_COLOR", "1"));
        assert_eq!(widest(&picture), usize::from(columns), "{picture}");
    }
    let picture = on_a_terminal(120, race(&server).env("NO_COLOR", "1").env("COLUMNS", "66"));
    assert_eq!(widest(&picture), 66, "{picture}");
}

#[test]
fn a_locale_without_unicode_gets_ascii() {
    let server = Server::serving("127.0.0.4:0", "");
    let picture = on_a_terminal(80, race(&server).env("LC_ALL", "C").env("NO_COLOR", "1"));
    assert!(picture.is_ascii() && picture.contains("=O"), "{picture}");
}

#[test]
fn a_slow_body_shows_progress_and_leaves_nothing_behind() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", "x".repeat(3_000));
    let server = Server::dripping("127.0.0.4:0", answer, 300);
    let get = |options: &[&str]| {
        let mut command = program();
        command.args(["get", &server.url("/"), "-o", "/dev/null"]).args(options);
        on_a_terminal(80, &mut command)
    };
    let shown = get(&[]);
    assert!(shown.contains(" of 2.93 KiB ") && shown.contains(" % "), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[2K"), "{shown:?}");
    assert!(!shown.contains("MiB/s"), "it drips: {shown:?}");
    assert_eq!(get(&["-s"]), "");
}

#[test]
fn a_quick_answer_shows_no_progress_and_errors_stay_unless_it_is_silent() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let server = Server::answering("127.0.0.4:0", answer, End::Wait);
    let get = |options: &[&str]| {
        let mut command = program();
        command.args(["get", &server.url("/"), "-m", "0.2", "-o", "/dev/null"]).args(options);
        on_a_terminal(80, &mut command)
    };
    for shown in [get(&[]), get(&["-sS"]), get(&["--no-progress-meter"])] {
        assert!(shown.starts_with("connie: timed out"), "{shown:?}");
    }
    assert_eq!(get(&["-s"]), "");
}

#[test]
fn transfers_at_the_same_time_have_a_line_each() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", "x".repeat(3_000));
    let server = Server::dripping("127.0.0.4:0", answer, 300);
    let get = |options: &[&str]| {
        let mut command = program();
        command.args(["get", "-Z", "-o", "/dev/null", &server.url("/{first,second}")]);
        on_a_terminal(100, command.args(options))
    };
    let shown = get(&[]);
    for name in ["/first", "/second"] {
        let line = shown.split(['\n', '\r']).find(|line| line.contains(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} in {shown:?}"));
        assert!(line.contains(" of 2.93 KiB "), "{line:?}");
    }
    assert!(shown.contains("\u{1b}[1A"), "below each other: {shown:?}");
    for quiet in [&["-s"][..], &["--no-progress-meter"]] {
        assert_eq!(get(quiet), "");
    }
    let shown = get(&["-v"]);
    assert!(!shown.contains(" of 2.93 KiB "), "{shown:?}");
}

#[test]
fn an_error_stands_above_the_progress_of_others() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", "x".repeat(3_000));
    let server = Server::dripping("127.0.0.4:0", answer, 300);
    let site = Server::answering("127.0.0.4:0", "", End::Wait);
    let mut command = program();
    command.args(["get", "-Z", "-m", "0.8", "-o", "/dev/null", &site.url("/silent"), &server.url("/slow")]);
    let shown = on_a_terminal(100, &mut command);
    let line = format!("connie: {}: timed out; allow it more time with --max-time\n", site.url("/silent"));
    assert!(shown.contains(&line), "{shown:?}");
}
