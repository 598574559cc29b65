//! What a resolver reports of a service record.

use std::fmt;

/// A service record (RFC 9460) that a lookup has received.
///
/// Such a record says where else a service is available, and which protocols it speaks. The lookup follows it
/// by itself; this is for programs that want to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceRecord {
    /// The name whose records were asked for.
    pub owner: String,
    /// 0 for an alias of the whole service; otherwise the lowest number is preferred.
    pub priority: u16,
    /// The name of the host that offers the service.
    pub target: String,
    /// Its port.
    pub port: u16,
    /// The protocols that the record lists, as TLS names them (ALPN).
    pub alpn: Vec<String>,
    /// Whether the service speaks `http/1.1`: it does unless the record says that only what it lists is
    /// spoken.
    pub http1: bool,
    /// Whether the race uses it. A record that leads to another place which does not speak `http/1.1` is not
    /// used.
    pub used: bool,
    /// Why it cannot be used, unless that is because of the protocols that it speaks.
    pub fault: Option<String>,
}

impl fmt::Display for ServiceRecord {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTPS record of {}: ", self.owner)?;
        match &self.fault {
            Some(fault) => return f.write_str(fault),
            None if self.priority == 0 => return write!(f, "alias of {}", self.target),
            None => write!(f, "{} port {}", self.target, self.port)?,
        }
        if !self.alpn.is_empty() {
            write!(f, ", speaks {}", self.alpn.join(", "))?;
        }
        f.write_str(if self.http1 { "" } else { " but not http/1.1" })?;
        f.write_str(if self.used { "" } else { "; not used" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_prints_as_one_line() {
        let record = ServiceRecord {
            owner: "_8443._https.a.test".to_owned(),
            priority: 1,
            target: "b.test".to_owned(),
            port: 8443,
            alpn: vec!["h2".to_owned(), "h3".to_owned()],
            http1: true,
            used: true,
            fault: None,
        };
        let start = "HTTPS record of _8443._https.a.test: ";
        let shows =
            |record: &ServiceRecord, rest: &str| assert_eq!(record.to_string(), format!("{start}{rest}"));
        shows(&record, "b.test port 8443, speaks h2, h3");
        let silent = ServiceRecord { alpn: Vec::new(), ..record.clone() };
        shows(&silent, "b.test port 8443");
        let useless = ServiceRecord { http1: false, used: false, ..record.clone() };
        shows(&useless, "b.test port 8443, speaks h2, h3 but not http/1.1; not used");
        let alias = ServiceRecord { priority: 0, ..record.clone() };
        shows(&alias, "alias of b.test");
        let faulty =
            ServiceRecord { fault: Some("its mandatory key 7 is not supported".to_owned()), ..alias };
        shows(&faulty, "its mandatory key 7 is not supported");
    }
}
