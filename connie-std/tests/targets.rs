//! A target is made of whatever a caller has, for each `connect` of this crate.
#![cfg(not(target_os = "wasi"))]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};

use connie_std::{Connected, Options, Target, connect, connect_socket};

/// What a caller can have, for one address.
struct Forms {
    text: String,
    host: String,
    address: SocketAddr,
    list: Vec<SocketAddr>,
    texts: Vec<String>,
    pairs: Vec<(String, u16)>,
    targets: Vec<Target<'static>>,
}

impl Forms {
    fn of(address: SocketAddr) -> Self {
        Forms {
            text: address.to_string(),
            host: address.ip().to_string(),
            address,
            list: vec![address],
            texts: vec![address.to_string(); 2],
            pairs: vec![(address.ip().to_string(), address.port()); 2],
            targets: vec![Target::from(address), Target::from(address.to_string())],
        }
    }
}

/// Calls `$connect` with each form itself, as a caller does, and has what it says checked by `$check`.
macro_rules! each_form {
    ($forms:expr, $target:ident => $connect:expr, $check:ident) => {
        let Forms { text, host, address, list, texts, pairs, targets } = $forms;
        let (port, address) = (address.port(), *address);
        let SocketAddr::V4(v4) = address else { panic!("127.0.0.1") };
        let str_pairs = [(host.as_str(), port), (host.as_str(), port)];
        each_form!(@ $target => $connect, $check:
            // Texts, and names with a port.
            text.as_str(), text, text.clone(), (host.as_str(), port), (host, port), (host.clone(), port),
            // One address.
            address, &address, v4, (address.ip(), port), (Ipv4Addr::LOCALHOST, port),
            // Addresses.
            list, list.as_slice(), list.clone(), [address, address], &[address, address],
            text.to_socket_addrs().expect("an address"), Target::addresses(list.iter().copied()),
            Target::addresses([(host.parse::<Ipv4Addr>().expect("an address"), port)]),
            // Several hosts.
            [text.as_str(), text], &[text.as_str(), text], vec![text.as_str()], &vec![text.as_str()],
            texts, texts.as_slice(), texts.clone(), [text.clone()], str_pairs, &str_pairs, pairs, pairs.clone(),
            targets, targets.as_slice(), targets.clone(), &Target::from(text),
            Target::hosts(pairs.iter().map(|(host, port)| (host, *port))),
        );
    };
    (@ $target:ident => $connect:expr, $check:ident: $($form:expr,)*) => {$({
        let $target = $form;
        $check(stringify!($form), $connect.unwrap_or_else(|error| panic!("{}: {error:?}", stringify!($form))));
    })*};
}

fn server() -> (TcpListener, Forms) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let forms = Forms::of(listener.local_addr().expect("an address"));
    (listener, forms)
}

#[test]
fn each_form_is_a_target_of_connect() {
    let (_listener, forms) = &server();
    let check = |form: &str, won: Connected| assert_eq!(won.destination(), forms.address, "{form}");
    each_form!(forms, target => connect(target, &Options::default()), check);
}

#[test]
fn each_form_is_a_target_of_connect_socket() {
    let (_listener, forms) = &server();
    let check = |form: &str, destination| assert_eq!(destination, forms.address, "{form}");
    each_form!(
        forms,
        target => connect_socket(target, &Options::default()).map(|(_, destination, _)| destination),
        check
    );
}

#[cfg(feature = "tokio")]
#[test]
fn each_form_is_a_target_of_a_task() {
    use connie_std::tokio_net::{Connected, connect};

    let (_listener, forms) = &server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let check = |form: &str, won: Connected| assert_eq!(won.destination(), forms.address, "{form}");
    each_form!(forms, target => runtime.block_on(connect(target, &Options::default())), check);
}

#[cfg(all(target_os = "linux", feature = "tls"))]
mod tls {
    use super::*;
    use connie_servers::{Authority, TlsServer};
    use connie_std::{TlsConnector, TlsOptions, TlsStream};

    const NAME: &str = "name.test";

    /// A server that has a certificate for [`NAME`], which a connector asks for: a list of addresses has no
    /// name.
    fn server(authority: &Authority) -> (TlsServer, Forms, TlsConnector) {
        let server = TlsServer::start(&authority.certify(&[NAME]), |served| served.close());
        let forms = Forms::of(server.address());
        let file = authority.file();
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_files(vec![file.path().to_owned()])
            .server_name(NAME.to_owned());
        (server, forms, TlsConnector::new(&options).expect("a configuration"))
    }

    #[test]
    fn each_form_is_a_target_of_tls() {
        let (_server, forms, tls) = &server(&Authority::new());
        let check = |form: &str, won: TlsStream| assert_eq!(won.destination(), forms.address, "{form}");
        each_form!(forms, target => tls.connect(target, &Options::default()), check);
    }

    #[cfg(feature = "tokio-tls")]
    #[test]
    fn each_form_is_a_target_of_a_task_with_tls() {
        use connie_std::tokio_net::{TlsConnected, TlsConnector};

        let (_server, forms, tls) = &server(&Authority::new());
        let tls = TlsConnector::from(tls.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let check = |form: &str, won: TlsConnected| assert_eq!(won.destination(), forms.address, "{form}");
        each_form!(forms, target => runtime.block_on(tls.connect(target, &Options::default())), check);
    }
}
