//! Measures what connie costs and writes it to `docs/footprint.md`:
//!
//! ```text
//! cargo run --release -p connie-footprint
//! ```
//!
//! Instructions are counted by valgrind, sizes are read from a linked program for thumbv7m-none-eabi, and processor time is the
//! kernel's own account of whole processes, ours and curl's in turn.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("footprint: needs Linux, for valgrind and for the kernel's account of processor time");
}

#[cfg(target_os = "linux")]
mod firmware;

#[cfg(target_os = "linux")]
fn main() -> Result<(), String> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write as _;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    use crate::firmware::{TARGET, build};

    const ROUNDS: usize = 100;

    pub fn main() -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut page = String::from(HEAD);
        instructions(&root, &mut page)?;
        sizes(&mut page)?;
        processor_time(&root, &mut page)?;
        let path = root.join("docs/footprint.md");
        std::fs::create_dir_all(root.join("docs"))
            .and_then(|()| std::fs::write(&path, &page))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        print!("{page}");
        Ok(())
    }

    const HEAD: &str = "# What connie costs\n\n\
        Written by `cargo run --release -p connie-footprint`, which needs valgrind, curl and the target\n\
        thumbv7m-none-eabi. Do not edit.\n";

    /// A whole race in the core alone, counted.
    fn instructions(root: &Path, page: &mut String) -> Result<(), String> {
        cargo(root, &["build", "--release", "-p", "connie-footprint", "--bin", "instructions"])?;
        let program = built(root, &["release", "instructions"]);
        say(page, "\n## Instructions\n");
        say(
            page,
            "A whole race of twelve destinations in the core alone, on x86-64 at `opt-level = 3`, counted by callgrind.\n",
        );
        say(page, "| race | instructions | target |\n|---|--:|--:|");
        for (function, what, target) in [
            (
                "all_at_once_of_twelve",
                "all at once: twelve start, the seventh wins, eleven are canceled",
                "6,000",
            ),
            ("staggered_of_twelve", "Happy Eyeballs: the third of twelve answers", "-"),
            ("four_sockets_eleven_dead", "four sockets, eleven of twelve dead: eight evictions", "-"),
        ] {
            let output = run(
                Command::new("valgrind")
                    .arg("--tool=callgrind")
                    .arg("--callgrind-out-file=/dev/null")
                    .arg(format!("--toggle-collect=*{function}*"))
                    .arg(&program),
                "install valgrind",
            )?;
            let count = output
                .lines()
                .find_map(|line| line.split_once("Collected :"))
                .and_then(|(_, count)| count.trim().parse::<u64>().ok())
                .ok_or("valgrind printed no count")?;
            say(page, &format!("| {what} | {} | {target} |", thousands(count)));
        }
        Ok(())
    }

    /// The race and the connector as a microcontroller links them, and HTTP on top of them.
    fn sizes(page: &mut String) -> Result<(), String> {
        let race = Sizes::read(&build("microcontroller", "z", false, "")?)?;
        let client = Sizes::read(&build("http_client", "z", true, "")?)?;
        say(page, "\n## A microcontroller's share\n");
        say(
            page,
            &format!(
                "Built for {TARGET} at `opt-level = \"z\"`: 16 destinations, 4 sockets, a record of 32 attempts. The code is linked"
            ),
        );
        say(
            page,
            "into a program with a stack of which the compiler knows nothing; that stub is counted too.\n",
        );
        say(page, "| what | bytes | target |\n|---|--:|--:|");
        for (what, bytes, target) in [
            ("`.text` of race and connector", race.own, "8,192"),
            ("`memcpy` and its like beside it, which any firmware has", race.runtime, "-"),
            ("`.text` with HTTP/1.1, all of it in use", client.own, "-"),
            ("`memcpy`, 64-bit division and their like beside that", client.runtime, "-"),
            ("RAM of a `Race`", race.race, "1,280"),
            ("RAM of a `Connector`, without the stack's sockets", race.connector, "-"),
        ] {
            say(page, &format!("| {what} | {} | {target} |", thousands(bytes)));
        }
        Ok(())
    }

    /// Bytes in a program for a microcontroller.
    #[derive(Default)]
    struct Sizes {
        /// `.text` without the runtime.
        own: u64,
        /// What the compiler adds.
        runtime: u64,
        race: u64,
        connector: u64,
    }

    impl Sizes {
        fn read(path: &Path) -> Result<Self, String> {
            let data =
                std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
            let text = file.section_by_name(".text").ok_or("no .text section")?;
            let mut sizes = Sizes::default();
            for symbol in file.symbols() {
                let name = symbol.name().unwrap_or("");
                let runtime = ["compiler_builtins", "__aeabi", "memcpy", "memmove", "memset", "memcmp"];
                match name {
                    "RACE" => sizes.race = symbol.size(),
                    "CONNECTOR" => sizes.connector = symbol.size(),
                    _ if symbol.section_index() != Some(text.index()) => {}
                    _ if runtime.iter().any(|part| name.contains(part)) => sizes.runtime += symbol.size(),
                    _ => {}
                }
            }
            sizes.own = text.size() - sizes.runtime;
            Ok(sizes)
        }
    }

    /// `connie race` beside `curl`, to the same live loopback address.
    fn processor_time(root: &Path, page: &mut String) -> Result<(), String> {
        cargo(root, &["build", "--release", "-p", "connie-cli"])?;
        let connie = built(root, &["release", "connie"]);
        let server = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = server.local_addr().map_err(|error| error.to_string())?;
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
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
        let size = std::fs::metadata(&connie).map_err(|error| error.to_string())?.len();
        say(page, "\n## Processor time of the whole program\n");
        say(
            page,
            &format!(
                "To one live loopback address; {ROUNDS} runs of each in turn; the kernel's account of user and system time.\n"
            ),
        );
        say(page, "| program | median ms | of curl's |\n|---|--:|--:|");
        let base = median(&mut theirs);
        for (what, times) in [("`connie race`", &mut ours), ("`connie get`", &mut fetch)] {
            let median = median(times);
            say(page, &format!("| {what} | {median:.2} | {:.2} |", median / base));
        }
        say(page, &format!("| `curl -o /dev/null` {version} | {base:.2} | 1.00 |"));
        say(page, &format!("\nThe stripped release binary has {} bytes.", thousands(size)));
        Ok(())
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

    fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
        let status = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(root)
            // The functions must keep their names to be counted; the program is measured as it ships.
            .env(
                "CARGO_PROFILE_RELEASE_STRIP",
                if arguments.contains(&"instructions") { "none" } else { "symbols" },
            )
            .status()
            .map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
    }

    fn built(root: &Path, parts: &[&str]) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        parts.iter().fold(target, |path, part| path.join(part))
    }

    /// What `command` prints, on both streams.
    fn run(command: &mut Command, help: &str) -> Result<String, String> {
        let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}: {help}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    fn say(page: &mut String, line: &str) {
        let _ = writeln!(page, "{line}");
    }

    fn thousands(number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}
