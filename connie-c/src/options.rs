//! What a program of C sets before it connects, checked when it is set.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use connie_std::connie_core::{Config, Families, Family, Pacing};
use connie_std::{Canceler, Keepalive, MAX_IN_FLIGHT, Memory, Options};

use crate::call_error::{CallError, utf8};

/// What the handle stands for.
#[derive(Debug, Default)]
pub(crate) struct CallOptions {
    options: Options,
    /// The program's descriptor by which calls are canceled, as a duplicate of it.
    cancel: Option<OwnedFd>,
}

impl CallOptions {
    /// The options of one call. Each has a canceler of its own, so that a call which was canceled is nothing
    /// to the next.
    pub(crate) fn for_call(&self, timeout_ms: u32) -> Result<Options, CallError> {
        let mut options = self.options.clone();
        options.deadline = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms.into()));
        if let Some(cancel) = &self.cancel {
            let descriptor = cancel.try_clone().map_err(CallError::out_of_descriptors)?;
            let canceler = Canceler::when_readable(descriptor).map_err(CallError::out_of_descriptors)?;
            options.canceler = Some(canceler);
        }
        Ok(options)
    }

    /// `None` takes it away.
    pub(crate) fn cancel_by(&mut self, descriptor: Option<BorrowedFd<'_>>) -> Result<(), CallError> {
        let duplicate = descriptor.map(|descriptor| {
            let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
            let duplicate = descriptor.try_clone_to_owned();
            duplicate.map_err(|error| {
                CallError::invalid(format!("the descriptor {number} cannot be used to cancel: {error}"))
            })
        });
        self.cancel = duplicate.transpose()?;
        Ok(())
    }

    pub(crate) fn pacing(&mut self, name: &str) -> Result<(), CallError> {
        let known = || Pacing::ALL.map(Pacing::name).join(", ");
        let pacing: Pacing = name
            .parse()
            .map_err(|_| CallError::invalid(format!("{name:?} is not a pacing: give one of {}", known())))?;
        let before = self.options.race.clone();
        self.options.race = Config::from(pacing)
            .max_in_flight(before.max_in_flight)
            .patience(before.patience)
            .families(before.families);
        Ok(())
    }

    pub(crate) fn max_in_flight(&mut self, count: u32) -> Result<(), CallError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if !(1..=MAX_IN_FLIGHT).contains(&count) {
            return Err(CallError::invalid(format!(
                "the most attempts in flight cannot be {count}: give 1 to {MAX_IN_FLIGHT}"
            )));
        }
        self.options.race.max_in_flight = count;
        Ok(())
    }

    pub(crate) fn patience(&mut self, milliseconds: u32) -> Result<(), CallError> {
        let patience = Duration::from_millis(milliseconds.into());
        if !(Config::MIN_DELAY..=Config::MAX_PATIENCE).contains(&patience) {
            return Err(CallError::invalid(format!(
                "the patience cannot be {milliseconds} ms: give 10 to 600000"
            )));
        }
        self.options.race.patience = patience;
        Ok(())
    }

    pub(crate) fn family(&mut self, family: u32) -> Result<(), CallError> {
        self.options.race.families = match family {
            0 => Families::Both,
            4 => Families::Only(Family::V4),
            6 => Families::Only(Family::V6),
            _ => {
                return Err(CallError::invalid(format!(
                    "{family} is not an address family: give 4, 6, or 0 for both"
                )));
            }
        };
        Ok(())
    }

    /// `None` takes those of both families away.
    pub(crate) fn source(&mut self, address: Option<&str>) -> Result<(), CallError> {
        let Some(text) = address else {
            (self.options.source_v4, self.options.source_v6) = (None, None);
            return Ok(());
        };
        match text.parse() {
            Ok(IpAddr::V4(address)) => self.options.source_v4 = Some(address),
            Ok(IpAddr::V6(address)) => self.options.source_v6 = Some(address),
            Err(_) => return Err(CallError::invalid(format!("{text:?} is not an address to connect from"))),
        }
        Ok(())
    }

    pub(crate) fn local_ports(&mut self, first: u16, last: u16) -> Result<(), CallError> {
        self.options.socket.local_ports = match (first, last) {
            (0, 0) => None,
            (first, last) if first == 0 || last < first => {
                let message = format!(
                    "the local ports {first} to {last} are not a range: give the lower first, or 0 and 0"
                );
                return Err(CallError::invalid(message));
            }
            (first, last) => Some(first..=last),
        };
        Ok(())
    }

    /// `None` takes it away.
    pub(crate) fn interface(&mut self, name: Option<&str>) {
        self.options.socket.interface = name.map(str::to_owned);
    }

    /// 0 is the system's own, of each.
    pub(crate) fn keepalive(&mut self, idle: u32, interval: u32, count: u32) {
        let seconds = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        self.options.socket.keepalive = Some(
            Keepalive::new()
                .idle(seconds(idle))
                .interval(seconds(interval))
                .count((count > 0).then_some(count)),
        );
    }

    /// 0 is the system's own, of each.
    pub(crate) fn buffers(&mut self, send: usize, receive: usize) {
        self.options.socket.send_buffer = (send > 0).then_some(send);
        self.options.socket.receive_buffer = (receive > 0).then_some(receive);
    }

    /// `None` takes it away.
    pub(crate) fn memory(&mut self, memory: Option<Memory>) {
        self.options.memory = memory;
    }

    pub(crate) fn incumbent(&mut self, is_set: bool) {
        self.options.incumbent = is_set;
    }

    pub(crate) fn nodelay(&mut self, is_set: bool) {
        self.options.nodelay = is_set;
    }
}

/// A text of the program's.
pub(crate) fn text(text: Option<&std::ffi::CStr>) -> Result<Option<&str>, CallError> {
    text.map(utf8).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connie;

    #[test]
    fn what_cannot_be_meant_is_refused_and_changes_nothing() {
        let mut settings = CallOptions::default();
        settings.max_in_flight(3).unwrap();
        let refused = [
            settings.max_in_flight(0),
            settings.max_in_flight(65),
            settings.patience(9),
            settings.patience(600_001),
            settings.family(5),
            settings.pacing("fast"),
            settings.source(Some("eth0")),
            settings.local_ports(0, 5),
            settings.local_ports(5, 4),
        ];
        for refused in refused {
            assert_eq!(refused.map_err(|failed| failed.error), Err(Connie::InvalidArgument));
        }
        let options = settings.for_call(0).unwrap();
        assert_eq!((options.race.max_in_flight, options.deadline), (3, None));
        assert_eq!((options.source_v4, options.socket.local_ports), (None, None));
    }

    /// Many threads may connect by the same.
    #[test]
    fn settings_are_for_all_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<CallOptions>();
    }

    #[test]
    fn a_pacing_leaves_what_else_was_set() {
        let mut settings = CallOptions::default();
        settings.max_in_flight(64).unwrap();
        settings.patience(10).unwrap();
        settings.family(6).unwrap();
        settings.pacing("staggered").unwrap();
        let options = settings.for_call(7).unwrap();
        assert_eq!(options.deadline, Some(Duration::from_millis(7)));
        let race = options.race;
        assert_eq!(race.pacing, Config::staggered().pacing);
        assert_eq!((race.max_in_flight, race.patience), (64, Duration::from_millis(10)));
        assert_eq!(race.families, Families::Only(Family::V6));
    }
}
