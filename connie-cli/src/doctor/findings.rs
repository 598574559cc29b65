//! What the observations mean, in sentences.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;

use super::names::{Asked, NameQuery};
use super::patient::Patient;
use super::probe::{Probe, Step, Trouble};
use super::words::{listed, time};

/// An answer of a name server that is later than this is felt.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// Something that is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether something is wrong; otherwise it is good to know.
    pub is_fault: bool,
    /// The addresses, of the host or of name servers, that it is about.
    pub addresses: Vec<SocketAddr>,
    /// One or two sentences.
    pub text: String,
}

/// All that is to be said, the most important first.
pub fn of(patient: &Patient, queries: &[NameQuery], probes: &[Probe], limit: Duration) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.families(probes);
    findings.dead_addresses(patient, probes, limit);
    findings.tls(probes, limit);
    findings.responses(patient, probes, limit);
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

    fn has_said(&self, name: &str) -> bool {
        self.0.iter().any(|finding| finding.name == name)
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
                let how = match own.iter().any(|probe| probe.tcp.result == Err(Trouble::Unreachable)) {
                    true => "a router on the way says that it cannot get there",
                    false => "nothing comes back",
                };
                let text = format!(
                    "{family} is broken between this machine and the host: this machine has an {family} address and a \
                     route, and {how}.{from} If another host with {family} fares the same, the fault is on this side: \
                     mend {family} here or turn it off. Otherwise it is on the host's."
                );
                self.fault(name, addresses, text);
            }
        }
    }

    fn dead_addresses(&mut self, patient: &Patient, probes: &[Probe], limit: Duration) {
        let of = |trouble: &Trouble| {
            let dead = probes.iter().filter(|probe| probe.tcp.result.as_ref() == Err(trouble));
            dead.map(|probe| probe.address).collect::<Vec<_>>()
        };
        let port = patient.port;
        // A single address that is dead is no matter of the DNS.
        let has_others = probes.len() > 1;
        let refused = of(&Trouble::Refused);
        if !refused.is_empty() {
            let (is, them) = number(&refused, "refuses", "refuse");
            let text = format!(
                "{} {is} connections to port {port}: the machine is there, and nothing listens on that port, or a \
                 firewall says no. Start the server there{}.",
                listed(&refused),
                if has_others { format!(", or take {them} out of the DNS") } else { String::new() }
            );
            self.fault("refused", refused, text);
        }
        let silent = of(&Trouble::Silent);
        if !silent.is_empty() {
            let (is, them) = number(&silent, "is silent", "are silent");
            let text = format!(
                "{} {is}: no answer to a SYN for {}. The machine is down, a firewall drops what is sent to it, or the \
                 route is broken.{}",
                listed(&silent),
                time(limit),
                if has_others {
                    format!(" Until that is mended, take {them} out of the DNS.")
                } else {
                    String::new()
                }
            );
            self.fault("silent", silent, text);
        }
        let unreachable: Vec<_> = probes
            .iter()
            .filter(|probe| probe.tcp.result == Err(Trouble::Unreachable) && probe.source.is_some())
            .map(|probe| probe.address)
            .collect();
        if !unreachable.is_empty() && !self.has_said("ipv6_broken") && !self.has_said("ipv4_broken") {
            let (is, _) = number(&unreachable, "is", "are");
            let text =
                format!("{} {is} unreachable: a router says that there is no way.", listed(&unreachable));
            self.fault("unreachable", unreachable, text);
        }
        for probe in probes {
            if let Err(trouble @ (Trouble::Closed | Trouble::Other(_))) = &probe.tcp.result {
                let text = format!("{} takes no connection: {}.", probe.address.ip(), words(trouble));
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
                Err(Trouble::NotTls) => {
                    let text =
                        format!("{ip} does not speak TLS on this port: check the port, or ask it by http.");
                    self.fault("no_tls", address, text);
                }
                Err(Trouble::Silent) => {
                    let text = format!(
                        "{ip} takes TCP connections and never begins TLS, for {}: a front, a load balancer say, takes \
                         them for a back end that is dead or has hung.",
                        time(limit)
                    );
                    self.fault("front_without_back_end", address, text);
                }
                Err(Trouble::Closed) => {
                    let text = format!(
                        "{ip} takes TCP connections and closes them before TLS: a front with no back end behind it, or \
                         a port that is for something else."
                    );
                    self.fault("front_without_back_end", address, text);
                }
                Err(trouble) => {
                    let text = format!(
                        "{ip} fails at TLS: {}. Where other addresses do better, this one has an old certificate or \
                         configuration.",
                        words(trouble)
                    );
                    self.fault("tls_failure", address, text);
                }
            }
        }
        if !plain.is_empty() {
            let text = format!("{} does not speak TLS on this port; it was asked by http.", listed(&plain));
            self.remark("plain_http", plain, text);
        }
    }

    fn responses(&mut self, patient: &Patient, probes: &[Probe], limit: Duration) {
        for probe in probes {
            let Some(step) = &probe.response else { continue };
            let (ip, address) = (probe.address.ip(), vec![probe.address]);
            match (&step.result, &probe.status) {
                (Ok(()), Some((status, reason))) if probe.is_gateway_error() => {
                    let said = format!("{status} {reason}");
                    let text = format!(
                        "{ip} answers {}: the front is alive, and what is behind it is not. A client that takes the \
                         first connection stays with it.",
                        said.trim_end()
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Ok(()), Some((status @ 500.., _))) => {
                    let text =
                        format!("{ip} answers {status} to HEAD {}: the server has a fault.", patient.target);
                    self.fault("server_error", address, text);
                }
                (Ok(()), _) => {}
                (Err(Trouble::Silent), _) => {
                    let text = format!(
                        "{ip} takes the connection and the request, and says nothing for {}: a front whose back end \
                         is dead or has hung.",
                        time(limit)
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Err(Trouble::Closed), _) => {
                    let text = format!(
                        "{ip} takes the connection and closes it without an answer: a front with no back end behind it."
                    );
                    self.fault("front_without_back_end", address, text);
                }
                (Err(trouble), _) => {
                    let text = format!("{ip} gives no answer that can be understood: {}.", words(trouble));
                    self.fault("bad_answer", address, text);
                }
            }
        }
    }

    fn names(&mut self, queries: &[NameQuery]) {
        let is_unknown =
            |query: &NameQuery| matches!(&query.answer, Err(error) if error.kind == QueryError::NoSuchName);
        if !queries.is_empty() && queries.iter().all(is_unknown) {
            let text = "Nobody knows the name: it is misspelt, it has expired, or it is known in another network only.";
            self.fault("no_such_name", Vec::new(), text.to_owned());
            return;
        }
        for (index, query) in queries.iter().enumerate() {
            let (who, servers) = match query.asked {
                Asked::System => ("The system's resolver".to_owned(), Vec::new()),
                Asked::Server(server) => (format!("The name server {server}"), vec![server]),
            };
            let beside =
                queries.iter().enumerate().filter(|(other, it)| *other != index && it.asked == query.asked);
            let (mut records, mut is_told) = (record_type(query.family), false);
            for (other, it) in beside {
                if it.answer == query.answer && it.answer.is_err() {
                    (records, is_told) = ("AAAA and A", other < index);
                }
            }
            match &query.answer {
                Err(_) if is_told => {}
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
                .filter(|query| query.family == family && query.asked != Asked::System)
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
                     by place or by turn.",
                    record_type(family)
                );
                let servers = answers.iter().filter_map(|(asked, _)| match asked {
                    Asked::Server(server) => Some(*server),
                    Asked::System => None,
                });
                self.remark("name_servers_disagree", servers.collect(), text);
            }
        }
    }
}

/// Whether anything came back.
fn is_answered(step: &Step) -> bool {
    !matches!(step.result, Err(Trouble::Silent | Trouble::Unreachable | Trouble::Other(_)))
}

/// The verb for one or for several, and the word for them.
fn number(of: &[SocketAddr], one: &'static str, several: &'static str) -> (&'static str, &'static str) {
    if of.len() == 1 { (one, "it") } else { (several, "them") }
}

pub fn record_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    }
}

/// A trouble in the middle of a sentence.
pub fn words(trouble: &Trouble) -> &str {
    match trouble {
        Trouble::Refused => "refused",
        Trouble::Silent => "silent",
        Trouble::Unreachable => "unreachable",
        Trouble::Closed => "closed",
        Trouble::NotTls => "no TLS",
        Trouble::Tls(words) | Trouble::Other(words) => words,
    }
}
