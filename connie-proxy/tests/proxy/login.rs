//! Who has to log in, and by what.

use std::io::Write as _;
use std::net::Ipv4Addr;

use connie_proxy::{Credentials, Proxy, ProxyConfig};
use connie_servers::Live;
use connie_servers::clock::poll_until;

use crate::support::{LIMIT, Running, Server, ask, config, read, read_all};

fn with_user() -> ProxyConfig {
    let mut config = config();
    config.users = vec![Credentials { user: "me".to_owned(), password: "secret".to_owned() }];
    config
}

#[test]
fn socks5_wants_the_name_and_the_password() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let proxy = Running::start(with_user());
    let mut client = proxy.client();
    client.write_all(&[5, 1, 0]).unwrap();
    assert_eq!(read::<2>(&mut client), [5, 0xff]);
    assert_eq!(read_all(&mut client), "", "and closes");
    for (password, verdict) in [("secret", 0), ("secreT", 1), ("", 1)] {
        let mut client = proxy.client();
        client.write_all(&[5, 2, 0, 2]).unwrap();
        assert_eq!(read::<2>(&mut client), [5, 2]);
        let length = u8::try_from(password.len()).unwrap();
        client.write_all(&[b"\x01\x02me", &[length][..], password.as_bytes()].concat()).unwrap();
        assert_eq!(read::<2>(&mut client), [1, verdict], "{password}");
        if verdict == 0 {
            let port = live.address().port().to_be_bytes();
            client.write_all(&[&[5, 1, 0, 1, 127, 0, 0, 1][..], &port].concat()).unwrap();
            assert_eq!(read::<10>(&mut client)[1], 0);
        }
    }
    live.wait_until(|counts| counts.accepted == 1);
}

#[test]
fn http_wants_the_name_and_the_password() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let proxy = Running::start(with_user());
    let target = live.address();
    let asked =
        |start: &str, field: &str| ask(&proxy, &format!("{start} HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
    let get = format!("GET http://{target}/");
    for start in [&*get, &format!("CONNECT {target}")] {
        for field in
            ["", "Proxy-Authorization: Basic bWU6c2VjcmVU\r\n", "Authorization: Basic bWU6c2VjcmV0\r\n"]
        {
            let answer = asked(start, field);
            assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
            assert!(answer.contains("\r\nProxy-Authenticate: Basic realm=\"connie\""), "{answer}");
        }
    }
    assert_eq!(live.counts().accepted, 0);
    let answer = asked(&get, "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn nothing_is_open_by_accident() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let Err(error) = Proxy::new(config(), vec![listener]) else { panic!("an open proxy") };
    assert!(error.to_string().contains("anyone could use the proxy"), "{error}");
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(Proxy::new(with_user(), vec![listener]).is_ok());
}

#[test]
fn a_user_leaves_room_for_others() {
    let server = Server::echo();
    let mut config = with_user();
    config.users.push(Credentials { user: "you".to_owned(), password: String::new() });
    config.limits.clients = 6;
    let proxy = Running::start(config);
    // `you:` is eW91Og== in base64.
    let connect = |login: &str| {
        let mut client = proxy.client();
        write!(
            client,
            "CONNECT {} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {login}\r\n\r\n",
            server.address
        )
        .unwrap();
        let status = read::<12>(&mut client);
        (client, String::from_utf8(status.to_vec()).unwrap())
    };
    let mut held = Vec::new();
    let (refused, _) = loop {
        match connect("bWU6c2VjcmV0") {
            (client, status) if status.ends_with(" 200") => held.push(client),
            refused => break refused,
        }
        assert!(held.len() <= 6);
    };
    assert_eq!(held.len(), 3, "half of all");
    let mut refused = refused;
    assert!(read_all(&mut refused).contains("as many connections as this proxy allows one client"));
    assert!(poll_until(LIMIT, || connect("eW91Og==").1.ends_with(" 200")), "there is one for somebody else");
    held.pop();
    assert!(
        poll_until(LIMIT, || connect("bWU6c2VjcmV0").1.ends_with(" 200")),
        "and again when one has ended"
    );
}
