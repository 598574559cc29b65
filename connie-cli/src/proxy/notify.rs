//! Tells systemd the state of the proxy (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names, if
//! it is set.

#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;

/// Tells that the proxy listens.
pub fn ready() {
    tell("READY=1");
}

/// Tells that the proxy begins to forget; [`ready`] tells when it has.
pub fn reloading() {
    // For Type=notify-reload, which compares this time with that of the signal.
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }
}

/// Tells that the proxy has stopped listening, and waits for its connections to end.
pub fn stopping() {
    tell("STOPPING=1");
}

/// Sends the state. Errors are ignored: the proxy works without systemd as well.
#[cfg(unix)]
fn tell(state: &str) {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(&name, state.as_bytes());
    }
}

#[cfg(not(unix))]
fn tell(_state: &str) {}

#[cfg(unix)]
fn send(name: &OsStr, state: &[u8]) -> std::io::Result<usize> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::net::SocketAddr;
        // "@" stands for the null byte that the name of an abstract socket begins with.
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return socket.send_to_addr(state, &SocketAddr::from_abstract_name(name)?);
        }
    }
    socket.send_to(state, name)
}
