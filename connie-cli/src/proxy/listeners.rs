//! What the proxy listens on: what the command line names, or what systemd hands over.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::error::{Error, reason};
use crate::exit_code;

/// Where it listens if nothing says otherwise. 1080 is the port of SOCKS.
const DEFAULT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 1080);

/// Opens them. Where none is named those of `LISTEN_FDS` are taken (systemd's socket activation).
pub fn open(named: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    if !named.is_empty() {
        return named.iter().map(|address| bind(*address, "--listen")).collect();
    }
    let handed = handed_over().map_err(|error| {
        let line = format!("what LISTEN_FDS hands over is no socket that listens: {}", reason(&error));
        Error::new(exit_code::CONNECT, line)
    })?;
    if handed.is_empty() { Ok(vec![bind(DEFAULT.into(), "--listen")?]) } else { Ok(handed) }
}

/// Opens that of the status.
pub fn open_status(address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().to_canonical().is_loopback() {
        let line = format!("{address} is not on this machine alone: give --status a loopback address");
        return Err(Error::usage(line));
    }
    bind(address, "--status")
}

fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Error> {
    let opened = std::net::TcpListener::bind(address).and_then(of_std);
    opened.map_err(|error| {
        let line = format!("could not listen on {address}: {}; choose another with {option}", reason(&error));
        Error::new(exit_code::CONNECT, line)
    })
}

fn of_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

#[cfg(unix)]
fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        if let Some(listener) = handed.take_tcp_listener(index)? {
            listeners.push(of_std(listener)?);
        }
    }
    Ok(listeners)
}

#[cfg(not(unix))]
fn handed_over() -> io::Result<Vec<TcpListener>> {
    Ok(Vec::new())
}
