//! Every error number that a call of a connection attempt can end with, and what it means.
//!
//! One table, [`ROWS`]. [`OsError`](crate::OsError) takes its meaning from there, and `docs/errno.md` is
//! written from it.

use connie_core::AttemptErrorKind;
use connie_core::AttemptErrorKind::{
    NoSourceAddress, Other, OutOfSockets, Refused, Reset, TimedOut, Unreachable,
};
use rustix::io::Errno;

/// A system call of a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `socket`, and on some systems the calls that make a new one non-blocking.
    Socket,
    /// `bind`, to the source address that the program asked for.
    Bind,
    /// `connect`, what `SO_ERROR` says of one that went on, and reading and writing within a TLS handshake.
    Connect,
    /// `connect` to a destination for which this machine does have a source address.
    ConnectFromSource,
    /// `getsockopt(SO_ERROR)` itself, and not what it says.
    GetSockOpt,
    GetPeerName,
    /// `poll` of std and TLS.
    Poll,
    /// What puts a socket under tokio's watch: `epoll_ctl`, `kevent`.
    Watch,
    SetSockOpt,
    Close,
}

/// What a row means for the attempt and the race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// The attempt has failed, and the race goes on with the other addresses.
    Fails(AttemptErrorKind),
    /// The handshake is under way.
    Begun,
    /// The socket is asked again, and has failed with `ENOTCONN` after a thousand times.
    AskAgain,
    /// Nothing: it may wake early.
    Wakes,
    /// Each socket is asked by itself, every millisecond.
    AskEach,
    /// Nothing. The attempt goes on.
    Ignored,
}

/// What some numbers of one call mean. One without names stands for all that no other row of its call has.
pub(crate) struct Row {
    pub(crate) call: Call,
    pub(crate) names: &'static [Name],
    pub(crate) means: Means,
    /// What the error line says, where neither the kind's words nor the system's are enough.
    pub(crate) words: Option<&'static str>,
    /// When it happens.
    #[cfg(test)]
    pub(crate) when: &'static str,
}

/// Numbers on Linux (but for MIPS and SPARC), Apple's systems, FreeBSD, NetBSD, OpenBSD and Windows. 0 is
/// none.
#[cfg(test)]
pub(crate) type Numbers = [i32; 6];

macro_rules! names {
    ($($(#[$here:meta])? $name:ident $constant:ident $text:literal $numbers:expr;)*) => {
        /// The name of an error number, on whatever system.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Name { $($name),* }

        /// Those that this system has.
        const HERE: &[(Errno, Name)] = &[$($(#[$here])? (Errno::$constant, Name::$name)),*];

        #[cfg(test)]
        impl Name {
            pub(crate) const ALL: &'static [Name] = &[$(Name::$name),*];

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Name::$name => $text),* }
            }

            pub(crate) const fn numbers(self) -> Numbers {
                match self { $(Name::$name => $numbers),* }
            }
        }
    };
}

names! {
    #[cfg(unix)] Perm PERM "EPERM" [1, 1, 1, 1, 1, 0];
    Intr INTR "EINTR" [4, 4, 4, 4, 4, 10_004];
    #[cfg(unix)] Io IO "EIO" [5, 5, 5, 5, 5, 0];
    Badf BADF "EBADF" [9, 9, 9, 9, 9, 10_009];
    #[cfg(unix)] Again AGAIN "EAGAIN" [11, 35, 35, 35, 35, 0];
    #[cfg(windows)] WouldBlock WOULDBLOCK "WSAEWOULDBLOCK" [0, 0, 0, 0, 0, 10_035];
    #[cfg(unix)] NoMem NOMEM "ENOMEM" [12, 12, 12, 12, 12, 0];
    Access ACCESS "EACCES" [13, 13, 13, 13, 13, 10_013];
    #[cfg(unix)] NoDev NODEV "ENODEV" [19, 19, 19, 19, 19, 0];
    Inval INVAL "EINVAL" [22, 22, 22, 22, 22, 10_022];
    #[cfg(unix)] NFile NFILE "ENFILE" [23, 23, 23, 23, 23, 0];
    MFile MFILE "EMFILE" [24, 24, 24, 24, 24, 10_024];
    #[cfg(unix)] NoSpc NOSPC "ENOSPC" [28, 28, 28, 28, 28, 0];
    #[cfg(unix)] NoSys NOSYS "ENOSYS" [38, 78, 78, 78, 78, 0];
    #[cfg(any(target_os = "linux", target_os = "android"))] NoNet NONET "ENONET" [64, 0, 0, 0, 0, 0];
    #[cfg(unix)] Proto PROTO "EPROTO" [71, 100, 92, 96, 95, 0];
    MsgSize MSGSIZE "EMSGSIZE" [90, 40, 40, 40, 40, 10_040];
    Prototype PROTOTYPE "EPROTOTYPE" [91, 41, 41, 41, 41, 10_041];
    NoProtoOpt NOPROTOOPT "ENOPROTOOPT" [92, 42, 42, 42, 42, 10_042];
    ProtoNoSupport PROTONOSUPPORT "EPROTONOSUPPORT" [93, 43, 43, 43, 43, 10_043];
    OpNotSupp OPNOTSUPP "EOPNOTSUPP" [95, 102, 45, 45, 45, 10_045];
    PfNoSupport PFNOSUPPORT "EPFNOSUPPORT" [96, 46, 46, 46, 46, 10_046];
    AfNoSupport AFNOSUPPORT "EAFNOSUPPORT" [97, 47, 47, 47, 47, 10_047];
    AddrInUse ADDRINUSE "EADDRINUSE" [98, 48, 48, 48, 48, 10_048];
    AddrNotAvail ADDRNOTAVAIL "EADDRNOTAVAIL" [99, 49, 49, 49, 49, 10_049];
    NetDown NETDOWN "ENETDOWN" [100, 50, 50, 50, 50, 10_050];
    NetUnreach NETUNREACH "ENETUNREACH" [101, 51, 51, 51, 51, 10_051];
    NetReset NETRESET "ENETRESET" [102, 52, 52, 52, 52, 10_052];
    ConnAborted CONNABORTED "ECONNABORTED" [103, 53, 53, 53, 53, 10_053];
    ConnReset CONNRESET "ECONNRESET" [104, 54, 54, 54, 54, 10_054];
    NoBufs NOBUFS "ENOBUFS" [105, 55, 55, 55, 55, 10_055];
    IsConn ISCONN "EISCONN" [106, 56, 56, 56, 56, 10_056];
    NotConn NOTCONN "ENOTCONN" [107, 57, 57, 57, 57, 10_057];
    // Not `ETIME` nor Windows's `ERROR_TIMEOUT`: no call of an attempt says those.
    TimedOut TIMEDOUT "ETIMEDOUT" [110, 60, 60, 60, 60, 10_060];
    ConnRefused CONNREFUSED "ECONNREFUSED" [111, 61, 61, 61, 61, 10_061];
    HostDown HOSTDOWN "EHOSTDOWN" [112, 64, 64, 64, 64, 10_064];
    HostUnreach HOSTUNREACH "EHOSTUNREACH" [113, 65, 65, 65, 65, 10_065];
    Already ALREADY "EALREADY" [114, 37, 37, 37, 37, 10_037];
    InProgress INPROGRESS "EINPROGRESS" [115, 36, 36, 36, 36, 10_036];
    #[cfg(windows)] ProviderFailedInit PROVIDERFAILEDINIT "WSAEPROVIDERFAILEDINIT" [0, 0, 0, 0, 0, 10_106];
}

/// A row, whose last column only the tests and the page read.
macro_rules! row {
    ($call:ident, [$($name:ident),*], $means:expr, $when:literal) => {
        row!(@ $call, [$($name),*], $means, None, $when)
    };
    ($call:ident, [$($name:ident),*], $means:expr, says $words:expr, $when:literal) => {
        row!(@ $call, [$($name),*], $means, Some($words), $when)
    };
    (@ $call:ident, [$($name:ident),*], $means:expr, $words:expr, $when:literal) => {
        Row {
            call: Call::$call,
            names: &[$(Name::$name),*],
            means: $means,
            words: $words,
            #[cfg(test)]
            when: $when,
        }
    };
}

const NO_DESCRIPTOR: &str = "no socket left: this process has no descriptor left";

const NO_PORT: &str = "no free port on this side";

/// Every row. None is [`StackGone`](AttemptErrorKind::StackGone): whatever a call on one socket says, it says
/// of that socket and its address. What no row has is [`Other`], in the system's words.
pub(crate) const ROWS: &[Row] = {
    use Means::{AskAgain, AskEach, Begun, Fails, Ignored, Wakes};
    &[
        row!(Socket, [MFile], Fails(OutOfSockets), says NO_DESCRIPTOR, "the process's limit of open files"),
        row!(Socket, [NFile, NoBufs, NoMem], Fails(OutOfSockets), "no room for another socket"),
        row!(
            Socket,
            [AfNoSupport, PfNoSupport, ProtoNoSupport],
            Fails(Unreachable),
            "the system has no such family"
        ),
        row!(Socket, [NetDown], Fails(Unreachable), "Windows: the network subsystem has failed"),
        row!(
            Socket,
            [Perm, Access],
            Fails(Other),
            "denied to this program: seccomp, SELinux, Android, a sandbox"
        ),
        row!(Socket, [Inval, NoSys, Prototype], Fails(Other), "a system or a sandbox without such sockets"),
        row!(Socket, [ProviderFailedInit], Fails(Other), "Winsock could not start"),
        row!(Bind, [AddrNotAvail, NoDev], Fails(NoSourceAddress), "the source address is not this machine's"),
        row!(Bind, [AddrInUse, Again], Fails(Other), says NO_PORT, "every port of the source address is in use"),
        row!(Bind, [NoBufs, NoMem], Fails(OutOfSockets), "no room for another socket"),
        row!(Bind, [NetDown], Fails(Unreachable), "Windows: the network subsystem has failed"),
        row!(Bind, [Perm, Access], Fails(Other), "denied to this program: seccomp, SELinux, a BPF program"),
        row!(Bind, [Inval, AfNoSupport], Fails(Other), "a source address that cannot be one"),
        row!(Connect, [InProgress, Intr, WouldBlock], Begun, "the handshake goes on"),
        row!(
            Connect,
            [ConnRefused],
            Fails(Refused),
            "the peer, or a firewall in its place, answered with a reset"
        ),
        row!(Connect, [TimedOut], Fails(TimedOut), "nobody answered the system's SYNs"),
        row!(Connect, [ConnReset, ConnAborted, NetReset], Fails(Reset), "the connection was reset"),
        row!(
            Connect,
            [NetUnreach, HostUnreach, NetDown, HostDown, NoNet, NoProtoOpt, OpNotSupp],
            Fails(Unreachable),
            "no route, an interface that is down, or an ICMP error from a router or the host"
        ),
        row!(
            Connect,
            [Perm, Access],
            Fails(Unreachable),
            "a local firewall, a prohibiting route, a policy, or a router's \"administratively prohibited\""
        ),
        row!(
            Connect,
            [AfNoSupport, PfNoSupport, ProtoNoSupport],
            Fails(Unreachable),
            "the system has no such family"
        ),
        row!(Connect, [AddrNotAvail], Fails(Unreachable), "no source address for this destination"),
        row!(
            ConnectFromSource,
            [AddrNotAvail],
            Fails(Other),
            says NO_PORT,
            "every port is in use for this destination"
        ),
        row!(Connect, [Again, AddrInUse], Fails(Other), says NO_PORT, "every port is in use"),
        row!(Connect, [MFile], Fails(OutOfSockets), says NO_DESCRIPTOR, "the process's limit of open files"),
        row!(Connect, [NFile, NoBufs, NoMem], Fails(OutOfSockets), "no room for another connection"),
        row!(
            Connect,
            [Inval, Proto, MsgSize, Prototype, NoDev, Io, NoSys],
            Fails(Other),
            "a blackhole route, a link-local address without a zone, an ICMP error of another kind"
        ),
        row!(
            Connect,
            [NotConn, IsConn, Already, Badf],
            Fails(Other),
            "a socket that is not what it should be"
        ),
        row!(
            GetSockOpt,
            [Perm, Access, NoSys, NoBufs, NoMem, Inval, Badf],
            Fails(Other),
            "what became of the handshake cannot be asked"
        ),
        row!(GetPeerName, [NotConn], AskAgain, "Linux: the attempt's error is on its way"),
        row!(GetPeerName, [], Ignored, "the handshake has ended without an error: it is connected"),
        row!(Poll, [Intr], Wakes, "a signal"),
        row!(
            Poll,
            [],
            AskEach,
            "no memory for the kernel's table, fewer descriptors allowed than in use, denied"
        ),
        row!(Watch, [MFile], Fails(OutOfSockets), says NO_DESCRIPTOR, "the process's limit of open files"),
        row!(Watch, [NoSpc, NoMem, NFile], Fails(OutOfSockets), "no room for another watch"),
        row!(Watch, [Perm, Access, NoSys, Badf, Inval], Fails(Other), "denied to this program"),
        row!(SetSockOpt, [], Ignored, "TCP_NODELAY and SO_LINGER are not worth a connection"),
        row!(Close, [], Ignored, "the socket is gone in any case"),
    ]
};

/// What the call's error means to the attempt that it ends.
pub(crate) fn meaning(call: Call, errno: Errno) -> AttemptErrorKind {
    let row = find(call, errno).or_else(|| match call {
        // A kind of `connect`, which has the rest.
        Call::ConnectFromSource => find(Call::Connect, errno),
        _ => None,
    });
    match row.map(|row| row.means) {
        Some(Means::Fails(kind)) => kind,
        // Of the rest nobody asks what they mean to an attempt that has ended: `EINTR` as `SO_ERROR`, say.
        _ => Other,
    }
}

/// Whether a `connect` that answers this has begun a handshake.
pub(crate) fn has_begun(errno: Errno) -> bool {
    find(Call::Connect, errno).is_some_and(|row| row.means == Means::Begun)
}

/// Whether a `poll` that answers this has only been woken early.
pub(crate) fn has_woken(errno: Errno) -> bool {
    find(Call::Poll, errno).is_some_and(|row| row.means == Means::Wakes)
}

/// The table's own words for an error of this kind and number. What two calls say of one of both they say in
/// the same words.
pub(crate) fn words(kind: AttemptErrorKind, errno: Errno) -> Option<&'static str> {
    let name = name(errno)?;
    let mut rows = ROWS.iter().filter(|row| row.means == Means::Fails(kind) && row.names.contains(&name));
    rows.find_map(|row| row.words)
}

fn find(call: Call, errno: Errno) -> Option<&'static Row> {
    let name = name(errno)?;
    ROWS.iter().find(|row| row.call == call && row.names.contains(&name))
}

fn name(errno: Errno) -> Option<Name> {
    HERE.iter().find(|(here, _)| *here == errno).map(|&(_, name)| name)
}

#[cfg(test)]
mod tests;
