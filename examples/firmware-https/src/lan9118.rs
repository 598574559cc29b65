//! The Ethernet controller LAN9118, as embassy-net wants it: one frame at a time by way of the FIFOs.

use core::ptr;
use core::task::Context;

use embassy_net_driver::{Capabilities, HardwareAddress, LinkState};

/// Where it is on this board, and its registers (LAN9118 data sheet, section 5).
const BASE: usize = 0x4020_0000;
const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7c;
const TX_FIFO_INF: usize = 0x80;
const MAC_CSR_CMD: usize = 0xa4;
const MAC_CSR_DATA: usize = 0xa8;

/// Registers of its MAC, which are reached by two of the above.
const MAC_CR: u32 = 1;
const ADDRH: u32 = 2;
const ADDRL: u32 = 3;

/// QEMU gives it no other unless it is told to.
const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0x4d, 2];
/// A frame without its check sequence.
const MAX_FRAME: usize = 1514;

fn read(register: usize) -> u32 {
    // SAFETY: all callers give a register of the controller, which is there from reset on and aligned.
    unsafe { ptr::read_volatile(ptr::with_exposed_provenance(BASE + register)) }
}

fn write(register: usize, value: u32) {
    // SAFETY: as above. It has no DMA, and so touches no memory.
    unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(BASE + register), value) }
}

fn write_mac(register: u32, value: u32) {
    write(MAC_CSR_DATA, value);
    write(MAC_CSR_CMD, 1 << 31 | register);
    while read(MAC_CSR_CMD) >> 31 != 0 {}
}

/// The controller.
pub struct Driver {
    frame: [u8; MAX_FRAME],
}

impl Driver {
    /// Room for a frame.
    pub const fn new() -> Self {
        Driver { frame: [0; MAX_FRAME] }
    }

    /// Switches it on.
    pub fn start(&self) {
        // 5 KiB of its memory for sending, and the bit that must be one.
        write(HW_CFG, 5 << 16 | 1 << 20);
        let [a, b, c, d, e, f] = ADDRESS;
        write_mac(ADDRL, u32::from_le_bytes([a, b, c, d]));
        write_mac(ADDRH, u32::from_le_bytes([e, f, 0, 0]));
        // Receives, sends, and takes every multicast.
        write_mac(MAC_CR, 1 << 2 | 1 << 3 | 1 << 19);
        write(TX_CFG, 1 << 1);
    }
}

/// The words of a frame, each beginning with its first octet.
fn words(frame: &[u8]) -> impl Iterator<Item = u32> {
    frame.chunks(4).map(|piece| piece.iter().rev().fold(0, |word, octet| word << 8 | u32::from(*octet)))
}

impl Driver {
    /// Takes a frame out of the FIFO. `None` where there is none that is good.
    fn take(&mut self) -> Option<usize> {
        if read(RX_FIFO_INF) >> 16 & 0xff == 0 {
            return None;
        }
        let status = read(RX_STATUS);
        let length = (status >> 16 & 0x3fff) as usize;
        let mut octets = self.frame.iter_mut();
        for _ in 0..length.div_ceil(4) {
            let word = read(RX_DATA).to_le_bytes();
            word.into_iter().zip(octets.by_ref()).for_each(|(octet, place)| *place = octet);
        }
        // The last four are the check sequence. Bit 15: one of the errors.
        let length = length.checked_sub(4)?;
        (status >> 15 & 1 == 0 && length <= MAX_FRAME).then_some(length)
    }
}

/// A frame that came in.
pub struct Received<'a>(&'a mut [u8]);
/// Room for one to send.
pub struct ToSend;

impl embassy_net_driver::Driver for &mut Driver {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, ToSend)> {
        crate::executor::wake_each_turn(cx.waker());
        let length = self.take()?;
        Some((Received(self.frame.get_mut(..length)?), ToSend))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<ToSend> {
        Some(ToSend)
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(ADDRESS)
    }
}

impl embassy_net_driver::RxToken for Received<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, read: F) -> T {
        read(self.0)
    }
}

impl embassy_net_driver::TxToken for ToSend {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, fill: F) -> T {
        let mut frame = [0; MAX_FRAME];
        let length = length.min(MAX_FRAME);
        let Some(octets) = frame.get_mut(..length) else { return fill(&mut []) };
        let result = fill(octets);
        // It leaves at once in QEMU, so that there is room.
        while (read(TX_FIFO_INF) & 0xffff) as usize <= MAX_FRAME + 16 {}
        let size = length as u32;
        write(TX_DATA, 1 << 13 | 1 << 12 | size);
        write(TX_DATA, size);
        words(octets).for_each(|word| write(TX_DATA, word));
        while read(TX_FIFO_INF) >> 16 & 0xff != 0 {
            read(TX_STATUS);
        }
        result
    }
}
