//! An observer that keeps what it was told.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_std::{Observer, Options, RaceOutcome};

/// What was told of one race.
#[derive(Clone, Debug)]
pub struct Told {
    pub host: String,
    pub port: u16,
    pub outcome: RaceOutcome,
    pub winner: Option<SocketAddr>,
    pub error: Option<String>,
    /// The outcome of each attempt that the report has, where there is a report.
    pub attempts: Option<Vec<&'static str>>,
    pub elapsed: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Told>>>);

impl Log {
    pub fn observer(&self) -> Observer {
        let log = self.clone();
        Observer::new(move |observed| {
            let attempts = observed.report().map(|report| {
                let attempts = report.timeline().attempts();
                attempts.map(|attempt| attempt.outcome.map_or("open", |outcome| outcome.name())).collect()
            });
            log.0.lock().unwrap().push(Told {
                host: observed.host().to_owned(),
                port: observed.port(),
                outcome: observed.outcome(),
                winner: observed.winner(),
                error: observed.error().map(ToString::to_string),
                attempts,
                elapsed: observed.elapsed(),
            });
        })
    }

    pub fn options(&self, options: Options) -> Options {
        options.observer(self.observer())
    }

    pub fn all(&self) -> Vec<Told> {
        self.0.lock().unwrap().clone()
    }

    /// The one race that was told of, which is forgotten then.
    #[track_caller]
    pub fn only(&self) -> Told {
        let mut told = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }
}
