//! A race counts time by a clock that no change of the date moves.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use connie_tests::clock::timed;
use connie_tests::limits;
use connie_tests::servers::BlackHole;

/// Files that may know the time of day: for the age of what a server dates, for the heads of a log and of what `race --watch` prints, and for
/// when the hosts file or a memory's file was written.
const EXCEPTIONS: [&str; 8] = [
    "connie-cli/src/connect.rs",
    "connie-cli/src/memory.rs",
    "connie-cli/src/tries.rs",
    "connie-cli/src/watch.rs",
    "connie-std/src/memory/file.rs",
    "connie-std/src/resolve/hosts.rs",
    "connie-std/src/resolve/stamp.rs",
    "connie-web/src/retry.rs",
];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_file_of_the_race_reads_the_time_of_day() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut read = Vec::new();
    let mut looked_at = 0;
    for name in
        ["core", "http", "std", "web", "cli", "proxy", "c", "ureq", "hyper", "async", "smoltcp", "wasi"]
    {
        let mut sources = Vec::new();
        files(&root.join(format!("connie-{name}/src")), &mut sources);
        for source in sources {
            looked_at += 1;
            let text = std::fs::read_to_string(&source).unwrap();
            if ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"].iter().any(|word| text.contains(word)) {
                read.push(source.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    read.sort();
    assert!(looked_at > 100, "{looked_at} files");
    assert_eq!(read, EXCEPTIONS);
}

/// In a namespace whose monotonic clock is weeks ahead, as that of a machine is which was suspended: moments
/// are counted from wherever it stands.
#[test]
fn a_deadline_holds_wherever_the_clock_stands() {
    let hole = BlackHole::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    for ahead in ["0", "5000000"] {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--time",
            "--fork",
            "--monotonic",
            ahead,
            "--boottime",
            ahead,
        ]);
        command.arg(env!("CARGO_BIN_EXE_one-race")).args(["1", "250"]).arg(hole.address().to_string());
        let (output, took) = timed(|| limits::output(command.env("DEADLINE_MS", "300")).unwrap());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.is_empty() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return connie_tests::skip(
                &format!("unshare --time ({why})"),
                "a kernel with time namespaces, and root",
            );
        }
        assert!(said.contains("timed out"), "{said}");
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(15), "{took:?}");
    }
}
