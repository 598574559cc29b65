//! What goes to the proxy: each connection that carries the host's name, and when its SYN was sent.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use connie_lab::packet::Segment;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use crate::scenarios::HOST;

/// Watches the loopback device of the namespace that it was started in.
pub struct Watch {
    asked: Arc<Mutex<Vec<Instant>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Of connections to this port.
    pub fn start(port: u16) -> io::Result<Self> {
        // IP packets that come, without what the link adds.
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(eth::IP))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_millis(50)))?;
        let (asked, over) = (Arc::default(), Arc::default());
        let (seen, is_over) = (Arc::clone(&asked), Arc::clone(&over));
        let thread = std::thread::spawn(move || look(&socket, port, &seen, &is_over));
        Ok(Watch { asked, over, thread: Some(thread) })
    }

    /// For each connection that asked for the host after `from`, when it was begun.
    pub fn asked(&self, from: Instant) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().copied().filter(|at| *at >= from).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn look(socket: &OwnedFd, port: u16, asked: &Mutex<Vec<Instant>>, over: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    let mut begun: HashMap<u16, Instant> = HashMap::new();
    while !over.load(Relaxed) {
        // Nothing came for a while.
        let Ok((count, _)) = recv(socket, &mut buffer[..], RecvFlags::empty()) else { continue };
        let at = Instant::now();
        let packet = &buffer[..count];
        let Some(segment) = Segment::parse(packet).filter(|it| it.destination.port() == port) else {
            continue;
        };
        let client = segment.source.port();
        if segment.is_syn() {
            begun.insert(client, at);
        } else if packet.windows(HOST.len()).any(|part| part == HOST.as_bytes()) {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.extend(begun.remove(&client));
        }
    }
}
