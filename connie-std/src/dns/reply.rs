//! What a client has found out, as a lookup keeps it: answers, and why there is none, in words.

use std::net::{IpAddr, SocketAddr};

use connie_core::resolution::QueryError;
use connie_dns::{Name, NameServerError, RecordSet, RecordType, ServiceBindingError};

use super::server_set::MAX_ADDRESSES;
use crate::resolve::ResolverError;

/// How many service records of one answer are kept.
const MAX_SERVICES: usize = 16;

/// An answer, and for how many seconds it holds.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) found: ReplyRecords,
    /// `None` where nothing says so.
    pub(super) ttl: Option<u32>,
}

/// What an answer has.
#[derive(Clone, Debug)]
pub(super) enum ReplyRecords {
    /// Addresses, in the server's order.
    Addresses(Vec<IpAddr>),
    /// Service records, in the server's order.
    Services(Vec<BindingRecord>),
}

/// One HTTPS record (RFC 9460).
#[derive(Clone, Debug)]
pub(super) struct BindingRecord {
    /// 0 for an alias; otherwise the record with the least number goes first.
    pub(super) priority: u16,
    /// Where the service is; `None` for the name itself, and in an alias for nowhere.
    pub(super) target: Option<Name>,
    /// At which port, where it is not the one of the URL.
    pub(super) port: Option<u16>,
    /// What the addresses of the target are likely to be.
    pub(super) hints: Vec<IpAddr>,
    /// The protocols it speaks, as TLS names them, beside the default `http/1.1`.
    pub(super) alpn: Vec<String>,
    /// Whether it speaks `http/1.1`.
    pub(super) http1: bool,
    /// Why it cannot be used.
    pub(super) fault: Option<ServiceBindingError>,
}

/// Why a server was not asked, or has not answered, as the system says it.
#[derive(Clone, Debug)]
pub(super) struct FailureReason {
    pub(super) kind: RecordType,
    pub(super) server: SocketAddr,
    /// Whether there was no socket.
    pub(super) is_shortage: bool,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn new(answer: &RecordSet<'_>) -> Self {
        let found = match answer.kind() {
            RecordType::Https => {
                ReplyRecords::Services(answer.services().take(MAX_SERVICES).map(BindingRecord::new).collect())
            }
            RecordType::A | RecordType::Aaaa => {
                ReplyRecords::Addresses(answer.addresses().take(MAX_ADDRESSES).collect())
            }
        };
        // That there is nothing holds for no time where nothing says for how long.
        let ttl = Some(answer.ttl()).filter(|ttl| *ttl > 0 || !answer.is_empty());
        Reply { found, ttl }
    }
}

impl BindingRecord {
    fn new(record: Result<connie_dns::ServiceBinding<'_>, ServiceBindingError>) -> Self {
        // One whose target is not a name is of no use either.
        let target = record.as_ref().ok().and_then(connie_dns::ServiceBinding::target).transpose();
        match (record, target) {
            (Ok(record), Ok(target)) => BindingRecord {
                priority: record.priority(),
                target,
                port: record.port(),
                hints: record.hints().collect(),
                alpn: record.alpn().map(|protocol| protocol.escape_ascii().to_string()).collect(),
                http1: record.speaks_http1(),
                fault: record.check().err(),
            },
            (record, _) => BindingRecord {
                priority: u16::MAX,
                target: None,
                port: None,
                hints: Vec::new(),
                alpn: Vec::new(),
                http1: true,
                fault: Some(record.err().unwrap_or(ServiceBindingError::Malformed)),
            },
        }
    }

    /// Whether it only leads to another name.
    pub(super) fn is_alias(&self) -> bool {
        self.priority == 0
    }
}

/// What all the servers together have made of a question of `kind`.
pub(super) fn failed(
    error: QueryError,
    kind: RecordType,
    server_errors: &[(SocketAddr, NameServerError)],
    reasons: &[FailureReason],
) -> ResolverError {
    let of = |server: SocketAddr| reasons.iter().rev().find(|it| it.kind == kind && it.server == server);
    let texts = server_errors.iter().map(|(server, problem)| in_words(*server, *problem, of(*server)));
    let detail = texts.collect::<Vec<_>>().join("; ");
    let detail = if detail.is_empty() { "no name server is configured".to_owned() } else { detail };
    let lacked = |(server, problem): &(SocketAddr, NameServerError)| {
        matches!(problem, NameServerError::Unreachable | NameServerError::Truncated)
            && of(*server).is_some_and(|reason| reason.is_shortage)
    };
    // What a server has said tells more than that there was no socket to ask another.
    let says_nothing = matches!(error, QueryError::TimedOut | QueryError::Unreachable);
    let is_shortage = says_nothing && server_errors.iter().any(lacked);
    ResolverError { kind: if is_shortage { QueryError::OutOfSockets } else { error }, detail: Some(detail) }
}

fn in_words(server: SocketAddr, problem: NameServerError, reason: Option<&FailureReason>) -> String {
    let text = |default: &str| reason.map_or_else(|| default.to_owned(), |reason| reason.text.clone());
    match problem {
        NameServerError::ResponseCode(code) => format!("{code} from {server}"),
        NameServerError::Lame => format!("lame answer (no data, no recursion) from {server}"),
        NameServerError::Silent => format!("no answer from {server}"),
        NameServerError::Unreachable if reason.is_some_and(|reason| reason.is_shortage) => {
            format!("no socket left to ask {server}: {}", text(""))
        }
        NameServerError::Unreachable => format!("{server}: {}", text("no answer in time")),
        NameServerError::Truncated => {
            format!("the answer from {server} needs TCP: {}", text("no answer in time"))
        }
        problem => format!("{problem} from {server}"),
    }
}

#[cfg(test)]
mod tests {
    use connie_dns::ResponseCode;

    use super::*;

    fn server(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 53))
    }

    #[test]
    fn what_the_servers_said_and_the_system_is_told() {
        let reason = |server, is_shortage, text: &str| FailureReason {
            kind: RecordType::A,
            server,
            is_shortage,
            text: text.to_owned(),
        };
        let server_errors = [(server(1), NameServerError::Unreachable), (server(2), NameServerError::Silent)];
        let lacking = [reason(server(1), true, "Too many open files")];
        let error = failed(QueryError::TimedOut, RecordType::A, &server_errors, &lacking);
        assert_eq!(error.kind, QueryError::OutOfSockets);
        let text = "no socket left to ask 192.0.2.1:53: Too many open files; no answer from 192.0.2.2:53";
        assert_eq!(error.to_string(), text);
        // It is another question's.
        assert_eq!(
            failed(QueryError::TimedOut, RecordType::Aaaa, &server_errors, &lacking).kind,
            QueryError::TimedOut
        );
        let server_errors = [
            (server(1), NameServerError::Unreachable),
            (server(2), NameServerError::ResponseCode(ResponseCode::SERVER_FAILURE)),
        ];
        let error = failed(QueryError::ServerFailure, RecordType::A, &server_errors, &lacking);
        assert_eq!(error.kind, QueryError::ServerFailure);
        assert!(error.to_string().ends_with("SERVFAIL from 192.0.2.2:53"), "{error}");
        let error = failed(QueryError::Unreachable, RecordType::A, &[], &[]);
        assert_eq!(error.to_string(), "no name server is configured");
    }
}
