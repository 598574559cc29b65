//! What these boards do, when their network is up: they fetch a page by HTTPS, again and again, and log what
//! each race did.

use core::cell::RefCell;
use core::fmt;
use core::pin::pin;
use core::time::Duration;

use connie_async::connie_core::memory::Memory;
use connie_async::connie_core::timeline::LastRace;
use connie_async::connie_core::{Config, Instant};
use connie_async::dns::Dns;
use connie_async::embassy_net::{Buffers, Neighbours, Udp};
use connie_async::tls::embedded::{
    CertificateDer, CertificateTime, CryptoRngCore, EmbeddedTls, trust_anchor,
};
use connie_async::tls::{RecordBuffers, TlsRaceConnect};
use connie_async::{EmbassyClock, Options, RaceConnect};
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Stack, StackResources};
use embassy_time::{Timer, with_timeout};
use reqwless::client::HttpClient;
use reqwless::request::Method;
use static_cell::{ConstStaticCell, StaticCell};

/// How many attempts a race has in flight, and how many UDP sockets there are for DNS queries.
const SOCKETS: usize = 4;
const DNS: usize = 4;

/// How many seconds a visit may take from the lookup to the last octet, and how many there are between two.
const LIMIT: u64 = 60;
const PAUSE: u64 = 30;

/// What the stack needs: a socket more, for DHCP.
pub type Resources = StackResources<{ SOCKETS + DNS + 1 }>;

/// `authority` is the certificate that is trusted; `log` is called with each line that a person may read.
pub async fn visits<R: CryptoRngCore>(
    (stack, neighbours): (Stack<'static>, &'static Neighbours),
    mut random: R,
    authority: &'static [u8],
    url: &str,
    log: fn(fmt::Arguments<'_>),
) -> ! {
    static STATE: StaticCell<TcpClientState<SOCKETS, 1024, 1024>> = StaticCell::new();
    static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
    static RECORDS: ConstStaticCell<RecordBuffers<2>> = ConstStaticCell::new(RecordBuffers::new());
    let udp = Udp::new(stack, BUFFERS.init_with(Buffers::new)).with_neighbours(neighbours);
    let names: Dns<'_, _, _> = Dns::new(&udp, EmbassyClock, random.next_u64());
    // A handshake takes the processor up to a second, which does not mean that the server is dead.
    let race = Config::all_at_once().patience(Duration::from_secs(2)).deadline(Some(Duration::from_secs(20)));
    let memory = RefCell::new(Memory::<32>::new(random.next_u32(), Instant::ZERO));
    let last = RefCell::new(LastRace::new());
    let tcp = TcpClient::new(stack, STATE.init_with(TcpClientState::new));
    let net = RaceConnect::new(tcp, &names, EmbassyClock, Options::new().race(race));
    let net = net.with_memory(&memory).with_record(&last);
    let authority = CertificateDer::from(authority);
    let anchors = [trust_anchor(&authority).expect("authority.der is a certificate")];
    // The board does not know the time, so it accepts a certificate that has expired.
    let tls = EmbeddedTls::new(random, &anchors, CertificateTime::Unknown);
    let secure = TlsRaceConnect::new(&net, tls, RECORDS.take());
    let mut client = HttpClient::new(&secure, &secure);
    let mut buffer = [0; 4096];
    loop {
        // Pinned here: by value it would lie in RAM twice, in this future and in that of `with_timeout`.
        let page = pin!(async {
            let mut request = client.request(Method::GET, url).await?;
            let response = request.send(&mut buffer).await?;
            Ok::<_, reqwless::Error>((response.status.0, response.body().read_to_end().await?.len()))
        });
        match with_timeout(embassy_time::Duration::from_secs(LIMIT), page).await {
            Ok(Ok((status, octets))) => log(format_args!("{url}: {status}, {octets} octets")),
            Ok(Err(error)) => log(format_args!("{url}: {error:?}")),
            Err(_) => log(format_args!("{url}: not all of it came within {LIMIT} s")),
        }
        log(format_args!("{}", last.borrow().timeline().waterfall(80, Default::default())));
        Timer::after_secs(PAUSE).await;
    }
}
