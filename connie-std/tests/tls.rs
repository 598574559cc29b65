//! TLS connections to servers on loopback, with certificates made on the spot.
#![cfg(all(target_os = "linux", feature = "tls"))]

mod tls_support;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use connie_core::race::AttemptOutcome;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptErrorKind, Config, Failure, RaceStack, TlsFailure};
use connie_servers::{Authority, Identity, PemFile, TlsServer, closed_port, limits};
use connie_std::tls::rustls;
use connie_std::{
    Canceler, ConnectError, ConnectErrorKind, FinishLine, Memory, Options, Override, SocketBudget,
    TlsConnector, TlsOptions, connect_socket,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use tls_support::{Door, Stream};

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
        TlsOptions::new()
            .system_roots(false)
            .ca_pem(self.authority.pem().into_bytes())
            .server_name(HOST.to_owned())
    }

    fn connect(&self, door: Door, addresses: &[SocketAddr]) -> Result<Stream, ConnectError> {
        connect(door, &self.options(), addresses)
    }
}

fn connect(door: Door, options: &TlsOptions, addresses: &[SocketAddr]) -> Result<Stream, ConnectError> {
    door.connector(options).connect(addresses, &Options::default())
}

fn to_tcp(options: TlsOptions) -> TlsOptions {
    options.finish_line(FinishLine::Tcp)
}

#[track_caller]
fn echoes(stream: &mut Stream) {
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
fn fails(result: Result<Stream, ConnectError>, failure: TlsFailure) -> ConnectError {
    let error = result.expect_err("no connection");
    assert_eq!(error.tls_failure(), Some(failure), "{error:?}");
    error
}

fn a_good_certificate_makes_a_stream_that_carries_data_both_ways(door: Door) {
    let world = World::new();
    let server = TlsServer::echo(&world.identity);
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.destination(), server.address());
    assert_eq!((stream.tls_version(), stream.alpn()), (Some("TLSv1_3"), Some(&b"http/1.1"[..])));
    let outcomes: Vec<_> = stream.timeline().attempts().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(AttemptOutcome::Established)]);
}

fn tls_1_2_will_do(door: Door) {
    let world = World::new();
    let server = TlsServer::echo_in_tls_1_2(&world.identity);
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.tls_version(), Some("TLSv1_2"));
}

fn the_name_comes_from_the_host_and_is_told_to_the_server(door: Door) {
    let world = World::new();
    let (tell, told) = channel();
    let server = TlsServer::start(&world.identity, move |served| {
        let _ = tell.send(served.server_name().map(str::to_owned));
        served.close()
    });
    let address = server.address();
    let entry = Override { host: HOST.to_owned(), port: address.port(), addresses: vec![address.ip()] };
    let options = Options::new().overrides([entry]);
    let tls = world.options().server_name(None);
    let tls = door.connector(&tls);
    tls.connect((HOST, address.port()), &options).expect("a connection");
    assert_eq!(limits::told(&told), Some(HOST.to_owned()));

    // The server's certificate is not for its address.
    let error = fails(tls.connect(address, &options), TlsFailure::CertificateName);
    let line = format!(r#"certificate not valid for "127.0.0.1": it is for "{HOST}""#);
    assert_eq!(fate(&error), line);
}

fn an_address_can_be_the_name(door: Door) {
    let world = World::new();
    let server = TlsServer::echo(&world.authority.certify(&["127.0.0.1"]));
    let tls = world.options().server_name(None);
    let tls = door.connector(&tls);
    echoes(&mut tls.connect(server.address(), &Options::default()).expect("a connection"));
}

fn a_list_of_addresses_needs_a_name(door: Door) {
    let world = World::new();
    let tls = world.options().server_name(None);
    let error = connect(door, &tls, &["127.0.0.1:1".parse().expect("an address")]).expect_err("no name");
    assert!(matches!(error.kind(), ConnectErrorKind::NoServerName), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
}

fn a_certificate_that_is_no_good_fails_the_address_by_its_reason(door: Door) {
    let world = World::new();
    let expect = |identity: &Identity, failure, text: &str| {
        let server = TlsServer::echo(identity);
        let error = fails(world.connect(door, &[server.address()]), failure);
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

fn a_file_of_authorities_is_trusted_beside_the_machine_s_own(door: Door) {
    let world = World::new();
    let server = TlsServer::echo(&world.identity);
    let file = world.authority.file();
    for system_roots in [false, true] {
        let tls =
            TlsOptions::new().system_roots(system_roots).ca_files([file.path()]).server_name(HOST.to_owned());
        echoes(&mut connect(door, &tls, &[server.address()]).expect("a connection"));
    }
}

fn a_certificate_that_is_its_own_authority_is_trusted_by_name_and_date_when_it_is_given(door: Door) {
    let own = Identity::self_signed(&[HOST]);
    let server = TlsServer::echo(&own);
    let file = PemFile::new(&own.certificate_pem);
    let tls = |name: &str| {
        TlsOptions::new().system_roots(false).ca_files([file.path()]).server_name(name.to_owned())
    };
    echoes(&mut connect(door, &tls(HOST), &[server.address()]).expect("a connection"));
    fails(connect(door, &tls("other.test"), &[server.address()]), TlsFailure::CertificateName);

    // Not an authority, and given by its own name: old is old all the same.
    let authority = Authority::new();
    for (identity, expected) in [
        (authority.certify(&[HOST]), None),
        (authority.certify_until_2001(&[HOST]), Some(TlsFailure::CertificateExpired)),
    ] {
        let server = TlsServer::echo(&identity);
        let pem = identity.certificate_pem.clone().into_bytes();
        let tls = tls(HOST).ca_files([""; 0]).ca_pem(pem);
        let result = connect(door, &tls, &[server.address()]);
        assert_eq!(result.err().and_then(|error| error.tls_failure()), expected);
    }
}

/// A server that is trusted for its own certificate cannot speak for others: basicConstraints does not make
/// it an authority (RFC 5280 section 4.2.1.9).
fn a_certificate_that_is_no_authority_makes_nobody_else_trusted(door: Door) {
    let world = World::new();
    let given = world.authority.certify(&["printer.test"]);
    let server = TlsServer::echo(&given.misused_as_authority(&[HOST]));
    let tls = |pem: String| world.options().ca_pem(pem.into_bytes());
    let mut pem = given.certificate_pem;
    fails(connect(door, &tls(pem.clone()), &[server.address()]), TlsFailure::CertificateUntrusted);
    // Beside an authority that is one, too.
    pem.push_str(&world.authority.pem());
    fails(connect(door, &tls(pem.clone()), &[server.address()]), TlsFailure::CertificateUntrusted);
    echoes(
        &mut connect(door, &tls(pem), &[TlsServer::echo(&world.identity).address()]).expect("a connection"),
    );
}

fn insecure_takes_any_certificate(door: Door) {
    let tls = TlsOptions::new().insecure(true);
    let old = Authority::new().certify_until_2001(&["other.test"]);
    let unread = Identity::of_version_1();
    for server in [
        TlsServer::echo(&old),
        TlsServer::echo_in_tls_1_2(&Identity::self_signed(&[])),
        TlsServer::echo(&unread),
        TlsServer::echo_in_tls_1_2(&unread),
    ] {
        echoes(&mut connect(door, &tls, &[server.address()]).expect("a connection"));
    }
}

fn a_server_that_speaks_no_tls_or_closes_fails_the_address_by_that_name(door: Door) {
    let world = World::new();
    let expect = |server: TlsServer, failure, text: &str| {
        let error = fails(world.connect(door, &[server.address()]), failure);
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
fn an_address_that_fails_tls_does_not_stop_the_others(door: Door) {
    let world = World::new();
    let good = TlsServer::echo(&world.identity);
    let first = [
        TlsServer::silent(),
        TlsServer::plain_http(),
        TlsServer::closing(),
        TlsServer::echo(&Identity::self_signed(&[HOST])),
    ];
    for first in &first {
        let mut stream = world.connect(door, &[first.address(), good.address()]).expect("a connection");
        assert_eq!(stream.destination(), good.address());
        echoes(&mut stream);
    }
}

fn what_became_of_the_others_stays_with_the_stream(door: Door) {
    let world = World::new();
    let bad = TlsServer::echo(&world.authority.certify(&["other.test"]));
    let good = TlsServer::echo(&world.identity);
    // One after the other, so that the bad one has failed before the good one begins.
    let options = Options::new().race(Config::one_by_one());
    let tls = door.connector(&world.options());
    let stream = tls.connect([bad.address(), good.address()], &options).expect("a connection");
    let outcomes: Vec<_> = stream.timeline().attempts().map(|attempt| attempt.outcome).collect();
    let failed = AttemptOutcome::Failed(AttemptErrorKind::Tls(TlsFailure::CertificateName));
    assert_eq!(outcomes, [Some(failed), Some(AttemptOutcome::Established)]);
    let note = r#"certificate not valid for "name.test": it is for "other.test""#;
    assert_eq!(stream.report().note(bad.address()), Some(note));
    assert_eq!(stream.report().note(good.address()), None);
}

fn a_race_to_the_tcp_finish_line_asks_only_the_winner_for_tls(door: Door) {
    let world = World::new();
    let servers = [TlsServer::echo(&world.identity), TlsServer::echo(&world.identity)];
    let addresses = servers.each_ref().map(TlsServer::address);
    let tls = to_tcp(world.options());
    let mut stream = connect(door, &tls, &addresses).expect("a connection");
    echoes(&mut stream);
    assert_eq!(stream.tls_version(), Some("TLSv1_3"));
    assert_eq!(servers[0].handshakes() + servers[1].handshakes(), 1);
}

fn a_race_to_the_tcp_finish_line_fails_with_its_winner(door: Door) {
    let world = World::new();
    let tls = to_tcp(world.options());
    let bad = TlsServer::echo(&world.authority.certify(&["other.test"]));
    let error = fails(connect(door, &tls, &[bad.address()]), TlsFailure::CertificateName);
    assert!(matches!(error.kind(), ConnectErrorKind::Tls(address, _) if *address == bad.address()));
    let end = r#"not with TLS: certificate not valid for "name.test": it is for "other.test""#;
    assert!(error.to_string().ends_with(end), "{error}");
}

/// With a memory each visit but the first is one handshake, and what is known of TCP is nothing that is known
/// of TLS.
fn a_memory_leads_to_the_server_that_has_shaken_hands(door: Door) {
    let world = World::new();
    let servers = [TlsServer::echo(&world.identity), TlsServer::echo(&world.identity)];
    let addresses = servers.each_ref().map(TlsServer::address);
    let options = Options::new().memory(patient_memory());
    connie_std::connect(addresses, &options).expect("a connection to TCP");
    let tls = door.connector(&world.options());
    let first = tls.connect(addresses, &options).expect("a connection");
    assert_eq!(first.timeline().summary().attempts, 2);
    let mut explored = 0;
    for _ in 0..4 {
        let later = tls.connect(addresses, &options).expect("a connection");
        let tried: Vec<_> = later.timeline().attempts().map(|it| it.destination).collect();
        assert_eq!(tried[0], first.destination());
        explored += tried.len() - 1;
        // What wins when it is explored may come to lead.
        if later.destination() != first.destination() {
            break;
        }
    }
    // Which one race in 32 does.
    assert!(explored <= 1, "{explored}");
}

/// A lead gets all the time there is, so that a busy machine makes none late.
fn patient_memory() -> Memory {
    let memory = Memory::new();
    let mut settings = memory.settings();
    settings.least_delay = Duration::from_secs(1);
    memory.set_settings(settings);
    memory
}

/// At the TCP finish line a server that closes wins ever again, but for a memory.
fn a_winner_that_fails_in_tls_leads_no_more(door: Door) {
    let world = World::new();
    // A list of addresses is remembered by the least of them.
    let servers = || (TlsServer::echo(&world.identity), TlsServer::plain_http());
    let is_fit = |(good, bad): &(TlsServer, TlsServer)| bad.address() < good.address();
    let (good, bad) = std::iter::repeat_with(servers).find(is_fit).expect("some time");
    let tls = door.connector(&to_tcp(world.options()));
    let options = Options::new().memory(patient_memory());
    fails(tls.connect([bad.address()], &options), TlsFailure::NotTls);
    let stream = tls.connect([good.address(), bad.address()], &options).expect("the good one is better");
    assert_eq!(stream.destination(), good.address());
    assert!(
        options.memory.expect("one").entries().iter().any(|it| it.address == bad.address() && !it.is_live)
    );
}

#[test]
fn a_connection_that_leads_there_already_can_be_secured() {
    let world = World::new();
    let secure = |server: &TlsServer, options: &Options| {
        let address = server.address();
        let (socket, ..) = connect_socket(address, &Options::default()).expect("a connection");
        let tls = world.options().server_name(None);
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

    let race = Config::all_at_once().deadline(Some(Duration::from_millis(50)));
    let hasty = Options::new().race(race);
    let error = secure(&TlsServer::silent(), &hasty).expect_err("silence");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
    let error = secure(&TlsServer::plain_http(), &Options::default()).expect_err("no TLS");
    assert_eq!(error.tls_failure(), Some(TlsFailure::NotTls));
}

fn silence_within_the_handshake_lasts_until_the_deadline(door: Door) {
    let world = World::new();
    let silent = TlsServer::silent();
    let race = Config::all_at_once().deadline(Some(Duration::from_millis(100)));
    let options = Options::new().race(race);
    for tls in [world.options(), to_tcp(world.options())] {
        let tls = door.connector(&tls);
        let error = tls.connect([silent.address()], &options).expect_err("silence");
        match error.kind() {
            ConnectErrorKind::Race(failure, _) => assert_eq!(*failure, Failure::DeadlineExceeded),
            ConnectErrorKind::Tls(..) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
    }
}

fn a_stream_that_ends_without_a_word_is_cut_off(door: Door) {
    let world = World::new();
    let server = TlsServer::start(&world.identity, |served| {
        served.write_all(b"half an ans")?;
        served.cut()
    });
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).expect_err("no close_notify");
    assert_eq!((&answer[..], error.kind()), (&b"half an ans"[..], ErrorKind::UnexpectedEof));
    // And stays so.
    assert_eq!(stream.read(&mut [0; 8]).expect_err("still").kind(), ErrorKind::UnexpectedEof);
}

fn a_stream_that_ends_in_order_is_whole(door: Door) {
    let world = World::new();
    let server = TlsServer::start(&world.identity, |served| {
        served.write_all(b"answer")?;
        served.close()
    });
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the end");
    assert_eq!(answer, "answer");
    assert_eq!(stream.read(&mut [0; 8]).expect("still the end"), 0);
}

/// A server that tells how the client has ended the connection.
fn end_teller(world: &World) -> (TlsServer, Receiver<Result<usize, ErrorKind>>) {
    let (tell, told) = channel();
    let server = TlsServer::start(&world.identity, move |served| {
        // The client has read all there is to read, tickets included, so that closing cannot turn into a
        // reset.
        served.write_all(b"!")?;
        let end = served.read(&mut [0]);
        let _ = tell.send(end.map_err(|error| error.kind()));
        Ok(())
    });
    (server, told)
}

fn a_stream_is_closed_in_order(door: Door) {
    let world = World::new();
    let (server, told) = end_teller(&world);
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    stream.read_exact(&mut [0]).expect("received");
    stream.close();
    assert_eq!(limits::told(&told), Ok(0));
}

#[test]
fn aborting_a_socket_resets_it() {
    let world = World::new();
    let (server, told) = end_teller(&world);
    let tls = TlsConnector::new(&world.options()).expect("usable options");
    let (mut stack, mut socket, ..) =
        tls.connect_socket([server.address()], &Options::default()).expect("a connection");
    assert_eq!(nb::block!(stack.receive(&mut socket, &mut [0])).expect("received"), 1);
    stack.abort(socket);
    assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
}

/// Accepts TCP, says nothing, and tells how the client has ended it.
fn silent_teller() -> (TlsServer, Receiver<Result<(), ErrorKind>>) {
    let (tell, told) = channel();
    let server = TlsServer::raw(move |mut tcp| {
        let end = io::copy(&mut tcp, &mut io::sink());
        let _ = tell.send(end.map(|_| ()).map_err(|error| error.kind()));
        Ok(())
    });
    (server, told)
}

fn what_loses_within_its_tls_handshake_is_reset(door: Door) {
    let world = World::new();
    let (silent, told) = silent_teller();
    let good = TlsServer::echo(&world.identity);
    world.connect(door, &[silent.address(), good.address()]).expect("a connection");
    assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
}

/// The program cancels once the server has accepted.
fn a_canceler_ends_a_handshake(door: Door) {
    let world = World::new();
    for tls in [world.options(), to_tcp(world.options())] {
        let canceler = Canceler::new().expect("descriptors");
        let (cancel, (tell, told)) = (canceler.clone(), channel());
        let silent = TlsServer::raw(move |mut tcp| {
            // The client has begun its handshake.
            let _ = tcp.read(&mut [0; 8])?;
            cancel.cancel();
            let end = io::copy(&mut tcp, &mut io::sink());
            let _ = tell.send(end.map(|_| ()).map_err(|error| error.kind()));
            Ok(())
        });
        let options = Options::new().canceler(canceler);
        let error = door.connector(&tls).connect([silent.address()], &options).expect_err("canceled");
        assert!(error.is_canceled(), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionAborted);
        assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
    }
}

fn a_connection_holds_its_place_in_a_budget(door: Door) {
    let world = World::new();
    let servers = [TlsServer::silent(), TlsServer::echo(&world.identity)];
    let addresses = servers.each_ref().map(TlsServer::address);
    let budget = SocketBudget::new(8);
    let options = Options::new().budget(budget.clone());
    for tls in [world.options(), to_tcp(world.options())] {
        let good = if tls.finish_line == FinishLine::Tls { &addresses[..] } else { &addresses[1..] };
        let stream = door.connector(&tls).connect(good, &options).expect("a connection");
        assert_eq!(budget.free(), 7);
        drop(stream);
        assert_eq!(budget.free(), 8);
        door.connector(&world.options())
            .connect([closed_port(addresses[0].ip()).address()], &options)
            .expect_err("nobody");
        assert_eq!(budget.free(), 8);
    }
}

fn where_all_fail_each_is_told_in_its_own_words(door: Door) {
    let world = World::new();
    let servers = [
        TlsServer::echo(&world.authority.certify(&["other.test"])),
        TlsServer::plain_http(),
        TlsServer::closing(),
        TlsServer::echo(&Identity::self_signed(&[HOST])),
    ];
    let closed = closed_port(servers[0].address().ip());
    let addresses: Vec<_> = servers.iter().map(TlsServer::address).chain([closed.address()]).collect();
    let error = world.connect(door, &addresses).expect_err("no connection");
    let fates = [
        r#"certificate not valid for "name.test": it is for "other.test""#,
        "the server does not speak TLS",
        "connection closed within the TLS handshake",
        "certificate not issued by a trusted authority",
        "connection refused",
    ];
    let lines: Vec<_> =
        addresses.iter().zip(fates).map(|(address, fate)| format!("{address}: {fate}")).collect();
    assert_eq!(error.addresses().collect::<Vec<_>>(), lines);
}

/// The server speaks `http/1.1` and nothing else.
fn the_protocols_are_those_of_the_caller_s_own_configuration(door: Door) {
    let world = World::new();
    let server = TlsServer::echo(&world.identity);
    let connect = |protocols: &[&[u8]]| {
        let mut roots = rustls::RootCertStore::empty();
        let pem = world.authority.pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"))
            .expect("an authority");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().expect("versions");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let tls = TlsConnector::from_rustls(config, Some(HOST), FinishLine::Tls).expect("a name");
        door.over(tls).connect([server.address()], &Options::default())
    };
    let agreed = |protocols: &[&[u8]]| connect(protocols).expect("a connection").alpn().map(<[u8]>::to_vec);
    assert_eq!(agreed(&[b"h2", b"http/1.1"]), Some(b"http/1.1".to_vec()));
    assert_eq!(agreed(&[]), None);
    // no_application_protocol (RFC 7301 section 3.2).
    fails(connect(&[b"h2"]), TlsFailure::Alert(120));
}

#[test]
fn a_name_that_is_none_makes_no_connector_of_a_configuration() {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let error = TlsConnector::from_rustls(config, Some("a b"), FinishLine::Tls).expect_err("no name");
    assert_eq!(error.to_string(), "\"a b\" is not a server name: give a host name or an address");
}

/// Far more than all buffers on the way hold, while nobody reads for a while.
fn large_bodies_go_both_ways(door: Door) {
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
    let mut stream = world.connect(door, &[server.address()]).expect("a connection");
    let mut sent = 0;
    while let Some(count) = stream.write_within(Duration::from_millis(50), &body[sent..]) {
        sent += count;
        assert!(sent < LENGTH, "a server that does not read took it all");
    }
    go.send(()).expect("a server");
    stream.write_all(&body[sent..]).expect("sent");
    stream.flush().expect("sent");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("received");
    assert!(back == body, "{} bytes of {LENGTH} came back", back.len());
}

by_each_door! {
    a_good_certificate_makes_a_stream_that_carries_data_both_ways,
    tls_1_2_will_do,
    the_name_comes_from_the_host_and_is_told_to_the_server,
    an_address_can_be_the_name,
    a_list_of_addresses_needs_a_name,
    a_certificate_that_is_no_good_fails_the_address_by_its_reason,
    a_file_of_authorities_is_trusted_beside_the_machine_s_own,
    a_certificate_that_is_its_own_authority_is_trusted_by_name_and_date_when_it_is_given,
    a_certificate_that_is_no_authority_makes_nobody_else_trusted,
    insecure_takes_any_certificate,
    a_server_that_speaks_no_tls_or_closes_fails_the_address_by_that_name,
    an_address_that_fails_tls_does_not_stop_the_others,
    what_became_of_the_others_stays_with_the_stream,
    a_race_to_the_tcp_finish_line_asks_only_the_winner_for_tls,
    a_race_to_the_tcp_finish_line_fails_with_its_winner,
    a_memory_leads_to_the_server_that_has_shaken_hands,
    a_winner_that_fails_in_tls_leads_no_more,
    silence_within_the_handshake_lasts_until_the_deadline,
    a_stream_that_ends_without_a_word_is_cut_off,
    a_stream_that_ends_in_order_is_whole,
    a_stream_is_closed_in_order,
    what_loses_within_its_tls_handshake_is_reset,
    a_canceler_ends_a_handshake,
    a_connection_holds_its_place_in_a_budget,
    where_all_fail_each_is_told_in_its_own_words,
    the_protocols_are_those_of_the_caller_s_own_configuration,
    large_bodies_go_both_ways,
}

/// What a thread has no like of, or by other types.
#[cfg(feature = "tokio-tls")]
mod in_a_task {
    use connie_std::tokio_net::TlsConnector;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::tls_support::task::{run, runtime};
    use super::*;

    fn connector(options: &TlsOptions) -> TlsConnector {
        TlsConnector::new(options).expect("usable options")
    }

    fn within(deadline: Duration) -> Options {
        let race = Config::all_at_once().deadline(Some(deadline));
        Options::new().race(race)
    }

    #[test]
    fn a_connection_that_leads_there_already_can_be_secured() {
        let world = World::new();
        let runtime = runtime();
        let tls = connector(&world.options().server_name(None));
        let secure = |server: &TlsServer, host: &'static str, options: Options| {
            let (address, tls) = (server.address(), tls.clone());
            run(&runtime, async move {
                let stream = TcpStream::connect(address).await.expect("a connection");
                tls.secure((host, address.port()), stream, &options).await
            })
        };
        let server = TlsServer::echo(&world.identity);
        let mut stream = secure(&server, HOST, Options::default()).expect("a session");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        run(&runtime, async {
            stream.write_all(b"question").await.expect("sent");
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).await.expect("received");
            assert_eq!(&answer, b"question");
        });
        let error = secure(&server, "a b", Options::default()).expect_err("no name");
        assert!(matches!(error.kind(), ConnectErrorKind::InvalidHost(_)), "{error:?}");
        let (silent, told) = silent_teller();
        let error = secure(&silent, HOST, within(Duration::from_millis(50))).expect_err("silence");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
        assert_eq!(limits::told(&told), Err(ErrorKind::ConnectionReset));
        let error = secure(&TlsServer::plain_http(), HOST, Options::default()).expect_err("no TLS");
        assert_eq!(error.tls_failure(), Some(TlsFailure::NotTls));
    }

    /// The server's certificates and the plain parts are at hand.
    #[test]
    fn what_is_below_the_stream_can_be_had() {
        let world = World::new();
        let server = TlsServer::echo(&world.identity);
        let (tls, address) = (connector(&world.options()), server.address());
        run(&runtime(), async {
            let connected = tls.connect(&[address], &Options::default()).await.expect("a connection");
            let certificates = connected.get_ref().1.peer_certificates().expect("certificates");
            let own = CertificateDer::from_pem_slice(world.identity.certificate_pem.as_bytes()).unwrap();
            assert_eq!(certificates, [own]);
            let (stream, report) = connected.into_parts();
            assert_eq!(report.timeline().destinations().count(), 1);
            let (tcp, session) = stream.into_inner();
            assert_eq!(tcp.peer_addr().expect("connected"), address);
            assert!(!session.is_handshaking());
        });
    }

    /// The server says nothing before it is asked, so that the read before that is given up; others may be.
    #[test]
    fn a_read_that_is_given_up_loses_nothing() {
        let world = World::new();
        let server = TlsServer::start(&world.identity, |served| {
            let mut question = [0];
            while served.read(&mut question)? > 0 {
                served.write_all(&[question[0]; 1_000])?;
            }
            Ok(())
        });
        let (tls, address) = (connector(&world.options()), server.address());
        run(&runtime(), async {
            let mut stream = tls.connect(&[address], &Options::default()).await.expect("a connection");
            for number in 0..20_u8 {
                let (mut piece, mut received) = ([0; 64], Vec::new());
                let moment = Duration::from_millis(1);
                assert!(timeout(moment, stream.read(&mut piece)).await.is_err(), "it was not asked");
                stream.write_all(&[number]).await.expect("sent");
                while received.len() < 1_000 {
                    if let Ok(count) = timeout(moment, stream.read(&mut piece)).await {
                        received.extend_from_slice(&piece[..count.expect("received")]);
                    }
                }
                assert!(received == [number; 1_000], "{} bytes", received.len());
            }
        });
    }

    #[test]
    fn the_deadline_is_in_the_runtime_s_time() {
        let world = World::new();
        let silent = TlsServer::silent();
        for tls in [world.options(), to_tcp(world.options())] {
            let (tls, address) = (connector(&tls), silent.address());
            let options = within(Duration::from_secs(86_400));
            let error = runtime().block_on(async {
                tokio::time::pause();
                // Nothing else is to be done, so that the runtime goes on to the next timer, up to the last.
                tls.connect(&[address], &options).await.expect_err("silence")
            });
            assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
        }
    }

    /// A future that can go to another thread.
    #[test]
    fn many_connect_on_many_threads() {
        let world = World::new();
        let server = TlsServer::echo(&world.identity);
        let silent = TlsServer::silent();
        let (tls, addresses) = (connector(&world.options()), [silent.address(), server.address()]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build();
        run(&runtime.expect("a runtime"), async {
            let tasks: Vec<_> = (0..40_u8)
                .map(|number| {
                    let tls = tls.clone();
                    tokio::spawn(async move {
                        let mut stream =
                            tls.connect(&addresses, &Options::default()).await.expect("a connection");
                        stream.write_all(&[number; 5_000]).await.expect("sent");
                        let mut answer = [0; 5_000];
                        stream.read_exact(&mut answer).await.expect("received");
                        stream.shutdown().await.expect("closed");
                        (answer == [number; 5_000], stream.read(&mut answer).await.expect("the server's end"))
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.expect("no panic"), (true, 0));
            }
        });
        assert_eq!(server.handshakes(), 40);
    }

    #[test]
    fn outside_of_a_runtime_it_says_so() {
        let world = World::new();
        let address: SocketAddr = "127.0.0.1:1".parse().expect("an address");
        for tls in [world.options(), to_tcp(world.options())] {
            let (tls, addresses) = (connector(&tls), [address]);
            let options = within(Duration::from_secs(1));
            let mut race = std::pin::pin!(tls.connect(&addresses, &options));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let std::task::Poll::Ready(Err(error)) = race.as_mut().poll(&mut context) else {
                panic!("no error")
            };
            assert!(matches!(error.kind(), ConnectErrorKind::NoRuntime), "{error:?}");
        }
    }
}
