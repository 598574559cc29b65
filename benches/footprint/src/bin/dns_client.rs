//! The DNS client as a microcontroller links it: the `.text` of this program, less that of the same with a
//! stand-in (`stand_in.rs`), is its price, the symbols `DNS_CLIENT` and `DNS_LOOKUP` have its sizes in RAM,
//! and that it links at all shows that no path in it leads to a panic.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("dns_client: build this for a microcontroller: --target thumbv7m-none-eabi --profile size");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
#[allow(dead_code, reason = "there is no stack, and the clock is asked directly")]
mod stub;

#[cfg(all(target_os = "none", feature = "stand-in"))]
#[path = "../stand_in.rs"]
mod stand_in;

#[cfg(target_os = "none")]
mod firmware {
    use core::mem::size_of;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use core::sync::atomic::Ordering;

    use connie_core::Instant;
    #[cfg(not(feature = "stand-in"))]
    use connie_dns::{DnsClient, DnsInput, DnsOutput, Name, RecordLookup};
    use connie_dns::{DnsConfig, LARGEST_QUERY, WantedRecords};

    #[cfg(feature = "stand-in")]
    use crate::stand_in::{DnsClient, DnsInput, DnsOutput, Name, RecordLookup};
    use crate::stub::{WORLD, world};

    /// Sizes, to be read from the linked program.
    #[used]
    #[unsafe(no_mangle)]
    static DNS_CLIENT: [u8; size_of::<DnsClient<2>>()] = [0; size_of::<DnsClient<2>>()];
    #[used]
    #[unsafe(no_mangle)]
    static DNS_LOOKUP: [u8; size_of::<RecordLookup>()] = [0; size_of::<RecordLookup>()];

    fn now() -> Instant {
        Instant::from_micros(world().into())
    }

    fn server() -> SocketAddr {
        let ip = match world() {
            0 => IpAddr::V4(Ipv4Addr::from(world())),
            high => IpAddr::V6(Ipv6Addr::from(u128::from(high) << 96 | u128::from(world()))),
        };
        SocketAddr::new(ip, world() as u16)
    }

    fn tell(number: u32) {
        WORLD.store(number, Ordering::Relaxed);
    }

    /// Asks for the addresses of a name until they are there. Both ways to end a wait are taken.
    fn look_up(client: &mut DnsClient<2>) -> Option<()> {
        let name = Name::parse(["one.example.test", "two.example.test"].get(world() as usize)?).ok()?;
        let mut lookup = RecordLookup::new(name, WantedRecords::default());
        let (mut query, mut message) = ([0; LARGEST_QUERY], [0; 1_232]);
        while !lookup.is_done() {
            while let Some(event) = lookup.poll(client, now()) {
                match event.result {
                    Ok(answer) => answer.addresses().for_each(|ip| tell(ip.is_ipv6().into())),
                    Err(error) => tell(error as u32),
                }
            }
            let port = loop {
                match client.poll_output(&mut query, now()) {
                    DnsOutput::Send { port, server, length }
                    | DnsOutput::Connect { port, server, length } => {
                        query.iter().take(length).for_each(|octet| tell((*octet).into()));
                        tell(server.port().into());
                        if world() == 1 {
                            break Some((port, server));
                        }
                    }
                    DnsOutput::Ended(_) => {}
                    DnsOutput::WaitUntil(at) => {
                        tell(at.as_micros() as u32);
                        break None;
                    }
                    DnsOutput::WaitForInput => break None,
                }
            };
            let Some((port, server)) = port else { continue };
            message.iter_mut().for_each(|octet| *octet = world() as u8);
            let message = message.get(..world() as usize).unwrap_or_default();
            let input = match world() {
                0 => DnsInput::Datagram { port, from: server, message },
                1 => DnsInput::DatagramFailed { port, server },
                2 => DnsInput::Message { port, server, message },
                _ => DnsInput::StreamFailed { port, server },
            };
            client.handle_input(input, now());
            tell(client.is_open(port).into());
        }
        lookup.close(client);
        Some(())
    }

    /// What [`look_up`] does not call, but for what prints addresses: core's own way to do so has a panic
    /// that is never reached.
    #[cfg(feature = "all")]
    fn all_the_rest(client: &mut DnsClient<2>) -> Option<()> {
        use connie_dns::{RecordType, SearchNames};

        let domains = ["corp.test", "lab.test"];
        let names =
            SearchNames::<_, 255>::new(if world() == 0 { "www" } else { "a.b." }, &domains, world() as u8);
        let wanted = WantedRecords { aaaa: world() == 0, a: world() == 1, https: world() == 2 };
        let mut lookup = RecordLookup::from_names(names, wanted)?;
        while let Some(event) = lookup.poll(client, now()) {
            tell(event.kind as u32);
            tell(event.result.map_or(0, |answer| answer.ttl()));
        }
        tell(u32::from(lookup.waits_for_room()));
        let id =
            client.ask(&lookup.name().https_query_name(world() as u16).ok()?, RecordType::Https, now())?;
        client
            .server_errors(id)
            .for_each(|(server, problem)| say(format_args!("{} {problem}", server.port())));
        client.servers().for_each(|server| tell(server.port().into()));
        for service in client.answer(id, now())?.ok()?.services() {
            let service = service.ok()?;
            tell(service.priority().into());
            tell(service.port().map_or(0, u32::from));
            service.alpn().flatten().for_each(|octet| tell((*octet).into()));
            service.hints().for_each(|ip| tell(ip.is_ipv6().into()));
            tell(u32::from(service.speaks_http1() && service.is_alias()));
            tell(service.check().is_ok().into());
            say(format_args!("{}", service.target::<64>()?.ok()?));
        }
        client.give_up(id);
        if let DnsOutput::Send { port, server, .. } = client.poll_output(&mut [0; LARGEST_QUERY], now()) {
            client.postpone(port, server, now(), now());
            tell(port.kind() as u32);
        }
        let (before, mut common) = (client.standing(), client.standing());
        client.forget(now());
        common.learn(&before, &client.standing());
        client.set_standing(&common);
        tell(client.keeps_until().as_micros() as u32);
        Some(())
    }

    #[cfg(feature = "all")]
    fn say(text: core::fmt::Arguments<'_>) {
        use core::fmt::Write;

        struct Told;
        impl Write for Told {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                text.bytes().for_each(|octet| tell(octet.into()));
                Ok(())
            }
        }
        tell(Told.write_fmt(text).is_ok().into());
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        let mut client = DnsClient::<2>::new(DnsConfig::default(), world().into());
        #[cfg(feature = "bite")]
        tell([1, 2, 3][world() as usize]);
        loop {
            client.set_servers(&[server(), server()], now());
            tell(look_up(&mut client).is_some().into());
            #[cfg(feature = "all")]
            tell(all_the_rest(&mut client).is_some().into());
        }
    }
}
