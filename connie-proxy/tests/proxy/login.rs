//! Who has to log in, and by what.

use std::io::Write as _;
use std::net::Ipv4Addr;

use connie_proxy::{Credentials, Proxy, ProxyConfig};
use connie_servers::Live;

use crate::support::{Running, ask, config, read, read_all};

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
