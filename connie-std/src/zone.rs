//! Link-local addresses and their zones (RFC 4007 section 11).

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use connie_core::connect::named_zone;

/// The number of the interface that `host`, an address in a [named zone](named_zone), belongs to; `None`
/// where there is no such interface, and for every other host.
pub(crate) fn number(host: &str) -> Option<u32> {
    let zone = named_zone(host)?;
    let ip = host.trim_start_matches('[').split('%').next()?;
    match in_zone(ip.parse().ok()?, zone, 0)? {
        SocketAddr::V6(address) => Some(address.scope_id()),
        SocketAddr::V4(_) => None,
    }
}

/// An address on the interface that `zone` names or numbers; `None` where there is no such interface.
pub(crate) fn in_zone(ip: Ipv6Addr, zone: &str, port: u16) -> Option<SocketAddr> {
    use std::net::ToSocketAddrs;
    if let Ok(number) = zone.parse() {
        return Some(SocketAddrV6::new(ip, port, 0, number).into());
    }
    if zone.is_empty() || zone.contains('\0') {
        return None;
    }
    // The system's resolver takes a literal apart without asking anybody.
    (format!("{ip}%{zone}"), port).to_socket_addrs().into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_the_number_or_the_name_of_an_interface() {
        let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let numbered = |number| Some(SocketAddr::from(SocketAddrV6::new(ip, 80, 0, number)));
        assert_eq!(in_zone(ip, "7", 80), numbered(7));
        for none in ["", "no\0zone", "no-such-interface"] {
            assert_eq!(in_zone(ip, none, 80), None, "{none:?}");
        }
        #[cfg(target_os = "linux")]
        {
            let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
            assert_eq!(in_zone(ip, "lo", 80), numbered(index.trim().parse().unwrap()));
        }
    }

    #[test]
    fn a_host_in_a_named_zone_has_the_number_of_its_interface() {
        for none in ["fe80::1%no-such-interface", "fe80::1%7", "fe80::1", "name.test", "fe80::1%no\0zone"] {
            assert_eq!(number(none), None, "{none:?}");
        }
        #[cfg(target_os = "linux")]
        for host in ["fe80::1%lo", "[fe80::1%lo]"] {
            let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
            assert_eq!(number(host), Some(index.trim().parse().unwrap()), "{host}");
        }
    }
}
