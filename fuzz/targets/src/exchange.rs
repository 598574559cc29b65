//! One exchange: how the answer arrives, and in what pieces it is read, must not decide what it says.

use connie_http::{Authority, HttpConnection, HttpError};

use crate::draw::Draw;
use crate::peer::Handle;

/// What came of an exchange.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    end: Result<(), HttpError>,
}

/// Has `says` arrive in one piece, and as `steps` has it, and compares.
///
/// # Panics
///
/// Where the two differ.
pub fn exchange(method: &str, steps: &[u8], piece: usize, says: &[u8]) {
    let whole = answer(method, &[], 64, says);
    // Only steps that lose nothing: some bytes now, or none yet.
    let steps: Vec<u8> = steps.iter().map(|step| if *step > 0xc0 { 0xc0 } else { *step }).collect();
    let stepped = answer(method, &steps, piece, says);
    assert_eq!(stepped, whole, "how the answer arrives decides what it says");
}

fn answer(method: &str, steps: &[u8], piece: usize, says: &[u8]) -> Answer {
    let handle = Handle::new(Draw::new(steps), says);
    let buffer = vec![0; says.len() + 512];
    let host = Authority::http("name.test", 80);
    let socket = handle.connected();
    let connection = HttpConnection::owning(handle.clone(), handle.clone(), socket, host, buffer);
    let mut connection = connection.expect("there is room for the host");
    let mut answer = Answer {
        status: 0,
        fields: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
        end: connection.request(method, "/", &[], b""),
    };
    if answer.end.is_ok() {
        answer.end = read(&mut connection, piece, &mut answer);
    }
    drop(connection);
    assert_eq!(handle.open(), 0, "a socket was left open");
    answer
}

fn read<'a>(
    connection: &mut HttpConnection<Handle<'a>, Handle<'a>, Vec<u8>>,
    piece: usize,
    answer: &mut Answer,
) -> Result<(), HttpError> {
    let mut response = connection.response()?;
    let own = |field: connie_http::Header<'_>| (field.name.to_owned(), field.value.to_vec());
    answer.status = response.status();
    answer.fields = response.headers().map(own).collect();
    let mut room = vec![0; piece.max(1)];
    loop {
        match response.read(&mut room)? {
            0 => break,
            count => answer.body.extend_from_slice(&room[..count]),
        }
    }
    answer.trailers = response.trailers().map(own).collect();
    Ok(())
}
