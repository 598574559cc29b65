//! System calls that fail on purpose, by a filter of the kernel's (seccomp(2)).

use std::io;

use rustix::thread::set_no_new_privs;

/// The numbers of the calls of a connection attempt.
pub mod calls {
    pub use libc::{
        SYS_bind as BIND, SYS_close as CLOSE, SYS_connect as CONNECT, SYS_epoll_ctl as EPOLL_CTL,
        SYS_getpeername as GETPEERNAME, SYS_getsockopt as GETSOCKOPT, SYS_setsockopt as SETSOCKOPT,
        SYS_socket as SOCKET,
    };

    /// What makes a thread, or a process.
    pub const CLONE: &[libc::c_long] = &[libc::SYS_clone, libc::SYS_clone3];

    /// Newer architectures have only one of both.
    pub const POLL: &[libc::c_long] = &[
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
    ];
}

/// A call that is to fail.
#[derive(Clone, Copy, Debug)]
pub struct Denied {
    /// Its number, of those in [`calls`].
    pub call: libc::c_long,
    /// Only where the argument at this place, counted from 0, has this value.
    pub argument: Option<(u32, u32)>,
    /// What it says.
    pub errno: i32,
}

/// Has these calls of this thread, and of the threads that it starts, fail from now on. Nothing takes that
/// back.
///
/// # Errors
///
/// What the kernel says that takes no filter.
pub fn deny(calls: &[Denied]) -> io::Result<()> {
    let mut filter: Vec<_> = calls.iter().flat_map(block).collect();
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // What a filter takes from an ordinary user: no program that this thread runs gains privileges.
    set_no_new_privs(true)?;
    // SAFETY: `program` points to `length` instructions in `filter`. The kernel copies them within the call.
    let answer = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Falls through to what comes next where it is another call.
fn block(denied: &Denied) -> Vec<libc::sock_filter> {
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset);
    let skips_unless =
        |value, skipped| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, value);
    let number = u32::try_from(denied.call).expect("a system call's number");
    let errno = u32::try_from(denied.errno).expect("an error number") & libc::SECCOMP_RET_DATA;
    let fails = instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | errno);
    match denied.argument {
        None => vec![load(0), skips_unless(number, 1), fails],
        Some((place, value)) => {
            // `struct seccomp_data`: 16 bytes, then the arguments of eight bytes, of which this is the low
            // half.
            let offset = 16 + 8 * place + if cfg!(target_endian = "big") { 4 } else { 0 };
            vec![load(0), skips_unless(number, 3), load(offset), skips_unless(value, 1), fails]
        }
    }
}

/// `skipped` is how many are left out where a comparison does not hold.
fn instruction(code: u32, skipped: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("a code"), jt: 0, jf: skipped, k }
}
