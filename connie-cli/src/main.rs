//! `connie`: connects to the address that answers first.
//!
//! It exits with curl's codes, and says what is wrong in a line on stderr that begins with `connie:`.

mod advice;
mod args;
// It sets connie beside what std does, which on WASI is not sound.
#[cfg(not(target_os = "wasi"))]
mod bench;
mod body;
mod connect;
mod demo;
// Addresses are tried in threads, which WASI has none of.
#[cfg(all(feature = "doctor", not(target_os = "wasi")))]
mod doctor;
mod error;
mod exchange;
mod exit_code;
mod fetch;
mod fetched;
mod get;
mod headers;
mod login;
mod memory;
mod output;
mod parallel;
mod partial;
mod pool;
mod progress;
// It is many connections at once, on tokio.
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
mod proxy;
mod race;
mod request;
mod response;
mod session;
mod stdio;
mod stdout_queue;
mod stop;
mod svg;
mod terminal;
mod transfer;
mod tries;
mod urls;
mod usage;
mod verbose;
mod watch;
mod write_out;

use std::process::ExitCode;

use args::{Command, Get};
use error::Error;

/// What options leave to be read: passwords, and files of headers.
fn complete(args: &mut Get) -> Result<(), Error> {
    login::complete(args)?;
    headers::complete(args)
}

fn main() -> ExitCode {
    let result = usage::read().and_then(|line| match line.command {
        Command::Get(mut args) => complete(&mut args).and_then(|()| get::run(&args)),
        Command::Race(mut args) => race::run(&mut args),
        Command::Demo(args) => demo::run(&args),
        Command::Memory(args) => memory::run(&args),
        #[cfg(all(feature = "proxy", not(target_os = "wasi")))]
        Command::Proxy(args) => proxy::run(&args),
        #[cfg(all(feature = "doctor", not(target_os = "wasi")))]
        Command::Doctor(args) => doctor::run(&args),
        #[cfg(not(target_os = "wasi"))]
        Command::Bench(args) => bench::run(&args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.code)
        }
    }
}
