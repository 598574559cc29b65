//! The driver of the Ethernet controller against a model of it.

mod model;

use connie_firmware_qemu::stellaris::{Counts, Ethernet, Frames, LONGEST_RECEIVED, LONGEST_SENT};
use model::{Controller, HARDWARE_ADDRESS};
use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::time::Instant;

/// Runs `test` with a driver that was just started.
fn started(test: impl FnOnce(Controller, &mut Ethernet<'_, Controller>)) {
    let controller = Controller::after_reset();
    let mut frames = Frames::EMPTY;
    let mut driver = Ethernet::start(controller.clone(), &mut frames);
    test(controller, &mut driver);
}

/// A frame of so many bytes, no two of which next to each other are alike.
fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + length) as u8).collect()
}

fn receive(driver: &mut Ethernet<'_, Controller>) -> Option<Vec<u8>> {
    driver.receive(Instant::ZERO).map(|(received, _)| received.consume(<[u8]>::to_vec))
}

fn send(driver: &mut Ethernet<'_, Controller>, frame: &[u8]) -> bool {
    let Some(token) = driver.transmit(Instant::ZERO) else { return false };
    token.consume(frame.len(), |room| room.copy_from_slice(frame));
    true
}

#[test]
fn a_start_empties_the_queue_and_lets_no_interrupt_through() {
    started(|controller, driver| {
        assert_eq!(controller.waiting(), 0);
        controller.deliver(&frame(60));
        assert!(!controller.interrupts());
        driver.unmask();
        assert!(controller.interrupts());
        assert_eq!(controller.control(), (0x0b, 0x17, 0x3f));
        assert_eq!(driver.hardware_address(), HARDWARE_ADDRESS);
    });
}

#[test]
fn frames_of_every_length_are_received_whole_and_one_by_one() {
    started(|controller, driver| {
        for length in 14..=LONGEST_RECEIVED {
            controller.deliver(&frame(length));
            controller.deliver(&frame(60));
            assert_eq!(receive(driver), Some(frame(length)), "{length}");
            assert_eq!(receive(driver), Some(frame(60)), "after {length}");
        }
        assert_eq!(receive(driver), None);
        assert_eq!(driver.counts().received as usize, 2 * (LONGEST_RECEIVED - 13));
    });
}

#[test]
fn what_is_no_frame_is_read_to_its_end_and_dropped() {
    started(|controller, driver| {
        for length in [0, 13, LONGEST_RECEIVED + 1, 2042] {
            controller.deliver(&frame(length));
            controller.deliver(&frame(100));
            assert_eq!(receive(driver), Some(frame(100)), "after {length}");
        }
        assert_eq!(driver.counts(), Counts { received: 4, dropped: 4, ..Counts::default() });
    });
}

#[test]
fn a_queue_that_is_out_of_step_is_emptied() {
    started(|controller, driver| {
        for says in [0, 5, 2049, u16::MAX] {
            controller.deliver_raw(says, 16);
            controller.deliver(&frame(60));
            assert_eq!((receive(driver), controller.waiting()), (None, 0), "{says}");
            controller.deliver(&frame(61));
            assert_eq!(receive(driver), Some(frame(61)), "after {says}");
        }
        assert_eq!(driver.counts().resets, 4);
    });
}

#[test]
fn an_overrun_empties_the_queue_once() {
    started(|controller, driver| {
        controller.deliver(&frame(60));
        controller.overflow();
        assert_eq!(receive(driver), None);
        controller.deliver(&frame(60));
        assert_eq!(receive(driver), Some(frame(60)));
        assert_eq!(driver.counts().resets, 1);
    });
}

/// The first word has the length without the header, and the frame's first two bytes.
#[test]
fn frames_of_every_length_are_sent_whole() {
    started(|controller, driver| {
        for length in 14..=LONGEST_SENT {
            assert!(send(driver, &frame(length)));
        }
        for (sent, length) in controller.sent().iter().zip(14..) {
            let (says, rest) = sent.split_at(2);
            assert_eq!(says, u16::try_from(length - 14).unwrap().to_le_bytes());
            assert_eq!(rest[..length], frame(length));
            assert_eq!(sent.len(), (length + 2).next_multiple_of(4), "whole words");
        }
        assert_eq!(controller.sent().len(), LONGEST_SENT - 13);
    });
}

/// A frame may ask for an answer. While that could not be sent, frames stay where they are.
#[test]
fn no_frame_is_taken_while_another_is_on_its_way_out_and_none_is_lost() {
    started(|controller, driver| {
        controller.be_slow();
        assert!(send(driver, &frame(60)));
        for length in 60..91 {
            controller.deliver(&frame(length));
        }
        assert_eq!((receive(driver), send(driver, &frame(61))), (None, false));
        assert_eq!(controller.waiting(), 31);
        controller.arrive();
        for length in 60..91 {
            assert_eq!(receive(driver), Some(frame(length)));
        }
        assert!(send(driver, &frame(62)));
        assert_eq!(controller.sent().len(), 2);
    });
}

/// Both lie in one memory. The longest leaves room for the longest answer.
#[test]
fn a_frame_is_answered_while_it_is_read() {
    started(|controller, driver| {
        for (length, answered) in [(77, 77), (LONGEST_SENT, LONGEST_SENT), (LONGEST_RECEIVED, LONGEST_SENT)] {
            controller.deliver(&frame(length));
            let (received, answer) = driver.receive(Instant::ZERO).unwrap();
            received.consume(|read| {
                answer.consume(answered, |room| room.copy_from_slice(&read[..answered]));
                assert_eq!(read, frame(length), "as it was received");
            });
            assert_eq!(controller.sent().last().unwrap()[2..][..answered], frame(length)[..answered]);
        }
    });
}

/// Between the driver's last look and sleep a frame may come. It must raise the interrupt anew.
#[test]
fn the_interrupt_is_low_once_the_queue_was_found_empty() {
    started(|controller, driver| {
        driver.unmask();
        controller.deliver(&frame(60));
        controller.deliver(&frame(60));
        assert!(receive(driver).is_some());
        assert!(receive(driver).is_some());
        assert_eq!(receive(driver), None);
        assert!(!controller.interrupts());
        controller.deliver(&frame(60));
        assert!(controller.interrupts());
    });
}
