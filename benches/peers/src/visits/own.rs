//! Clients in Rust, each in a process of its own: this program again. A line of standard input is a visit.

use std::io::{self, BufRead as _, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use connie_std::connie_core::Config;
use connie_std::tokio_net::OrderedResolver;
use connie_std::{Memory, Options};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A client that is ready.
type Visit = Box<dyn FnMut() -> Result<(), String>>;

/// Visits `host` as `client`, once for each line that it reads.
pub fn visit_with(client: &str, host: &str) -> Result<(), String> {
    let mut visit = ready(client, host)?;
    println!("ready");
    for line in io::stdin().lock().lines() {
        line.map_err(|error| error.to_string())?;
        match visit() {
            Ok(()) => println!("ok"),
            Err(why) => println!("{}", why.replace('\n', " ")),
        }
    }
    Ok(())
}

fn ready(client: &str, host: &str) -> Result<Visit, String> {
    let with = |memory: bool, race: Config| {
        Options::new()
            .memory(memory.then(Memory::new))
            .race(race.clone().max_in_flight(Options::DEFAULT_MAX_IN_FLIGHT))
    };
    match client {
        "memory" => Ok(blocking(host, with(true, Config::all_at_once()))),
        "memory-tokio" => tokio(host, with(true, Config::all_at_once())),
        "memory-staggered" => Ok(blocking(host, with(true, Config::staggered()))),
        "all-at-once" => Ok(blocking(host, with(false, Config::all_at_once()))),
        "staggered" => Ok(blocking(host, with(false, Config::staggered()))),
        "hyper" => hyper(host),
        "ureq-memory" => Ok(ureq_by_race(host)),
        "ureq" => Ok(ureq(host, ureq::agent())),
        "reqwest" => reqwest(host),
        "reqwest-ordered" => reqwest_ordered(host),
        _ => Err(format!("no client {client:?}")),
    }
}

fn request(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

fn blocking(host: &str, options: Options) -> Visit {
    let (host, target) = (host.to_owned(), format!("{host}:80"));
    let fetch = move |mut stream: connie_std::Connected| -> io::Result<()> {
        stream.write_all(request(&host).as_bytes())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    };
    Box::new(move || {
        let stream = connie_std::connect(target.as_str(), &options).map_err(text)?;
        fetch(stream).map_err(text)
    })
}

fn tokio(host: &str, options: Options) -> Result<Visit, String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let runtime = runtime()?;
    let (host, target) = (host.to_owned(), format!("{host}:80"));
    Ok(Box::new(move || {
        runtime.block_on(async {
            let mut stream = connie_std::tokio_net::connect(target.as_str(), &options).await.map_err(text)?;
            stream.write_all(request(&host).as_bytes()).await.map_err(text)?;
            stream.read_to_end(&mut Vec::new()).await.map(drop).map_err(text)
        })
    }))
}

fn hyper(host: &str) -> Result<Visit, String> {
    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let runtime = runtime()?;
    let connector = connie_hyper::RaceConnector::default();
    let client =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build::<_, Empty<&[u8]>>(connector);
    let uri: hyper::Uri = format!("http://{host}/").parse().map_err(text)?;
    Ok(Box::new(move || {
        runtime.block_on(async {
            let answer = client.get(uri.clone()).await.map_err(text)?;
            answer.into_body().collect().await.map(drop).map_err(text)
        })
    }))
}

fn ureq_by_race(host: &str) -> Visit {
    use ureq::unversioned::resolver::DefaultResolver;
    use ureq::unversioned::transport::Connector as _;
    let connector = ().chain(connie_ureq::RaceConnector::default());
    let config = ureq::config::Config::default();
    ureq(host, ureq::Agent::with_parts(config, connector, DefaultResolver::default()))
}

fn ureq(host: &str, agent: ureq::Agent) -> Visit {
    let url = format!("http://{host}/");
    Box::new(move || {
        let mut answer = agent.get(&url).header("Connection", "close").call().map_err(text)?;
        answer.body_mut().read_to_vec().map(drop).map_err(text)
    })
}

/// The recipe of `docs/tokio.md`.
struct Ordered(OrderedResolver);

impl Resolve for Ordered {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn reqwest(host: &str) -> Result<Visit, String> {
    fetch_with(host, reqwest::blocking::Client::builder())
}

/// By the recipe, with the time-out that it needs for a dead address, and another try after a failure.
fn reqwest_ordered(host: &str) -> Result<Visit, String> {
    let resolver = OrderedResolver::new(&Memory::new(), 80);
    let client = reqwest::blocking::Client::builder()
        .dns_resolver(Arc::new(Ordered(resolver.clone())))
        .connect_timeout(Duration::from_secs(5));
    let mut fetch = fetch_with(host, client)?;
    let host = host.to_owned();
    Ok(Box::new(move || {
        fetch().or_else(|_| {
            resolver.race_again(&host);
            fetch()
        })
    }))
}

fn fetch_with(host: &str, client: reqwest::blocking::ClientBuilder) -> Result<Visit, String> {
    let client = client.no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(60));
    let client = client.build().map_err(text)?;
    let url = format!("http://{host}/");
    Ok(Box::new(move || client.get(&url).send().and_then(|answer| answer.bytes()).map(drop).map_err(text)))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
