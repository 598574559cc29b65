//! Components for WASI 0.2: built, and run on wasmtime by `tests/wasi/run.py`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

use connie_servers::{command_for, find, limits, skip};

/// What components are built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The runtime, as a package for Python. Later ones refuse TCP.
const WHEEL: &str = "wasmtime==46.0.1";

/// Where the runtime keeps what it has compiled, in the target directory.
const CACHE: &str = "wasmtime-cache.toml";

/// A runtime that can lend a component the network.
#[derive(Clone, Debug)]
pub struct Runtime {
    python: PathBuf,
    target: PathBuf,
}

impl Runtime {
    /// Finds it, or installs it into the target directory. `None` where it cannot be had, or there is no
    /// compiler for the target: the test is [skipped](skip()) and should return.
    #[must_use]
    #[track_caller]
    pub fn find() -> Option<Self> {
        let known = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        let library = known.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        if !library.is_ok_and(|path| Path::new(&path).is_dir()) {
            skip(TARGET, &format!("rustup target add {TARGET}"));
            return None;
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        // Once a process: to find out that there is no way to Python's package registry can take most of a
        // minute.
        static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match INSTALLED.get_or_init(|| installed(&target)) {
            Ok(python) => Some(Self { python: python.clone(), target }),
            Err(why) => {
                skip(
                    &format!("Python with {WHEEL} ({why})"),
                    "apt-get install python3-venv, and a way to Python's package registry",
                );
                None
            }
        }
    }

    /// What runs `component` with the network and names, and ends after a minute.
    #[must_use]
    pub fn command(&self, component: &Path) -> Command {
        self.command_with(&[], component)
    }

    /// The same with options of `run.py`, such as `--deny-network`.
    #[must_use]
    pub fn command_with(&self, options: &[&str], component: &Path) -> Command {
        let mut command = command_for(&self.python);
        command.arg(runner()).args(options).arg(component);
        command.env("CONNIE_WASI_CACHE", self.target.join(CACHE));
        command
    }

    /// cargo, set up to build for the target and to run what it has built, in this package.
    #[must_use]
    pub fn cargo(&self, verb: &str, package: &str) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).env("CARGO_TARGET_DIR", &self.target);
        // So few files that a test can use them up.
        let runner = format!("prlimit --nofile=256 {} {}", self.python.display(), runner().display());
        cargo.env("CARGO_TARGET_WASM32_WASIP2_RUNNER", runner);
        cargo.args([verb, "--quiet", "--locked", "--target", TARGET, "-p", package]);
        cargo
    }

    /// Builds a component and says where it is. `arguments` choose it: `--example fetch`, say.
    ///
    /// # Panics
    /// When it does not build.
    #[must_use]
    #[track_caller]
    pub fn build(&self, package: &str, arguments: &[&str], file: &str) -> PathBuf {
        let output = self.cargo("build", package).args(arguments).output().expect("cargo");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        self.target.join(TARGET).join("debug").join(file)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn runner() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasi/run.py")
}

/// A Python that has the runtime. Made once, by whichever test comes first.
fn installed(target: &Path) -> Result<PathBuf, String> {
    let told = |error: std::io::Error| error.to_string();
    let folder = target.join(WHEEL.replace("==", "-"));
    let python = folder.join("bin/python");
    fs::create_dir_all(target).map_err(told)?;
    let lock = File::create(target.join("wasmtime.lock")).map_err(told)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
    let whole = fs::canonicalize(target).map_err(told)?;
    let cache = format!("[cache]\ndirectory = \"{}\"\n", whole.join("wasmtime-cache").display());
    if fs::read_to_string(target.join(CACHE)).ok().as_ref() != Some(&cache) {
        fs::write(target.join(CACHE), cache).map_err(told)?;
    }
    if folder.join("complete").exists() {
        return Ok(python);
    }
    let python3 = find("python3").ok_or("no python3")?;
    run(Command::new(python3).args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries=2",
        "--timeout=15",
        WHEEL,
    ]))?;
    File::create(folder.join("complete")).map_err(told)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = limits::output(command).map_err(|error| error.to_string())?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    match output.status.success() {
        true => Ok(()),
        false => Err(said.trim_end().lines().last().unwrap_or("it failed").to_owned()),
    }
}
