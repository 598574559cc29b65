//! The families by which the host can reach the internet, as UDP sockets tell.

use core::net::SocketAddr;

use connie_core::connect::Routes;
#[cfg(feature = "dns")]
use connie_core::resolution::selection::Route;
use wasip2::sockets::network::{ErrorCode, Network};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::address;
#[cfg(feature = "dns")]
use crate::socket::WasiStack;

/// The routes of the host behind `network`. Sends nothing and waits for nobody.
pub(crate) fn routes(network: &Network) -> Routes {
    // 9 is for what is thrown away.
    Routes::of(|ip| source(network, SocketAddr::new(ip, 9)) != Err(ErrorCode::RemoteUnreachable))
}

/// How `stack` sends to `address`.
#[cfg(feature = "dns")]
pub(crate) fn route(stack: &mut WasiStack, address: SocketAddr) -> Route {
    if let Some(source) = stack.source(&address) {
        return Route::from_source(source.ip());
    }
    match source(stack.network(), address::canonical(address)) {
        Ok(source) => Route::from_source(source.ip()),
        Err(ErrorCode::RemoteUnreachable) => Route::Unreachable,
        Err(_) => Route::Unknown,
    }
}

/// Connects a UDP socket to `remote`, which fails where the host cannot reach it, and otherwise knows from
/// where it would send. Whatever else goes wrong, a runtime that denies UDP say, says nothing about the
/// route.
pub(crate) fn source(network: &Network, remote: SocketAddr) -> Result<SocketAddr, ErrorCode> {
    let socket = create_udp_socket(address::family(&remote)).map_err(|code| match code {
        // The answer for a family that the host does not have (EAFNOSUPPORT).
        ErrorCode::NotSupported => ErrorCode::RemoteUnreachable,
        other => other,
    })?;
    socket.start_bind(network, address::ip_socket_address(address::any(&remote)))?;
    socket.finish_bind()?;
    // A runtime traps where a stream outlives its socket.
    drop(socket.stream(Some(address::ip_socket_address(remote)))?);
    Ok(address::socket_addr(socket.local_address()?))
}

#[cfg(all(test, target_os = "wasi"))]
mod tests {
    use core::net::Ipv4Addr;

    use wasip2::sockets::instance_network::instance_network;

    use super::*;

    /// Addresses that cannot be reached are tested in `tests/tests/syn_logs.rs`, in networks without a route.
    #[test]
    fn a_host_has_a_way_to_itself() {
        let network = instance_network();
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let leads_here =
            || source(&network, here).is_ok_and(|source| source.ip() == here.ip() && source.port() != 0);
        assert!(leads_here());
        // A socket for each question would run out of them.
        for _ in 0..1_000 {
            let _ = routes(&network);
        }
        assert!(leads_here());
    }
}
