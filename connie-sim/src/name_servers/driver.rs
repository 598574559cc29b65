//! Which rows of the table apply to a driver, by what it can do.

use super::query::Kind;
use super::row::{Row, Transport};
use super::table::TABLE;

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing of its own that a driver has or not")]
pub struct Driver {
    /// Ask in datagrams without TCP for what does not fit into one.
    pub udp_alone: bool,
    /// Ask in datagrams, and over TCP for what does not fit into one.
    pub tcp: bool,
    /// Ask over TCP alone.
    pub tcp_alone: bool,
    /// Ask for service records.
    pub https: bool,
    /// Have other settings than those that a client begins with: how often, how long, and in which case.
    pub settings: bool,
    /// Hear that a datagram has not arrived.
    pub errors: bool,
    /// Ask so many servers.
    pub servers: usize,
}

impl Driver {
    /// One that can do everything.
    pub const ANY: Driver = Driver {
        udp_alone: true,
        tcp: true,
        tcp_alone: true,
        https: true,
        settings: true,
        errors: true,
        servers: 3,
    };
    /// One that can do none of it.
    pub const LEAST: Driver = Driver {
        udp_alone: false,
        tcp: false,
        tcp_alone: false,
        https: false,
        settings: false,
        errors: false,
        servers: 1,
    };

    /// Whether a row applies to it.
    fn takes(&self, row: &Row) -> bool {
        let settings = row.settings();
        let transport = match settings.transport {
            Transport::Either => self.udp_alone || self.tcp,
            Transport::Udp => self.udp_alone,
            Transport::UdpAndTcp => self.tcp,
            Transport::Tcp => self.tcp_alone,
        };
        let are_set = settings.case || settings.attempts.is_some() || settings.timeout.is_some();
        // What fails over TCP is a connection, which every driver hears of.
        let is_told = matches!(settings.transport, Transport::Either | Transport::Udp) && row.does("fails");
        transport
            && (self.https || !row.has(Kind::Https))
            && (self.settings || !are_set)
            && (self.errors || !is_told)
            && row.servers.len() <= self.servers
    }
}

/// How many rows apply to a driver of two servers that can do no more than ask in datagrams, and so to every
/// driver.
const LEAST_ROWS: usize = 60;

/// The rows that apply to a driver.
///
/// # Panics
///
/// If they are fewer than 60: it can do too little to be told one that works.
#[must_use]
#[track_caller]
pub fn rows(driver: &Driver) -> Vec<&'static Row> {
    let rows: Vec<_> = TABLE.iter().filter(|row| driver.takes(row)).collect();
    assert!(rows.len() >= LEAST_ROWS, "{} rows apply to {driver:?}, and {LEAST_ROWS} have to", rows.len());
    rows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name_servers::{Found, RowSettings};

    #[test]
    fn every_row_can_be_read() {
        for row in TABLE {
            let found: Vec<String> = row.found().iter().map(Found::to_string).collect();
            let sent: Vec<&str> = row.sent().collect();
            assert_eq!(format!("{} | {}", found.join("; "), sent.join(" ")), row.expected, "{}", row.what);
            assert_eq!(found.len(), row.kinds().len(), "{}", row.what);
            assert_ne!(row.settings(), RowSettings { timeout: Some(Duration::ZERO), ..row.settings() });
        }
    }

    #[test]
    fn each_row_stands_there_once() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.what).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len(), "a row has the name of another");
    }

    /// The least that a driver has: datagrams, or those and TCP.
    #[test]
    fn every_driver_has_sixty_rows() {
        assert_eq!(rows(&Driver::ANY).len(), TABLE.len());
        for (udp_alone, tcp) in [(true, false), (false, true)] {
            assert!(rows(&Driver { udp_alone, tcp, servers: 2, ..Driver::LEAST }).len() >= LEAST_ROWS);
        }
    }

    #[test]
    fn a_driver_takes_what_it_can_do() {
        let has = |driver: Driver, what: &str| rows(&driver).iter().any(|row| row.what == what);
        let datagrams = Driver { tcp: false, tcp_alone: false, ..Driver::ANY };
        assert!(!has(datagrams, "TCP is refused, and the next helps"));
        assert!(has(datagrams, "it does not fit, and there is none"));
        assert!(!has(Driver { udp_alone: false, ..Driver::ANY }, "it does not fit, and there is none"));
        assert!(!has(Driver { tcp_alone: false, ..Driver::ANY }, "over TCP alone"));
        assert!(!has(Driver { https: false, ..Driver::ANY }, "there are service records"));
        assert!(!has(Driver { settings: false, ..Driver::ANY }, "it repeats the case"));
        assert!(!has(Driver { errors: false, ..Driver::ANY }, "it is not there"));
        assert!(has(Driver { errors: false, ..Driver::ANY }, "TCP is closed once"));
        assert!(!has(Driver { servers: 2, ..Driver::ANY }, "two are silent"));
    }

    /// Some dozen, of all sorts, and none that takes long or needs a setting.
    #[test]
    fn rows_for_the_kernel() {
        let plain = Driver { udp_alone: true, tcp: true, https: true, servers: 3, ..Driver::LEAST };
        let kernel: Vec<_> = TABLE.iter().filter(|row| row.kernel).collect();
        assert!((12..=24).contains(&kernel.len()), "{}", kernel.len());
        for row in kernel {
            assert!(plain.takes(row) && row.settings().transport != Transport::Udp, "{}", row.what);
            assert!(row.found().iter().all(|found| found.millis < 2_000), "{}", row.what);
        }
    }
}
