//! The firmware of `examples/firmware-https` in QEMU: embassy-net, an unmodified reqwless that fetches
//! `https://`, and TLS that is raced between the two, with two pairs of record buffers, against nginx and
//! `openssl s_server`.
//!
//! An emulated processor on a busy machine is slow: under ten times the load that the machine can carry, a
//! second passes between Certificate and Finished. So the best of several times counts, against that of the
//! same firmware with only the live address.

#![cfg(target_os = "linux")]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use connie_tests::firmware::{Firmware, HOST_V4, Run, STATIC, device, link};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4};
use connie_tests::servers::{Dnsmasq, Live, Nginx, OpensslServer};

const PAGE: &[u8] = b"the page\n";
/// Of those who live, of those with another's certificate, and of those who take TCP and say nothing.
const LIVE: u16 = 8443;
const WRONG: u16 = 8444;
const SILENT: u16 = 8445;
/// What the firmware gives an attempt.
const PATIENCE: Duration = Duration::from_secs(2);

fn certificate(file: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/firmware-https/certificates").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// nginx with the page, and this certificate, over TLS on `port`.
#[track_caller]
fn nginx(port: u16, name: &str) -> Option<Nginx> {
    let (pem, key) = (certificate(&format!("{name}.pem")), certificate(&format!("{name}.key")));
    let files: [(&str, &[u8]); 3] =
        [("page", PAGE), ("cert.pem", pem.as_bytes()), ("key.pem", key.as_bytes())];
    let directives = format!(
        "listen 0.0.0.0:{port} ssl; ssl_certificate {{files}}/cert.pem; ssl_certificate_key {{files}}/key.pem; \
         ssl_protocols TLSv1.3;"
    );
    Nginx::configured(port + 100, &files, &directives)
}

#[track_caller]
fn dnsmasq(addresses: &[IpAddr]) -> Option<Dnsmasq> {
    let mut options = vec![format!("--interface={}", device()), "--local=/test/".to_owned()];
    options.extend(addresses.iter().map(|address| format!("--host-record=many.test,{address}")));
    Dnsmasq::start(53, &options)
}

/// How long the connect took, by the firmware's own clock.
#[track_caller]
fn connected(run: &Run) -> Duration {
    let line = run.report.lines().find_map(|line| line.strip_prefix("connected after "));
    let number = line.and_then(|line| line.split(' ').next()?.parse().ok());
    ms(number.unwrap_or_else(|| panic!("no time: {run}")))
}

/// Fetches the page until the connect is over within `limit`, at most so many times, and answers the
/// shortest.
#[track_caller]
fn fetched(
    firmware: &Firmware,
    lab: &Lab,
    behaviours: &[(u16, Behaviour)],
    (times, limit): (usize, Duration),
) -> Option<Duration> {
    behaviours.iter().for_each(|(last, behaviour)| lab.set(v4(*last), *behaviour));
    let addresses: Vec<_> = behaviours.iter().map(|(last, _)| v4(*last)).collect();
    let _dnsmasq = dnsmasq(&addresses)?;
    let mut shortest = Duration::MAX;
    for _ in 0..times {
        let run = firmware.run(&format!("{STATIC} --dns {HOST_V4} https://many.test/page"));
        assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");
        shortest = shortest.min(connected(&run));
        if shortest <= limit {
            break;
        }
    }
    Some(shortest)
}

#[test]
fn https_comes_from_the_address_whose_certificate_is_good_past_silent_and_wrong_ones() {
    let Some(firmware) = Firmware::build("https") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_live) = nginx(LIVE, "many") else { return };
        let Some(_wrong) = nginx(WRONG, "other") else { return };
        let _silent = Live::silent(([0, 0, 0, 0], SILENT));
        let accept = |port| Behaviour::accept(ms(20)).to_port(port);
        let alone = fetched(&firmware, lab, &[(1, accept(LIVE))], (3, Duration::ZERO));
        let Some(alone) = alone else { return };
        // With a pair for each address, of which a black hole takes none; and where two pairs are too few a
        // turn.
        let silent = |last| (last, accept(SILENT));
        let (black_hole, wrong, live) = ((2, Behaviour::black_hole()), (2, accept(WRONG)), (3, accept(LIVE)));
        for (addresses, late) in [
            (&[silent(1), live][..], ms(100)),
            (&[silent(1), black_hole, live], ms(100)),
            (&[silent(1), wrong, live], PATIENCE + ms(100)),
            (&[silent(1), silent(2), live], PATIENCE + ms(100)),
        ] {
            let took = fetched(&firmware, lab, addresses, (6, alone + late)).expect("dnsmasq is there");
            assert!(took <= alone + late, "{took:?}, alone {alone:?}: {addresses:?}");
        }
    });
}

/// Asserts that the figures of docs/tls-on-firmware.md, in thousands of bytes, are right to 5%: another
/// compiler has slightly different ones.
#[track_caller]
fn assert_page_says(firmware: &Firmware, stack: u64) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tls-on-firmware.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, after) = page.split_once("The program above").expect("what it takes");
    let words: Vec<_> = after.split_whitespace().map(|word| word.trim_end_matches([',', ';', '.'])).collect();
    let (flash, ram) = firmware.sizes();
    for (what, bytes) in [
        ("KB of flash", flash),
        ("KB of static RAM", ram),
        ("KB of stack", stack),
        ("KB of RAM", ram + stack),
    ] {
        let parts: Vec<_> = what.split(' ').collect();
        let at = words.windows(parts.len()).position(|words| words == parts);
        let said = at.and_then(|at| words.get(at.checked_sub(1)?)?.parse::<u64>().ok());
        let said = said.unwrap_or_else(|| panic!("no {what}")) * 1000;
        assert!(bytes.abs_diff(said) * 20 <= said, "{bytes} bytes, and the page says {said}: {what}");
    }
}

#[test]
fn what_went_wrong_is_told_and_openssl_is_served_as_well() {
    let Some(firmware) = Firmware::build("https") else { return };
    in_namespace(move |lab| {
        link(lab);
        let (pem, key) = (certificate("many.pem"), certificate("many.key"));
        let Some(_openssl) = OpensslServer::start(LIVE, &pem, &key, &[]) else { return };
        let Some(_wrong) = nginx(WRONG, "other") else { return };
        let Some(_plain) = Nginx::start(SILENT, &[("page", PAGE)]) else { return };
        let Some(_dnsmasq) = dnsmasq(&[v4(1)]) else { return };
        let run = |behaviour: Behaviour| {
            lab.set(v4(1), behaviour);
            firmware.run(&format!("{STATIC} --dns {HOST_V4} --max-time 15 https://many.test/page"))
        };
        let found = run(Behaviour::accept(ms(5)).to_port(LIVE));
        assert_eq!(found.code, Some(0), "{found}");
        assert!(String::from_utf8_lossy(&found.page).contains("TLS_AES_128_GCM_SHA256"), "{found}");
        assert_page_says(&firmware, found.stack().expect("it tells"));
        let wrong = run(Behaviour::accept(ms(5)).to_port(WRONG));
        assert_eq!((wrong.code, wrong.page.len()), (Some(60), 0), "{wrong}");
        let plain = run(Behaviour::accept(ms(5)).to_port(SILENT));
        assert_eq!((plain.code, plain.page.len()), (Some(35), 0), "{plain}");
    });
}
