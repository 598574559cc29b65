//! C programs: the example, and one that makes every call that can go wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use connie_lab::in_namespace;
use connie_servers::skip;

use crate::support::{Folder, PAGE, PORT, World, has, library, passes, root, run, texts};

/// Makes the example as its Makefile does, elsewhere.
#[track_caller]
fn make(folder: &Folder) {
    let source = root().join("examples/c");
    for file in ["fetch.c", "Makefile"] {
        std::fs::copy(source.join(file), folder.0.join(file)).expect("a copy of the example");
    }
    let mut make = Command::new("make");
    make.arg("-C").arg(&folder.0).arg(format!("ROOT={}", root().display()));
    passes(&make.arg(format!("LIBRARY={}", library().display())).output().expect("make"));
}

/// Compiles a program of this folder.
#[track_caller]
pub fn compile(folder: &Folder, source: &str, compiler: &str, standard: &str) -> PathBuf {
    let program = folder.0.join(compiler);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c_api").join(source);
    let mut compile = Command::new(compiler);
    compile.args([standard, "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]);
    if compiler == "c++" {
        compile.args(["-x", "c++"]);
    }
    compile.arg("-I").arg(root().join("connie-c/include")).arg(source);
    compile.args(["-x", "none", "-L"]).arg(library()).args(["-lconnie", "-o"]).arg(&program);
    passes(&compile.output().expect("a compiler"));
    program
}

#[test]
fn the_example_fetches_a_page_though_the_first_address_is_dead() {
    let folder = Folder::new();
    make(&folder);
    in_namespace(move |lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let port = PORT.to_string();
        for program in ["fetch", "fetch-static"] {
            let program = folder.0.join(program);
            let page = passes(&run(&program, |it| it.args(["many.test", &port, "/"])));
            assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with(PAGE), "{page}");
            let addresses = ["name.test", &port, "/", "10.9.0.1", "10.9.0.3", "10.9.0.2"];
            let page = passes(&run(&program, |it| it.args(addresses)));
            assert!(page.ends_with(PAGE), "{page}");
            let refused = run(&program, |it| it.args(["refused.test", &port, "/"]));
            assert_eq!(refused.status.code(), Some(1));
            let expected = "fetch: connection refused: could not connect to refused.test port 8080: \
                            10.9.0.3:8080: connection refused\n";
            assert_eq!(texts(&refused).1, expected);
            let usage = run(&program, |it| it.args(["live.test", "http", "/"]));
            assert_eq!(texts(&usage).1, "fetch: http is no port: give one from 1 to 65535\n");
        }
    });
}

#[test]
fn every_call_that_can_go_wrong_says_so_and_leaves_nothing_open() {
    let folder = Folder::new();
    let compile = |compiler, standard| compile(&folder, "calls.c", compiler, standard);
    let programs = [compile("cc", "-std=c99"), compile("c++", "-std=c++11")];
    in_namespace(move |lab| {
        let _folder = folder;
        let Some(_world) = World::set_up(lab) else { return };
        for program in programs {
            assert_eq!(passes(&run(program, |it| it.arg(PORT.to_string()))), "passed\n");
        }
    });
}

/// Of four addresses two are dead. A process of its own goes on where the one before has ended.
#[test]
fn with_a_memory_one_syn_is_enough_from_the_second_visit_on() {
    let folder = Folder::new();
    let program = compile(&folder, "visits.c", "cc", "-std=c99");
    in_namespace(move |lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let (file, port) = (folder.0.join("memory"), PORT.to_string());
        let syns = |arguments: &[&str]| {
            lab.clear_log();
            passes(&run(&program, |it| it.arg(&file).args(["four.test", &port]).args(arguments)));
            lab.wait_until_closed(&[]).attempts().len()
        };
        assert_eq!(syns(&["1"]), 4);
        // One visit in 32 explores another beside it.
        assert!((3..=3 + 1).contains(&syns(&["3"])));
        // The winner is said to stall: the next visit goes to the other that is alive.
        lab.clear_log();
        passes(&run(&program, |it| it.arg(&file).args(["four.test", &port, "1", "2"])));
        let stalled = lab.log().attempts()[0].remote.ip();
        lab.clear_log();
        passes(&run(&program, |it| it.arg(&file).args(["four.test", &port, "1"])));
        assert_ne!(lab.log().attempts()[0].remote.ip(), stalled);
    });
}

#[test]
fn valgrind_finds_no_fault_in_them() {
    if !has("valgrind") {
        return skip("valgrind", "apt-get install valgrind");
    }
    let folder = Folder::new();
    let program = compile(&folder, "calls.c", "cc", "-std=c99");
    let known = folder.0.join("known");
    std::fs::write(&known, KNOWN_LEAK).expect("a file in the folder");
    in_namespace(move |lab| {
        let _folder = folder;
        let Some(_world) = World::set_up(lab) else { return };
        let output = run("valgrind", |it| {
            it.args([
                "--quiet",
                "--error-exitcode=9",
                "--leak-check=full",
                "--show-leak-kinds=definite,indirect",
            ]);
            it.arg("--errors-for-leak-kinds=definite,indirect");
            it.arg(format!("--suppressions={}", known.display())).arg(program).args([&PORT.to_string(), "1"])
        });
        assert_eq!(passes(&output), "passed\n");
    });
}

/// What the library takes from malloc and gives back is watched, with all that the program itself does.
#[test]
fn the_sanitizers_find_no_fault_in_them() {
    let folder = Folder::new();
    let program = folder.0.join("sanitized");
    let mut compile = Command::new("cc");
    compile.args([
        "-std=c99",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-pthread",
        "-I",
    ]);
    compile.arg(root().join("connie-c/include"));
    compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c_api/calls.c"));
    compile.arg(library().join("libconnie.a")).args(SYSTEM).arg("-o").arg(&program);
    passes(&compile.output().expect("a compiler"));
    in_namespace(move |lab| {
        let _folder = folder;
        let Some(_world) = World::set_up(lab) else { return };
        let output = run(&program, |it| it.args([&PORT.to_string(), "2"]));
        assert_eq!(passes(&output), "passed\n");
    });
}

/// As in the Makefile of the example.
const SYSTEM: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// What glibc keeps of resolv.conf, by a pointer that valgrind does not take for one.
const KNOWN_LEAK: &str = "{
   resolv.conf
   Memcheck:Leak
   match-leak-kinds: definite
   ...
   fun:__resolv_conf_allocate
   fun:__resolv_conf_load
   ...
   fun:getaddrinfo
   ...
}
";
