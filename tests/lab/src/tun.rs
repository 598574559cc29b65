//! The TUN device: a network interface whose other end is a file descriptor of this process.

use std::ffi::c_int;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};

/// `struct ifreq` of netdevice(7) as TUNSETIFF reads it. Forty octets is its size on 64-bit machines, and
/// more than enough on others.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// `IFF_TUN | IFF_NO_PI`: whole IP packets with nothing before them.
const TUN_WITHOUT_HEADER: u16 = 0x0001 | 0x1000;
/// `IFF_TAP | IFF_NO_PI`: whole Ethernet frames with nothing before them.
const TAP_WITHOUT_HEADER: u16 = 0x0002 | 0x1000;

/// Opens the device through which TUN interfaces are made.
///
/// # Errors
/// As open(2): `NOENT` or `NODEV` without the kernel's `tun` module, `ACCESS` where users may not open it.
pub(super) fn open() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open("/dev/net/tun", flags, Mode::empty())
}

/// Makes a TUN interface in the network namespace in which `device` was opened.
///
/// # Errors
/// As TUNSETIFF: `PERM` without the right over the namespace, `BUSY` if the name is taken.
///
/// # Panics
/// When the name has more than 15 octets.
pub(super) fn create(device: &OwnedFd, name: &str) -> Result<(), Errno> {
    attach(device, name, TUN_WITHOUT_HEADER)
}

/// The same for a TAP interface.
///
/// # Errors
/// As [`create`].
///
/// # Panics
/// When the name has more than 15 octets.
pub(super) fn create_tap(device: &OwnedFd, name: &str) -> Result<(), Errno> {
    attach(device, name, TAP_WITHOUT_HEADER)
}

fn attach(device: &OwnedFd, name: &str, flags: u16) -> Result<(), Errno> {
    assert!(name.len() < 16, "an interface name has at most 15 octets");
    let mut request = InterfaceRequest { name: [0; 16], flags, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<c_int>(b'T', 202);
    // SAFETY: TUNSETIFF reads one `struct ifreq` and writes one back; `InterfaceRequest` has its layout for
    // the two fields that are used and is at least as large, and it outlives the call.
    unsafe { ioctl(device, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) }
}
