//! The command line: what is taken, and what is said of the rest.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::doc_stack::{Clock, RESPONSE, Stack};
use connie_core::stack::TcpClientStack as _;
use connie_firmware_qemu::command_line::{CommandLine, Error, MAX_URL, Own, Url, keep_url, parse};
use connie_http::{Authority, HttpConnection};

const V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 2);

/// The command line as a debugger gives it: the program's path first.
#[track_caller]
fn taken(arguments: &str) -> CommandLine<'_> {
    parse(arguments).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn url(text: &str) -> Url<'_> {
    let line = Box::leak(format!("elf --ip dhcp {text}").into_boxed_str());
    taken(line).url
}

#[track_caller]
fn refused(arguments: &str, line: &str) {
    let text = format!("elf {arguments}");
    let error = parse(&text).expect_err(arguments).to_string();
    assert!(error.starts_with(line), "{error}");
    let says_what_to_do = error.contains("; ") || error.contains("give ");
    assert!(!error.contains('\n') && says_what_to_do, "one line that says what to do: {error}");
}

#[test]
fn a_url_alone_asks_the_network_for_all_else() {
    let line = taken("/path/of/the/elf http://name.test/");
    assert_eq!(line.url.host, "name.test");
}

#[test]
fn the_parts_of_a_url() {
    assert_eq!(url("http://name.test"), Url { host: "name.test", port: 80, path: "/" });
    assert_eq!(url("http://name.test:/a"), Url { host: "name.test", port: 80, path: "/a" });
    assert_eq!(url("http://name.test:8080/a/b?c=d"), Url { host: "name.test", port: 8080, path: "/a/b?c=d" });
    assert_eq!(url("http://10.77.0.2:65535"), Url { host: "10.77.0.2", port: 65535, path: "/" });
    assert_eq!(url("http://[fd00:4d::2]:81/x"), Url { host: "fd00:4d::2", port: 81, path: "/x" });
    assert_eq!(url("http://[fd00:4d::2]/").address(), Some(V6.into()));
    assert_eq!(url("http://10.77.0.2/").address(), Some(V4.into()));
    assert_eq!(url("http://name.test/").address(), None);
}

#[test]
fn what_is_no_url() {
    for text in [
        "name.test",
        "https://name.test/",
        "http://",
        "http:///path",
        "http://:80/",
        "http://name.test:0/",
        "http://name.test:65536/",
        "http://name.test:80x/",
        "http://name.test:+80/",
        "http://user@name.test/",
        "http://name.test?query",
        "http://name.test/#fragment",
        "http://[fd00:4d::2/",
        "http://[fd00:4d::2]80/",
        "http://[name.test]/",
        "http://fd00:4d::2/",
        "http://n\u{e4}me.test/",
    ] {
        let line = format!("elf {text}");
        assert_eq!(parse(&line), Err(Error::BadUrl(text)), "{text}");
    }
    refused(&format!("http://{}/", "x".repeat(254)), "http://xxx");
}

#[test]
fn options_stand_anywhere() {
    let text = "elf --ip 10.77.0.2/24,fd00:4d::2/64 http://name.test/ --gateway fd00:4d::1,10.77.0.1 --max-time 5 \
        --dns fd00:4d::53 --addresses 10.9.0.1,fd00:9::1";
    let line = taken(text);
    assert_eq!((line.v4, line.v6), (Some(Own::Static(V4, 24)), Some(Own::Static(V6, 64))));
    assert_eq!(line.gateway_v4, Some(Ipv4Addr::new(10, 77, 0, 1)));
    assert_eq!(line.gateway_v6, Some(Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 1)));
    assert_eq!(line.dns, Some(Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 0x53).into()));
    let wanted: [SocketAddr; 2] = ["10.9.0.1:80", "[fd00:9::1]:80"].map(|address| address.parse().unwrap());
    assert_eq!((&line.addresses()[..], line.max_time), (&wanted[..], Duration::from_secs(5)));
}

#[test]
fn the_addresses_have_the_port_of_the_url() {
    let given = |text: &str| taken(Box::leak(format!("elf {text}").into_boxed_str())).addresses().to_vec();
    assert_eq!(given("--addresses 10.9.0.1 http://name.test:81/"), [SocketAddr::from(([10, 9, 0, 1], 81))]);
    assert_eq!(given("http://[fd00:4d::2]:82/"), [SocketAddr::from((V6, 82))]);
    assert_eq!(given("--addresses 10.9.0.1 http://10.77.0.2/"), [SocketAddr::from(([10, 9, 0, 1], 80))]);
    assert_eq!(given("http://name.test/"), []);
}

#[test]
fn addresses_of_several_options_are_one_list() {
    let line = taken("elf --addresses 10.9.0.2,10.9.0.1 http://name.test/ --addresses fd00:9::1");
    let wanted: [SocketAddr; 3] =
        ["10.9.0.2:80", "10.9.0.1:80", "[fd00:9::1]:80"].map(|one| one.parse().unwrap());
    assert_eq!((line.addresses().to_vec(), line.first_address()), (wanted.to_vec(), Some(wanted[0])));
}

/// The rest of the memory is for what follows.
#[test]
fn the_url_is_kept_at_the_front() {
    for (text, kept) in [
        (
            "elf --dns 10.77.0.1 http://name.test:81/a?b=http://c --max-time 5",
            "http://name.test:81/a?b=http://c",
        ),
        ("http://elf/ --dns 10.77.0.1 http://name.test", "http://name.test"),
        ("elf http://[fd00:4d::2]/", "http://[fd00:4d::2]/"),
    ] {
        let mut room = [0; 100];
        room[..text.len()].copy_from_slice(text.as_bytes());
        let (url, free) = keep_url(&mut room, text.len()).unwrap();
        assert_eq!((url, free.len()), (taken(text).url, 100 - kept.len()));
        free.fill(b'x');
        assert_eq!(&room[..kept.len()], kept.as_bytes());
    }
    for text in ["", "elf", "elf --ip dhcp", "elf https:/"] {
        let mut room = text.as_bytes().to_vec();
        assert_eq!(keep_url(&mut room, text.len()), None, "{text}");
        assert_eq!(keep_url(&mut room, 1000), None, "longer than the room");
    }
}

/// What is taken leaves room for HTTP behind it, whatever the URL is made of: the longest name with a port,
/// or a short one.
#[test]
fn a_url_of_the_longest_length_leaves_room_for_http() {
    for host in ["x".repeat(253) + ":65535", "x".to_owned(), "[fd00:4d::2]:81".to_owned()] {
        let start = format!("http://{host}/");
        let url = start.clone() + &"y".repeat(MAX_URL - start.len());
        refused(&format!("--dns 10.77.0.1 {url}y"), "the URL is too long; give one of at most 360 octets");
        let line = format!("elf --dns 10.77.0.1 --ip dhcp {url}");
        assert_eq!(taken(&line).url.path.len(), MAX_URL - start.len() + 1);
        // The memory that the firmware reads its command line into.
        let mut room = [0; 1024];
        room[..line.len()].copy_from_slice(line.as_bytes());
        let (url, buffer) = keep_url(&mut room, line.len()).expect("a URL");
        let (mut stack, mut clock) = (Stack, Clock::default());
        let socket = stack.socket().expect("a socket");
        let host = Authority::http(url.host, url.port);
        // As `client::fetch` asks.
        let mut http = HttpConnection::new(&mut stack, &mut clock, socket, host, buffer).expect("room");
        http.request("GET", url.path, &[("Connection", "close")], b"").expect("room for the request");
        let mut response = http.response().expect("room for the response");
        let (mut body, length) = ([0; 16], 6);
        assert_eq!(response.read(&mut body).ok(), Some(length));
        assert_eq!(&body[..length], &RESPONSE[RESPONSE.len() - length..]);
    }
}

#[test]
fn own_addresses() {
    assert_eq!(taken("elf http://10.9.0.1/").v4, Some(Own::Automatic));
    assert_eq!(taken("elf http://10.9.0.1/").v6, None);
    let line = taken("elf --ip slaac http://10.9.0.1/");
    assert_eq!((line.v4, line.v6), (None, Some(Own::Automatic)));
    let line = taken("elf --ip slaac --ip dhcp http://10.9.0.1/");
    assert_eq!((line.v4, line.v6), (Some(Own::Automatic), Some(Own::Automatic)));
    for value in [
        "10.77.0.2",
        "10.77.0.2/33",
        "10.77.0.2/",
        "/24",
        "10.77.0.2/-1",
        "0.0.0.0/0",
        "255.255.255.255/32",
        "224.0.0.1/4",
        "::/0",
        "ff02::1/128",
        "::ffff:10.77.0.2/120",
        "fd00:4d::2/129",
        "static",
        "",
    ] {
        let line = format!("--ip {value} http://10.9.0.1/");
        if value.is_empty() {
            // The next word is taken for the value.
            refused(&line, "--ip http://10.9.0.1/: give ");
        } else {
            refused(&line, &format!("--ip {value}: give "));
        }
    }
}

#[test]
fn what_is_given_twice() {
    refused("--ip dhcp,10.77.0.2/24 http://10.9.0.1/", "--ip: given twice");
    refused("--ip slaac --ip fd00:4d::2/64 http://10.9.0.1/", "--ip: given twice");
    refused("--gateway 10.77.0.1,10.77.0.2 http://10.9.0.1/", "--gateway: given twice");
    refused("--dns 10.77.0.1 --dns 10.77.0.1 http://10.9.0.1/", "--dns: given twice");
    refused("--max-time 1 --max-time 1 http://10.9.0.1/", "--max-time: given twice");
    refused("http://10.9.0.1/ http://10.9.0.2/", "http://10.9.0.2/: a URL was given already");
}

#[test]
fn values_that_are_none() {
    for value in ["0", "3601", "1.5", "-1", "x", "99999999999999999999"] {
        refused(
            &format!("--max-time {value} http://10.9.0.1/"),
            &format!("--max-time {value}: give whole seconds"),
        );
    }
    for value in ["[fd00:4d::2]", "10.9.0.1:80", "fe80::1%eth0", "10.9.0.1,", "0.0.0.0", "ff02::1"] {
        refused(&format!("--addresses {value} http://name.test/"), "--addresses ");
    }
    let sixteen = vec!["10.9.0.1"; 16].join(",");
    assert_eq!(taken(&format!("elf --addresses {sixteen} http://name.test/")).addresses().len(), 16);
    refused(&format!("--addresses {sixteen},10.9.0.1 http://name.test/"), "--addresses: give at most 16");
}

#[test]
fn what_is_missing() {
    refused("", "no URL; usage: ");
    refused("--ip dhcp", "no URL; usage: ");
    refused("http://10.9.0.1/ --dns", "--dns: wants a value; usage: ");
    refused("-v http://10.9.0.1/", "-v: no such option; usage: ");
    refused(
        "--ip 10.77.0.2/24 http://name.test/",
        "name.test: a name, and nobody to ask for its addresses; give --dns",
    );
    refused(
        "--ip slaac http://name.test/",
        "name.test: a name, and nobody to ask for its addresses; give --dns",
    );
    taken("elf --ip slaac --dns fd00:4d::53 http://name.test/");
    taken("elf --ip slaac --addresses fd00:9::1 http://name.test/");
}

/// Whatever the text, there is an answer.
#[test]
fn no_text_is_too_odd() {
    let words = [
        "elf",
        "--ip",
        "--",
        "-",
        ",",
        "/",
        "http://",
        "http://[",
        "[::]",
        "]",
        ":",
        "dhcp",
        "\u{0}",
        "%",
        "@",
        "http://a:1/ --dns",
    ];
    for first in words {
        for second in words {
            for third in words {
                let _ = parse(&format!("{first} {second} {third}")).map_err(|error| error.to_string());
                let _ = parse(&format!("{first} {second}{third}")).map_err(|error| error.to_string());
            }
        }
    }
    let _ = parse("");
}
