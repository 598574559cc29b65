//! The operating system's sockets, by `connie-std`.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_std::tokio_net;
use connie_std::{ConnectError, ConnectErrorKind, Options, Report, connect};
use connie_tests::lab::replace_files;
use connie_tests::limits;
use connie_tests::names_table::{NAMES, PORT};

use super::stage::{ASK_THE_STAGE, SERVER, Stage, ip};
use super::{Ended, lost};

/// `connect`, which blocks, with a name server that it asks itself.
pub fn blocking(stage: &Stage<'_>) -> Ended {
    connects(&stage.host, &options(stage))
}

/// `connect` as it comes, with the system's resolver, in a process of its own: the threads that wait for it
/// serve all of a process, and stay in the namespace of whoever needed them first. `test` is the calling
/// test, which has to begin with [`child`].
pub fn by_the_system(test: &str, stage: &Stage<'_>) -> Ended {
    replace_files(&ASK_THE_STAGE);
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, stage.name.number.to_string()).env(CHILD_HOST, &stage.host);
    let output = limits::output(&mut command).expect("this test once more");
    let said = String::from_utf8_lossy(&output.stdout);
    let told = said.split(TELLS).nth(1).and_then(|rest| rest.lines().next());
    match told.and_then(|told| told.split_once(' ')) {
        Some(("won", winner)) => Ended::Won(ip(winner)),
        Some((_, why)) => Ended::Lost(why.to_owned()),
        None => panic!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Whether this is the process for one name; then it has connected, and said what came of it.
pub fn child() -> bool {
    let number = std::env::var(CHILD).ok().and_then(|number| number.parse::<usize>().ok());
    let (Some(number), Ok(host)) = (number, std::env::var(CHILD_HOST)) else { return false };
    let race = NAMES[number - 1].race.config();
    match connects(&host, &Options::new().race(race)) {
        Ended::Won(winner) => println!("{TELLS}won {winner}"),
        Ended::Lost(why) => println!("{TELLS}lost {why}"),
    }
    true
}

const CHILD: &str = "CONNIE_SYN_LOG_NAME";
const CHILD_HOST: &str = "CONNIE_SYN_LOG_HOST";
/// Stands before what the child has to tell.
const TELLS: &str = "came of it: ";

fn connects(host: &str, options: &Options) -> Ended {
    match connect((host, PORT), options) {
        Ok(winner) => won(winner.destination(), winner.peer_addr()),
        Err(error) => Ended::Lost(words(&error)),
    }
}

/// tokio's, on a runtime of this thread, with a name server that it asks itself.
pub fn tokio(stage: &Stage<'_>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = options(stage);
    match runtime.block_on(tokio_net::connect((stage.host.as_str(), PORT), &options)) {
        Ok(winner) => won(winner.destination(), winner.peer_addr()),
        Err(error) => Ended::Lost(words(&error)),
    }
}

fn won(destination: SocketAddr, peer: io::Result<SocketAddr>) -> Ended {
    assert_eq!(peer.expect("a peer").ip(), destination.ip());
    Ended::Won(destination.ip())
}

fn options(stage: &Stage<'_>) -> Options {
    let dns = Dns::new([SERVER]).hosts_file(None);
    Options::new().resolver(dns).race(stage.config())
}

fn words(error: &ConnectError) -> String {
    match error.kind() {
        ConnectErrorKind::Race(failure, report) => lost(*failure, &report.timeline()),
        ConnectErrorKind::Resolve(report) => not_resolved(report),
        ConnectErrorKind::InvalidHost(_) | ConnectErrorKind::InvalidTarget => "no host".to_owned(),
        ConnectErrorKind::UnknownZone(_) => "no such zone".to_owned(),
        other => format!("{other:?}"),
    }
}

/// By the first query that failed.
fn not_resolved(report: &Report) -> String {
    let first = report.failed_queries().first().map(|query| query.error.kind);
    match first {
        None => "no address",
        Some(QueryError::NoSuchName) => "no such name",
        Some(QueryError::TimedOut) => "look-up timed out",
        Some(_) => "look-up failed",
    }
    .to_owned()
}
