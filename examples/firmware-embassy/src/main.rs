//! Firmware on embassy that fetches a page with reqwless, an HTTP client that knows nothing of connie: it is
//! given a `connie_async::RaceConnect` in the place of a stack, and so gets the address of the host that
//! answers first.
//!
//! The page goes to standard output. How much of the stack was used goes to standard error.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "embassy: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md"
    );
}

#[cfg(target_os = "none")]
mod device;
#[cfg(target_os = "none")]
mod executor;
#[cfg(target_os = "none")]
mod network;

#[cfg(target_os = "none")]
mod firmware {
    use connie_async::dns::DnsConfig;
    use connie_async::embassy_net::{Buffers, Neighbours, Udp};
    use connie_async::{EmbassyClock, Options, RaceConnect};
    use connie_firmware_qemu::board::console::{Output, finish, say};
    use connie_firmware_qemu::command_line::{CommandLine, Url};
    use connie_firmware_qemu::net::Trouble;
    use core::fmt::Write as _;
    use core::time::Duration;
    use embassy_net::Stack;
    use embassy_net::tcp::client::{TcpClient, TcpClientState};
    use embassy_time::with_timeout;
    use embedded_io_async::{ErrorKind, Read as _};
    use reqwless::client::HttpClient;
    use reqwless::request::Method;
    use static_cell::StaticCell;

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
        let code = match with_timeout(limit, page(stack, neighbours, seed, &wanted)).await {
            Ok(Ok(())) => 0,
            Ok(Err(Failed::Trouble(trouble))) => {
                say(format_args!("embassy: {}: {trouble}", wanted.url.host));
                trouble.code()
            }
            Ok(Err(Failed::Client(error))) => {
                say(format_args!("embassy: {}: {error:?}", wanted.url.host));
                match error {
                    reqwless::Error::Dns => Trouble::NoAddress.code(),
                    reqwless::Error::Network(ErrorKind::TimedOut) => Trouble::TimedOut.code(),
                    reqwless::Error::Network(_) => Trouble::NotConnected.code(),
                    // "Weird server reply"
                    _ => 8,
                }
            }
            Err(_) => {
                say(format_args!("embassy: {}: {}", wanted.url.host, Trouble::TimedOut));
                Trouble::TimedOut.code()
            }
        };
        finish(code)
    }

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
        let options = Options::new().deadline(Duration::from_secs(20));
        let net = RaceConnect::new(TcpClient::new(stack, state), &names, EmbassyClock, options);

        let mut url = Text::new();
        let Url { host, port, path } = wanted.url;
        let bracketed = host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(url, "http://{open}{host}{close}:{port}{path}").map_err(|_| Failed::Trouble(Trouble::Bug))?;
        // Without TLS: URLs that begin with https:// are not to come here.
        let mut client = HttpClient::new(&net, &net);
        let mut buffer = [0; 1024];
        let mut request = client.request(Method::GET, &url).await?;
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
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::{command_line, finish, say};
    use connie_firmware_qemu::command_line::parse;
    use connie_firmware_qemu::stellaris::Driver;

    use crate::{executor, firmware, network};

    /// Makes a seed for names of that for the stack: as good as any other.
    const NAMES: u64 = 0x243f_6a88_85a3_08d3;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let Some(board) = Board::take() else { finish(101) };
        let wanted = match command_line().map(parse) {
            Some(Ok(wanted)) if !wanted.has_addresses() => wanted,
            Some(Ok(_)) => {
                say(format_args!("embassy: --addresses: not for this firmware, which asks a name server"));
                finish(2)
            }
            Some(Err(error)) => {
                say(format_args!("embassy: {error}"));
                finish(2)
            }
            None => {
                say(format_args!("embassy: the command line is too long, or no text; give less"));
                finish(2)
            }
        };
        let Board { ethernet, clock, seed } = board;
        let driver = Driver::new(ethernet, &executor::FRAME);
        executor::run(clock, |spawner| {
            // Each is asked for once.
            let Some(network::Network { stack, runner, neighbours }) = network::stack(driver, &wanted, seed)
            else {
                finish(101)
            };
            // What comes of the one seed tells nothing of the other.
            let program = firmware::program(stack, neighbours, seed.rotate_left(32) ^ NAMES, wanted);
            let (Ok(network), Ok(program)) = (network::network(runner), program) else { finish(101) };
            spawner.spawn(network);
            spawner.spawn(program);
        })
    }
}
