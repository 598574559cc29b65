//! Network devices and their addresses, by rtnetlink(7) messages.
//!
//! The program `ip` could do this too. But while a process is being started, it holds copies of all the
//! descriptors of this one; a socket that another test closes in that moment stays open a little longer, and
//! its counts go wrong.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_ACK`: the kernel answers with an error number, which is 0 when all is well.
const REQUEST: u16 = 0x1 | 0x4;
/// `NLM_F_CREATE | NLM_F_EXCL`
const CREATE: u16 = 0x400 | 0x200;

const IFF_UP: u32 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No duplicate address detection: the address can be used at once.
const IFA_F_NODAD: u8 = 2;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The network devices of the namespace in which it was opened.
pub(super) struct Devices {
    socket: OwnedFd,
}

impl Devices {
    /// # Errors
    /// When the process has no descriptor left.
    pub(super) fn open() -> io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // Protocol 0 is NETLINK_ROUTE.
        Ok(Self { socket: rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)? })
    }

    /// Brings a device up.
    ///
    /// # Errors
    /// When there is no such device, or no right over the namespace.
    pub(super) fn up(&self, device: &str) -> io::Result<()> {
        self.change_link(device, &[])
    }

    /// Brings a device up that takes packets of `mtu` octets and holds up to `queue` of them back.
    ///
    /// # Errors
    /// As [`up`](Self::up).
    pub(super) fn up_with(&self, device: &str, mtu: u32, queue: u32) -> io::Result<()> {
        let mtu = attribute(IFLA_MTU, &mtu.to_ne_bytes());
        let queue = attribute(IFLA_TXQLEN, &queue.to_ne_bytes());
        self.change_link(device, &[mtu, queue].concat())
    }

    /// Gives a device an address; the whole network of `prefix` bits around it lies behind the device.
    ///
    /// # Errors
    /// As [`up`](Self::up), and when the address is taken.
    pub(super) fn add_address(&self, device: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let (family, octets) = match address {
            IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
        };
        // struct ifaddrmsg: family, prefix length, flags, scope, device.
        let mut message = vec![family, prefix, IFA_F_NODAD, 0];
        message.extend(self.index(device)?.to_ne_bytes());
        message.extend(attribute(IFA_LOCAL, &octets));
        message.extend(attribute(IFA_ADDRESS, &octets));
        self.ask(RTM_NEWADDR, REQUEST | CREATE, &message)
    }

    fn change_link(&self, device: &str, attributes: &[u8]) -> io::Result<()> {
        // struct ifinfomsg: family, padding, type, device, flags, which of the flags to change.
        let mut message = vec![AF_UNSPEC, 0, 0, 0];
        message.extend(self.index(device)?.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes());
        message.extend(attributes);
        self.ask(RTM_NEWLINK, REQUEST, &message)
    }

    fn index(&self, device: &str) -> io::Result<u32> {
        Ok(rustix::net::netdevice::name_to_index(&self.socket, device)?)
    }

    /// Sends one message and waits for the kernel's answer, which comes at once.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        // struct nlmsghdr: length, type, flags, sequence number, port.
        let length = u32::try_from(16 + body.len()).expect("messages are short");
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        rustix::net::send(&self.socket, &message, SendFlags::empty())?;

        let mut answer = [0; 1024];
        let (length, _) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        match answer[..length] {
            [_, _, _, _, a, b, _, _, _, _, _, _, _, _, _, _, c, d, e, f, ..]
                if u16::from_ne_bytes([a, b]) == NLMSG_ERROR =>
            {
                match i32::from_ne_bytes([c, d, e, f]) {
                    0 => Ok(()),
                    error => Err(Errno::from_raw_os_error(error.wrapping_neg()).into()),
                }
            }
            _ => Err(io::Error::other("an answer that is none")),
        }
    }
}

/// struct rtattr: length, type and the value, of a multiple of four octets.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    assert!(value.len().is_multiple_of(4), "the values used here need no padding");
    let length = u16::try_from(4 + value.len()).expect("values are short");
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
}
