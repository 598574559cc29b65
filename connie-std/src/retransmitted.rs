//! Whether what went out on a socket had to be sent again. The time of such a handshake says little of its
//! address: by Karn's rule it is no sample (RFC 6298 section 3).

/// A socket of a race that was won.
pub trait Retransmitted {
    /// Whether something was sent on it more than once, SYNs among it. `false` where the system does not
    /// tell.
    fn was_retransmitted(&self) -> bool;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use nix::libc;
    use rustix::fd::{AsRawFd as _, BorrowedFd};

    // The kernel's `struct tcp_info` as it was in 2007: 104 octets. It grows at its end alone, and the kernel
    // hands out as much as was asked for.
    type TcpInfo = [u32; 26];

    /// By the last field of it, `tcpi_total_retrans`. QEMU's user mode, which emulates another processor's
    /// containers, hands out four octets and calls that a success: those are no `TcpInfo`. nix ends the
    /// program there.
    pub(crate) fn is_retransmitted(fd: BorrowedFd<'_>) -> bool {
        tcp_info(fd).is_some_and(|info| info.last().is_some_and(|total| *total > 0))
    }

    #[allow(unsafe_code, reason = "no library reads TCP_INFO and looks at how much of it there is")]
    fn tcp_info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
        let mut info = TcpInfo::default();
        let whole = libc::socklen_t::try_from(size_of::<TcpInfo>()).ok()?;
        let mut length = whole;
        // SAFETY: `info` is `length` octets long, and any octets are a `u32`; the kernel writes no more than
        // `length` of them, and how many into `length`. The descriptor is open as long as it is borrowed.
        let result = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            )
        };
        (result == 0 && length == whole).then_some(info)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "wasi")))]
mod system {
    use rustix::fd::BorrowedFd;

    pub(crate) fn is_retransmitted(_: BorrowedFd<'_>) -> bool {
        false
    }
}

#[cfg(not(target_os = "wasi"))]
pub(crate) use system::is_retransmitted;
