//! Shows what a proxy does, over HTTP: as JSON, and as Prometheus reads it. For programs on this machine
//! alone.

mod json;
mod metrics;
mod page_request;

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

const HERE: &str = "connie proxy\n\n/status.json  the last races, what is remembered, and counts\n/metrics      the counts for Prometheus\n";

impl ProxyView {
    /// Shows the proxy on `listener`, for as long as the future lives: `/status.json` and `/metrics`.
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
        let plain = "text/plain; charset=utf-8";
        let (status, kind, text, with_body) = match request {
            PageRequest::Page { path, with_body } => match &*path {
                "/" => (200, plain, HERE.to_owned(), with_body),
                "/status.json" => (200, "application/json", self.json(), with_body),
                "/metrics" => (200, "text/plain; version=0.0.4; charset=utf-8", self.metrics(), with_body),
                _ => (404, plain, HERE.to_owned(), with_body),
            },
            PageRequest::Refused(status) => {
                (status, plain, format!("{}\n", reason_phrase(status).unwrap_or("Error")), true)
            }
        };
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Content-Security-Policy: default-src 'none'\r\nCross-Origin-Resource-Policy: same-origin\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            reason_phrase(status).unwrap_or("Error"),
            text.len()
        );
        stream.write_all(head.as_bytes()).await?;
        if with_body {
            stream.write_all(text.as_bytes()).await?;
        }
        stream.shutdown().await?;
        // So that no reset overtakes the answer.
        while !matches!(stream.read(&mut [0; 256]).await, Ok(0) | Err(_)) {}
        Ok(())
    }
}
