//! The families by which the host can reach the internet, as UDP sockets tell.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::connect::Routes;
use wasip2::sockets::network::{ErrorCode, Network};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::address;

/// The routes of the host that lends `network`. Sends nothing and waits for nobody.
pub(crate) fn routes(network: &Network) -> Routes {
    Routes::of(|ip| leads_to(network, ip) != Err(ErrorCode::RemoteUnreachable))
}

/// Connects a UDP socket to `ip`, which fails where the host cannot reach it. Whatever else goes wrong, a runtime that denies UDP say, tells
/// nothing of the way.
fn leads_to(network: &Network, ip: IpAddr) -> Result<(), ErrorCode> {
    // 9 is for what is thrown away.
    let remote = SocketAddr::new(ip, 9);
    let own = match ip {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = create_udp_socket(address::family(&remote)).map_err(|code| match code {
        // The answer for a family that the host does not have (EAFNOSUPPORT).
        ErrorCode::NotSupported => ErrorCode::RemoteUnreachable,
        other => other,
    })?;
    socket.start_bind(network, address::ip_socket_address(own))?;
    socket.finish_bind()?;
    // A runtime traps where a stream outlives its socket.
    drop(socket.stream(Some(address::ip_socket_address(remote)))?);
    Ok(())
}

#[cfg(all(test, target_os = "wasi"))]
mod tests {
    use wasip2::sockets::instance_network::instance_network;

    use super::*;

    /// Addresses that cannot be reached are tested in `tests/tests/syn_logs.rs`, in networks without a route.
    #[test]
    fn a_host_has_a_way_to_itself() {
        let network = instance_network();
        assert_eq!(leads_to(&network, Ipv4Addr::LOCALHOST.into()), Ok(()));
        // A socket for each question would run out of them.
        for _ in 0..1_000 {
            let _ = routes(&network);
        }
        assert_eq!(leads_to(&network, Ipv4Addr::LOCALHOST.into()), Ok(()));
    }
}
