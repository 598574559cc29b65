//! The host's side of semihosting: what it is asked and told by (Arm, "Semihosting for AArch32 and AArch64").

use core::fmt::{self, Write};
use core::net::SocketAddr;

use super::stack;
use connie_core::plain::Number;
use connie_core::resolution::AddressText;
use cortex_m_semihosting::hio::{self, HostStream};
use cortex_m_semihosting::{nr, syscall, syscall1};
use static_cell::ConstStaticCell;

/// `SYS_EXIT_EXTENDED`
const EXIT_EXTENDED: usize = 0x20;
/// `ADP_Stopped_ApplicationExit`
const APPLICATION_EXIT: usize = 0x20026;

/// The longest command line that is read. `command_line::MAX_URL` leaves HTTP enough of it.
const LONGEST: usize = 1024;

/// A stream of the host's. Text is collected into lines, since each call stops the processor; what is left
/// goes out on drop.
pub struct Stream {
    host: Option<HostStream>,
    line: heapless::Vec<u8, 256>,
}

impl Stream {
    /// The host's standard error: for everything else.
    #[must_use]
    pub fn error() -> Self {
        Stream { host: hio::hstderr().ok(), line: heapless::Vec::new() }
    }

    /// Writes bytes. A host that does not take them cannot be told so either.
    pub fn put(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for byte in piece {
                if self.line.push(*byte).is_err() {
                    self.flush();
                    let _ = self.line.push(*byte);
                }
            }
            if piece.ends_with(b"\n") {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        if let Some(host) = &mut self.host {
            let _ = host.write_all(&self.line);
        }
        self.line.clear();
    }
}

impl Write for Stream {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The host's standard output: for the page alone, which comes in pieces that are long enough.
pub struct Output(Option<HostStream>);

impl Output {
    /// Opens it.
    #[must_use]
    pub fn new() -> Self {
        Output(hio::hstdout().ok())
    }

    /// Writes bytes. A host that does not take them cannot be told so either.
    pub fn put(&mut self, bytes: &[u8]) {
        if let Some(host) = &mut self.0 {
            let _ = host.write_all(bytes);
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// A line to the host's standard error.
pub fn say(line: fmt::Arguments<'_>) {
    let mut stream = Stream::error();
    let _ = writeln!(stream, "{line}");
}

/// A line of words, where they are built in: a program without them has none of the texts that only such a
/// line would print.
pub fn explain(line: fmt::Arguments<'_>) {
    if cfg!(feature = "words") {
        say(line);
    }
}

/// Says where a connection leads, where words are built in.
pub fn say_connected(to: SocketAddr) {
    explain(format_args!("connected to {}", AddressText(to)));
}

/// The command line: the path of the program and its arguments. `None` where it is too long, or not UTF-8, or
/// was taken before.
#[must_use]
pub fn command_line() -> Option<&'static str> {
    let (room, length) = command_line_in_room()?;
    core::str::from_utf8(room.get(..length)?).ok()
}

/// The same as bytes, which need not be text: the memory that begins with them, and how many they are.
#[must_use]
pub fn command_line_in_room() -> Option<(&'static mut [u8], usize)> {
    static ROOM: ConstStaticCell<[u8; LONGEST]> = ConstStaticCell::new([0; LONGEST]);

    let room = ROOM.try_take()?;
    let mut block = [room.as_mut_ptr() as usize, room.len()];
    // SAFETY: `SYS_GET_CMDLINE` takes a block of a buffer and its length, writes a string that ends with a
    // zero into the buffer, and its length, which does not count the zero, into the block. The buffer is ours
    // for ever.
    let failed = unsafe { syscall1(nr::GET_CMDLINE, (&raw mut block).expose_provenance()) };
    if failed != 0 {
        return None;
    }
    // Written by the host behind the compiler's back; a zero ends the text for certain.
    let [_, length] = unsafe { (&raw const block).read_volatile() };
    let length = room.get(..length)?.iter().position(|byte| *byte == 0).unwrap_or(length);
    Some((room, length))
}

/// Ticks of the host since it started the machine: `SYS_ELAPSED`. The only number here that is another one at
/// each start.
#[must_use]
pub fn elapsed() -> u64 {
    let mut ticks = [0_u32; 2];
    // SAFETY: `SYS_ELAPSED` writes two words, the low one first.
    unsafe { syscall1(nr::ELAPSED, (&raw mut ticks).expose_provenance()) };
    let [low, high] = ticks;
    u64::from(high) << 32 | u64::from(low)
}

/// The host's time in seconds since 1970: `SYS_TIME`, which has 32 bits.
#[must_use]
pub fn unix_time() -> u64 {
    // SAFETY: `SYS_TIME` takes and writes nothing.
    (unsafe { syscall1(nr::TIME, 0) }) as u64
}

/// Tells how much of the stack was used, and ends the program.
pub fn finish(code: u8) -> ! {
    let (most, room) = (Number::of_size(stack::high_water()), Number::of_size(stack::room()));
    say(format_args!("stack: {most} of {room} bytes used"));
    exit(code)
}

/// Ends the program with an exit code of the host's.
pub fn exit(code: u8) -> ! {
    let block = [APPLICATION_EXIT, usize::from(code)];
    // SAFETY: `SYS_EXIT_EXTENDED` reads a block of a reason and a code.
    unsafe { syscall(EXIT_EXTENDED, &block) };
    // Without a debugger there is no way out.
    loop {
        cortex_m::asm::bkpt();
    }
}

#[cortex_m_rt::exception]
// SAFETY: the handler touches nothing of the program's; it tells the host and ends.
unsafe fn HardFault(_frame: &cortex_m_rt::ExceptionFrame) -> ! {
    Stream::error().put(b"firmware: a hard fault; this is a bug\n");
    exit(101)
}

/// Looks at nothing of `_info`: then the linker leaves out the text and the place of each panic, smoltcp's
/// nearly two hundred among them, and what they would print by. That is a tenth of the flash.
#[cfg(not(feature = "panic-place"))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    Stream::error().put(b"firmware: panic; build it with the feature panic-place to see where\n");
    exit(101)
}

#[cfg(feature = "panic-place")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => say(format_args!("firmware: panic at {}:{}", place.file(), place.line())),
        None => say(format_args!("firmware: panic")),
    }
    exit(101)
}
