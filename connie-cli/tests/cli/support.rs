//! Runs the program and says what came of it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use connie_servers::limits;
use serde_json::Value;

/// The program, in an environment that does not depend on who runs the test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connie"));
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program with these arguments.
#[track_caller]
pub fn connie<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    run(program().args(arguments), b"")
}

/// Runs `command`, which gets `input` on stdin.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that reads no stdin may be gone by now.
    let _ = child.stdin.take().expect("stdin is a pipe").write_all(input);
    let output = limits::finish(child).expect("the program ends");
    Ran {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// What came of a run. The methods assert, and answer it again so that a test can go on.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stderr, self.out());
        self
    }

    #[track_caller]
    pub fn prints(&self, expected: &str) -> &Self {
        assert_eq!(self.out(), expected, "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "{part:?} is not in: {}", self.stderr);
        self
    }

    #[track_caller]
    pub fn is_quiet(&self) -> &Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// Checks the number of lines on stderr, and that each begins with the program's name.
    #[track_caller]
    pub fn says_lines(&self, count: usize) -> &Self {
        assert_eq!(self.stderr.lines().count(), count, "{}", self.stderr);
        for line in self.stderr.lines() {
            assert!(line.starts_with("connie: "), "{line}");
        }
        self
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stdout, which is one line of JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.out();
        assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A path in a directory of this test run, where nothing is yet.
pub fn fresh_path(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the test's files");
    directory.join(format!("{number}-{name}"))
}

/// The option that gives `name.test` these addresses.
pub fn resolve(port: u16, addresses: &str) -> [String; 2] {
    ["--resolve".to_owned(), format!("name.test:{port}:{addresses}")]
}
