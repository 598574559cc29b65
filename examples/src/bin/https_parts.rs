//! How do I speak HTTPS with connie-http over connie-async, as firmware would?

use std::net::IpAddr;

use connie_async::connie_core::{Family, Instant};
use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
use connie_async::tls::{RecordBuffers, TlsRaceConnect};
use connie_async::{AddressList, Clock, Lookup, Options, RaceConnect, within};
use connie_http::parts::{BodyDecoder, BodyPart, ParsedHead, RequestHead, RequestKind};
use connie_http::{Authority, HttpError, RequestBody, ResponseHead};
use embedded_io_async::{Read, Write};
use rand_core::OsRng;
use std_embedded_nal_async::Stack;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, port, path, authority, addresses @ ..] = &arguments[..] else {
        return Err(
            "give HOST PORT PATH AUTHORITY.der, and its addresses where it is not to be looked up".into()
        );
    };
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let port = port.parse()?;
    async_io::block_on(async {
        let clock = SystemClock::new();
        let net = RaceConnect::new(Stack::default(), Names(addresses), clock, Options::new());
        // Whom it trusts, what time it is, and a pair of buffers for each of three handshakes at a time.
        let authority = std::fs::read(authority)?;
        let authority = CertificateDer::from(&authority[..]);
        let anchors = [trust_anchor(&authority)?];
        let now = || Some(std::time::SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs());
        let tls = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Clock(&now));
        let buffers: RecordBuffers<3> = RecordBuffers::new();
        let secure = TlsRaceConnect::new(&net, tls, &buffers);

        let fetch = async {
            let mut connection = secure.connect((server.as_str(), port), &Options::new()).await?;
            let (mut buffer, mut page) = ([0; 2048], Vec::new());
            let host = Authority::https(server, port);
            let status =
                get(&mut connection, host, path, &mut buffer, |piece| page.extend_from_slice(piece)).await?;
            // Says `close_notify`: all has been read.
            connection.into_inner().close().await?;
            Ok::<_, Failure>((status, page))
        };
        let limit = std::time::Duration::from_secs(20);
        let (status, page) = within(&SystemClock::new(), limit, Box::pin(fetch))
            .await?
            .map_err(|error| format!("{server}: {error}"))?;
        eprintln!("{status}");
        print!("{}", String::from_utf8_lossy(&page));
        Ok(())
    })
}

/// Fetches a page over any connection. `buffer` has room for the head of the request, and then for that of
/// the response; `take` gets the body as it comes. Returns the status.
async fn get<C>(
    connection: &mut C,
    host: Authority<'_>,
    path: &str,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]),
) -> Result<u16, Failure>
where
    C: Read + Write,
    C::Error: 'static,
{
    let mut name = [0; 300];
    let length = host.write(&mut name)?;
    let name = std::str::from_utf8(&name[..length])?;
    let mut head = RequestHead::new(buffer, "GET", path, name)?;
    head.header("Connection", b"close")?;
    let length = head.finish(RequestBody::None)?;
    connection.write_all(&buffer[..length]).await?;
    connection.flush().await?;

    let (mut filled, capacity) = (0, buffer.len());
    let (status, framing, mut at) = loop {
        match ResponseHead::parse(&mut buffer[..filled])? {
            // 103 and its like come before the response itself (RFC 9110 section 15.2).
            ParsedHead::Complete(head) if head.status() < 200 => {
                let length = head.len();
                buffer.copy_within(length..filled, 0);
                filled -= length;
            }
            ParsedHead::Complete(head) => {
                break (head.status(), head.framing(RequestKind::Other)?, head.len());
            }
            ParsedHead::Partial if filled == capacity => {
                return Err(HttpError::HeadTooLarge { capacity }.into());
            }
            ParsedHead::Partial => match connection.read(&mut buffer[filled..]).await? {
                0 => return Err(HttpError::IncompleteHead.into()),
                length => filled += length,
            },
        }
    };
    let mut body = BodyDecoder::new(framing);
    while !body.is_done() {
        if at == filled {
            (at, filled) = (0, connection.read(buffer).await?);
            if filled == 0 {
                // Only where no length was announced is this the end of the body; TLS has said that nobody
                // cut it short.
                body.end_of_input()?;
                continue;
            }
        }
        let step = body.step(&buffer[at..filled], usize::MAX)?;
        if step.part == BodyPart::Content {
            take(&buffer[at + step.skip..at + step.consumed()]);
        }
        at += step.consumed();
    }
    Ok(status)
}

/// The addresses that were given, or else those of the system's resolver.
struct Names(Vec<IpAddr>);

impl Lookup for Names {
    type Error = std::io::Error;

    async fn lookup(&self, host: &str, _: Family, answers: &mut AddressList<'_>) -> std::io::Result<()> {
        // `answers` passes over those of the other family.
        self.0.iter().for_each(|address| answers.push(*address));
        if self.0.is_empty() {
            async_net::resolve((host, 0)).await?.iter().for_each(|address| answers.push(address.ip()));
        }
        Ok(())
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The time of async-io's timers.
struct SystemClock(std::time::Instant);

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a clock of the program's own")]
    fn new() -> Self {
        SystemClock(std::time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    async fn wait_until(&self, at: Instant) {
        async_io::Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
    }
}
