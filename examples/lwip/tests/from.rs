//! The programs of docs/from/lwip.md, over lwIP on a TAP device: their first addresses do not answer.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "not all of it is for these")]
#[path = "../../tests/support/from.rs"]
mod from;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use connie_lab::in_namespace_within;
use connie_servers::{find, limits, skip, temporary_path};

/// What a C compiler needs of lwIP, where it is installed.
fn flags(of: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args([of, "lwip"]).output().ok().filter(|it| it.status.success());
    output.map(|it| String::from_utf8_lossy(&it.stdout).split_whitespace().map(str::to_owned).collect())
}

/// The library, which cargo has built for this test.
fn library() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    built.join("debug/libconnie_example_lwip.a")
}

#[track_caller]
fn compiled(source: &str) -> PathBuf {
    let (program, folder) = (temporary_path(source), Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror"]).args(flags("--cflags").expect("lwIP"));
    cc.arg("-I").arg(&folder).arg(folder.join(source)).arg(library()).args(flags("--libs").expect("lwIP"));
    let output = limits::output(cc.args(["-lgcc_s", "-lpthread", "-lm", "-ldl", "-o"]).arg(&program));
    let output = output.expect("a compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn lwip() {
    if find("cc").is_none() || flags("--libs").is_none() {
        return skip("lwIP for Linux, or a C compiler", "apt-get install liblwip-dev pkg-config gcc");
    }
    let programs = ["before.c", "after.c"].map(compiled);
    let [before, after] = programs.clone();
    in_namespace_within(limits::LIMIT, move |lab| {
        lab.ip("tuntap add dev tap0 mode tap\naddr add 192.0.2.1/24 dev tap0\nlink set tap0 up");
        from::serve_to_the_end(SocketAddr::new([192, 0, 2, 1].into(), 8080));
        let with = |program: &Path, addresses: &[&str], seconds: u64| {
            let mut command = Command::new(program);
            command.args(addresses).env("PRECONFIGURED_TAPIF", "tap0");
            from::run(&mut command, Duration::from_secs(seconds))
        };
        // More dead addresses than attempts in flight.
        let dead = ["192.0.2.77", "192.0.2.78", "192.0.2.79", "192.0.2.80", "192.0.2.81", "192.0.2.1"];
        let (ended, output) = with(&before, &dead, 3);
        assert!(!ended, "{output:?}");
        let (ended, output) = with(&after, &dead, 8);
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(ended && output.status.success() && page.ends_with("the page\n"), "{output:?}");
        let (ended, output) = with(&before, &["192.0.2.1"], 8);
        assert!(ended && output.status.success(), "{output:?}");
        let (ended, output) = with(&after, &dead[..2], 20);
        assert!(ended && output.stderr == b"no address answers\n", "{output:?}");
    });
    for program in programs {
        let _ = std::fs::remove_file(program);
    }
}
