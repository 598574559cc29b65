//! A driver for the Ethernet controller of the Stellaris LM3S6965, as a [`smoltcp::phy::Device`].
//!
//! Names are those of the data sheet (LM3S6965, chapter "Ethernet Controller", DS-LM3S6965), without the
//! prefix `MAC`.
//!
//! The controller has a 2 KiB FIFO for each direction and no DMA: the processor moves every word itself,
//! through one register, `DATA`.
//!
//! - **Receiving.** `NP` counts the frames that wait. A frame begins with two bytes for its length, which
//!   counts these two and the four of the check sequence at the end, and takes whole words. The FIFO has no
//!   way to skip a frame: reading fewer words than a frame has puts the next one out of step, so one that is
//!   too long for us is read to its end all the same.
//! - **Sending.** The first word takes the length of the frame *less its header of 14 bytes* and the first
//!   two bytes. `TR` starts the transmission, and reads as 1 until the frame has left.
//!
//! No frame is lost that the controller has taken: frames stay in its FIFO until smoltcp asks for them, and
//! smoltcp is not offered one while a reply to it could not be sent.

#[cfg(feature = "embassy")]
mod embassy;

#[cfg(feature = "embassy")]
pub use embassy::{Driver, FrameWaker};
use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

const HEADER: usize = 14;

/// The longest frame that is taken in, without its check sequence. RFC 8200 section 5: "IPv6 requires that
/// every link in the Internet have an MTU of 1280 octets or greater." Nobody has a reason to send us more:
/// what we announce by TCP, DNS and DHCP is less.
pub const LONGEST_RECEIVED: usize = HEADER + 1280;
/// The longest frame that is sent, without its check sequence. smoltcp derives from it what it announces:
/// segments of 584 octets and more, where a socket has room for 512; and DHCP messages of 576, the least that
/// is allowed (RFC 2132 section 9.10).
pub const LONGEST_SENT: usize = HEADER + 644;

/// The length that begins a frame in the receive FIFO.
const LENGTH: usize = 2;
/// The frame check sequence, which the controller has verified and leaves at the end of a frame.
const CHECK: usize = 4;

/// A register, as its offset from the controller's base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Register {
    /// `MACRIS` when read: which interrupts are raised, masked or not. `MACIACK` when written: ones lower
    /// them.
    RawInterruptStatus = 0x00,
    /// `MACIM`: ones let an interrupt through.
    InterruptMask = 0x04,
    /// `MACRCTL`
    ReceiveControl = 0x08,
    /// `MACTCTL`
    TransmitControl = 0x0c,
    /// `MACDATA`: the receive FIFO when read, the transmit FIFO when written.
    Data = 0x10,
    /// `MACIA0`: the first four bytes of our hardware address, the first one lowest.
    IndividualAddress0 = 0x14,
    /// `MACIA1`: the other two.
    IndividualAddress1 = 0x18,
    /// `MACTHR`: how much of a frame must be in the FIFO before it leaves; 0x3f waits for the whole.
    Threshold = 0x1c,
    /// `MACNP`: the number of frames in the receive FIFO.
    NumberOfPackets = 0x34,
    /// `MACTR`: 1 starts a transmission.
    TransmissionRequest = 0x38,
}

/// `RXINT`: a frame has come.
const RECEIVED: u32 = 0x01;
/// `FOV`: a frame was lost because the FIFO was full.
const OVERRUN: u32 = 0x08;
/// All that `MACIACK` can lower.
const ALL: u32 = 0x7f;

/// `RXEN`
const RECEIVER_ENABLE: u32 = 0x01;
/// `AMUL`: multicast as well. IPv6 cannot find its neighbours without.
const ALL_MULTICAST: u32 = 0x02;
/// `BADCRC`: frames with a wrong check sequence are dropped.
const DROP_BAD_CRC: u32 = 0x08;
/// `RSTFIFO`: empties the receive FIFO.
const RESET_FIFO: u32 = 0x10;
const RECEIVE: u32 = RECEIVER_ENABLE | ALL_MULTICAST | DROP_BAD_CRC;

/// `TXEN`, `PADEN` (pads short frames to 60 bytes), `CRC` (adds the check sequence), `DUPLEX` (full).
const TRANSMIT: u32 = 0x01 | 0x02 | 0x04 | 0x10;

/// Where the registers are: the memory of a microcontroller, or a model of the controller in a test.
pub trait Registers {
    /// Reads a register. Reading [`Register::Data`] takes a word out of the FIFO.
    fn read(&mut self, register: Register) -> u32;
    /// Writes a register.
    fn write(&mut self, register: Register, value: u32);
}

/// Room for a frame that was received, and behind it for the answer. A frame that is not an answer is written
/// from the start.
#[derive(Debug)]
pub struct Frames([u8; LONGEST_RECEIVED + LONGEST_SENT]);

impl Frames {
    /// Room without a frame in it.
    pub const EMPTY: Frames = Frames([0; LONGEST_RECEIVED + LONGEST_SENT]);

    /// A frame of this length that was received, and room for the answer.
    fn received(&mut self, length: usize) -> Option<(&mut [u8], &mut [u8])> {
        // `length` is at most `LONGEST_RECEIVED`, so there is room.
        self.0.split_at_mut_checked(length)
    }
}

/// The controller.
#[derive(Debug)]
pub struct Ethernet<'f, R> {
    registers: R,
    frames: &'f mut Frames,
    counts: Counts,
}

/// What has passed, and what could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames handed to smoltcp.
    pub received: u32,
    /// Frames sent.
    pub sent: u32,
    /// Frames read from the FIFO and dropped: too long, or too short to have a header.
    pub dropped: u32,
    /// How often the controller told of frames that it had no room for, or the FIFO was found out of step.
    /// Each time the FIFO was emptied.
    pub resets: u32,
}

impl<'f, R: Registers> Ethernet<'f, R> {
    /// Starts the controller. Its interrupts stay masked: see [`unmask`](Self::unmask).
    pub fn start(mut registers: R, frames: &'f mut Frames) -> Self {
        // After a reset the mask lets everything through.
        registers.write(Register::InterruptMask, 0);
        registers.write(Register::ReceiveControl, RESET_FIFO);
        registers.write(Register::RawInterruptStatus, ALL);
        registers.write(Register::Threshold, 0x3f);
        registers.write(Register::TransmitControl, TRANSMIT);
        registers.write(Register::ReceiveControl, RECEIVE);
        Ethernet { registers, frames, counts: Counts::default() }
    }

    /// The hardware address. A board's boot loader writes it there, and so does QEMU.
    pub fn hardware_address(&mut self) -> [u8; 6] {
        let [a, b, c, d] = self.registers.read(Register::IndividualAddress0).to_le_bytes();
        let [e, f, _, _] = self.registers.read(Register::IndividualAddress1).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Lets a frame that comes raise the controller's interrupt.
    pub fn unmask(&mut self) {
        self.registers.write(Register::InterruptMask, RECEIVED);
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn waiting(&mut self) -> u32 {
        self.registers.read(Register::NumberOfPackets)
    }

    /// Whether the last frame is still on its way out.
    fn is_sending(&mut self) -> bool {
        self.registers.read(Register::TransmissionRequest) & 1 == 1
    }

    /// Takes the next frame that is one out of the FIFO, and says how long it is.
    fn take(&mut self) -> Option<usize> {
        if self.registers.read(Register::RawInterruptStatus) & OVERRUN != 0 {
            self.reset();
        }
        // Before the look at the queue: a frame that comes after the look raises the interrupt anew.
        self.registers.write(Register::RawInterruptStatus, RECEIVED);
        while self.waiting() > 0 {
            let first = self.registers.read(Register::Data);
            let length = (first & 0xffff) as usize;
            // The FIFO has 2 KiB: no frame in it is longer, whatever its length says.
            if !(LENGTH + CHECK..=2048).contains(&length) {
                self.reset();
                continue;
            }
            if let Some(length) = self.drain(first, length) {
                return Some(length);
            }
            self.counts.dropped = self.counts.dropped.wrapping_add(1);
        }
        None
    }

    /// Reads the rest of a frame of which `first` is the first word, all of it, and says how long it is
    /// without what the controller adds. `None` where that is not the length of a frame.
    fn drain(&mut self, first: u32, length: usize) -> Option<usize> {
        // The frame begins in the middle of the first word.
        let [.., a, b] = first.to_le_bytes();
        let (room, _) = self.frames.received(LONGEST_RECEIVED)?;
        let (head, rest) = room.split_at_mut(LENGTH);
        head.copy_from_slice(&[a, b]);
        let mut places = rest.chunks_mut(4);
        for _ in 1..length.div_ceil(4) {
            let word = self.registers.read(Register::Data).to_le_bytes();
            if let Some(place) = places.next() {
                // The last place of the buffer may be shorter than a word.
                place.copy_from_slice(word.get(..place.len()).unwrap_or(&word));
            }
        }
        let length = length - LENGTH - CHECK;
        (HEADER..=LONGEST_RECEIVED).contains(&length).then_some(length)
    }

    /// Empties the receive FIFO. The frames in it are lost; they would be unreadable.
    fn reset(&mut self) {
        self.registers.write(Register::ReceiveControl, RECEIVE | RESET_FIFO);
        self.registers.write(Register::RawInterruptStatus, OVERRUN);
        self.registers.write(Register::ReceiveControl, RECEIVE);
        self.counts.resets = self.counts.resets.wrapping_add(1);
    }
}

/// Writes a frame of at least a header to the transmit FIFO and starts the transmission.
fn send<R: Registers>(registers: &mut R, frame: &[u8]) {
    let (head, rest) = frame.split_at(LENGTH.min(frame.len()));
    let length = frame.len().saturating_sub(HEADER) as u32;
    registers.write(Register::Data, length | word(head) << 16);
    for bytes in rest.chunks(4) {
        registers.write(Register::Data, word(bytes));
    }
    registers.write(Register::TransmissionRequest, 1);
}

/// Up to four bytes as a word, the first one lowest.
fn word(bytes: &[u8]) -> u32 {
    let mut whole = [0; 4];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    u32::from_le_bytes(whole)
}

impl<R: Registers> phy::Device for Ethernet<'_, R> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'a, R>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, ToSend<'_, R>)> {
        // A frame may be answered at once, so none is taken while the answer could not be sent.
        if self.is_sending() {
            return None;
        }
        let length = self.take()?;
        self.counts.received = self.counts.received.wrapping_add(1);
        let (received, room) = self.frames.received(length)?;
        let answer = ToSend { registers: &mut self.registers, room, sent: &mut self.counts.sent };
        Some((Received(received), answer))
    }

    fn transmit(&mut self, _now: Instant) -> Option<ToSend<'_, R>> {
        if self.is_sending() {
            return None;
        }
        Some(ToSend { registers: &mut self.registers, room: &mut self.frames.0, sent: &mut self.counts.sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_SENT;
        // Sockets have windows of 512 octets, and the FIFO holds one full frame and some small ones.
        capabilities.max_burst_size = Some(1);
        // The controller knows nothing of IP. Every checksum is ours to make and to verify.
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

/// A frame that came in.
#[derive(Debug)]
pub struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        read(self.0)
    }
}

/// Leave to send a frame.
#[derive(Debug)]
pub struct ToSend<'a, R> {
    registers: &'a mut R,
    room: &'a mut [u8],
    sent: &'a mut u32,
}

impl<R: Registers> phy::TxToken for ToSend<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, write: F) -> T {
        // smoltcp asks for no more than `max_transmission_unit`: it sends no IPv6 packet that is longer, and
        // an ICMPv4 error is no longer than 576 octets. So the long ICMPv6 errors, of up to 1280, are not
        // sent. Its writers index what they are given, and would panic where that is too short.
        let frame = match self.room.get_mut(..length) {
            Some(frame) => frame,
            None => self.room,
        };
        let result = write(frame);
        send(self.registers, frame);
        *self.sent = self.sent.wrapping_add(1);
        result
    }
}
