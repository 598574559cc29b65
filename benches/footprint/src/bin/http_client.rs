//! HTTP/1.1 on the winner as a microcontroller links it, race and driver included, with every function of
//! `connie_http` in use: the `.text` of this program is the most that all of it can cost.
//!
//! It links only if no path in it leads to a panic. Where it does not, `panic_paths` shows the way.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("http_client: build it for a microcontroller");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
mod stub;

#[cfg(target_os = "none")]
mod firmware {
    use core::net::{Ipv4Addr, SocketAddr};
    use core::sync::atomic::Ordering;
    use core::time::Duration;

    use connie_core::stack::TcpClientStack;
    use connie_core::{Config, Instant};
    use connie_http::{
        Authority, ByRef, HttpConnection, HttpError, RaceAddresses, RequestBody, Response, ResponseHead,
        parts::{BodyDecoder, BodyFraming, BodyPart, HeadScanner, ParsedHead, RequestHead, RequestKind},
        reason_phrase,
    };

    use crate::stub::{Clock, Stack, WORLD, world};

    type OpenConnection = RaceAddresses<[SocketAddr; 1], 16, 4, 32>;
    type Lending<'a> = HttpConnection<&'a mut Stack, ByRef<'a, Clock>, &'a mut [u8], OpenConnection>;

    /// Bytes that the compiler cannot know.
    fn fill(room: &mut [u8; 16]) -> &[u8] {
        for byte in room.iter_mut() {
            *byte = world() as u8;
        }
        room.get(..world() as usize).unwrap_or_default()
    }

    /// Text that the compiler cannot know.
    fn text(room: &mut [u8; 16]) -> &str {
        core::str::from_utf8(fill(room)).unwrap_or_default()
    }

    /// Keeps `value` from being dropped as useless.
    fn tell(value: usize) {
        WORLD.store(value as u32, Ordering::Relaxed);
    }

    fn client() -> Result<(), HttpError> {
        let (mut stack, mut clock) = (Stack, Clock);
        let address = SocketAddr::new(Ipv4Addr::from(world()).into(), 80);
        let opener = OpenConnection::new([address], Config::all_at_once());
        let (mut name, mut buffer) = ([0; 16], [0; 1024]);
        let host = match world() {
            0 => Authority::http(text(&mut name), world() as u16),
            _ => Authority::https(text(&mut name), world() as u16),
        };
        let room = buffer.get_mut(world() as usize..).unwrap_or_default();
        let mut connection = HttpConnection::with_opener(&mut stack, ByRef(&mut clock), opener, host, room)?;
        loop {
            // An error of any kind, and the next request is tried all the same.
            if let Err(error) = exchange(&mut connection) {
                tell(usize::from(error.is_usage()));
            }
            if world() == 0 {
                break;
            }
        }
        if let Some((socket, unread)) = connection.take_socket() {
            tell(unread.len());
            let _ = connection.parts_mut().0.close(socket);
        }
        connection.close();
        tell(usize::from(connection.opener().destination().is_some()));
        let [first] = connection.opener_mut().addresses_mut();
        first.set_port(world() as u16);
        Ok(())
    }

    fn exchange(connection: &mut Lending<'_>) -> Result<(), HttpError> {
        connection.set_timeout(Some(Duration::new(world().into(), world())));
        connection.set_deadline(Some(Instant::from_millis(world().into())));
        let (mut method, mut target, mut name, mut value) = ([0; 16], [0; 16], [0; 16], [0; 16]);
        match world() {
            0 => connection.attach(Stack.socket().map_err(|_| HttpError::NotConnected)?),
            1 => {
                let (name, value) = (text(&mut name), text(&mut value));
                let headers = [(name, value), ("Host", value)];
                let mut body = [0; 16];
                connection.request(text(&mut method), text(&mut target), &headers, fill(&mut body))?;
            }
            2 => connection.put_request(text(&mut method), text(&mut target))?,
            3 => connection.put_header(text(&mut name), fill(&mut value))?,
            4 => connection.end_headers(match world() {
                0 => RequestBody::None,
                1 => RequestBody::Length(world().into()),
                _ => RequestBody::Chunked,
            })?,
            5 => connection.send(fill(&mut value))?,
            6 => connection.finish_body()?,
            7 => connection.connect()?,
            8 => {
                let (name, value) = (text(&mut name), text(&mut value));
                connection
                    .set_tunnel(Authority::http(text(&mut target), world() as u16), &[(name, value)])?;
            }
            9 => {
                let (method, target) = (text(&mut method), text(&mut target));
                connection.put_request_for(method, target, text(&mut name))?;
            }
            10 => {
                connection.set_auto_open(world() == 0);
                connection.set_expect_timeout(Duration::new(world().into(), world()));
            }
            _ => read(connection.response()?)?,
        }
        tell(usize::from(connection.is_open()) + usize::from(connection.wants_body()));
        tell(usize::from(connection.was_lost()));
        Ok(())
    }

    fn read(
        mut response: Response<'_, &mut Stack, ByRef<'_, Clock>, &mut [u8], OpenConnection>,
    ) -> Result<(), HttpError> {
        let (mut name, mut room) = ([0; 16], [0; 64]);
        tell(look(&response.head()));
        tell(
            usize::from(response.status())
                + response.class() as usize
                + response.reason().len()
                + response.version() as usize,
        );
        tell(response.header(text(&mut name)).map_or(0, <[u8]>::len) + response.headers().count());
        tell(response.headers().dropped().count());
        let out = room.get_mut(world() as usize..).unwrap_or_default();
        match world() {
            0 => tell(response.read(out)?),
            1 => tell(response.read_to_end(out)?),
            _ => response.discard()?,
        }
        tell(response.trailers().all(text(&mut name)).count() + response.surplus());
        tell(response.remaining().unwrap_or(0) as usize);
        tell(usize::from(response.is_closed()) + usize::from(response.will_close()));
        tell(reason_phrase(response.status()).map_or(0, str::len));
        Ok(())
    }

    fn look(head: &ResponseHead<'_>) -> usize {
        let kind = match world() {
            0 => RequestKind::Head,
            1 => RequestKind::Connect,
            _ => RequestKind::Other,
        };
        let framed = head.framing(kind).is_ok_and(|framing| framing == BodyFraming::UntilClose);
        usize::from(framed) + usize::from(head.will_close(kind)) + head.len()
    }

    /// The parts that touch no socket, each by itself.
    fn parts() -> Result<(), HttpError> {
        let (mut room, mut method, mut target, mut host) = ([0; 64], [0; 16], [0; 16], [0; 16]);
        let mut head = RequestHead::new(&mut room, text(&mut method), text(&mut target), text(&mut host))?;
        let (mut name, mut value) = ([0; 16], [0; 16]);
        head.header(text(&mut name), fill(&mut value))?;
        tell(usize::from(head.closes()));
        tell(head.finish(RequestBody::from_bytes(text(&mut method), fill(&mut value)))?);
        tell(Authority::http(text(&mut host), 80).write(&mut room)?);

        let mut scanner = HeadScanner::new();
        while scanner.scan(fill(&mut value))?.is_none() {}
        if let ParsedHead::Complete(head) = ResponseHead::parse(&mut room)? {
            tell(look(&head));
        }
        let framing = if world() == 0 { BodyFraming::Length(world().into()) } else { BodyFraming::Chunked };
        let mut decoder = BodyDecoder::new(framing);
        while !decoder.is_done() {
            let step = decoder.step(fill(&mut value), world() as usize)?;
            tell(step.consumed() + usize::from(step.part == BodyPart::Content) + decoder.got() as usize);
            tell(decoder.expected().unwrap_or(0) as usize);
        }
        decoder.end_of_input()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        loop {
            tell(usize::from(client().is_ok()));
            tell(usize::from(parts().is_ok()));
            #[cfg(feature = "bite")]
            tell([1, 2, 3][world() as usize]);
        }
    }
}
