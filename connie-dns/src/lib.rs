//! DNS without sockets: a [`DnsClient`] is told datagrams and the time, and says which datagram to send to which server, when to wake, and what
//! is known.
//!
//! It allocates nothing, opens nothing, and asks no clock. Two verbs drive it: [`handle_input`](DnsClient::handle_input) tells it what
//! happened, [`poll_output`](DnsClient::poll_output) says what to do next. A [`RecordLookup`] is what somebody wants to know of a host, and
//! reads it from the client.
//!
//! ```
//! use connie_core::Instant;
//! use connie_dns::{DnsClient, DnsInput, RecordType, LARGEST_QUERY, RecordLookup, Name, DnsOutput, DnsConfig, WantedRecords};
//!
//! let (mut now, seed) = (Instant::ZERO, 0x6a09_e667_f3bc_c908); // From a source of randomness.
//! let mut client = DnsClient::<4>::new(DnsConfig::default(), seed);
//! client.set_servers(&["192.0.2.53:53".parse()?, "192.0.2.54:53".parse()?], now);
//!
//! let mut lookup = RecordLookup::new(Name::parse("name.test")?, WantedRecords { aaaa: false, ..WantedRecords::default() });
//! assert!(lookup.poll(&mut client, now).is_none());
//!
//! let mut buffer = [0; LARGEST_QUERY];
//! let DnsOutput::Send { port, server, length } = client.poll_output(&mut buffer, now) else { panic!("a query") };
//! assert_eq!(server, "192.0.2.53:53".parse()?);
//! // The next server is asked if nothing comes from the first one.
//! let next = Instant::from_millis(250);
//! assert_eq!(client.poll_output(&mut buffer, now), DnsOutput::WaitUntil(next));
//!
//! # let message = &mut answer(&buffer[..length]);
//! # fn answer(query: &[u8]) -> Vec<u8> {
//! #     let mut answer = query[..27].to_vec();
//! #     (answer[2], answer[7], answer[11]) = (0x80, 1, 0);
//! #     answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01");
//! #     answer
//! # }
//! // `message` has come to the port that the query was sent from.
//! now = Instant::from_millis(20);
//! client.handle_input(DnsInput::Datagram { port, from: server, message }, now);
//! assert!(matches!(client.poll_output(&mut buffer, now), DnsOutput::Ended(_)));
//! assert!(!client.is_open(port), "the driver closes it");
//!
//! let event = lookup.poll(&mut client, now).expect("an answer");
//! assert_eq!(event.kind, RecordType::A);
//! assert!(event.result?.addresses().eq(["192.0.2.1".parse::<std::net::IpAddr>()?]));
//! lookup.close(&mut client);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a driver drives it
//!
//! 1. Poll the look-ups until each has nothing to report, then the client until its answer [ends the drain](DnsOutput::ends_drain). Do
//!    what it says: each [`Port`] is a UDP socket of its own, on a local port that is hard to guess.
//! 2. Close the sockets whose port [is not open](DnsClient::is_open) any more, and the TCP connections whose message
//!    [is not waited for](DnsClient::wants_stream).
//! 3. Wait until the time that the client named, or until something comes. Tell it, and begin again. Waking late, early or for nothing is
//!    just another poll.
//!
//! Many look-ups share one client. One that finds [no room](RecordLookup::waits_for_room) is to be polled when another has ended or was closed.
//! The end of a question is [told](DnsOutput::Ended) once, to wake those who wait for it.
//!
//! # What it does
//!
//! - **A silent server holds nothing up**: the next one is asked after 250 ms, and at once where one fails; a server is asked again
//!   after 1 s, then after twice that and so on. One that was silent while another answered comes last for 30 s.
//! - **What may pass is asked again after a pause**: SERVFAIL, REFUSED, a TCP connection that was closed.
//! - **EDNS, and then without**; what is truncated over TCP, where the driver has it, and otherwise what did fit.
//! - **Aliases** are followed within an answer, in any order, and asked for where the server has not.
//! - **A lame answer is none**: the next server is asked. One malformed record costs itself alone.
//! - **NXDOMAIN** ends all kinds of a name (RFC 8020).
//! - **Answers are kept** for their time to live, negative ones as long as the SOA record says (RFC 2308). A question is asked once
//!   for all who ask it, however many they are.
//! - **Ids** from the caller's seed, a port for each question, and letters in random case where [asked for](DnsConfig::randomise_case).
//! - **The search list**, as resolv.conf(5) has it: [`SearchNames`].
//!
//! What a [service record](ServiceBinding) means to a connection is for its user, who may look up the names that it leads to. Names of the hosts
//! file, literal addresses and `localhost` are the matter of [`connie_core::connect`], which asks for what is left. Nothing is
//! encrypted or validated.
//!
//!
//! # Capacities
//!
//! All are numbers of the type: `DnsClient<NAMES, SERVERS, NAME, DATA>`.
//!
//! | number | what there is room for | default | more than that |
//! |---|---|---|---|
//! | `NAMES` | names that are asked for or known at a time | | [`DnsClient::ask`] says that there is no room, unless one is known that nobody waits for |
//! | `SERVERS` | name servers | 3 | are left out |
//! | `NAME` | octets of a name, also of one that an alias leads to | 255 | a name is [refused](NameError); an alias is [`Malformed`](connie_core::resolution::QueryError::Malformed) |
//! | `DATA` | octets of the records of a kind: 16 for an IPv6 address, 4 for an IPv4 address | 256 | records are left out |
//!
//! With the defaults a name takes 1.2 KiB, whatever is asked of it, and a [`RecordLookup`] 0.3 KiB; with a `NAME` of 64, a `DATA` of 64 and two servers
//! 0.5 KiB together.

#![no_std]
#![forbid(unsafe_code)]
// No way of its own to a panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod client;
mod config;
mod cursor;
mod data;
mod interpretation;
mod lookup;
mod name;
mod query;
mod query_machine;
mod record_set;
mod record_type;
mod search_names;
mod seed;
mod servers;
mod service_binding;
mod table;

pub use client::{DnsClient, DnsInput, DnsOutput, Port, QuestionId};
pub use config::{DnsConfig, DnsTransport};
pub use lookup::{LookupOutcome, RecordLookup, WantedRecords};
pub use name::{LONGEST_NAME, Name, NameError};
pub use query::LARGEST_QUERY;
pub use record_set::{NameServerError, RecordSet, ResponseCode};
pub use record_type::RecordType;
pub use search_names::SearchNames;
pub use servers::ServerStanding;
pub use service_binding::{ServiceBinding, ServiceBindingError, ServiceBindings};

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
