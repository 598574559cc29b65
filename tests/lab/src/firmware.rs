//! The firmware of `examples/firmware-qemu`: built, and run in QEMU on a TAP device of a [laboratory](crate).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Lab;
use connie_servers::clock::{poll_until, timed};
use connie_servers::{command_for, find, skip};

/// What the firmware is built for.
pub const TARGET: &str = "thumbv7m-none-eabi";
/// The same for a Cortex-M0+ with 32 KiB of RAM.
const TARGET_M0: &str = "thumbv6m-none-eabi";

/// The host's address on the link to the firmware, and its router.
pub const HOST_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The same for IPv6.
pub const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 77, 0, 0, 0, 0, 0, 1);
/// The firmware's own addresses and its routers, as its command line takes them.
pub const STATIC: &str = "--ip 10.77.0.2/24,fd00:4d::2/64 --gateway 10.77.0.1,fd00:4d::1";

/// The TAP device.
const DEVICE: &str = "fw0";
/// A run that takes longer has hung: the firmware itself gives up after 30 s.
const LIMIT: Duration = Duration::from_secs(45);

/// Which parts of the firmware are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// All.
    All,
    /// All, for a Cortex-M0+ with 32 KiB of RAM.
    AllForM0,
    /// These features, and no others.
    Features(&'a str),
    /// The same by a nightly compiler, which builds `core` for size as well.
    Nightly(&'a str),
}

impl Parts<'_> {
    const fn target(self) -> &'static str {
        match self {
            Parts::AllForM0 => TARGET_M0,
            Parts::All | Parts::Features(_) | Parts::Nightly(_) => TARGET,
        }
    }
}

/// Builds a program of `examples/firmware-qemu`, or the one of `examples/firmware-embassy`, as small as it
/// gets, and says where it is.
///
/// # Errors
/// What is missing, or what cargo says.
pub fn build(program: &str, parts: Parts<'_>) -> Result<PathBuf, String> {
    let (mut cargo, target) = cargo_for(program, parts);
    let output = cargo.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} cannot be built: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let built = target.join(parts.target()).join("size").join(program);
    let (Parts::Features(features) | Parts::Nightly(features)) = parts else { return Ok(built) };
    // The next choice of parts takes its place.
    let kept = target.join(format!("{program}-{features}.elf"));
    std::fs::copy(&built, &kept).map_err(|error| format!("cannot write {}: {error}", kept.display()))?;
    Ok(kept)
}

/// The command that builds it, and the directory that cargo builds it in: each compiler and each choice of
/// parts has one of its own, not in the way of tests that run the whole at the same time.
fn cargo_for(program: &str, parts: Parts<'_>) -> (Command, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut flags = [remap(&root), size_flags(parts.target())].join("\u{1f}");
    let (target, mut cargo, features) = match parts {
        Parts::All | Parts::AllForM0 => (target, Command::new(env!("CARGO")), None),
        Parts::Features(features) => (target.join("firmware"), Command::new(env!("CARGO")), Some(features)),
        Parts::Nightly(features) => {
            flags.push_str("\u{1f}-Zunstable-options\u{1f}-Cpanic=immediate-abort");
            (target.join("nightly"), nightly("cargo"), Some(features))
        }
    };
    let package = match program {
        "embassy" => "connie-firmware-embassy",
        "https" => "connie-firmware-https",
        _ => "connie-firmware-qemu",
    };
    cargo.args(["build", "--quiet", "--locked", "-p", package, "--bin", program]);
    cargo.args(["--target", parts.target(), "--profile", "size"]);
    if let Parts::Nightly(_) = parts {
        cargo.args(["-Zbuild-std=core", "-Zbuild-std-features=optimize_for_size"]);
    }
    match features {
        Some(features) => _ = cargo.args(["--no-default-features", "--features", features]),
        // Those that do not race ask for names in another way.
        None if matches!(program, "first" | "single") => _ = cargo.args(["--features", "smoltcp-dns"]),
        None => {}
    }
    cargo.current_dir(&root).env("CARGO_TARGET_DIR", &target).env("CARGO_ENCODED_RUSTFLAGS", flags);
    (cargo, target)
}

/// The flags that the firmware's own configuration has for a target, separated as cargo wants them. That
/// file holds for builds that are started beside it, and these are not.
fn size_flags(target: &str) -> String {
    let config = include_str!("../../../examples/firmware-qemu/.cargo/config.toml");
    let title = format!("[target.{target}]");
    let of_target = config.lines().skip_while(|line| *line != title).skip(1);
    let mut lines = of_target.take_while(|line| !line.starts_with('['));
    let flags = lines.find_map(|line| line.strip_prefix("rustflags = "));
    let flags = flags.unwrap_or_default().split('"').skip(1).step_by(2);
    flags.collect::<Vec<_>>().join("\u{1f}")
}

/// The nightly compiler with the sources of `core`, which [`Parts::Nightly`] builds with, as it names itself.
///
/// # Errors
/// What is missing, and how to get it.
pub fn nightly_compiler() -> Result<String, String> {
    let ask = |argument: &[&str]| {
        let output = nightly("rustc").args(argument).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let how = "rustup toolchain install nightly --profile minimal --component rust-src";
    let Some(version) = ask(&["--version"]) else { return Err(format!("a nightly compiler: {how}")) };
    let sysroot = ask(&["--print", "sysroot"]).unwrap_or_default();
    if Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir() {
        return Ok(version);
    }
    Err("the nightly compiler's rust-src: rustup component add --toolchain nightly rust-src".to_owned())
}

/// A program of the nightly toolchain, whatever toolchain runs this.
fn nightly(program: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("+nightly");
    // Set by the cargo that runs this, for its own toolchain.
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTC_WRAPPER"] {
        command.env_remove(variable);
    }
    command
}

/// The compiler writes the path of each source file into the program, for panics. Without the part that
/// differs from machine to machine the program has the same size on each.
fn remap(root: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registry = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    let sources = registry.into_iter().flatten().flatten().map(|entry| entry.path());
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let prefixes = sources.chain([root]).map(|path| format!("--remap-path-prefix={}/=", path.display()));
    prefixes.collect::<Vec<_>>().join("\u{1f}")
}

/// The firmware, ready to run.
#[derive(Clone, Debug)]
pub struct Firmware {
    program: PathBuf,
    qemu: PathBuf,
    /// Where it is not the board's own.
    processor: Option<&'static str>,
}

impl Firmware {
    /// Builds `program` with all its parts. `None` where there is no QEMU or no compiler for the target: the
    /// test is [skipped](skip()) and should return. Call it outside of the laboratory, in which there is no
    /// network to download anything.
    ///
    /// # Panics
    /// When it does not build.
    #[must_use]
    #[track_caller]
    pub fn build(program: &str) -> Option<Self> {
        Self::of(program, Parts::All, None)
    }

    /// The same for a Cortex-M0 with 32 KiB of RAM: `memory.x` has less for it than the board has.
    ///
    /// # Panics
    /// When it does not build.
    #[must_use]
    #[track_caller]
    pub fn build_for_m0(program: &str) -> Option<Self> {
        Self::of(program, Parts::AllForM0, Some("cortex-m0"))
    }

    #[track_caller]
    fn of(program: &str, parts: Parts<'_>, processor: Option<&'static str>) -> Option<Self> {
        let Some(qemu) = find("qemu-system-arm") else {
            skip("qemu-system-arm", "apt-get install qemu-system-arm");
            return None;
        };
        let target = parts.target();
        let known = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        let library = known.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        if !library.is_ok_and(|path| Path::new(&path).is_dir()) {
            skip(target, &format!("rustup target add {target}"));
            return None;
        }
        match build(program, parts) {
            Ok(program) => Some(Self { program, qemu, processor }),
            Err(error) => panic!("{error}"),
        }
    }

    /// The firmware in a file.
    ///
    /// # Errors
    /// When there is no QEMU.
    pub fn at(program: PathBuf) -> Result<Self, String> {
        let qemu = find("qemu-system-arm").ok_or("no qemu-system-arm: apt-get install qemu-system-arm")?;
        Ok(Self { program, qemu, processor: None })
    }

    /// How much flash and RAM it takes, in bytes; RAM without the stack.
    ///
    /// # Panics
    /// When the file is not an ELF of 32 bits.
    #[must_use]
    #[track_caller]
    pub fn sizes(&self) -> (u64, u64) {
        const LOAD: u64 = 1;
        const RAM: u64 = 0x2000_0000;
        let file = std::fs::read(&self.program).expect("the firmware");
        let number = |at: usize, length: usize| {
            let octets = file.get(at..at + length).expect("an ELF of 32 bits");
            octets.iter().rev().fold(0, |number, octet| number << 8 | u64::from(*octet))
        };
        // The program headers: where they begin, the size of one, and how many there are.
        let (start, size, count) = (number(28, 4), number(42, 2), number(44, 2));
        let headers = (0..count).map(|index| (start + index * size) as usize);
        let (mut flash, mut ram) = (0, 0);
        for header in headers.filter(|header| number(*header, 4) == LOAD) {
            // RAM that does not begin as zeros is copied from flash.
            flash += number(header + 16, 4);
            ram += if number(header + 8, 4) >= RAM { number(header + 20, 4) } else { 0 };
        }
        (flash, ram)
    }

    /// Runs it to its end with this command line, on the link that [`link`] has made. Call it from a thread
    /// inside the laboratory.
    ///
    /// # Panics
    /// When QEMU does not run, or has not ended after 45 s.
    #[track_caller]
    pub fn run(&self, arguments: &str) -> Run {
        let mut command = command_for(&self.qemu);
        let is_https = self.program.ends_with("https");
        let (board, ethernet) =
            if is_https { ("mps2-an385", "lan9118") } else { ("lm3s6965evb", "stellaris") };
        command.args(["-M", board, "-display", "none", "-monitor", "none", "-serial", "none"]);
        if let Some(processor) = self.processor {
            command.args(["-cpu", processor]);
        }
        // Without -nic QEMU makes a network of its own, which reaches the host's.
        command.arg("-nic").arg(format!(
            "tap,ifname={DEVICE},script=no,downscript=no,model={ethernet},mac=02:00:00:00:4d:02"
        ));
        command.args(["-semihosting-config", "enable=on,target=native"]);
        // The firmware gets the path before its arguments, as one text: without a directory there is no space
        // in it.
        command.current_dir(self.program.parent().unwrap_or(Path::new(".")));
        command.arg("-kernel").arg(self.program.file_name().unwrap_or_default()).args(["-append", arguments]);
        finish(command)
    }

    /// Whether what [`run_by_scripts`](Self::run_by_scripts) needs is here; the test is [skipped](skip())
    /// otherwise.
    #[must_use]
    #[track_caller]
    pub fn has_servers(&self) -> bool {
        let missing =
            ["dnsmasq", "python3", "unshare", "ip"].into_iter().find(|program| find(program).is_none());
        if let Some(program) = missing {
            skip(program, "apt-get install dnsmasq-base python3 util-linux iproute2");
            return false;
        }
        let Err(error) = std::fs::OpenOptions::new().write(true).open("/dev/net/tun") else { return true };
        skip(
            &format!("/dev/net/tun ({error})"),
            "run as root, or let users open it: chmod 0666 /dev/net/tun",
        );
        false
    }

    /// Runs it as a user does: by the scripts beside its source, in a network of their own.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[track_caller]
    pub fn run_by_scripts(&self, arguments: &str) -> Run {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/firmware-qemu");
        let mut command = Command::new("./network.sh");
        command.current_dir(scripts).arg("./qemu.sh").arg(&self.program).args(arguments.split(' '));
        finish(command)
    }
}

/// Runs a command to its end.
#[track_caller]
fn finish(mut command: Command) -> Run {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let page = std::thread::spawn(move || everything(output));
    let report = std::thread::spawn(move || everything(errors));
    let mut status = None;
    let (ended, time) = timed(|| {
        poll_until(LIMIT, || {
            status = child.try_wait().expect("a child can be asked");
            status.is_some()
        })
    });
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
    }
    let page = page.join().expect("a thread that reads");
    let report = String::from_utf8_lossy(&report.join().expect("a thread that reads")).into_owned();
    let code = status.and_then(|status| status.code());
    // QEMU's own word, at every start of this board.
    let report = report.replace("Timer with period zero, disabling\n", "");
    let run = Run { code, page, report, time };
    assert!(ended, "the firmware has not ended within {LIMIT:?}: {run}");
    run
}

fn everything(stream: Option<impl std::io::Read>) -> Vec<u8> {
    let mut all = Vec::new();
    // What was read before an error counts.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut all));
    all
}

/// Makes the link to the firmware in a laboratory: a TAP device, on which the host has [`HOST_V4`] and
/// [`HOST_V6`]. The laboratory's remote addresses lie behind the host.
///
/// # Panics
/// When the kernel does not take it.
#[track_caller]
pub fn link(lab: &Lab) {
    lab.ip(&format!("tuntap add dev {DEVICE} mode tap"));
    // Each time QEMU opens the device, the kernel would ask for a second whether somebody has its link-local
    // address, and a router cannot advertise itself without one.
    lab.set_sysctl(&format!("net/ipv6/conf/{DEVICE}/accept_dad"), "0");
    lab.ip(&format!(
        "link set {DEVICE} up\n\
         addr add {HOST_V4}/24 dev {DEVICE}\n\
         addr add {HOST_V6}/64 dev {DEVICE} nodad"
    ));
}

/// The name of the link's device, for a server that wants to know.
#[must_use]
pub fn device() -> &'static str {
    DEVICE
}

/// What a run of the firmware has come to.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit code. `None` where QEMU was killed.
    pub code: Option<i32>,
    /// What it wrote to standard output: the page.
    pub page: Vec<u8>,
    /// What it wrote to standard error.
    pub report: String,
    /// How long it took, with QEMU's own start.
    pub time: Duration,
}

/// A row of the waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The address.
    pub address: IpAddr,
    /// How the attempt ended, such as `refused`.
    pub outcome: String,
    /// When it ended, counted from the race's start.
    pub ended: Duration,
    /// Whether it was a second attempt beside another.
    pub hedge: bool,
}

impl Run {
    /// The address that won.
    #[must_use]
    pub fn winner(&self) -> Option<IpAddr> {
        let rows = self.rows();
        rows.iter().find(|row| row.outcome == "established").map(|row| row.address)
    }

    /// The rows of the waterfall that are attempts.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.report.lines().filter_map(row).collect()
    }

    /// How the attempts to an address ended, in the order of their start.
    #[must_use]
    pub fn outcomes(&self, address: IpAddr) -> Vec<String> {
        let rows = self.rows().into_iter().filter(|row| row.address == address);
        rows.map(|row| row.outcome).collect()
    }

    /// The most bytes of stack that were in use.
    #[must_use]
    pub fn stack(&self) -> Option<u64> {
        let line = self.report.lines().find_map(|line| line.strip_prefix("stack: "))?;
        line.split(' ').next()?.parse().ok()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}, {} bytes, {:?}\n{}", self.code, self.page.len(), self.time, self.report)
    }
}

/// `+ 10.9.0.1  timed out  250.0 ms  ───×` as a row.
fn row(line: &str) -> Option<Row> {
    let mut columns =
        line.trim_start_matches([' ', '+']).split("  ").map(str::trim).filter(|it| !it.is_empty());
    let address = columns.next()?.parse().ok()?;
    let outcome = columns.next()?.to_owned();
    let (number, unit) = columns.next()?.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    let ended = Duration::try_from_secs_f64(number * scale).ok()?;
    Some(Row { address, outcome, ended, hedge: line.starts_with('+') })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    /// What a command runs, in one line, and the value that it gives a variable.
    fn line(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn variable(command: &Command, name: &str) -> Option<String> {
        let value =
            command.get_envs().find(|(known, _)| *known == OsStr::new(name)).and_then(|(_, value)| value);
        value.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn the_nightly_rows_are_built_by_the_nightly_cargo_and_the_others_by_this_one() {
        let (cargo, directory) = cargo_for("race", Parts::Nightly("ipv4,words"));
        let words = line(&cargo);
        assert!(words.starts_with("cargo +nightly build "), "{words}");
        assert!(words.contains(" -Zbuild-std=core "), "{words}");
        assert!(words.ends_with(" --no-default-features --features ipv4,words"), "{words}");
        assert!(
            variable(&cargo, "CARGO_ENCODED_RUSTFLAGS")
                .is_some_and(|flags| flags.contains("immediate-abort"))
        );
        assert!(cargo.get_envs().any(|(name, value)| name == "RUSTUP_TOOLCHAIN" && value.is_none()));
        assert!(directory.ends_with("nightly"), "{}", directory.display());

        for (parts, own) in [(Parts::All, false), (Parts::Features("ipv4,words"), true)] {
            let (cargo, directory) = cargo_for("race", parts);
            assert_eq!(cargo.get_program(), env!("CARGO"));
            // What only a nightly compiler takes must not reach another.
            assert!(!line(&cargo).contains(" -Z"), "{cargo:?}");
            assert!(variable(&cargo, "CARGO_ENCODED_RUSTFLAGS").is_some_and(|flags| !flags.contains("-Z")));
            assert_eq!(directory.ends_with("firmware"), own, "{}", directory.display());
        }
        // Those of the configuration beside the firmware, each apart from the next.
        for parts in [Parts::All, Parts::AllForM0, Parts::Nightly("ipv4")] {
            let flags = variable(&cargo_for("race", parts).0, "CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
            let found = flags.split('\u{1f}').filter(|flag| flag.starts_with("-Cllvm-args=-")).count();
            assert_eq!(found, 3, "{flags}");
        }
        assert!(line(&cargo_for("embassy", Parts::All).0).contains(" -p connie-firmware-embassy "));
    }

    #[test]
    fn rows_are_read_from_a_waterfall() {
        let waterfall = "connected to 10.9.0.2:80 in 250 ms (3 attempts)\n\n\
            \x20 first address  known         0.3 ms  ·\n\
            \x20 fd00:9::1      timed out   12.50 ms   ━━●\n\
            + 10.9.0.2       established  250 ms   ━━━━━●\n\
            \x20                                     ├───\n";
        let run = Run { code: Some(0), page: Vec::new(), report: waterfall.into(), time: Duration::ZERO };
        let [v6, v4]: [IpAddr; 2] = ["fd00:9::1", "10.9.0.2"].map(|address| address.parse().unwrap());
        let row = |address, outcome: &str, micros, hedge| Row {
            address,
            outcome: outcome.into(),
            ended: Duration::from_micros(micros),
            hedge,
        };
        assert_eq!(run.rows(), [row(v6, "timed out", 12_500, false), row(v4, "established", 250_000, true)]);
        assert_eq!((run.winner(), run.outcomes(v6)), (Some(v4), vec!["timed out".to_owned()]));
    }
}
