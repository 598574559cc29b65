//! Shows what a proxy does, over HTTP: as a page, as JSON, and for Prometheus. Only programs on this machine
//! are answered.

mod json;
mod metrics;
mod page_request;

use std::borrow::Cow;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connie_http::reason_phrase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::server::ProxyView;
use page_request::{PageRequest, read_page_request};

/// How long an exchange may take.
const TIME: Duration = Duration::from_secs(5);
/// How many there may be at once.
const AT_ONCE: usize = 16;
/// The longest request.
const MAX_REQUEST: usize = 16 * 1024;

const HERE: &str = "connie proxy\n\n/             a page that shows the last races, and what is remembered\n/status.json  the same for programs\n/metrics      the counts for Prometheus\n";
/// The page, in one file with its script and style.
const PAGE: &str = include_str!("page.html");
/// The page runs only its own script, asks only this server, and may not be framed. A test compares the
/// hashes with the file.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'sha256-EP7K6M/UO/ODK12kuWSHZiyBK5YhfMJRXkOuGoocovI='; style-src 'sha256-VU1pWLcXzcZoO55izPNpcEN4iKi6XNhetSIFd8NxU+k='; img-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

impl ProxyView {
    /// Serves the status on `listener`, for as long as the future lives: a page, `/status.json` and
    /// `/metrics`. They show little if no [races](crate::ProxyConfig::races) are kept.
    ///
    /// Pages of other sites that a browser on this machine has open cannot read it: a request has to name
    /// this machine as its host, and must not come from another origin.
    ///
    /// # Errors
    ///
    /// Where the listener is not on a loopback address
    /// ([`PermissionDenied`](io::ErrorKind::PermissionDenied)), or has none.
    pub async fn show(self, listener: TcpListener) -> io::Result<()> {
        let own = listener.local_addr()?;
        if !own.ip().to_canonical().is_loopback() {
            let text = "the status is for this machine alone: show it on a loopback address";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return pending().await };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let view = self.clone();
                    tokio::spawn(async move {
                        let _ = timeout(TIME, view.answer(stream, own)).await;
                        drop(place);
                    });
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn answer(&self, mut stream: TcpStream, own: SocketAddr) -> io::Result<()> {
        let mut input = Vec::new();
        let request = loop {
            match read_page_request(&mut input, own) {
                Some(request) => break request,
                None if input.len() > MAX_REQUEST => break PageRequest::Refused(431),
                None => {}
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let answer = self.answer_to(&request);
        // RFC 9110 section 9.3.2: to HEAD no content is sent, also where it is refused.
        let with_body = !input.starts_with(b"HEAD ");
        stream.write_all(answer.head().as_bytes()).await?;
        if with_body && answer.status != 304 {
            stream.write_all(answer.text.as_bytes()).await?;
        }
        stream.shutdown().await?;
        // So that no reset overtakes the answer.
        while !matches!(stream.read(&mut [0; 256]).await, Ok(0) | Err(_)) {}
        Ok(())
    }

    fn answer_to(&self, request: &PageRequest) -> Answer {
        let (path, known) = match request {
            PageRequest::Page { path, known, .. } => (&**path, known.as_deref()),
            PageRequest::Refused(status) => {
                return Answer::plain(*status, format!("{}\n", reason_phrase(*status).unwrap_or("Error")));
            }
        };
        match path {
            "/" => {
                Answer { kind: "text/html; charset=utf-8", policy: PAGE_POLICY, ..Answer::plain(200, PAGE) }
            }
            "/status.json" => {
                let tag = self.tag();
                // RFC 9110 section 13.1.2: a list may be given, and our tags have no comma.
                let is_known = known.is_some_and(|known| known.split(',').any(|it| it.trim() == tag));
                let answer = match is_known {
                    true => Answer::plain(304, ""),
                    false => Answer::plain(200, self.json()),
                };
                Answer { kind: "application/json", tag: Some(tag), ..answer }
            }
            "/metrics" => Answer {
                kind: "text/plain; version=0.0.4; charset=utf-8",
                ..Answer::plain(200, self.metrics())
            },
            _ => Answer::plain(404, HERE),
        }
    }
}

/// An answer of the status server.
struct Answer {
    status: u16,
    kind: &'static str,
    text: Cow<'static, str>,
    /// Its Content-Security-Policy: what it may load and do in a browser.
    policy: &'static str,
    /// Its entity tag.
    tag: Option<String>,
}

impl Answer {
    fn plain(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Answer { status, kind: "text/plain; charset=utf-8", text: text.into(), policy: NOTHING, tag: None }
    }

    fn head(&self) -> String {
        let Answer { status, kind, text, policy, tag } = self;
        let tag = tag.as_ref().map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default();
        let length =
            if *status == 304 { String::new() } else { format!("Content-Length: {}\r\n", text.len()) };
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\n{length}{tag}Cache-Control: no-store\r\n\
             Content-Security-Policy: {policy}\r\nCross-Origin-Resource-Policy: same-origin\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nConnection: close\r\n\r\n",
            reason_phrase(*status).unwrap_or("Error"),
        )
    }
}
