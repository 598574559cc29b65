//! Both ways to a TLS connection behind one face, so that a test holds for a thread and for a task.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Timeline;
use connie_std::{ConnectError, Options, Report, Target, TlsConnector, TlsOptions, TlsStream};

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// `connie_std::TlsConnector`, which blocks.
    Thread,
    /// `connie_std::tokio_net::TlsConnector`.
    #[cfg(feature = "tokio-tls")]
    Task,
}

/// A connector that goes by one of them.
pub struct Connector {
    pub tls: TlsConnector,
    door: Door,
}

/// A connection that one of them has made. Blocks.
#[derive(Debug)]
pub enum Stream {
    Thread(Box<TlsStream>),
    #[cfg(feature = "tokio-tls")]
    Task(Box<task::Stream>),
}

/// Each test of the list, by each door.
#[macro_export]
macro_rules! by_each_door {
    ($($test:ident,)*) => {
        mod thread {
            $(#[test] fn $test() { super::$test(super::Door::Thread) })*
        }
        #[cfg(feature = "tokio-tls")]
        mod task {
            $(#[test] fn $test() { super::$test(super::Door::Task) })*
        }
    };
}

impl Door {
    pub fn connector(self, options: &TlsOptions) -> Connector {
        self.over(TlsConnector::new(options).expect("usable options"))
    }

    pub fn over(self, tls: TlsConnector) -> Connector {
        Connector { tls, door: self }
    }
}

impl Connector {
    pub fn connect<'a>(
        &self,
        target: impl Into<Target<'a>>,
        options: &Options,
    ) -> Result<Stream, ConnectError> {
        match self.door {
            Door::Thread => self.tls.connect(target, options).map(Box::new).map(Stream::Thread),
            #[cfg(feature = "tokio-tls")]
            Door::Task => {
                task::Stream::connect(&self.tls, target.into(), options).map(Box::new).map(Stream::Task)
            }
        }
    }
}

/// What both streams call by the same name.
macro_rules! either {
    ($stream:expr, $it:ident => $what:expr) => {
        match $stream {
            Stream::Thread($it) => $what,
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => {
                let $it = &stream.connected;
                $what
            }
        }
    };
}

impl Stream {
    pub fn destination(&self) -> SocketAddr {
        either!(self, it => it.destination())
    }

    pub fn timeline(&self) -> Timeline<'_> {
        either!(self, it => it.timeline())
    }

    pub fn report(&self) -> &Report {
        either!(self, it => it.report())
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        either!(self, it => it.alpn())
    }

    pub fn tls_version(&self) -> Option<&'static str> {
        either!(self, it => it.tls_version())
    }

    /// Ends it in order.
    pub fn close(self) {
        match self {
            Stream::Thread(stream) => drop(stream),
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => stream.close(),
        }
    }

    /// Writes what is taken within this time; `None` for nothing.
    pub fn write_within(&mut self, time: Duration, data: &[u8]) -> Option<usize> {
        match self {
            Stream::Thread(stream) => {
                stream.tcp().and_then(|tcp| tcp.set_write_timeout(Some(time))).expect("an option");
                let written = match stream.write(data) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                    written => Some(written.expect("sent")),
                };
                stream.tcp().and_then(|tcp| tcp.set_write_timeout(None)).expect("an option");
                written
            }
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => stream.write_within(time, data),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Thread(stream) => stream.read(buffer),
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Thread(stream) => stream.write(buffer),
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Thread(stream) => stream.flush(),
            #[cfg(feature = "tokio-tls")]
            Stream::Task(stream) => stream.flush(),
        }
    }
}

#[cfg(feature = "tokio-tls")]
pub mod task {
    use std::future::Future;

    use connie_servers::limits::LIMIT;
    use connie_std::tokio_net::TlsConnected;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::runtime::{Builder, Runtime};
    use tokio::time::timeout;

    use super::*;

    #[derive(Debug)]
    pub struct Stream {
        runtime: Runtime,
        pub connected: TlsConnected,
    }

    pub fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// No test hangs.
    pub fn run<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
        runtime.block_on(async { timeout(LIMIT, future).await.expect("it hangs") })
    }

    impl Stream {
        pub fn connect(
            tls: &TlsConnector,
            target: Target<'_>,
            options: &Options,
        ) -> Result<Self, ConnectError> {
            let (runtime, tls) = (runtime(), connie_std::tokio_net::TlsConnector::from(tls.clone()));
            let connected = run(&runtime, tls.connect(target, options))?;
            Ok(Stream { runtime, connected })
        }

        pub fn close(mut self) {
            run(&self.runtime, self.connected.shutdown()).expect("the end is said");
        }

        pub fn write_within(&mut self, time: Duration, data: &[u8]) -> Option<usize> {
            let written = run(&self.runtime, async { timeout(time, self.connected.write(data)).await });
            written.ok().map(|written| written.expect("sent"))
        }
    }

    impl Read for Stream {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            run(&self.runtime, self.connected.read(buffer))
        }
    }

    impl Write for Stream {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            run(&self.runtime, self.connected.write(buffer))
        }

        fn flush(&mut self) -> io::Result<()> {
            run(&self.runtime, self.connected.flush())
        }
    }
}
