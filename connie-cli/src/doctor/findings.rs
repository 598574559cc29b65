//! What the observations mean, in sentences.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;

use super::names::{NameQuery, QueriedResolver};
use super::probe::{Probe, ProbeError, ProbeStep};
use super::target::DoctorTarget;
use super::words::{listed, time};

/// An answer of a name server that takes longer than this is reported as slow.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// One finding: a fault, or a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether something is wrong. Otherwise it is a remark.
    pub is_fault: bool,
    /// The addresses, of the host or of name servers, that it is about.
    pub addresses: Vec<SocketAddr>,
    /// One or two sentences.
    pub text: String,
}

/// All findings, the most important first.
pub fn find(target: &DoctorTarget, queries: &[NameQuery], probes: &[Probe], limit: Duration) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.families(probes);
    findings.dead_addresses(target, probes, limit);
    findings.tls(probes, limit);
    findings.responses(target, probes, limit);
    findings.names(queries);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn fault(&mut self, name: &'static str, addresses: Vec<SocketAddr>, text: String) {
        self.0.push(Finding { name, is_fault: true, addresses, text });
    }

    fn remark(&mut self, name: &'static str, addresses: Vec<SocketAddr>, text: String) {
        self.0.push(Finding { name, is_fault: false, addresses, text });
    }

    /// Whether a finding is about this address already.
    fn mentions(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|finding| finding.addresses.contains(&address))
    }

    /// Whether one family as a whole does not work from here.
    fn families(&mut self, probes: &[Probe]) {
        let of = |v6: bool| probes.iter().filter(|probe| probe.address.is_ipv6() == v6).collect::<Vec<_>>();
        for (family, own, other) in [("IPv6", of(true), of(false)), ("IPv4", of(false), of(true))] {
            let addresses: Vec<_> = own.iter().map(|probe| probe.address).collect();
            let other_works = other.iter().any(|probe| probe.tcp.result.is_ok());
            if own.is_empty() || own.iter().any(|probe| is_answered(&probe.tcp)) {
                continue;
            }
            if own.iter().all(|probe| probe.source.is_none()) {
                let name = if family == "IPv6" { "no_ipv6_here" } else { "no_ipv4_here" };
                let text = format!(
                    "This machine has no {family}: there is no route to {}. Clients find that out at once, so it costs no time.",
                    listed(&addresses)
                );
                match other_works {
                    true => self.remark(name, addresses, text),
                    false => self.fault(name, addresses, text),
                }
            } else if other_works {
                let name = if family == "IPv6" { "ipv6_broken" } else { "ipv4_broken" };
                let sources = own.iter().filter_map(|probe| probe.source).next();
                let from = sources.map_or(String::new(), |source| format!(" It sends from {source}."));
                let how = match own.iter().any(|probe| probe.tcp.result == Err(ProbeError::Unreachable)) {
                    true => "a router on the route reports that it is unreachable",
                    false => "nothing comes back",
                };
                let text = format!(
                    "{family} is broken between this machine and the host: this machine has an {family} address and a \
                     route, and {how}.{from} If other hosts with {family} fail too, the fault is on this side: \
                     repair {family} here or turn it off. Otherwise it is on the host's side."
                );
                self.fault(name, addresses, text);
            }
        }
    }

    fn dead_addresses(&mut self, target: &DoctorTarget, probes: &[Probe], limit: Duration) {
        let of = |error: &ProbeError| {
            let dead = probes.iter().filter(|probe| probe.tcp.result.as_ref() == Err(error));
            dead.map(|probe| probe.address).collect::<Vec<_>>()
        };
        let port = target.port;
        // A single dead address cannot be taken out of the DNS.
        let has_others = probes.len() > 1;
        let refused = of(&ProbeError::Refused);
        if !refused.is_empty() {
            let (is, them) = verb_and_pronoun(&refused, "refuses", "refuse");
            let text = format!(
                "{} {is} connections to port {port}: the machine is there, and nothing listens on that port, or a \
                 firewall rejects them. Start the server there{}.",
                listed(&refused),
                if has_others { format!(", or take {them} out of the DNS") } else { String::new() }
            );
            self.fault("refused", refused, text);
        }
        let silent = of(&ProbeError::Silent);
        if !silent.is_empty() {
            let (is, them) = verb_and_pronoun(&silent, "is silent", "are silent");
            let text = format!(
                "{} {is}: no answer to a SYN for {}. The machine is down, a firewall drops what is sent to it, or the \
                 route is broken.{}",
                listed(&silent),
                time(limit),
                if has_others {
                    format!(" Until that is repaired, take {them} out of the DNS.")
                } else {
                    String::new()
                }
            );
            self.fault("silent", silent, text);
        }
        let unreachable: Vec<_> = probes
            .iter()
            .filter(|probe| probe.tcp.result == Err(ProbeError::Unreachable) && !self.mentions(probe.address))
            .map(|probe| probe.address)
            .collect();
        if !unreachable.is_empty() {
            let (is, _) = verb_and_pronoun(&unreachable, "is", "are");
            let text = format!(
                "{} {is} unreachable: there is no route there, or a router reports that there is none.",
                listed(&unreachable)
            );
            self.fault("unreachable", unreachable, text);
        }
        for probe in probes {
            if let Err(error @ (ProbeError::Closed | ProbeError::Other(_))) = &probe.tcp.result {
                let text = format!("{} does not accept connections: {}.", probe.address.ip(), words(error));
                self.fault("no_connection", vec![probe.address], text);
            }
        }
    }

    fn tls(&mut self, probes: &[Probe], limit: Duration) {
        let tried = probes.iter().filter_map(|probe| Some((probe, probe.tls.as_ref()?)));
        let mut plain = Vec::new();
        for (probe, step) in tried {
            let (ip, address) = (probe.address.ip(), vec![probe.address]);
            match &step.result {
                Ok(()) => {}
                Err(_) if probe.is_plain => plain.push(probe.address),
                Err(ProbeError::NotTls) => {
                    let text = format!("{ip} does not speak TLS on this port: check the port, or use http.");
                    self.fault("no_tls", address, text);
                }
                Err(ProbeError::Silent) => {
                    let text = format!(
                        "{ip} accepts TCP connections, but did not begin TLS within {}: a front end, such as a load \
                         balancer, accepts them for a back end that is dead or hangs.",
                        time(limit)
                    );
                    self.fault("front_without_back_end", address, text);
                }
                Err(ProbeError::Closed) => {
                    let text = format!(
                        "{ip} accepts TCP connections and closes them before TLS: a front end without a back end, or a \
                         port for something else."
                    );
                    self.fault("front_without_back_end", address, text);
                }
                Err(error) => {
                    let text = format!(
                        "{ip} fails at TLS: {}. If other addresses work, this one has an old certificate or \
                         configuration.",
                        words(error)
                    );
                    self.fault("tls_failure", address, text);
                }
            }
        }
        if !plain.is_empty() {
            let (does, were) = if plain.len() == 1 { ("does", "it was") } else { ("do", "they were") };
            let text = format!(
                "{} {does} not speak TLS on this port; {were} asked by http instead.",
                listed(&plain)
            );
            self.remark("plain_http", plain, text);
        }
    }

    fn responses(&mut self, target: &DoctorTarget, probes: &[Probe], limit: Duration) {
        for probe in probes {
            let Some(step) = &probe.response else { continue };
            let (ip, address) = (probe.address.ip(), vec![probe.address]);
            match (&step.result, &probe.status) {
                (Ok(()), Some((status, reason))) if probe.is_gateway_error() => {
                    let status_line = format!("{status} {reason}");
                    let text = format!(
                        "{ip} answers {}: the front end works, and its back end does not. A client that takes the first \
                         connection stays with it.",
                        status_line.trim_end()
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Ok(()), Some((status @ 500.., _))) => {
                    let text = format!(
                        "{ip} answers {status} to HEAD {}: the server has an error.",
                        target.request_target
                    );
                    self.fault("server_error", address, text);
                }
                (Ok(()), _) => {}
                (Err(ProbeError::Silent), _) => {
                    let text = format!(
                        "{ip} accepts the connection and the request, and does not answer within {}: a front end whose \
                         back end is dead or hangs.",
                        time(limit)
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Err(ProbeError::Closed), _) => {
                    let text = format!(
                        "{ip} accepts the connection and closes it without an answer: a front end without a back end."
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Err(error), _) => {
                    let text = format!("the answer of {ip} could not be understood: {}.", words(error));
                    self.fault("bad_answer", address, text);
                }
            }
        }
    }

    fn names(&mut self, queries: &[NameQuery]) {
        let is_unknown =
            |query: &NameQuery| matches!(&query.answer, Err(error) if error.kind == QueryError::NoSuchName);
        if !queries.is_empty() && queries.iter().all(is_unknown) {
            let text = "The name does not exist: it is misspelt, it has expired, or it exists in another network only.";
            self.fault("no_such_name", Vec::new(), text.to_owned());
            return;
        }
        for (index, query) in queries.iter().enumerate() {
            let (who, servers) = match query.asked {
                QueriedResolver::System => ("The system's resolver".to_owned(), Vec::new()),
                QueriedResolver::Server(server) => (format!("The name server {server}"), vec![server]),
            };
            let beside =
                queries.iter().enumerate().filter(|(other, it)| *other != index && it.asked == query.asked);
            let (mut records, mut is_reported) = (record_type(query.family), false);
            for (other, it) in beside {
                if it.answer == query.answer && it.answer.is_err() {
                    (records, is_reported) = ("AAAA and A", other < index);
                }
            }
            match &query.answer {
                Err(_) if is_reported => {}
                Err(error) => {
                    let text = format!(
                        "{who} has no answer for {records} records: {error}. Clients wait for it, or for the next one \
                         that they ask."
                    );
                    self.fault("no_answer_for_name", servers, text);
                }
                Ok(_) if query.elapsed > SLOW_ANSWER => {
                    let text = format!(
                        "{who} takes {} to answer for {records} records: every new connection waits for that.",
                        time(query.elapsed)
                    );
                    self.fault("slow_name_server", servers, text);
                }
                Ok(_) => {}
            }
        }
        self.disagreement(queries);
    }

    /// Name servers that were asked directly, and know different addresses.
    fn disagreement(&mut self, queries: &[NameQuery]) {
        for family in [Family::V6, Family::V4] {
            let answers: Vec<_> = queries
                .iter()
                .filter(|query| query.family == family && query.asked != QueriedResolver::System)
                .filter_map(|query| {
                    let mut addresses = query.answer.as_ref().ok()?.clone();
                    addresses.sort();
                    Some((query.asked, addresses))
                })
                .collect();
            let Some(((_, first), others)) = answers.split_first() else { continue };
            if others.iter().any(|(_, addresses)| addresses != first) {
                let text = format!(
                    "The name servers know different {} records: one of them may be out of date, or the answers differ \
                     by region or from query to query.",
                    record_type(family)
                );
                let servers = answers.iter().filter_map(|(asked, _)| match asked {
                    QueriedResolver::Server(server) => Some(*server),
                    QueriedResolver::System => None,
                });
                self.remark("name_servers_disagree", servers.collect(), text);
            }
        }
    }
}

/// Whether an answer came, be it a refusal.
fn is_answered(step: &ProbeStep) -> bool {
    !matches!(step.result, Err(ProbeError::Silent | ProbeError::Unreachable | ProbeError::Other(_)))
}

/// The verb, and the pronoun, for one address or for several.
fn verb_and_pronoun(
    addresses: &[SocketAddr],
    one: &'static str,
    several: &'static str,
) -> (&'static str, &'static str) {
    if addresses.len() == 1 { (one, "it") } else { (several, "them") }
}

pub fn record_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    }
}

/// The error, as it stands in a sentence.
pub fn words(error: &ProbeError) -> &str {
    match error {
        ProbeError::Refused => "refused",
        ProbeError::Silent => "silent",
        ProbeError::Unreachable => "unreachable",
        ProbeError::Closed => "closed",
        ProbeError::NotTls => "no TLS",
        ProbeError::Tls(words) | ProbeError::Other(words) => words,
    }
}
