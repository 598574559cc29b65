//! Words for what a race is told and what it answers, for records that are kept and compared.
//!
//! They are written out here, one by one, and hang on no derived `Debug`, no layout and no name of a type:
//! they change only where somebody changes them on purpose. Times are microseconds.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::connect::{self, AddressOrder};
use connie_core::race::TlsFailure;
use connie_core::resolution::Query;
use connie_core::resolution::selection::Route;
use connie_core::{
    AttemptError, AttemptErrorKind, AttemptOutcome, Config, Failure, Families, Family, Input, Instant,
    Output, Pacing, Timeline,
};

/// The address: `192.0.2.1:80`, or the eight groups of an IPv6 address without any left out,
/// `[2001:db8:0:0:0:0:0:1]:80`, with its zone (`%2`) and its flow label (`/5`) where it has one.
#[must_use]
pub fn address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            format!("{a}.{b}.{c}.{d}:{}", v4.port())
        }
        SocketAddr::V6(v6) => {
            let groups: Vec<String> = v6.ip().segments().iter().map(|group| format!("{group:x}")).collect();
            let zone = if v6.scope_id() == 0 { String::new() } else { format!("%{}", v6.scope_id()) };
            let flow = if v6.flowinfo() == 0 { String::new() } else { format!("/{}", v6.flowinfo()) };
            format!("[{}{zone}{flow}]:{}", groups.join(":"), v6.port())
        }
    }
}

fn addresses(list: &[SocketAddr]) -> String {
    list.iter().fold(String::new(), |text, each| text + " " + &address(*each))
}

/// `ipv4` or `ipv6`.
#[must_use]
pub fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// How the race is run: every field that decides something.
#[must_use]
pub fn config(config: &Config) -> String {
    let pacing = match config.pacing {
        Pacing::Staggered { delay, growth_percent } => {
            format!("staggered {} growing to {growth_percent} %", micros(delay))
        }
        other => other.name().replace('-', " "),
    };
    let families = match config.families {
        Families::Both => "both families",
        Families::Only(Family::V4) => "ipv4 only",
        Families::Only(Family::V6) => "ipv6 only",
    };
    let sockets = match config.max_in_flight {
        usize::MAX => "all".to_owned(),
        count => count.to_string(),
    };
    let limit = |limit: Option<Duration>| limit.map_or("none".to_owned(), micros);
    format!(
        "{pacing}, {families}, {} first, count {}, resolution delay {}, {sockets} in flight, patience {}, {}, \
         {}, deadline {}, attempt time-out {}",
        family(config.preferred_family),
        config.first_address_family_count,
        micros(config.resolution_delay),
        micros(config.patience),
        if config.evict { "evicts" } else { "does not evict" },
        if config.hedge { "hedges" } else { "does not hedge" },
        limit(config.deadline),
        limit(config.attempt_timeout),
    )
}

fn micros(duration: Duration) -> String {
    duration.as_micros().to_string()
}

/// What the race is told.
#[must_use]
pub fn input(input: &Input<'_>) -> String {
    match *input {
        Input::Resolved { family: of, addresses: list } => {
            format!("resolved {}{}", family(of), addresses(list))
        }
        Input::Hinted { family: of, addresses: list } => format!("hinted {}{}", family(of), addresses(list)),
        Input::ResolutionFailed { family: of } => format!("resolution failed {}", family(of)),
        Input::AttemptSucceeded { id } => format!("succeeded #{}", id.number()),
        Input::AttemptFailed { id, error: why } => format!("failed #{} {}", id.number(), error(why)),
        Input::SourceChanged { family: of } => format!("source changed {}", family(of)),
        Input::Cancel => "cancel".to_owned(),
    }
}

/// What a connect is told.
#[must_use]
pub fn connect_input(told: &connect::ConnectInput<'_>) -> String {
    match *told {
        connect::ConnectInput::Answered { query: of, addresses: list, order: by } => {
            format!("answered {}{}, {}", query(of), addresses(list), order(by))
        }
        connect::ConnectInput::Hinted { family: of, addresses: list, order: by } => {
            format!("hinted {}{}, {}", family(of), addresses(list), order(by))
        }
        connect::ConnectInput::QueryFailed { query: of, .. } => format!("query failed {}", query(of)),
        connect::ConnectInput::AttemptSucceeded { id } => input(&Input::AttemptSucceeded { id }),
        connect::ConnectInput::AttemptFailed { id, error } => input(&Input::AttemptFailed { id, error }),
        connect::ConnectInput::SourceChanged { family } => input(&Input::SourceChanged { family }),
        connect::ConnectInput::Cancel => input(&Input::Cancel),
    }
}

fn query(query: Query) -> &'static str {
    match query {
        Query::Aaaa => "aaaa",
        Query::A => "a",
        Query::Nat64Prefix => "prefix",
    }
}

fn order(order: AddressOrder<'_>) -> String {
    match order {
        AddressOrder::Any(ways) => {
            ways.iter().fold("any order".to_owned(), |text, way| text + " " + &route(*way))
        }
        AddressOrder::Best(way) => format!("best first, {}", route(way)),
    }
}

/// The way to an address; of a source its address alone.
fn route(route: Route) -> String {
    match route {
        Route::Unknown => "unknown".to_owned(),
        Route::Unreachable => "unreachable".to_owned(),
        Route::From(source) => format!("from {}", address(SocketAddr::new(source.address, 0))),
    }
}

/// The addresses of [`Race::handle_addresses`](connie_core::Race::handle_addresses).
#[must_use]
pub fn list(list: &[SocketAddr]) -> String {
    format!("addresses{}", addresses(list))
}

/// What the race answers.
#[must_use]
pub fn output(output: &Output) -> String {
    match *output {
        Output::StartAttempt { id, destination } => {
            format!("start #{} {}", id.number(), address(destination))
        }
        Output::CancelAttempt { id } => format!("cancel #{}", id.number()),
        Output::WaitUntil(until) => format!("wait until {}", until.as_micros()),
        Output::WaitForInput => "wait for input".to_owned(),
        Output::Established { id, destination } => {
            format!("established #{} {}", id.number(), address(destination))
        }
        Output::Failed(why) => format!("failed: {}", failure(why)),
    }
}

/// Why a race failed.
#[must_use]
pub fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::NoDestinations => "no destinations",
        Failure::AllAttemptsFailed => "all attempts failed",
        Failure::DeadlineExceeded => "deadline exceeded",
        Failure::Canceled => "canceled",
        Failure::StackGone => "stack gone",
        _ => unreachable!("a failure without a word: give it one in words.rs"),
    }
}

/// Why an attempt failed.
#[must_use]
pub fn error(error: AttemptError) -> String {
    match error.kind() {
        AttemptErrorKind::Refused => "refused".to_owned(),
        AttemptErrorKind::Unreachable => "unreachable".to_owned(),
        AttemptErrorKind::TimedOut => "timed out".to_owned(),
        AttemptErrorKind::Reset => "reset".to_owned(),
        AttemptErrorKind::OutOfSockets => "out of sockets".to_owned(),
        AttemptErrorKind::StackGone => "stack gone".to_owned(),
        AttemptErrorKind::SourceGone => "source gone".to_owned(),
        AttemptErrorKind::Tls(failure) => format!("tls {}", tls(failure)),
        AttemptErrorKind::NoSourceAddress => "no source address".to_owned(),
        AttemptErrorKind::Setup(which) => format!("setup {which}"),
        AttemptErrorKind::Other => format!("other {}", error.number().unwrap_or(0)),
        _ => unreachable!("an error without a word: give it one in words.rs"),
    }
}

fn tls(failure: TlsFailure) -> String {
    let word = match failure {
        TlsFailure::CertificateExpired => "expired",
        TlsFailure::CertificateNotYetValid => "not yet valid",
        TlsFailure::CertificateUntrusted => "untrusted",
        TlsFailure::CertificateName => "name",
        TlsFailure::CertificateRevoked => "revoked",
        TlsFailure::CertificateInvalid => "invalid",
        TlsFailure::NotTls => "not tls",
        TlsFailure::Incompatible => "incompatible",
        TlsFailure::Alert(code) => return format!("alert {code}"),
        TlsFailure::ClosedEarly => "closed early",
        TlsFailure::Truncated => "truncated",
        TlsFailure::Protocol => "protocol",
        TlsFailure::Local => "local",
        _ => unreachable!("a failure of TLS without a word: give it one in words.rs"),
    };
    word.to_owned()
}

/// What a timeline says: its summary, a line for each destination, and a line for each attempt on record.
#[must_use]
pub fn timeline(timeline: &Timeline<'_>) -> Vec<String> {
    let summary = timeline.summary();
    let time = |time: Option<Duration>| time.map_or("never".to_owned(), micros);
    let mut lines = vec![format!(
        "start {}, resolved {}, ended {}, {}, {} in flight at most, {} attempts, {} of them and {} destinations \
         left out",
        Instant::as_micros(summary.start),
        time(summary.resolved),
        time(summary.ended),
        summary.failure.map_or("no failure", failure),
        summary.max_in_flight,
        summary.attempts,
        summary.omitted_attempts,
        summary.omitted_destinations,
    )];
    lines.extend(timeline.destinations().map(|destination| {
        let started = if destination.was_started() { "started" } else { "not started" };
        let why = destination.error().map_or("no error".to_owned(), error);
        format!("destination {} {started}, {why}", address(destination.address()))
    }));
    lines.extend(timeline.attempts().map(|attempt| {
        let hedge = if attempt.hedge { "hedge " } else { "" };
        let end = match attempt.outcome {
            None => "in flight".to_owned(),
            Some(AttemptOutcome::Established) => "established".to_owned(),
            Some(AttemptOutcome::Failed(why)) => {
                error(AttemptError::new(why).with_number(attempt.number.unwrap_or(0)))
            }
            Some(AttemptOutcome::Canceled) => "canceled".to_owned(),
            Some(AttemptOutcome::Evicted) => "evicted".to_owned(),
        };
        let (from, to) = (micros(attempt.started), time(attempt.ended));
        format!("{hedge}attempt {} {from} to {to}: {end}", address(attempt.destination))
    }));
    lines
}

/// FNV-1a of 64 bits, folded to 32 as its authors advise (draft-eastlake-fnv), over `lines`, each ended by a
/// line feed.
#[must_use]
pub fn hash(lines: &[String]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in lines.iter().flat_map(|line| line.bytes().chain([b'\n'])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_address_is_told() {
        for (text, word) in [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:443", "[2001:db8:0:0:0:0:0:1]:443"),
            ("[fe80::1%2]:80", "[fe80:0:0:0:0:0:0:1%2]:80"),
            ("[::ffff:192.0.2.1]:80", "[0:0:0:0:0:ffff:c000:201]:80"),
        ] {
            assert_eq!(address(text.parse().unwrap()), word);
        }
        let labelled = std::net::SocketAddrV6::new("2001:db8::1".parse().unwrap(), 80, 5, 0);
        assert_eq!(address(labelled.into()), "[2001:db8:0:0:0:0:0:1/5]:80");
    }

    #[test]
    fn a_configuration_is_told_field_by_field() {
        assert_eq!(
            config(&Config::staggered()),
            "staggered 250000 growing to 100 %, both families, ipv6 first, count 1, resolution delay 50000, \
             all in flight, patience 250000, evicts, does not hedge, deadline none, attempt time-out none"
        );
    }

    #[test]
    fn inputs_and_outputs_have_words() {
        let list = [crate::address("4a"), crate::address("6a")];
        let told = Input::Resolved { family: Family::V4, addresses: &list };
        assert_eq!(input(&told), "resolved ipv4 192.0.2.1:80 [2001:db8:0:0:0:0:0:1]:80");
        assert_eq!(input(&Input::Resolved { family: Family::V6, addresses: &[] }), "resolved ipv6");
        let ways = [Route::Unreachable, Route::from_source([192, 0, 2, 9].into())];
        let (addresses, order) = (&list[..1], AddressOrder::Any(&ways));
        let told = connect::ConnectInput::Answered { query: Query::Nat64Prefix, addresses, order };
        assert_eq!(
            connect_input(&told),
            "answered prefix 192.0.2.1:80, any order unreachable from 192.0.2.9:0"
        );
        assert_eq!(output(&Output::WaitUntil(Instant::from_millis(3))), "wait until 3000");
        assert_eq!(output(&Output::Failed(Failure::StackGone)), "failed: stack gone");
        assert_eq!(error(AttemptErrorKind::Tls(TlsFailure::Alert(40)).into()), "tls alert 40");
    }

    /// FNV-1a 64 of "" is the offset basis, of "\n" that basis after one step; worked out by hand from the
    /// definition.
    #[test]
    fn the_hash_is_the_one_that_was_kept() {
        assert_eq!(hash(&[]), 0xcbf2_9ce4 ^ 0x8422_2325);
        let one = (0xcbf2_9ce4_8422_2325_u64 ^ 0x0a).wrapping_mul(0x0000_0100_0000_01b3);
        assert_eq!(hash(&[String::new()]), (one ^ (one >> 32)) as u32);
        assert_ne!(hash(&["a".to_owned(), "b".to_owned()]), hash(&["ab".to_owned()]));
    }
}
