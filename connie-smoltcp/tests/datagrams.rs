//! What a datagram socket promises.

mod link;

use std::net::{Ipv4Addr, SocketAddr};

use connie_core::embedded_nal::{UdpClientStack, UdpFullStack};
use connie_core::stack::{TcpClientStack, nb};
use connie_smoltcp::smoltcp::phy::{ChecksumCapabilities, Medium};
use connie_smoltcp::smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket};
use connie_smoltcp::{SocketStorage, Stack, StackError, TcpBuffers, UdpBuffers};
use link::{Answers, Card, Link, Place, World, client_interface, client_v4, ms};

type Client<'a> = Stack<'a, Card, World, 1, 1>;

const CLIENT_PORT: u16 = 5_000;

fn with_stack(body: impl FnOnce(&World, &mut Client<'_>)) {
    let world = World::new(Medium::Ip, 1);
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 2];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 1];
    let mut datagrams = [UdpBuffers::<2, 256>::new()];
    let mut stack =
        Stack::with_udp(interface, card, &mut storage, &mut buffers, &mut datagrams, world.clone(), 7);
    body(&world, &mut stack);
}

/// A datagram to the client's port.
fn datagram(from: SocketAddr, text: &[u8]) -> Vec<u8> {
    let SocketAddr::V4(from) = from else { panic!("only over IPv4") };
    let header = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: client_v4(),
        next_header: IpProtocol::Udp,
        payload_len: 8 + text.len(),
        hop_limit: 64,
    };
    let mut buffer = vec![0; 28 + text.len()];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut buffer[..]), &ChecksumCapabilities::default());
    let mut packet = UdpPacket::new_unchecked(&mut buffer[20..]);
    packet.set_src_port(from.port());
    packet.set_dst_port(CLIENT_PORT);
    packet.set_len(8 + text.len() as u16);
    packet.payload_mut().copy_from_slice(text);
    packet.fill_checksum(&(*from.ip()).into(), &client_v4().into());
    buffer
}

#[test]
fn a_socket_that_is_connected_hears_its_peer_alone() {
    with_stack(|world, stack| {
        let peer = SocketAddr::from(([192, 0, 2, 1], 53));
        let strangers = [SocketAddr::from(([192, 0, 2, 9], 53)), SocketAddr::from(([192, 0, 2, 1], 54))];
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        stack.bind(&mut socket, CLIENT_PORT).expect("a free port");
        UdpClientStack::connect(stack, &mut socket, peer).expect("an address");
        let mut buffer = [0; 16];
        for stranger in strangers {
            world.deliver(datagram(stranger, b"forged"));
            let heard = UdpClientStack::receive(stack, &mut socket, &mut buffer);
            assert_eq!(heard, Err(nb::Error::WouldBlock), "from {stranger}");
        }
        world.deliver(datagram(peer, b"genuine"));
        assert_eq!(UdpClientStack::receive(stack, &mut socket, &mut buffer), Ok((7, peer)));
        assert_eq!(&buffer[..7], b"genuine");
    });
}

#[test]
fn a_port_that_a_connection_has_is_taken() {
    with_stack(|world, stack| {
        let remote = world.add_v4(false, Place::Host(Answers::Http), Link::perfect(ms(20)));
        let mut connection = TcpClientStack::socket(stack).expect("a socket");
        assert_eq!(TcpClientStack::connect(stack, &mut connection, remote), Err(nb::Error::WouldBlock));
        let port = stack.local_address(&connection).expect("an address").port();
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        assert_eq!(stack.bind(&mut socket, port), Err(StackError::PortInUse));
        assert_eq!(stack.bind(&mut socket, CLIENT_PORT), Ok(()));
    });
}

#[test]
fn what_finds_the_buffer_full_leaves_when_the_call_has_made_room() {
    with_stack(|_, stack| {
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        UdpClientStack::connect(stack, &mut socket, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9)))
            .expect("an address");
        // Two find room at once.
        for _ in 0..5 {
            assert_eq!(UdpClientStack::send(stack, &mut socket, b"one"), Ok(()));
        }
        assert_eq!(
            UdpClientStack::send(stack, &mut socket, &[0; 257]),
            Err(nb::Error::Other(StackError::TooLong)),
            "longer than the buffer"
        );
    });
}
