//! The least that is a program on smoltcp and this board: a connection to one address that is built in, a
//! fixed request, and whatever comes back on standard output. No command line, no HTTP, no text. It shows how
//! much of the other programs' flash is smoltcp's and the driver's.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("floor: build this for a microcontroller: --target thumbv7m-none-eabi; see docs/footprint.md");
}

#[cfg(target_os = "none")]
mod firmware {
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::{Output, exit};
    use connie_firmware_qemu::net;
    use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
    use smoltcp::socket::tcp;
    #[cfg(feature = "ipv6")]
    use smoltcp::wire::Ipv6Address;
    use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
    use static_cell::{ConstStaticCell, StaticCell};

    static SLOT: StaticCell<[SocketStorage<'static>; 1]> = StaticCell::new();
    static BUFFERS: ConstStaticCell<[[u8; 512]; 2]> = ConstStaticCell::new([[0; 512]; 2]);

    /// The server, port 80, and our own addresses: those of the tests' network.
    #[cfg(feature = "ipv4")]
    const SERVER: IpAddress = IpAddress::v4(10, 77, 0, 1);
    #[cfg(not(feature = "ipv4"))]
    const SERVER: IpAddress = IpAddress::v6(0xfd00, 0x4d, 0, 0, 0, 0, 0, 1);

    #[cortex_m_rt::entry]
    fn main() -> ! {
        exit(if page().is_some() { 0 } else { 7 })
    }

    fn page() -> Option<()> {
        let Board { mut ethernet, clock, seed } = Board::take()?;
        let mut config = Config::new(EthernetAddress(ethernet.hardware_address()).into());
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut ethernet, net::time(clock.now()));
        interface.update_ip_addrs(|own| {
            #[cfg(feature = "ipv4")]
            let _ = own.push(IpCidr::new(IpAddress::v4(10, 77, 0, 2), 24));
            #[cfg(feature = "ipv6")]
            let _ = own.push(IpCidr::new(IpAddress::v6(0xfd00, 0x4d, 0, 0, 0, 0, 0, 2), 64));
        });
        #[cfg(feature = "ipv6")]
        let _ =
            interface.routes_mut().add_default_ipv6_route(Ipv6Address::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 1));
        let [received, to_send] = BUFFERS.try_take()?;
        let mut sockets = SocketSet::new(&mut SLOT.try_init_with(|| [SocketStorage::EMPTY])?[..]);
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(&mut received[..]),
            tcp::SocketBuffer::new(&mut to_send[..]),
        );
        socket.connect(interface.context(), (SERVER, 80), 49152 | seed as u16).ok()?;
        let handle = sockets.add(socket);
        let mut page = Output::new();
        let mut asked = false;
        loop {
            let now = net::time(clock.now());
            interface.poll(now, &mut ethernet, &mut sockets);
            let socket = sockets.get_mut::<tcp::Socket>(handle);
            if socket.can_send() && !asked {
                socket.send_slice(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                asked = true;
            }
            let _ = socket.recv(|data| {
                page.put(data);
                (data.len(), ())
            });
            if asked && !socket.may_recv() {
                return Some(());
            }
            if !socket.is_open() {
                return None;
            }
            clock.idle_until(interface.poll_at(now, &sockets).map(net::instant));
        }
    }
}
