//! Certificates by which a server knows the client.

use connie_servers::{Authority, Identity, PemFile, TlsServer};

use crate::support::{Ran, connie};

/// A server for clients of its authority, and what such a client has.
pub struct Club {
    server: TlsServer,
    trust: PemFile,
    pub certificate: PemFile,
    pub key: PemFile,
    /// Both in one file.
    pub both: PemFile,
    /// A key of somebody else.
    pub other_key: PemFile,
}

impl Club {
    pub fn new() -> Self {
        let (authority, members) = (Authority::new(), Authority::new());
        let identity = authority.certify(&["127.0.0.1"]);
        let server = TlsServer::start_for_clients(&identity, &members, |served| {
            served.read_head()?;
            served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmember")?;
            served.close()
        });
        let member = members.certify(&["member.test"]);
        Club {
            server,
            trust: authority.file(),
            both: PemFile::new(&format!("{}{}", member.certificate_pem, member.key_pem)),
            certificate: PemFile::new(&member.certificate_pem),
            key: PemFile::new(&member.key_pem),
            other_key: PemFile::new(&Identity::self_signed(&["other.test"]).key_pem),
        }
    }

    /// These arguments with the URL and the authority, in which the files are named by `CERT`, `KEY`, `BOTH`
    /// and `OTHER`.
    pub fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let path = |file: &PemFile| file.path().to_str().expect("the path is text").to_owned();
        let named = |text: &&str| match *text {
            "CERT" => path(&self.certificate),
            "KEY" => path(&self.key),
            "BOTH" => path(&self.both),
            "OTHER" => path(&self.other_key),
            other => other.to_owned(),
        };
        let url = format!("https://{}/", self.server.address());
        [url, "--cacert".to_owned(), path(&self.trust)]
            .into_iter()
            .chain(arguments.iter().map(named))
            .collect()
    }
}

fn get(arguments: &[&str]) -> Ran {
    let club = Club::new();
    connie(["get".to_owned()].into_iter().chain(club.arguments(arguments)))
}

#[test]
fn a_client_is_known_by_its_certificate() {
    get(&["--cert", "CERT", "--key", "KEY"]).exits(0).prints("member").is_quiet();
    get(&["-E", "BOTH"]).exits(0).prints("member").is_quiet();
    get(&["--cert", "BOTH", "--key", "KEY"]).exits(0).prints("member");
    get(&[]).exits(56).prints("").says_lines(1);
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_of_its_own() {
    for (arguments, part) in [
        (&["--cert", "/nonexistent"][..], "could not read the client's /nonexistent"),
        (&["--cert", "KEY"], "does not contain a valid client certificate"),
        (&["--cert", "CERT"], "does not contain a private key"),
        (&["--cert", "CERT", "--key", "/nonexistent"], "could not read the client's /nonexistent"),
        (&["--cert", "CERT", "--key", "OTHER"], "cannot be used with the client certificate"),
    ] {
        get(arguments).exits(58).prints("").says_lines(1).says(part);
    }
    // It is read when it is needed.
    connie(["get", "--cert", "/nonexistent", "http://127.0.0.1:1/"]).exits(7);
}
