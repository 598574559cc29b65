//! connie's race for C without an operating system: docs/from/lwip.md. `race.h` says what each call does.
//!
//! It has only IPv4, to be short. What it lacks for another use takes a line here and one in the header.

#![cfg_attr(target_os = "none", no_std)]

use core::ffi::c_int;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use connie_core::{AttemptErrorKind, AttemptId, Config, Input, Instant, Output, Race};

const SOCKETS: usize = 4;
const ADDRESSES: usize = 16;
/// `RACE_WORDS` of the header.
const WORDS: usize = 176;

/// The caller's memory holds one.
pub struct State {
    race: Race<ADDRESSES, SOCKETS, SOCKETS>,
    /// Which attempt each of the caller's slots has.
    slots: [Option<AttemptId>; SOCKETS],
    now: Instant,
    last_ms: u32,
}

const _: () = assert!(size_of::<State>() <= WORDS * 8 && align_of::<State>() <= 8);

impl State {
    /// The time, from a clock of milliseconds that wraps around.
    fn at(&mut self, now_ms: u32) -> Instant {
        let passed = now_ms.wrapping_sub(self.last_ms);
        // A clock that runs backwards a little counts as standing still.
        if passed <= u32::MAX / 2 {
            self.last_ms = now_ms;
            self.now += Duration::from_millis(u64::from(passed));
        }
        self.now
    }

    fn slot_of(&self, id: AttemptId) -> u32 {
        self.slots.iter().position(|slot| *slot == Some(id)).map_or(u32::MAX, |slot| slot as u32)
    }

    fn take(&mut self, slot: u32) -> Option<AttemptId> {
        self.slots.get_mut(slot as usize)?.take()
    }
}

/// `struct race_action`.
#[repr(C)]
pub struct Action {
    step: u32,
    slot: u32,
    wait_ms: u32,
    address: [u8; 4],
}

const START: u32 = 0;
const CANCEL: u32 = 1;
const WAIT: u32 = 2;
const WON: u32 = 3;
const LOST: u32 = 4;

/// The longest wait, so that the clock cannot wrap around unnoticed.
const WAIT_MS: u32 = 60_000;

/// Begins a race in the memory of `race`.
///
/// # Safety
/// `race` is the memory of a `struct race`, and `addresses` points to `count` addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn race_begin(
    race: *mut State,
    addresses: *const [u8; 4],
    count: usize,
    port: u16,
    deadline_ms: u32,
    now_ms: u32,
) {
    let deadline = Duration::from_millis(u64::from(deadline_ms));
    let config = Config::all_at_once().deadline(Some(deadline));
    let mut state = State {
        race: Race::new(&config, Instant::ZERO),
        slots: [None; SOCKETS],
        now: Instant::ZERO,
        last_ms: now_ms,
    };
    let mut known = [SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port); ADDRESSES];
    let mut length = 0;
    // SAFETY: the caller's promise. Their alignment is one.
    for (place, octets) in known.iter_mut().zip(unsafe { core::slice::from_raw_parts(addresses, count) }) {
        *place = SocketAddr::new(Ipv4Addr::from(*octets).into(), port);
        length += 1;
    }
    state.race.handle_addresses(known.get(..length).unwrap_or(&[]), Instant::ZERO);
    // SAFETY: the caller's promise; the size and the alignment are asserted above.
    unsafe { race.write(state) };
}

/// Writes to `action` what to do next.
///
/// # Safety
/// `race` has begun, and `action` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn race_poll(race: *mut State, now_ms: u32, action: *mut Action) {
    // SAFETY: the caller's promise.
    let state = unsafe { &mut *race };
    let now = state.at(now_ms);
    let mut done = Action { step: WAIT, slot: u32::MAX, wait_ms: WAIT_MS, address: [0; 4] };
    match state.race.poll_output(now) {
        Output::StartAttempt { id, destination } => {
            // The race has no more than SOCKETS attempts in flight.
            if let Some(slot) = state.slots.iter_mut().find(|slot| slot.is_none()) {
                *slot = Some(id);
            }
            if let SocketAddr::V4(address) = destination {
                done.address = address.ip().octets();
            }
            (done.step, done.slot) = (START, state.slot_of(id));
        }
        Output::CancelAttempt { id } => {
            (done.step, done.slot) = (CANCEL, state.slot_of(id));
            state.take(done.slot);
        }
        Output::WaitUntil(until) => {
            let wait = until.duration_since(now).as_micros().div_ceil(1_000);
            done.wait_ms = u32::try_from(wait).unwrap_or(WAIT_MS).min(WAIT_MS);
        }
        Output::WaitForInput => {}
        Output::Established { id, .. } => (done.step, done.slot) = (WON, state.slot_of(id)),
        Output::Failed(_) => done.step = LOST,
    }
    // SAFETY: the caller's promise.
    unsafe { action.write(done) };
}

/// Reports that a slot is connected.
///
/// # Safety
/// `race` has begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn race_connected(race: *mut State, slot: u32, now_ms: u32) {
    // SAFETY: the caller's promise.
    let state = unsafe { &mut *race };
    let now = state.at(now_ms);
    if let Some(id) = state.slots.get(slot as usize).copied().flatten() {
        state.race.handle_input(Input::AttemptSucceeded { id }, now);
    }
}

/// Reports that a slot has failed.
///
/// # Safety
/// `race` has begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn race_failed(race: *mut State, slot: u32, refused: c_int, now_ms: u32) {
    // SAFETY: the caller's promise.
    let state = unsafe { &mut *race };
    let now = state.at(now_ms);
    if let Some(id) = state.take(slot) {
        let kind = if refused == 0 { AttemptErrorKind::TimedOut } else { AttemptErrorKind::Refused };
        state.race.handle_input(Input::AttemptFailed { id, error: kind.into() }, now);
    }
}

/// Nothing here panics, but a `no_std` library must have a handler.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
