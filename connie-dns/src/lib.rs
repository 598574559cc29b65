//! A DNS client without sockets and without a clock: give a [`DnsClient`] the datagrams that arrive and the
//! current time, and it tells you which datagram to send to which server, when to wake up, and what it knows.
//!
//! It allocates nothing. Two methods drive it: [`handle_input`](DnsClient::handle_input) takes what happened,
//! and [`poll_output`](DnsClient::poll_output) returns what to do next. A [`RecordLookup`] asks for the
//! records of one host and reads the answers from the client.
//!
//! ```
//! use connie_core::Instant;
//! use connie_dns::{DnsClient, DnsConfig, DnsInput, DnsOutput, LARGEST_QUERY};
//! use connie_dns::{Name, RecordLookup, RecordType, WantedRecords};
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
//! // If the first server does not answer, the next one is asked then.
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
//! // `message` has arrived at the port that the query was sent from.
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
//! # How to drive it
//!
//! 1. Poll the lookups until none has anything to report, then the client until its output [ends the
//!    drain](DnsOutput::ends_drain). Do what it says: each [`Port`] is a UDP socket of its own, on a local
//!    port that is hard to guess.
//! 2. Close the sockets whose port [is no longer open](DnsClient::is_open), and the TCP connections whose
//!    message [is no longer wanted](DnsClient::wants_stream).
//! 3. Wait until the time that the client returned, or until something arrives. Pass that in, and start
//!    again. Waking up late, early or for nothing is just another poll.
//!
//! Many lookups share one client. A lookup that finds [no room](RecordLookup::waits_for_room) has to be
//! polled again when another one has ended or was closed. The end of a question is
//! [reported](DnsOutput::Ended) once, so that you can wake whatever waits for it.
//!
//! # What it does
//!
//! - **A silent server delays nothing for long**: the next server is asked after 250 ms, and immediately if
//!   one fails. A silent server is asked again after 1 s, then after twice that, and so on. A server that was
//!   silent while another one answered is asked last for 30 s.
//! - **Temporary failures are retried after a pause**: SERVFAIL, REFUSED, a TCP connection that was closed.
//! - **EDNS, then without it.** A truncated answer is fetched over TCP if the driver supports it; otherwise
//!   the records that did fit are used.
//! - **Aliases** are followed within an answer, in any order, and queried where the server did not follow
//!   them.
//! - **Lame answers are discarded**, and the next server is asked. A malformed record affects only itself.
//! - **NXDOMAIN** ends all record types of a name (RFC 8020).
//! - **Answers are cached** for their time to live, negative answers for as long as the SOA record says
//!   (RFC 2308). A question is sent once, however many lookups wait for it.
//! - **Ids** from the caller's seed, a port for each question, and letters in random case if
//!   [enabled](DnsConfig::randomise_case).
//! - **The search list** of resolv.conf(5): [`SearchNames`].
//!
//! What a [service record](ServiceBinding) means to a connection is up to the caller, which may look up the
//! names that the record leads to. The hosts file, literal addresses and `localhost` are handled by
//! [`connie_core::connect`], which asks only for the rest. Nothing is encrypted or validated.
//!
//! # Features
//!
//! `defmt`, off by default: errors and record types are `defmt::Format`, for logs of firmware.
//!
//! # Capacities
//!
//! All are parameters of the type: `DnsClient<NAMES, SERVERS, NAME, DATA>`.
//!
//! | parameter | room for | default | what happens beyond it |
//! |---|---|---|---|
//! | `NAMES` | names that are being asked for or are cached | | [`DnsClient::ask`] returns `None`, unless a cached name can be dropped |
//! | `SERVERS` | name servers | 3 | they are ignored |
//! | `NAME` | octets of a name, including the target of an alias | 255 | a name is [refused](NameError); an alias is [`Malformed`](connie_core::resolution::QueryError::Malformed) |
//! | `DATA` | octets of the records of one type: 16 for an IPv6 address, 4 for an IPv4 address | 256 | records are dropped |
//!
//! With the defaults a name takes 1.2 KiB, whatever is asked of it, and a [`RecordLookup`] 0.3 KiB; with a
//! `NAME` of 64, a `DATA` of 64 and two servers they take 0.5 KiB together.

#![no_std]
#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Nothing here can panic.
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
