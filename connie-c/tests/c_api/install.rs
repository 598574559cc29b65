//! The library as `make install` leaves it, and a program that is built by what pkg-config says of it.

use std::path::Path;
use std::process::Command;

use connie_lab::in_namespace;
use connie_servers::skip;

use crate::support::{Folder, PAGE, PORT, World, has, library, passes, root, run};

#[track_caller]
fn make(target: &str, folder: &Folder) {
    let mut make = Command::new("make");
    make.arg("-C").arg(root().join("connie-c")).arg(target);
    make.arg(format!("TARGET={}", library().display())).arg(format!("BUILD={}/build", folder.0.display()));
    make.arg(format!("PREFIX={}/usr", folder.0.display()));
    passes(&make.output().expect("make"));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_program_is_built_by_pkg_config_and_finds_the_library_by_its_name() {
    if !has("pkg-config") {
        return skip("pkg-config", "apt-get install pkgconf");
    }
    let folder = Folder::new();
    make("install", &folder);
    let libraries = folder.0.join("usr/lib");
    let version = env!("CARGO_PKG_VERSION");
    let (breaking, _) = version.rsplit_once('.').expect("three numbers");
    let (file, name) = (format!("libconnie.so.{version}"), format!("libconnie.so.{breaking}"));
    assert_eq!(names(&libraries), ["libconnie.a", "libconnie.so", &name, &file, "pkgconfig"]);

    let mut flags = Command::new("pkg-config");
    flags.env("PKG_CONFIG_PATH", libraries.join("pkgconfig")).args(["--cflags", "--libs", "connie"]);
    let flags = passes(&flags.output().expect("pkg-config"));
    let program = folder.0.join("fetch");
    let mut compile = Command::new("cc");
    compile.arg(root().join("examples/c/fetch.c")).args(flags.split_whitespace()).arg("-o").arg(&program);
    passes(&compile.output().expect("a compiler"));
    let needed = passes(&run("readelf", |it| it.args(["-d", "--wide"]).arg(&program)));
    assert!(needed.contains(&format!("NEEDED)             Shared library: [{name}]")), "{needed}");
    // Each symbol with the version that it came with: a program that wants a later one is told so by the
    // dynamic linker.
    let symbols = passes(&run("nm", |it| it.args(["-D", "--defined-only"]).arg(libraries.join(&file))));
    let (exported, others): (Vec<_>, Vec<_>) = symbols.lines().partition(|line| line.contains(" T connie_"));
    assert!(exported.len() > 4 && exported.iter().all(|line| line.ends_with("@@CONNIE_0.1")), "{symbols}");
    assert_eq!(others.len(), 1, "the version itself: {symbols}");
    let dynamic = passes(&run("readelf", |it| it.args(["-d", "--wide"]).arg(libraries.join(&file))));
    assert!(dynamic.contains("NODELETE"), "{dynamic}");

    in_namespace(move |lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let arguments = ["many.test", &PORT.to_string(), "/"];
        let page = run(&program, |it| it.env("LD_LIBRARY_PATH", &libraries).args(arguments));
        assert!(passes(&page).ends_with(PAGE));
        make("uninstall", &folder);
        assert_eq!(names(&libraries.join("pkgconfig")).len() + names(&folder.0.join("usr/include")).len(), 0);
        assert_eq!(names(&libraries), ["pkgconfig"]);
    });
}
