//! The kernel's own list of the TCP sockets in a namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a TCP socket, under RFC 9293's names (section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the RFC describes them")]
pub enum TcpState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

/// One TCP socket of the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Its own address and port.
    pub local: SocketAddr,
    /// The other end's; unspecified for a listener.
    pub remote: SocketAddr,
    /// Its state.
    pub state: TcpState,
}

/// The TCP sockets of the calling thread's network namespace, from `/proc/thread-self/net/tcp` and `tcp6`.
///
/// # Errors
/// When the files cannot be read.
pub fn tcp_sockets() -> io::Result<Vec<TcpSocket>> {
    let mut sockets = Vec::new();
    for file in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        match std::fs::read_to_string(file) {
            Ok(text) => sockets.extend(text.lines().skip(1).filter_map(parse)),
            // A kernel without IPv6 has no second file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

fn parse(line: &str) -> Option<TcpSocket> {
    let mut fields = line.split_whitespace().skip(1);
    Some(TcpSocket {
        local: parse_address(fields.next()?)?,
        remote: parse_address(fields.next()?)?,
        state: parse_state(fields.next()?)?,
    })
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Each word is printed as a number of the machine's own byte order.
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address: IpAddr = if address.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let mut octets = [0; 16];
        for (part, at) in octets.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
            part.copy_from_slice(&word(at)?);
        }
        Ipv6Addr::from(octets).into()
    };
    Some(SocketAddr::new(address, port))
}

fn parse_state(text: &str) -> Option<TcpState> {
    use TcpState::*;
    let states = [
        Established,
        SynSent,
        SynReceived,
        FinWait1,
        FinWait2,
        TimeWait,
        Closed,
        CloseWait,
        LastAck,
        Listen,
        Closing,
    ];
    match usize::from_str_radix(text, 16).ok()? {
        // The kernel calls a half-open connection that a listener remembers "new SYN received".
        12 => Some(SynReceived),
        number => states.get(number.checked_sub(1)?).copied(),
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_net_tcp_read() {
        let line =
            "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        let socket = parse(line).expect("a socket");
        assert_eq!(socket.local, "127.0.0.1:22".parse().expect("an address"));
        assert_eq!(socket.state, TcpState::Listen);
        let line = " 1: 000000FD090000000000000001000000:1F90 000000FD090000000000000002000000:0050 02 0";
        let socket = parse(line).expect("a socket");
        assert_eq!(socket.local, "[fd00:0:0:9::1]:8080".parse().expect("an address"));
        assert_eq!(socket.state, TcpState::SynSent);
    }
}
