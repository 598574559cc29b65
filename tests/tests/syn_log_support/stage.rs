//! A name in a laboratory of its own: the name server, the addresses, and what the wire saw.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use connie_core::resolution::Query;
use connie_core::resolution::nat64::WELL_KNOWN_NAME;
use connie_core::{Config, Family};
use connie_tests::clock::pause;
use connie_tests::lab::{Behaviour, HOST_V4, HOST_V6, Lab, in_namespace, ms};
use connie_tests::names_table::{Name, PORT, Place, Reply, TRAPS, ZONE};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

use super::sniffer::Sniffer;
use super::{Ended, Log};

/// Connects to the name of a stage.
pub type Client = Arc<dyn Fn(&Stage<'_>) -> Ended + Send + Sync>;

/// Where clients inside the kernel's own host find the name server.
pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// Files with which the C library asks the stage's name server, waits for it longer than any race may take,
/// and looks nowhere else.
pub const ASK_THE_STAGE: [(&str, &str); 2] = [
    ("/etc/nsswitch.conf", "hosts: dns\n"),
    ("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch .\noptions timeout:20 attempts:1\n"),
];

/// A name and all that it needs, set up in the namespace of the calling thread.
pub struct Stage<'l> {
    pub lab: &'l Lab,
    pub name: &'static Name,
    /// What the caller connects to, with the zone by its number.
    pub host: String,
    server: DnsServer,
    /// What a lookup was asked that is not the name server's.
    asked: Mutex<Vec<String>>,
    _listeners: Vec<TcpListener>,
}

/// Runs `client` with `name` in a namespace of its own. Call it within another, in which that can be had.
#[track_caller]
pub fn play(name: &'static Name, client: &Client) -> Log {
    let (tell, told) = channel();
    let client = Arc::clone(client);
    in_namespace(move |lab| {
        let stage = Stage::set_up(lab, name);
        let sniffer = Sniffer::open();
        let ended = client(&stage);
        // What was sent last may still be in a queue.
        pause(ms(20));
        let log = lab.log();
        let behind = log.attempts().iter().map(|attempt| attempt.remote.ip());
        let mut syns: Vec<_> = behind.filter(|remote| !is_near(*remote)).collect();
        syns.extend(sniffer.syns(is_near));
        tell.send(Log { asked: stage.asked(), syns, ended }).expect("the test waits");
    });
    told.recv().expect("a namespace within a namespace")
}

/// An address of the host itself or of a link, which packets to it need not leave through the router.
fn is_near(remote: IpAddr) -> bool {
    remote.is_loopback() || matches!(remote, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

impl<'l> Stage<'l> {
    fn set_up(lab: &'l Lab, name: &'static Name) -> Self {
        lab.ip(&routes(name));
        let mut listeners = vec![listener(HOST_V4.into()), listener(HOST_V6.into())];
        for (address, place) in name.places {
            let address = ip(address);
            match (address.is_loopback(), place) {
                (true, Place::Live) => listeners.push(listener(address)),
                (true, _) => {}
                (false, place) => lab.set(address, behaviour(*place)),
            }
        }
        TRAPS.iter().for_each(|address| lab.set(ip(address), behaviour(Place::Live)));
        let number = std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/lab0").ok();
        let number = number.and_then(|text| Some(text.split_whitespace().nth(1)?.to_owned()));
        let host = name.host.replace(ZONE, &number.expect("the number of the laboratory's interface"));
        Stage { lab, name, host, server: server(name), asked: Mutex::default(), _listeners: listeners }
    }

    /// Takes note of a query that a lookup of the client's own was asked.
    pub fn note(&self, query: Query) {
        let what = if query == Query::Nat64Prefix { "prefix" } else { query.record_type() };
        self.asked.lock().expect("nobody panics with it").push(what.to_owned());
    }

    /// All queries, each once.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().expect("nobody panics with it").clone();
        asked.extend(self.server.queries().iter().map(|query| match query.kind {
            RecordType::Aaaa if query.name == WELL_KNOWN_NAME => "prefix".to_owned(),
            kind if query.name == self.name.host => format!("{kind:?}").to_uppercase(),
            kind => format!("{kind:?}({})", query.name),
        }));
        let mut once = Vec::new();
        asked.into_iter().for_each(|query| {
            if !once.contains(&query) {
                once.push(query);
            }
        });
        once
    }

    /// What the caller asks for.
    pub fn config(&self) -> Config {
        self.name.race.config()
    }
}

/// Addresses as the internet has them: with IPv6 preferred, as RFC 6724 does not prefer the laboratory's own.
fn routes(name: &Name) -> String {
    let mut lines = vec!["addr add fe80::9/64 dev lab0 nodad"];
    if name.lacks != Some(Family::V6) {
        lines.extend([
            "addr add 2001:db8:ffff::1/128 dev lab0 nodad",
            "route add 2001:db8::/32 dev lab0",
            "route add 64:ff9b::/96 dev lab0",
        ]);
    }
    if name.lacks != Some(Family::V4) {
        lines.push("route add 192.0.2.0/24 dev lab0");
    }
    lines.join("\n")
}

fn listener(address: IpAddr) -> TcpListener {
    TcpListener::bind((address, PORT)).unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn behaviour(place: Place) -> Behaviour {
    match place {
        Place::Live => Behaviour::accept(ms(Place::NEAR)),
        Place::Slow => Behaviour::accept(ms(Place::FAR)),
        Place::Refuses => Behaviour::refuse(ms(Place::NEAR)),
        Place::Silent => Behaviour::black_hole(),
    }
}

/// Reachable by clients on this host, and on those that it forwards for.
fn server(name: &Name) -> DnsServer {
    let server = DnsServer::start((Ipv6Addr::UNSPECIFIED, SERVER.port()).into());
    server.set(name.host, RecordType::Aaaa, answer(name.aaaa));
    server.set(name.host, RecordType::A, answer(name.a));
    server.set(WELL_KNOWN_NAME, RecordType::Aaaa, answer(name.prefix));
    server
}

fn answer(reply: Reply) -> DnsAnswer {
    match reply {
        Reply::Has(after, addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
            DnsAnswer::addresses(&addresses).after(ms(after))
        }
        Reply::Empty => DnsAnswer::no_data(),
        Reply::NoSuchName => DnsAnswer::no_such_name(),
        Reply::Fails => DnsAnswer::code(2),
        Reply::Never => DnsAnswer::silent(),
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("the table has addresses")
}
