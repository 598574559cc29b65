//! What one transfer after the other has: connections of the pool, and what is told of them.

use std::sync::{Mutex, PoisonError};

use connie_std::http1::{OpeningRecord, ResponseRecord};
use connie_web::Url;

use crate::args::Get;
use crate::connect::FinishedRace;
use crate::error::Error;
use crate::pool::{KeptConnection, Pool, Route};
use crate::verbose::Log;

/// The transfers of a run that follow each other, of which there may be several such rows at a time.
pub struct Session<'a> {
    args: &'a Get,
    pool: &'a Pool<'a>,
    pub log: Log,
    /// The last race for the URL that is up.
    pub raced: Option<FinishedRace>,
    /// The last race to the first byte of an answer of that URL, where there was one.
    pub response: Option<ResponseRecord>,
    /// What bodies are read through, kept from one URL to the next.
    pub piece: Vec<u8>,
    written: Result<(), Error>,
}

impl<'a> Session<'a> {
    pub fn new(args: &'a Get, pool: &'a Pool<'a>) -> Self {
        let (log, piece) = (Log::default(), Vec::new());
        Session { args, pool, log, raced: None, response: None, piece, written: Ok(()) }
    }

    /// A new URL begins: the race of the last one is no longer reported.
    pub fn begin(&mut self, log: Log) {
        (self.log, self.raced, self.response) = (log, None, None);
    }

    /// Whether the files that report the races could be written.
    pub fn take_written(&mut self) -> Result<(), Error> {
        std::mem::replace(&mut self.written, Ok(()))
    }

    /// Where a connection for `url` leads.
    pub fn route(&self, url: &Url) -> Result<Route, Error> {
        self.pool.route(url)
    }

    /// A connection that leads there, with room for a request's head of `size` bytes: one that was kept, or a
    /// new one, which opens when it is needed.
    pub fn connection(&self, route: Route, size: usize) -> Result<KeptConnection, Error> {
        let kept = self.pool.connection(route, size)?;
        if self.args.verbose && kept.client.is_open() {
            self.log.say("reusing the connection");
        }
        Ok(kept)
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, kept: KeptConnection) {
        self.pool.keep(kept);
    }

    /// Reports, where `-v` or a file asks for it, how the connection was opened since the last call, or why
    /// it was not. `None` where no opening was tried.
    pub fn report_opening<'k>(&mut self, kept: &'k mut KeptConnection) -> Option<&'k OpeningRecord> {
        if !kept.is_newly_opened() {
            return None;
        }
        let raced = FinishedRace::of(&mut kept.client, &self.args.race)?;
        let opening = kept.client.opening()?;
        let written = {
            // Two that write the same file would write it in each other.
            static FILES: Mutex<()> = Mutex::new(());
            let _files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
            raced.write_files(&self.args.race)
        };
        if self.written.is_ok() {
            self.written = written;
        }
        if self.args.verbose {
            self.log.show_opening(&raced, opening, &kept.client, kept.route.proxy());
        }
        self.raced = Some(raced);
        Some(opening)
    }

    /// Reports, where `-v` asks for it, how the race to the first byte of the answer went.
    pub fn tell_response(&mut self, kept: &mut KeptConnection) {
        let now = kept.client.now();
        self.response = kept.client.response_record().cloned();
        if let Some(record) = self.response.as_ref().filter(|_| self.args.verbose) {
            self.log.show_response(record, now);
        }
    }
}
