//! Firmware on embassy that fetches a page by HTTPS with reqwless, an HTTP client that knows nothing of
//! connie: it is given a `connie_async::tls::TlsRaceConnect` in the place of a stack, and so gets the address
//! of the host whose TLS is complete first, with a certificate that is good for the name.
//!
//! The page goes to standard output. How much of the stack was used goes to standard error.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("https: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md");
}

#[cfg(target_os = "none")]
mod device;
#[cfg(target_os = "none")]
mod executor;
#[cfg(target_os = "none")]
mod lan9118;
#[cfg(target_os = "none")]
#[path = "../../firmware-embassy/src/network.rs"]
mod network;

#[cfg(target_os = "none")]
mod firmware {
    use connie_async::dns::DnsConfig;
    use connie_async::embassy_net::{Buffers, Neighbours, Udp};
    use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
    use connie_async::tls::{RecordBuffers, TlsRaceConnect};
    use connie_async::{Config, EmbassyClock, Options, RaceConnect};
    use connie_firmware_qemu::board::console::{Output, finish, say, unix_time};
    use connie_firmware_qemu::command_line::{CommandLine, Url};
    use connie_firmware_qemu::net::Trouble;
    use core::fmt::Write as _;
    use core::pin::pin;
    use core::time::Duration;
    use embassy_net::Stack;
    use embassy_net::tcp::client::{TcpClient, TcpClientState};
    use embassy_time::with_timeout;
    use embedded_io_async::{ErrorKind, Read as _};
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;
    use reqwless::client::HttpClient;
    use reqwless::request::Method;
    use static_cell::{ConstStaticCell, StaticCell};

    use crate::network::{DNS, Names, SOCKETS, configured};

    /// Does what the command line says, and ends the program.
    #[embassy_executor::task]
    pub async fn program(
        stack: Stack<'static>,
        neighbours: &'static Neighbours,
        seed: u64,
        wanted: CommandLine<'static>,
    ) {
        let limit = embassy_time::Duration::from_micros(wanted.max_time.as_micros() as u64);
        // In its place: handed on it would be on the stack twice.
        let mut page = pin!(page(stack, neighbours, seed, &wanted));
        let code = match with_timeout(limit, page.as_mut()).await {
            Ok(Ok(())) => 0,
            Ok(Err(Failed::Trouble(trouble))) => {
                say(format_args!("https: {}: {trouble}", wanted.url.host));
                trouble.code()
            }
            Ok(Err(Failed::Client(error))) => {
                say(format_args!("https: {}: {error:?}", wanted.url.host));
                match error {
                    reqwless::Error::Dns => Trouble::NoAddress.code(),
                    // "SSL peer certificate or SSH md5 fingerprint was not OK", "problem with the SSL/TLS
                    // handshake"
                    reqwless::Error::Network(ErrorKind::PermissionDenied) => 60,
                    reqwless::Error::Network(ErrorKind::InvalidData) => 35,
                    reqwless::Error::Network(ErrorKind::TimedOut) => Trouble::TimedOut.code(),
                    reqwless::Error::Network(_) => Trouble::NotConnected.code(),
                    // "Weird server reply"
                    _ => 8,
                }
            }
            Err(_) => {
                say(format_args!("https: {}: {}", wanted.url.host, Trouble::TimedOut));
                Trouble::TimedOut.code()
            }
        };
        finish(code)
    }

    /// How long an attempt keeps a socket or a pair of buffers that others wait for: more than the processor
    /// takes for a handshake.
    const PATIENCE: Duration = Duration::from_secs(2);

    enum Failed {
        Trouble(Trouble),
        Client(reqwless::Error),
    }

    impl From<reqwless::Error> for Failed {
        fn from(error: reqwless::Error) -> Self {
            Failed::Client(error)
        }
    }

    /// Fetches the page.
    async fn page(
        stack: Stack<'static>,
        neighbours: &'static Neighbours,
        seed: u64,
        wanted: &CommandLine<'_>,
    ) -> Result<(), Failed> {
        configured(stack, wanted).await.map_err(Failed::Trouble)?;
        static STATE: StaticCell<TcpClientState<SOCKETS, 512, 512>> = StaticCell::new();
        static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
        let state = STATE.try_init_with(TcpClientState::new).ok_or(Failed::Trouble(Trouble::Bug))?;
        let buffers = BUFFERS.try_init_with(Buffers::new).ok_or(Failed::Trouble(Trouble::Bug))?;

        // The whole of connie: between the stack and the client.
        let udp = Udp::new(stack, buffers).with_neighbours(neighbours);
        let names = Names::with_capacities(&udp, EmbassyClock, DnsConfig::default(), seed);
        let race = Config::all_at_once().patience(PATIENCE).deadline(Some(Duration::from_secs(20)));
        let options = Options::new().race(race);
        let net = RaceConnect::new(TcpClient::new(stack, state), &names, EmbassyClock, options);

        // And of its TLS: whom it trusts, what time it is, two handshakes at a time.
        static RECORDS: ConstStaticCell<RecordBuffers<2>> = ConstStaticCell::new(RecordBuffers::new());
        let records = RECORDS.try_take().ok_or(Failed::Trouble(Trouble::Bug))?;
        let authority = CertificateDer::from(&include_bytes!("../certificates/authority.der")[..]);
        let anchors = [trust_anchor(&authority).map_err(|_| Failed::Trouble(Trouble::Bug))?];
        // The board has no source of randomness: a product's keys come from one, not from this.
        let random = ChaCha12Rng::seed_from_u64(seed);
        let now = || Some(unix_time());
        let tls = EmbeddedTls::new(random, &anchors, CertificateTime::Clock(&now));
        let secure = TlsRaceConnect::new(&net, tls, records);

        let mut url = Text::new();
        let Url { host, port, path } = wanted.url;
        let bracketed = host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(url, "https://{open}{host}{close}:{port}{path}").map_err(|_| Failed::Trouble(Trouble::Bug))?;
        // What it takes for TCP is TLS.
        let mut client = HttpClient::new(&secure, &secure);
        let mut buffer = [0; 1024];
        let begun = embassy_time::Instant::now();
        let mut request = client.request(Method::GET, &url).await?;
        say(format_args!("connected after {} ms", begun.elapsed().as_millis()));
        let response = request.send(&mut buffer).await?;
        say(format_args!("{}", response.status.0));
        let mut page = Output::new();
        let mut body = response.body().reader();
        let mut piece = [0; 256];
        loop {
            match body.read(&mut piece).await? {
                0 => return Ok(()),
                length => page.put(piece.get(..length).unwrap_or_default()),
            }
        }
    }

    type Text = heapless::String<384>;
}

#[cfg(target_os = "none")]
mod start {
    use connie_firmware_qemu::board::console::{command_line, elapsed, finish, say};
    use connie_firmware_qemu::command_line::parse;
    use static_cell::ConstStaticCell;

    use crate::{executor, firmware, lan9118, network};

    /// Makes a seed for names and keys of that for the stack: as good as any other.
    const NAMES: u64 = 0x243f_6a88_85a3_08d3;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        static DRIVER: ConstStaticCell<lan9118::Driver> = ConstStaticCell::new(lan9118::Driver::new());

        let (Some(core), Some(driver)) = (cortex_m::Peripherals::take(), DRIVER.try_take()) else {
            finish(101)
        };
        cortex_m::interrupt::disable();
        driver.start();
        let wanted = match command_line().map(parse) {
            Some(Ok(wanted)) if !wanted.has_addresses() => wanted,
            Some(Ok(_)) => {
                say(format_args!("https: --addresses: not for this firmware, which asks a name server"));
                finish(2)
            }
            Some(Err(error)) => {
                say(format_args!("https: {error}"));
                finish(2)
            }
            None => {
                say(format_args!("https: the command line is too long, or no text; give less"));
                finish(2)
            }
        };
        let seed = elapsed();
        executor::run(core.SYST, |spawner| {
            // Each is asked for once.
            let Some(network::Network { stack, runner, neighbours }) = network::stack(driver, &wanted, seed)
            else {
                finish(101)
            };
            let program = firmware::program(stack, neighbours, seed.rotate_left(32) ^ NAMES, wanted);
            let (Ok(network), Ok(program)) = (network::network(runner), program) else { finish(101) };
            spawner.spawn(network);
            spawner.spawn(program);
        })
    }
}
