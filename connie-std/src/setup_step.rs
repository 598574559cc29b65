//! The steps of a socket's set-up, which can fail.

/// What a socket is set up with before it is connected, by the field of [`Options`](crate::Options) or of its
/// `SocketOptions` that asks for it.
///
/// Where one fails, the attempt's [`AttemptErrorKind`](connie_core::AttemptErrorKind) is `Setup` of its
/// number:
///
/// | number | name |
/// |---|---|
/// | 0 | `keepalive` |
/// | 1 | `send_buffer` |
/// | 2 | `receive_buffer` |
/// | 3 | `user_timeout` |
/// | 4 | `interface` |
/// | 5 | `mark` |
/// | 6 | `local_ports` |
/// | 7 | `on_socket` |
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use connie_std::connie_core::AttemptErrorKind;
/// use connie_std::{Options, SetupStep, SocketOptions, connect};
///
/// let socket = SocketOptions::new().interface("no-such0".to_owned());
/// let error = connect("127.0.0.1:1", &Options::new().socket(socket)).unwrap_err();
/// let (_, failed) = error.timeline().unwrap().most_telling().unwrap();
/// let AttemptErrorKind::Setup(number) = failed.kind() else { panic!("{error}") };
/// assert_eq!(SetupStep::from_number(number), Some(SetupStep::Interface));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetupStep {
    /// `keepalive`: probes of a silent peer.
    Keepalive,
    /// `send_buffer`: the size of the send buffer.
    SendBuffer,
    /// `receive_buffer`: the size of the receive buffer.
    ReceiveBuffer,
    /// `user_timeout`: how long what was sent may stay unacknowledged.
    UserTimeout,
    /// `interface`: the interface that packets leave by.
    Interface,
    /// `mark`: the mark that rules go by.
    Mark,
    /// `local_ports`: the ports to come from.
    LocalPorts,
    /// `on_socket`: what the program does itself.
    OnSocket,
}

impl SetupStep {
    /// All of them, by their numbers.
    pub const ALL: [SetupStep; 8] = [
        SetupStep::Keepalive,
        SetupStep::SendBuffer,
        SetupStep::ReceiveBuffer,
        SetupStep::UserTimeout,
        SetupStep::Interface,
        SetupStep::Mark,
        SetupStep::LocalPorts,
        SetupStep::OnSocket,
    ];

    /// Its number in an [`AttemptErrorKind::Setup`](connie_core::AttemptErrorKind::Setup). It stays what it
    /// is in later versions.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The step of this number. `None` where there is none, as of another stack's numbers.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        SetupStep::ALL.into_iter().find(|step| step.number() == number)
    }

    /// The name of the option, as its field has it: `local_ports`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SetupStep::Keepalive => "keepalive",
            SetupStep::SendBuffer => "send_buffer",
            SetupStep::ReceiveBuffer => "receive_buffer",
            SetupStep::UserTimeout => "user_timeout",
            SetupStep::Interface => "interface",
            SetupStep::Mark => "mark",
            SetupStep::LocalPorts => "local_ports",
            SetupStep::OnSocket => "on_socket",
        }
    }

    /// What went wrong, in words that name the option.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) const fn failed(self) -> &'static str {
        match self {
            SetupStep::Keepalive => "keepalive could not be set",
            SetupStep::SendBuffer => "send_buffer could not be set",
            SetupStep::ReceiveBuffer => "receive_buffer could not be set",
            SetupStep::UserTimeout => "user_timeout could not be set",
            SetupStep::Interface => "the interface could not be bound to",
            SetupStep::Mark => "mark could not be set",
            SetupStep::LocalPorts => "none of the local ports tried could be bound to",
            SetupStep::OnSocket => "on_socket refused the socket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs keep them.
    #[test]
    fn each_step_has_the_number_and_the_name_that_its_page_gives() {
        let table = ["keepalive", "send_buffer", "receive_buffer", "user_timeout", "interface", "mark"];
        let table = table.into_iter().chain(["local_ports", "on_socket"]);
        assert!(SetupStep::ALL.into_iter().map(SetupStep::name).eq(table));
        for (number, step) in (0..).zip(SetupStep::ALL) {
            assert_eq!((step.number(), SetupStep::from_number(number)), (number, Some(step)));
        }
        assert_eq!(SetupStep::from_number(8), None);
        assert_eq!(SetupStep::from_number(u8::MAX), None);
    }
}
