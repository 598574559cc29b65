//! One client fetches one page over one network, and the wire says what that took.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use connie_lab::{Lab, in_namespace, ms};
use connie_servers::DnsServer;

use crate::clients::Client;
use crate::scenarios::{HOST, Scenario};
use crate::server::Server;

/// A client that has not asked for the page by then has failed.
pub const LIMIT: Duration = Duration::from_secs(10);
/// How long the client may take to end once it has asked for the page. A browser does more than we ask for.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// What a fetch took.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// From the first query of the name server to the arrival of the request; `None` where none came in time.
    pub time: Option<Duration>,
    pub syns: usize,
    /// The most sockets that were open at a time.
    pub open: usize,
    /// Connections that a server accepted and that no request came on.
    pub wasted: usize,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "{:>8.1} ms", time.as_secs_f64() * 1e3)?,
            None => write!(f, "{:>11}", format!("> {} s", LIMIT.as_secs()))?,
        }
        write!(f, "  {} SYNs, {} open, {} wasted", self.syns, self.open, self.wasted)
    }
}

/// The trial in the middle.
pub fn median(mut trials: Vec<Trial>) -> Trial {
    trials.sort_by_key(|trial| trial.time.unwrap_or(Duration::MAX));
    trials[trials.len() / 2]
}

pub fn run(scenario: &Scenario, client: &Client) -> Result<Trial, String> {
    let result = Arc::new(Mutex::new(None));
    let (scenario, client, slot) = (scenario.clone(), client.clone(), result.clone());
    in_namespace(move |lab| {
        let trial = fetch(lab, &scenario, &client);
        *slot.lock().expect("no other holds it") = Some(trial);
    });
    let trial = result.lock().map_err(|_| "a trial panicked".to_owned())?.take();
    trial.ok_or_else(|| "no namespace: run it as root".to_owned())?.map_err(|error| error.to_string())
}

fn fetch(lab: &Lab, scenario: &Scenario, client: &Client) -> std::io::Result<Trial> {
    lab.add_address(IpAddr::from([0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1]));
    lab.ip("route add default dev lab0\nroute add ::/0 dev lab0");
    for (address, does) in scenario.hosts() {
        lab.set(address, does);
    }
    let names = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
    scenario.publish(&names);
    let server = Server::start()?;
    let mut child = start(client)?;
    let begun = Instant::now();
    // Not counted: what the client needs to start.
    let mut ended = None;
    while server.requests().is_empty() && begun.elapsed() < LIMIT + ms(500) && ended.is_none() {
        ended = child.try_wait()?;
        std::thread::sleep(ms(1));
    }
    let asked = Instant::now();
    while ended.is_none() && asked.elapsed() < GRACE && !server.requests().is_empty() {
        ended = child.try_wait()?;
        std::thread::sleep(ms(5));
    }
    if ended.is_none() {
        end(&mut child);
    }
    let first = names.queries().iter().find(|query| query.name == HOST).map(|query| query.at);
    let requests = server.requests();
    let time = requests.first().zip(first).map(|(request, query)| request.duration_since(query));
    let log = lab.log();
    let established = log.attempts().iter().filter(|attempt| attempt.established.is_some()).count();
    Ok(Trial {
        time: time.filter(|time| *time <= LIMIT),
        syns: log.attempts().iter().map(|attempt| attempt.syns.len()).sum(),
        open: log.most_open(),
        wasted: established.saturating_sub(requests.len()),
    })
}

/// Starts the client with a name server of its own, in a process group that can be ended as one.
fn start(client: &Client) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let resolv = resolv_conf()?;
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", mount])
        .arg(resolv)
        .args(&client.command)
        .arg(format!("http://{HOST}/"));
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

pub(crate) fn end(child: &mut Child) {
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    let _ = child.wait();
}

pub(crate) fn resolv_conf() -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("peers-resolv-{}", std::process::id()));
    std::fs::write(&path, "nameserver 127.0.0.1\n")?;
    Ok(path)
}
