//! `-Z`: several transfers at a time, each in a thread of its own, with one pool of connections, one memory
//! and one budget of sockets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

use connie_std::{Options, SocketBudget};

use crate::args::Get;
use crate::error::{Error, without_login};
use crate::fetch::Fetch;
use crate::pool::{Limits, Pool};
use crate::progress;
use crate::session::Session;
use crate::stdout_queue::{StdoutQueue, TransferStdout};
use crate::stop::Stop;
use crate::transfer::TransferIo;
use crate::urls::Wanted;
use crate::verbose::Log;

/// The stack of a thread. A transfer needs between 128 and 192 KiB of it where the compiler does not
/// optimize, TLS, codings and a lookup included; its buffers are not there.
const STACK: usize = 512 * 1024;

/// How many descriptors a transfer may have: its connection, an attempt of its race, and the files that it
/// reads and writes.
const DESCRIPTORS: usize = 4;

/// Fetches the URLs, of which there are `count`, as many at a time as the options allow. As curl has it, of
/// those that fail the one that ends last gives the exit code.
pub fn run<U>(fetch: &Fetch<'_>, urls: U, count: usize) -> Result<(), Error>
where
    U: Iterator<Item = Result<Wanted, Error>> + Send,
{
    let args = fetch.args;
    let transfers = at_a_time(args).min(count);
    let stop = Stop::new();
    let limits = Limits { budget: Some(budget(args, transfers)), canceler: stop.canceler().cloned() };
    args.race.learnt();
    let pool = Pool::new(args, transfers, limits)?;
    if !args.silent && !args.verbose && !args.no_progress_meter {
        progress::share_the_terminal();
    }
    let jobs = Mutex::new(Jobs { urls, begun: 0, is_quiet: false, outcome: Ok(()) });
    let run = Run { fetch, pool, stop, stdout: StdoutQueue::default(), jobs };
    std::thread::scope(|scope| run.start(scope, transfers));
    run.jobs.into_inner().unwrap_or_else(PoisonError::into_inner).outcome
}

/// How many transfers run at a time. curl takes 50 for what it does not allow, and so does this.
fn at_a_time(args: &Get) -> usize {
    const DEFAULT: usize = 50;
    const MOST: usize = 300;
    let asked = usize::try_from(args.parallel_max).ok().filter(|most| (1..=MOST).contains(most));
    // Where the process may have few descriptors, all transfers shall have those that they need.
    let room = SocketBudget::for_process().sockets() / DESCRIPTORS;
    asked.unwrap_or(DEFAULT).min(room.max(1))
}

/// The attempts of all races together. Unless told otherwise each transfer may have one, so that a host that
/// does not answer keeps none of the others waiting.
fn budget(args: &Get, transfers: usize) -> SocketBudget {
    let asked = args.race.max_in_flight.map(|most| most as usize);
    SocketBudget::attempts_only(asked.unwrap_or(Options::DEFAULT_MAX_IN_FLIGHT.max(transfers)))
}

/// The transfers of a run.
struct Run<'a, U> {
    fetch: &'a Fetch<'a>,
    pool: Pool<'a>,
    stop: Stop,
    stdout: StdoutQueue,
    jobs: Mutex<Jobs<U>>,
}

/// What is left to do, and what came of the rest.
struct Jobs<U> {
    urls: U,
    /// How many transfers have begun.
    begun: usize,
    /// Whether nobody is told about those that end before their time.
    is_quiet: bool,
    outcome: Result<(), Error>,
}

impl<U> Run<'_, U>
where
    U: Iterator<Item = Result<Wanted, Error>> + Send,
{
    /// Lets this many threads work, including the current one. If the system cannot start as many, the others
    /// do all the work.
    fn start<'s>(&'s self, scope: &'s Scope<'s, '_>, threads: usize) {
        for _ in 1..threads {
            if Builder::new().stack_size(STACK).spawn_scoped(scope, || self.work()).is_err() {
                break;
            }
        }
        self.work();
    }

    fn work(&self) {
        let mut session = Session::new(self.fetch.args, &self.pool);
        while let Some((number, wanted)) = self.next() {
            let name = without_login(&wanted.url);
            let io = TransferIo {
                stdout: TransferStdout::queued(&self.stdout),
                log: Log::numbered(number),
                name: Some(name),
                stop: Some(self.stop.clone()),
            };
            let fetched = self.fetch.fetch(&wanted, &mut session, &io);
            let is_fetched = fetched.is_ok();
            // A failure counts at once, also where its output has to wait for stdout.
            if let Err(error) = fetched {
                self.failed(error, &wanted);
            }
            match io.stdout.end() {
                // What went wrong with the fetch says more.
                Err(error) if is_fetched => self.failed(Error::write("stdout", &error), &wanted),
                _ => {}
            }
        }
    }

    /// The next URL, and the number of its transfer, from 1.
    fn next(&self) -> Option<(usize, Wanted)> {
        let mut jobs = self.jobs();
        if self.stop.is_stopped() {
            return None;
        }
        match jobs.urls.next()? {
            Ok(wanted) => {
                jobs.begun += 1;
                Some((jobs.begun, wanted))
            }
            Err(error) => {
                self.report(&error);
                jobs.outcome = Err(error.without_lines());
                drop(jobs);
                self.end();
                None
            }
        }
    }

    fn report(&self, error: &Error) {
        error.clone().shown_if(self.fetch.args.shows_errors()).report();
    }

    fn failed(&self, error: Error, wanted: &Wanted) {
        let mut jobs = self.jobs();
        let is_final = error.is_final();
        let is_quiet = error.lines.is_empty();
        let error = error.of_url(&wanted.url);
        if self.stop.is_stopped() {
            // The one that has ended the run counts.
            if !jobs.is_quiet {
                self.report(&error);
            }
            return;
        }
        self.report(&error);
        jobs.outcome = Err(error.without_lines());
        if is_final || self.fetch.args.fail_early {
            jobs.is_quiet = is_quiet;
            // Before another one can be the first.
            self.end();
        }
    }

    /// Ends the run before its time.
    fn end(&self) {
        self.stop.stop();
        self.stdout.stop();
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs<U>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
