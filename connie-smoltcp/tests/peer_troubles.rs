//! Peers as firmware meets them: windows of zero, old connections, forged resets, options that cannot be
//! read. Each test says who wins, when by the virtual clock, and that nothing is left open.
//!
//! Some of it is smoltcp's affair, and the test says so: what is asserted there is that a race comes through.

mod link;

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Connection, Failure, RaceStack};
use connie_http::{Authority, HttpConnection, HttpError};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::{Platform as _, PlatformPoller, StackError};
use link::client::{boot, config, expect_free, fetch, race, serve, settle, visit, with_stack};
use link::{Answers, Link, Place, World, at, edits, ms};

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);
const PATH: Link = Link::perfect(ROUND_TRIP);

/// RFC 9293 section 3.8.6.1: "The sending TCP peer must regularly transmit at least one octet of new data (if
/// available), or retransmit to the receiving TCP peer even if the send window is zero".
#[test]
fn a_window_of_zero() {
    let world = World::ethernet();
    let slow = world.add_v4(false, Place::Host(Answers::HttpSlow), PATH);
    with_stack::<4>(&world, |stack| {
        assert_eq!(visit(&world, stack, &[slow]), (slow, 20));
        assert!((at(5_020)..at(5_200)).contains(&world.now()), "{:?}", world.now());
    });
}

/// The request's own limit ends it. Its socket goes on delivering until it is needed for a race, and is then
/// reset: nothing is left at the host either.
#[test]
fn a_window_of_zero_for_ever() {
    let world = World::ethernet();
    let deaf = world.add_v4(false, Place::Host(Answers::Deaf), PATH);
    let dead = [(); 4].map(|()| world.add_v4(false, Place::Nobody, PATH));
    with_stack::<4>(&world, |stack| {
        let connection = race(&world, stack, &[deaf], &config()).expect("a winner");
        let mut poller = PlatformPoller(world.clone());
        let mut head = [0; 512];
        let host = Authority::http("deaf.test", 80);
        let mut http = HttpConnection::new(stack, &mut poller, connection.socket, host, &mut head).unwrap();
        http.set_timeout(Some(ms(10_000)));
        http.request("GET", "/", &[], b"").expect("room for it");
        let error = http.response().err();
        assert!(matches!(error, Some(HttpError::TimedOut)), "{error:?}");
        assert_eq!(world.now(), at(10_020));
        drop(http);
        assert_eq!(stack.free_sockets(), 4);
        assert_eq!(world.connections(deaf).len(), 1);
        let short = config().deadline(Some(ms(2_000)));
        let result = race(&world, stack, &dead, &short).map(|connection| connection.destination);
        assert_eq!(result, Err(Failure::DeadlineExceeded));
        assert_eq!(world.connections(deaf).len(), 0);
    });
}

/// smoltcp, as Linux, takes no MSS below 48 at its word.
#[test]
fn a_peer_whose_segments_have_one_octet() {
    let world = World::ethernet();
    let tiny = world.add_v4(false, HTTP, PATH);
    world.rewrite(tiny, edits::tiny_mss);
    with_stack::<4>(&world, |stack| assert_eq!(visit(&world, stack, &[tiny]), (tiny, 20)));
}

/// A board that is reset in the middle of a connection and has the same seed again sends the SYN that it sent
/// before. The peer, which knows a connection by these ports, answers with a challenge ACK (RFC 5961
/// section 4.2). Where that acknowledges more than the SYN, a reset clears the way (RFC 9293
/// section 3.10.7.3) for the SYN that is repeated after a second. Where it does not, smoltcp waits for more,
/// as Linux does; and a peer on smoltcp says nothing.
///
/// The race's second attempt comes through all the same, from another port. With one socket and one address
/// there is none; the next race has another port. A seed that differs from boot to boot meets none of this.
#[test]
fn a_peer_that_remembers_the_last_boot_of_a_board_with_the_same_seed() {
    // What the peer was sent before the power failed, and whether it challenges: when a board with one socket
    // is connected, if it is, and whether the old connection goes.
    for (sent, challenges, expected, goes) in
        [(&b"GET"[..], true, Some(ms(1_020)), true), (b"", true, None, false), (b"GET", false, None, false)]
    {
        let world = World::ethernet();
        let peer = old_connection::<4>(&world, sent, challenges);
        boot::<4>(&world, 7, |stack| {
            assert_eq!(visit(&world, stack, &[peer]), (peer, 270));
            settle(stack, &world);
            expect_free(stack);
        });
        assert_eq!(world.wire().flows_to(peer)[0].syns.len(), 2, "the same ports again");
        // Where nothing tells the peer that it is over, it finds out by its own means.
        assert_eq!(world.connections(peer).is_empty(), goes);

        let world = World::ethernet();
        let peer = old_connection::<1>(&world, sent, challenges);
        boot::<1>(&world, 7, |stack| {
            let (start, short) = (world.now(), config().deadline(Some(ms(10_000))));
            match (race(&world, stack, &[peer], &short), expected) {
                (Ok(connection), Some(expected)) => {
                    assert_eq!(world.now().duration_since(start), expected);
                    assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
                }
                (result, None) => {
                    let result = result.map(|connection| connection.destination);
                    assert_eq!(result, Err(Failure::DeadlineExceeded));
                    assert_eq!(visit(&world, stack, &[peer]), (peer, 20));
                }
                (result, _) => panic!("{result:?}"),
            }
            settle(stack, &world);
            expect_free(stack);
        });
    }
}

/// A host, and a connection to it from the life of a board that has ended.
fn old_connection<const TCP: usize>(world: &World, sent: &[u8], challenges: bool) -> SocketAddr {
    let peer = world.add_v4(false, HTTP, PATH);
    if challenges {
        world.challenge_old_connections(peer);
    }
    boot::<TCP>(world, 7, |stack| {
        let mut connection = race(world, stack, &[peer], &config()).expect("a winner");
        assert_eq!(TcpClientStack::send(stack, &mut connection.socket, sent), Ok(sent.len()));
        serve(world, stack, 500);
        // The power fails.
    });
    assert_eq!(world.connections(peer).len(), 1);
    peer
}

/// smoltcp's own time-out would reset it after three minutes.
#[test]
fn a_connection_that_is_idle_for_an_hour() {
    let world = World::ethernet();
    let peer = world.add_v4(false, HTTP, PATH);
    with_stack::<4>(&world, |stack| {
        let connection = race(&world, stack, &[peer], &config()).expect("a winner");
        serve(&world, stack, 3_600_000);
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
        assert_eq!(world.served(peer), 1);
    });
}

/// What was sent to a peer that is gone is given up after three minutes, and so is a connection that was
/// closed and does not come to its end.
#[test]
fn a_peer_that_is_gone() {
    for is_closed in [false, true] {
        let world = World::ethernet();
        let peer = world.add_v4(false, HTTP, PATH);
        boot::<1>(&world, 7, |stack| {
            let mut connection = race(&world, stack, &[peer], &config()).expect("a winner");
            world.set_link(peer, Link { loss: 100, ..PATH });
            if is_closed {
                TcpClientStack::close(stack, connection.socket).expect("closed");
                serve(&world, stack, 179_000);
                assert!(!format!("{stack:?}").contains("phase: Free"));
                // It is looked at when its FIN is repeated, every 60 s at the least.
                serve(&world, stack, 241_000);
            } else {
                let mut send = |stack: &mut _| TcpClientStack::send(stack, &mut connection.socket, b"GET");
                assert_eq!(send(stack), Ok(3));
                serve(&world, stack, 179_000);
                assert_eq!(send(stack), Ok(3));
                serve(&world, stack, 181_000);
                assert_eq!(send(stack), Err(nb::Error::Other(StackError::Reset)));
                RaceStack::abort(stack, connection.socket);
                serve(&world, stack, 182_000);
            }
            expect_free(stack);
        });
    }
}

#[test]
fn resets_that_nobody_has_sent() {
    let world = World::new(Medium::Ip, 1);
    let peer = world.add_v4(false, HTTP, PATH);
    with_stack::<4>(&world, |stack| {
        let mut socket = TcpClientStack::socket(stack).expect("a socket");
        assert_eq!(TcpClientStack::connect(stack, &mut socket, peer), Err(nb::Error::WouldBlock));
        let local = stack.local_address(&socket).expect("an address");
        // RFC 9293 section 3.10.7.3: in SYN-SENT a reset counts if it acknowledges the SYN.
        for acknowledged in [None, Some(1), Some(0x8000_0000)] {
            world.deliver(edits::reset(peer, local, 0, acknowledged));
        }
        stack.poll();
        while TcpClientStack::connect(stack, &mut socket, peer) == Err(nb::Error::WouldBlock) {
            world.idle_until(Some(world.now() + ms(1)));
        }
        assert_eq!(world.now(), at(20));
        assert_eq!(TcpClientStack::connect(stack, &mut socket, peer), Ok(()));
        // RFC 5961 section 3.2: in a connection it counts if its sequence number is the next.
        for sequence in [0, 0x4000_0000, 0x8000_0000, 0xc000_0000] {
            world.deliver(edits::reset(peer, local, sequence, None));
        }
        stack.poll();
        let connection = Connection { socket, destination: peer };
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
        assert_eq!(world.served(peer), 1);
    });
}

/// RFC 9293 section 3.5: "A TCP implementation MUST support simultaneous open attempts (MUST-10)." smoltcp
/// does.
#[test]
fn both_sides_open_at_once() {
    let world = World::ethernet();
    let peer = world.add_v4(false, HTTP, PATH);
    with_stack::<4>(&world, |stack| {
        // The way to the router is known.
        visit(&world, stack, &[peer]);
        let mut socket = TcpClientStack::socket(stack).expect("a socket");
        let start = world.now();
        assert_eq!(TcpClientStack::connect(stack, &mut socket, peer), Err(nb::Error::WouldBlock));
        let local = stack.local_address(&socket).expect("an address");
        world.open_at_once(peer, local);
        while TcpClientStack::connect(stack, &mut socket, peer) == Err(nb::Error::WouldBlock) {
            world.idle_until(Some(world.now() + ms(1)));
        }
        assert_eq!(TcpClientStack::connect(stack, &mut socket, peer), Ok(()));
        // The host waits 10 ms with its acknowledgement.
        assert_eq!(world.now().duration_since(start), ms(30));
        let connection = Connection { socket, destination: peer };
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
    });
}

/// smoltcp drops such a SYN-ACK: the address is one that is silent. (The peer, which is not heard, keeps its
/// half-open connection as long as it likes.)
#[test]
fn a_peer_whose_options_cannot_be_read() {
    let world = World::ethernet();
    let broken = world.add_v4(false, HTTP, PATH);
    world.rewrite(broken, edits::broken_options);
    let live = world.add_v4(false, HTTP, PATH);
    boot::<4>(&world, 7, |stack| {
        assert_eq!(visit(&world, stack, &[broken, live]), (live, 20));
        settle(stack, &world);
        expect_free(stack);
    });
    boot::<1>(&world, 8, |stack| {
        // After one patience.
        assert_eq!(visit(&world, stack, &[broken, live]), (live, 270));
        settle(stack, &world);
        expect_free(stack);
    });
    assert_eq!(world.connections(live).len(), 0);
}
