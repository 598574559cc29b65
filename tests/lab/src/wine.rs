//! Programs for Windows: built, and run on Wine.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use connie_servers::{clock::poll_until, command_for, find, say, skip, temporary_path};

/// What the programs are built for.
pub const TARGET: &str = "x86_64-pc-windows-gnu";

const WINE: &str = "wine";
const SERVER: &str = "wineserver";
/// The compiler for C that links the programs.
const LINKER: &str = "x86_64-w64-mingw32-gcc";

const PACKAGES: &str = "apt-get install wine wine64 gcc-mingw-w64-x86-64";

/// std takes its randomness from a library that Wine 8 lacks. This is one.
const RANDOMNESS: &str = "\
    #include <windows.h>\n\
    BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);\n\
    __declspec(dllexport) BOOL ProcessPrng(PBYTE buffer, SIZE_T length) {\n\
        return SystemFunction036(buffer, (ULONG)length);\n\
    }\n";

/// Neither .NET nor a browser's parts, which Wine would like to have, and no entries in this machine's menus.
const WITHOUT: &str = "mscoree,mshtml=;winemenubuilder.exe=d";

/// Where Debian keeps the libraries that Wine copies into each prefix.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows";

/// How long one program may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How often a program is run whose Wine has crashed.
const TRIES: usize = 3;

/// Wine, with a drive, a registry and a server of its own, in the target directory. There is one at a time,
/// which this process waits for. What runs on it ends when this is dropped.
#[derive(Debug)]
pub struct Wine {
    wine: PathBuf,
    /// Also the home directory of what it runs.
    prefix: PathBuf,
    target: PathBuf,
    server: Child,
    _lock: File,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// `None` when it was ended by force, as it is after two minutes.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// The same.
    pub stderr: String,
}

impl Wine {
    /// Finds it, makes its drive and starts its server. `None` where there is no Wine, or nothing that builds
    /// for it: the test is [skipped](skip()) and should return.
    #[must_use]
    #[track_caller]
    pub fn find() -> Option<Self> {
        let known = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        let library = known.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        if !library.is_ok_and(|path| Path::new(&path).is_dir()) {
            skip(TARGET, &format!("rustup target add {TARGET}"));
            return None;
        }
        let (Some(_), Some(_), Some(_)) = (find(WINE), find(SERVER), find(LINKER)) else {
            skip(&format!("{WINE}, {SERVER} and {LINKER}"), PACKAGES);
            return None;
        };
        match Self::start() {
            Ok(wine) => Some(wine),
            Err(why) => {
                skip(&format!("a {WINE} that works ({why})"), PACKAGES);
                None
            }
        }
    }

    fn start() -> Result<Self, String> {
        let told = |error: io::Error| error.to_string();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        fs::create_dir_all(&target).map_err(told)?;
        let lock = File::create(target.join("wine.lock")).map_err(told)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
        // Wine wants to be told the whole path.
        let prefix = fs::canonicalize(&target).map_err(told)?.join("wine-prefix");
        let wine = find(WINE).ok_or(WINE)?;
        make(&prefix, &wine).map_err(told)?;
        let server = serve(&prefix).map_err(told)?;
        Ok(Self { wine, prefix, target, server, _lock: lock })
    }

    /// cargo, set up to build for the target.
    #[must_use]
    pub fn cargo(&self, verb: &str, package: &str) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).env("CARGO_TARGET_DIR", &self.target);
        // Nobody debugs them, and they are linked in half the time.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TERM_COLOR", "never");
        cargo.args([verb, "--locked", "--target", TARGET, "-p", package]);
        cargo
    }

    /// Where a build has put a program.
    #[must_use]
    pub fn built(&self, file: &str) -> PathBuf {
        self.target.join(TARGET).join("debug").join(file)
    }

    /// Runs a program for Windows to its end. Once more, said aloud, where Wine's own server has crashed
    /// meanwhile: version 8 sometimes does.
    ///
    /// # Panics
    /// When it cannot be run, or the server crashes each time.
    #[track_caller]
    pub fn run(&mut self, program: &Path, arguments: &[&str]) -> Ran {
        for _ in 0..TRIES {
            let mut command = command_for(&self.wine);
            set_up(&mut command, &self.prefix);
            let server = &mut self.server;
            let crashed = || server.try_wait().is_ok_and(|ended| ended.is_some());
            let ran =
                run(command.arg(program).args(arguments), crashed).unwrap_or_else(|error| panic!("{error}"));
            if ran.code.is_some() || self.server.try_wait().is_ok_and(|ended| ended.is_none()) {
                return ran;
            }
            say(&format!("Wine's own server has crashed under {}\n", program.display()));
            end_all(&self.prefix);
            self.server = serve(&self.prefix).unwrap_or_else(|error| panic!("{SERVER}: {error}"));
        }
        panic!("Wine's server crashes under {}", program.display());
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        end_all(&self.prefix);
        let _ = self.server.wait();
    }
}

/// Runs a command to its end, or until `given_up`. Not through pipes: what Wine leaves running would hold
/// them open.
fn run(command: &mut Command, mut given_up: impl FnMut() -> bool) -> io::Result<Ran> {
    let [out, err] = ["stdout", "stderr"].map(temporary_path);
    command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
    let mut child = command.spawn()?;
    let mut code = None;
    let ended = poll_until(LIMIT, || match child.try_wait() {
        Ok(None) => given_up(),
        Ok(Some(status)) => {
            code = status.code();
            true
        }
        Err(_) => true,
    });
    if !ended || code.is_none() {
        let _ = child.kill();
        child.wait()?;
    }
    let text = |path: &Path| {
        let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        fs::remove_file(path).and(text)
    };
    Ok(Ran { code, stdout: text(&out)?, stderr: text(&err)? })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn set_up(command: &mut Command, prefix: &Path) {
    command.env("WINEPREFIX", prefix).env("HOME", prefix).env("WINEDEBUG", "-all");
    command.env("WINEDLLOVERRIDES", WITHOUT).env_remove("DISPLAY");
}

/// The server, and the services that Wine starts with the first program. They have nobody's output.
fn serve(prefix: &Path) -> io::Result<Child> {
    let mut server = command_for(&find(SERVER).ok_or(io::ErrorKind::NotFound)?);
    set_up(&mut server, prefix);
    server.args(["--foreground", "--persistent"]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Ends what runs in this drive, and nothing else: it is known by its environment.
fn end_all(prefix: &Path) {
    let ours = [b"WINEPREFIX=", prefix.as_os_str().as_bytes()].concat();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        let id = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let (true, Some(id)) = (environment.split(|&byte| byte == 0).any(|entry| entry == ours), id) {
            // It may have ended this very moment.
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Makes the drive, once.
fn make(prefix: &Path, wine: &Path) -> io::Result<()> {
    end_all(prefix);
    if prefix.join("complete").exists() {
        return Ok(());
    }
    if prefix.exists() {
        fs::remove_dir_all(prefix)?;
    }
    fs::create_dir_all(prefix)?;
    let mut boot = command_for(wine);
    set_up(&mut boot, prefix);
    finish(boot.args(["wineboot", "--init"]))?;
    let system = prefix.join("drive_c/windows/system32");
    link_libraries(&system)?;
    let library = system.join("bcryptprimitives.dll");
    if !library.exists() {
        let source = prefix.join("randomness.c");
        fs::write(&source, RANDOMNESS)?;
        let mut build = Command::new(LINKER);
        finish(build.arg("-shared").arg("-o").arg(&library).arg(&source).arg("-ladvapi32"))?;
    }
    end_all(prefix);
    File::create(prefix.join("complete")).map(drop)
}

fn finish(command: &mut Command) -> io::Result<()> {
    let ran = run(command, || false)?;
    match ran.code {
        Some(0) => Ok(()),
        code => Err(io::Error::other(format!("{command:?} has ended with {code:?}: {}", ran.stderr))),
    }
}

/// Has the copies of Wine's own libraries, which are most of a gigabyte, be links to them.
fn link_libraries(system: &Path) -> io::Result<()> {
    for entry in fs::read_dir(system)? {
        let (copy, own) = entry.map(|entry| (entry.path(), Path::new(LIBRARIES).join(entry.file_name())))?;
        if own.is_file() && copy.is_file() && fs::read(&own)? == fs::read(&copy)? {
            fs::remove_file(&copy)?;
            symlink(&own, &copy)?;
        }
    }
    Ok(())
}
