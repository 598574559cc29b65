//! What can go wrong, with curl's exit code and the lines that tell the user.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use connie_core::resolution::{Host, is_onion};
use connie_core::{AttemptErrorKind, Failure, TlsFailure};
use connie_http::HttpError;
#[cfg(feature = "gzip")]
use connie_http::TransferCoding;
use connie_http::parts::Socks5Error;
#[cfg(feature = "gzip")]
use connie_std::http1::Decoded;
use connie_std::http1::{AnyConnection, ClientError, NoResponse};
use connie_std::{ConnectError, ConnectErrorKind, Report};
use connie_web::{Proxy, ProxyError, RedirectError, ResumeError, Url, UrlError};

use crate::advice::{self, ExchangeRoute, MORE_TIME};
use crate::exit_code;

/// Why the program ends without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The exit code.
    pub code: u8,
    /// What to tell the user, a line each; none where there is nobody to tell.
    pub lines: Vec<String>,
    /// Whether a connection was refused.
    pub refused: bool,
}

impl Error {
    pub fn new(code: u8, line: impl Into<String>) -> Self {
        Error { code, lines: vec![line.into()], refused: false }
    }

    pub fn usage(line: impl Into<String>) -> Self {
        Error::new(exit_code::USAGE, line)
    }

    /// `what` could not be written to. A reader that has gone away is not reported: `connie get ... | head`
    /// ends quietly.
    pub fn write(what: impl Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error { code: exit_code::WRITE, lines: Vec::new(), refused: false },
            _ => Error::new(exit_code::WRITE, format!("could not write to {what}: {}", reason(error))),
        }
    }

    /// The file of `-d @FILE`, or stdin in its place, could not be read.
    pub fn read(path: &Path, error: &io::Error) -> Self {
        let path = if path == Path::new("-") { Path::new("stdin") } else { path };
        Error::new(exit_code::READ, format!("could not read {}: {}", path.display(), reason(error)))
    }

    /// The answer's status is an error, and `-f` was given.
    pub fn status(status: u16, reason: &str) -> Self {
        let said = format!("{status:03} {reason}");
        Error::new(exit_code::HTTP_ERROR, format!("the server answered {}", said.trim_end()))
    }

    /// An exchange failed that took this way.
    pub fn exchange(error: HttpError, way: ExchangeRoute<'_>) -> Self {
        let line = match advice::http(&error, way) {
            "" => error.to_string(),
            advice => format!("{error}; {advice}"),
        };
        let told = Error::new(exit_code::of_http(&error), line);
        match way.proxy {
            Some(proxy) => told.through_proxy(proxy),
            None => told,
        }
    }

    /// Two addresses were tried for a request, and neither has answered.
    pub fn no_response(both: &NoResponse, proxy: Option<&Proxy>) -> Self {
        let advice = match both.error() {
            HttpError::TimedOut => "allow it more time with --max-time",
            _ => "try again",
        };
        let error = Error::new(exit_code::of_http(both.error()), format!("{both}; {advice}"));
        match proxy {
            Some(proxy) => error.through_proxy(proxy),
            None => error,
        }
    }

    /// Why there is no tunnel. To curl, too, all but a lack of time is a failure to receive the proxy's
    /// answer.
    pub fn tunnel(error: HttpError, proxy: &Proxy, host: &str, port: u16) -> Self {
        let line = match error {
            HttpError::TunnelRefused { status } => {
                let advice = match status {
                    407 => "log in to it with -U USER:PASSWORD",
                    _ => "it may not allow that host: use another with -x, or none with --noproxy",
                };
                format!("the proxy {proxy} answered {status} to CONNECT; {advice}")
            }
            HttpError::TimedOut | HttpError::Connect(Failure::DeadlineExceeded) => {
                let line = format!(
                    "the proxy {proxy} opened no tunnel to {host} port {port} in the time allowed; {MORE_TIME}"
                );
                return Error::new(exit_code::TIMED_OUT, line);
            }
            HttpError::EmptyReply => format!(
                "the proxy {proxy} closed the connection without an answer to CONNECT; \
                 it may not allow that host: use another with -x, or none with --noproxy"
            ),
            error if error.is_usage() || matches!(error, HttpError::Connect(_)) => return Error::from(error),
            error => {
                let advice =
                    advice::http(&error, ExchangeRoute { proxy: Some(proxy), ..ExchangeRoute::default() });
                format!("no tunnel through the proxy {proxy}: {error}; {advice}")
            }
        };
        Error::new(exit_code::RECEIVE, line)
    }

    /// Why a SOCKS5 proxy has not connected to the host.
    pub fn socks5(error: Socks5Error, proxy: &Proxy, client: &AnyConnection) -> Self {
        let (host, port) = (client.host(), client.port());
        let line = format!("no connection through the proxy {proxy} to {host} port {port}: {error}");
        Error::new(exit_code::PROXY, format!("{line}; {}", advice::socks5(error)))
    }

    /// Why a connection to `host` cannot even be tried.
    pub fn not_made(host: &str, error: &ClientError) -> Self {
        match (error.as_http(), Host::parse(host)) {
            (Some(HttpError::InvalidHost), Err(why)) => {
                Error::new(exit_code::MALFORMED_URL, format!("{host:?} is not a host name or address: {why}"))
            }
            (Some(error), _) => Error::from(*error),
            (None, _) => Error::new(exit_code::CONNECT, error.to_string()),
        }
    }

    /// The body could not be read, or not decoded. `resumes` says whether what has come is in a file,
    /// `compressed` whether compression was asked for.
    pub fn body(error: io::Error, resumes: bool, compressed: bool) -> Self {
        match error.downcast::<HttpError>() {
            Ok(error) => Error::exchange(error, ExchangeRoute { resumes, ..ExchangeRoute::default() }),
            Err(error) if compressed => {
                Error::new(exit_code::CODING, format!("{error}; try again without --compressed"))
            }
            // The server has compressed it for sending, which nobody has asked for.
            Err(error) => Error::new(exit_code::CODING, format!("{error}; the fault is on the other side")),
        }
    }

    /// The body was sent in these transfer codings, of which one is not known here.
    #[cfg(feature = "gzip")]
    pub fn transfer_codings(codings: &[u8]) -> Self {
        let is_unknown = |name: &&[u8]| Decoded::new(name, io::empty()).is_err();
        let unknown = codings.split(|byte| *byte == b',').find(is_unknown).unwrap_or(codings);
        let coding = std::str::from_utf8(unknown.trim_ascii()).ok().and_then(TransferCoding::new);
        let error = coding.map_or(HttpError::InvalidTransferEncoding, HttpError::UnsupportedTransferCoding);
        Error::from(error)
    }

    /// A download cannot go on.
    pub fn resume(error: ResumeError) -> Self {
        Error::new(exit_code::RANGE, format!("cannot resume: {error}; drop -C to fetch all of it again"))
    }

    /// There is no connection. A host that is an address is never resolved, so to curl, too, it is one that
    /// cannot be connected to.
    pub fn connect(error: &ConnectError) -> Self {
        let told = Error::from(error);
        match told.code {
            exit_code::RESOLVE if is_address(error.host()) => Error { code: exit_code::CONNECT, ..told },
            _ => told,
        }
    }

    /// The same failure of a connection that was to leave by this interface.
    pub fn by(mut self, interface: Option<String>) -> Self {
        if let (exit_code::TIMED_OUT, Some(name), Some(line)) = (self.code, interface, self.lines.first_mut())
        {
            line.push_str(&format!(", and check that --interface {name} leads there"));
        }
        self
    }

    /// The same failure, of the proxy and not of the server.
    pub fn of_proxy(mut self, proxy: &Proxy) -> Self {
        if self.code == exit_code::RESOLVE {
            self.code = exit_code::RESOLVE_PROXY;
        }
        if let Some(line) = self.lines.first_mut() {
            *line = format!("could not reach the proxy {proxy}: {line}");
        }
        self
    }

    /// The same failure, of a server that is behind the proxy.
    pub fn through_proxy(mut self, proxy: &Proxy) -> Self {
        if let Some(line) = self.lines.first_mut() {
            *line = format!("through the proxy {proxy}: {line}");
        }
        self
    }

    /// The same failure, of one URL of several. What logs in there is not told.
    pub fn of_url(mut self, url: &str) -> Self {
        if let Some(line) = self.lines.first_mut() {
            *line = format!("{}: {line}", without_login(url));
        }
        self
    }

    /// The same where it has been told: its exit code is left.
    pub fn without_lines(self) -> Self {
        Error { lines: Vec::new(), ..self }
    }

    /// Whether nothing that follows can go better: the command line makes no sense, or nobody reads any more.
    pub fn is_final(&self) -> bool {
        self.code == exit_code::USAGE || self.lines.is_empty()
    }

    /// The same without its lines, unless errors are `shown`. What is wrong with the command line is in any
    /// case.
    pub fn shown_if(self, shown: bool) -> Self {
        if shown || self.code == exit_code::USAGE { self } else { self.without_lines() }
    }

    /// Prints the lines on stderr.
    pub fn report(&self) {
        crate::progress::beside_bars(|| self.print_lines());
    }

    fn print_lines(&self) {
        let mut stderr = io::stderr().lock();
        // WASI 0.2 knows two exit codes, success and failure. There the code stands before the line, as it
        // does for curl.
        let mut code = if cfg!(target_os = "wasi") { format!("({}) ", self.code) } else { String::new() };
        for line in &self.lines {
            // Without a stderr there is nobody to tell; the exit code remains.
            let _ = writeln!(stderr, "connie: {code}{line}");
            code.clear();
        }
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        let code = match error {
            UrlError::UnsupportedScheme(_) => exit_code::UNSUPPORTED_SCHEME,
            _ => exit_code::MALFORMED_URL,
        };
        Error::new(code, error.to_string())
    }
}

impl From<ProxyError> for Error {
    fn from(error: ProxyError) -> Self {
        let code = match error {
            ProxyError::UnsupportedScheme(_) => exit_code::CONNECT,
            _ => exit_code::RESOLVE_PROXY,
        };
        Error::new(code, error.to_string())
    }
}

#[cfg(feature = "tls")]
impl From<connie_std::TlsSetupError> for Error {
    fn from(error: connie_std::TlsSetupError) -> Self {
        use connie_std::TlsSetupError::{ClientFile, ClientKey, NoClientCertificate, NoClientKey};
        let code = match error {
            ClientFile(..) | NoClientCertificate(_) | NoClientKey(_) | ClientKey(..) => {
                exit_code::CLIENT_CERTIFICATE
            }
            _ => exit_code::CA_FILE,
        };
        Error::new(code, error.to_string())
    }
}

impl From<RedirectError> for Error {
    fn from(error: RedirectError) -> Self {
        let line = error.to_string();
        match error {
            RedirectError::TooMany { .. } => {
                Error::new(exit_code::REDIRECTS, format!("{line}; allow more with --max-redirs"))
            }
            RedirectError::Url(error) => Error { lines: vec![line], ..Error::from(error) },
            RedirectError::TooLong { .. } => Error::new(exit_code::MALFORMED_URL, line),
            _ => Error::new(exit_code::REDIRECTS, line),
        }
    }
}

impl From<&ConnectError> for Error {
    fn from(error: &ConnectError) -> Self {
        let (code, line) = match error.kind() {
            ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::UnknownZone(_)
            | ConnectErrorKind::InvalidTarget => (exit_code::MALFORMED_URL, error.to_string()),
            ConnectErrorKind::InvalidOption(_) => (exit_code::USAGE, error.to_string()),
            ConnectErrorKind::Resolve(_) if is_onion(error.host()) => {
                (exit_code::RESOLVE, format!("{error}; use a proxy that is connected to Tor"))
            }
            ConnectErrorKind::Resolve(_) => {
                (exit_code::RESOLVE, format!("{error}; {}", advice::resolution(error.failed_queries())))
            }
            ConnectErrorKind::Denied(report) => (exit_code::CONNECT, denied(error.host(), report)),
            ConnectErrorKind::Race(..) if error.waited_for_budget() => {
                let (host, port) = (error.host(), error.port());
                let line = format!(
                    "could not connect to {host} port {port}: other transfers had all sockets in the time \
                     allowed; allow more of them with --max-in-flight, or fewer transfers with --parallel-max"
                );
                (exit_code::TIMED_OUT, line)
            }
            ConnectErrorKind::Race(failure, report) => {
                // Where TCP came up, curl speaks of TLS, whatever refused beside it; and a bad certificate is
                // more to do something about.
                let (code, advice) = match error.tls_failure() {
                    Some(failure) => (exit_code::of_tls(failure), advice::tls(failure)),
                    None => advice::race(*failure, &report.timeline(), is_address(error.host())),
                };
                (code, format!("{}; {advice}", error.summary()))
            }
            _ if error.tls_failure().is_some() => {
                let failure = error.tls_failure().unwrap_or(TlsFailure::Local);
                (exit_code::of_tls(failure), format!("{error}; {}", advice::tls(failure)))
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, cause) => match cause.attempt_error().kind() {
                AttemptErrorKind::TimedOut => {
                    (exit_code::TIMED_OUT, format!("{error}; {}", advice::MORE_TIME))
                }
                _ => (exit_code::TLS, format!("{error}; check that the port belongs to an https server")),
            },
            _ => (exit_code::CONNECT, error.to_string()),
        };
        let addresses = error.details().map(|line| format!("  {line}"));
        let refused = error.timeline().is_some_and(|timeline| {
            timeline
                .destinations()
                .filter_map(|it| it.error())
                .any(|error| error == AttemptErrorKind::Refused)
        });
        Error { code, lines: std::iter::once(line).chain(addresses).collect(), refused }
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        Error::exchange(error, ExchangeRoute::default())
    }
}

/// `--deny-private` refuses all that is known of `host`.
fn denied(host: &str, report: &Report) -> String {
    let addresses: Vec<_> = report.denied().iter().map(|address| address.ip().to_string()).collect();
    match is_address(host) {
        true => format!("{host} is private: --deny-private refuses it"),
        false => format!(
            "every address of {host} is private ({}): --deny-private refuses it",
            addresses.join(", ")
        ),
    }
}

/// Whether `host` is an address. One of IPv6 with a zone is no `IpAddr`, and no name holds a colon.
pub fn is_address(host: &str) -> bool {
    host.contains(':') || host.parse::<IpAddr>().is_ok()
}

/// A URL as it was typed, but for what logs in.
pub fn without_login(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    // Where there is a password with one of these, and no URL, too much is dropped rather than too little.
    let end = match Url::parse(url) {
        Ok(_) => rest.find(['/', '?', '#']).unwrap_or(rest.len()),
        Err(_) => rest.len(),
    };
    let (authority, tail) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}{host}{tail}")
}

/// The operating system's words for an error, without the number that std adds.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_in_is_cut_out_of_a_url() {
        for (typed, shown) in [
            ("http://h/a@b?c@d#e", "http://h/a@b?c@d#e"),
            ("http://u:p@h:80/a@b", "http://h:80/a@b"),
            ("u:p@h/a", "h/a"),
            ("http://u:p%40q@[::1]/?x", "http://[::1]/?x"),
            ("http://u:p/q@h/a", "http://h/a"),
            ("http://u:p q@h/", "http://h/"),
            ("u:p?@h", "h"),
            ("", ""),
            ("@", ""),
        ] {
            assert_eq!(without_login(typed), shown, "{typed}");
        }
    }
}
