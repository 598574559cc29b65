//! One connection through the proxy of a soak, of any kind. The test has it, and the example `load`.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A generator of random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit as u64) as usize
    }
}

/// One client, which ends anywhere.
pub fn visit(mut client: TcpStream, server: SocketAddr, random: &mut Random) {
    let port = server.port().to_be_bytes();
    let whole = match random.below(4) {
        0 => [&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1][..], &port, b"hello"].concat(),
        1 => format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\nhello", server).into_bytes(),
        2 => format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server).into_bytes(),
        _ => (0..random.below(40)).map(|_| random.below(256) as u8).collect(),
    };
    let cut = if random.below(3) == 0 { random.below(whole.len() + 1) } else { whole.len() };
    let _ = client.write_all(&whole[..cut]);
    match random.below(3) {
        0 => {}
        1 => {
            let _ = client.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = client.read(&mut [0; 64]);
        }
        _ => {
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = client.read(&mut [0; 64]);
        }
    }
}
