//! A client that is a program. It writes a line when it is ready; makes a visit for each line that it reads;
//! and writes `ok`, or why not.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Visitor;

/// A client that takes longer for one visit is given up.
pub const VISIT_LIMIT: Duration = Duration::from_secs(10);
/// A browser takes its time.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A client that is a program, in a process group of its own, which ends with this.
pub struct Process {
    child: Child,
    say: ChildStdin,
    lines: Receiver<String>,
    resolv_conf: PathBuf,
}

impl Process {
    /// Starts the program in a mount namespace where 127.0.0.1 is the name server, and waits until it is
    /// ready. What it writes to standard error goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started, or is not ready in a minute.
    pub fn start(words: &[String], log: &Path) -> io::Result<Self> {
        let resolv_conf = connie_servers::temporary_path("resolv");
        std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n")?;
        let mut command = Command::new("unshare");
        let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        command.args(["--mount", "sh", "-c", mount]).arg(&resolv_conf).args(words);
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(std::fs::File::create(log)?).spawn()?;
        let (Some(say), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Nobody reads any more once the process was dropped.
            let _ = lines.map(|line| send.send(line)).find(Result::is_err);
        });
        let process = Process { child, say, lines, resolv_conf };
        match process.lines.recv_timeout(READY_LIMIT) {
            Ok(_) => Ok(process),
            Err(_) => Err(io::Error::other(format!("not ready: {}; see {}", words.join(" "), log.display()))),
        }
    }
}

impl Visitor for Process {
    fn visit(&mut self) -> Result<(), String> {
        self.say.write_all(b"go\n").and_then(|()| self.say.flush()).map_err(|error| error.to_string())?;
        match self.lines.recv_timeout(VISIT_LIMIT) {
            Ok(line) if line == "ok" => Ok(()),
            Ok(why) => Err(why),
            Err(_) if self.child.try_wait().is_ok_and(|status| status.is_some()) => Err("it ended".into()),
            Err(_) => Err(format!("not over in {} s", VISIT_LIMIT.as_secs())),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; its group has the number until it has been waited for.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.resolv_conf);
    }
}
