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
                let no_way = format!(
                    "This machine has no way to {} by {family}: no address of its own that leads there, or no route",
                    listed(&addresses)
                );
                if other_works {
                    let text = format!("{no_way}. Clients find that out at once, so it costs no time.");
                    self.remark(name, addresses, text);
                } else {
                    let text = format!("{no_way}. Check this machine's network.");
                    self.fault(name, addresses, text);
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
        // Where the whole family is silent, what to do about that has been said.
        let (known, silent): (Vec<_>, Vec<_>) =
            of(&ProbeError::Silent).into_iter().partition(|address| self.mentions(*address));
        let waited = time(limit);
        if !known.is_empty() {
            let text = sentence(&format!("{{who}} give(s) no answer to a SYN for {waited}."), &known);
            self.fault("silent", known, text);
        }
        if !silent.is_empty() {
            let (is, them) = verb_and_pronoun(&silent, "is silent", "are silent");
            let text = format!(
                "{} {is}: no answer to a SYN for {waited}. The machine is down, a firewall drops what is sent to it, or \
                 the route is broken.{}",
                listed(&silent),
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
        let works = tried.clone().any(|(_, step)| step.result.is_ok());
        let (mut plain, mut groups) = (Vec::new(), Groups(Vec::new()));
        for (probe, step) in tried {
            let (name, template) = match &step.result {
                Ok(()) => continue,
                Err(_) if probe.is_plain => {
                    plain.push(probe.address);
                    continue;
                }
                Err(ProbeError::NotTls) => {
                    let template = "{who} do(es) not speak TLS on this port: check the port, or use http. For a \
                                    service that is not of the web, give --finish-line tcp.";
                    ("no_tls", template.to_owned())
                }
                Err(ProbeError::Silent) => {
                    let template = format!(
                        "{{who}} accept(s) TCP connections, but did not begin TLS within {}: a front end, such as a \
                         load balancer, accepts them for a back end that is dead or hangs.",
                        time(limit)
                    );
                    ("front_without_back_end", template)
                }
                Err(ProbeError::Closed) => {
                    let template = "{who} accept(s) TCP connections and close(s) them before TLS: a front end without \
                                    a back end, or a port for something else.";
                    ("front_without_back_end", template.to_owned())
                }
                Err(error) => ("tls_failure", tls_failure(words(error), works)),
            };
            groups.add(name, probe.address, template);
        }
        self.faults(groups);
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
        let mut groups = Groups(Vec::new());
        let mut slow = Vec::new();
        for probe in probes {
            let Some(step) = &probe.response else { continue };
            let (name, template) = match (&step.result, &probe.status) {
                (Ok(()), Some((status, reason))) if probe.is_gateway_error() => {
                    let status_line = format!("{status} {reason}");
                    let template = format!(
                        "{{who}} answer(s) {}: the front end works, and its back end does not. A client that takes the \
                         first connection stays with it.",
                        status_line.trim_end()
                    );
                    ("front_without_back_end", template)
                }
                (Ok(()), Some((status @ 500.., _))) => {
                    let template = format!(
                        "{{who}} answer(s), but with {status} to HEAD {}: the server runs, and what it runs has an \
                         error.",
                        target.request_target
                    );
                    ("server_error", template)
                }
                (Ok(()), _) => {
                    slow.extend(Some(probe).filter(|_| step.elapsed > SLOW_ANSWER));
                    continue;
                }
                (Err(ProbeError::Silent), _) => {
                    let template = format!(
                        "{{who}} accept(s) the connection and the request, and do(es) not answer within {}: a front end \
                         whose back end is dead or hangs.",
                        time(limit)
                    );
                    ("front_without_back_end", template)
                }
                (Err(ProbeError::Closed), _) => {
                    let template = "{who} accept(s) the connection and close(s) it without an answer: a front end \
                                    without a back end.";
                    ("front_without_back_end", template.to_owned())
                }
                (Err(error), _) => {
                    let template = format!(
                        "{{who}} answer(s) what cannot be understood: {}. Check the port.",
                        words(error)
                    );
                    ("bad_answer", template)
                }
            };
            groups.add(name, probe.address, template);
        }
        self.faults(groups);
        if let Some(slowest) = slow.iter().filter_map(|probe| Some(probe.response.as_ref()?.elapsed)).max() {
            let addresses: Vec<_> = slow.iter().map(|probe| probe.address).collect();
            let up_to = if addresses.len() == 1 { "" } else { " up to" };
            let template = format!("{{who}} take(s){up_to} {} to answer: the server is slow.", time(slowest));
            let text = sentence(&template, &addresses);
            self.remark("slow_answer", addresses, text);
        }
    }

    /// A fault for each group.
    fn faults(&mut self, groups: Groups) {
        for (name, template, addresses) in groups.0 {
            let text = sentence(&template, &addresses);
            self.fault(name, addresses, text);
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
            let (mut records, mut is_reported, mut elapsed) =
                (record_type(query.family), false, query.elapsed);
            let is_slow = |query: &NameQuery| query.answer.is_ok() && query.elapsed > SLOW_ANSWER;
            for (other, it) in beside {
                if it.answer == query.answer && it.answer.is_err() || is_slow(it) && is_slow(query) {
                    (records, is_reported, elapsed) = ("AAAA and A", other < index, elapsed.max(it.elapsed));
                }
            }
            match &query.answer {
                _ if is_reported => {}
                Err(error) => {
                    let text = format!(
                        "{who} has no answer for {records} records: {error}. Clients wait for it, or for the next one \
                         that they ask."
                    );
                    self.fault("no_answer_for_name", servers, text);
                }
                Ok(_) if is_slow(query) => {
                    let text = format!(
                        "{who} takes {} to answer for {records} records: every new connection waits for that.",
                        time(elapsed)
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
        let (mut records, mut servers) = (Vec::new(), Vec::new());
        for family in [Family::V6, Family::V4] {
            let answers: Vec<_> = queries
                .iter()
                .filter(|query| query.family == family)
                .filter_map(|query| {
                    let QueriedResolver::Server(server) = query.asked else { return None };
                    let mut addresses = query.answer.as_ref().ok()?.clone();
                    addresses.sort();
                    Some((server, addresses))
                })
                .collect();
            let Some(((_, first), others)) = answers.split_first() else { continue };
            if others.iter().any(|(_, addresses)| addresses != first) {
                records.push(record_type(family));
                servers.extend(
                    answers
                        .iter()
                        .map(|(server, _)| *server)
                        .filter(|it| !servers.contains(it))
                        .collect::<Vec<_>>(),
                );
            }
        }
        if !records.is_empty() {
            let text = format!(
                "The name servers know different {} records: one of them may be out of date, or the answers differ by \
                 region or from query to query.",
                records.join(" and ")
            );
            self.remark("name_servers_disagree", servers, text);
        }
    }
}

/// Groups of addresses in the same state: the finding, its sentence, and the addresses.
struct Groups(Vec<(&'static str, String, Vec<SocketAddr>)>);

impl Groups {
    fn add(&mut self, name: &'static str, address: SocketAddr, template: String) {
        match self.0.iter_mut().find(|(other, text, _)| *other == name && *text == template) {
            Some((_, _, addresses)) => addresses.push(address),
            None => self.0.push((name, template, vec![address])),
        }
    }
}

/// `template` about these addresses: they stand for `{who}`, and verbs end in `(s)` or `(es)`.
fn sentence(template: &str, addresses: &[SocketAddr]) -> String {
    let (s, es) = if addresses.len() == 1 { ("s", "es") } else { ("", "") };
    template.replace("{who}", &listed(addresses)).replace("(s)", s).replace("(es)", es)
}

/// What is said of addresses whose TLS fails in this way; `works` is whether that of others does not.
fn tls_failure(why: &str, works: bool) -> String {
    let advice = match why {
        "certificate expired" => " Renew it; if it is new, check this machine's date.",
        "certificate not issued by a trusted authority" => {
            " If you trust its authority, name it with --cacert FILE."
        }
        "certificate not valid for this name" => {
            " Connect by a name that it is for, or have this name added."
        }
        _ => "",
    };
    let others = if works { " Others work: this is a matter of old files or settings there." } else { "" };
    format!("{{who}} fail(s) at TLS: {why}.{advice}{others}")
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
