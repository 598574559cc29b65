//! Counting descriptors. One test, because the count is of the whole process.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::net::UdpSocket;
use std::time::Duration;

use connie_servers::{
    clock::ms,
    clock::pause,
    descriptors::{Descriptors, SocketWatch, descriptors},
};

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket")
}

#[test]
fn open_files_and_sockets_are_counted() {
    let before = descriptors();
    assert_eq!(descriptors(), before, "counting leaves nothing open");

    let open = (socket(), socket(), File::open("/dev/null").expect("a file"));
    let Descriptors { total, sockets } = before;
    assert_eq!(descriptors(), Descriptors { total: total + 3, sockets: sockets + 2 });

    let watch = SocketWatch::start();
    {
        let _three_more = [socket(), socket(), socket()];
        pause(ms(20));
    }
    pause(ms(20));
    assert_eq!(watch.most(), sockets + 5, "the most at once, not the count at the end");

    let watch = SocketWatch::start();
    for _ in 0..1000 {
        let _one = socket();
        pause(Duration::from_micros(50));
    }
    assert_eq!(watch.most(), sockets + 3, "one at a time beside the two");

    drop(open);
    assert_eq!(descriptors(), before);
}
