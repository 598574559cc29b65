//! Compiles and runs the programs of docs/c.md and docs/python.md, as printed there, against a host of which
//! one address is dead.

use std::fs;

use connie_lab::in_namespace;
use connie_servers::skip;

use crate::support::{Folder, World, has, library, passes, root, run, texts};

/// The blocks of a page in one language, with names of the laboratory in place of `localhost` and of the
/// silent address. Its servers have the same port as in the pages.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join(page)).expect("a page");
    let inner = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    inner
        .filter(|(kind, _)| *kind == language)
        .map(|(_, code)| code.replace("localhost", "many.test").replace("192.0.2.1", "10.9.0.1"))
        .collect()
}

#[test]
fn the_c_programs_of_the_page_connect_cancel_and_remember() {
    let folder = Folder::new();
    let programs: Vec<_> = blocks("docs/c.md", "c")
        .iter()
        .enumerate()
        .map(|(index, code)| {
            let source = folder.0.join(format!("{index}.c"));
            fs::write(&source, code).expect("a file in the folder");
            let program = super::c::compile(&folder, source.to_str().expect("a path"), "cc", "-std=c99");
            let own = folder.0.join(index.to_string());
            fs::rename(program, &own).expect("a name of its own");
            own
        })
        .collect();
    let [connects, cancels, remembers] = &programs[..] else { panic!("{} programs", programs.len()) };
    let (connects, cancels, remembers) = (connects.clone(), cancels.clone(), remembers.clone());
    in_namespace(move |lab| {
        let Some(_world) = World::set_up(lab) else { return };
        assert_eq!(passes(&run(&connects, |it| it)), "connected\n");
        // A signal after 300 ms, where the address would be silent for a minute.
        let canceled = run("timeout", |it| it.args(["--preserve-status", "-s", "INT", "0.3"]).arg(&cancels));
        assert_eq!(passes(&canceled), "canceled\n");
        lab.clear_log();
        let remembered = run(&remembers, |it| it.current_dir(&folder.0));
        assert_eq!(passes(&remembered), "connected\n".repeat(3), "{}", texts(&remembered).1);
        assert!(folder.0.join("visits.memory").is_file(), "the memory is saved");
    });
}

#[test]
fn the_python_programs_of_the_pages_run() {
    if !has("python3") {
        return skip("python3", "apt-get install python3");
    }
    library();
    let folder = Folder::new();
    in_namespace(move |lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let python = |code: &str| {
            passes(&run("python3", |it| {
                it.args(["-B", "-W", "error", "-c", code]).current_dir(&folder.0);
                it.env("PYTHONPATH", root().join("connie-python"));
                it.env("CONNIE_LIBRARY", library().join("libconnie.so"))
            }))
        };
        let [client, opener, memory] = &blocks("docs/python.md", "python")[..] else {
            panic!("three programs")
        };
        assert_eq!(python(client), "b'the page\\n'\n");
        assert_eq!(python(opener), "b'the page\\n'\n");
        python(memory);
        assert!(folder.0.join("visits.memory").is_file(), "the memory is saved");
        let [front] = &blocks("connie-python/README.md", "python")[..] else { panic!("one program") };
        python(&front.replace("example.org\", 443", "many.test\", 8080"));
    });
}
