//! Every error of a published crate reads as one sentence with what lies behind it, as reports of errors
//! print it: `{error}: {source}: ...`.
#![cfg(target_os = "linux")]

#[path = "error_chains/page.rs"]
mod page;
#[path = "error_chains/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use connie_core::connect::InvalidHost;
use connie_core::memory::InvalidMemory;
use connie_core::resolution::{HostError, Query, QueryError, QueryFailure};
use connie_core::stack::TcpClientStack;
use connie_core::verdict::AttemptFailure;
use connie_core::{
    AttemptError, AttemptErrorKind, Config, Failure, Input, Instant, Output, Race, TlsFailure,
};
use connie_http::HttpError;
use connie_http::parts::Socks5Error;
use connie_servers::{BlackHole, closed_port};
use connie_std::dns::Dns;
use connie_std::http1::{ClientError, DecodeError, Decoded};
use connie_std::memory::MemoryFileError;
use connie_std::{AddressFilter, Canceler, ConnectError, Options, SocketOptions, TlsError, TlsSetupError};
use connie_wasi::wasip2::sockets::network::ErrorCode;
use connie_wasi::{RuntimeLookupError, SocketError};

/// Errors that only a runtime of WASI brings about: the test there that reads their chains.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "connie-std NoResponse",
        "connie-std/tests/response_finish.rs",
        "fn when_both_are_lost_the_error_names_both()",
    ),
    ("connie-wasi ConnectError", "connie-wasi/tests/runtime.rs", "fn a_chain_of_errors_says_nothing_twice()"),
    ("connie-wasi DnsError", "connie-wasi/tests/dns.rs", "fn a_connect_without_servers_says_so()"),
];

type Boxed = Box<dyn Error>;

fn all<E: Error + 'static>(errors: impl IntoIterator<Item = E>) -> Vec<Boxed> {
    errors.into_iter().map(|error| Box::new(error) as Boxed).collect()
}

/// What `{error}: {source}: ...` is made of.
fn chain(error: &dyn Error) -> Vec<String> {
    let sources = std::iter::successors(error.source(), |error| (**error).source());
    std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect()
}

/// The words of a text, without what stands around them.
fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect()
}

/// What is wrong with a chain: a part that is empty or has several lines, or that has two words of one before
/// it in a row, or is its one word.
fn fault(parts: &[String]) -> Option<String> {
    for (index, part) in parts.iter().enumerate() {
        let own = words(part);
        if own.is_empty() || part.contains('\n') || part.trim() != part {
            return Some(format!("part {index} is not one line: {part:?}"));
        }
        let run = own.len().min(2);
        for before in parts.iter().take(index) {
            let said = words(before);
            if let Some(again) = own.windows(run).find(|run| said.windows(run.len()).any(|it| it == *run)) {
                return Some(format!("{:?} is said twice", again.join(" ")));
            }
        }
    }
    None
}

#[test]
fn the_rule_finds_what_is_wrong() {
    let fault = |parts: &[&str]| fault(&parts.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(fault(&["could not connect to h port 80: 192.0.2.1:80: refused", "error number 111"]), None);
    assert_eq!(fault(&["h: refused; 192.0.2.1:80: timed out", "error number 111 at 192.0.2.1:80"]), None);
    for bad in [
        &["could not connect: Connection refused", "connection refused (os error 111)"][..],
        &["a", "b c", "the b c"],
        &["timed out", "out"],
        &["it failed", ""],
        &[""],
        &["two\nlines"],
    ] {
        assert!(fault(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn every_error_reads_as_one_sentence_with_what_lies_behind_it() {
    for (name, errors) in examples() {
        assert!(!errors.is_empty(), "{name}: no example");
        for error in errors {
            let parts = chain(&*error);
            assert_eq!(fault(&parts), None, "{name}: {parts:#?}");
        }
    }
}

#[test]
fn every_error_type_has_examples_and_every_public_type_called_an_error_is_one() {
    let (mut errors, mut called) = (BTreeSet::new(), BTreeSet::new());
    for (package, source) in sources() {
        for file in rust_files(&source) {
            let text = fs::read_to_string(&file).unwrap();
            for line in without_tests(&text) {
                errors.extend(implements(line).map(|name| format!("{package} {name}")));
                // A program's own types are nobody else's.
                let declared = declares(line).filter(|_| source.join("lib.rs").exists());
                called.extend(declared.map(|name| format!("{package} {name}")));
            }
        }
    }
    assert!(errors.len() >= 30, "what was read: {errors:?}");
    let mut here: BTreeSet<String> = examples().into_iter().map(|(name, _)| name.to_owned()).collect();
    for (name, file, test) in ELSEWHERE {
        assert!(fs::read_to_string(workspace().join(file)).unwrap().contains(test), "{file} has no {test}");
        here.insert((*name).to_owned());
    }
    let missing: Vec<_> = errors.difference(&here).collect();
    assert!(missing.is_empty(), "give `examples` some of these: {missing:?}");
    let gone: Vec<_> = here.difference(&errors).collect();
    assert!(gone.is_empty(), "these are no longer errors: {gone:?}");
    let bare: Vec<_> = called.difference(&errors).collect();
    assert!(bare.is_empty(), "these are called errors and do not implement Error: {bare:?}");
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The source folder of each published package.
fn sources() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace()).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let source = folder.join("src");
        if source.is_dir() && !manifest.lines().any(|line| line.trim() == "publish = false") {
            found.push((folder.file_name().unwrap().to_str().unwrap().to_owned(), source));
        }
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // `doc_stack.rs` is for the examples in the core's documentation.
        match path.file_name().unwrap().to_str().unwrap() {
            "tests" | "tests.rs" | "doc_stack.rs" => {}
            _ if path.is_dir() => found.extend(rust_files(&path)),
            name if name.ends_with(".rs") => found.push(path),
            _ => {}
        }
    }
    found
}

/// The lines of a file but for those of its module of tests, which ends with a brace at the left margin.
fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter(move |line| {
        is_test = (is_test && *line != "}") || line.ends_with("mod tests {");
        !is_test
    })
}

/// `X` of `impl std::error::Error for X`.
fn implements(line: &str) -> Option<&str> {
    let (of, name) = line.trim_start().strip_prefix("impl")?.split_once(" for ")?;
    let of = of.split_whitespace().last()?;
    (of.ends_with("error::Error") || of == "Error").then(|| identifier(name))
}

/// `X` of a public type that is called an error or a failure, at the left margin.
fn declares(line: &str) -> Option<&str> {
    let name = line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "))?;
    Some(identifier(name)).filter(|name| name.ends_with("Error") || name.ends_with("Failure"))
}

fn identifier(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[test]
fn the_reader_of_sources_sees_what_there_is() {
    assert_eq!(implements("impl core::error::Error for AttemptFailure {}"), Some("AttemptFailure"));
    assert_eq!(implements("impl<E: core::error::Error> core::error::Error for Error<E> {"), Some("Error"));
    assert_eq!(implements("impl<'a> Error for QueryFailure<'a> {"), Some("QueryFailure"));
    assert_eq!(implements("impl TcpError for Error {"), None);
    assert_eq!(implements("impl From<io::Error> for OsError {"), None);
    assert_eq!(declares("pub struct LookupError(pub ErrorCode);"), Some("LookupError"));
    assert_eq!(declares("pub enum ErrorKind {"), None);
    let text = "a\n#[cfg(test)]\nmod tests {\nimpl Error for Fake {}\n    }\nx\n}\nimpl Error for Real {}";
    let seen = ["a", "#[cfg(test)]", "}", "impl Error for Real {}"];
    assert_eq!(without_tests(text).collect::<Vec<_>>(), seen);
}

/// Examples of each error type, by package and name: of each kind whose words are made in another way.
fn examples() -> Vec<(&'static str, Vec<Boxed>)> {
    let mut examples = of_the_core();
    examples.extend(of_http_and_the_web());
    examples.extend(of_other_stacks());
    examples.extend(of_std());
    examples.extend(of_memories());
    examples
}

fn of_memories() -> [(&'static str, Vec<Boxed>); 2] {
    let invalid =
        [InvalidMemory::Version, InvalidMemory::Length, InvalidMemory::Checksum, InvalidMemory::Entry];
    let of_files = invalid.map(|why| MemoryFileError::Invalid("a memory".into(), why));
    let unread = MemoryFileError::Read("a memory".into(), io::Error::from_raw_os_error(13));
    [
        ("connie-core InvalidMemory", all(invalid)),
        ("connie-std MemoryFileError", all(of_files.into_iter().chain([unread]))),
    ]
}

const ATTEMPTS: [AttemptErrorKind; 11] = [
    AttemptErrorKind::Refused,
    AttemptErrorKind::Unreachable,
    AttemptErrorKind::TimedOut,
    AttemptErrorKind::Reset,
    AttemptErrorKind::OutOfSockets,
    AttemptErrorKind::StackGone,
    AttemptErrorKind::SourceGone,
    AttemptErrorKind::Tls(TlsFailure::NotTls),
    AttemptErrorKind::NoSourceAddress,
    AttemptErrorKind::Setup(3),
    AttemptErrorKind::Other,
];

const QUERIES: [QueryError; 8] = [
    QueryError::NoSuchName,
    QueryError::ServerFailure,
    QueryError::Refused,
    QueryError::TimedOut,
    QueryError::Unreachable,
    QueryError::Malformed,
    QueryError::Temporary,
    QueryError::Failed,
];

const FAILURES: [Failure; 5] = [
    Failure::NoDestinations,
    Failure::AllAttemptsFailed,
    Failure::DeadlineExceeded,
    Failure::Canceled,
    Failure::StackGone,
];

fn attempt_errors() -> impl Iterator<Item = AttemptError> {
    ATTEMPTS.into_iter().flat_map(|kind| [AttemptError::new(kind), AttemptError::new(kind).with_number(111)])
}

/// A failed race over `count` addresses and what became of each, with its own line before the cause.
fn raced(count: u8, error: AttemptError) -> Option<InTheLine> {
    let mut race = Race::<4, 4>::new(&Config::all_at_once(), Instant::ZERO);
    let addresses: Vec<_> = (1..=count).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
    race.handle_addresses(&addresses, Instant::ZERO);
    let failure = loop {
        match race.poll_output(Instant::ZERO) {
            Output::StartAttempt { id, .. } => {
                race.handle_input(Input::AttemptFailed { id, error }, Instant::ZERO)
            }
            Output::Failed(failure) => break failure,
            other => panic!("{other:?}"),
        }
    };
    let cause = AttemptFailure::of_race(failure, &race.timeline());
    let verdict = connie_core::verdict::FailureMessage {
        host: "name.test",
        port: 80,
        failure,
        timeline: race.timeline(),
        queries: std::iter::empty::<(Query, QueryError)>(),
        words: |_, error: AttemptError| error.kind(),
    };
    cause.map(|cause| InTheLine { line: verdict.to_string(), cause })
}

/// A cause behind the line that a verdict makes, as in every adapter.
#[derive(Debug)]
struct InTheLine {
    line: String,
    cause: AttemptFailure,
}

impl std::fmt::Display for InTheLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

impl Error for InTheLine {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

fn of_the_core() -> Vec<(&'static str, Vec<Boxed>)> {
    let hosts = [
        HostError::Empty,
        HostError::TooLong,
        HostError::Label,
        HostError::Octet,
        HostError::Ipv4,
        HostError::Ipv6,
    ];
    let queries = [Query::Aaaa, Query::A, Query::Nat64Prefix];
    let failed = queries.map(|query| QueryFailure { host: "name.test", query, error: QueryError::TimedOut });
    let raced = (1..=3).flat_map(|count| attempt_errors().filter_map(move |error| raced(count, error)));
    let raced: Vec<_> = raced.collect();
    assert!(raced.len() > 30, "a race whose stack is gone has failed otherwise, and no other");
    vec![
        ("connie-core Failure", all(FAILURES)),
        ("connie-core AttemptError", all(attempt_errors())),
        ("connie-core AttemptFailure", all(raced)),
        (
            "connie-core TlsFailure",
            all([TlsFailure::Alert(40), TlsFailure::Alert(200), TlsFailure::Protocol]),
        ),
        ("connie-core UnknownPacing", all("fast".parse::<connie_core::Pacing>().err())),
        ("connie-core InvalidHost", all([InvalidHost::Zone, HostError::Label.into()])),
        ("connie-core HostError", all(hosts)),
        ("connie-core QueryError", all(QUERIES)),
        ("connie-core QueryFailure", all(failed)),
    ]
}

fn http_errors() -> Vec<HttpError> {
    let mut errors = vec![
        HttpError::InvalidHost,
        HttpError::HeadTooLarge { capacity: 512 },
        HttpError::IncompleteRead { got: 3, expected: Some(5) },
        HttpError::TunnelRefused { status: 403 },
        HttpError::TimedOut,
    ];
    errors.extend(attempt_errors().flat_map(|error| [HttpError::Send(error), HttpError::Receive(error)]));
    errors.extend(FAILURES.map(HttpError::Connect));
    errors
}

fn socks5_errors() -> impl Iterator<Item = Socks5Error> {
    let errors = [
        Socks5Error::InvalidName,
        Socks5Error::InvalidLogin,
        Socks5Error::NotSocks5,
        Socks5Error::NoAcceptableMethod { login: false },
        Socks5Error::NoAcceptableMethod { login: true },
        Socks5Error::LoginRefused,
        Socks5Error::Closed,
    ];
    let refused = (1..10).map(|reply| Socks5Error::Refused { reply });
    errors.into_iter().chain(refused).chain(attempt_errors().map(Socks5Error::Lost))
}

fn of_http_and_the_web() -> Vec<(&'static str, Vec<Boxed>)> {
    use connie_web::{ByteRange, Proxy, RedirectError, ResumeError, Url, UrlError};
    let urls = || {
        ["gopher://a", "http://", "http://a b/", "http://[::1", ""].map(|text| Url::parse(text).unwrap_err())
    };
    let redirects = [
        RedirectError::TooMany { limit: 3 },
        RedirectError::Loop { url: "http://a/".to_owned() },
        RedirectError::TooLong { length: 70_000 },
    ];
    let redirects = redirects.into_iter().chain(urls().map(RedirectError::Url));
    let proxies = ["socks4://a", "http://a b", ""].map(|text| Proxy::parse(text).unwrap_err());
    let asked = ByteRange::From { first: 5, last: None };
    let resumed = [
        ResumeError::Unsupported,
        ResumeError::OtherPart { sent: Some((1, 2)), asked },
        ResumeError::TooLong { offset: 9, complete: 5 },
    ];
    let names =
        ["a..b", "a b", &"a.".repeat(128)].map(|text| connie_dns::Name::<255>::parse(text).unwrap_err());
    let servers = [
        connie_dns::NameServerError::Malformed,
        connie_dns::NameServerError::Lame,
        connie_dns::NameServerError::Silent,
    ];
    let bindings =
        [connie_dns::ServiceBindingError::Malformed, connie_dns::ServiceBindingError::Mandatory(7)];
    use connie_http::parts::InvalidRequest;
    let requests = [
        InvalidRequest::Line,
        InvalidRequest::RequestLine,
        InvalidRequest::Field,
        InvalidRequest::Host,
        InvalidRequest::Framing,
    ];
    vec![
        ("connie-dns NameError", all(names)),
        ("connie-dns NameServerError", all(servers)),
        ("connie-dns ServiceBindingError", all(bindings)),
        ("connie-http HttpError", all(http_errors())),
        ("connie-http Socks5Error", all(socks5_errors())),
        ("connie-http InvalidRequest", all(requests)),
        ("connie-proxy OpenProxy", all([connie_proxy::OpenProxy(([0, 0, 0, 0], 1080).into())])),
        (
            "connie-web UrlError",
            all(urls().into_iter().chain([UrlError::Malformed("the URL has no host".to_owned())])),
        ),
        ("connie-web RedirectError", all(redirects)),
        ("connie-web ProxyError", all(proxies)),
        (
            "connie-web PatternError",
            all([connie_web::PatternError { kind: connie_web::PatternErrorKind::BadRange, position: 9 }]),
        ),
        ("connie-web ResumeError", all(resumed)),
    ]
}

/// An error of somebody's stack, with a source of its own.
#[derive(Debug)]
struct Theirs(io::Error);

impl std::fmt::Display for Theirs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the modem hung up")
    }
}

impl Error for Theirs {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn of_other_stacks() -> Vec<(&'static str, Vec<Boxed>)> {
    use connie_async::{ConnectionError as Async, ResolveError as AsyncResolve};
    let theirs = || Theirs(io::Error::from_raw_os_error(5));
    let stacks = [Async::Stack(theirs()), Async::AllAttemptsFailed(Some(theirs()))];
    assert!(stacks.iter().all(|error| chain(error).len() == 2), "what lies behind their error is passed on");
    let others = [
        Async::AllAttemptsFailed(None),
        Async::DeadlineExceeded,
        Async::Unreachable,
        Async::NoAddress,
        Async::NotResolved(QueryError::NoSuchName),
        Async::InvalidHost(InvalidHost::Zone),
        Async::InvalidTarget,
    ];
    let lookups = [
        AsyncResolve::Failed("no lease"),
        AsyncResolve::NoSuchName,
        AsyncResolve::NoAddress,
        AsyncResolve::DeadlineExceeded,
        AsyncResolve::InvalidHost(InvalidHost::Zone),
    ];
    use connie_smoltcp::{StackError, StartError, StorageFull};
    let codes = [ErrorCode::AccessDenied, ErrorCode::ConnectionRefused, ErrorCode::PermanentResolverFailure];
    let wasi = codes.map(SocketError::Code).into_iter();
    let wasi = wasi.chain([SocketError::Stream("EOF".to_owned()), SocketError::TimedOut]);
    let refused = connie_wasi::ResolveError::Lookup(RuntimeLookupError(ErrorCode::AccessDenied));
    vec![
        ("connie-async ConnectionError", all(stacks.into_iter().chain(others))),
        ("connie-async ResolveError", all(lookups)),
        (
            "connie-async SessionError",
            all([
                connie_async::tls::SessionError::Io(embedded_io_async::ErrorKind::ConnectionReset),
                connie_async::tls::SessionError::RecordTooLong,
                connie_async::tls::SessionError::Unfinished,
            ]),
        ),
        (
            "connie-async TlsError",
            all([
                connie_async::tls::TlsError::<std::io::Error>::TimedOut,
                connie_async::tls::TlsError::OutOfBuffers,
                connie_async::tls::TlsError::SeveralNames,
                connie_async::tls::TlsError::Busy,
            ]),
        ),
        ("connie-async TimedOut", all([connie_async::TimedOut])),
        (
            "connie-async UdpError",
            all([connie_async::dns::UdpError::NoSocket, connie_async::dns::UdpError::Unreachable]),
        ),
        (
            "connie-smoltcp StackError",
            all([StackError::OutOfSockets, StackError::Refused, StackError::TooLong]),
        ),
        (
            "connie-smoltcp StartError",
            all([StartError::Host(HostError::Label), StartError::Zone, StartError::OutOfQueries]),
        ),
        ("connie-smoltcp StorageFull", all([StorageFull])),
        ("connie-sim SimError", of_the_simulation()),
        ("connie-wasi SocketError", all(wasi)),
        ("connie-wasi RuntimeLookupError", all(codes.map(RuntimeLookupError))),
        ("connie-wasi ResolveError", all([connie_wasi::ResolveError::Nowhere, refused])),
    ]
}

/// Of a simulated stack that has no more sockets.
fn of_the_simulation() -> Vec<Boxed> {
    let mut stack = connie_sim::SimStack::new(1);
    let opened = std::iter::repeat_with(|| stack.socket());
    all(opened.take(2_000).find_map(Result::err))
}

fn failed(host: &str, port: u16, options: &Options) -> ConnectError {
    connie_std::connect((host, port), options).expect_err("nobody is there")
}

/// Connects that fail: at one address and at several, at the deadline, by the program's will, and before
/// there is an address.
fn connect_errors() -> Vec<ConnectError> {
    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let one = closed.address();
    let hole = BlackHole::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let within = |milliseconds| {
        let config = Config::default().deadline(Some(Duration::from_millis(milliseconds)));
        Options::new().race(config)
    };
    let silent = Config::default().attempt_timeout(Some(Duration::from_millis(30)));
    let silent = Options::new().race(silent);
    let canceler = Canceler::new().unwrap();
    canceler.cancel();
    let at_once = SocketOptions::new().user_timeout(Duration::ZERO);
    let at_once = Options::new().socket(at_once);
    let canceled = Options::new().canceler(canceler);
    let dns = |servers: Vec<SocketAddr>| {
        let dns = Dns::new(servers).timeout(Duration::from_millis(50)).attempts(1).hosts_file(None);
        within(2_000).resolver(std::sync::Arc::new(dns))
    };
    let several =
        [one, SocketAddr::from(([255, 255, 255, 255], 9)), SocketAddr::from(([127, 0, 0, 1], one.port()))];
    let public = || Options::new().filter(AddressFilter::public_only());
    vec![
        failed("127.0.0.1", one.port(), &Options::default()),
        failed("localhost", one.port(), &Options::default()),
        connie_std::connect(several, &Options::default()).unwrap_err(),
        connie_std::connect([hole.address()], &within(30)).unwrap_err(),
        connie_std::connect([hole.address()], &silent).unwrap_err(),
        connie_std::connect([hole.address()], &canceled).unwrap_err(),
        failed("a..b", 80, &Options::default()),
        failed("127.0.0.1", 80, &at_once),
        failed("fe80::1%no-such-link", 80, &Options::default()),
        connie_std::connect("no port", &Options::default()).unwrap_err(),
        failed("x.invalid", 80, &Options::default()),
        failed("localhost", 80, &public()),
        failed("127.0.0.1", 80, &public()),
        failed("x.onion", 80, &Options::default()),
        // Nobody answers by UDP where nobody listens.
        failed("name.test", 80, &dns(vec![one])),
        failed("name.test", 80, &dns(Vec::new())),
    ]
}

fn of_std() -> Vec<(&'static str, Vec<Boxed>)> {
    let io = || [io::Error::from_raw_os_error(111), io::Error::from(io::ErrorKind::UnexpectedEof)];
    let connects = connect_errors();
    let is_ended = |error: &&ConnectError| format!("{:?}", error.source()).contains("Ended");
    assert_eq!(connects.iter().filter(is_ended).count(), 2, "the deadline's and the program's");
    let clients = http_errors().into_iter().map(ClientError::Http);
    let clients = clients.chain(http_errors().into_iter().map(ClientError::Tunnel));
    let clients =
        clients.chain(connect_errors().into_iter().map(|error| ClientError::Connect(Box::new(error))));
    let clients =
        clients.chain(io().map(ClientError::Body)).chain([ClientError::Tls(TlsSetupError::NoRoots)]);
    let rustls = rustls_errors();
    let setup = [
        TlsSetupError::CaFile("/none".into(), io::Error::from_raw_os_error(2)),
        TlsSetupError::NoCertificate(None),
        TlsSetupError::ClientFile("/none".into(), io::Error::from_raw_os_error(2)),
        TlsSetupError::NoClientCertificate("/none".into()),
        TlsSetupError::NoClientKey("/none".into()),
        TlsSetupError::ClientKey("/none".into(), "keys do not match".to_owned()),
        TlsSetupError::NoRoots,
        TlsSetupError::NoRootsGiven,
        TlsSetupError::ServerName("a b".to_owned()),
    ];
    let hyper = connect_errors().into_iter().map(connie_hyper::RaceError::Connect);
    let hyper = hyper.chain([connie_hyper::RaceError::Uri("/ has no host".to_owned())]);
    let lookups = QUERIES.into_iter().flat_map(|kind| {
        let details = [
            "no such name (NXDOMAIN from 192.0.2.53:53)",
            "SERVFAIL from 192.0.2.53:53",
            "no answer from 192.0.2.53:53",
        ];
        let told = details
            .map(|detail| connie_std::resolve::ResolverError { kind, detail: Some(detail.to_owned()) });
        told.into_iter().chain([kind.into()])
    });
    vec![
        ("connie-std Ended", all(connect_errors())),
        (
            "connie-std ConnectError",
            all(connects).into_iter().chain(all(connect_errors().into_iter().map(io::Error::from))).collect(),
        ),
        ("connie-std ResolverError", all(lookups)),
        ("connie-std InvalidIpNetwork", all("10.0.0.1/8".parse::<connie_std::IpNetwork>().err())),
        ("connie-std OsError", all(io().map(connie_std::OsError::from))),
        ("connie-std UnsupportedCoding", all(Decoded::new(b"zebra", io::empty()).err())),
        ("connie-std DecodeError", all([DecodeError::Corrupt, DecodeError::Truncated, DecodeError::Surplus])),
        ("connie-std ClientError", all(clients)),
        (
            "connie-std TlsError",
            all(rustls.into_iter().map(TlsError::from))
                .into_iter()
                .chain(all(io().map(TlsError::from)))
                .collect(),
        ),
        ("connie-std TlsSetupError", all(setup)),
        ("connie-hyper RaceError", all(hyper)),
    ]
}

/// Some have words of rustls in the line of a `TlsError`, some have words of connie alone.
fn rustls_errors() -> Vec<rustls::Error> {
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let names = CertificateError::NotValidForNameContext {
        expected: ServerName::try_from("x.test").unwrap(),
        presented: vec![r#"DnsName("a.test")"#.to_owned()],
    };
    let certificates = [
        CertificateError::Expired,
        CertificateError::ExpiredContext { time: at(100_000), not_after: at(1) },
        CertificateError::NotValidYetContext { time: at(0), not_before: at(120) },
        CertificateError::UnknownIssuer,
        CertificateError::BadSignature,
        CertificateError::Revoked,
        names,
    ];
    let mut errors: Vec<_> = certificates.into_iter().map(rustls::Error::InvalidCertificate).collect();
    errors.extend([
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
        rustls::Error::DecryptError,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
        rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        rustls::Error::General("it is broken".to_owned()),
    ]);
    errors
}
