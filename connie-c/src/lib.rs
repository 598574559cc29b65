//! connie for C: `connie_connect` looks a host up, tries its addresses all at once and hands out the
//! descriptor of the connection that was established first. `include/connie.h` is the reference, `docs/c.md`
//! the introduction.
//!
//! Everything that takes a raw pointer is in this file, and nothing else is: what a call does is safe Rust
//! over `connie-std`. A panic would end the process, as it does in every `extern "C"` function; none can be
//! reached.
//!
//! The header is made of this file alone, by cbindgen.

#![cfg(unix)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![expect(clippy::missing_safety_doc, reason = "the documentation is that of the header, in C's terms")]

mod call_error;
mod memory;
mod message;
mod options;
mod visit;

use std::ffi::{CStr, c_char, c_int};
use std::net::TcpStream;
use std::os::fd::{BorrowedFd, IntoRawFd};

use connie_std::{MAX_DESTINATIONS, Options};

use call_error::CallError;
use memory::Memory;
use options::CallOptions;
use visit::LastVisit;

/// What a call returns: 0, or a negative number for what went wrong. `connie_last_error` says it in words.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connie {
    /// There is a connection.
    Ok = 0,
    /// A pointer is NULL, the port is 0, or the host is neither a name nor an address. Nothing was tried.
    /// Like EINVAL.
    InvalidArgument = -1,
    /// There is no such name, or it has no address. Like EAI_NONAME of getaddrinfo.
    NameNotFound = -2,
    /// The name could not be resolved; it may work the next time. Like EAI_AGAIN of getaddrinfo.
    LookupFailed = -3,
    /// The time allowed for the lookup and the addresses has passed, or the system has given up each address.
    /// Like ETIMEDOUT.
    TimedOut = -4,
    /// The process, or the system, has no descriptor left. Like EMFILE.
    OutOfDescriptors = -5,
    /// Nothing listens on that port: a machine has answered, and refused. Like ECONNREFUSED.
    Refused = -6,
    /// The connection was reset before it could be used. Like ECONNRESET.
    Reset = -7,
    /// The host cannot be reached: there is no route, this machine has no address of its family, or a router
    /// or firewall said so. Like EHOSTUNREACH.
    Unreachable = -8,
    /// The network is down: the interface on the route to the host. Like ENETDOWN.
    NetworkDown = -9,
    /// Anything else. Like EIO.
    Other = -10,
    /// The descriptor of `connie_options_set_cancel_fd` was ready to read. Like ECANCELED.
    Canceled = -11,
    /// This machine does not let the program connect there: a local rule, a sandbox, a missing permission.
    /// Like EACCES.
    Denied = -12,
}

/// The version of this header. That of the library is `connie_version`.
pub const CONNIE_VERSION_MAJOR: u32 = 0;
/// Raised by what can break a caller, before 1.0.
pub const CONNIE_VERSION_MINOR: u32 = 1;
/// Raised by everything else.
pub const CONNIE_VERSION_PATCH: u32 = 0;

/// How to connect: made by `connie_options_new`, changed by its setters, given to any number of calls, also
/// of several threads at once, and freed once none of them is under way. It must not be changed while a call
/// has it.
pub struct ConnieOptions(CallOptions);

/// What connections have learnt about addresses: which answer, how fast, and which are dead. With it one SYN
/// is enough on nearly every visit to a host but the first. Made by `connie_memory_new` or
/// `connie_memory_load`, given to options by `connie_options_set_memory`. Any number of options and threads
/// may share one. docs/memory.md says what it keeps, and for how long.
pub struct ConnieMemory(Memory);

/// A visit to a host that a memory has learnt from, for what its caller finds out of the connection later.
pub struct ConnieVisit(LastVisit);

/// What a caller found out about the address behind a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnieVerdict {
    /// It works.
    Good = 0,
    /// It refuses to work, such as a server that is overloaded or shuts down.
    Refused = 1,
    /// It does not answer.
    Stalled = 2,
    /// TLS failed, and not for its certificate's name or issuer, which say nothing about an address.
    TlsFailed = 3,
}

/// Connects to the address of `host` that answers first, and stores the connection's descriptor in `*fd`.
///
/// `host` is a name (`example.org`) or an address (`192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`). A name is
/// resolved for IPv6 and IPv4 at once, by the system's resolver, and every address is tried as soon as it is
/// known, up to 16 at a time; those that stay silent make room for others. The first that completes its TCP
/// handshake is kept, all others are closed.
///
/// `timeout_ms` limits the whole call, in milliseconds, including the lookup. 0 sets no limit: then a host
/// that stays silent takes as long as the system's own timeout, some two minutes on Linux.
///
/// Returns CONNIE_OK, or one of the errors of `enum connie`. Where the addresses of a host have failed in
/// different ways, it is CONNIE_REFUSED if any has refused; else CONNIE_TIMED_OUT, if any was silent; else
/// CONNIE_UNREACHABLE or CONNIE_NETWORK_DOWN, if none can be reached; else that of the first. The message of
/// `connie_last_error` has each of them.
///
/// The descriptor is a connected TCP socket that blocks, is closed on exec, and sends small segments at once
/// (TCP_NODELAY). It is the caller's to close. After an error `*fd` is -1 and nothing is left open.
///
/// `host` must be NULL or a string that ends in a NUL; `fd` must be NULL or point to an int. May be called by
/// any number of threads at once; the races of a process share three quarters of the descriptors that it may
/// have, and wait for one another within their time. A call takes less than 128 KiB of its thread's stack. A
/// signal does not end it, and a signal handler must not call it. The child of a `fork` may call it, also
/// where other threads of the parent were in a call at that moment: with a time limit, since the system's
/// resolver may hang there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_connect(
    host: *const c_char,
    port: u16,
    timeout_ms: u32,
    fd: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promises about `host` are those of `text`.
    let host = unsafe { text(host) };
    let connect = || {
        let host = call_error::utf8(host.ok_or_else(|| CallError::invalid("the host is NULL"))?)?;
        call_error::connect((host, port).into(), port, &of(None, timeout_ms)?)
    };
    // SAFETY: `fd` is NULL or points to an int, as the caller promises.
    unsafe { answer(connect, fd) }
}

/// Like `connie_connect`, for a caller that has resolved the host already: tries these addresses, best first.
///
/// `addresses` is an array of `count` strings, each an address without a port: `192.0.2.1`, `2001:db8::1`,
/// `fe80::1%eth0`, as getnameinfo writes with NI_NUMERICHOST. The first 128 are tried; a name among them is
/// CONNIE_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_connect_addresses(
    addresses: *const *const c_char,
    count: usize,
    port: u16,
    timeout_ms: u32,
    fd: *mut c_int,
) -> c_int {
    // SAFETY: NULL stands for no options; the caller's promises about the rest are those of this function.
    unsafe { connie_connect_addresses_with(std::ptr::null(), addresses, count, port, timeout_ms, fd) }
}

/// Like `connie_connect`, with `options`, which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_connect_with(
    options: *const ConnieOptions,
    host: *const c_char,
    port: u16,
    timeout_ms: u32,
    fd: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promises about `host` are those of `text`; `options` is NULL or was made here and
    // not freed.
    let (host, options) = unsafe { (text(host), options.as_ref()) };
    let connect = || {
        let host = call_error::utf8(host.ok_or_else(|| CallError::invalid("the host is NULL"))?)?;
        call_error::connect((host, port).into(), port, &of(options, timeout_ms)?)
    };
    // SAFETY: `fd` is NULL or points to an int, as the caller promises.
    unsafe { answer(connect, fd) }
}

/// Like `connie_connect_addresses`, with `options`, which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_connect_addresses_with(
    options: *const ConnieOptions,
    addresses: *const *const c_char,
    count: usize,
    port: u16,
    timeout_ms: u32,
    fd: *mut c_int,
) -> c_int {
    let mut found = Vec::new();
    if !addresses.is_null() {
        for index in 0..count.min(MAX_DESTINATIONS) {
            // SAFETY: the caller promises `count` pointers from `addresses` on, each of which is what `text`
            // wants.
            found.push(unsafe { text(*addresses.add(index)) });
        }
    }
    // SAFETY: `options` is NULL or was made here and not freed, as the caller promises.
    let options = unsafe { options.as_ref() };
    let connect = || {
        let addresses = call_error::addresses(&found, port)?;
        call_error::connect((&addresses).into(), port, &of(options, timeout_ms)?)
    };
    // SAFETY: `fd` is NULL or points to an int, as the caller promises.
    unsafe { answer(connect, fd) }
}

/// Options that are those of `connie_connect`, to be changed. Never NULL; to be freed by
/// `connie_options_free`.
#[unsafe(no_mangle)]
pub extern "C" fn connie_options_new() -> *mut ConnieOptions {
    Box::into_raw(Box::new(ConnieOptions(CallOptions::default())))
}

/// Frees options. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_free(options: *mut ConnieOptions) {
    if !options.is_null() {
        // SAFETY: made by `connie_options_new`, and freed this once, as the caller promises.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// Ends each call with CONNIE_CANCELED once `cancel_fd` is ready to read, or the other end of it is closed: a
/// pipe, a socket or an eventfd, to which another thread or a signal handler writes. The library never reads
/// from it, so a call that begins while it is ready ends at once; and it keeps a duplicate, so that
/// `cancel_fd` may be closed. -1 removes it.
///
/// Each setter returns CONNIE_OK, or CONNIE_INVALID_ARGUMENT and changes nothing; `connie_last_error` says
/// why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_cancel_fd(
    options: *mut ConnieOptions,
    cancel_fd: c_int,
) -> c_int {
    // A descriptor that is not open is refused by the duplication. -1 alone could be none.
    // SAFETY: it is borrowed during this call, in which the caller does not close it.
    let descriptor = (cancel_fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(cancel_fd) });
    let set = |settings: &mut CallOptions| match (cancel_fd, descriptor) {
        (-1, _) => settings.cancel_by(None),
        (_, Some(descriptor)) => settings.cancel_by(Some(descriptor)),
        (_, None) => Err(CallError::invalid(format!("{cancel_fd} is not a file descriptor"))),
    };
    // SAFETY: `options` is NULL or was made here, not freed, and nobody else's during this call, as the
    // caller promises.
    unsafe { change(options, set) }
}

/// When the next address is tried: `all-at-once` (the default), `staggered` (RFC 8305, Happy Eyeballs) or
/// `one-by-one`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_pacing(
    options: *mut ConnieOptions,
    name: *const c_char,
) -> c_int {
    // SAFETY: the caller's promises about `name` are those of `text`.
    let name = unsafe { text(name) };
    let set = |settings: &mut CallOptions| match options::text(name)? {
        Some(name) => settings.pacing(name),
        None => Err(CallError::invalid("the pacing is NULL")),
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// The most addresses that are tried at the same time, each with a socket: 1 to 64, 16 by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_max_in_flight(options: *mut ConnieOptions, count: u32) -> c_int {
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, |settings| settings.max_in_flight(count)) }
}

/// How long a silent address keeps its socket while another waits for one, in milliseconds: 10 to 600,000,
/// 250 by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_patience(
    options: *mut ConnieOptions,
    milliseconds: u32,
) -> c_int {
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, |settings| settings.patience(milliseconds)) }
}

/// The one family of addresses to try: 4 or 6; 0 is both, the default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_family(options: *mut ConnieOptions, family: u32) -> c_int {
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, |settings| settings.family(family)) }
}

/// The address to connect from, of its family: `192.0.2.1`, `2001:db8::1`. One alone excludes the other
/// family. NULL removes both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_source(
    options: *mut ConnieOptions,
    address: *const c_char,
) -> c_int {
    // SAFETY: the caller's promises about `address` are those of `text`.
    let address = unsafe { text(address) };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, |settings| settings.source(options::text(address)?)) }
}

/// The port to connect from, or the first of a range that is free. 0 and 0 let the system choose, which is
/// the default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_local_ports(
    options: *mut ConnieOptions,
    first: u16,
    last: u16,
) -> c_int {
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, |settings| settings.local_ports(first, last)) }
}

/// The interface that packets leave and enter by (SO_BINDTODEVICE): `eth0`. Linux. NULL removes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_interface(
    options: *mut ConnieOptions,
    name: *const c_char,
) -> c_int {
    // SAFETY: the caller's promises about `name` are those of `text`.
    let name = unsafe { text(name) };
    let set = |settings: &mut CallOptions| {
        settings.interface(options::text(name)?);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// Probes of a silent peer: the seconds before the first, those between two, and how many of them end the
/// connection. 0 is the system's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_keepalive(
    options: *mut ConnieOptions,
    idle_seconds: u32,
    interval_seconds: u32,
    count: u32,
) -> c_int {
    let set = |settings: &mut CallOptions| {
        settings.keepalive(idle_seconds, interval_seconds, count);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// SO_SNDBUF and SO_RCVBUF, in octets, before the connection is made. 0 is the system's own, the default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_buffers(
    options: *mut ConnieOptions,
    send: usize,
    receive: usize,
) -> c_int {
    let set = |settings: &mut CallOptions| {
        settings.buffers(send, receive);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// Whether the connection has TCP_NODELAY: yes by default, no for 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_nodelay(options: *mut ConnieOptions, is_set: c_int) -> c_int {
    let set = |settings: &mut CallOptions| {
        settings.nodelay(is_set != 0);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// The memory of the calls with these options: it says what to try first, and learns. NULL removes it. The
/// options keep what they need of it, so that it may be freed before them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_memory(
    options: *mut ConnieOptions,
    memory: *const ConnieMemory,
) -> c_int {
    // SAFETY: `memory` is NULL or was made here and not freed, as the caller promises.
    let memory = unsafe { memory.as_ref() }.map(|ConnieMemory(memory)| memory.clone());
    let set = |settings: &mut CallOptions| {
        settings.memory(memory);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// Whether a call with a memory goes where the one before went, as long as that address answers and none is
/// known to be better: for sessions that are bound to a server. No by default, and for 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_options_set_incumbent(options: *mut ConnieOptions, is_set: c_int) -> c_int {
    let set = |settings: &mut CallOptions| {
        settings.incumbent(is_set != 0);
        Ok(())
    };
    // SAFETY: as for `connie_options_set_cancel_fd`.
    unsafe { change(options, set) }
}

/// A memory that knows nothing: 40 KiB. Never NULL; to be freed by `connie_memory_free`.
#[unsafe(no_mangle)]
pub extern "C" fn connie_memory_new() -> *mut ConnieMemory {
    Box::into_raw(Box::new(ConnieMemory(Memory::new())))
}

/// Frees a memory. Options that have it keep it. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_free(memory: *mut ConnieMemory) {
    if !memory.is_null() {
        // SAFETY: made here, and freed this once, as the caller promises.
        drop(unsafe { Box::from_raw(memory) });
    }
}

/// Stores in `*memory` what `connie_memory_save` has written into the file `path`; an empty memory where
/// there is no such file. It is freed by `connie_memory_free`. Returns CONNIE_OK, CONNIE_INVALID_ARGUMENT for
/// a NULL, or CONNIE_OTHER where the file cannot be read or holds something else: then `*memory` is NULL, and
/// `connie_last_error` says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_load(path: *const c_char, memory: *mut *mut ConnieMemory) -> c_int {
    if memory.is_null() {
        return message::record(Err(CallError::invalid("memory is NULL: there is nowhere to store it")));
    }
    // SAFETY: the caller's promises about `path` are those of `text`.
    let path = unsafe { text(path) };
    let (made, error) = match memory::load(path) {
        Ok(loaded) => (Box::into_raw(Box::new(ConnieMemory(loaded))), message::record(Ok(()))),
        Err(failed) => (std::ptr::null_mut(), message::record(Err(failed))),
    };
    // SAFETY: not NULL, and so a pointer of the caller's.
    unsafe { memory.write(made) };
    error
}

/// Writes a memory into the file `path`, which only its owner may read: addresses, and hosts as hashes that
/// no other machine can tell. A program that reads or writes the file at the same time finds a whole memory.
/// Returns CONNIE_OK, CONNIE_INVALID_ARGUMENT for a NULL, or CONNIE_OTHER where it cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_save(memory: *const ConnieMemory, path: *const c_char) -> c_int {
    // SAFETY: the caller's promises about `path` are those of `text`; `memory` is NULL or was made here and
    // not freed.
    let (path, memory) = unsafe { (text(path), memory.as_ref()) };
    message::record(memory::save(memory.map(|ConnieMemory(memory)| memory), path))
}

/// The same memory for the part of a program that `number` stands for, another user say: what one part learns
/// the others do not use. The part with the number 0 is that of `connie_memory_new`. NULL for NULL; to be
/// freed by `connie_memory_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_partition(
    memory: *const ConnieMemory,
    number: u32,
) -> *mut ConnieMemory {
    // SAFETY: `memory` is NULL or was made here and not freed, as the caller promises.
    match unsafe { memory.as_ref() } {
        Some(ConnieMemory(memory)) => Box::into_raw(Box::new(ConnieMemory(memory.partition(number)))),
        None => std::ptr::null_mut(),
    }
}

/// Forgets all, in every part: for a program that knows that the machine is on another network, and to remove
/// what is kept of a user. NULL forgets nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_forget(memory: *const ConnieMemory) {
    // SAFETY: `memory` is NULL or was made here and not freed, as the caller promises.
    if let Some(ConnieMemory(memory)) = unsafe { memory.as_ref() } {
        memory.forget();
    }
}

/// How many addresses a memory knows, on all networks and in all parts. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_memory_count(memory: *const ConnieMemory) -> usize {
    // SAFETY: `memory` is NULL or was made here and not freed, as the caller promises.
    unsafe { memory.as_ref() }.map_or(0, |ConnieMemory(memory)| memory.entries().len())
}

/// What the last connect of the calling thread was to its memory, where it had one and has connected; else
/// NULL. To be freed by `connie_visit_free`. `connie_visit_report` reports what TCP does not show: a server
/// that completes the handshake and then fails.
#[unsafe(no_mangle)]
pub extern "C" fn connie_last_visit() -> *mut ConnieVisit {
    message::last_visit().map_or(std::ptr::null_mut(), |visit| Box::into_raw(Box::new(ConnieVisit(visit))))
}

/// Reports to the memory what came of the connection, as one of `enum connie_verdict`: an address that is not
/// good is tried behind others for some time, for this host alone. NULL, and a number that is not a verdict,
/// report nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_visit_report(visit: *const ConnieVisit, verdict: c_int) {
    // SAFETY: `visit` is NULL or was made here and not freed, as the caller promises.
    if let Some(ConnieVisit(visit)) = unsafe { visit.as_ref() } {
        visit.report(verdict);
    }
}

/// Frees a visit. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_visit_free(visit: *mut ConnieVisit) {
    if !visit.is_null() {
        // SAFETY: made by `connie_last_visit`, and freed this once, as the caller promises.
        drop(unsafe { Box::from_raw(visit) });
    }
}

/// The version of the library: "0.1.0". The string is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn connie_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// What an error means, in a few words that never change: "connection refused". The string is never freed and
/// must not be written to. Any number may be asked for.
#[unsafe(no_mangle)]
pub extern "C" fn connie_strerror(error: c_int) -> *const c_char {
    call_error::words(error).as_ptr()
}

/// Writes what went wrong in the last connect of the calling thread into `message`: one line of UTF-8 that
/// names the host and the reason, and what became of each address. Empty where that call has succeeded, or
/// there was none.
///
/// Works as snprintf does: writes at most `capacity` octets, the last of them a NUL, and returns how long the
/// whole message is without its NUL; a result of `capacity` or more means that it was cut. `message` may be
/// NULL where `capacity` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_last_error(message: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the caller promises `capacity` octets from `message` on. The text is this thread's and is not
    // lent to anybody.
    message::with_last(|text| unsafe { copy(text, message, capacity) })
}

/// What became of one address in the last connect of the calling thread, which has failed: the first has the
/// `index` 0. Answers an error of `enum connie`, and writes a line with the address
/// (`192.0.2.1:443: connection refused`) into `line`, as `connie_last_error` does with its message. Answers
/// CONNIE_OK where there were not so many addresses, and leaves `line` as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connie_last_error_at(index: usize, line: *mut c_char, capacity: usize) -> c_int {
    let read = |error: Connie, text: &str| {
        // SAFETY: the caller promises `capacity` octets from `line` on. The text is this thread's and is not
        // lent to anybody.
        unsafe { copy(text, line, capacity) };
        error as c_int
    };
    message::with_address(index, read).unwrap_or(Connie::Ok as c_int)
}

/// Copies as much of the text as there is room for, and a NUL. Answers how long all of it is.
unsafe fn copy(text: &str, place: *mut c_char, capacity: usize) -> usize {
    let Some(room) = capacity.checked_sub(1).filter(|_| !place.is_null()) else { return text.len() };
    let cut = message::cut(text, room);
    // SAFETY: the caller promises `capacity` octets from `place` on, and what is written, with the NUL, is no
    // more.
    unsafe {
        std::ptr::copy_nonoverlapping(cut.as_ptr(), place.cast(), cut.len());
        place.add(cut.len()).write(0);
    }
    text.len()
}

/// The octets of a string of C; none where it is NULL.
unsafe fn text<'a>(string: *const c_char) -> Option<&'a CStr> {
    if string.is_null() {
        return None;
    }
    // SAFETY: the caller promises a string that ends in a NUL and stays as it is during the call.
    Some(unsafe { CStr::from_ptr(string) })
}

/// The options of one call.
fn of(options: Option<&ConnieOptions>, timeout_ms: u32) -> Result<Options, CallError> {
    match options {
        Some(ConnieOptions(settings)) => settings.for_call(timeout_ms),
        None => CallOptions::default().for_call(timeout_ms),
    }
}

/// Changes options, and keeps what was wrong for `connie_last_error`.
unsafe fn change(
    options: *mut ConnieOptions,
    set: impl FnOnce(&mut CallOptions) -> Result<(), CallError>,
) -> c_int {
    // SAFETY: NULL, or made by `connie_options_new`, not freed, and nobody else's during this call, as the
    // caller promises.
    let options = unsafe { options.as_mut() };
    let changed = match options {
        Some(ConnieOptions(settings)) => set(settings),
        None => Err(CallError::invalid("the options are NULL: make them with connie_options_new")),
    };
    message::record(changed)
}

/// Connects, and stores the outcome: the descriptor in `*fd`, what went wrong for `connie_last_error`.
unsafe fn answer(
    connect: impl FnOnce() -> Result<(TcpStream, Option<LastVisit>), CallError>,
    fd: *mut c_int,
) -> c_int {
    if fd.is_null() {
        let failed = CallError::invalid("fd is NULL: there is nowhere to store the descriptor");
        return message::record_connect(Err(failed));
    }
    let (descriptor, error) = match connect() {
        Ok((stream, visit)) => (stream.into_raw_fd(), message::record_connect(Ok(visit))),
        Err(failed) => (-1, message::record_connect(Err(failed))),
    };
    // SAFETY: not NULL, and so an int of the caller's.
    unsafe { fd.write(descriptor) };
    error
}
