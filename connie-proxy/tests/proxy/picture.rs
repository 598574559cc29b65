//! Draws the picture of docs/proxy.md: the status of a proxy in the laboratory, in Chromium, after some
//! visits.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use connie_lab::{Behaviour, Lab, Unreachable, in_namespace_within, ms, v4, v6};
use connie_servers::limits::LIMIT;
use connie_servers::{Live, find, skip, temporary_path};
use connie_std::Override;

use crate::status::{page, shown};
use crate::support::{Running, config, socks5_name};

const PORT: u16 = 443;
/// A host that is visited last, and once.
const NEW: &str = "new.example.org";

/// A host, its addresses, and what each of them does.
fn hosts() -> Vec<(&'static str, Vec<(IpAddr, Behaviour)>)> {
    let accept = |time| Behaviour::accept(ms(time));
    let refuse = |time| Behaviour::refuse(ms(time));
    let no_way = |time| Behaviour::unreachable(Unreachable::Network, ms(time));
    // Each in a /24 of its own, since the memory learns of prefixes, too.
    let apart = |n: u16| v4(n * 256);
    vec![
        ("www.example.org", vec![(v6(1), no_way(22)), (apart(1), accept(38)), (apart(2), accept(64))]),
        (
            "registry.example.net",
            vec![
                (v6(11), refuse(18)),
                (v6(12), no_way(20)),
                (apart(3), accept(24)),
                (apart(4), refuse(12)),
                (apart(5), accept(150)),
                (apart(6), Behaviour::black_hole()),
            ],
        ),
        ("api.example.com", vec![(v6(21), no_way(18)), (apart(7), accept(31)), (apart(8), accept(33))]),
        (
            "far.example.com",
            vec![(apart(9), refuse(120)), (apart(10), accept(180)), (apart(11), accept(240))],
        ),
        ("old.example.net", vec![(apart(12), refuse(9))]),
        (
            NEW,
            vec![
                (v6(41), refuse(14)),
                (apart(13), Behaviour::black_hole()),
                (apart(14), accept(52)),
                (apart(15), refuse(30)),
                (apart(16), accept(70)),
            ],
        ),
    ]
}

/// `CONNIE_PICTURE=docs/proxy.png` says where the picture goes; without it nothing is written.
#[test]
#[ignore = "takes Chromium, which CI has not: -- --ignored chromium"]
fn chromium_shows_races_of_the_laboratory() {
    let Some(chromium) = find("chromium") else { return skip("chromium", "apt-get install chromium") };
    // A browser is slow on a busy machine.
    in_namespace_within(LIMIT, move |lab| {
        let running = visited(lab);
        let address = shown(running.view.clone());
        let text = page(address, "/status.json");
        assert!(text.contains("\"happy_eyeballs\":{\"races\":"), "{text}");
        assert!(!text.contains("\"happy_eyeballs\":{\"races\":0"), "{text}");
        let pictures = [("light", "1000,740"), ("dark", "1000,740"), ("phone", "390,844")];
        for (name, size) in pictures {
            let file = temporary_path(&format!("{name}.png"));
            let profile = temporary_path("chromium");
            let done = Command::new(&chromium)
                .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
                .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
                .args(["--hide-scrollbars", "--virtual-time-budget=1500", "--timeout=30000"])
                .args((name == "dark").then_some("--blink-settings=preferredColorScheme=0"))
                .args([format!("--user-data-dir={}", profile.display()), format!("--window-size={size}")])
                .arg(format!("--screenshot={}", file.display()))
                .arg(format!("http://{address}/"))
                // A child process that outlives Chromium would hold a pipe open.
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            let _ = std::fs::remove_dir_all(profile);
            assert!(file.exists(), "{name}: {done}");
            if let (Some(wanted), "light") = (std::env::var_os("CONNIE_PICTURE"), name) {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
                std::fs::copy(&file, root.join(wanted)).unwrap();
            }
            if let Some(kept) = std::env::var_os("CONNIE_PICTURES") {
                std::fs::copy(&file, Path::new(&kept).join(format!("{name}.png"))).unwrap();
            }
            std::fs::remove_file(file).unwrap();
        }
    });
}

/// A proxy that has been used for some time.
fn visited(lab: &Lab) -> Running {
    let mut settings = config();
    let of = |(host, addresses): &(&str, Vec<(IpAddr, Behaviour)>)| Override {
        host: (*host).to_owned(),
        port: PORT,
        addresses: addresses.iter().map(|(address, _)| *address).collect(),
    };
    let hosts = hosts();
    for (address, behaviour) in hosts.iter().flat_map(|(_, addresses)| addresses) {
        lab.set(*address, *behaviour);
    }
    settings.options.overrides = hosts.iter().map(of).collect();
    settings.races = 64;
    let server = Live::http((Ipv6Addr::UNSPECIFIED, PORT), "x");
    let proxy = Running::start(settings);
    let visit = |host: &str| socks5_name(&mut proxy.client(), host, PORT);
    for round in 0..13 {
        for (place, (host, _)) in hosts.iter().enumerate() {
            // Not all are visited each time.
            let is_due = match *host {
                NEW => round == 12,
                "old.example.net" => round % 6 == 3,
                _ => (round + place) % 3 != 2 || round == 0,
            };
            if is_due {
                assert_eq!(visit(host), if *host == "old.example.net" { 5 } else { 0 }, "{host}");
            }
        }
        pause();
    }
    drop(server);
    proxy
}

#[expect(clippy::disallowed_methods, reason = "visits that are some time apart, as those of people are")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
