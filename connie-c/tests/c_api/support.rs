//! The library, compilers and programs, and a network with hosts to connect to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use connie_lab::{Behaviour, Lab, Unreachable, ms, v4};
use connie_servers::{Authority, Nginx, PemFile};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::UnshareFlags;

/// Where http is served.
pub const PORT: u16 = 8080;
/// Where https is.
pub const TLS_PORT: u16 = 8443;
pub const PAGE: &str = "the page\n";

/// What a program may take, in seconds; a laboratory has 60 s.
const LIMIT: &str = "50";

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace")
}

/// The folder with libconnie.so and libconnie.a, built as the documentation says. Call it outside of a
/// laboratory, which has no time for it.
#[track_caller]
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/debug/deps/this
        let this = std::env::current_exe().expect("the path of this test");
        let target = this.ancestors().nth(3).expect("a target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--locked", "--release", "-p", "connie-c", "--target-dir"])
            .arg(target);
        passes(&cargo.current_dir(root()).output().expect("cargo"));
        target.join("release")
    })
}

/// Runs a program for a while.
#[track_caller]
pub fn run(program: impl AsRef<Path>, arrange: impl FnOnce(&mut Command) -> &mut Command) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--kill-after", "1", LIMIT]).arg(program.as_ref()).env("LD_LIBRARY_PATH", library());
    let output = arrange(&mut command).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What the program wrote. It has succeeded.
#[track_caller]
pub fn passes(output: &Output) -> String {
    let (stdout, stderr) = texts(output);
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    stdout
}

pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Whether there is such a program on the PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(program).is_file())
}

/// A folder for what a compiler writes.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("connie-c-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Hosts with addresses that are dead, refuse or serve a page.
pub struct World {
    _nginx: Nginx,
    /// Whom https is to be trusted by.
    pub authority: PemFile,
}

impl World {
    /// Sets the hosts up, which are known by name to this thread and the programs that it starts. `None`
    /// where something is missing: the test is skipped.
    #[must_use]
    #[track_caller]
    pub fn set_up(lab: &Lab) -> Option<Self> {
        lab.set(v4(1), Behaviour::black_hole());
        lab.set(v4(2), Behaviour::accept(ms(10)));
        lab.set(v4(3), Behaviour::refuse(ms(10)));
        lab.set(v4(6), Behaviour::black_hole());
        lab.set(v4(7), Behaviour::accept(ms(40)));
        lab.set(v4(4), Behaviour::unreachable(Unreachable::Host, ms(10)));
        set_up_names(
            "10.9.0.1 many.test\n10.9.0.2 many.test\n10.9.0.2 live.test\n10.9.0.1 four.test\n10.9.0.6 four.test\n10.9.0.2 four.test\n10.9.0.7 four.test\n10.9.0.1 dead.test\n\
             10.9.0.3 refused.test\n10.9.0.4 far.test\n10.9.0.4 mixed.test\n10.9.0.3 mixed.test\n127.0.0.2 local.test\n",
        );
        let authority = Authority::new();
        let identity = authority.certify(&["many.test"]);
        let files = [
            ("index.html", PAGE.as_bytes()),
            ("cert.pem", identity.certificate_pem.as_bytes()),
            ("key.pem", identity.key_pem.as_bytes()),
        ];
        let directives = format!(
            "listen 0.0.0.0:{TLS_PORT} ssl; ssl_certificate {{files}}/cert.pem; \
             ssl_certificate_key {{files}}/key.pem;"
        );
        let nginx = Nginx::configured(PORT, &files, &directives)?;
        Some(World { _nginx: nginx, authority: authority.file() })
    }
}

/// Gives this thread, and the programs that it starts, a view of the files by which the system's resolver
/// knows names: these, and no name server.
fn set_up_names(hosts: &str) {
    // SAFETY: nothing but the view of the file systems is unshared, not the table of file descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.expect("a mount namespace");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("a mount of our own");
    let files =
        [("/etc/hosts", hosts), ("/etc/nsswitch.conf", "hosts: files\n"), ("/etc/host.conf", "multi on\n")];
    for (path, content) in files {
        let folder = Folder::new();
        let own = folder.0.join("etc");
        fs::write(&own, content).expect("a temporary file");
        // What is mounted stays.
        mount_bind(&own, path).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}
