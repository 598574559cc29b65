//! The firmware of `examples/firmware-qemu` in QEMU, on a TAP device, against real servers.
//!
//! An emulated processor on a busy machine is slow, so that order and outcomes are asserted; of time only
//! that what must not take a second does not, and never that something is early.

#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connie_tests::clock::pause;
use connie_tests::firmware::{Firmware, HOST_V4, HOST_V6, Run, STATIC, device, link};
use connie_tests::lab::{Behaviour, Closing, Lab, Unreachable, in_namespace, ms, v4, v6};
use connie_tests::servers::{Dnsmasq, Nginx};

const PAGE: &[u8] = b"the page\n";
/// nginx listens here; the remote addresses lead to it from any port.
const PORT: u16 = 8081;
/// A neighbour that nobody answers for costs smoltcp alone a second or more.
const NO_SECOND_LOST: Duration = ms(900);

/// Runs the firmware with addresses of its own on a race to these.
fn race(firmware: &Firmware, addresses: &[IpAddr], url: &str) -> Run {
    firmware.run(&format!("{STATIC} --addresses {} {url}", list(addresses)))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}

#[track_caller]
fn fetched(run: &Run, winner: IpAddr) {
    assert_eq!((run.code, run.winner()), (Some(0), Some(winner)), "{run}");
    assert_eq!(String::from_utf8_lossy(&run.page), String::from_utf8_lossy(PAGE), "{run}");
    assert!(run.report.contains("\n200 OK\n"), "{run}");
}

#[track_caller]
fn failed(run: &Run, code: i32, line: &str) {
    assert_eq!(run.code, Some(code), "{run}");
    assert!(run.report.lines().any(|said| said.contains(line)), "{line:?} is not said: {run}");
    assert_eq!(run.page, b"", "{run}");
}

#[track_caller]
fn ended(run: &Run, address: IpAddr, outcome: &str) {
    assert_eq!(run.outcomes(address), [outcome], "{address}: {run}");
}

/// Gives addresses by DHCP, advertises itself as an IPv6 router, and knows these names.
#[track_caller]
fn dnsmasq(names: &[(&str, IpAddr)]) -> Option<Dnsmasq> {
    dnsmasq_that_names(&[], names)
}

/// One that names these name servers, and not only itself.
#[track_caller]
fn dnsmasq_that_names(servers: &[IpAddr], names: &[(&str, IpAddr)]) -> Option<Dnsmasq> {
    let mut options = vec![
        format!("--interface={}", device()),
        "--dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,1h".to_owned(),
        format!("--dhcp-range=::,constructor:{},ra-only,64,1h", device()),
        "--enable-ra".to_owned(),
        // It would ask first whether somebody has the address, for three seconds.
        "--no-ping".to_owned(),
        "--leasefile-ro".to_owned(),
    ];
    if !servers.is_empty() {
        options.push(format!("--dhcp-option=6,{}", list(servers)));
    }
    options.extend(names.iter().map(|(name, address)| format!("--host-record={name},{address}")));
    Dnsmasq::start(53, &options)
}

/// What the wire saw: whatever was connected was closed, the winner in good order. An attempt that had no
/// answer yet leaves no word behind, and after the firmware's end nobody is there to give one.
#[track_caller]
fn the_wire_saw_all_closed(lab: &Lab, run: &Run) {
    let log = lab.log();
    for attempt in log.attempts().iter().filter(|attempt| attempt.established.is_some()) {
        let wanted = if run.winner() == Some(attempt.remote.ip()) { Closing::Fin } else { Closing::Reset };
        assert_eq!(attempt.closing(), Some(wanted), "{log}\n{run}");
    }
}

#[test]
fn the_address_that_answers_first_wins_among_dead_refusing_and_slow_ones() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v6(1), Behaviour::black_hole());
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        lab.set(v6(2), Behaviour::accept(ms(3_000)).to_port(PORT));
        lab.set(v4(2), Behaviour::accept(ms(1)).to_port(PORT));
        let run = race(&firmware, &[v6(1), v4(1), v6(2), v4(2)], "http://name.test/page");
        fetched(&run, v4(2));
        ended(&run, v6(1), "canceled");
        ended(&run, v6(2), "canceled");
        assert_eq!(run.rows().len(), 4, "{run}");
        the_wire_saw_all_closed(lab, &run);
    });
}

#[test]
fn ipv6_wins_where_ipv4_is_dead() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v6(1), Behaviour::accept(ms(20)).to_port(PORT));
        let run = race(&firmware, &[v4(1), v6(1)], "http://name.test/page");
        fetched(&run, v6(1));
        ended(&run, v4(1), "canceled");
        the_wire_saw_all_closed(lab, &run);
    });
}

/// Eleven dead of twelve over four sockets: the dead are evicted, and the one alive is reached.
#[test]
fn eleven_of_twelve_may_be_dead() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v4(6), Behaviour::accept(ms(20)).to_port(PORT));
        let addresses: Vec<_> = (1..=6).flat_map(|n| [v6(n), v4(n)]).collect();
        let run = race(&firmware, &addresses, "http://name.test/page");
        fetched(&run, v4(6));
        let evicted = run.rows().iter().filter(|row| row.outcome == "evicted").count();
        assert!(evicted >= 8, "{run}");
        assert!(run.report.contains("4 in flight at most"), "{run}");
        the_wire_saw_all_closed(lab, &run);
    });
}

#[test]
fn each_failure_is_told_for_what_it_was() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        lab.set(v4(1), Behaviour::refuse(ms(5)));
        lab.set(v6(1), Behaviour::refuse(ms(5)));
        lab.set(v4(2), Behaviour::unreachable(Unreachable::Host, ms(5)));
        lab.set(v6(2), Behaviour::unreachable(Unreachable::Host, ms(5)));
        let run = race(&firmware, &[v6(1), v4(1), v6(2), v4(2)], "http://name.test/");
        failed(&run, 7, "race: name.test: every address failed: ");
        for (address, outcome) in
            [(v6(1), "refused"), (v4(1), "refused"), (v6(2), "unreachable"), (v4(2), "unreachable")]
        {
            ended(&run, address, outcome);
        }

        let run = firmware.run(&format!("{STATIC} --max-time 2 --addresses {} http://name.test/", v4(3)));
        failed(&run, 28, "race: name.test: timed out: ");
        the_wire_saw_all_closed(lab, &run);
    });
}

/// Neighbours on the link that nobody answers for, and one that is alive.
#[test]
fn dead_neighbours_do_not_hold_the_live_one_back() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let dead = [
            Ipv4Addr::new(10, 77, 0, 201).into(),
            Ipv6Addr::new(0xfd00, 77, 0, 0, 0, 0, 0, 0x201).into(),
            Ipv4Addr::new(10, 77, 0, 202).into(),
        ];
        for alive in [IpAddr::from(HOST_V4), HOST_V6.into()] {
            let mut addresses = dead.to_vec();
            addresses.push(alive);
            let run = race(&firmware, &addresses, &format!("http://name.test:{PORT}/page"));
            fetched(&run, alive);
            let won = run.rows().iter().find(|row| row.address == alive).map(|row| row.ended);
            assert!(won.is_some_and(|time| time < NO_SECOND_LOST), "{run}");
        }
    });
}

#[test]
fn address_router_and_names_come_from_the_network() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let names = [("both.test", v6(1)), ("both.test", v4(1)), ("both.test", v4(2)), ("four.test", v4(2))];
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        lab.set(v4(2), Behaviour::accept(ms(10)).to_port(PORT));

        // IPv4 alone: an IPv6 address is of no use, and is not waited for.
        let run = firmware.run("http://both.test/page");
        fetched(&run, v4(2));
        ended(&run, v6(1), "unreachable");

        let run = firmware.run("--ip dhcp,slaac http://both.test/page");
        fetched(&run, v4(2));
        ended(&run, v6(1), "canceled");
        let run = firmware.run("--ip dhcp,slaac http://four.test/page");
        fetched(&run, v4(2));
        // The same over IPv6, to a name server that the command line names.
        lab.set(v6(1), Behaviour::accept(ms(1)).to_port(PORT));
        lab.clear_log();
        let run = firmware.run(&format!("--ip slaac --dns {HOST_V6} http://both.test/page"));
        fetched(&run, v6(1));
        ended(&run, v4(1), "unreachable");
        the_wire_saw_all_closed(lab, &run);

        failed(&firmware.run("http://nobody.test/"), 6, "race: nobody.test: no address to connect to: ");
    });
}

/// From the name to the connection with the first of two name servers dead, on the link or behind the router,
/// and with it alive: the next one is asked after 250 ms. It takes no more than 300 ms longer; of some runs
/// the fastest counts, since a busy machine makes some slow.
#[test]
fn a_dead_name_server_costs_less_than_300_ms() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v4(2), Behaviour::accept(ms(5)).to_port(PORT));
        lab.set(v6(2), Behaviour::accept(ms(5)).to_port(PORT));
        let names = [("both.test", v6(2)), ("both.test", v4(2))];
        let alive = IpAddr::from(HOST_V4);
        let fastest = |servers: &[IpAddr]| {
            let _dnsmasq = dnsmasq_that_names(servers, &names)?;
            let times = (0..5).map(|_| {
                let run = firmware.run("--ip dhcp,slaac http://both.test/page");
                let winner = run.winner().expect("a winner");
                fetched(&run, winner);
                run.rows().iter().find(|row| row.address == winner).expect("its row").ended
            });
            times.min()
        };
        let Some(usual) = fastest(&[alive]) else { return };
        for dead in [Ipv4Addr::new(10, 77, 0, 250).into(), v4(9)] {
            let time = fastest(&[dead, alive]).expect("dnsmasq again");
            println!("{dead} dead: {time:?}, and {usual:?} without it");
            assert!(time > ms(250) && time < usual + ms(300), "{dead}: {time:?}, and {usual:?} without it");
        }
    });
}

#[test]
fn a_network_without_servers_is_told() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        failed(
            &firmware.run("--max-time 2 http://name.test/"),
            45,
            "no DHCP server answered; start one, or give --ip",
        );
        failed(
            &firmware.run("--ip slaac --max-time 2 http://[fd00:9::1]/"),
            45,
            "no router advertised itself",
        );
        let nobody = "--ip 10.77.0.2/24 --dns 10.77.0.53 --max-time 2 http://name.test/";
        failed(&firmware.run(nobody), 28, "race: name.test: timed out: ");
        let alone = format!("--ip 10.77.0.2/24 --addresses {},{} http://name.test/", v4(1), v6(1));
        let run = firmware.run(&alone);
        failed(&run, 7, "every address failed");
        ended(&run, v4(1), "unreachable");
        ended(&run, v6(1), "unreachable");
    });
}

#[test]
fn a_bad_command_line_gets_one_line_and_exit_code_2() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        for (arguments, line) in [
            ("", "race: no URL; usage: "),
            (
                "https://name.test/",
                "race: https://name.test/: not a URL that can be fetched; give http://HOST",
            ),
            ("--nonsense http://name.test/", "race: --nonsense: no such option; usage: "),
            ("http://name.test/ --ip", "race: --ip: wants a value; usage: "),
            (
                "--ip 10.77.0.2 http://name.test/",
                "race: --ip 10.77.0.2: give dhcp, slaac, or an address and its prefix",
            ),
            ("--ip 10.77.0.2/24 http://name.test/", "race: name.test: a name, and nobody to ask"),
        ] {
            let run = firmware.run(arguments);
            failed(&run, 2, line);
            let lines: Vec<_> = run.report.lines().filter(|line| !line.starts_with("stack: ")).collect();
            assert_eq!(lines.len(), 1, "{run}");
        }
        let long = format!("{STATIC} --addresses {} http://name.test/{}", v4(1), "x".repeat(2000));
        failed(&firmware.run(&long), 2, "race: the command line is too long");
    });
}

/// More than the controller's queue and the socket's window hold, many times over, both ways of framing it.
#[test]
fn a_long_page_passes_unharmed() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let page: Vec<u8> =
            (0..40_000_u32).map(|n| b" 0123456789abcdefghijklmnopqrstuvwxyz\n"[n as usize % 38]).collect();
        let Some(_nginx) = Nginx::start(PORT, &[("page", &page)]) else { return };
        let run = race(&firmware, &[HOST_V4.into()], &format!("http://name.test:{PORT}/page"));
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.page == page, "the page was changed on the way: {run}");
        let run = race(&firmware, &[HOST_V6.into()], &format!("http://name.test:{PORT}/nothing"));
        assert!(run.report.contains("\n404 Not Found\n"), "{run}");
        assert!(String::from_utf8_lossy(&run.page).contains("404"), "{run}");
        drop(lab.log());
    });
}

/// Frames that are not for us come faster than they can be read. The queue overflows, and TCP makes good what
/// was lost.
#[test]
fn a_flood_does_not_stop_the_driver() {
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let socket = UdpSocket::bind((HOST_V4, 0)).expect("a socket");
        socket.set_broadcast(true).expect("an option");
        let done = AtomicBool::new(false);
        let run = std::thread::scope(|scope| {
            scope.spawn(|| {
                // Bounded: 20 a millisecond, for as long as the run takes, and for 20 s at most.
                let everybody = SocketAddr::from((Ipv4Addr::new(10, 77, 0, 255), 9));
                for _ in 0..20_000 {
                    for _ in 0..20 {
                        // The queue of the device may be full.
                        let _ = socket.send_to(&[0; 1000], everybody);
                    }
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    pause(ms(1));
                }
            });
            let run = race(&firmware, &[v4(1), HOST_V4.into()], &format!("http://name.test:{PORT}/page"));
            done.store(true, Ordering::Relaxed);
            run
        });
        fetched(&run, HOST_V4.into());
    });
}

/// What does not race does the same where the first address is alive, and nothing where it is dead.
#[track_caller]
fn the_first_address_decides(program: &'static str) {
    let (Some(firmware), Some(raced)) = (Firmware::build(program), Firmware::build("race")) else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let names = [("name.test", v4(2)), ("name.test", v6(2))];
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        for address in [v4(2), v6(2)] {
            lab.set(address, Behaviour::accept(ms(5)).to_port(PORT));
            let run = race(&firmware, &[address], "http://name.test/page");
            assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");
            let said = format!("connected to {}\n", SocketAddr::new(address, 80));
            assert!(run.report.starts_with(&said), "{run}");
        }
        let run = firmware.run("http://name.test/page");
        assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");

        lab.set(v4(1), Behaviour::refuse(ms(5)));
        let run = race(&firmware, &[v4(1), v4(2)], "http://name.test/page");
        failed(&run, 7, &format!("{program}: name.test: could not connect"));
        let line =
            format!("{STATIC} --max-time 2 --addresses {} http://name.test/page", list(&[v4(3), v4(2)]));
        failed(&firmware.run(&line), 28, &format!("{program}: name.test: the time allowed was used up"));
        fetched(&raced.run(&line), v4(2));
    });
}

#[test]
fn without_connie_the_first_address_decides() {
    the_first_address_decides("first");
}

#[test]
fn without_the_race_the_first_address_decides() {
    the_first_address_decides("single");
}

/// What `docs/footprint.md` has as the least: the race to addresses that are built in, and smoltcp with
/// nothing on top.
#[test]
fn the_least_programs_fetch_something() {
    let (Some(fixed), Some(floor)) = (Firmware::build("fixed"), Firmware::build("floor")) else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(80, &[("page", PAGE)]) else { return };
        let run = fixed.run("");
        assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");
        let run = floor.run("");
        assert!(run.code == Some(0) && run.page.starts_with(b"HTTP/1.1 "), "{run}");
    });
}

/// The firmware brings its own.
#[test]
fn memcpy_memmove_and_memset_do_as_a_loop_does() {
    let Some(firmware) = Firmware::build("memory") else { return };
    in_namespace(move |lab| {
        link(lab);
        let run = firmware.run("");
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.report.contains("memory: 12160 calls"), "{run}");
    });
}

/// `CONNIE_FIRMWARE_RUNS` says how often; each must succeed.
#[test]
fn run_after_run_succeeds() {
    let runs = std::env::var("CONNIE_FIRMWARE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3);
    let Some(firmware) = Firmware::build("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v4(1), Behaviour::refuse(ms(5)));
        lab.set(v4(2), Behaviour::accept(ms(30)).to_port(PORT));
        // Later than a busy machine stops an emulated one for.
        lab.set(v6(2), Behaviour::accept(ms(3_000)).to_port(PORT));
        for count in 1..=runs {
            let run = race(&firmware, &[v6(1), v4(1), v6(2), v4(2)], "http://name.test/page");
            fetched(&run, v4(2));
            ended(&run, v4(1), "refused");
            assert!(run.stack().is_some_and(|stack| stack < 16_384), "run {count}: {run}");
            the_wire_saw_all_closed(lab, &run);
            lab.clear_log();
        }
    });
}

/// 32 KiB of RAM, and no instruction that divides, swaps, or reads a word that is not aligned: with all its
/// parts it gets addresses of both families, asks for a name's, and races over four sockets to the one that
/// is alive.
#[test]
fn a_cortex_m0_with_32_kib_of_ram_connects() {
    let Some(firmware) = Firmware::build_for_m0("race") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let names = [("many.test", v6(1)), ("many.test", v6(2)), ("many.test", v4(1)), ("many.test", v4(2))];
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        lab.set(v4(2), Behaviour::accept(ms(10)).to_port(PORT));
        let run = firmware.run("--ip dhcp,slaac http://many.test/page");
        fetched(&run, v4(2));
        the_wire_saw_all_closed(lab, &run);
        lab.clear_log();
        let addresses: Vec<_> = [6, 5, 4, 3, 1, 2].into_iter().flat_map(|n| [v6(n), v4(n)]).collect();
        let run = race(&firmware, &addresses, "http://name.test/page");
        fetched(&run, v4(2));
        the_wire_saw_all_closed(lab, &run);
        // Beside 15.3 KB that are static.
        assert!(run.stack().is_some_and(|stack| stack < 12_288), "{run}");
    });
}

/// The lines of `examples/README.md`, but for the build.
#[test]
fn network_sh_brings_all_that_the_firmware_needs() {
    let Some(firmware) = Firmware::build("race") else { return };
    if !firmware.has_servers() {
        return;
    }
    let run = firmware.run_by_scripts("--ip dhcp,slaac http://many.test/");
    let winners: [IpAddr; 2] = [HOST_V4.into(), HOST_V6.into()];
    assert!(run.winner().is_some_and(|winner| winners.contains(&winner)), "{run}");
    assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");
    failed(
        &firmware.run_by_scripts("--ip nothing http://many.test/"),
        2,
        "race: --ip nothing: give dhcp, slaac",
    );
}

/// A machine that has never built it downloads what it needs, and there is no crate registry inside: a
/// `cargo` that notes in which network it was called stands in for the real one.
#[test]
fn network_sh_builds_outside_and_runs_inside() {
    let Some(firmware) = Firmware::build("race") else { return };
    if !firmware.has_servers() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("connie-{}-cargo", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let note = directory.join("note");
    let script = "#!/bin/sh\n\
        { readlink /proc/self/ns/net; for word; do printf '%s|' \"$word\"; done; echo; } >>\"$NOTE\"\n";
    std::fs::write(directory.join("cargo"), script).expect("a script");
    std::fs::set_permissions(directory.join("cargo"), std::fs::Permissions::from_mode(0o755))
        .expect("its owner sets its mode");
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("./network.sh");
    command
        .args([
            "cargo",
            "run",
            "--release",
            "--features",
            "a b",
            "--",
            "--ip",
            "dhcp",
            "--",
            "http://many.test/",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/firmware-qemu"))
        .envs([("PATH", path.as_str()), ("NOTE", &note.display().to_string())]);
    let output = connie_tests::limits::output(&mut command).expect("a shell");
    let notes = std::fs::read_to_string(&note).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&directory);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outside = std::fs::read_link("/proc/self/ns/net").expect("this process has a network");
    let [build_in, build, run_in, run] = notes.lines().collect::<Vec<_>>()[..] else { panic!("{notes}") };
    assert_eq!((Path::new(build_in), build), (&*outside, "build|--release|--features|a b|"), "{notes}");
    assert_ne!(Path::new(run_in), outside, "{notes}");
    assert_eq!(run, "run|--release|--features|a b|--|--ip|dhcp|--|http://many.test/|", "{notes}");
}
