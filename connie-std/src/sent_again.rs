//! Whether what went out on a socket had to be sent again. The time of such a handshake says little of its address: by Karn's rule it is no
//! sample (RFC 6298 section 3).

/// A socket of a race that was won.
pub trait SentAgain {
    /// Whether something was sent on it more than once, SYNs among it. `false` where the system does not tell.
    fn was_sent_again(&self) -> bool;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    // The macro calls these by their own names.
    use nix::sys::socket::getsockopt;
    use nix::{getsockopt_impl, libc, sockopt_impl};
    use rustix::fd::BorrowedFd;

    // The kernel's `struct tcp_info` as it was in 2007: 104 octets. It grows at its end alone, and the kernel hands out as much as was asked for, so
    // that nix finds the length that it expects.
    sockopt_impl!(TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, [u32; 26]);

    /// By the last field of it, `tcpi_total_retrans`.
    pub(crate) fn is_sent_again(fd: BorrowedFd<'_>) -> bool {
        getsockopt(&fd, TcpInfo).is_ok_and(|info| info.last().is_some_and(|total| *total > 0))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "wasi")))]
mod system {
    use rustix::fd::BorrowedFd;

    pub(crate) fn is_sent_again(_: BorrowedFd<'_>) -> bool {
        false
    }
}

#[cfg(not(target_os = "wasi"))]
pub(crate) use system::is_sent_again;
