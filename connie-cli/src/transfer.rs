//! One URL of `connie get`: its tries, its redirects, and where the answer goes.

use std::cell::Cell;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connie_core::Instant;
use connie_http::{HttpError, StatusClass};
use connie_std::OsClock;
#[cfg(feature = "gzip")]
use connie_std::http1::Decoded;
use connie_std::http1::{AnyConnection, ClientError};
use connie_web::{PartialContent, Redirect, Redirects, Resume, Url, resume};

use crate::args::{ContinueAt, Get, Limit};
use crate::body::{Body, Upload};
use crate::error::Error;
use crate::exchange::{Counted, ResponseHead};
use crate::exit_code;
use crate::fetched::Fetched;
use crate::output::Output;
use crate::partial::{self, Version};
use crate::pool::{KeptConnection, Route};
use crate::progress::Progress;
use crate::request::{Hop, Request};
use crate::session::Session;
use crate::stdout_queue::TransferStdout;
use crate::stop::Stop;
use crate::tries::Tries;
use crate::verbose::Log;

/// How much of a body is read at a time: more than the room for heads, so that it goes from the kernel to
/// here at once.
const PIECE: usize = 256 * 1024;

/// The transfer of one URL.
pub struct Transfer<'a> {
    args: &'a Get,
    url: Url,
    body: Arc<Body>,
    output: Output,
    /// Where heads go, beside the output.
    dump: Option<HeadDump<'a>>,
    io: TransferIo,
    /// The clock of this try.
    clock: OsClock,
    tries: Tries<'a>,
    /// Where the body goes on.
    offset: u64,
    /// The version of the file that the last bytes of a body were of.
    version: Option<Version>,
    piece: Vec<u8>,
    pub fetched: Fetched,
}

/// Where heads go, beside the output.
pub enum HeadDump<'a> {
    /// One file for all transfers. Each head is written as a whole.
    Shared(&'a Mutex<Output>),
    /// stdout, as this transfer has it.
    Own(Output),
}

/// How a transfer prints, and how it is told from others that run at the same time.
#[derive(Clone, Default)]
pub struct TransferIo {
    pub stdout: TransferStdout,
    pub log: Log,
    /// What to call it, where there are others.
    pub name: Option<String>,
    /// What ends the run before its time.
    pub stop: Option<Stop>,
}

/// What came of a try.
enum TryOutcome {
    Done,
    /// The answer may well be another one after this time.
    Again(Duration, String),
}

impl<'a> Transfer<'a> {
    pub fn new(
        args: &'a Get,
        url: Url,
        body: Arc<Body>,
        output: Output,
        dump: Option<HeadDump<'a>>,
        io: TransferIo,
    ) -> Self {
        let fetched = Fetched { url: url.to_string(), ..Fetched::default() };
        let tries = Tries::new(args, io.name.clone());
        Transfer {
            args,
            url,
            body,
            output,
            dump,
            io,
            clock: OsClock::start(),
            tries,
            offset: 0,
            version: None,
            piece: Vec::new(),
            fetched,
        }
    }

    /// Fetches the URL, as often as it takes and is allowed.
    pub fn run(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        // The first is zeroed by the system, for nothing. A new one for each page would be zeroed by the
        // allocator, which costs more than a small page does.
        if session.piece.is_empty() {
            session.piece = vec![0; PIECE];
        }
        self.piece = std::mem::take(&mut session.piece);
        let result = match self.run_tries(session) {
            // Whatever it was that broke off.
            Err(_) if self.is_stopped() => {
                Err(Error::new(exit_code::ABORTED, "stopped, since another transfer has failed"))
            }
            result => result,
        };
        session.piece = std::mem::take(&mut self.piece);
        self.fetched.trace.ended = self.elapsed();
        self.fetched.trace.file = self.output.file().map(Path::to_owned);
        result
    }

    fn run_tries(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        loop {
            let (pause, reason) = match self.attempt(session) {
                Ok(TryOutcome::Done) => return Ok(()),
                Ok(TryOutcome::Again(pause, reason)) => {
                    // Heads of redirects and of proxies may have been written.
                    self.take_back()?;
                    (pause, reason)
                }
                Err(error) => match self.tries.after_error(&error) {
                    Some(pause) if self.take_back()? => {
                        (pause, error.lines.first().cloned().unwrap_or_default())
                    }
                    _ => return Err(error),
                },
            };
            self.tries.wait(pause, &reason, self.io.stop.as_ref());
            if self.is_stopped() {
                return Err(Error::from(HttpError::Canceled));
            }
        }
    }

    /// One try, redirects included.
    fn attempt(&mut self, session: &mut Session<'_>) -> Result<TryOutcome, Error> {
        self.clock = OsClock::start();
        self.io.stdout.begin(self.clock, self.args.max_time());
        self.fetched = Fetched { url: self.url.to_string(), ..Fetched::default() };
        self.offset = self.resumes_at();
        self.output.start_at(self.offset);
        let mut redirects = Redirects::new(self.args.redirect_limit());
        let mut hop = Hop::first(self.args, self.url.clone(), &self.body)?;
        loop {
            let route = session.route(&hop.url)?;
            let mut request = Request::new(self.args, &hop, route.via(), &self.body, self.offset)?;
            if let Some(validator) = self.version.as_ref().and_then(Version::validator) {
                request.continue_version(validator);
            }
            self.fetched.trace.method.clone_from(&request.method);
            let (mut kept, answer) = self.exchange(session, route, &request, &hop)?;
            self.fetched.trace.answered(self.elapsed(), kept.client.destination(), &answer);
            self.fetched.status = Some(answer.status);
            self.fetched.reason.clone_from(&answer.reason);
            self.show_heads(&answer.raw)?;
            self.tell_dropped(&answer);
            if answer.status == 417 && request.expects && self.body.is_repeatable() {
                self.print_heads(&answer.raw)?;
                // RFC 9110 section 15.5.18: "repeat the request without a 100-continue expectation".
                hop.expects = false;
                session.keep(kept);
                continue;
            }
            let redirect = self.redirect(&hop, &answer, &mut redirects);
            if !matches!(redirect, Ok(None)) {
                self.print_heads(&answer.raw)?;
            }
            if let Some(redirect) = redirect? {
                session.keep(kept);
                hop = hop.next(self.args, redirect, &self.url);
                self.fetched.trace.redirected = self.elapsed();
                self.fetched.redirects = redirects.followed();
                self.fetched.url = hop.url.to_string();
                continue;
            }
            self.note_redirect(&hop, &answer);
            let received = self.receive(&mut kept.client, &request, &answer)?;
            session.keep(kept);
            return Ok(received);
        }
    }

    /// Sends the request and waits for the head of its answer, on a kept connection where there is one.
    fn exchange(
        &mut self,
        session: &mut Session<'_>,
        route: Route,
        request: &Request,
        hop: &Hop,
    ) -> Result<(KeptConnection, ResponseHead), Error> {
        let mut kept = session.connection(route, request.size())?;
        kept.client.set_deadline(self.left());
        if let Some(limit) = self.args.expect100_timeout.and_then(Limit::get) {
            kept.client.set_expect_timeout(limit);
        }
        let reused = kept.client.is_open();
        if !reused {
            let connected = kept.client.connect();
            self.note_opening(session, &mut kept)?;
            connected.map_err(|error| kept.error(error, false).by(self.args.race.interface_name()))?;
        }
        let mut result = self.exchange_over(&mut kept.client, request, hop);
        if kept.client.was_lost() && self.body.is_repeatable() {
            result = self.exchange_over(&mut kept.client, request, hop);
        }
        // A request that was lost, or was not answered, may have opened another connection.
        let opened = self.note_opening(session, &mut kept)?;
        let reused = reused && !opened;
        session.tell_response(&mut kept);
        if result.is_err() {
            // What has come of an answer that is cut off, or cannot be read.
            let raw = kept.client.raw_heads();
            self.show_heads(raw)?;
            self.print_heads(raw)?;
        }
        match result {
            Ok(answer) => Ok((kept, answer)),
            Err(TryError::Client(error)) => Err(kept.error(error, reused)),
            Err(TryError::Other(error)) => Err(error),
        }
    }

    /// Records how the connection was opened since the last call, and returns whether it was.
    fn note_opening(&mut self, session: &mut Session<'_>, kept: &mut KeptConnection) -> Result<bool, Error> {
        let (now, theirs) = (self.elapsed(), kept.client.now());
        let Some(opening) = session.report_opening(kept) else { return Ok(false) };
        self.fetched.trace.opened(opening, |moment| now.saturating_sub(theirs.duration_since(moment)));
        if self.args.suppress_connect_headers {
            if self.args.verbose {
                self.io.log.show_head('<', &opening.tunnel_heads);
            }
            return Ok(true);
        }
        self.show_heads(&opening.tunnel_heads)?;
        self.print_heads(&opening.tunnel_heads)?;
        Ok(true)
    }

    /// Records the target of a redirect that is not followed.
    fn note_redirect(&mut self, hop: &Hop, answer: &ResponseHead) {
        let leads = answer.header("location").and_then(|to| std::str::from_utf8(to).ok());
        let to = leads.filter(|_| (300..400).contains(&answer.status)).and_then(|to| hop.url.join(to).ok());
        self.fetched.trace.redirect = to.map(|url| url.to_string());
    }

    fn exchange_over(
        &mut self,
        client: &mut AnyConnection,
        request: &Request,
        hop: &Hop,
    ) -> Result<ResponseHead, TryError> {
        self.fetched.trace.sent = self.elapsed();
        self.fetched.trace.uploaded = 0;
        if self.args.verbose {
            self.io.log.show_head('>', &request.shown().map_err(ClientError::from)?);
        }
        let (method, target, fields) = (&request.method, &request.target, request.fields());
        let body = if hop.body { &*self.body } else { &Body::None };
        match request.whole(body) {
            Some(bytes) => {
                client.request(method, target, &fields, bytes)?;
                self.fetched.trace.uploaded = bytes.len() as u64;
            }
            None => {
                let mut upload = Upload::new(body, self.shows_progress().then_some(self.io.name.as_deref()));
                let sent = client.request_from(method, target, &fields, &mut upload, request.length());
                self.fetched.trace.uploaded = upload.sent;
                sent.map_err(|error| match error {
                    ClientError::Body(error) => TryError::Other(upload.failed(&error)),
                    ClientError::Http(HttpError::BodyTooShort { .. }) => TryError::Other(body.too_short()),
                    error => TryError::Client(error),
                })?;
            }
        }
        client.response()?;
        let raw = client.raw_heads().to_vec();
        Ok(ResponseHead::new(&client.response()?, raw))
    }

    /// Where the answer leads, if that is to be followed.
    fn redirect(
        &self,
        hop: &Hop,
        answer: &ResponseHead,
        redirects: &mut Redirects,
    ) -> Result<Option<Redirect>, Error> {
        let location = answer.header("location").filter(|location| !location.is_empty());
        match location.filter(|_| self.args.follows()) {
            Some(location) => {
                redirects.follow(&hop.implied, &hop.url, answer.status, location).map_err(Error::from)
            }
            None => Ok(None),
        }
    }

    /// Shows heads wherever they are wanted, but for where the body goes.
    fn show_heads(&mut self, raw: &[u8]) -> Result<(), Error> {
        if raw.is_empty() {
            return Ok(());
        }
        if self.args.verbose {
            self.io.log.show_head('<', raw);
        }
        match &mut self.dump {
            Some(HeadDump::Shared(dump)) => dump.lock().unwrap_or_else(PoisonError::into_inner).write(raw),
            Some(HeadDump::Own(dump)) => dump.write_head(raw),
            None => Ok(()),
        }
    }

    /// Says, where `-v` asks for it, which lines of the head are not fields.
    fn tell_dropped(&self, answer: &ResponseHead) {
        for line in answer.dropped.iter().filter(|_| self.args.verbose) {
            let line = String::from_utf8_lossy(line);
            self.io
                .log
                .say(&format!("this line of the head is not a header field, and is dropped: {line:?}"));
        }
    }

    /// Writes heads to where the body goes, where they are wanted there.
    fn print_heads(&mut self, raw: &[u8]) -> Result<(), Error> {
        let wanted = self.args.include || self.args.head;
        if wanted && !raw.is_empty() { self.output.write_head(raw) } else { Ok(()) }
    }

    /// Shows and writes the trailer fields that have come behind the body, as heads are.
    fn print_trailers(&mut self, client: &mut AnyConnection) -> Result<(), Error> {
        let Ok(answer) = client.response() else { return Ok(()) };
        let section = answer.raw_trailers();
        // Without the empty line at its end.
        let fields = section.strip_suffix(b"\n").unwrap_or(section);
        let fields = fields.strip_suffix(b"\r").unwrap_or(fields);
        self.show_heads(fields)?;
        self.print_heads(fields)
    }

    /// The same for an answer that nothing else is written of. A file that a download goes on in stays as it
    /// is.
    fn print_refused(&mut self, answer: &ResponseHead) -> Result<(), Error> {
        let resumes = self.offset > 0 && self.output.is_aside();
        if resumes { Ok(()) } else { self.print_heads(&answer.raw) }
    }

    /// Writes the last answer to where it is wanted.
    fn receive(
        &mut self,
        client: &mut AnyConnection,
        request: &Request,
        answer: &ResponseHead,
    ) -> Result<TryOutcome, Error> {
        if let Some(pause) = self.tries.after_answer(answer) {
            return Ok(TryOutcome::Again(pause, answer.said()));
        }
        let part = match self.accept(request, answer) {
            Ok(Some(part)) => part,
            refused => {
                self.print_refused(answer)?;
                return refused.map(|_| TryOutcome::Done);
            }
        };
        self.print_heads(&answer.raw)?;
        // With -I and a method of one's own there may be a body, which was not asked for.
        let received = if self.args.head { 0 } else { self.receive_body(client, answer, part.as_ref())? };
        self.print_trailers(client)?;
        self.output.finish()?;
        if let Some(part) = part.filter(|_| !self.args.head) {
            partial::check_end(self.args, &part, received)?;
        }
        let failed = StatusClass::from_status(answer.status).is_error();
        match failed && self.args.fail_with_body {
            true => Err(Error::status(answer.status, &answer.reason)),
            false => Ok(TryOutcome::Done),
        }
    }

    /// What part of a file the body is, where it is one; `None` where there is nothing to write.
    fn accept(
        &self,
        request: &Request,
        answer: &ResponseHead,
    ) -> Result<Option<Option<PartialContent>>, Error> {
        let failed = StatusClass::from_status(answer.status).is_error();
        if self.offset > 0 && (!failed || answer.status == 416) {
            return match resume(self.offset, answer.status, partial::content_range(answer), answer.length) {
                Ok(Resume::Append(part)) => {
                    if let Some(before) = &self.version {
                        Version::of(answer, Some(&part)).check_continues(before)?;
                    }
                    Ok(Some(Some(part)))
                }
                Ok(Resume::Unrelated) => Err(self.left_alone(answer)),
                Ok(Resume::Complete) => Ok(None),
                Err(error) => {
                    // A whole, since what was asked for is not of this version any more.
                    if let Some(before) =
                        self.version.as_ref().filter(|_| (200..206).contains(&answer.status))
                    {
                        Version::of(answer, None).check_continues(before)?;
                    }
                    Err(Error::resume(error))
                }
            };
        }
        if failed && self.args.fail {
            return Err(Error::status(answer.status, &answer.reason));
        }
        if failed && self.offset > 0 {
            return Err(self.left_alone(answer));
        }
        partial::part_of(request, answer).map(Some)
    }

    /// A page about an error or a redirect is no part of a file.
    fn left_alone(&self, answer: &ResponseHead) -> Error {
        let advice = if answer.header("location").is_some() { "; follow redirects with -L" } else { "" };
        let line = format!("{}; the {} bytes already here were kept{advice}", answer.said(), self.offset);
        Error::new(exit_code::RANGE, line)
    }

    /// Writes the body, and answers how long it was before it was coded for sending.
    fn receive_body(
        &mut self,
        client: &mut AnyConnection,
        answer: &ResponseHead,
        part: Option<&PartialContent>,
    ) -> Result<u64, Error> {
        // What is written behind what was there before is of the same version.
        let before = self.version.take().filter(|_| self.offset > 0);
        self.version = Some(Version::of(answer, part).after(before));
        let length = answer.length.filter(|_| !self.args.compressed());
        let total = length.map(|length| length.saturating_add(self.offset));
        let mut progress = Progress::new(self.shows_progress(), self.io.name.as_deref(), self.offset, total);
        // RFC 9110 section 14.2: "GET is the only method for which range handling is defined".
        let resumes = self.output.is_aside() && self.fetched.trace.method == "GET" && !self.args.compressed();
        // What came, and what it was before it was coded for sending: the bytes that a range counts.
        let (received, sent) = (Cell::new(0), Cell::new(0));
        let response = client.response().map_err(|error| Error::body(error.into(), resumes, false))?;
        let body = Counted(response, &received);
        // The last that was done to the body is undone first.
        #[cfg(feature = "gzip")]
        let body = Decoded::new(&answer.transfer_codings, body)
            .map_err(|_| Error::transfer_codings(&answer.transfer_codings))?;
        let body = Counted(body, &sent);
        #[cfg(feature = "gzip")]
        let body = {
            let codings = if self.args.compressed() { answer.codings() } else { Vec::new() };
            Decoded::new(&codings, body).map_err(|error| Error::new(exit_code::CODING, error.to_string()))?
        };
        let mut body = body;
        loop {
            let count = body
                .read(&mut self.piece)
                .map_err(|error| Error::body(error, resumes, self.args.compressed()))?;
            self.fetched.trace.received = received.get();
            if count == 0 {
                return Ok(sent.get());
            }
            // One that is never waited for ends here.
            if self.is_stopped() {
                return Err(Error::from(HttpError::Canceled));
            }
            if let Some(part) = part.filter(|part| sent.get() > part.length()) {
                return Err(partial::too_much(part));
            }
            self.output.write(&self.piece[..count])?;
            self.fetched.body += count as u64;
            progress.add(count);
        }
    }

    /// Whether the run is to end before its time.
    fn is_stopped(&self) -> bool {
        self.io.stop.as_ref().is_some_and(Stop::is_stopped)
    }

    /// Progress would be in the way of a body that is on the terminal, and of what -v shows.
    fn shows_progress(&self) -> bool {
        let terminal = !self.output.is_aside() && io::stdout().is_terminal();
        let quiet = self.args.silent || self.args.no_progress_meter;
        !quiet && !self.args.verbose && !terminal
    }

    /// Where this try begins: behind the bytes that are there already, where that is wanted.
    fn resumes_at(&self) -> u64 {
        match self.args.continue_at {
            None => 0,
            Some(ContinueAt::FileEnd) => self.output.existing_length(),
            Some(ContinueAt::Offset(offset)) => offset,
        }
    }

    /// How much of the time for this try is left.
    fn left(&self) -> Option<Duration> {
        let elapsed = self.elapsed();
        self.args.max_time().map(|all| all.saturating_sub(elapsed))
    }

    /// How long this try has taken.
    fn elapsed(&self) -> Duration {
        self.clock.now().duration_since(Instant::ZERO)
    }

    /// Makes ready for another try: what has been written is taken back, or kept where -C - goes on with it.
    /// Says whether that can be.
    fn take_back(&mut self) -> Result<bool, Error> {
        match self.args.continue_at {
            Some(ContinueAt::FileEnd) if self.output.is_aside() => {
                self.output.close();
                Ok(true)
            }
            _ => self.output.restart(),
        }
    }
}

/// Why an exchange failed.
enum TryError {
    Client(ClientError),
    Other(Error),
}

impl From<ClientError> for TryError {
    fn from(error: ClientError) -> Self {
        TryError::Client(error)
    }
}
