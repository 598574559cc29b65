//! Python programs: the module's tests, and the seed's bench.

use std::process::{Command, Output};

use connie_lab::in_namespace;
use connie_servers::skip;

use crate::support::{PORT, TLS_PORT, World, has, library, passes, root, run, texts};

/// Whether there is Python; the library is built.
fn ready() -> bool {
    let there = has("python3");
    if there {
        library();
    } else {
        skip("python3", "apt-get install python3");
    }
    there
}

#[track_caller]
fn python(script: &str, arrange: impl FnOnce(&mut Command) -> &mut Command) -> Output {
    run("python3", |it| {
        it.args(["-B", "-W", "error"]).arg(root().join(script));
        it.env("PYTHONPATH", root().join("connie-python"));
        arrange(it.env("CONNIE_LIBRARY", library().join("libconnie.so")))
    })
}

#[test]
fn the_module_is_http_client_in_all_but_how_it_connects() {
    if !ready() {
        return;
    }
    in_namespace(|lab| {
        let Some(world) = World::set_up(lab) else { return };
        let output = python("connie-c/tests/c_api/test_connie.py", |it| {
            it.env("PORT", PORT.to_string()).env("TLS_PORT", TLS_PORT.to_string());
            it.env("HEADER", root().join("connie-c/include/connie.h"));
            it.env("AUTHORITY", world.authority.path())
        });
        passes(&output);
        let report = texts(&output).1;
        assert!(report.contains("\nOK\n"), "{report}");
    });
}

/// Of four addresses two are dead.
#[test]
fn with_a_memory_one_syn_is_enough_from_the_second_visit_on() {
    if !ready() {
        return;
    }
    in_namespace(|lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let visits = "import connie, os; address = (\"four.test\", int(os.environ[\"PORT\"])); \
                      memory = connie.Memory(); \
                      [connie.create_connection(address, 20, memory=memory).close() for _ in range(5)]";
        passes(&run("python3", |it| {
            it.args(["-B", "-W", "error", "-c", visits]).env("PYTHONPATH", root().join("connie-python"));
            it.env("PORT", PORT.to_string()).env("CONNIE_LIBRARY", library().join("libconnie.so"))
        }));
        // One visit in 32 explores another beside it.
        let syns = lab.wait_until_closed(&[]).attempts().len();
        assert!((4 + 4..=4 + 4 + 1).contains(&syns), "{syns}");
    });
}

/// The mean and the count of failures of a contender.
fn row(table: &str, name: &str) -> (f64, u32) {
    let line = table.lines().find(|line| line.starts_with(&format!("{name} ")));
    let columns: Vec<_> = line.unwrap_or_else(|| panic!("{table}")).split_whitespace().collect();
    let [_, _, failed, mean, ..] = columns[..] else { panic!("{table}") };
    (mean.parse().expect("a mean"), failed.parse().expect("a count"))
}

#[test]
fn the_bench_shows_what_a_dead_address_costs() {
    if !ready() {
        return;
    }
    in_namespace(|lab| {
        let Some(_world) = World::set_up(lab) else { return };
        let url = format!("http://many.test:{PORT}/");
        let known = format!("http://name.test:{PORT}/");
        let addresses = ["--addresses", "10.9.0.1,10.9.0.2", &known];
        for target in [&[&url[..]][..], &addresses] {
            let bench = python("examples/python/bench.py", |it| {
                it.args(["--rounds", "2", "--timeout", "2"]).args(target)
            });
            let table = passes(&bench);
            let (plain, raced) = (row(&table, "http.client"), row(&table, "connie"));
            assert_eq!((plain.1, raced.1), (0, 0), "{table}");
            // The dead address keeps http.client for all the time that it may take.
            assert!(plain.0 >= 2_000.0, "{table}");
            assert!(raced.0 < 2_000.0, "{table}");
        }
    });
}
