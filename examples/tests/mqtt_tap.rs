//! Runs the example over a TAP device in a network namespace of its own, with a name server and brokers at its other end.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use connie_lab::in_namespace;
use connie_servers::{DnsAnswer, DnsServer, RecordType};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Nobody has it.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));

/// The first broker is gone, nothing is heard of the second's name, and the third does not exist.
#[test]
fn the_broker_that_answers_is_connected_to() {
    in_namespace(|lab| {
        lab.ip("tuntap add dev tap0 mode tap\naddr add 192.0.2.1/24 dev tap0\nlink set tap0 up");
        let names = DnsServer::start(SocketAddr::new(HERE, 53));
        for (name, address) in [("gone.test", NOBODY), ("there.test", HERE)] {
            names.set(name, RecordType::A, DnsAnswer::addresses(&[address]));
            names.set(name, RecordType::Aaaa, DnsAnswer::no_data());
        }
        for kind in [RecordType::A, RecordType::Aaaa] {
            names.set("silent.test", kind, DnsAnswer::silent());
        }
        let broker = TcpListener::bind(SocketAddr::new(HERE, 1884)).expect("a port");
        let served = std::thread::spawn(move || {
            let (mut device, _) = broker.accept().expect("a device");
            let mut connect = [0; 20];
            device.read_exact(&mut connect).expect("CONNECT");
            // In two pieces, as TCP may have it.
            device.write_all(&[0x20, 2]).and_then(|()| device.write_all(&[0, 0])).expect("CONNACK");
            connect
        });
        let hosts = ["gone.test:1883", "silent.test:1883", "there.test:1884"];
        let mut example = Command::new(env!("CARGO_BIN_EXE_mqtt_tap"));
        let output =
            example.args(["tap0", "192.0.2.2/24", "192.0.2.1"]).args(hosts).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let said = "there.test is connected, at 192.0.2.1:1884\nthe broker has accepted\n";
        assert_eq!(String::from_utf8_lossy(&output.stdout), said, "{told}");
        assert_eq!(&served.join().expect("no panic"), b"\x10\x12\0\x04MQTT\x04\x02\0\x3c\0\x06connie");
    });
}
