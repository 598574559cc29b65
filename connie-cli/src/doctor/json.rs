//! The findings as JSON, for programs. All times are in microseconds; what was not tried is null.

use std::time::Duration;

use connie_web::Scheme;
use serde_json::{Value, json};

use super::diagnosis::Diagnosis;
use super::findings::{record_type, words};
use super::names::QueriedResolver;
use super::probe::{Probe, ProbeError, ProbeStep};

pub fn json(diagnosis: &Diagnosis) -> Value {
    let Diagnosis { target, queries, probes, waits, findings } = diagnosis;
    let queries = queries.iter().map(|query| {
        let server = match query.asked {
            QueriedResolver::System => Value::Null,
            QueriedResolver::Server(server) => server.to_string().into(),
        };
        let addresses = query.answer.iter().flatten().map(|address| address.ip().to_string());
        json!({
            "server": server,
            "record_type": record_type(query.family),
            "elapsed_us": micros(query.elapsed),
            "addresses": addresses.collect::<Vec<_>>(),
            "error": query.answer.as_ref().err().map(ToString::to_string),
        })
    });
    let findings_of = |probe: &Probe| {
        let named = findings.iter().filter(|finding| finding.addresses.contains(&probe.address));
        named.map(|finding| finding.name).collect::<Vec<_>>()
    };
    let addresses = probes.iter().map(|probe| {
        json!({
            "address": probe.address.to_string(),
            "source": probe.source.map(|ip| ip.to_string()),
            "tcp": step(Some(&probe.tcp)),
            "tls": step(probe.tls.as_ref()),
            "response": step(probe.response.as_ref()),
            "status": probe.status.as_ref().map(|(status, _)| *status),
            "serves": probe.serves(),
            "findings": findings_of(probe),
        })
    });
    let waits = waits.iter().map(|wait| {
        json!({
            "client": wait.client.name(),
            "elapsed_us": micros(wait.elapsed),
            "address": wait.address.map(|address| address.to_string()),
            "serves": wait.serves,
        })
    });
    let listed = findings.iter().map(|finding| {
        json!({
            "name": finding.name,
            "fault": finding.is_fault,
            "addresses": finding.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "text": finding.text,
        })
    });
    json!({
        "host": target.host,
        "port": target.port,
        "scheme": target.scheme.map(Scheme::name),
        "names": queries.collect::<Vec<_>>(),
        "addresses": addresses.collect::<Vec<_>>(),
        "waits": waits.collect::<Vec<_>>(),
        "findings": listed.collect::<Vec<_>>(),
    })
}

fn step(step: Option<&ProbeStep>) -> Value {
    let Some(ProbeStep { elapsed, result }) = step else { return Value::Null };
    let error = result.as_ref().err();
    let detail = error.filter(|error| matches!(error, ProbeError::Tls(_) | ProbeError::Other(_))).map(words);
    json!({ "elapsed_us": micros(*elapsed), "error": error.map(name), "detail": detail })
}

/// Its name, which does not change.
fn name(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::Refused => "refused",
        ProbeError::Silent => "silent",
        ProbeError::Unreachable => "unreachable",
        ProbeError::Closed => "closed",
        ProbeError::Tls(_) => "tls",
        ProbeError::NotTls => "not_tls",
        ProbeError::Other(_) => "other",
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
