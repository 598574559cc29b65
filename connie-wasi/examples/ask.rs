//! Asks name servers for the addresses of a name, and prints what they say when they say it.
//!
//! `ask NAME FAMILIES SERVER...`, where the families are `aaaa`, `a` or `aaaa,a`, and a server is an address
//! with its port. A line is `A 192.0.2.1 192.0.2.2 at 20`, `AAAA none at 20` or `A !NoSuchName at 20`, with
//! the time in milliseconds.

use std::error::Error;

use connie_wasi::connie_core::{Families, Family};
use connie_wasi::dns::{Dns, DnsEvent};
use connie_wasi::{PollSet, WasiClock};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, families, servers @ ..] = &arguments[..] else {
        return Err("give a name, the families, and the servers".into());
    };
    let families = match families.as_str() {
        "aaaa" => Families::Only(Family::V6),
        "a" => Families::Only(Family::V4),
        "aaaa,a" => Families::Both,
        other => return Err(format!("{other}: no families").into()),
    };
    let servers = servers.iter().map(|server| server.parse()).collect::<Result<Vec<_>, _>>()?;
    let dns = Dns::new(servers);
    let (clock, mut lookup) = (WasiClock::start(), dns.look_up(name, 0, families));
    while !lookup.is_done() {
        while let Some(event) = lookup.poll() {
            println!("{} at {}", words(event), clock.now().as_micros() / 1_000);
        }
        if !lookup.is_done() {
            let (sockets, mut set) = (lookup.sockets(), PollSet::default());
            sockets.watch(&mut set);
            set.wait(clock, lookup.wake_at(clock));
        }
    }
    Ok(())
}

fn words(event: DnsEvent) -> String {
    let kind = |family| if family == Family::V6 { "AAAA" } else { "A" };
    match event {
        DnsEvent::Answered(family, addresses) if addresses.is_empty() => format!("{} none", kind(family)),
        DnsEvent::Answered(family, addresses) => {
            let addresses: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            format!("{} {}", kind(family), addresses.join(" "))
        }
        DnsEvent::Failed(family, error) => format!("{} !{error:?}", kind(family)),
    }
}
