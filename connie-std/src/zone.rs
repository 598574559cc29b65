//! Link-local addresses and their zones (RFC 4007 section 11).

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

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
}
