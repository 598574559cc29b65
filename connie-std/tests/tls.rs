//! TLS connections to servers on loopback, with certificates made on the spot.
#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::Duration;

use connie_core::race::Outcome;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptErrorKind, Config, Failure, RaceStack, TlsFailure};
use connie_servers::{Authority, Identity, PemFile, TlsServer, limits};
use connie_std::{
    ConnectError, ConnectErrorKind, FinishLine, Options, Override, TlsConnector, TlsOptions, TlsStream,
    connect_socket,
};

const HOST: &str = "name.test";

/// An authority that the tests trust, with a certificate for [`HOST`].
struct World {
    authority: Authority,
    identity: Identity,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.certify(&[HOST]);
        World { authority, identity }
    }

    /// Trusts its authority and nobody else.
    fn options(&self) -> TlsOptions {
        TlsOptions {
            system_roots: false,
            ca_pem: self.authority.pem().into_bytes(),
            server_name: Some(HOST.to_owned()),
            ..TlsOptions::default()
        }
    }

    fn connect(&self, addresses: &[SocketAddr]) -> Result<TlsStream, ConnectError> {
        connect(&self.options(), addresses)
    }
}

fn connect(options: &TlsOptions, addresses: &[SocketAddr]) -> Result<TlsStream, ConnectError> {
    TlsConnector::new(options).expect("usable options").connect(addresses, &Options::default())
}

fn to_tcp(options: TlsOptions) -> TlsOptions {
    TlsOptions { finish_line: FinishLine::Tcp, ..options }
}

#[track_caller]
fn echoes(stream: &mut TlsStream) {
    stream.write_all(b"question").expect("sent");
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).expect("received");
    assert_eq!(&answer, b"question");
}

/// The one line that tells what became of the only address.
#[track_caller]
fn fate(error: &ConnectError) -> String {
    let lines: Vec<_> = error.addresses().collect();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    line.split_once(": ").expect("an address and its fate").1.to_owned()
}

#[track_caller]
fn fails(result: Result<TlsStream, ConnectError>, failure: TlsFailure) -> ConnectError {
    let error = result.expect_err("no connection");
    assert_eq!(error.tls_failure(), Some(failure), "{error:?}");
    error
}

#[test]
fn a_good_certificate_makes_a_stream_that_carries_data_both_ways() {
    let world = World::new();
    let server = TlsServer::echo(&world.identity);
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.destination(), server.address());
    assert_eq!((stream.tls_version(), stream.alpn()), (Some("TLSv1_3"), Some(&b"http/1.1"[..])));
    let outcomes: Vec<_> = stream.timeline().attempts().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Established)]);
}

#[test]
fn tls_1_2_will_do() {
    let world = World::new();
    let server = TlsServer::echo_in_tls_1_2(&world.identity);
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.tls_version(), Some("TLSv1_2"));
}

#[test]
fn the_name_comes_from_the_host_and_is_told_to_the_server() {
    let world = World::new();
    let (tell, told) = channel();
    let server = TlsServer::start(&world.identity, move |served| {
        let _ = tell.send(served.server_name().map(str::to_owned));
        served.close()
    });
    let address = server.address();
    let entry = Override { host: HOST.to_owned(), port: address.port(), addresses: vec![address.ip()] };
    let options = Options { overrides: vec![entry], ..Options::default() };
    let tls = TlsOptions { server_name: None, ..world.options() };
    let tls = TlsConnector::new(&tls).expect("usable options");
    tls.connect((HOST, address.port()), &options).expect("a connection");
    assert_eq!(limits::told(&told), Some(HOST.to_owned()));

    // The server's certificate is not for its address.
    let error = fails(tls.connect(address, &options), TlsFailure::CertificateName);
    let line = format!(r#"certificate not valid for "127.0.0.1": it is for "{HOST}""#);
    assert_eq!(fate(&error), line);
}

#[test]
fn an_address_can_be_the_name() {
    let world = World::new();
    let server = TlsServer::echo(&world.authority.certify(&["127.0.0.1"]));
    let tls = TlsOptions { server_name: None, ..world.options() };
    let tls = TlsConnector::new(&tls).expect("usable options");
    echoes(&mut tls.connect(server.address(), &Options::default()).expect("a connection"));
}

#[test]
fn a_list_of_addresses_needs_a_name() {
    let world = World::new();
    let tls = TlsOptions { server_name: None, ..world.options() };
    let error = connect(&tls, &["127.0.0.1:1".parse().expect("an address")]).expect_err("no name");
    assert!(matches!(error.kind(), ConnectErrorKind::NoServerName), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_certificate_that_is_no_good_fails_the_address_by_its_reason() {
    let world = World::new();
    let expect = |identity: &Identity, failure, text: &str| {
        let server = TlsServer::echo(identity);
        let error = fails(world.connect(&[server.address()]), failure);
        assert!(fate(&error).starts_with(text), "{}", fate(&error));
        assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::AllAttemptsFailed, _)));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
    };
    let other = world.authority.certify(&["other.test"]);
    let text = r#"certificate not valid for "name.test": it is for "other.test""#;
    expect(&other, TlsFailure::CertificateName, text);
    let old = world.authority.certify_until_2001(&[HOST]);
    expect(&old, TlsFailure::CertificateExpired, "certificate expired ");
    let young = world.authority.certify_from_3001(&[HOST]);
    expect(&young, TlsFailure::CertificateNotYetValid, "certificate not valid for another ");
    let foreign = Authority::new().certify(&[HOST]);
    expect(&foreign, TlsFailure::CertificateUntrusted, "certificate not issued by a trusted authority");
    let own = Identity::self_signed(&[HOST]);
    expect(&own, TlsFailure::CertificateUntrusted, "certificate not issued by a trusted authority");
}

#[test]
fn a_file_of_authorities_is_trusted_beside_the_machine_s_own() {
    let world = World::new();
    let server = TlsServer::echo(&world.identity);
    let file = world.authority.file();
    for system_roots in [false, true] {
        let tls = TlsOptions {
            system_roots,
            ca_files: vec![file.path().into()],
            server_name: Some(HOST.to_owned()),
            ..TlsOptions::default()
        };
        echoes(&mut connect(&tls, &[server.address()]).expect("a connection"));
    }
}

#[test]
fn a_certificate_that_is_its_own_authority_is_trusted_by_name_and_date_when_it_is_given() {
    let own = Identity::self_signed(&[HOST]);
    let server = TlsServer::echo(&own);
    let file = PemFile::new(&own.certificate_pem);
    let tls = |name: &str| TlsOptions {
        system_roots: false,
        ca_files: vec![file.path().into()],
        server_name: Some(name.to_owned()),
        ..TlsOptions::default()
    };
    echoes(&mut connect(&tls(HOST), &[server.address()]).expect("a connection"));
    fails(connect(&tls("other.test"), &[server.address()]), TlsFailure::CertificateName);

    // Not an authority, and given by its own name: old is old all the same.
    let authority = Authority::new();
    for (identity, expected) in [
        (authority.certify(&[HOST]), None),
        (authority.certify_until_2001(&[HOST]), Some(TlsFailure::CertificateExpired)),
    ] {
        let server = TlsServer::echo(&identity);
        let pem = identity.certificate_pem.clone().into_bytes();
        let tls = TlsOptions { ca_files: Vec::new(), ca_pem: pem, ..tls(HOST) };
        let result = connect(&tls, &[server.address()]);
        assert_eq!(result.err().and_then(|error| error.tls_failure()), expected);
    }
}

/// A server that is trusted for its own certificate cannot speak for others: basicConstraints does not make it an authority (RFC 5280
/// section 4.2.1.9).
#[test]
fn a_certificate_that_is_no_authority_makes_nobody_else_trusted() {
    let world = World::new();
    let given = world.authority.certify(&["printer.test"]);
    let server = TlsServer::echo(&given.misused_as_authority(&[HOST]));
    let tls = |pem: String| TlsOptions { ca_pem: pem.into_bytes(), ..world.options() };
    let mut pem = given.certificate_pem;
    fails(connect(&tls(pem.clone()), &[server.address()]), TlsFailure::CertificateUntrusted);
    // Beside an authority that is one, too.
    pem.push_str(&world.authority.pem());
    fails(connect(&tls(pem.clone()), &[server.address()]), TlsFailure::CertificateUntrusted);
    echoes(&mut connect(&tls(pem), &[TlsServer::echo(&world.identity).address()]).expect("a connection"));
}

#[test]
fn insecure_takes_any_certificate() {
    let tls = TlsOptions { insecure: true, ..TlsOptions::default() };
    let old = Authority::new().certify_until_2001(&["other.test"]);
    for server in [TlsServer::echo(&old), TlsServer::echo_in_tls_1_2(&Identity::self_signed(&[]))] {
        echoes(&mut connect(&tls, &[server.address()]).expect("a connection"));
    }
}

#[test]
fn a_server_that_speaks_no_tls_or_closes_fails_the_address_by_that_name() {
    let world = World::new();
    let expect = |server: TlsServer, failure, text: &str| {
        let error = fails(world.connect(&[server.address()]), failure);
        assert_eq!(fate(&error), text);
    };
    expect(TlsServer::plain_http(), TlsFailure::NotTls, "the server does not speak TLS");
    let text = "connection closed within the TLS handshake";
    expect(TlsServer::closing(), TlsFailure::ClosedEarly, text);
    let alert = TlsServer::raw(|mut tcp| {
        let _ = tcp.read(&mut [0; 1024])?;
        // A record of type 21: fatal, handshake_failure.
        tcp.write_all(&[21, 3, 3, 0, 2, 2, 40])?;
        io::copy(&mut tcp, &mut io::sink()).map(|_| ())
    });
    expect(alert, TlsFailure::Alert(40), "TLS refused by the server: handshake_failure");
}

/// The draft's point: what accepts TCP and goes no further does not stop the others.
#[test]
fn an_address_that_fails_tls_does_not_stop_the_others() {
    let world = World::new();
    let good = TlsServer::echo(&world.identity);
    let first = [
        TlsServer::silent(),
        TlsServer::plain_http(),
        TlsServer::closing(),
        TlsServer::echo(&Identity::self_signed(&[HOST])),
    ];
    for first in &first {
        let mut stream = world.connect(&[first.address(), good.address()]).expect("a connection");
        assert_eq!(stream.destination(), good.address());
        echoes(&mut stream);
    }
}

#[test]
fn what_became_of_the_others_stays_with_the_stream() {
    let world = World::new();
    let bad = TlsServer::echo(&world.authority.certify(&["other.test"]));
    let good = TlsServer::echo(&world.identity);
    // One after the other, so that the bad one has failed before the good one begins.
    let options = Options { race: Config::one_by_one(), ..Options::default() };
    let tls = TlsConnector::new(&world.options()).expect("usable options");
    let stream = tls.connect(&[bad.address(), good.address()], &options).expect("a connection");
    let outcomes: Vec<_> = stream.timeline().attempts().map(|attempt| attempt.outcome).collect();
    let failed = Outcome::Failed(AttemptErrorKind::Tls(TlsFailure::CertificateName));
    assert_eq!(outcomes, [Some(failed), Some(Outcome::Established)]);
    let note = r#"certificate not valid for "name.test": it is for "other.test""#;
    assert_eq!(stream.report().note(bad.address()), Some(note));
    assert_eq!(stream.report().note(good.address()), None);
}

#[test]
fn a_race_to_the_tcp_finish_line_asks_only_the_winner_for_tls() {
    let world = World::new();
    let servers = [TlsServer::echo(&world.identity), TlsServer::echo(&world.identity)];
    let addresses = servers.each_ref().map(TlsServer::address);
    let tls = to_tcp(world.options());
    let mut stream = connect(&tls, &addresses).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.tls_version(), Some("TLSv1_3"));
    assert_eq!(servers[0].handshakes() + servers[1].handshakes(), 1);
}

#[test]
fn a_race_to_the_tcp_finish_line_fails_with_its_winner() {
    let world = World::new();
    let tls = to_tcp(world.options());
    let bad = TlsServer::echo(&world.authority.certify(&["other.test"]));
    let error = fails(connect(&tls, &[bad.address()]), TlsFailure::CertificateName);
    assert!(matches!(error.kind(), ConnectErrorKind::Tls(address, _) if *address == bad.address()));
    let end = r#"not with TLS: certificate not valid for "name.test": it is for "other.test""#;
    assert!(error.to_string().ends_with(end), "{error}");
}

#[test]
fn a_connection_that_leads_there_already_can_be_secured() {
    let world = World::new();
    let secure = |server: &TlsServer, options: &Options| {
        let address = server.address();
        let (socket, ..) = connect_socket(address, &Options::default()).expect("a connection");
        let tls = TlsOptions { server_name: None, ..world.options() };
        let tls = TlsConnector::new(&tls).expect("usable options");
        tls.secure((HOST, address.port()), socket, options)
    };
    let server = TlsServer::echo(&world.identity);
    let (mut stack, mut socket) = secure(&server, &Options::default()).expect("a session");
    assert_eq!((stack.server_name(), socket.tls_version()), (HOST.to_owned(), Some("TLSv1_3")));
    assert_eq!(nb::block!(stack.send(&mut socket, b"question")).expect("sent"), 8);
    let mut answer = [0; 9];
    assert_eq!(nb::block!(stack.receive(&mut socket, &mut answer)).expect("received"), 8);
    assert_eq!(&answer[..8], b"question");

    let race = Config { deadline: Some(Duration::from_millis(50)), ..Config::all_at_once() };
    let hasty = Options { race, ..Options::default() };
    let error = secure(&TlsServer::silent(), &hasty).expect_err("silence");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
    let error = secure(&TlsServer::plain_http(), &Options::default()).expect_err("no TLS");
    assert_eq!(error.tls_failure(), Some(TlsFailure::NotTls));
}

#[test]
fn silence_within_the_handshake_lasts_until_the_deadline() {
    let world = World::new();
    let silent = TlsServer::silent();
    let race = Config { deadline: Some(Duration::from_millis(100)), ..Config::all_at_once() };
    let options = Options { race, ..Options::default() };
    for tls in [world.options(), to_tcp(world.options())] {
        let tls = TlsConnector::new(&tls).expect("usable options");
        let error = tls.connect(&[silent.address()], &options).expect_err("silence");
        match error.kind() {
            ConnectErrorKind::Race(failure, _) => assert_eq!(*failure, Failure::DeadlineExceeded),
            ConnectErrorKind::Tls(..) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
    }
}

#[test]
fn a_stream_that_ends_without_a_word_is_cut_off() {
    let world = World::new();
    let server = TlsServer::start(&world.identity, |served| {
        served.write_all(b"half an ans")?;
        served.cut()
    });
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).expect_err("no close_notify");
    assert_eq!((&answer[..], error.kind()), (&b"half an ans"[..], ErrorKind::UnexpectedEof));
    // And stays so.
    assert_eq!(stream.read(&mut [0; 8]).expect_err("still").kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_stream_that_ends_in_order_is_whole() {
    let world = World::new();
    let server = TlsServer::start(&world.identity, |served| {
        served.write_all(b"answer")?;
        served.close()
    });
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the end");
    assert_eq!(answer, "answer");
    assert_eq!(stream.read(&mut [0; 8]).expect("still the end"), 0);
}

#[test]
fn dropping_a_stream_ends_it_in_order_and_aborting_resets_it() {
    let world = World::new();
    let (tell, told) = channel();
    let server = TlsServer::start(&world.identity, move |served| {
        // The client has read all there is to read, tickets included, so that closing cannot turn into a reset.
        served.write_all(b"!")?;
        let end = served.read(&mut [0]);
        let _ = tell.send(end.map_err(|error| error.kind()));
        Ok(())
    });
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    stream.read_exact(&mut [0]).expect("received");
    drop(stream);
    assert_eq!(limits::told(&told), Ok(0));

    let tls = TlsConnector::new(&world.options()).expect("usable options");
    let (mut stack, mut socket, ..) =
        tls.connect_socket(&[server.address()], &Options::default()).expect("a connection");
    assert_eq!(nb::block!(stack.receive(&mut socket, &mut [0])).expect("received"), 1);
    stack.abort(socket);
    assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
}

#[test]
fn what_loses_within_its_tls_handshake_is_reset() {
    let world = World::new();
    let (tell, told) = channel();
    let silent = TlsServer::raw(move |mut tcp| {
        let end = io::copy(&mut tcp, &mut io::sink());
        let _ = tell.send(end.map_err(|error| error.kind()));
        Ok(())
    });
    let good = TlsServer::echo(&world.identity);
    world.connect(&[silent.address(), good.address()]).expect("a connection");
    assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
}

/// Far more than all buffers on the way hold, while nobody reads for a while.
#[test]
fn large_bodies_go_both_ways() {
    const LENGTH: usize = 24 * 1024 * 1024;
    let world = World::new();
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let server = TlsServer::start(&world.identity, move |served| {
        // Until the client has filled every buffer.
        let _ = gone.lock().map(|gone| gone.recv_timeout(limits::LIMIT));
        let mut body = vec![0; LENGTH];
        served.read_exact(&mut body)?;
        served.write_all(&body)?;
        served.close()
    });
    let body: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let mut stream = world.connect(&[server.address()]).expect("a connection");
    stream.tcp().and_then(|tcp| tcp.set_write_timeout(Some(Duration::from_millis(50)))).expect("an option");
    let mut sent = 0;
    loop {
        match stream.write(&body[sent..]) {
            Ok(count) => sent += count,
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(sent < LENGTH, "a server that does not read took it all");
    }
    go.send(()).expect("a server");
    stream.tcp().and_then(|tcp| tcp.set_write_timeout(None)).expect("an option");
    stream.write_all(&body[sent..]).expect("sent");
    stream.flush().expect("sent");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("received");
    assert!(back == body, "{} bytes of {LENGTH} came back", back.len());
}
