//! The network of this firmware: what both programs have in common.

use connie_async::EmbassyClock;
use connie_async::dns::Dns;
use connie_async::embassy_net::{Neighbours, SolicitingDriver, Udp};
use connie_firmware_qemu::command_line::{CommandLine, Own};
use connie_firmware_qemu::net::{PATIENCE, Trouble};
use core::net::IpAddr;
use embassy_net::{ConfigV4, ConfigV6, Ipv4Cidr, Ipv6Cidr, Runner, Stack, StackResources};
use embassy_net::{StaticConfigV4, StaticConfigV6};
use embassy_time::with_timeout;
use static_cell::StaticCell;

use crate::device::Device;

/// Sockets for connections, each with 1 KiB of buffers.
pub const SOCKETS: usize = 4;
/// Sockets for names: two questions to two servers.
pub const DNS: usize = 4;
/// For these and DHCP.
const SLOTS: usize = SOCKETS + DNS + 1;

/// Two names of 62 letters at most, and eight addresses of each family; two lookups that are woken, and
/// two servers.
pub type Names<'u> = Dns<'u, Udp<'static, DNS>, EmbassyClock, 2, DNS, 2, 2, 64, 128>;

pub type Link = SolicitingDriver<'static, Device>;

pub struct Network {
    pub stack: Stack<'static>,
    pub runner: Runner<'static, Link>,
    pub neighbours: &'static Neighbours,
}

/// The network, from its driver.
pub fn stack(driver: Device, wanted: &CommandLine<'_>, seed: u64) -> Option<Network> {
    static RESOURCES: StaticCell<StackResources<SLOTS>> = StaticCell::new();
    static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
    let resources = RESOURCES.try_init_with(StackResources::new)?;
    let neighbours: &Neighbours = NEIGHBOURS.try_init_with(Neighbours::new)?;
    let driver = neighbours.driver(driver);
    let (stack, runner) = embassy_net::new(driver, own_addresses(wanted), resources, seed);
    Some(Network { stack, runner, neighbours })
}

fn own_addresses(wanted: &CommandLine<'_>) -> embassy_net::Config {
    let mut config = embassy_net::Config::default();
    config.ipv4 = match wanted.v4 {
        None => ConfigV4::None,
        Some(Own::Automatic) => ConfigV4::Dhcp(embassy_net::DhcpConfig::default()),
        Some(Own::Static(address, prefix)) => ConfigV4::Static(StaticConfigV4 {
            address: Ipv4Cidr::new(address, prefix),
            gateway: wanted.gateway_v4,
            dns_servers: match wanted.dns {
                Some(IpAddr::V4(server)) => [server].into_iter().collect(),
                _ => Default::default(),
            },
        }),
    };
    config.ipv6 = match wanted.v6 {
        None => ConfigV6::None,
        Some(Own::Automatic) => ConfigV6::Slaac,
        Some(Own::Static(address, prefix)) => ConfigV6::Static(StaticConfigV6 {
            address: Ipv6Cidr::new(address, prefix),
            gateway: wanted.gateway_v6,
            dns_servers: match wanted.dns {
                Some(IpAddr::V6(server)) => [server].into_iter().collect(),
                _ => Default::default(),
            },
        }),
    };
    config
}

/// Serves the network, for ever.
#[embassy_executor::task]
pub async fn network(mut runner: Runner<'static, Link>) -> ! {
    runner.run().await
}

/// Waits for the addresses that are wanted.
pub async fn configured(stack: Stack<'static>, wanted: &CommandLine<'_>) -> Result<(), Trouble> {
    let limit = embassy_time::Duration::from_secs(PATIENCE.as_secs());
    let up = async {
        let missing = |stack: Stack<'_>| {
            let v4 = wanted.v4.is_some() && stack.config_v4().is_none();
            v4 || wanted.v6.is_some() && stack.config_v6().is_none()
        };
        while missing(stack) {
            // It says when the first family is there, and not when the second is.
            embassy_time::Timer::after_millis(20).await;
        }
    };
    with_timeout(limit, up).await.map_err(|_| match stack.config_v4() {
        None if wanted.v4.is_some() => Trouble::NoLease,
        _ => Trouble::NoAdvertisement,
    })
}
