//! The Ethernet controller of the LM3S6965, as far as its driver can see, by the data sheet.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use connie_firmware_qemu::stellaris::{Register, Registers};

/// The driver has one handle on the controller and the test another.
#[derive(Clone, Default)]
pub struct Controller(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    raised: u32,
    mask: u32,
    receive_control: u32,
    transmit_control: u32,
    threshold: u32,
    /// Whole frames as they lie in the FIFO: length, frame, check sequence.
    queue: VecDeque<Vec<u8>>,
    /// How far the first of them was read.
    read: usize,
    /// What was written of the frame to send.
    written: Vec<u8>,
    /// Whether the last frame is on its way, and whether frames stay on their way until they are told to
    /// arrive.
    sending: bool,
    slow: bool,
    sent: Vec<Vec<u8>>,
}

pub const HARDWARE_ADDRESS: [u8; 6] = [0x02, 1, 2, 3, 4, 5];

impl Controller {
    /// A frame comes in.
    pub fn deliver(&self, frame: &[u8]) {
        let length = u16::try_from(frame.len() + 6).unwrap();
        let mut stored = length.to_le_bytes().to_vec();
        stored.extend(frame);
        stored.extend([0xc5; 4]);
        self.store(stored);
    }

    /// A frame comes in whose length is not what it says.
    pub fn deliver_raw(&self, says: u16, words: usize) {
        let mut stored = says.to_le_bytes().to_vec();
        stored.resize(words * 4, 0xee);
        self.store(stored);
    }

    fn store(&self, stored: Vec<u8>) {
        let mut state = self.0.borrow_mut();
        assert_ne!(state.receive_control & 1, 0, "the receiver is off");
        state.queue.push_back(stored);
        state.raised |= 1;
    }

    /// A frame comes in for which there is no room.
    pub fn overflow(&self) {
        self.0.borrow_mut().raised |= 8;
    }

    /// How many frames wait.
    pub fn waiting(&self) -> usize {
        self.0.borrow().queue.len()
    }

    /// From now on a frame is on its way until [`arrive`](Self::arrive).
    pub fn be_slow(&self) {
        self.0.borrow_mut().slow = true;
    }

    /// The frame on its way has left.
    pub fn arrive(&self) {
        self.0.borrow_mut().sending = false;
    }

    /// The frames that left: their words as they were written.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.0.borrow().sent.clone()
    }

    /// Whether the controller interrupts the processor.
    pub fn interrupts(&self) -> bool {
        let state = self.0.borrow();
        state.raised & state.mask != 0
    }

    /// `MACRCTL`, `MACTCTL` and `MACTHR`.
    pub fn control(&self) -> (u32, u32, u32) {
        let state = self.0.borrow();
        (state.receive_control, state.transmit_control, state.threshold)
    }

    /// As after a reset, when the mask lets everything through and frames of an earlier life may wait.
    pub fn after_reset() -> Self {
        let controller = Self::default();
        controller.0.borrow_mut().mask = 0x7f;
        controller.0.borrow_mut().receive_control = 1;
        controller.deliver(&[9; 60]);
        controller
    }
}

impl Registers for Controller {
    fn read(&mut self, register: Register) -> u32 {
        let mut state = self.0.borrow_mut();
        match register {
            Register::RawInterruptStatus => state.raised,
            Register::NumberOfPackets => state.queue.len() as u32,
            Register::TransmissionRequest => state.sending.into(),
            Register::IndividualAddress0 => u32::from_le_bytes([2, 1, 2, 3]),
            // What lies above the address is not part of it.
            Register::IndividualAddress1 => u32::from_le_bytes([4, 5, 0xff, 0xff]),
            Register::Data => {
                let at = state.read;
                let frame = state.queue.front().expect("the FIFO is not read when it is empty");
                let word = std::array::from_fn(|byte| frame.get(at + byte).copied().unwrap_or(0xaa));
                if at + 4 >= frame.len() {
                    state.queue.pop_front();
                    state.read = 0;
                } else {
                    state.read += 4;
                }
                u32::from_le_bytes(word)
            }
            other => panic!("{other:?} is not read"),
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        let mut state = self.0.borrow_mut();
        match register {
            Register::RawInterruptStatus => state.raised &= !value,
            Register::InterruptMask => state.mask = value,
            Register::ReceiveControl => {
                if value & 0x10 != 0 {
                    state.queue.clear();
                    state.read = 0;
                }
                state.receive_control = value;
            }
            Register::TransmitControl => state.transmit_control = value,
            Register::Threshold => state.threshold = value,
            Register::Data => {
                assert!(!state.sending, "written to while a frame is on its way");
                state.written.extend(value.to_le_bytes());
            }
            Register::TransmissionRequest => {
                assert_eq!(value, 1);
                let frame = std::mem::take(&mut state.written);
                state.sent.push(frame);
                state.sending = state.slow;
            }
            other => panic!("{other:?} is not written"),
        }
    }
}
