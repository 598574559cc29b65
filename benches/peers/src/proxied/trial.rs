//! One program fetches a page over one network, by itself or through the proxy, and the wire says what that
//! took.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use connie_lab::{Lab, in_namespace_within, ms};
use connie_servers::DnsServer;

use super::clients::{Client, PROXY};
use super::watch::Watch;
use crate::scenarios::{HOST, Scenario};
use crate::server::Server;
use crate::trial::{GRACE, LIMIT, end, resolv_conf};

/// How often the page is fetched through one proxy.
const VISITS: usize = 2;
/// What a program may take to start, which does not count: a browser on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(40);
/// A trial that takes longer has hung.
const RUN_LIMIT: Duration = Duration::from_secs(180);
/// After a visit, until its last packets have been seen.
const SETTLE: Duration = ms(60);

/// What one visit took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Milliseconds from the program's first query, or from its SYN to the proxy, to the arrival of the
    /// request at the web server; `None` where none came in time.
    pub time: Option<f64>,
    /// Milliseconds from the first SYN beyond this machine to the end of the first handshake.
    pub race: Option<f64>,
    /// SYNs beyond this machine, the kernel's repetitions too.
    pub syns: usize,
    /// Connections to the proxy on which the host was asked for.
    pub asked: usize,
}

/// The visits of one program: one by itself, or [`VISITS`] through a proxy that has been started for them.
pub fn run(
    connie: &Path,
    scenario: &Scenario,
    client: &Client,
    is_proxied: bool,
) -> Result<Vec<Seen>, String> {
    let result = Arc::new(Mutex::new(None));
    let (connie, scenario, client, slot) =
        (connie.to_owned(), scenario.clone(), client.clone(), Arc::clone(&result));
    let ran = std::panic::catch_unwind(move || {
        in_namespace_within(RUN_LIMIT, move |lab| {
            let seen = visits(lab, &connie, &scenario, &client, is_proxied);
            *slot.lock().expect("no other holds it") = Some(seen);
        });
    });
    ran.map_err(|_| "the trial panicked".to_owned())?;
    let seen = result.lock().map_err(|_| "a trial panicked".to_owned())?.take();
    seen.ok_or_else(|| "no namespace: run it as root".to_owned())?.map_err(|error| error.to_string())
}

fn visits(
    lab: &Lab,
    connie: &Path,
    scenario: &Scenario,
    client: &Client,
    is_proxied: bool,
) -> std::io::Result<Vec<Seen>> {
    lab.add_address(IpAddr::from([0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1]));
    lab.ip("route add default dev lab0\nroute add ::/0 dev lab0");
    for (address, does) in scenario.hosts() {
        lab.set(address, does);
    }
    let names = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
    scenario.publish(&names);
    let site = Site { lab, names, server: Server::start()? };
    if !is_proxied {
        return Ok(vec![site.visit(&client.direct, None)?]);
    }
    let _proxy = Proxy::start(connie)?;
    let watch =
        Watch::start(PROXY.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default())?;
    (0..VISITS).map(|_| site.visit(&client.proxied, Some(&watch))).collect()
}

/// What the host is made of.
struct Site<'a> {
    lab: &'a Lab,
    names: DnsServer,
    server: Server,
}

impl Site<'_> {
    fn visit(&self, command: &[String], watch: Option<&Watch>) -> std::io::Result<Seen> {
        self.lab.clear_log();
        let begun = Instant::now();
        let mut child = start(command)?;
        let ok = self.wait(&mut child, begun, watch)?;
        std::thread::sleep(SETTLE);
        let seen = self.seen(begun, watch);
        if seen.time.is_some() && ok == Some(false) {
            return Err(std::io::Error::other(format!("failed: {}", command.join(" "))));
        }
        Ok(seen)
    }

    /// Waits for its end, and ends it where it takes too long. Whether it says that all is well.
    fn wait(
        &self,
        child: &mut Child,
        begun: Instant,
        watch: Option<&Watch>,
    ) -> std::io::Result<Option<bool>> {
        let (mut ended, mut asked) = (None, None);
        while ended.is_none() {
            ended = child.try_wait()?;
            if asked.is_none() && self.first_request(begun).is_some() {
                asked = Some(Instant::now());
            }
            let is_late = match (asked, self.first_sign(begun, watch)) {
                (Some(asked), _) => asked.elapsed() > GRACE,
                (None, Some(sign)) => sign.elapsed() > LIMIT + ms(500),
                (None, None) => begun.elapsed() > START_LIMIT,
            };
            if is_late && ended.is_none() {
                end(child);
                return Ok(None);
            }
            std::thread::sleep(ms(2));
        }
        Ok(ended.map(|status| status.success()))
    }

    fn first_request(&self, begun: Instant) -> Option<Instant> {
        self.server.requests().into_iter().find(|at| *at >= begun)
    }

    /// Its first query for the host, or its SYN to the proxy.
    fn first_sign(&self, begun: Instant, watch: Option<&Watch>) -> Option<Instant> {
        match watch {
            Some(watch) => watch.asked(begun).into_iter().min(),
            None => {
                let queries = self.names.queries();
                queries.iter().find(|query| query.name == HOST && query.at >= begun).map(|query| query.at)
            }
        }
    }

    fn seen(&self, begun: Instant, watch: Option<&Watch>) -> Seen {
        let from = self.first_sign(begun, watch);
        let time = self.first_request(begun).zip(from).map(|(request, from)| request.duration_since(from));
        let log = self.lab.log();
        let attempts = log.attempts();
        let began = attempts.first().map(|attempt| attempt.started());
        let won = attempts.iter().filter_map(|attempt| attempt.established).min();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        Seen {
            time: time.filter(|time| *time <= LIMIT).map(millis),
            race: won.zip(began).map(|(won, began)| millis(won.saturating_sub(began))),
            syns: attempts.iter().map(|attempt| attempt.syns.len()).sum(),
            asked: watch.map_or(0, |watch| watch.asked(begun).len()),
        }
    }
}

/// `connie proxy`, which ends with this.
struct Proxy(Child);

impl Proxy {
    fn start(connie: &Path) -> std::io::Result<Self> {
        // The laboratory's addresses are not public ones.
        let words = ["proxy", "--listen", PROXY, "--allow-private"].map(str::to_owned);
        let command: Vec<String> = [connie.to_string_lossy().into_owned()].into_iter().chain(words).collect();
        let mut child = prepared(&command)?.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        let proxy = Proxy(child);
        if line.starts_with("listening on ") { Ok(proxy) } else { Err(std::io::Error::other("no proxy")) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn start(command: &[String]) -> std::io::Result<Child> {
    prepared(command)?.stdout(Stdio::null()).spawn()
}

/// With a name server of its own, in a process group that can be ended as one, and without this machine's
/// settings.
fn prepared(words: &[String]) -> std::io::Result<Command> {
    use std::os::unix::process::CommandExt as _;
    let resolv: PathBuf = resolv_conf()?;
    let mut command = Command::new("unshare");
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    command.args(["--mount", "sh", "-c", mount]).arg(resolv).args(words);
    for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command.process_group(0).stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}
