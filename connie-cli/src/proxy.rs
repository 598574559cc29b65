//! `connie proxy`: the race for programs that take a proxy.

mod limits;
mod listeners;
mod notify;
mod signals;
mod users;

use std::future::pending;
use std::time::Duration;

use connie_proxy::{OpenProxy, Partition, Proxy, ProxyConfig, ProxyLimits};
#[cfg(feature = "dns")]
use connie_std::dns::Dns;
use connie_std::{AddressFilter, Memory, Options, SocketBudget};
use tokio::time::{MissedTickBehavior, interval};

use crate::args::{Limit, PartitionName, ProxyArgs};
use crate::error::{Error, reason};
use crate::exit_code;
use crate::memory;
use crate::output::print;
use limits::Descriptors;
use signals::{Order, Signals};

/// How often what was learnt is written to its file.
const SAVE: Duration = Duration::from_secs(300);
/// How many of the last races the status shows.
const RACES: usize = 64;

pub fn run(args: &ProxyArgs) -> Result<(), Error> {
    let memory = match (&args.memory, args.no_memory) {
        (_, true) => None,
        (Some(path), false) => Some(memory::load(path)?),
        (None, false) => Some(Memory::new()),
    };
    let config = config(args, memory.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| not_started(&error))?;
    runtime.block_on(serve(args, config, memory))
}

async fn serve(args: &ProxyArgs, mut config: ProxyConfig, memory: Option<Memory>) -> Result<(), Error> {
    let listeners = listeners::open(&args.listen)?;
    let status = args.status.map(listeners::open_status).transpose()?;
    // Without a page that shows the races, nothing is kept of what its clients connect to.
    config.races = if status.is_some() { RACES } else { 0 };
    config.out_of_bounds = status.iter().filter_map(|status| status.local_addr().ok()).collect();
    let mut signals = Signals::new().map_err(|error| not_started(&error))?;
    let further = Signals::new().map_err(|error| not_started(&error))?;
    let proxy = Proxy::new(config, listeners).map_err(|error| match open_proxy(&error) {
        Some(open) => Error::usage(format!("{open}: --allow CIDR, --user NAME:PASSWORD")),
        None => not_started(&error),
    })?;
    for address in proxy.addresses() {
        print(format_args!("listening on {address}\n"))?;
    }
    for address in status.iter().filter_map(|status| status.local_addr().ok()) {
        print(format_args!("status on http://{address}/\n"))?;
    }
    notify::ready();
    let view = proxy.view();
    let showing = async {
        // It listens on loopback, as was looked at.
        if let Some(status) = status {
            drop(view.show(status).await);
        }
        pending::<()>().await;
    };
    let mut tick = interval(SAVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one comes at once.
    tick.tick().await;
    let stop = async {
        loop {
            tokio::select! {
                order = signals.next() => match (order, &memory) {
                    (Order::Stop, _) => return notify::stopping(),
                    (Order::Forget, memory) => forget(memory.as_ref()),
                },
                _ = tick.tick() => {}
            }
            if let Err(error) = save(args, memory.as_ref()) {
                error.report();
            }
        }
    };
    tokio::select! {
        () = proxy.serve(stop) => {}
        () = showing => {}
        // What is still connected is reset: see `Proxy::serve`.
        () = second_stop(further) => {}
    }
    save(args, memory.as_ref())
}

/// Ends when the proxy is told to stop once more: whoever says so does not want to wait for its connections.
async fn second_stop(mut signals: Signals) {
    for _ in 0..2 {
        while signals.next().await != Order::Stop {}
    }
}

fn forget(memory: Option<&Memory>) {
    notify::reloading();
    if let Some(memory) = memory {
        memory.forget();
    }
    notify::ready();
}

/// What is wrong with listening there without a login.
fn open_proxy(error: &std::io::Error) -> Option<OpenProxy> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<OpenProxy>()).copied()
}

fn not_started(error: &std::io::Error) -> Error {
    Error::new(exit_code::CONNECT, format!("the proxy could not start: {}", reason(error)))
}

fn save(args: &ProxyArgs, memory: Option<&Memory>) -> Result<(), Error> {
    match (&args.memory, memory) {
        (Some(path), Some(memory)) => memory.save(path).map_err(|error| Error::write(path.display(), &error)),
        _ => Ok(()),
    }
}

fn config(args: &ProxyArgs, memory: Option<Memory>) -> Result<ProxyConfig, Error> {
    let descriptors = Descriptors::for_proxy(args.max_clients.map(|most| most as usize));
    let deadline = args.connect_timeout.map_or(Some(Options::DEFAULT_DEADLINE), Limit::get);
    let filter = if args.allow_private { AddressFilter::default() } else { AddressFilter::public_only() };
    let options = Options::new()
        .deadline(deadline)
        .filter(filter)
        .overrides(args.resolve.iter().cloned())
        .budget(SocketBudget::new(descriptors.sockets))
        .memory(memory);
    #[cfg(feature = "dns")]
    let options = match &*args.dns_server {
        [] => options,
        servers => options.resolver(Dns::new(servers.iter().copied())),
    };
    let seconds = |given: Option<u32>, default| given.map_or(default, |it| Duration::from_secs(it.into()));
    let mut config = ProxyConfig::new(options);
    config.allow = args.allow.clone();
    config.users = users::read(&args.user, args.user_file.as_deref())?;
    config.via = args.via;
    config.private = args.private;
    config.partition = match args.partition {
        PartitionName::All => Partition::Shared,
        PartitionName::User => Partition::ByUser,
        PartitionName::Port => Partition::ByPort,
    };
    let default = ProxyLimits::default();
    let limits = &mut config.limits;
    limits.clients = descriptors.clients;
    limits.clients_each = args.max_per_client.map_or(default.clients_each, |most| most as usize);
    limits.pipes = descriptors.pipes;
    limits.handshake = seconds(args.handshake_timeout, default.handshake);
    limits.idle = seconds(args.idle_timeout, default.idle);
    limits.half_closed = limits.half_closed.min(limits.idle);
    limits.stop = seconds(args.stop_timeout, default.stop);
    Ok(config)
}
